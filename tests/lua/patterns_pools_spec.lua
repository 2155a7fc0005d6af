-- gos.patterns: rings, subscriptions, pools, job queues, resources, balancing.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local patterns = require "gossamer.patterns"
local support = require "tests.lua.support"
local test = require "gossamer.busted".test
local raises, settle = support.raises, support.settle

-- A test that fails if it leaves goroutines behind.
local function clean(name, f) it(name, test(f)) end

local function join(g) return table.pack(g:join()) end

describe("a ring", function()
  clean("keeps the last values, and never waits", function()
    local ring = patterns.ring(3)
    for i = 1, 5 do assert.is_true(ring:send(i)) end
    assert.are.same({ 3, 3, 2, false }, { #ring, ring:cap(), ring:dropped(), ring:closed() })
    assert.are.equal(3, ring:try_recv())
    assert.is_true(ring:close())
    assert.is_false(ring:close())
    local left = {}
    for v in ring do left[#left + 1] = v end
    assert.are.same({ 4, 5 }, left)
    assert.are.same({ nil, "closed" }, { ring:recv() })
    raises("send on closed ring", ring.send, ring, 1)
  end)
  clean("wakes who waits, takes t, and is a case of select", function()
    local ring = patterns.ring(1)
    local g = gos.go(function() return ring:recv() end)
    settle()
    ring:send "v"
    assert.are.same({ true, "v" }, { g:join() })
    assert.are.equal(0, ring:dropped())
    assert.are.same({ nil, "empty" }, { ring:try_recv() })
    assert.are.same({ nil, "timeout" }, { ring:recv(0) })
    assert.are.same({ nil, "timeout" }, { ring:recv(gos.with_timeout(0)) })
    ring:send(7)
    assert.are.same({ 2, 7 }, { gos.select { false, ring:receiver() } })
  end)
  clean("is closed at the end of a scope", function()
    local ring
    do
      local r <close> = patterns.ring(1)
      ring = r
    end
    assert.is_true(ring:closed())
    assert.is_true(support.contains(tostring(ring), "gossamer.ring"))
  end)
end)

describe("a pubsub", function()
  clean("gives messages to all subscribers of a topic", function()
    local ps = patterns.pubsub()
    local a, b, other = ps:subscribe "t", ps:subscribe("t", 1), ps:subscribe "other"
    assert.are.equal(0, ps:publish("nobody", 1))
    assert.are.equal(2, ps:publish("t", 1))
    assert.are.equal(1, ps:publish("t", 2)) -- b is full
    assert.are.same({ 2, 1, 0, 0, 1 }, { #a, #b, #other, a:dropped(), b:dropped() })
    assert.are.same({ "t", 16, 1 }, { a:topic(), a:cap(), b:cap() })
    assert.is_true(a:close())
    assert.is_false(a:close())
    assert.are.equal(1, b:recv())
    assert.are.equal(1, ps:publish("t", 3))
    local got = {}
    for v in a do got[#got + 1] = v end
    assert.are.same({ 1, 2 }, got)
    assert.are.same({ 1, 3 }, { gos.select { b:receiver() } })
  end)
  clean("closes its subscriptions", function()
    local sub
    do
      local ps <close> = patterns.pubsub()
      sub = ps:subscribe("t")
      local g = gos.go(function() return sub:recv() end)
      settle()
      assert.is_true(ps:close())
      assert.is_false(ps:close())
      assert.are.same({ true, nil, "closed" }, { g:join() })
      assert.are.same({ nil, "closed" }, { ps:publish("t", 1) })
      assert.are.same({ nil, "closed" }, { ps:subscribe "t" })
    end
    assert.is_false(sub:close())
  end)
  clean("keeps nothing of topics without subscribers", function()
    local ps, seen = patterns.pubsub(), setmetatable({}, { __mode = "k" })
    for i = 1, 10 do
      local topic = {}
      seen[topic] = true
      local _ <close> = ps:subscribe(topic)
      ps:publish(topic, i)
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil((next(seen)))
  end)
end)

describe("a pool", function()
  clean("runs n functions at a time, in their order, and gives their results", function()
    local pool <close> = patterns.pool(2)
    local running, most, order, gs = 0, 0, {}, {}
    for i = 1, 10 do
      gs[i] = pool:submit(function(x)
        running = running + 1
        most = math.max(most, running)
        order[#order + 1] = x
        gos.gosched()
        running = running - 1
        return x, nil, x * 2
      end, i)
    end
    assert.are.same({ true, 10, nil, 20, n = 4 }, join(gs[10]))
    assert.are.equal(2, most)
    assert.are.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, order)
  end)
  clean("submit waits while the queue is full", function()
    local pool, gate = patterns.pool(1, { queue = 1 }), gos.chan()
    local submitted = 0
    local g = gos.go(function()
      for _ = 1, 4 do
        assert(pool:submit(gate.recv, gate))
        submitted = submitted + 1
      end
    end)
    settle()
    assert.are.equal(2, submitted)
    gate:send(1)
    settle()
    assert.are.equal(3, submitted)
    for _ = 1, 3 do gate:send(1) end
    assert.is_true(g:join())
    assert.is_true(pool:close())
  end)
  clean("an error is its goroutine's, and frees the place; so does goexit", function()
    local pool <close> = patterns.pool(1, { queue = 0 })
    assert.are.same({ nil, "boom" }, { pool:submit(error, "boom", 0):join(), (select(2, pool:submit(error, "boom", 0):join())) })
    pool:submit(gos.goexit):join()
    assert.are.same({ true, 1 }, { pool:submit(function() return 1 end):join() })
  end)
  clean("calls a function that fails again", function()
    local pool <close> = patterns.pool(1, { retry = 2 })
    local function failing(times, raise)
      local calls = 0
      return function(...)
        calls = calls + 1
        if calls <= times and raise then error("call " .. calls, 0) end
        if calls <= times then return nil, "call " .. calls end
        return calls, ...
      end
    end
    assert.are.same({ true, 3, "x", n = 3 }, join(pool:submit(failing(2, true), "x")))
    assert.are.same({ true, 3, n = 2 }, join(pool:submit(failing(2, false))))
    assert.are.same({ true, nil, "call 3", n = 3 }, join(pool:submit(failing(9, false))))
    local ok, err = pool:submit(failing(9, true)):join()
    assert.are.same({ nil, "call 3" }, { ok, err })
  end)
  clean("a function that was interrupted is not called again", function()
    local pool <close> = patterns.pool(1, { retry = 5 })
    local calls = 0
    local g = pool:submit(function()
      calls = calls + 1
      return gos.nilchan:recv()
    end)
    settle()
    g:interrupt()
    assert.are.same({ true, nil, "canceled", n = 3 }, join(g))
    assert.are.equal(1, calls)
  end)
  clean("a function is not called again once the pool's context has ended", function()
    local ctx, calls = gos.with_cancel(), 0
    local pool = patterns.pool(1, { retry = 5, ctx = ctx })
    local g = pool:submit(function()
      calls = calls + 1
      ctx:cancel()
      error("once", 0)
    end)
    local ok, err = g:join()
    assert.are.same({ nil, "once", 1 }, { ok, err, calls })
    pool:close()
  end)
  clean("close waits for all that was submitted", function()
    local pool, done = patterns.pool(1), 0
    for _ = 1, 5 do
      pool:submit(function()
        gos.sleep(0.0005)
        done = done + 1
      end)
    end
    assert.is_true(pool:close { drain = true })
    assert.are.equal(5, done)
    assert.are.same({ nil, "closed" }, { pool:submit(print) })
    assert.is_true(pool:close())
  end)
  clean("close without draining interrupts what runs and drops what waits", function()
    local pool, began = patterns.pool(2), 0
    local gs = {}
    for i = 1, 5 do
      gs[i] = pool:submit(function()
        began = began + 1
        return gos.nilchan:recv(i == 1 and pool:ctx() or nil)
      end)
    end
    settle()
    assert.are.equal(2, began)
    assert.is_true(pool:close { drain = false })
    for i = 1, 5 do assert.are.same({ true, nil, "canceled", n = 3 }, join(gs[i])) end
    assert.are.equal(2, began)
  end)
  clean("an error that leaves the scope does not wait for it to be drained", function()
    local g
    assert.are.same({ false, "mine" }, { pcall(function()
      local pool <close> = patterns.pool(1)
      g = pool:submit(gos.nilchan.recv, gos.nilchan)
      settle()
      error("mine", 0)
    end) })
    assert.are.same({ true, nil, "canceled", n = 3 }, join(g))
  end)
  clean("close wakes a submit that waits", function()
    local pool = patterns.pool(1, { queue = 0 })
    pool:submit(gos.nilchan.recv, gos.nilchan)
    local g = gos.go(function() return pool:submit(print) end)
    settle()
    pool:close { drain = false }
    assert.are.same({ true, nil, "closed", n = 3 }, join(g))
  end)
  clean("ends with its context", function()
    local ctx = gos.with_cancel()
    local pool = patterns.pool(1, { ctx = ctx })
    local runs = pool:submit(function() return gos.nilchan:recv(pool:ctx()) end)
    local waits = pool:submit(function() return "ran" end)
    settle()
    ctx:cancel()
    assert.are.same({ true, nil, "canceled", n = 3 }, join(runs))
    assert.are.same({ true, nil, "canceled", n = 3 }, join(waits))
    assert.are.same({ nil, "canceled" }, { pool:submit(print) })
    pool:close()
    local late = patterns.pool(1, { ctx = gos.with_timeout(0), queue = 3 })
    assert.are.same({ nil, "timeout" }, { late:submit(print) })
    assert.are.same({ nil, "timeout" }, { patterns.pool(1, { ctx = gos.with_timeout(0) }):submit(print) })
  end)
  clean("an interrupt of one that waits takes it out of the line", function()
    local pool, gate = patterns.pool(1), gos.chan()
    pool:submit(gate.recv, gate)
    local second, third = pool:submit(function() return 2 end), pool:submit(function() return 3 end)
    settle()
    second:interrupt()
    assert.are.same({ true, nil, "canceled", n = 3 }, join(second))
    gate:close()
    assert.are.same({ true, 3, n = 2 }, join(third))
    pool:close()
  end)
  clean("keeps to its limits with preemption", function()
    local _ <close> = gos.defer(gos.preempt, gos.preempt(0.001))
    local pool = patterns.pool(3, { queue = 2 })
    local running, most, done = gos.atomic.int(), 0, gos.atomic.int()
    for _ = 1, 100 do
      pool:submit(function()
        most = math.max(most, running:add(1))
        for _ = 1, 5000 do end
        running:add(-1)
        done:add(1)
      end)
    end
    pool:close()
    assert.are.same({ 100, 0 }, { done:load(), running:load() })
    assert.is_true(most <= 3)
  end)
end)

describe("a job queue", function()
  local function recording(options)
    local log, gate = {}, gos.chan()
    options.handlers = {
      log = function(x) log[#log + 1] = x end,
      wait = function() gate:recv() end,
      add = function(...) return select("#", ...), (...) end,
    }
    return patterns.job_queue(options), log, gate
  end
  clean("runs higher priorities first, and the same ones in their order", function()
    local queue <close>, log, gate = recording { workers = 1 }
    queue:submit "wait"
    for i, priority in ipairs { 0, 5, -1, 5, 0, 2.5 } do
      queue:submit { "log", i, priority = priority }
    end
    queue:submit("log", 7)
    gate:close()
    queue:close()
    assert.are.same({ 2, 4, 6, 1, 5, 7, 3 }, log)
  end)
  clean("gives goroutines with the handlers' results", function()
    local queue <close> = recording { workers = 2 }
    assert.are.same({ true, 2, "a", n = 3 }, join(queue:submit("add", "a", "b")))
    assert.are.same({ true, 2, nil, n = 3 }, join(queue:submit { "add", nil, "b", n = 3 }))
    assert.are.same({ true, 0, nil, n = 3 }, join(queue:submit { "add" }))
    assert.are.same({ true, 0, nil, n = 3 }, join(queue:submit "add"))
  end)
  clean("is full at some time", function()
    local queue, _, gate = recording { workers = 2, cap = 1 }
    for _ = 1, 3 do assert.is_truthy(queue:submit "wait") end
    assert.are.same({ nil, "full" }, { queue:submit "wait" })
    gate:close()
    assert.is_true(queue:close())
    assert.are.same({ nil, "closed" }, { queue:submit "wait" })
    local direct, _, gate2 = recording { workers = 1, cap = 0 }
    assert.is_truthy(direct:submit "wait")
    assert.are.same({ nil, "full" }, { direct:submit "wait" })
    gate2:close()
    direct:close()
  end)
  clean("gives up what waits, and interrupts what runs", function()
    local queue, log = recording { workers = 1 }
    local runs, waits = queue:submit "wait", queue:submit("log", 1)
    settle()
    queue:close { drain = false }
    assert.are.same({ true, n = 1 }, join(runs))
    assert.are.same({ true, nil, "canceled", n = 3 }, join(waits))
    assert.are.same({}, log)
  end)
  clean("ends with its context", function()
    local ctx = gos.with_cancel()
    local queue = recording { ctx = ctx }
    ctx:cancel()
    assert.are.same({ nil, "canceled" }, { queue:submit "wait" })
    queue:close()
  end)
end)

describe("a resource pool", function()
  clean("lends each item to one at a time", function()
    local pool = patterns.resource_pool { "a", "b" }
    assert.are.same({ "a", "b" }, { (pool:acquire()), (pool:try_acquire()) })
    assert.are.same({ nil, "empty" }, { pool:try_acquire() })
    assert.are.same({ nil, "timeout" }, { pool:acquire(0) })
    local g = gos.go(function() return pool:acquire() end)
    settle()
    pool:release "a"
    assert.are.same({ true, "a" }, { g:join() })
    pool:release "b"
    raises("it is not lent: b", pool.release, pool, "b")
    raises("it is not lent: nil", pool.release, pool)
  end)
  clean("an ended context gives up", function()
    local pool, ctx = patterns.resource_pool { 1 }, gos.with_cancel()
    pool:acquire()
    local g = gos.go(function() return pool:acquire(ctx) end)
    settle()
    ctx:cancel()
    assert.are.same({ true, nil, "canceled", n = 3 }, join(g))
    pool:release(1)
    assert.are.equal(1, pool:acquire())
  end)
  clean("close wakes who waits; what is lent may come back", function()
    local pool = patterns.resource_pool { 1, 1 }
    assert.are.same({ 1, 1 }, { pool:acquire(), (pool:acquire()) })
    local g = gos.go(function() return pool:acquire() end)
    settle()
    assert.is_true(pool:close())
    assert.is_false(pool:close())
    assert.are.same({ true, nil, "closed", n = 3 }, join(g))
    pool:release(1)
    pool:release(1)
    raises("it is not lent", pool.release, pool, 1)
    local unused <close> = patterns.resource_pool { 1 }
    unused:close()
    assert.are.same({ nil, "closed" }, { unused:try_acquire() })
  end)
end)

describe("a connection pool", function()
  local function counting(options)
    local made, closed = 0, {}
    function options.connect()
      made = made + 1
      return "c" .. made
    end
    function options.close(conn) closed[#closed + 1] = conn end
    return patterns.conn_pool(options), closed
  end
  clean("makes connections when they are needed, up to its size", function()
    local pool = counting { size = 2 }
    assert.are.equal("c1", pool:get())
    pool:put "c1"
    assert.are.equal("c1", pool:get())
    assert.are.equal("c2", pool:get())
    assert.are.same({ nil, "timeout" }, { pool:get(0) })
    local g = gos.go(function() return pool:get() end)
    settle()
    pool:put "c2"
    assert.are.same({ true, "c2" }, { g:join() })
    raises("it is not lent: c3", pool.put, pool, "c3")
    raises("it is not lent: nil", pool.put, pool)
  end)
  clean("closes what is broken, or old", function()
    local pool, closed = counting { size = 1 }
    pool:put(pool:get(), true)
    assert.are.same({ "c1" }, closed)
    assert.are.equal("c2", pool:get())
    pool, closed = counting { max_age = 1e-9 }
    pool:put(pool:get())
    assert.are.same({ "c1" }, closed)
    pool, closed = counting { max_idle = 1e-9 }
    pool:put(pool:get())
    local start = gos.now()
    while gos.now() - start < 1e-6 do gos.gosched() end
    assert.are.same({ "c2", "c1" }, { pool:get(), closed[1] })
  end)
  clean("connect's failure is the caller's, and gives the place back", function()
    local result
    local pool = patterns.conn_pool { size = 1, connect = function() return result() end }
    result = function() return nil, "refused" end
    assert.are.same({ nil, "refused" }, { pool:get() })
    result = function() error "broken" end
    raises("broken", pool.get, pool)
    result = function() end
    assert.are.same({ nil, "connect gave nothing" }, { pool:get() })
    result = function() return "c" end
    assert.are.equal("c", pool:get(0.5))
  end)
  clean("tells connect how long it may take", function()
    local given
    local pool = patterns.conn_pool { connect = function(t)
      given = t
      return {}
    end }
    pool:get()
    assert.is_nil(given)
    pool:get(5)
    assert.is_true(given <= 5 and given > 0)
    local ctx <close> = gos.with_cancel()
    pool:get(ctx)
    assert.are.equal(ctx, given)
  end)
  clean("close closes what is idle, then what is put, and wakes who waits", function()
    local pool, closed = counting { size = 2 }
    local a, b = pool:get(), pool:get()
    pool:put(a)
    assert.is_true(pool:close())
    assert.is_false(pool:close())
    assert.are.same({ "c1" }, closed)
    assert.are.same({ nil, "closed" }, { pool:get() })
    pool:put(b)
    assert.are.same({ "c1", "c2" }, closed)
    do
      local scoped <close> = patterns.conn_pool { connect = function() return {} end } -- no close: left to the collector
      scoped:put(scoped:get())
    end
  end)
  clean("an error of close's is raised, and gives the place back", function()
    local pool = patterns.conn_pool { size = 1, connect = function() return {} end, close = function() error("shut", 0) end }
    for _ = 1, 3 do
      local conn = pool:get(0)
      assert.are.same({ false, "shut" }, { pcall(pool.put, pool, conn, true) })
    end
  end)
  local function crowd(yield)
    local open, most = 0, 0
    local pool = patterns.conn_pool {
      size = 3,
      connect = function()
        gos.no_preempt(function()
          open = open + 1
          most = math.max(most, open)
        end)
        yield()
        return {}
      end,
      close = function() gos.no_preempt(function() open = open - 1 end) end,
    }
    local wg = gos.waitgroup()
    for i = 1, 20 do
      wg:go(function()
        for k = 1, 5 do
          local conn = pool:get()
          yield()
          pool:put(conn, (i + k) % 3 == 0)
        end
      end)
    end
    wg:wait()
    pool:close()
    return { most, open }
  end
  clean("never has more than its size", function() assert.are.same({ 3, 0 }, crowd(gos.gosched)) end)
  clean("nor with preemption", function()
    local _ <close> = gos.defer(gos.preempt, gos.preempt(0.001))
    local left = crowd(function() for _ = 1, 3000 do end end)
    assert.are.equal(0, left[2])
    assert.is_true(left[1] <= 3)
  end)
end)

describe("round robin", function()
  clean("gives one after the other", function()
    local list = { "a", "b", "c" }
    local rr = patterns.round_robin(list)
    list[1] = "changed"
    local got = {}
    for i = 1, 7 do got[i] = rr:next() end
    assert.are.equal("abcabca", table.concat(got))
  end)
end)

describe("weighted", function()
  clean("gives the item of which the largest part is free, and waits when all are full", function()
    local w = patterns.weighted { { "a", 1 }, { "b", 3 } }
    local got = {}
    for i = 1, 4 do got[i] = w:acquire() end
    assert.are.equal("abbb", table.concat(got))
    assert.are.same({ nil, "timeout" }, { w:acquire(0) })
    local g = gos.go(function() return w:acquire() end)
    settle()
    w:release "a"
    assert.are.same({ true, "a" }, { g:join() })
    for _, item in ipairs { "a", "b", "b", "b" } do w:release(item) end
    raises("it is not acquired: b", w.release, w, "b")
    raises("it is not acquired: c", w.release, w, "c")
    raises("it is not acquired: nil", w.release, w)
  end)
  clean("an ended context gives up", function()
    local w = patterns.weighted { { "a", 1 } }
    w:acquire()
    local ctx = gos.with_cancel()
    local g = gos.go(function() return w:acquire(ctx) end)
    settle()
    ctx:cancel()
    assert.are.same({ true, nil, "canceled", n = 3 }, join(g))
    w:release "a"
    assert.are.equal("a", w:acquire(0))
  end)
end)
