-- Pool, map, atomics.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local support = require "tests.lua.support"
local raises = support.raises

local function weak() return setmetatable({}, { __mode = "k" }) end
local function count(t)
  for _ = 1, 3 do collectgarbage() end
  local n = 0
  for _ in pairs(t) do n = n + 1 end
  return n
end

describe("a pool", function()
  it("gives what was put, else what new makes", function()
    local made = 0
    local pool = gos.pool(function()
      made = made + 1
      return { made }
    end)
    local a, b = pool:get(), pool:get()
    assert.are.same({ 1, 2 }, { a[1], b[1] })
    pool:put(a)
    pool:put(b)
    local c, d = pool:get(), pool:get()
    assert.is_true((c == a and d == b) or (c == b and d == a))
    assert.are.equal(2, made)
    assert.are.equal(3, pool:get()[1])
  end)
  it("without new gives nil", function()
    local pool = gos.pool()
    assert.is_nil(pool:get())
    pool:put(false)
    assert.is_false(pool:get())
    assert.is_nil(pool:get())
    raises("nil cannot be put", pool.put, pool, nil)
    raises("function expected", gos.pool, 1)
  end)
  it("takes any number of items, of any type", function()
    local pool, sum = gos.pool(), 0
    for i = 1, 1000 do pool:put(i) end
    for v in pool.get, pool do sum = sum + v end
    assert.is_true(sum > 0 and sum <= 500500)
  end)
  it("whose new waits or fails is none the worse", function()
    local ch, first = gos.chan(), true
    local pool = gos.pool(function()
      if first then
        first = false
        error("no", 0)
      end
      return ch:recv()
    end)
    assert.are.same({ false, "no" }, { pcall(pool.get, pool) })
    local g = gos.go(pool.get, pool)
    support.settle()
    pool:put "other"
    assert.are.equal("other", pool:get())
    ch:send "made"
    assert.are.same({ true, "made" }, { g:join() })
  end)
  it("and its items are let go together, though they refer to it", function()
    local seen = weak()
    do
      local pool = gos.pool()
      for _ = 1, 50 do
        local item = { pool }
        seen[item] = true
        pool:put(item)
      end
    end
    assert.are.equal(0, count(seen))
  end)
  it("does not keep what was taken", function()
    local pool, seen = gos.pool(), weak()
    pool:put {}
    seen[pool:get()] = true
    assert.are.equal(0, count(seen))
  end)
end)

