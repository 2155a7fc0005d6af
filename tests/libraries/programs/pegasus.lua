-- Pegasus, an HTTP server on LuaSocket that knows nothing of goroutines: one for each connection, under hook().
local socket = require "socket"

return {
  library = "Pegasus", version = "1.1.0", what = "a connection each goroutine, requests by socket.http; hook() alone", needs = "hook",
  run = function(t)
    if not t.hooked then return end
    local Handler = require "pegasus.handler"
    local http = require "socket.http"
    local h = Handler:new(function(_, res)
      t.gos.sleep(0.005)
      res:statusCode(200)
      res:addHeader("Content-Type", "text/plain")
      res:write "hello"
    end, nil, {})
    local server = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    local n = 10
    local accepting = t.gos.go(function()
      for _ = 1, n do
        local c = assert(server:accept())
        t.gos.go(function()
          h:processRequest(port, c, server)
          c:close()
        end)
      end
    end)
    t.each(n, function()
      local body, code = http.request("http://127.0.0.1:" .. port .. "/page")
      assert(code == 200 and body == "hello", tostring(code))
    end)
    accepting:join()
    server:close()
  end,
}
