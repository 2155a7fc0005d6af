-- Contexts: the tree, values and causes, and every waiting call obeying one as its t.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local support = require "tests.lua.support"
local settle, raises = support.settle, support.raises

local function weak() return setmetatable({}, { __mode = "k" }) end
local function count(t)
  for _ = 1, 3 do collectgarbage() end -- a channel, the context it keeps, what that keeps
  local n = 0
  for _ in pairs(t) do n = n + 1 end
  return n
end
local function ended(c) return (c:done():recv(0)) == nil and c:err() ~= nil end

describe("the background", function()
  it("never ends and has no values", function()
    local c = gos.background()
    assert.are.equal(c, gos.background())
    assert.is_nil(c:err())
    assert.is_nil(c:cause())
    assert.is_nil(c:deadline())
    assert.is_nil(c:value "k")
    assert.are.equal(1, select("#", c:value "k"))
    assert.are.equal(1, select("#", c:deadline()))
    c:cancel "no"
    assert.is_nil(c:err())
    assert.are.same({ nil, "timeout" }, { c:done():recv(0.001) })
  end)
end)

describe("with_cancel", function()
  it("ends by cancel, once, and with it all below", function()
    local a = gos.with_cancel()
    local b = gos.with_cancel(a)
    local c = gos.with_value("k", 1, b)
    assert.is_nil(a:err())
    assert.is_nil(c:cause())
    a:cancel "first"
    a:cancel "second"
    b:cancel "third"
    for _, x in ipairs { a, b, c } do
      assert.are.equal("canceled", x:err())
      assert.are.equal("first", x:cause())
      assert.are.same({ nil, "closed" }, { x:done():recv() })
    end
  end)
  it("leaves its parent alone", function()
    local a = gos.with_cancel()
    local b = gos.with_cancel(a)
    b:cancel()
    assert.are.equal("canceled", b:err())
    assert.are.equal("canceled", b:cause())
    assert.is_nil(a:err())
  end)
  it("is born ended below one that has ended", function()
    local a = gos.with_cancel()
    a:cancel { code = 7 }
    local b = gos.with_cancel(a)
    assert.are.equal("canceled", b:err())
    assert.are.equal(7, b:cause().code)
    assert.is_true(ended(b))
  end)
  it("is cancelled at the end of a scope, by an error too", function()
    local kept
    do
      local c <close> = gos.with_cancel()
      kept = c
    end
    assert.are.equal("canceled", kept:err())
    pcall(function()
      local c <close> = gos.with_cancel()
      kept = c
      error "x"
    end)
    assert.are.equal("canceled", kept:err())
  end)
  it("can be cancelled from a goroutine that waits for its parent", function()
    local a = gos.with_cancel()
    local b = gos.with_cancel(a)
    local g = gos.go(function()
      a:done():recv()
      b:cancel()
      return b:err()
    end)
    settle()
    a:cancel()
    assert.are.same({ true, "canceled" }, { g:join() })
  end)
  it("deep and wide trees end at once", function()
    local root = gos.with_cancel()
    local deep, wide = root, {}
    for i = 1, 2000 do
      deep = gos.with_cancel(deep)
      wide[i] = gos.with_cancel(root)
    end
    root:cancel "all"
    assert.are.equal("all", deep:cause())
    for i = 1, 2000 do assert(wide[i]:cause() == "all") end
  end)
end)

