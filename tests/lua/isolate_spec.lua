-- gos.isolate: functions in Lua states of their own, on threads of their own.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local support = require "tests.lua.support"
local contains, raises, script = support.contains, support.raises, support.script

describe("an isolate", function()
  it("runs a function with copies and returns copies", function()
    local list = { 1, { 2 } }
    local r = table.pack(gos.isolate(function(a, b, ...)
      a[1] = "changed"
      return select("#", ...), a, b, nil
    end, list, "s", nil, 7):join())
    assert.are.same({ true, 2, { "changed", { 2 } }, "s", n = 5 }, r)
    assert.are.same({ 1, { 2 } }, list)
  end)
  it("has globals of its own, and the same package.path", function()
    rawset(_G, "only_here", 1)
    local path = package.path
    local ok, other, same, id = gos.isolate(function(p)
      only_there = 2 -- luacheck: ignore
      return rawget(_G, "only_here"), package.path == p, require "gossamer".goid()
    end, path):join()
    rawset(_G, "only_here", nil)
    assert.is_true(ok)
    assert.is_nil(other)
    assert.is_true(same)
    assert.are_not.equal(gos.goid(), id)
    assert.is_nil(rawget(_G, "only_there"))
  end)
  it("is a goroutine here: name, id, status, done, labels", function()
    local gate = gos.chan()
    local g = gos.isolate{ function(c) return c:recv() end, gate, name = "worker", labels = { a = "b" } }
    assert.are.equal("worker", g:name())
    assert.are.equal("b", g:labels().a)
    assert.is_number(g:id())
    support.settle()
    assert.are.equal("waiting", (g:status()))
    local timeout = table.pack(g:join(0))
    assert.are.same({ nil, "timeout", n = 2 }, timeout)
    gate:send "go"
    assert.are.same({ nil, "closed" }, { g:done():recv() })
    assert.are.same({ true, "go" }, { g:join() })
    assert.are.same({ true, "go" }, { g:join() })
    assert.are.equal("dead", (g:status()))
  end)
  it("requires modules first", function()
    local function loaded() return package.loaded["gossamer"] ~= nil end
    assert.are.same({ true, true }, { gos.isolate{ loaded, require = { "gossamer" } }:join() })
    local ok, err = gos.isolate{ function() end, require = { "no.such.module" } }:join()
    assert.is_nil(ok)
    assert.is_true(contains(err, "module 'no.such.module' not found"))
  end)
  it("takes modules in upvalues from its own state", function()
    local str = string
    local ok, a, b = gos.isolate(function()
      return gos.goid() > 0, str == string and gos == require "gossamer"
    end):join()
    assert.is_true(ok and a and b)
  end)
  it("refuses what is no function, and what cannot be sent", function()
    raises("function expected", gos.isolate)
    raises("function expected", gos.isolate, 1)
    raises("must be a function", gos.isolate, {})
    raises("require: table of names", gos.isolate, { print, require = 1 })
    raises("require: table of names", gos.isolate, { print, require = { {} } })
    raises("name: string", gos.isolate, { print, name = {} })
    local file = io.stdout
    raises("isolate: cannot send function: upvalue 'file' is userdata", gos.isolate, function() return file end)
    raises("cannot send argument 2.x[1] is a coroutine", gos.isolate, print, 1, { x = { coroutine.create(print) } })
  end)
  it("has no more memory than it is allowed; others are none the worse", function()
    local function hoard(keep)
      local t = {}
      for i = 1, keep and math.huge or 20000 do t[keep and i or 1] = ("x"):rep(1000) .. i end
      return #t == 1 and "fine"
    end
    local other = gos.isolate(hoard)
    local g = gos.isolate { hoard, true, memory = 1 << 21 }
    assert.are.same({ nil, "not enough memory" }, { g:join() })
    assert.are.same({ true, "fine" }, { gos.isolate { hoard, false, memory = 1 << 21 }:join() })
    assert.are.same({ true, "fine" }, { other:join() })
    assert.are.same({ true, false, "not enough memory", 1000 }, { gos.isolate { function()
      local ok, why = pcall(string.rep, "x", 1 << 24)
      return ok, why, #("y"):rep(1000)
    end, memory = 1 << 20 }:join() })
    for _, n in ipairs { 1, 20000, 30000 } do -- not even enough to begin
      assert.are.same({ nil, "not enough memory" }, { gos.isolate { hoard, memory = n }:join() })
    end
    assert.are.same({ nil, "not enough memory" }, { gos.isolate { hoard, ("x"):rep(1 << 20), memory = 1 << 20 }:join() })
    for _, bad in ipairs { 0, -1, 1.5, "much", {} } do
      raises("memory: number of bytes expected", gos.isolate, { hoard, memory = bad })
    end
  end)
  it("starts programs that take signals", function()
    local function mask(text) return text:match "SigBlk:%s*(%x+)" end
    local ok, popened, executed, status = gos.isolate(function(name)
      local pipe = io.popen "cat /proc/self/status"
      local text = pipe:read "a"
      pipe:close()
      os.execute("cat /proc/self/status >" .. name)
      local file = io.open(name)
      local text2 = file:read "a"
      file:close()
      os.remove(name)
      return text, text2, select(3, os.execute "exit 5")
    end, os.tmpname()):join()
    assert.is_true(ok)
    assert.are.equal(("0"):rep(16), mask(popened))
    assert.are.equal(("0"):rep(16), mask(executed))
    assert.are.equal(5, status)
    local g = gos.isolate(function()
      local _, e = pcall(os.execute, {})
      local _, f = pcall(io.popen, "true", "bad mode")
      return e, f, os.execute()
    end)
    local _, e, f, shell = g:join()
    assert.is_true(contains(e, "string expected") and contains(f, "invalid mode") and shell)
  end)
  it("has the parent's os.execute when it is sent one", function()
    local exec, popen = os.execute, io.popen
    assert.are.same({ true, true }, { gos.isolate(function() return exec == os.execute and popen == io.popen end):join() })
    local ok, e = gos.isolate(function() return os.execute end):join()
    assert.is_true(ok and e == os.execute)
    assert.are.same({ true, nil, "exit", 3 }, { gos.isolate(function()
      return require "gossamer".blocking(os.execute, "exit 3")
    end):join() })
  end)
  it("starts isolates itself", function()
    local function fib(n)
      if n < 2 then return n end
      local a, b = gos.isolate(fib, n - 1), gos.isolate(fib, n - 2)
      local _, x = assert(a:join())
      local _, y = assert(b:join())
      return x + y
    end
    assert.are.same({ true, 8 }, { gos.isolate(fib, 6):join() })
  end)
end)

