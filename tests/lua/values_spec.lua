-- The life of values: what a channel holds is alive, what nobody can receive any more is not.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local support = require "tests.lua.support"
local settle = support.settle

local function collect()
  collectgarbage()
  collectgarbage()
end

local function weak() return setmetatable({}, { __mode = "k" }) end
local function count(t)
  collect()
  local n = 0
  for _ in pairs(t) do n = n + 1 end
  return n
end

describe("a value is kept alive", function()
  it("in a channel's buffer", function()
    local ch, seen = gos.chan(10), weak()
    for i = 1, 10 do
      local v = { i }
      seen[v] = true
      ch:send(v)
    end
    assert.are.equal(10, count(seen))
    for i = 1, 10 do assert.are.equal(i, ch:recv()[1]) end
    assert.are.equal(0, count(seen))
  end)
  it("with a waiting sender", function()
    local ch, seen = gos.chan(), weak()
    local g = gos.go(function()
      local v = {}
      seen[v] = true
      return ch:send(v)
    end)
    settle()
    assert.are.equal(1, count(seen))
    assert.is_truthy(seen[ch:recv()])
    g:join()
    assert.are.equal(0, count(seen))
  end)
  it("with a waiting select", function()
    local ch, seen = gos.chan(), weak()
    local g = gos.go(function()
      local v = {}
      seen[v] = true
      local case = gos.send(ch, v)
      v = nil -- luacheck: ignore
      return gos.select { gos.nilchan, case }
    end)
    settle()
    assert.are.equal(1, count(seen))
    assert.is_truthy(seen[ch:recv()])
    g:join()
  end)
  it("as the result of a goroutine, for as long as its handle", function()
    local seen = weak()
    local g = gos.go(function()
      local v, w = {}, {}
      seen[v], seen[w] = true, true
      return v, w
    end)
    g:join()
    assert.are.equal(2, count(seen))
    g = nil -- luacheck: ignore
    assert.are.equal(0, count(seen))
  end)
end)

describe("a value is let go", function()
  it("with the channel that holds it", function()
    local seen = weak()
    do
      local ch = gos.chan(10)
      for i = 1, 10 do
        local v = { i }
        seen[v] = true
        ch:send(v)
      end
    end
    collect() -- the channel, then what it held
    assert.are.equal(0, count(seen))
  end)
  it("when a send fails", function()
    local ch, seen = gos.chan(), weak()
    local closed = gos.chan()
    closed:close()
    local function try(f)
      local v = {}
      seen[v] = true
      pcall(f, v)
    end
    try(function(v) ch:send(v, 0) end)
    try(function(v) ch:send(v, 0.001) end)
    try(function(v) ch:try_send(v) end)
    try(function(v) closed:send(v) end)
    try(function(v) closed:try_send(v) end)
    try(function(v) gos.select { gos.send(ch, v), default = true } end)
    try(function(v) gos.select { gos.send(ch, v), gos.send(closed, v) } end)
    try(function(v) gos.select { gos.send(ch, v), 17 } end)
    try(function(v) ch:send(v, {}) end)
    assert.are.equal(0, count(seen))
  end)
  it("by the cases of a select that did not fire", function()
    local a, b, seen = gos.chan(1), gos.chan(), weak()
    do
      local v, w = {}, {}
      seen[v], seen[w] = true, true
      assert.are.equal(1, (gos.select { gos.send(a, v), gos.send(b, w) }))
    end
    assert.are.equal(1, count(seen))
    a:recv()
    assert.are.equal(0, count(seen))
  end)
  it("with a goroutine that has ended", function()
    local seen = weak()
    for i = 1, 100 do
      local v = {}
      seen[v] = true
      gos.go(function(x) return x end, v)
      v = nil -- luacheck: ignore
      if i % 10 == 0 then settle() end
    end
    settle()
    assert.are.equal(0, count(seen))
  end)
end)

describe("slots of anchored values", function()
  it("are used again", function()
    local ch = gos.chan(16)
    collect()
    local before = gos.stats().anchored
    for _ = 1, 2000 do
      for i = 1, 16 do ch:send { i } end
      for i = 1, 16 do assert(ch:recv()[1] == i) end
    end
    for _ = 1, 2000 do
      gos.go(function() return {} end):join()
      gos.select { gos.send(ch, {}), gos.send(gos.nilchan, {}) }
      ch:recv()
      ch:send({}, 0)
      ch:recv()
      pcall(gos.nilchan.send, gos.nilchan, {}, 0)
    end
    assert.are.equal(before, gos.stats().anchored)
  end)
  it("come back from dropped channels", function()
    collect()
    local before = gos.stats().anchored
    for _ = 1, 200 do
      local ch = gos.chan(8)
      for i = 1, 8 do ch:send { i } end
    end
    collect()
    assert.are.equal(before, gos.stats().anchored)
  end)
  it("survive finalizers that send while values are being sent", function()
    local ch, back = gos.chan(100000), gos.chan(100000)
    for i = 1, 3000 do
      setmetatable({}, { __gc = function() back:try_send { i } end })
      ch:send { i }
      gos.go(function(t) t[1] = t[1] end, { i })
    end
    collect()
    for i = 1, 3000 do assert(ch:recv()[1] == i) end
    local n = 0
    for _ = 1, #back do
      assert(type(back:recv()[1]) == "number")
      n = n + 1
    end
    assert.are.equal(3000, n)
    settle()
  end)
end)

describe("a parked goroutine", function()
  it("that nobody can wake stays, as in Go", function()
    local seen = weak()
    local g = gos.go(function()
      local v = {}
      seen[v] = true
      gos.chan():recv()
      return v
    end)
    settle()
    assert.are.equal(1, count(seen))
    g:interrupt()
    g:join()
  end)
  it("runs right after collections of every kind", function()
    local ch, out, gs = gos.chan(), gos.chan(), {}
    for i = 1, 50 do
      gs[i] = gos.go(function()
        for j = 1, 20 do
          local t = { i, j, ("x"):rep(50) .. j }
          ch:send(t)
          out:recv()
        end
      end)
    end
    local mode = collectgarbage "generational"
    for n = 1, 1000 do
      local t = ch:recv()
      assert(#t[3] >= 51)
      out:send(true)
      if n % 100 == 0 then collectgarbage() end
      if n == 500 then collectgarbage "incremental" end
      if n % 7 == 0 then collectgarbage "step" end
    end
    collectgarbage(mode)
    for i = 1, 50 do assert.is_true(gs[i]:join()) end
  end)
end)