describe("deadlines", function()
  it("end a context with their own error and cause", function()
    local a = gos.with_timeout(0.001)
    local b = gos.with_timeout(0.001, nil, "slow")
    local c = gos.with_deadline(gos.now() + 0.001, nil, "late")
    a:done():recv()
    b:done():recv()
    c:done():recv()
    assert.are.same({ "deadline exceeded", "deadline exceeded" }, { a:err(), a:cause() })
    assert.are.same({ "deadline exceeded", "slow" }, { b:err(), b:cause() })
    assert.are.same({ "deadline exceeded", "late" }, { c:err(), c:cause() })
  end)
  it("that have passed: born ended", function()
    assert.are.equal("deadline exceeded", gos.with_timeout(0, gos.background()):cause())
    assert.are.equal("deadline exceeded", gos.with_deadline(gos.now(), gos.background()):cause())
    assert.are.equal("deadline exceeded", gos.with_timeout(0):err())
    assert.are.equal("deadline exceeded", gos.with_timeout(-5):err())
    assert.are.equal("deadline exceeded", gos.with_deadline(gos.now() - 1):err())
  end)
  it("of cancelled ones are another matter", function()
    local c = gos.with_timeout(3600, nil, "slow")
    c:cancel()
    assert.are.same({ "canceled", "canceled" }, { c:err(), c:cause() })
    local d = gos.with_timeout(3600, nil, "slow")
    d:cancel "fast"
    assert.are.equal("fast", d:cause())
  end)
  it("are known, the earliest counts", function()
    local t = gos.now() + 100
    local a = gos.with_deadline(t)
    assert.is_true(math.abs(a:deadline() - t) < 1e-3)
    assert.are.equal(a:deadline(), gos.with_timeout(1000, a):deadline())
    assert.is_true(gos.with_timeout(1, a):deadline() < t)
    assert.is_nil(gos.with_timeout(math.huge):deadline())
    assert.is_nil(gos.with_deadline(math.huge):deadline())
    assert.is_nil(gos.without_cancel(a):deadline())
    assert.are.equal(a:deadline(), gos.merge(gos.with_timeout(1000), a):deadline())
  end)
  it("nested under shorter ones end with those", function()
    local outer = gos.with_timeout(0.001, nil, "outer")
    local inner = gos.with_timeout(3600, outer, "inner")
    inner:done():recv()
    assert.are.equal("outer", inner:cause())
    local o = gos.with_timeout(3600, nil, "outer")
    local i = gos.with_timeout(0.001, o, "inner")
    i:done():recv()
    assert.are.equal("inner", i:cause())
    assert.is_nil(o:err())
  end)
  it("end although only the channel is left", function()
    local done = gos.with_timeout(0.01):done()
    collectgarbage()
    collectgarbage()
    assert.are.same({ nil, "closed" }, { done:recv() })
  end)
end)

describe("values", function()
  it("are found upwards, the nearest first", function()
    local key = {}
    local a = gos.with_value(key, "a")
    local b = gos.with_value("s", 1, gos.with_cancel(a))
    local c = gos.with_value(key, "c", b)
    assert.are.equal("a", a:value(key))
    assert.are.equal("a", b:value(key))
    assert.are.equal("c", c:value(key))
    assert.are.equal(1, c:value "s")
    assert.is_nil(a:value "s")
    assert.is_nil(c:value {})
    assert.is_nil(c:value(nil))
  end)
  it("of any type of key, strings of any length", function()
    local long = ("x"):rep(500)
    local c = gos.with_value(1.5, "f", gos.with_value(false, "b", gos.with_value(long, "l", gos.with_value(1, "i"))))
    assert.are.equal("f", c:value(1.5))
    assert.are.equal("b", c:value(false))
    assert.are.equal("l", c:value(("x"):rep(250) .. ("x"):rep(250)))
    assert.are.equal("i", c:value(1.0))
  end)
  it("may be nil, which hides those above", function()
    local c = gos.with_value("k", nil, gos.with_value("k", 1))
    assert.is_nil(c:value "k")
  end)
  it("survive without_cancel, deadlines and graces", function()
    local p = gos.with_cancel(gos.with_value("k", "v"))
    p:cancel()
    local c = gos.without_cancel(p)
    assert.is_nil(c:err())
    assert.are.equal("v", c:value "k")
    assert.are.equal("v", gos.with_timeout(1, gos.with_grace(1, c)):value "k")
  end)
  it("of merged ones: of the first, then of the second", function()
    local a = gos.with_value("x", 1, gos.with_value("y", 2))
    local b = gos.with_value("x", 3, gos.with_value("z", 4))
    local m = gos.merge(a, b)
    assert.are.same({ 1, 2, 4 }, { m:value "x", m:value "y", m:value "z" })
    assert.is_nil(m:value "w")
    local c = gos.with_cancel()
    for _ = 1, 60 do c = gos.merge(c, c) end
    assert.is_nil(c:value "none") -- not 2^60 steps
  end)
  it("cannot be had with bad keys, and cannot cancel", function()
    raises("nil key", gos.with_value, nil, 1)
    local p = gos.with_cancel()
    local c = gos.with_value("k", 1, p)
    c:cancel "x"
    assert.is_nil(c:err())
    p:cancel "y"
    assert.are.equal("y", c:cause())
  end)
end)

