-- luv: libuv's loop waits for its descriptor, in the goroutine that loaded luv, whose Lua thread runs all callbacks.
local uv = require "luv"

return {
  library = "luv", version = uv.version_string(), what = "its loop through backend_fd(): timers, TCP, files, processes, work; callbacks that wait",
  run = function(t)
    local gos = t.gos
    local out = gos.chan()
    local function loop()
      local fd = uv.backend_fd()
      while uv.loop_alive() do
        uv.run "nowait"
        if not uv.loop_alive() then break end
        local ms = uv.backend_timeout()
        gos.wait_fd(fd, "r", ms >= 0 and ms / 1000 or nil)
      end
    end
    uv.new_timer():start(5, 0, function() out:send "timer" end)
    uv.fs_open("/etc/hostname", "r", 438, function(err, fd)
      assert(not err, err)
      uv.fs_read(fd, 10, 0, function() uv.fs_close(fd, function() out:send "file" end) end)
    end)
    local server = uv.new_tcp()
    server:bind("127.0.0.1", 0)
    server:listen(10, function()
      local c = uv.new_tcp()
      server:accept(c)
      c:read_start(function(_, data)
        if data then c:write(data:upper()) else c:close() server:close() end
      end)
    end)
    local client = uv.new_tcp()
    client:connect("127.0.0.1", server:getsockname().port, function(err)
      assert(not err, err)
      client:write "hello"
      client:read_start(function(_, data)
        out:send(data)
        client:close()
      end)
    end)
    local handle
    handle = uv.spawn("sh", { args = { "-c", "exit 7" } }, function(code)
      out:send("exit " .. code)
      handle:close()
    end)
    local p = gos.process.spawn { "sh", "-c", "exit 9" } -- a child of ours beside it
    uv.queue_work(uv.new_work(function(n) return n * n end, function(r) out:send(("work %d"):format(r)) end), 12)
    local seen = {}
    local g = gos.go(function()
      for _ = 1, 5 do seen[#seen + 1] = assert(out:recv(20)) end
      table.sort(seen)
      return p:wait(20)
    end)
    loop()
    local _, status = g:join()
    assert(status == 9 and table.concat(seen, ",") == "HELLO,exit 7,file,timer,work 144", table.concat(seen, ","))
  end,
}
