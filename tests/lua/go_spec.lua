-- Goroutines: start, join, errors, labels, interrupt, exit, introspection.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local support = require "tests.lua.support"
local settle, raises, contains = support.settle, support.raises, support.contains

describe("go and join", function()
  it("pass arguments and results, nils included", function()
    local g = gos.go(function(...) return select("#", ...), ... end, 1, nil, "x", nil)
    local r = table.pack(g:join())
    assert.are.same({ n = 6, true, 4, 1, nil, "x", nil }, r)
    assert.are.same({ true }, { gos.go(function() end):join() })
    assert.are.same({ n = 2, true }, table.pack(gos.go(function() return nil end):join()))
  end)
  it("give the results as often as they are asked for", function()
    local g = gos.go(function() return 1, 2, 3 end)
    for _ = 1, 3 do assert.are.same({ true, 1, 2, 3 }, { g:join() }) end
  end)
  it("let many join one", function()
    local g, n = gos.go(function() gos.gosched() return "r" end), 0
    local joiners = {}
    for i = 1, 10 do
      joiners[i] = gos.go(function() local _, r = g:join() n = n + (r == "r" and 1 or 0) end)
    end
    for i = 1, 10 do assert.is_true(joiners[i]:join()) end
    assert.are.equal(10, n)
  end)
  it("accept callable objects and C functions", function()
    local callable = setmetatable({}, { __call = function(_, a) return a + 1 end })
    assert.are.same({ true, 2 }, { gos.go(callable, 1):join() })
    assert.are.same({ true, 3 }, { gos.go(math.max, 1, 3, 2):join() })
  end)
  it("pass many values", function()
    local args = {}
    for i = 1, 5000 do args[i] = i end
    local r = table.pack(gos.go(function(...) return ... end, table.unpack(args)):join())
    assert.are.equal(5001, r.n)
    assert.are.equal(5000, r[5001])
  end)
  it("start in order, and each runs once", function()
    local order = {}
    for i = 1, 100 do gos.go(function() order[#order + 1] = i end) end
    settle()
    for i = 1, 100 do assert.are.equal(i, order[i]) end
  end)
  it("time out", function()
    local ch = gos.chan()
    local g = gos.go(ch.recv, ch)
    assert.are.same({ nil, "timeout" }, { g:join(0) })
    assert.are.same({ nil, "timeout" }, { g:join(0.002) })
    ch:send(1)
    assert.are.same({ true, 1 }, { g:join(60) })
    assert.are.same({ true, 1 }, { g:join(0) })
  end)
  it("refuse what makes no sense", function()
    raises("function expected, got no value", gos.go)
    raises("function expected, got number", gos.go, 1)
    raises("the table's first element must be a function", gos.go, {})
    raises("the table's first element must be a function", gos.go, { 1 })
    raises("name: string expected", gos.go, { print, name = 1 })
    raises("labels: table expected", gos.go, { print, labels = 1 })
    raises("labels: names and values must be strings", gos.go, { print, labels = { 1 } })
    raises("stack: number of bytes expected", gos.go, { print, stack = -1 })
    raises("stack: number of bytes expected", gos.go, { print, stack = "big" })
    local g = gos.go(function() return gos.goroutines() end)
    raises("goroutine expected, got table", g.join, {})
    raises("NaN", g.join, g, 0 / 0)
    local self
    self = gos.go(function() return pcall(function() return self:join() end) end)
    local _, ok, err = self:join()
    assert.is_false(ok)
    assert.is_true(contains(err, "a goroutine cannot join itself"))
    g:join()
  end)
end)

describe("go{...}", function()
  it("names and labels", function()
    local g = gos.go { function(a, b) return a, b end, 1, 2, name = "worker", labels = { job = "7" } }
    assert.are.equal("worker", g:name())
    assert.are.same({ job = "7" }, g:labels())
    assert.is_truthy(tostring(g):find "^goroutine: %d+ %(worker%)$")
    assert.are.same({ true, 1, 2 }, { g:join() })
    assert.is_nil(gos.go(function() end):name())
  end)
  it("hands labels on to children, which may add some", function()
    local child, other, grand
    gos.go { function()
      child = gos.go(function()
        grand = gos.go { function() end, labels = { a = "new" } }
      end)
      other = gos.go { function() end, labels = { c = "3" } }
    end, labels = { a = "1", b = "2" } }:join()
    settle()
    assert.are.same({ a = "1", b = "2" }, child:labels())
    assert.are.same({ a = "1", b = "2", c = "3" }, other:labels())
    assert.are.same({ a = "new", b = "2" }, grand:labels())
    assert.are.same({}, gos.go(function() end):labels())
  end)
  it("takes a size of the stack", function()
    local function deep(n) return (string.gsub("x", "x", function() return n > 0 and deep(n - 1) or "end" end)) end
    assert.are.same({ true, "end" }, { gos.go { deep, 150, stack = 4 << 20 }:join() })
  end)
end)

describe("an error", function()
  it("is join's second result, with its traceback", function()
    local g = gos.go(function() error "boom" end)
    local ok, err, traceback = g:join()
    assert.is_nil(ok)
    assert.is_truthy(err:find "go_spec.lua:%d+: boom$")
    assert.is_truthy(traceback:find "^stack traceback:")
    assert.is_true(contains(traceback, "go_spec.lua"))
    assert.are.equal(traceback, g:traceback())
  end)
  it("keeps its value, whatever it is", function()
    local e = {}
    for _, v in ipairs { e, false, 42, print } do
      local ok, err = gos.go(error, v):join()
      assert.is_nil(ok)
      assert.are.equal(v, err)
    end
    local r = table.pack(gos.go(error, nil):join())
    assert.are.same({ nil, support.error_nil }, { r[1], r[2] })
  end)
  it("is told again at every join", function()
    local g = gos.go(error, "again", 0)
    for _ = 1, 3 do assert.are.equal("again", (select(2, g:join()))) end
  end)
  it("with a __tostring that fails is still an error", function()
    local e = setmetatable({}, { __tostring = function() error "no" end })
    local ok = gos.go(error, e):join()
    assert.is_nil(ok)
  end)
  it("leaves the others running", function()
    local ch = gos.chan()
    local bad = gos.go(error, "x")
    local good = gos.go(function() return ch:recv() end)
    settle()
    ch:send "fine"
    assert.are.same({ true, "fine" }, { good:join() })
    bad:join()
  end)
  it("closes variables of the goroutine", function()
    local closed
    local g = gos.go(function()
      local _ <close> = gos.defer(function(x) closed = x end, "yes")
      error "e"
    end)
    g:join()
    assert.are.equal("yes", closed)
  end)
end)

describe("a handle at the end of its scope", function()
  it("waits", function()
    local n = 0
    do
      local _ <close> = gos.go(function() gos.gosched() n = 1 end)
    end
    assert.are.equal(1, n)
  end)
  it("raises the goroutine's error", function()
    raises("inner", function()
      local _ <close> = gos.go(error, "inner", 0)
    end)
  end)
  it("lets an error that is on its way pass", function()
    local out = support.script [[
      print(pcall(function()
        local _ <close> = gos.go(error, "inner", 0)
        error("outer", 0)
      end))]]
    assert.is_true(contains(out, "false\touter"))
    assert.is_true(contains(out, "inner"))
  end)
end)

describe("done", function()
  it("is closed when the goroutine ends", function()
    local ch = gos.chan()
    local g = gos.go(ch.recv, ch)
    local done = g:done()
    assert.are.same({ nil, "empty" }, { done:try_recv() })
    ch:send(1)
    assert.are.same({ nil, "closed" }, { done:recv() })
    assert.are.same({ nil, "closed" }, { g:done():recv() })
    assert.is_true(done:closed())
    raises("receive-only", done.close, done)
  end)
  it("is one channel, before the end and after it", function()
    for _, early in ipairs { true, false } do
      local ch = gos.chan()
      local g = gos.go { ch.recv, ch, labels = { a = "b" } }
      local done = early and g:done()
      if early then assert.is_true(rawequal(done, g:done())) end
      ch:send(1)
      g:join()
      done = done or g:done()
      assert.is_true(rawequal(done, g:done()))
      assert.are.same({ a = "b" }, g:labels())
      assert.are_not.equal(done, gos.go(function() end):done())
    end
  end)
  it("goes with the handle", function()
    local seen = setmetatable({}, { __mode = "k" })
    for i = 1, 100 do
      local g = gos.go(function() end)
      if i % 2 == 0 then g:join() end
      seen[g:done()] = true
    end
    settle()
    for _ = 1, 3 do collectgarbage() end
    assert.is_nil((next(seen)))
  end)
  it("outlives the handle", function()
    local ch = gos.chan()
    local done = gos.go(ch.recv, ch):done()
    collectgarbage()
    collectgarbage()
    ch:send(1)
    assert.are.same({ nil, "closed" }, { done:recv() })
    collectgarbage()
    assert.are.same({ nil, "closed" }, { done:recv() })
  end)
end)

describe("interrupt", function()
  it("ends a wait with nil, canceled", function()
    local waits = {
      function() return gos.nilchan:recv() end,
      function() return gos.nilchan:send(1) end,
      function() return gos.sleep(3600) end,
      function() return gos.select { gos.nilchan }, nil end,
      function()
        local wg = gos.waitgroup()
        wg:add(1)
        return wg:wait()
      end,
      function()
        local mu = gos.mutex()
        mu:lock()
        return mu:lock()
      end,
      function() return gos.go(gos.nilchan.recv, gos.nilchan, 0.05):join() end,
    }
    for i, wait in ipairs(waits) do
      local g = gos.go(wait)
      settle()
      assert.is_true(g:interrupt())
      local ok, v, err = g:join()
      assert.is_true(ok, tostring(v))
      assert.are.equal("canceled", err or v, "wait " .. i)
    end
  end)
  it("raises the error it is given", function()
    local e = { "mine" }
    local g = gos.go(function() gos.nilchan:recv() end)
    settle()
    assert.is_true(g:interrupt(e))
    local ok, err = g:join()
    assert.is_nil(ok)
    assert.are.equal(e, err)
  end)
  it("before a wait ends the next one", function()
    local g = gos.go(function() return gos.nilchan:recv() end)
    g:interrupt()
    assert.are.same({ true, nil, "canceled" }, { g:join() })
  end)
  it("ends a join, also of what ends just then", function()
    local ch = gos.chan()
    local joiner, joined
    joined = gos.go(function()
      ch:recv()
      joiner:interrupt "stop it"
    end)
    joiner = gos.go(function() return joined:join() end)
    settle()
    ch:close()
    local ok, err = joiner:join()
    assert.are.same({ err = "stop it" }, { ok = ok, err = err })
    assert.is_true(joined:join())
  end)
  it("is false for one that has ended", function()
    local g = gos.go(function() end)
    g:join()
    assert.is_false(g:interrupt())
    assert.is_false(g:interrupt "e")
  end)
  it("loses no value of the interrupted sender", function()
    local ch, v = gos.chan(), {}
    local g = gos.go(function()
      local ok, err = ch:send(v)
      return ok, err, v
    end)
    settle()
    g:interrupt()
    local r = table.pack(g:join())
    assert.are.same({ true, nil, "canceled" }, { r[1], r[2], r[3] })
    assert.are.equal(v, r[4])
    assert.are.same({ nil, "empty" }, { ch:try_recv() })
  end)
end)

describe("goexit", function()
  it("ends the goroutine, closing its variables; nothing catches it", function()
    local log = {}
    local g = gos.go(function()
      local _ <close> = gos.defer(function() log[#log + 1] = "outer" end)
      pcall(function()
        local _ <close> = gos.defer(function() log[#log + 1] = "inner" end)
        gos.goexit()
      end)
      log[#log + 1] = "not reached"
    end)
    assert.are.same({ true }, { g:join() })
    assert.are.same({ "inner", "outer" }, log)
  end)
  it("lets the closing functions wait", function()
    local c, got = support.counter()
    gos.go(function()
      local _ <close> = gos.defer(function() got = c:recv() end)
      gos.goexit()
    end):join()
    assert.are.equal(1, got)
  end)
  it("works from a coroutine of the goroutine", function()
    local log = {}
    local g = gos.go(function()
      local _ <close> = gos.defer(function() log[#log + 1] = "outer" end)
      coroutine.wrap(function()
        local _ <close> = gos.defer(function() log[#log + 1] = "inner" end)
        gos.goexit()
      end)()
    end)
    assert.are.same({ true }, { g:join() })
    assert.are.same({ "inner", "outer" }, log)
  end)
  it("in a callback of C ends the goroutine", function()
    local g = gos.go(function() table.sort({ 3, 1, 2 }, function() gos.goexit() end) end)
    assert.are.same({ true }, { g:join() })
  end)
  it("with a failing closing function is that error", function()
    local g = gos.go(function()
      local _ <close> = gos.defer(error, "closing", 0)
      gos.goexit()
    end)
    local ok, err = g:join()
    assert.is_nil(ok)
    assert.are.equal("closing", err)
  end)
  it("leaves the runtime whole", function()
    for _ = 1, 1000 do gos.go(gos.goexit) end
    settle()
    assert.are.same({ true, "ok" }, { gos.go(function() return "ok" end):join() })
  end)
end)

describe("introspection", function()
  it("numbers goroutines", function()
    local g = gos.go(gos.goid)
    local _, id = g:join()
    assert.are.equal(g:id(), id)
    assert.is_true(gos.goid() > 0 and id > gos.goid())
  end)
  it("counts them", function()
    local out = support.script [[ -- in a process where nothing else ends meanwhile
      local before = gos.num_goroutine()
      local ch, gs = gos.chan(), {}
      for i = 1, 50 do gs[i] = gos.go(ch.recv, ch) end
      io.write(before, " ", gos.num_goroutine(), " ")
      ch:close()
      for i = 1, 50 do gs[i]:join() end
      io.write(gos.num_goroutine())]]
    assert.are.equal("1 51 1", out)
  end)
  it("lists them", function()
    local ch = gos.chan()
    local g = gos.go(ch.recv, ch)
    local found
    for _, h in ipairs(gos.goroutines()) do found = found or rawequal(h, g) end
    assert.is_true(found)
    ch:close()
    g:join()
    for _, h in ipairs(gos.goroutines()) do assert.are_not.equal(g, h) end
  end)
  it("shows where one waits", function()
    local ch = gos.chan()
    local function waiting_here() ch:recv() end
    local g = gos.go(function() waiting_here() end)
    settle()
    local t = g:traceback()
    assert.is_true(contains(t, "recv"))
    assert.is_true(contains(t, "waiting_here"))
    local all = gos.stack(true)
    assert.is_true(contains(all, "[chan receive]:"))
    assert.is_true(contains(all, "waiting_here"))
    assert.is_truthy(all:find "created by goroutine %d+ at .-go_spec.lua:%d+")
    assert.is_false(contains(gos.stack(), "waiting_here"))
    assert.is_true(contains(gos.stack(), "go_spec.lua"))
    ch:close()
    g:join()
    assert.is_nil(g:traceback())
  end)
  it("shows where a coroutine of one waits", function()
    local ch = gos.chan()
    local function in_coroutine() ch:recv() end
    local function outside() coroutine.wrap(function() in_coroutine() end)() end
    local g = gos.go(function() outside() end)
    settle()
    local t = g:traceback()
    assert.is_true(contains(t, "in_coroutine"))
    assert.is_true(contains(t, "outside"))
    ch:close()
    g:join()
  end)
  it("tells the status", function()
    local g = gos.go(function() return gos.go(gos.gosched):status() end)
    assert.are.equal("runnable", (g:status()))
    assert.are.same({ true, "runnable", nil }, { g:join() })
    assert.are.same({ "dead" }, { g:status() })
    local _, s = gos.go(function()
      for _, h in ipairs(gos.goroutines()) do
        if h:id() == gos.goid() then return h:status() end
      end
    end):join()
    assert.are.equal("running", s)
  end)
  it("counts what the runtime does", function()
    local s = gos.stats()
    local n = 0
    for line in io.lines "lua/gossamer/meta.lua" do -- the fields of gossamer.stats are told there
      local field = line:match "^%-%-%-@field ([%w_]+) integer"
      if line == "---@class gossamer.stats" then n = 1 elseif not field then n = 0 elseif n > 0 then
        assert.are.equal("integer", math.type(s[field]), field)
        s[field], n = nil, n + 1
      end
    end
    assert.is_nil(next(s))
    assert.is_true(gos.num_cpu() >= 1)
    assert.is_true(gos.gomaxprocs() >= 1)
    raises("out of range", gos.gomaxprocs, -1)
  end)
  it("gives each goroutine a Lua thread of its own", function()
    local seen = setmetatable({}, { __mode = "k" })
    for _ = 1, 200 do
      local _, fresh = gos.go(function()
        local co, main = coroutine.running()
        local was = seen[co]
        seen[co] = true
        return was == nil and main == false
      end):join()
      assert.is_true(fresh)
    end
  end)
end)

describe("on_panic", function()
  it("takes a function, report or crash", function()
    raises("invalid option", gos.on_panic, "what")
    raises("string expected", gos.on_panic, {})
    gos.on_panic "report"
  end)
end)

describe("defer", function()
  it("calls the function with its arguments at the end of the scope", function()
    local log = {}
    do
      local _ <close> = gos.defer(function(...) log[1] = table.pack(...) end, 1, nil, 3)
      assert.are.same({}, log)
    end
    assert.are.same({ { n = 3, 1, nil, 3 } }, log)
  end)
  it("refuses what is no function", function() raises("function expected, got nil", gos.defer) end)
end)
