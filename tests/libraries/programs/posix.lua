-- luaposix: descriptors, poll, fork and wait beside gos.process, signals, time.
local unistd = require "posix.unistd"
local wait = require "posix.sys.wait"
local poll = require "posix.poll"
local time = require "posix.time"
local signal = require "posix.signal"

return {
  library = "luaposix", version = function() return (require "posix".version or require "posix.version") end,
  what = "pipes with wait_fd, poll, nanosleep, fork and wait beside gos.process, signal handlers, getenv, stat",
  run = function(t)
    local gos = t.gos
    t.each(10, function(i)
      local r, w = unistd.pipe()
      local writer = gos.go(function()
        t.pause()
        unistd.write(w, "line " .. i)
      end)
      assert(gos.wait_fd(r, "r", 10) == "r")
      assert(unistd.read(r, 100) == "line " .. i)
      writer:join()
      assert(poll.rpoll(r, t.hooked and 5 or 0) == 0)
      unistd.close(r)
      unistd.close(w)
      time.nanosleep { tv_sec = 0, tv_nsec = 1000000 }
    end)
    -- A child of its own, beside those of gos.process.
    t.each(5, function(i)
      local pid = assert(unistd.fork())
      if pid == 0 then unistd._exit(i) end
      local p = gos.process.spawn { "sh", "-c", "exit " .. (10 + i) }
      local status = p:wait(20)
      assert(status == 10 + i, status)
      local done, how, code
      for _ = 1, 2000 do
        done, how, code = wait.wait(pid, wait.WNOHANG)
        if done ~= 0 then break end
        t.pause()
      end
      assert(done == pid and how == "exited" and code == i, how)
    end)
    if t.isolated then return end -- handlers never run there
    local got = 0
    signal.signal(signal.SIGUSR1, function() got = got + 1 end)
    signal.raise(signal.SIGUSR1)
    for _ = 1, 100 do
      if got == 1 then break end
      t.pause()
    end
    assert(got == 1, got)
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
  end,
}
