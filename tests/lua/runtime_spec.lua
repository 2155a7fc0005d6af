-- The runtime's own: leaks, labels, tracebacks, interrupts, locked threads.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local support = require "tests.lua.support"
local settle, contains = support.settle, support.contains

describe("leaks", function()
  it("are the goroutines that are left", function()
    local known = gos.goroutines()
    assert.are.same({}, gos.leaks(known))
    local ch = gos.chan()
    local g = gos.go(ch.recv, ch)
    gos.go(function() for _ = 1, 5 do gos.gosched() end end) -- is about to end
    assert.are.same({ g }, gos.leaks(known))
    assert.are.same({}, gos.leaks(gos.goroutines()))
    ch:close()
    assert.are.same({}, gos.leaks(known))
  end)
  it("a goroutine that never waits is none", function()
    local known, stop = gos.goroutines(), false
    local g = gos.go(function() while not stop do gos.gosched() end end)
    assert.are.same({}, gos.leaks(known))
    stop = true
    g:join()
  end)
  it("asked for by a goroutine: neither it nor main", function()
    local known = gos.goroutines()
    local ok, left = gos.go(function() return gos.leaks(known) end):join()
    assert.is_true(ok)
    assert.are.same({}, left)
  end)
end)

describe("labels", function()
  it("are inherited, added to, and copied", function()
    local seen
    local g = gos.go { function()
      gos.go { function()
        local me
        for _, h in ipairs(gos.goroutines()) do if h:id() == gos.goid() then me = h end end
        seen = me:labels()
      end, labels = { b = "2" } }:join()
    end, labels = { a = "1" } }
    g:join()
    assert.are.same({ a = "1", b = "2" }, seen)
    g:labels().a = "changed"
    assert.are.same({ a = "1" }, g:labels())
  end)
  it("are shown in a deadlock's report", function()
    local out = support.script [[
      gos.go { function() gos.go(function() gos.nilchan:recv() end) gos.nilchan:recv() end,
        labels = { job = "read" }, name = "reader" }
      gos.nilchan:recv()]]
    local _, n = out:gsub('{job:"read"}', "")
    assert.are.equal(2, n, out)
  end)
end)

describe("a goroutine that waits in a coroutine", function()
  it("shows both in its traceback, and no dead one later", function()
    local ch = gos.chan()
    local g = gos.go(function()
      coroutine.wrap(function() ch:recv() end)()
      collectgarbage()
      collectgarbage()
      ch:recv()
    end)
    settle()
    assert.is_true(contains(g:traceback(), "in a coroutine of the goroutine's own thread"))
    ch:send(1)
    settle()
    assert.is_false(contains(g:traceback(), "in a coroutine"))
    ch:send(2)
    g:join()
    assert.is_nil(g:traceback())
  end)
  it("may be interrupted there, with an error object", function()
    local err = {}
    local g = gos.go(function()
      local co = coroutine.create(function() gos.nilchan:recv() end)
      local ok, e = coroutine.resume(co)
      return ok, e, coroutine.status(co)
    end)
    settle()
    assert.is_true(g:interrupt(err))
    local ok, resumed, e, status = g:join()
    assert.is_true(ok)
    assert.are.same({ false, "dead" }, { resumed, status })
    assert.are.equal(err, e)
  end)
end)

describe("an interrupt", function()
  it("comes with the next wait, if there is none now", function()
    local gate = gos.chan()
    local g = gos.go(function()
      gate:send(1)
      return gos.sleep(3600)
    end)
    gate:recv()
    g:interrupt()
    assert.are.same({ true, nil, "canceled" }, { g:join() })
    assert.is_false(g:interrupt())
  end)
  it("passes over Once and leaves it whole", function()
    local once, gate, n = gos.once(), gos.chan(), 0
    local first = gos.go(once.do_, once, function() gate:recv() n = n + 1 end)
    settle()
    local second = gos.go(once.do_, once, print)
    settle()
    second:interrupt()
    settle()
    assert.are.equal("waiting", (second:status()))
    gate:send(1)
    assert.is_true(first:join() and second:join())
    assert.are.equal(1, n)
  end)
end)

describe("errors that are not strings", function()
  it("reach join as they are, and the report as text", function()
    for _, err in ipairs { 1, false, { 1 }, print, setmetatable({}, { __tostring = function() return "T" end }) } do
      local ok, e, traceback = gos.go(error, err):join()
      assert.is_nil(ok)
      assert.are.equal(err, e)
      assert.is_true(contains(traceback, "stack traceback"))
    end
    local r = table.pack(gos.go(error):join())
    assert.are.same({ nil, support.error_nil }, { r[1], r[2] })
    local out = support.script [[
      gos.go(error, nil)
      gos.go(error, {})
      gos.go(error, setmetatable({}, { __tostring = function() return "text" end }))
      gos.go(error, setmetatable({}, { __tostring = function() error "inner" end }))
      gos.gosched()]]
    for _, words in ipairs { "a nil value", "a table value", ": text" } do
      assert.is_true(contains(out, words), words .. "\n" .. out)
    end
    local _, n = out:gsub("gossamer: goroutine", "")
    assert.are.equal(4, n, out)
  end)
end)

describe("an error that load catches from its reader", function()
  it("is not the goroutine's", function()
    local g = gos.go(function() return load(function() error "reader" end) end)
    local ok, f, err = g:join()
    assert.is_true(ok)
    assert.is_nil(f)
    assert.is_true(contains(err, "reader"))
    assert.is_nil(g:traceback())
  end)
end)

describe("lock_os_thread", function()
  it("may be said, in pairs or not", function()
    gos.lock_os_thread()
    assert.is_true(gos.go(function()
      gos.lock_os_thread()
      gos.lock_os_thread()
      gos.gosched()
      gos.unlock_os_thread()
    end):join())
    gos.unlock_os_thread()
    gos.unlock_os_thread()
  end)
end)
