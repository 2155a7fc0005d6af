-- Signals, each in a process of its own.
-- SPDX-License-Identifier: Apache-2.0

local support = require "tests.lua.support"

local function prints(expected, code)
  local out, status = support.script([[
    local function kill(sig) os.execute("kill -" .. sig .. " $PPID") end
    ]] .. code)
  assert.are.same({ expected, 0 }, { out, status })
end

describe("notify", function()
  it("sends names to a channel", function()
    prints("USR1\nUSR2\n", [[
      local ch = gos.chan(4)
      gos.notify(ch, "USR1", "SIGUSR2")
      kill "USR1" print(ch:recv())
      kill "USR2" print(ch:recv())]])
  end)
  it("wakes main that waits, and no deadlock is reported meanwhile", function()
    prints("true\n", [[
      local ch = gos.chan(1)
      gos.notify(ch, "USR1")
      io.popen("sleep 0.1; kill -USR1 " .. io.popen("echo $PPID"):read())
      print(ch:recv() == "USR1")]])
  end)
  it("reaches a goroutine among others, unbuffered channels miss what nobody waits for", function()
    prints("got\tUSR1\n0\n", [[
      local ch, deaf = gos.chan(1), gos.chan()
      gos.notify(ch, "USR1")
      gos.notify(deaf, "USR1")
      local g = gos.go(function() print("got", ch:recv()) end)
      kill "USR1"
      g:join()
      print(#deaf)]])
  end)
  it("numbers are signals too, and adds up", function()
    prints("USR1\nUSR2\n", [[
      local ch = gos.chan(4)
      gos.notify(ch, 10)
      gos.notify(ch, "USR2")
      kill "USR1" print(ch:recv())
      kill "USR2" print(ch:recv())]])
  end)
  it("stop gives the signal back, what came before stays", function()
    prints("1\tUSR1\nnil\tempty\n1\n", [[
      local ch, other = gos.chan(4), gos.chan(4)
      gos.notify(ch, "USR1")
      gos.notify(other, "USR1")
      kill "USR1"
      other:recv()
      gos.stop(ch)
      print(#ch, ch:recv())
      gos.stop(ch)
      kill "USR1"
      other:recv()
      print(ch:try_recv())
      gos.stop(other)
      gos.gosched()
      print(gos.num_goroutine())]])
  end)
  it("after the last stop the signal does what it did", function()
    local out, status = support.script [[
      local ch = gos.chan(1)
      gos.notify(ch, "USR1")
      gos.stop(ch)
      os.execute "kill -USR1 $PPID"
      gos.sleep(10)
      print "alive"]]
    assert.are_not.equal(0, status)
    assert.is_false(support.contains(out, "alive"))
  end)
  it("a closed channel is no trouble", function()
    prints("ok\n", [[
      local ch, other = gos.chan(1), gos.chan(1)
      gos.notify(ch, "USR1")
      gos.notify(other, "USR1")
      ch:close()
      kill "USR1"
      other:recv()
      print "ok"]])
  end)
  it("refuses what cannot be caught, and what is no signal", function()
    prints("true\ttrue\ttrue\ttrue\n1\n", [[
      local ch = gos.chan(1)
      local function refused(words, ...)
        local ok, err = pcall(gos.notify, ...)
        return not ok and err:find(words, 1, true) ~= nil
      end
      print(refused("cannot be caught", ch, "KILL"), refused("'NONE' is no signal", ch, "NONE"),
        refused("nil channel", gos.nilchan, "INT"), refused("receive-only", ch:receiver(), "INT"))
      gos.gosched()
      print(gos.num_goroutine())]])
  end)
  it("the interrupt key's signal too", function()
    prints("INT\n", [[
      local ch = gos.chan(1)
      gos.notify(ch, "INT")
      io.popen("kill -INT $PPID"):close() -- os.execute has the signal ignored meanwhile
      print(ch:recv())]])
  end)
  it("a program ends with channels still notified", function()
    for _, last in ipairs { "", "os.exit(0, true)", "gos.go(os.exit, 0, true) gos.nilchan:recv()" } do
      prints("", [[
        local ch = gos.chan(1)
        gos.notify(ch, "USR1")
        local c = gos.notify_context("USR2")
        gos.gosched()
        ]] .. last)
    end
  end)
end)

describe("notify_context", function()
  it("ends with the first signal, and says which", function()
    prints("canceled\tsignal: USR1\tsignal: USR1\nnil\tcanceled\n", [[
      local c = gos.notify_context("USR1", "USR2")
      local below = gos.with_cancel(c)
      kill "USR1"
      c:done():recv()
      print(c:err(), c:cause(), below:cause())
      print(gos.nilchan:recv(c))]])
  end)
  it("ends with its parent, by cancel, and at the end of a scope", function()
    prints("p\tcanceled\tcanceled\n1\n", [[
      local p = gos.with_cancel()
      local a, b, c = gos.notify_context(p, "USR1"), gos.notify_context("USR1"), nil
      do
        local x <close> = gos.notify_context("USR1")
        c = x
      end
      p:cancel "p"
      b:cancel()
      print(a:cause(), b:err(), c:err())
      while gos.num_goroutine() > 1 do gos.gosched() end
      print(gos.num_goroutine())]])
  end)
  it("is let go, and the signal with it", function()
    prints("1\n", [[
      gos.notify_context("USR1")
      collectgarbage() collectgarbage()
      while gos.num_goroutine() > 1 do gos.gosched() end
      print(gos.num_goroutine())]])
  end)
end)
