-- preempt(), no_preempt(): goroutines that compute for long. Whoever spins here waits for another
-- goroutine's doing, so that nothing depends on how long something took.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local support = require "tests.lua.support"
local raises = support.raises

describe("preempt", function()
  if support.stressed then return pending "the collector's hooks are there already" end
  before_each(function() gos.preempt(0.001) end)
  after_each(function() gos.preempt(false) end)

  it("is off unless asked for, and tells what was before", function()
    assert.are.equal(0.001, gos.preempt(false))
    assert.is_false(gos.preempt())
    assert.is_false(gos.preempt(true))
    assert.are.equal(0.01, gos.preempt())
    assert.are.equal(0.01, gos.preempt(0.002))
    raises("non-positive", gos.preempt, 0)
    raises("boolean expected", gos.preempt, "on")
  end)
  it("goroutines that wait for each other by spinning get on", function()
    local a, b = 0, 0
    local g = gos.go(function()
      for i = 1, 5 do
        a = i
        while b < i do end
      end
      return "a"
    end)
    local h = gos.go(function()
      for i = 1, 5 do
        while a < i do end
        b = i
      end
      return "b"
    end)
    assert.are.same({ true, "a" }, { g:join() })
    assert.are.same({ true, "b" }, { h:join() })
  end)
  it("main too", function()
    local flag
    gos.go(function() flag = true end)
    while not flag do end
    assert.is_true(flag)
  end)
  it("timers and deadlines are kept while somebody spins", function()
    local stop
    gos.after_func(0.005, function() stop = true end)
    local g = gos.go(function() while not stop do end end)
    assert.is_true((g:join()))
  end)
  it("anywhere: in comparators, metamethods, callbacks", function()
    local flag
    local function spin()
      flag = nil
      gos.go(function() flag = true end)
      while not flag do end
    end
    table.sort({ 2, 1 }, function(x, y)
      spin()
      return x < y
    end)
    assert.are.equal("x", (("a"):gsub("a", function()
      spin()
      return "x"
    end)))
    local v = setmetatable({}, { __index = function() spin() return 5 end })
    assert.are.equal(5, v.any)
    assert.is_true(pcall(spin))
  end)
  it("not inside no_preempt", function()
    local flag
    gos.go(function() flag = true end)
    local r = table.pack(gos.no_preempt(function(...)
      for _ = 1, 3000000 do end
      return flag, ...
    end, 1, nil, 2))
    assert.are.same({ n = 4, nil, 1, nil, 2 }, r)
    while not flag do end
  end)
  it("no_preempt ends with its call, also by an error", function()
    raises("broken", gos.no_preempt, function() error "broken" end)
    raises("function expected", gos.no_preempt, 1)
    local flag
    gos.go(function() flag = true end)
    while not flag do end
    assert.are.equal("inner", gos.no_preempt(function() return gos.no_preempt(function() return "inner" end) end))
    local co = coroutine.wrap(function()
      return gos.no_preempt(function() return coroutine.yield "first" end)
    end)
    assert.are.equal("first", co())
    assert.are.equal("second", co "second")
  end)
  it("leaves other people's hooks alone", function()
    local counted, flag = 0, nil
    local g = gos.go(function()
      debug.sethook(function() counted = counted + 1 end, "", 100000)
      for _ = 1, 3000000 do end
      local hook = debug.gethook()
      debug.sethook()
      while not flag do end
      return hook ~= nil
    end)
    gos.go(function() flag = true end)
    assert.are.same({ true, true }, { g:join() })
    assert.is_true(counted > 0)
  end)
  it("leaves no hook behind", function()
    local flag
    gos.go(function() flag = true end)
    while not flag do end
    assert.is_nil((debug.gethook()))
  end)
  it("does not disturb who waits in the system", function()
    local g = gos.go(function() return select(3, os.execute "sleep 0.05; exit 3") end)
    gos.go(function() end)
    assert.are.same({ true, 3 }, { g:join() })
  end)
  it("works beside hook() and waits", function()
    local ch, stop = gos.chan(), false
    local g = gos.go(function() while not stop do end end)
    gos.go(function()
      for i = 1, 20 do ch:send(i) end
      ch:close()
    end)
    local sum = 0
    for v in ch do sum = sum + v end
    stop = true
    assert.are.equal(210, sum)
    assert.is_true((g:join()))
  end)
  it("works in isolates, each for itself", function()
    local gs = {}
    for i = 1, 3 do
      gs[i] = gos.isolate(function()
        local inner = require "gossamer"
        local before = inner.preempt(0.001)
        local flag
        inner.go(function() flag = true end)
        while not flag do end
        return before
      end)
    end
    for _, g in ipairs(gs) do assert.are.same({ true, false }, { g:join() }) end
  end)
  it("a state that ends with it on ends", function()
    local out, status = support.script [[
      gos.preempt(true)
      gos.go(function() while true do end end)
      gos.sleep(0.001)
      os.exit(0, true)
    ]]
    assert.are.same({ "", 0 }, { out, status })
  end)
  it("Ctrl-C still ends a script that spins", function()
    local out, status = support.script [[
      gos.preempt(0.001)
      gos.go(function() while true do end end)
      gos.go(function()
        local f = assert(io.open "/proc/self/stat")
        gos.process.spawn { "kill", "-INT", (f:read "a":match "^%d+") }:wait()
      end)
      while true do end
    ]]
    assert.is_true(support.contains(out, "interrupted!"), out)
    assert.are.equal(1, status)
  end)
end)