describe("merge", function()
  it("ends with either, as that one did", function()
    for i = 1, 2 do
      local p = { gos.with_cancel(), gos.with_cancel() }
      local m = gos.merge(p[1], p[2])
      assert.is_nil(m:err())
      p[i]:cancel(i)
      assert.are.same({ "canceled", i }, { m:err(), m:cause() })
      assert.is_nil(p[3 - i]:err())
    end
    local m = gos.merge(gos.with_timeout(0.001, nil, "t"), gos.with_cancel())
    m:done():recv()
    assert.are.same({ "deadline exceeded", "t" }, { m:err(), m:cause() })
  end)
  it("can be cancelled by itself", function()
    local a, b = gos.with_cancel(), gos.with_cancel()
    local m = gos.merge(a, b)
    m:cancel "m"
    assert.are.equal("m", m:cause())
    assert.is_nil(a:err())
    assert.is_nil(b:err())
  end)
  it("has a limit", function()
    raises("too many", function()
      local c = gos.with_cancel()
      for _ = 1, 100 do c = gos.merge(c, gos.background()) end
    end)
  end)
end)

describe("with_grace and without_cancel", function()
  it("a grace ends after its parent, with its error and cause", function()
    local p = gos.with_cancel()
    local g, long = gos.with_grace(0.01, p), gos.with_grace(3600, p)
    local begun = gos.now()
    p:cancel "why"
    g:done():recv()
    assert.is_true(gos.now() - begun >= 0.01)
    assert.are.same({ "canceled", "why" }, { g:err(), g:cause() })
    assert.is_nil(long:err())
  end)
  it("a shield does not end with its parent", function()
    local p = gos.with_cancel()
    local s = gos.without_cancel(p)
    p:cancel()
    assert.is_nil(s:err())
    s:cancel()
    assert.is_nil(s:err())
    local below = gos.with_cancel(s)
    below:cancel()
    assert.are.equal("canceled", below:err())
  end)
end)

describe("after_func", function()
  it("runs in a goroutine of its own, with its arguments, after the end", function()
    local c, out = gos.with_cancel(), gos.chan()
    local stop = c:after_func(function(...) out:send { gos.goid(), c:cause(), ... } end, "a", nil, 3)
    assert.are.same({ nil, "timeout" }, { out:recv(0.001) })
    c:cancel "why"
    local got = out:recv()
    assert.are_not.equal(gos.goid(), got[1])
    assert.are.same({ "why", "a", nil, 3 }, { got[2], got[3], got[4], got[5] })
    assert.is_false(stop())
    assert.is_false(stop())
  end)
  it("runs at once where it has ended, and by a deadline", function()
    local out = gos.chan(2)
    gos.with_timeout(0):after_func(out.send, out, 1)
    assert.are.equal(1, out:recv())
    gos.with_timeout(0.001):after_func(out.send, out, 2) -- nothing refers to the context
    collectgarbage()
    assert.are.equal(2, out:recv())
  end)
  it("can be stopped before, once", function()
    local c, n = gos.with_cancel(), 0
    local stop = c:after_func(function() n = n + 1 end)
    assert.is_true(stop())
    assert.is_false(stop())
    c:cancel()
    settle()
    assert.are.equal(0, n)
  end)
  it("cannot be stopped once its goroutine is on its way", function()
    local c, n = gos.with_cancel(), 0
    local stop = c:after_func(function() n = n + 1 end)
    c:cancel()
    assert.is_false(stop())
    settle()
    assert.are.equal(1, n)
  end)
  it("is no goroutine before the end", function()
    local before, c = gos.num_goroutine(), gos.with_cancel()
    local stops = {}
    for i = 1, 100 do stops[i] = c:after_func(function() end) end
    assert.are.equal(before, gos.num_goroutine())
    for i = 1, 100 do assert.is_true(stops[i]()) end
  end)
  it("its error is reported as any goroutine's", function()
    local out, status = support.script [[
      local c = gos.with_cancel()
      c:after_func(function() error "in the function" end)
      c:cancel()
      gos.sleep(0.01)]]
    assert.are.equal(0, status)
    assert.is_true(support.contains(out, "in the function"), out)
    assert.is_truthy(out:find "created by goroutine %d+ at .-:3")
  end)
  it("of one that never ends is never run, and not kept", function()
    local seen = weak()
    local f = function() end
    seen[f] = true
    gos.background():after_func(f)
    f = nil -- luacheck: ignore
    assert.are.equal(0, count(seen))
  end)
  it("wants a function", function()
    raises("function expected", function() gos.background():after_func {} end)
  end)
end)

