-- Errgroup, semaphore, single flight, limiter.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local support = require "tests.lua.support"
local settle, raises, contains = support.settle, support.raises, support.contains

describe("an errgroup", function()
  it("without errors gives true, and its context ends with the wait", function()
    local grp, n = gos.errgroup(), 0
    for i = 1, 5 do grp:go(function(x) n = n + x end, i) end
    assert.is_nil(grp:ctx():err())
    assert.is_true(grp:wait())
    assert.are.equal(15, n)
    assert.are.equal("canceled", grp:ctx():err())
    assert.is_true(gos.errgroup():wait())
  end)
  it("gives the first error, which ends the others", function()
    local grp, err = gos.errgroup(), { "object" }
    local g = grp:go(function() return gos.nilchan:recv(grp:ctx()) end)
    grp:go(function() error(err) end)
    local ok, e = grp:wait()
    assert.is_nil(ok)
    assert.are.equal(err, e)
    assert.are.equal(err, grp:ctx():cause())
    assert.are.same({ true, nil, "canceled" }, { g:join() })
    assert.are.equal(err, (select(2, grp:wait())))
  end)
  it("an error is raised, or returned after nil", function()
    local function wait(f)
      local grp = gos.errgroup()
      grp:go(f)
      return grp:wait()
    end
    assert.are.same({ nil, "e" }, { wait(function() return nil, "e" end) })
    assert.are.same({ nil, "e" }, { wait(function() error("e", 0) end) })
    assert.are.same({ nil, false }, { wait(function() return nil, false end) })
    assert.are.same({ nil, 7 }, { wait(function() error(7) end) })
    assert.are.same({ true }, { wait(function() return nil end) })
    assert.are.same({ true }, { wait(function() return nil, nil, "x" end) })
    assert.are.same({ true }, { wait(function() return 1, "x" end) })
    assert.are.same({ true }, { wait(gos.goexit) })
    assert.are.equal(2, select("#", wait(function() error(nil) end)))
  end)
  it("can give all errors, in the order in which they came", function()
    local grp = gos.errgroup { errors = "all" }
    for i = 1, 4 do
      grp:go(function()
        gos.sleep(i * 0.002)
        if i ~= 3 then error(i) end
      end)
    end
    local ok, errors = grp:wait()
    assert.is_nil(ok)
    assert.are.same({ 1, 2, 4 }, errors)
    errors[1] = "mine"
    assert.are.same({ 1, 2, 4 }, (select(2, grp:wait())))
  end)
  it("nothing else reports its errors", function()
    local out, status = support.script [[
      gos.on_panic "crash"
      local grp = gos.errgroup()
      local g = grp:go(error, "quiet", 0)
      print(grp:wait())
      print(select("#", g:join()), g:traceback() ~= nil)
      grp = nil collectgarbage()
      gos.sleep(1.2)]]
    assert.are.same({ "nil\tquiet\n3\ttrue\n", 0 }, { out, status })
  end)
  it("holds to its limit", function()
    local grp, running, most = gos.errgroup { limit = 3 }, 0, 0
    for _ = 1, 20 do
      grp:go(function()
        running = running + 1
        most = math.max(most, running)
        gos.gosched()
        running = running - 1
      end)
    end
    assert.is_true(grp:wait())
    assert.are.equal(3, most)
  end)
  it("try_go gives nil where go would wait", function()
    local grp, gate = gos.errgroup { limit = 1 }, gos.chan()
    local g = grp:try_go(gate.recv, gate)
    assert.is_truthy(g)
    assert.are.equal(1, select("#", grp:try_go(print)))
    assert.is_nil(grp:try_go(print))
    raises("goroutines of the errgroup are running", grp.set_limit, grp, 2)
    gate:send(1)
    assert.is_true(grp:wait())
    grp:set_limit(0)
    assert.is_nil(grp:try_go(print))
    grp:set_limit(-1)
    assert.is_truthy(grp:try_go(function() end))
    assert.is_true(grp:wait())
  end)
  it("a goroutine that leaves by an error or goexit makes room", function()
    local grp = gos.errgroup { limit = 1, errors = "all" }
    for i = 1, 10 do grp:go(i % 2 == 0 and gos.goexit or error, i) end
    assert.are.equal(5, #select(2, grp:wait()))
  end)
  it("go that waits for room can be interrupted", function()
    local grp = gos.errgroup { limit = 0 }
    local g = gos.go(function() return grp:go(print) end)
    settle()
    raises("are running", grp.set_limit, grp, 2)
    g:interrupt()
    assert.are.same({ true, nil, "canceled" }, { g:join() })
    grp:set_limit(1)
    assert.is_true(grp:wait())
  end)
  it("wait takes t", function()
    local grp = gos.errgroup()
    grp:go(function() return gos.nilchan:recv(grp:ctx()) and nil end)
    assert.are.same({ nil, "timeout" }, { grp:wait(0.001) })
    assert.are.same({ nil, "timeout" }, { grp:wait(0) })
    assert.are.same({ nil, "timeout" }, { grp:wait(gos.with_timeout(0.001)) })
    assert.is_nil(grp:ctx():err())
    grp:ctx():cancel()
    assert.is_true(grp:wait())
  end)
  it("ends with its parent", function()
    local parent = gos.with_cancel(gos.with_value("k", "v"))
    local grp = gos.errgroup { parent = parent }
    assert.are.equal("v", grp:ctx():value "k")
    grp:go(function() return gos.nilchan:recv(grp:ctx()) end)
    parent:cancel "stop"
    assert.are.same({ nil, "canceled" }, { grp:wait() })
    assert.are.equal("stop", grp:ctx():cause())
  end)
  it("waits at the end of a scope, and raises", function()
    local n = 0
    do
      local grp <close> = gos.errgroup()
      grp:go(function()
        gos.gosched()
        n = 1
      end)
    end
    assert.are.equal(1, n)
    assert.are.same({ false, "boom" }, { pcall(function()
      local grp <close> = gos.errgroup()
      grp:go(error, "boom", 0)
    end) })
  end)
  it("an error that leaves the scope ends the goroutines, and stays the error", function()
    local cause
    local ok, err = pcall(function()
      local grp <close> = gos.errgroup()
      grp:go(function()
        gos.nilchan:recv(grp:ctx())
        cause = grp:ctx():cause()
        error "another"
      end)
      settle()
      error("mine", 0)
    end)
    assert.are.same({ false, "mine", "mine" }, { ok, err, cause })
  end)
  it("says where its goroutines were created", function()
    local grp, gate = gos.errgroup { limit = 2 }, gos.chan()
    grp:go(gate.recv, gate)
    settle()
    assert.is_true(contains(gos.stack(true), "errgroup_spec.lua"))
    gate:close()
    grp:wait()
  end)
  it("refuses what is no option", function()
    raises("parent: context expected", gos.errgroup, { parent = 1 })
    raises("limit: integer expected", gos.errgroup, { limit = "x" })
    raises('errors: "first" or "all" expected', gos.errgroup, { errors = "some" })
    raises("function expected", function() gos.errgroup():go(1) end)
    raises("table expected", gos.errgroup, 3)
  end)
  it("leaves nothing behind", function()
    local seen, anchored = setmetatable({}, { __mode = "k" }), gos.stats().anchored
    for _ = 1, 20 do
      local grp = gos.errgroup { limit = 2 }
      for i = 1, 6 do
        local err = { grp }
        seen[err] = true
        grp:go(function() if i % 2 == 0 then error(err) end end)
      end
      grp:wait()
    end
    settle()
    for _ = 1, 3 do collectgarbage() end
    assert.is_nil((next(seen)))
    assert.are.equal(anchored, gos.stats().anchored)
  end)
end)

describe("a semaphore", function()
  it("gives so many units, in the order of the calls", function()
    local sem, log = gos.semaphore(3), {}
    assert.is_true(sem:acquire(2))
    assert.is_true(sem:try_acquire())
    assert.is_false(sem:try_acquire())
    for i, n in ipairs { 3, 1, 1 } do
      gos.go(function()
        sem:acquire(n)
        log[#log + 1] = i
      end)
      settle()
    end
    sem:release(1)
    settle()
    assert.are.same({}, log)
    sem:release(2)
    settle()
    assert.are.same({ 1 }, log)
    sem:release(2)
    settle()
    assert.are.same({ 1, 2, 3 }, log)
  end)
  it("waits that gave up do not hold up others", function()
    local sem = gos.semaphore(2)
    sem:acquire()
    local big = gos.go(sem.acquire, sem, 2, 0.01)
    settle()
    local small = gos.go(sem.acquire, sem, 1)
    assert.are.same({ true, nil, "timeout" }, { big:join() })
    assert.are.same({ true, true }, { small:join() })
    assert.are.same({ nil, "timeout" }, { sem:acquire(5, 0.001) })
    assert.are.same({ nil, "timeout" }, { sem:acquire(1, 0) })
  end)
  it("refuses nonsense", function()
    local sem = gos.semaphore(1)
    raises("released more than held", sem.release, sem)
    raises("negative weight", sem.acquire, sem, -1)
    raises("negative size", gos.semaphore, -1)
    assert.is_true(sem:acquire(0))
  end)
end)

describe("a singleflight", function()
  it("does once what is asked for at once", function()
    local sf, n, gate = gos.singleflight(), 0, gos.chan()
    local gs = {}
    for i = 1, 5 do
      gs[i] = gos.go(function()
        return sf:do_("k", function()
          n = n + 1
          return gate:recv()
        end)
      end)
    end
    settle()
    gate:send { "v" }
    local _, first = gs[1]:join()
    for i = 1, 5 do
      local ok, v, shared = gs[i]:join()
      assert.is_true(ok and shared)
      assert.are.equal(first, v)
    end
    assert.are.equal(1, n)
    assert.are.same({ 2, false }, { sf:do_("k", function() return 2 end) })
    assert.are.same({ nil, false }, { sf:do_("k", function() end) })
  end)
  it("errors, raised or returned, are everybody's", function()
    local sf, err = gos.singleflight(), {}
    for _, fail in ipairs { function() error(err) end, function() return nil, err end } do
      local f = function()
        gos.gosched()
        return fail()
      end
      local g, h = gos.go(sf.do_, sf, "k", f), gos.go(sf.do_, sf, "k", f)
      for _, x in ipairs { g, h } do
        local ok, v, e = x:join()
        assert.is_true(ok)
        assert.is_nil(v)
        assert.are.equal(err, e)
      end
    end
    assert.are.same({ nil, "boom" }, { sf:do_(1, error == nil and print or function() error("boom", 0) end) })
  end)
  it("a second result after a value is no error", function()
    local sf, e = gos.singleflight(), {}
    assert.are.same({ "a_b", false }, { sf:do_("k", function() return ("a b"):gsub(" ", "_") end) })
    assert.are.same({ false, false }, { sf:do_("k", function() return false, e end) })
    assert.are.same({ 1, false }, { sf:do_("k", function() return 1, 2, 3 end) })
    assert.are.same({ val = 1, shared = false }, sf:do_chan("k", function() return 1, e end):recv())
    local f = function()
      gos.gosched()
      return 1, e
    end
    local g, h = gos.go(sf.do_, sf, "k", f), gos.go(sf.do_, sf, "k", f)
    for _, x in ipairs { g, h } do assert.are.same({ true, 1, true }, { x:join() }) end
  end)
  it("one that leaves by goexit cancels the others", function()
    local sf = gos.singleflight()
    local a = gos.go(sf.do_, sf, "k", function()
      gos.gosched()
      gos.goexit()
    end)
    settle()
    local b = gos.go(sf.do_, sf, "j", function()
      gos.gosched()
      gos.goexit()
    end)
    local c = gos.go(sf.do_, sf, "j", print)
    assert.are.same({ true }, { a:join() })
    assert.are.same({ true }, { b:join() })
    assert.are.same({ true, nil, "canceled" }, { c:join() })
    assert.are.same({ 1, false }, { sf:do_("k", function() return 1 end) })
  end)
  it("do_chan gives the outcome through a channel", function()
    local sf, gate = gos.singleflight(), gos.chan()
    local a = sf:do_chan("k", function() return gate:recv() end)
    local b = sf:do_chan("k", error)
    local c = gos.go(sf.do_, sf, "k", error)
    settle()
    gate:send "v"
    assert.are.same({ val = "v", shared = true }, a:recv())
    assert.are.same({ val = "v", shared = true }, b:recv())
    assert.are.same({ true, "v", true }, { c:join() })
    assert.are.same({ err = "e", shared = false }, sf:do_chan("k", function() return nil, "e" end):recv())
    assert.are.same({ err = true, shared = false }, sf:do_chan("k", function() error(true) end):recv())
    assert.are.same({ err = "canceled", shared = false }, sf:do_chan("k", gos.goexit):recv())
    raises("receive-only", a.send, a, 1)
  end)
  it("forget lets the next call run", function()
    local sf, gate = gos.singleflight(), gos.chan()
    local a = gos.go(sf.do_, sf, "k", function() return gate:recv() end)
    settle()
    sf:forget "k"
    assert.are.same({ "new", false }, { sf:do_("k", function() return "new" end) })
    local b = gos.go(sf.do_, sf, "k", function() return gate:recv() end)
    settle()
    gate:send "a"
    assert.are.same({ true, "a", false }, { a:join() })
    local c = gos.go(sf.do_, sf, "k", error) -- a's end has left b in the table
    settle()
    gate:send "b"
    assert.are.same({ true, "b", true }, { b:join() })
    assert.are.same({ true, "b", true }, { c:join() })
  end)
  it("takes any key", function()
    local sf, t = gos.singleflight(), {}
    for _, key in ipairs { t, 1, 1.5, true, "a\0b" } do assert.are.equal(key, (sf:do_(key, function() return key end))) end
    raises("key expected", sf.do_, sf, nil, print)
    raises("key expected", sf.do_, sf, 0 / 0, print)
    raises("function expected", sf.do_, sf, 1)
  end)
  it("keeps nothing once done", function()
    local seen, sf = setmetatable({}, { __mode = "k" }), gos.singleflight()
    do
      local v = {}
      seen[v] = true
      sf:do_(v, function() return v end)
      sf:do_chan("k", function() return { v } end)
      settle()
    end
    for _ = 1, 3 do collectgarbage() end
    assert.is_nil((next(seen)))
  end)
end)

describe("a limiter", function()
  it("lets a burst through, then so many a second", function()
    local lim, begun = gos.limiter(100, 3), gos.now()
    assert.is_true(lim:allow(3))
    for _ = 1, 3 do assert.is_true(lim:wait()) end
    assert.is_true(gos.now() - begun >= 0.0299)
    assert.is_false(gos.limiter(1e-6, 3):allow(4))
    assert.are.same({ 100, 3 }, { lim:limit(), lim:burst() })
  end)
  it("does not wait in vain", function()
    local lim = gos.limiter(0.001, 1)
    assert.is_true(lim:wait(1, 0))
    local begun = gos.now()
    assert.are.same({ nil, "timeout" }, { lim:wait(1, 100) })
    assert.are.same({ nil, "timeout" }, { lim:wait(1, gos.with_timeout(100)) })
    assert.are.same({ nil, "timeout" }, { lim:wait(1, 0) })
    assert.is_true(gos.now() - begun < 50)
    assert.is_true(lim:tokens() >= 0)
    raises("more than the limiter's burst of 1", lim.wait, lim, 2)
    raises("more than the limiter's burst of 1", lim.wait, lim, 2, gos.with_timeout(0))
  end)
  it("reserves for later, and takes back", function()
    local lim = gos.limiter(0.01, 2)
    local r = lim:reserve(2)
    assert.is_true(r:ok())
    assert.are.equal(0, r:delay())
    local s = lim:reserve()
    assert.is_true(s:delay() > 90)
    s:cancel()
    assert.is_true(lim:tokens() > -0.5)
    local never = lim:reserve(3)
    assert.is_false(never:ok())
    assert.are.equal(math.huge, never:delay())
    lim = nil -- luacheck: ignore
    collectgarbage()
    r:cancel()
  end)
  it("can be without limit, and changed", function()
    local lim = gos.limiter(math.huge, 0)
    for _ = 1, 100 do assert(lim:allow()) end
    lim:set_limit(0)
    lim:set_burst(1)
    assert.are.same({ 0, 1 }, { lim:limit(), lim:burst() })
    raises("number of events a second expected", gos.limiter, -1, 1)
    raises("number of events a second expected", gos.limiter, 0 / 0, 1)
    raises("burst: out of range", gos.limiter, 1, -1)
  end)
end)
