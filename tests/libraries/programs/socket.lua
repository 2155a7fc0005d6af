-- LuaSocket: a server and its clients in one state, socket.http, socket.select, UDP, names.
local socket = require "socket"
local http = require "socket.http"
local ltn12 = require "ltn12"

local function serve(ch, clients, at_once)
  local socket = require "socket"
  local gos = require "gossamer"
  local server = assert(socket.bind("127.0.0.1", 0, 100))
  ch:send((select(2, server:getsockname())))
  local wg = gos.waitgroup()
  for _ = 1, clients do
    local client = assert(server:accept())
    local function answer()
      client:settimeout(20)
      local request = assert(client:receive "*l")
      repeat local line = assert(client:receive "*l") until line == ""
      local body = request:match "GET /(%S*)":rep(1000)
      client:send(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"):format(#body, body))
      client:close()
    end
    if at_once then wg:go(answer) else answer() end
  end
  wg:wait()
  server:close()
end

return {
  library = "LuaSocket", version = socket._VERSION,
  what = "a server and its clients, socket.http, select, timeouts, UDP, names",
  run = function(t)
    local gos, n = t.gos, 20
    local ch = gos.chan(1)
    local server = t.elsewhere(serve, ch, n, t.hooked)
    local port = ch:recv()
    t.each(n, function(i)
      local parts = {}
      local ok, code = http.request { url = ("http://127.0.0.1:%d/n%d"):format(port, i), sink = ltn12.sink.table(parts) }
      assert(ok == 1 and code == 200, code)
      assert(table.concat(parts) == ("n" .. i):rep(1000))
    end)
    assert(server:join())
    -- What times out, what is refused, what does not exist.
    local udp = assert(socket.udp())
    udp:setsockname("127.0.0.1", 0)
    udp:settimeout(0.01)
    assert(select(2, udp:receive()) == "timeout")
    assert(#socket.select({ udp }, nil, 0.01) == 0)
    assert(udp:sendto("hello", udp:getsockname()) == 5)
    assert(udp:receive() == "hello")
    udp:close()
    assert(not socket.connect("127.0.0.1", 1))
    assert(socket.dns.toip "localhost")
    assert(not socket.dns.toip "no.such.host.invalid")
    assert(select(2, http.request "http://127.0.0.1:1/"):match "refused")
    local before = gos.now()
    t.each(5, function() socket.sleep(0.02) end)
    if t.hooked then assert(gos.now() - before < 5) end
  end,
}