describe("an isolate's error", function()
  it("is join's, with its own traceback", function()
    local ok, err, traceback = gos.isolate(function()
      local function inner() error("boom") end
      inner()
    end):join()
    assert.is_nil(ok)
    assert.is_true(contains(err, "isolate_spec.lua") and contains(err, "boom"))
    assert.is_true(contains(traceback, "in upvalue 'inner'") or contains(traceback, "in local 'inner'"))
  end)
  it("is a copy of any value, or its text", function()
    local _
    local ok, err = gos.isolate(function() error { code = 7 } end):join()
    assert.is_nil(ok)
    assert.are.same({ code = 7 }, err)
    _, err = gos.isolate(function()
      error(setmetatable({ f = io.stdout }, { __tostring = function() return "text" end }))
    end):join()
    assert.are.equal("text", err)
    _, err = gos.isolate(function() error() end):join()
    assert.are.equal(support.error_nil, err)
  end)
  it("may be that its results cannot be sent", function()
    local ok, err = gos.isolate(function() return 1, { io.stdout } end):join()
    assert.is_nil(ok)
    assert.are.equal("cannot send result 2[1] is userdata", err)
  end)
  it("is raised by <close>", function()
    raises("boom", function()
      local _ <close> = gos.isolate(function() error("boom", 0) end)
    end)
  end)
  it("is reported if nobody joins it", function()
    local out, status = script [[
      gos.isolate{function() error("lost") end, name = "loser"}
      gos.sleep(1.2)
      print "end"]]
    assert.are.equal(0, status)
    assert.is_true(contains(out, "loser: ") and contains(out, "lost") and contains(out, "created by goroutine 1"))
  end)
end)

