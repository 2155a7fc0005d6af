-- lua-http: a server and requests on one cqueues controller, which a goroutine drives.
local cqueues = require "cqueues"
local http_server = require "http.server"
local http_headers = require "http.headers"
local request = require "http.request"

return {
  library = "lua-http", version = require "http.version".version, what = "server and requests on a controller that a goroutine drives",
  run = function(t)
    local gos = t.gos
    local cq = cqueues.new()
    local server = assert(http_server.listen {
      host = "127.0.0.1", port = 0, cq = cq,
      onstream = function(_, stream)
        local path = stream:get_headers():get ":path"
        local h = http_headers.new()
        h:append(":status", "200")
        stream:write_headers(h, false)
        stream:write_chunk(("you asked for %s "):format(path):rep(1000), true)
      end,
    })
    assert(server:listen())
    local _, _, port = server:localname()
    local done = 0
    for i = 1, 5 do
      cq:wrap(function()
        local h, stream = assert(request.new_from_uri(("http://127.0.0.1:%d/page%d"):format(port, i)):go(20))
        assert(h:get ":status" == "200")
        assert(stream:get_body_as_string() == ("you asked for /page%d "):format(i):rep(1000))
        done = done + 1
        if done == 5 then server:close() end
      end)
    end
    local g = gos.go(function()
      while done < 5 do
        assert(cq:step(0))
        if done < 5 then gos.wait_fd(cq:pollfd(), "r", cq:timeout()) end
      end
    end)
    assert(g:join())
  end,
}
