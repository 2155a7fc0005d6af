-- copas: its loop in a goroutine of its own, beside goroutines; between the two, channels that do not wait.
local copas = require "copas"
local socket = require "socket"

return {
  library = "copas", version = copas._VERSION, what = "its loop as one goroutine: an echo server, clients, timers, values to and from channels",
  run = function(t)
    local gos = t.gos
    local inbox, outbox = gos.chan(100), gos.chan(100)
    local clients, served = 5, 0
    local loop = gos.go(function()
      local server = assert(socket.bind("127.0.0.1", 0))
      local _, port = server:getsockname()
      copas.addserver(server, function(skt)
        skt = copas.wrap(skt)
        local line = skt:receive "*l"
        skt:send(line:upper() .. "\n")
        served = served + 1
        if served == clients then copas.removeserver(server) end
      end)
      for i = 1, clients do
        copas.addthread(function()
          local c = copas.wrap(socket.tcp())
          c:settimeout(20)
          assert(c:connect("127.0.0.1", port))
          c:send("client " .. i .. "\n")
          assert(outbox:try_send(c:receive "*l"))
          c:close()
        end)
      end
      copas.addthread(function()
        for _ = 1, 5 do
          local v
          repeat
            v = inbox:try_recv()
            if not v then (copas.pause or copas.sleep)(0.001) end
          until v
          outbox:try_send("got " .. v)
        end
      end)
      -- Its steps, with the others' turns between: without hook() its select would keep them waiting.
      local last = gos.now()
      while not copas.finished() do
        copas.step(t.hooked and 0.05 or 0.001)
        gos.gosched()
        assert(gos.now() - last < 30, "it hangs")
      end
    end)
    for i = 1, 5 do
      inbox:send(i)
      t.pause()
    end
    local seen = {}
    for _ = 1, clients + 5 do seen[#seen + 1] = assert(outbox:recv(20)) end
    table.sort(seen)
    assert(table.concat(seen, " ") == "CLIENT 1 CLIENT 2 CLIENT 3 CLIENT 4 CLIENT 5 got 1 got 2 got 3 got 4 got 5")
    assert(loop:join())
  end,
}
