-- LuaSec: TLS between goroutines; the certificate is made on the way.
local socket = require "socket"
local ssl = require "ssl"

local function make_certificate(gos)
  local dir = os.tmpname()
  os.remove(dir)
  assert(gos.file.mkdir(dir))
  local r = gos.process.run {
    "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
    "-keyout", dir .. "/key", "-out", dir .. "/cert",
  }
  assert(r and r.status == 0, r and r.stderr)
  return dir
end

local function serve(ch, dir, clients, at_once)
  local socket, ssl, gos = require "socket", require "ssl", require "gossamer"
  local context = assert(ssl.newcontext {
    mode = "server", protocol = "any", key = dir .. "/key", certificate = dir .. "/cert", options = "all",
  })
  local server = assert(socket.bind("127.0.0.1", 0, 100))
  ch:send((select(2, server:getsockname())))
  local wg = gos.waitgroup()
  for _ = 1, clients do
    local raw = assert(server:accept())
    local function answer()
      raw:settimeout(20)
      local c = assert(ssl.wrap(raw, context))
      assert(c:dohandshake())
      local line = assert(c:receive "*l")
      assert(c:send(line:upper():rep(5000) .. "\n"))
      c:close()
    end
    if at_once then wg:go(answer) else answer() end
  end
  wg:wait()
  server:close()
end

return {
  library = "LuaSec", version = ssl._VERSION, what = "TLS handshakes and data of both sides at once, a failing handshake",
  run = function(t)
    local gos, n = t.gos, 8
    local dir = make_certificate(gos)
    local ch = gos.chan(1)
    local server = t.elsewhere(serve, ch, dir, n, t.hooked)
    local port = ch:recv()
    t.each(n, function(i)
      local raw = assert(socket.connect("127.0.0.1", port))
      raw:settimeout(20)
      local c = assert(ssl.wrap(raw, { mode = "client", protocol = "any", verify = "none", options = "all" }))
      assert(c:dohandshake())
      assert(c:send("line " .. i .. "\n"))
      assert(c:receive "*l" == ("LINE " .. i):rep(5000))
      c:close()
    end)
    assert(server:join())
    -- One who does not speak TLS.
    local l <close> = gos.net.listen("tcp", "127.0.0.1:0")
    local addr = l:local_addr()
    local rude = t.elsewhere(function(a)
      local s = require "socket".connect(a:match "(.*):(%d+)")
      s:send "this is not TLS\n"
      s:close()
    end, addr)
    local c = l:accept(10)
    rude:join()
    c:close()
    for _, name in ipairs { "key", "cert" } do gos.file.remove(dir .. "/" .. name) end
    gos.file.remove(dir)
  end,
}
