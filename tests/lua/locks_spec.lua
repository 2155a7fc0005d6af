-- Read-write mutexes, conditions, guards, once functions, defer.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local support = require "tests.lua.support"
local settle, raises, run = support.settle, support.raises, support.run

describe("an rwmutex", function()
  it("has many readers or one writer", function()
    local rw = gos.rwmutex()
    assert.is_true(rw:rlock())
    assert.is_true(rw:rlock())
    assert.is_true(rw:try_rlock())
    assert.is_false(rw:try_lock())
    for _ = 1, 3 do rw:runlock() end
    assert.is_true(rw:lock())
    assert.is_false(rw:try_rlock())
    assert.is_false(rw:try_lock())
    assert.are.same({ nil, "timeout" }, { rw:rlock(0.001) })
    assert.are.same({ nil, "timeout" }, { rw:lock(0) })
    rw:unlock()
    assert.is_true(rw:try_lock())
    rw:unlock()
  end)
  it("lets a waiting writer in before new readers", function()
    local rw, log = gos.rwmutex(), {}
    rw:rlock()
    local w = gos.go(function()
      rw:lock()
      log[#log + 1] = "w"
      rw:unlock()
    end)
    settle()
    local r = gos.go(function()
      rw:rlock()
      log[#log + 1] = "r"
      rw:runlock()
    end)
    settle()
    assert.is_false(rw:try_rlock())
    assert.are.same({ "sync.RWMutex.Lock", "sync.RWMutex.RLock" }, { select(2, w:status()), (select(2, r:status())) })
    rw:runlock()
    w:join()
    r:join()
    assert.are.same({ "w", "r" }, log)
  end)
  it("whose writer gave up lets the readers in", function()
    local rw = gos.rwmutex()
    rw:rlock()
    local w = gos.go(rw.lock, rw, gos.with_timeout(0.01))
    settle()
    local r = gos.go(rw.rlock, rw)
    assert.are.same({ true, nil, "timeout" }, { w:join() })
    assert.are.same({ true, true }, { r:join() })
    rw:runlock()
    rw:runlock()
    assert.is_true(rw:try_lock())
  end)
  it("raises where it was not locked", function()
    local rw = gos.rwmutex()
    raises("unlock of unlocked RWMutex", rw.unlock, rw)
    raises("runlock of unlocked RWMutex", rw.runlock, rw)
    rw:rlock()
    raises("unlock of unlocked RWMutex", rw.unlock, rw)
    rw:runlock()
    raises("rwmutex expected", rw.lock, gos.mutex())
  end)
  it("counts right under readers and writers", function()
    local rw, wg, n, readers = gos.rwmutex(), gos.waitgroup(), 0, 0
    for i = 1, 40 do
      wg:go(function()
        for _ = 1, 25 do
          if i % 4 == 0 then
            local _ <close> = rw:guard()
            local was = n
            gos.gosched()
            n = was + 1
            assert(readers == 0)
          else
            local _ <close> = rw:rguard()
            readers = readers + 1
            gos.gosched()
            readers = readers - 1
          end
        end
      end)
    end
    wg:wait()
    assert.are.equal(250, n)
  end)
end)

describe("guards", function()
  it("unlock at the end of the scope, by an error and goexit too", function()
    local mu, rw = gos.mutex(), gos.rwmutex()
    for guard, lock in pairs {
      [function() return mu:guard() end] = mu, [function() return rw:guard() end] = rw,
      [function() return rw:rguard() end] = rw, [function() return rw:reader():guard() end] = rw,
    } do
      local function free()
        local ok = lock:try_lock()
        if ok then lock:unlock() end
        return ok
      end
      do
        local g <close> = guard()
        assert.is_truthy(g)
        assert.is_false(free())
      end
      assert.is_true(free())
      pcall(function()
        local _ <close> = guard()
        error "x"
      end)
      assert.is_true(free())
      gos.go(function()
        local _ <close> = guard()
        gos.goexit()
      end):join()
      assert.is_true(free())
    end
  end)
  it("that were not had are nil, which closes well", function()
    local mu, rw = gos.mutex(), gos.rwmutex()
    mu:lock()
    rw:lock()
    do
      local a <close>, why = mu:guard(0.001)
      assert.are.same({ nil, "timeout" }, { a, why })
      local b <close> = rw:rguard(0)
      local c <close> = rw:guard(gos.with_timeout(0.001))
      assert.is_nil(b or c)
    end
    mu:unlock()
    rw:unlock()
  end)
  it("readers are one object, another face of the rwmutex", function()
    local rw = gos.rwmutex()
    local r = rw:reader()
    assert.are.equal(r, rw:reader())
    assert.is_true(r:lock())
    assert.is_true(r:try_lock())
    r:unlock()
    rw:runlock()
    raises("runlock of unlocked RWMutex", r.unlock, r)
    rw:lock()
    assert.are.same({ nil, "timeout" }, { r:lock(0.001) })
    assert.is_false(r:try_lock())
    rw:unlock()
    rw = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    assert.is_true(r:lock())
  end)
end)

describe("a cond", function()
  it("signal wakes the one that has waited longest, broadcast all", function()
    local mu = gos.mutex()
    local cond, log = gos.cond(mu), {}
    assert.are.equal(mu, cond.L)
    for i = 1, 5 do
      gos.go(function()
        mu:lock()
        cond:wait()
        log[#log + 1] = i
        mu:unlock()
      end)
      settle()
    end
    cond:signal()
    settle()
    assert.are.same({ 1 }, log)
    mu:lock()
    cond:signal()
    mu:unlock()
    settle()
    assert.are.same({ 1, 2 }, log)
    cond:broadcast()
    settle()
    assert.are.same({ 1, 2, 3, 4, 5 }, log)
    cond:signal()
    cond:broadcast()
  end)
  it("has its lock again, whatever ended the wait", function()
    for _, lock in ipairs { gos.mutex(), gos.rwmutex(), gos.rwmutex():reader(), false } do
      local cond = gos.cond(lock or nil)
      local l = cond.L
      l:lock()
      assert.are.same({ nil, "timeout" }, { cond:wait(0.001) })
      assert.are.same({ nil, "timeout" }, { cond:wait(0) })
      assert.are.same({ nil, "timeout" }, { cond:wait(gos.with_timeout(0.001)) })
      l:unlock()
      local g = gos.go(function()
        l:lock()
        local _ <close> = gos.defer(l.unlock, l)
        return cond:wait()
      end)
      settle()
      assert.are.equal("sync.Cond.Wait", (select(2, g:status())))
      g:interrupt()
      assert.are.same({ true, nil, "canceled" }, { g:join() })
    end
  end)
  it("wakes a goroutine that waits for its lock then", function()
    local cond, ready = gos.cond(), false
    local g = gos.go(function()
      cond.L:lock()
      while not ready do cond:wait() end
      cond.L:unlock()
      return "seen"
    end)
    settle()
    cond.L:lock()
    ready = true
    cond:signal()
    settle()
    assert.are.equal("sync.Mutex.Lock", (select(2, g:status())))
    cond.L:unlock()
    assert.are.same({ true, "seen" }, { g:join() })
  end)
  it("is a queue between producers and consumers", function()
    local cond, queue, got = gos.cond(), {}, 0
    local wg = gos.waitgroup()
    for _ = 1, 4 do
      wg:go(function()
        for _ = 1, 50 do
          cond.L:lock()
          while #queue == 0 do cond:wait() end
          got = got + table.remove(queue)
          cond.L:unlock()
        end
      end)
      wg:go(function()
        for _ = 1, 50 do
          cond.L:lock()
          queue[#queue + 1] = 1
          cond:signal()
          cond.L:unlock()
          gos.gosched()
        end
      end)
    end
    wg:wait()
    assert.are.equal(200, got)
  end)
  it("refuses a wait without the lock, and what is no lock", function()
    local cond = gos.cond()
    raises("without holding the lock", cond.wait, cond)
    raises("without holding the lock", gos.cond(gos.rwmutex():reader()).wait, gos.cond())
    raises("mutex or rwmutex expected", gos.cond, {})
    assert.is_nil(cond.nothing)
  end)
  it("whose lock is never free again ends in a deadlock, not in a spin", function()
    local out, status = support.script [[
      local cond = gos.cond()
      gos.go(function()
        cond.L:lock()
        cond:signal()
        gos.nilchan:recv()
      end)
      cond.L:lock()
      print((select(2, pcall(cond.wait, cond)):match "deadlock!"))]]
    assert.are.same({ "deadlock!\n", 0 }, { out, status })
  end)
  it("takes its lock back before it raises what a signal's handler raised", function()
    local out, status = support.script [[
      local cond = gos.cond()
      gos.go(function()
        cond.L:lock()
        cond:signal()
        gos.process.run { "sh", "-c", "kill -INT $PPID" }
        for _ = 1, 100 do gos.gosched() end
        print "unlocks"
        cond.L:unlock()
      end)
      cond.L:lock()
      print((select(2, pcall(cond.wait, cond)):match "interrupted!"))
      print(cond.L:try_lock())]]
    assert.are.same({ "unlocks\ninterrupted!\nfalse\n", 0 }, { out, status })
  end)
  it("keeps an interrupt for the next wait when it comes while it takes its lock back", function()
    local cond = gos.cond()
    local g = gos.go(function()
      cond.L:lock()
      local ok = cond:wait()
      return ok, cond.L:try_lock(), gos.sleep(60)
    end)
    settle()
    cond.L:lock()
    cond:signal()
    settle()
    assert.is_true(g:interrupt())
    settle()
    assert.are.equal("waiting", (g:status()))
    cond.L:unlock()
    assert.are.same({ true, true, false, nil, "canceled", n = 5 }, table.pack(g:join()))
  end)
  it("does not keep an isolate from ending", function()
    assert(gos.isolate(function()
      local c = gos.cond()
      gos.go(function()
        c.L:lock()
        c:wait()
      end)
      gos.gosched()
      c.L:lock()
      c:signal()
      gos.gosched()
    end):join(60))
  end)
end)

describe("once", function()
  it("func and value run once, for all who come", function()
    local n, gate = 0, gos.chan()
    local value = gos.once_value(function()
      n = n + 1
      gate:recv()
      return n, nil, "x"
    end)
    local gs = {}
    for i = 1, 5 do gs[i] = gos.go(value) end
    settle()
    gate:send(1)
    for i = 1, 5 do assert.are.same({ true, 1, nil, "x" }, { gs[i]:join() }) end
    local func = gos.once_func(function() n = n + 1 end)
    func()
    assert.is_nil(func())
    assert.are.equal(2, n)
  end)
  it("raises the same error object every time", function()
    local err = {}
    local f = gos.once_func(function() error(err) end)
    for _ = 1, 3 do
      local ok, e = pcall(f)
      assert.is_false(ok)
      assert.are.equal(err, e)
    end
  end)
  it("do_ counts as run even if it fails", function()
    local once, n = gos.once(), 0
    pcall(once.do_, once, function() error "x" end)
    once:do_(function() n = n + 1 end)
    assert.are.equal(0, n)
  end)
end)

describe("defer", function()
  it("runs at the end of the scope, last first, with its arguments", function()
    local log = {}
    local function note(...) log[#log + 1] = table.concat({ ... }, ",") end
    pcall(function()
      local _ <close> = gos.defer(note, 1, 2)
      local _ <close> = gos.defer(note, "b")
      error "x"
    end)
    assert.are.same({ "b", "1,2" }, log)
    raises("function expected", gos.defer, 1)
  end)
  it("runs when a goroutine leaves by goexit, and may wait", function()
    local ch = gos.chan()
    local g = gos.go(function()
      local _ <close> = gos.defer(ch.send, ch, "deferred")
      gos.goexit()
    end)
    assert.are.equal("deferred", ch:recv())
    assert.are.same({ true }, { g:join() })
  end)
  it("sees an error of the function it defers", function()
    assert.are.same({ false, "in defer" }, { run(pcall, function()
      local _ <close> = gos.defer(error, "in defer", 0)
    end) })
  end)
end)