describe("a context as t", function()
  -- Each waits for ever by itself.
  local function waits()
    local ch, mu, rw, wg, sem = gos.chan(), gos.mutex(), gos.rwmutex(), gos.waitgroup(), gos.semaphore(1)
    local cond, group, flight = gos.cond(), gos.errgroup(), gos.singleflight()
    local lim = gos.limiter(1e-6, 1)
    local stuck = gos.go(gos.nilchan.recv, gos.nilchan)
    mu:lock()
    rw:lock()
    wg:add(1)
    sem:acquire()
    lim:allow()
    cond.L:lock()
    group:go(gos.nilchan.recv, gos.nilchan, group:ctx())
    local other = gos.go(function() flight:do_("k", function() gos.nilchan:recv() end) end)
    settle()
    local calls = {
      send = function(t) return ch:send({}, t) end,
      recv = function(t) return ch:recv(t) end,
      nilchan = function(t) return gos.nilchan:recv(t) end,
      lock = function(t) return mu:lock(t) end,
      guard = function(t) return mu:guard(t) end,
      rwlock = function(t) return rw:lock(t) end,
      rlock = function(t) return rw:rlock(t) end,
      rguard = function(t) return rw:rguard(t) end,
      rwguard = function(t) return rw:guard(t) end,
      wait = function(t) return wg:wait(t) end,
      cond = function(t) return cond:wait(t) end,
      semaphore = function(t) return sem:acquire(1, t) end,
      join = function(t) return stuck:join(t) end,
      errgroup = function(t) return group:wait(t) end,
      singleflight = function(t) return flight:do_("k", error, t) end,
      limiter = function(t) return lim:wait(1, t) end,
      sleep = function(t) return gos.sleep(3600, t) end,
    }
    local function finish()
      stuck:interrupt()
      other:interrupt()
      group:ctx():cancel()
      settle()
    end
    return calls, finish
  end

  it("ends every wait when it is cancelled, in a goroutine", function()
    local calls, finish = waits()
    for name, call in pairs(calls) do
      local c = gos.with_cancel()
      local g = gos.go(call, c)
      settle()
      assert.are.equal("waiting", (g:status()), name)
      c:cancel()
      assert.are.same({ true, nil, "canceled" }, { g:join() }, name)
    end
    finish()
  end)
  it("ends every wait when it is cancelled, in main", function()
    local calls, finish = waits()
    for name, call in pairs(calls) do
      local c = gos.with_cancel()
      gos.after_func(0.001, c.cancel, c)
      assert.are.same({ nil, "canceled" }, { call(c) }, name)
    end
    finish()
  end)
  it("ends every wait at its deadline", function()
    local calls, finish = waits()
    for name, call in pairs(calls) do
      assert.are.same({ nil, "timeout" }, { call(gos.with_timeout(0.001)) }, name)
      assert.are.same({ true, nil, "timeout" }, { gos.go(call, gos.with_timeout(0.001)):join() }, name)
    end
    finish()
  end)
  it("that has ended wins over what could be done at once", function()
    local c, ch = gos.with_cancel(), gos.chan(2)
    c:cancel()
    ch:send "v"
    assert.are.same({ nil, "canceled" }, { ch:recv(c) })
    assert.are.same({ nil, "canceled" }, { ch:send("w", c) })
    assert.are.same({ nil, "canceled" }, { gos.mutex():lock(c) })
    assert.are.equal("canceled", (gos.select { ch, ctx = c }))
    assert.are.equal(1, #ch)
    assert.are.equal("timeout", (gos.select { ch, ctx = gos.with_timeout(0) }))
  end)
  it("that has ended wins in calls that need not wait", function()
    local canceled, late, done = gos.with_cancel(), gos.with_timeout(0), gos.go(function() return 1 end)
    local bytes, a, b = gos.buffer(4), gos.net.socketpair()
    local r, w = gos.net.pipe()
    canceled:cancel()
    done:join()
    b:write "line\nrest"
    w:write "line\nrest"
    assert.are.equal("line", a:read_line())
    assert.are.equal("line", r:read_line())
    local calls = {
      join = function(t) return done:join(t) end,
      sleep = function(t) return gos.sleep(0, t) end,
      sleep_less = function(t) return gos.sleep(-1, t) end,
      singleflight = function(t) return gos.singleflight():do_("k", error, t) end,
    }
    for name, st in pairs { socket = a, pipe_in = r, pipe_out = w } do
      if st ~= r then
        calls[name .. ":write"] = function(t) return st:write("x", t) end
        calls[name .. ":write nothing"] = function(t) return st:write("", t) end
        calls[name .. ":write a buffer"] = function(t) return st:write(bytes, t) end
      end
      if st ~= w then
        calls[name .. ":read"] = function(t) return st:read(1, t) end
        calls[name .. ":read_into"] = function(t) return st:read_into(bytes, t) end
        calls[name .. ":read_exactly"] = function(t) return st:read_exactly(1, t) end
        calls[name .. ":read_line"] = function(t) return st:read_line(t) end
        calls[name .. ":read_all"] = function(t) return st:read_all(t) end
      end
    end
    for name, call in pairs(calls) do
      for why, t in pairs { canceled = canceled, timeout = late } do
        local v, e = call(t)
        assert.are.same({ nil, why }, { v, e }, name)
        v, e = select(2, gos.go(call, t):join())
        assert.are.same({ nil, why }, { v, e }, name)
      end
    end
    assert.are.same({ true, 1 }, { done:join(gos.with_cancel()) })
    assert.are.equal("rest", a:read(nil, gos.background()))
    assert.are.equal("rest", r:read(nil, gos.background()))
    a:write "y"
    w:write "y"
    assert.are.equal("y", b:read())
    assert.are.equal("y", r:read())
    for _, st in ipairs { a, b, r, w } do st:close() end
  end)
  it("that never ends is no limit", function()
    local ch = gos.chan()
    gos.go(function() ch:send(1) end)
    assert.are.equal(1, ch:recv(gos.background()))
    gos.go(function() ch:send(2) end)
    assert.are.equal(2, ch:recv(gos.with_cancel()))
  end)
  it("in a select, with cases and a timeout beside it", function()
    local ch = gos.chan(1)
    local c = gos.with_cancel()
    ch:send(1)
    assert.are.same({ 1, 1 }, { gos.select { ch, ctx = c } })
    assert.are.equal("timeout", (gos.select { ch, ctx = c, timeout = 0.001 }))
    assert.are.equal("default", (gos.select { ch, ctx = c, default = true }))
    gos.after_func(0.001, c.cancel, c)
    assert.are.equal("canceled", (gos.select { ch, gos.send(gos.nilchan, {}), ctx = c, timeout = 3600 }))
    assert.are.same({ 1, nil, "closed" }, { gos.select { c:done() } })
    raises("ctx: context expected", gos.select, { ctx = 1 })
  end)
  it("interrupts mean the goroutine, not the context", function()
    local c = gos.with_cancel()
    local g = gos.go(function() return pcall(gos.nilchan.recv, gos.nilchan, c) end)
    settle()
    g:interrupt "mine"
    assert.are.same({ true, false, "mine" }, { g:join() })
    assert.is_nil(c:err())
  end)
  it("one that ended the wait does not raise an interrupt's error meant for the next", function()
    local c, seen = gos.with_cancel(), nil
    local g = gos.go(function()
      seen = { gos.nilchan:recv(c) }
      return pcall(gos.nilchan.recv, gos.nilchan)
    end)
    settle()
    c:cancel()
    g:interrupt "next"
    assert.are.same({ true, false, "next" }, { g:join() })
    assert.are.same({ nil, "canceled" }, seen)
  end)
  it("lets go of the value that was not sent", function()
    local seen, ch = weak(), gos.chan()
    local c = gos.with_cancel()
    local g = gos.go(function()
      local v = {}
      seen[v] = true
      return ch:send(v, c)
    end)
    settle()
    assert.are.equal(1, count(seen))
    c:cancel()
    g:join()
    assert.are.equal(0, count(seen))
  end)
  it("leaves a mutex to the others", function()
    local mu, c = gos.mutex(), gos.with_cancel()
    mu:lock()
    local g = gos.go(mu.lock, mu, c)
    local h = gos.go(mu.lock, mu)
    settle()
    c:cancel()
    assert.are.same({ true, nil, "canceled" }, { g:join() })
    mu:unlock()
    assert.are.same({ true, true }, { h:join() })
  end)
  it("ends thousands of waits at once", function()
    local c, wg, n = gos.with_cancel(), gos.waitgroup(), 0
    for i = 1, 2000 do
      wg:go(function()
        local _, why = gos.nilchan:recv(i % 2 == 0 and c or gos.with_cancel(c))
        if why == "canceled" then n = n + 1 end
      end)
    end
    settle()
    c:cancel()
    wg:wait()
    assert.are.equal(2000, n)
  end)
  it("is told apart from anything else", function()
    raises("seconds or context expected, got gossamer.mutex", function() gos.chan():recv(gos.mutex()) end)
    raises("context expected, got number", gos.with_cancel, 1)
    raises("seconds expected, got gossamer.context", gos.with_timeout, gos.background())
  end)
  it("cannot make a finalizer wait", function()
    local result
    do
      setmetatable({}, { __gc = function() result = { pcall(gos.nilchan.recv, gos.nilchan, gos.with_cancel()) } end })
    end
    collectgarbage()
    collectgarbage()
    assert.is_false(result[1])
    assert.is_true(support.contains(result[2], "cannot wait in a finalizer"))
  end)
  it("of a wait is not lost to finalizers that run while it begins", function()
    for _ = 1, 200 do
      local c = gos.with_cancel()
      setmetatable({}, { __gc = function() gos.nilchan:recv(0) gos.select { gos.nilchan, default = true } end })
      gos.go(function() c:cancel() end)
      assert.are.same({ nil, "canceled" }, { gos.nilchan:recv(c) })
    end
  end)
end)

describe("what a context refers to", function()
  it("is let go with it, though it refers to the context", function()
    local seen = weak()
    do
      local c = gos.with_cancel()
      local cause = { c }
      seen[cause] = true
      c:cancel(cause)
    end
    assert.are.equal(0, count(seen))
    do
      local value = {}
      value.c = gos.with_value("k", value)
      seen[value] = true
    end
    assert.are.equal(0, count(seen))
    do
      local cause = {}
      cause.c = gos.with_timeout(3600, nil, cause)
      seen[cause] = true
    end
    assert.are.equal(0, count(seen))
  end)
  it("stays with those below", function()
    local below = gos.with_cancel(gos.with_value("k", { 1 }, gos.with_cancel()))
    collectgarbage()
    collectgarbage()
    assert.are.same({ 1 }, below:value "k")
    local c
    do
      local p = gos.with_cancel()
      c = gos.with_cancel(gos.merge(gos.with_cancel(), p))
      p:cancel { 2 }
    end
    collectgarbage()
    collectgarbage()
    assert.are.same({ 2 }, c:cause())
  end)
  it("a cause that came too late is not kept", function()
    local seen, c = weak(), gos.with_cancel()
    c:cancel "first"
    do
      local cause = {}
      seen[cause] = true
      c:cancel(cause)
    end
    assert.are.equal(0, count(seen))
    assert.are.equal("first", c:cause())
  end)
  it("functions go when they have run or are stopped", function()
    local seen, anchored = weak(), gos.stats().anchored
    for i = 1, 10 do
      local c = gos.with_cancel()
      local f = function() return c end
      seen[f] = true
      local stop = c:after_func(f)
      if i % 2 == 0 then c:cancel() else stop() end
    end
    settle()
    assert.are.equal(0, count(seen))
    assert.are.equal(anchored, gos.stats().anchored)
  end)
end)

describe("a program's end", function()
  it("with contexts of all kinds is clean", function()
    for _, last in ipairs { "", "os.exit(0)", "os.exit(0, true)", "gos.go(os.exit, 0, true) gos.nilchan:recv()" } do
      local out, status = support.script([[
        local c = gos.with_timeout(3600)
        for i = 1, 50 do
          local d = gos.with_value(i, {c}, gos.with_cancel(gos.merge(c, gos.with_grace(1, c))))
          gos.go(function() gos.nilchan:recv(d) end)
          d:after_func(print, "never")
        end
        gos.gosched()
        c:after_func(print, "never")
        if math.type(1) then c:cancel{c} end
        ]] .. last)
      assert.are.same({ 0 }, { status }, out)
      assert.is_false(support.contains(out, "gossamer"), out)
    end
  end)
end)