describe("a map", function()
  it("does in one step what its operations say", function()
    local m = gos.map()
    assert.are.same({ nil, false }, { m:load "a" })
    m:store("a", 1)
    assert.are.same({ 1, true }, { m:load "a" })
    assert.are.same({ 1, true }, { m:load_or_store("a", 2) })
    assert.are.same({ 3, false }, { m:load_or_store("b", 3) })
    assert.are.equal(2, #m)
    assert.are.same({ 1, true }, { m:swap("a", false) })
    assert.are.same({ nil, false }, { m:swap("c", 5) })
    assert.are.same({ false, true }, { m:load "a" })
    assert.is_true(m:compare_and_swap("a", false, 9))
    assert.is_false(m:compare_and_swap("a", false, 9))
    assert.is_false(m:compare_and_swap("none", nil, 9))
    assert.is_false(m:compare_and_delete("a", 8))
    assert.is_true(m:compare_and_delete("a", 9))
    assert.is_false(m:compare_and_delete("a", nil))
    assert.are.same({ 3, true }, { m:load_and_delete "b" })
    assert.are.same({ nil, false }, { m:load_and_delete "b" })
    assert.is_true(m:delete "c")
    assert.is_false(m:delete "c")
    assert.are.equal(0, #m)
  end)
  it("takes every key but nil and NaN, every value but nil", function()
    local m, t = gos.map(), {}
    for _, k in ipairs { "", ("k"):rep(100), 1, 2.5, true, t, print } do m:store(k, k) end
    m:store(false, 0)
    assert.are.equal(t, (m:load(t)))
    assert.are.equal(1, (m:load(1.0)))
    assert.are.equal(0, (m:load(false)))
    for _, f in ipairs { m.store, m.load_or_store, m.swap } do
      raises("nil key", f, m, nil, 1)
      raises("NaN key", f, m, 0 / 0, 1)
      raises("nil cannot be stored (use gos.null)", f, m, "k", nil)
    end
    raises("nil cannot be stored", m.compare_and_swap, m, 1, 1, nil)
    assert.is_nil((m:load(nil)))
  end)
  it("agrees with a plain table over many random steps", function()
    local m, t, n = gos.map(), {}, 0
    math.randomseed(7)
    for _ = 1, 5000 do
      local k, v = math.random(40), math.random(5)
      local op = math.random(6)
      if op == 1 then
        m:store(k, v)
        t[k] = v
      elseif op == 2 then
        assert(m:load_and_delete(k) == t[k])
        t[k] = nil
      elseif op == 3 then
        local actual, loaded = m:load_or_store(k, v)
        assert(loaded == (t[k] ~= nil))
        t[k] = t[k] or v
        assert(actual == t[k])
      elseif op == 4 then
        assert(m:swap(k, v) == t[k])
        t[k] = v
      elseif op == 5 then
        local old = math.random(5)
        local swapped = m:compare_and_swap(k, old, v)
        assert(swapped == (t[k] == old))
        if swapped then t[k] = v end
      else
        assert((m:load(k)) == t[k])
      end
    end
    for _ in pairs(t) do n = n + 1 end
    assert.are.equal(n, #m)
    m:range(function(k, v) assert(t[k] == v) n = n - 1 end)
    assert.are.equal(0, n)
  end)
  it("can be changed while it is ranged over, by others too", function()
    local m, seen = gos.map(), {}
    for i = 1, 50 do m:store(i, i) end
    m:range(function(k)
      assert(not seen[k])
      seen[k] = true
      m:delete(k + 1)
      m:store(k + 1000, 0)
      gos.go(m.store, m, k + 2000, 0)
      gos.gosched()
    end)
    for i = 1, 50 do assert(seen[i] or seen[i - 1]) end
    local n = 0
    m:range(function()
      n = n + 1
      if n == 3 then return false end
    end)
    assert.are.equal(3, n)
    m:range(function() m:clear() end)
    assert.are.equal(0, #m)
    assert.are.equal("err", select(2, pcall(function()
      m:store(1, 1)
      m:range(function() error("err", 0) end)
    end)))
  end)
  it("is let go though it holds itself", function()
    local seen = weak()
    do
      local m = gos.map()
      seen[m] = true
      m:store("self", m)
      m:store(m, { m })
    end
    assert.are.equal(0, count(seen))
  end)
end)

describe("an atomic", function()
  it("int does as integers do", function()
    local a = gos.atomic.int(5)
    assert.are.equal(5, a:load())
    assert.are.equal(6, a:add())
    assert.are.equal(4, a:add(-2))
    assert.are.equal(4, a:swap(12))
    assert.is_true(a:cas(12, 10))
    assert.is_false(a:cas(12, 9))
    assert.are.equal(10, a:and_(6))
    assert.are.equal(2, a:or_(5))
    assert.are.equal(7, a:load())
    a:store(math.maxinteger)
    assert.are.equal(math.mininteger, a:add(1))
    assert.are.equal(0, gos.atomic.int():load())
    raises("number expected", a.store, a, "x")
    raises("no integer representation", gos.atomic.int, 1.5)
    raises("atomic int expected", a.load, gos.atomic.bool())
  end)
  it("bool does as booleans do", function()
    local a = gos.atomic.bool()
    assert.is_false(a:load())
    a:store(true)
    assert.is_true(a:swap(false))
    assert.is_true(a:cas(false, true))
    assert.is_false(a:cas(false, true))
    assert.is_true(a:load())
    assert.is_true(gos.atomic.bool(true):load())
    raises("boolean expected", a.store, a, 1)
  end)
end)
