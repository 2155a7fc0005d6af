-- Mutex, wait group, once.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local support = require "tests.lua.support"
local settle, raises, contains = support.settle, support.raises, support.contains

describe("a mutex", function()
  it("excludes", function()
    local mu, inside, most, gs = gos.mutex(), 0, 0, {}
    for i = 1, 20 do
      gs[i] = gos.go(function()
        for _ = 1, 20 do
          mu:lock()
          inside = inside + 1
          most = math.max(most, inside)
          gos.gosched()
          inside = inside - 1
          mu:unlock()
        end
      end)
    end
    for i = 1, 20 do assert.is_true(gs[i]:join()) end
    assert.are.equal(1, most)
  end)
  it("can be tried and timed", function()
    local mu = gos.mutex()
    assert.is_true(mu:try_lock())
    assert.is_false(mu:try_lock())
    assert.are.same({ nil, "timeout" }, { mu:lock(0) })
    assert.are.same({ nil, "timeout" }, { mu:lock(0.001) })
    mu:unlock()
    assert.is_true(mu:lock())
    mu:unlock()
  end)
  it("shows why one waits", function()
    local mu = gos.mutex()
    mu:lock()
    local g = gos.go(mu.lock, mu)
    settle()
    local status, reason = g:status()
    assert.are.equal("waiting", status)
    assert.is_true(contains(reason, "utex"))
    mu:unlock()
    g:join()
    mu:unlock()
  end)
  it("unlocked twice raises", function()
    local mu = gos.mutex()
    raises("unlock of unlocked mutex", mu.unlock, mu)
    mu:lock()
    mu:unlock()
    raises("unlock of unlocked mutex", mu.unlock, mu)
  end)
  it("guard unlocks at the end of the scope, after an error too", function()
    local mu = gos.mutex()
    do
      local _ <close> = mu:guard()
      assert.is_false(mu:try_lock())
    end
    assert.is_true(mu:try_lock())
    mu:unlock()
    pcall(function()
      local _ <close> = mu:guard()
      error "x"
    end)
    assert.is_true(mu:try_lock())
    assert.are.same({ nil, "timeout" }, { mu:guard(0.001) })
    mu:unlock()
  end)
  it("is passed on when goexit ends its holder", function()
    local mu = gos.mutex()
    gos.go(function()
      local _ <close> = mu:guard()
      gos.goexit()
    end):join()
    assert.is_true(mu:try_lock())
  end)
  it("refuses other objects", function()
    raises("mutex expected, got table", gos.mutex().lock, {})
    raises("NaN", gos.mutex().lock, gos.mutex(), 0 / 0)
  end)
end)

describe("a wait group", function()
  it("waits for all", function()
    local wg, n = gos.waitgroup(), 0
    wg:add(10)
    for _ = 1, 10 do
      gos.go(function()
        gos.gosched()
        n = n + 1
        wg:done()
      end)
    end
    assert.is_true(wg:wait())
    assert.are.equal(10, n)
    assert.is_true(wg:wait())
  end)
  it("go counts by itself, whatever the end", function()
    local wg = gos.waitgroup()
    local ok = wg:go(function(a, b) return a + b end, 1, 2)
    local bad = wg:go(error, "e", 0)
    local gone = wg:go(gos.goexit)
    assert.is_true(wg:wait())
    assert.are.same({ true, 3 }, { ok:join() })
    assert.are.equal("e", (select(2, bad:join())))
    assert.are.same({ true }, { gone:join() })
  end)
  it("times out", function()
    local wg = gos.waitgroup()
    wg:add()
    assert.are.same({ nil, "timeout" }, { wg:wait(0) })
    assert.are.same({ nil, "timeout" }, { wg:wait(0.001) })
    wg:done()
    assert.is_true(wg:wait(0))
  end)
  it("wakes many waiters", function()
    local wg, gs = gos.waitgroup(), {}
    wg:add(1)
    for i = 1, 10 do gs[i] = gos.go(wg.wait, wg) end
    settle()
    wg:done()
    for i = 1, 10 do assert.are.same({ true, true }, { gs[i]:join() }) end
  end)
  it("refuses a negative counter and is unchanged", function()
    local wg = gos.waitgroup()
    raises("negative WaitGroup counter", wg.done, wg)
    wg:add(2)
    raises("negative WaitGroup counter", wg.add, wg, -3)
    wg:add(-2)
    assert.is_true(wg:wait(0))
    raises("number expected", wg.add, wg, "x")
    raises("function expected", wg.go, wg)
    raises("wait group expected", wg.wait, {})
  end)
end)

describe("once", function()
  it("runs one function once; the others wait for it", function()
    local once, runs, after = gos.once(), 0, 0
    local gs = {}
    for i = 1, 10 do
      gs[i] = gos.go(function()
        once:do_(function()
          gos.sleep(0.002)
          runs = runs + 1
        end)
        after = after + runs
      end)
    end
    for i = 1, 10 do assert.is_true(gs[i]:join()) end
    assert.are.same({ 1, 10 }, { runs, after })
  end)
  it("is done after an error, which has its traceback", function()
    local once = gos.once()
    local function failing() error "first" end
    local ok, t = xpcall(once.do_, debug.traceback, once, function() failing() end)
    assert.is_false(ok)
    assert.is_true(contains(t, "first") and contains(t, "failing"))
    once:do_(function() error "never" end)
  end)
  it("is done after goexit", function()
    local once = gos.once()
    gos.go(function() once:do_(gos.goexit) end):join()
    once:do_(function() error "never" end)
  end)
  it("refuses what is no function", function()
    raises("function expected", gos.once().do_, gos.once(), 1)
    raises("once expected", gos.once().do_, {}, print)
  end)
end)

describe("once_func and once_value", function()
  it("call once and repeat", function()
    local n = 0
    local value = gos.once_value(function()
      n = n + 1
      return n, nil, "x", nil
    end)
    for _ = 1, 3 do assert.are.same({ n = 4, 1, nil, "x", nil }, table.pack(value())) end
    local func = gos.once_func(function() n = n + 1 return 1 end)
    for _ = 1, 3 do assert.are.same({ n = 0 }, table.pack(func())) end
    assert.are.equal(2, n)
  end)
  it("raise the same error at every call", function()
    local e = {}
    local value = gos.once_value(function() error(e) end)
    for _ = 1, 3 do
      local ok, err = pcall(value)
      assert.is_false(ok)
      assert.are.equal(e, err)
    end
  end)
  it("let others wait for the first", function()
    local value = gos.once_value(function() gos.sleep(0.002) return "v" end)
    local g = gos.go(value)
    settle()
    assert.are.equal("v", value())
    assert.are.same({ true, "v" }, { g:join() })
  end)
  it("refuse what is no function", function()
    raises("bad argument #1 to 'once_func' (function expected, got nil)", gos.once_func)
    raises("bad argument #1 to 'once_value' (function expected, got number)", gos.once_value, 1)
  end)
end)