describe("interrupt", function()
  it("ends the isolate's wait", function()
    local g = gos.isolate(function()
      local r = table.pack(gos.chan():recv())
      return "after", r[1], r[2]
    end)
    assert.is_true(g:interrupt())
    assert.are.same({ true, "after", nil, "canceled" }, { g:join() })
    assert.is_false(g:interrupt())
  end)
  it("raises a copy of an error there", function()
    local ready = gos.chan()
    local g = gos.isolate(function(r)
      r:send(true)
      gos.sleep(1000)
    end, ready)
    ready:recv()
    raises("cannot send msg is userdata", g.interrupt, g, io.stdout)
    assert.is_true(g:interrupt { why = "enough" })
    local _, err = g:join()
    assert.are.same({ why = "enough" }, err)
  end)
end)

describe("isolates run in parallel", function()
  it("two that wait for each other without letting go both progress", function()
    local a, b = gos.chan(1), gos.chan(1)
    local function spin(mine, others)
      for i = 1, 100 do
        while not mine:try_send(i) do end -- never waits: only another thread can help
        local v
        repeat v = others:try_recv() until v
        if v ~= i then error "out of step" end
      end
      return true
    end
    local x, y = gos.isolate(spin, a, b), gos.isolate(spin, b, a)
    assert.are.same({ true, true }, { x:join() })
    assert.are.same({ true, true }, { y:join() })
  end)
  it("and beside this state", function()
    local flag = gos.chan(1)
    local g = gos.isolate(function(f) f:send(1) end, flag)
    while not flag:try_recv() do end
    assert.is_true((g:join()))
  end)
  it("a thousand, one after another and many at once", function()
    local before = #gos.goroutines()
    for i = 1, 10 do
      local gs = {}
      for k = 1, 100 do gs[k] = gos.isolate(function(n) return n end, i * k) end
      for k = 1, 100 do assert.are.same({ true, i * k }, { gs[k]:join() }) end
    end
    assert.is_true(#gos.goroutines() <= before)
  end)
end)

describe("an isolate's end", function()
  it("takes its other goroutines with it, wherever they wait", function()
    local ch, wg = gos.chan(), gos.chan()
    local ok = gos.isolate(function(c, done)
      local mu, group = gos.mutex(), gos.waitgroup()
      mu:lock()
      local function each(f) gos.go(f) end
      each(function() c:recv() done:send "recv" end)
      each(function() c:send "never" end)
      each(function() gos.select{ c, gos.send(done, "select"), gos.chan() } end)
      each(function() gos.sleep(1000) end)
      each(function() mu:lock() end)
      each(function() while true do gos.gosched() end end)
      each(function() while true do pcall(gos.sleep, 0.001) end end)
      each(function() gos.go(function() gos.nilchan:recv() end):join() end)
      each(coroutine.wrap(function() gos.nilchan:recv() end))
      group:go(function() gos.once():do_(function() gos.nilchan:recv() end) end)
      gos.after_func(0, function() gos.nilchan:recv() end)
      gos.after_func(1000, print)
      local _ = gos.tick(0.001)
      gos.gosched()
    end, ch, wg):join()
    assert.is_true(ok)
    -- Nobody of it is left in the channels' queues.
    assert.is_false(ch:try_send(1))
    assert.are.same({ nil, "empty" }, { ch:try_recv() })
    assert.are.same({ nil, "empty" }, { wg:try_recv() })
    local g = gos.go(function() return ch:recv() end)
    ch:send "mine"
    assert.are.same({ true, "mine" }, { g:join() })
  end)
  it("lets finalizers run, which cannot start anything", function()
    local out = gos.chan(10)
    assert.is_true((gos.isolate(function(c)
      _G.keep = setmetatable({}, { __gc = function()
        c:try_send(tostring(select(2, pcall(gos.go, print))))
        c:try_send(tostring(select(2, pcall(gos.sleep, 1))))
        c:try_send(tostring(select(2, pcall(gos.after, 1))))
      end })
    end, out):join()))
    assert.is_true(contains(out:recv(), "the Lua state is being closed"))
    assert.is_true(contains(out:recv(), "cannot wait"))
    assert.is_true(contains(out:recv(), "the Lua state is being closed"))
  end)
  it("takes one that computes, where they are preempted", function()
    assert.are.same({ true, "end" }, { gos.isolate(function()
      gos.preempt(true)
      local n = 0
      gos.go(function() while true do n = n + 1 end end)
      while n < 1000 do gos.gosched() end
      return "end"
    end):join() })
  end)
  it("and those that were just about to begin something, without a word", function()
    local out, status = support.script [[
      for _ = 1, 20 do
        assert(gos.isolate(function()
          local grp = gos.errgroup { limit = 1 }
          grp:go(function() gos.nilchan:recv() end)
          gos.go(function() grp:go(print) end)
          gos.preempt(0.0002)
          gos.go(function() while true do gos.after(1000) end end)
          gos.go(function() while true do gos.go(function() end) end end)
          gos.go(function() while true do gos.after_func(1000, print) end end)
          gos.sleep(0.005)
        end):join())
      end]]
    assert.are.same({ "", 0 }, { out, status })
  end)
  it("goexit ends its function only", function()
    assert.are.same({ true }, { gos.isolate(function() gos.goexit() end):join() })
  end)
  it("errors of its goroutines are reported", function()
    local out = script [[gos.isolate(function() gos.go(error, "inner") gos.gosched() end):join()]]
    assert.is_true(contains(out, "inner"))
  end)
end)

describe("the program's end", function()
  for name, code in pairs {
    ["with an isolate that loops"] = [[gos.isolate(function() while true do end end) print "end"]],
    ["with one that waits"] = [[gos.isolate(function() gos.nilchan:recv() end) gos.sleep(0.01) print "end"]],
    ["with many, some starting"] = [[
      for _ = 1, 20 do gos.isolate(function() gos.go(gos.sleep, 100) gos.sleep(100) end) end
      print "end"]],
    ["by os.exit in an isolate"] = [[gos.isolate(function() print "end" os.exit(0) end) gos.sleep(100)]],
    ["by os.exit(0, true) in an isolate"] = [[gos.isolate(function() print "end" os.exit(0, true) end) gos.sleep(100)]],
    ["by os.exit(0, true) with isolates"] = [[
      local ch = gos.chan(5)
      for _ = 1, 5 do gos.isolate(function(c) while true do c:send {} end end, ch) end
      ch:recv()
      print "end"
      os.exit(0, true)]],
  } do
    it(name, function()
      local out, status = script(code)
      assert.are.same({ "end\n", 0 }, { out, status })
    end)
  end
  it("a deadlock with isolates is reported to main", function()
    local out, status = script [[
      local ch = gos.chan()
      gos.isolate{function(c) c:recv() end, ch, name = "stuck"}:join()]]
    assert.are.equal(1, status)
    assert.is_true(contains(out, "all goroutines are asleep - deadlock!") and contains(out, "stuck"))
  end)
  it("an isolate that computes, or will, is no deadlock", function()
    local out, status = script [[
      local ch = gos.chan()
      gos.isolate(function(c)
        local t = os.clock()
        while os.clock() - t < 0.3 do end
        c:send "done"
      end, ch)
      print(ch:recv())
      print(gos.isolate(function() gos.sleep(0.2) return "slept" end):join())]]
    assert.are.same({ "done\ntrue\tslept\n", 0 }, { out, status })
  end)
  it("without memory or threads starting one is an error", function()
    local out, status = script([[
      local gs, err = {}, nil
      for i = 1, 3000 do
        local ok, g = pcall(gos.isolate, function() gos.nilchan:recv() end)
        if not ok then err = g break end
        gs[i] = g
      end
      for _, g in ipairs(gs) do
        g:interrupt()
        local ok, why = g:join()
        if not ok and not why:find "memory" then error(why) end
      end
      print(not err or err:find "cannot start a thread" ~= nil or err:find "memory" ~= nil)
      print(gos.isolate(function() return 1 end):join())]], "ulimit -v 1000000")
    assert.are.same({ "true\ntrue\t1\n", 0 }, { out, status })
  end)
end)
