-- gos.patterns: streams.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local patterns = require "gossamer.patterns"
local support = require "tests.lua.support"
local test = require "gossamer.busted".test
local raises, settle = support.raises, support.settle

-- A test that fails if it leaves goroutines behind.
local function clean(name, f) it(name, test(f)) end

local function collect(ch)
  local list = {}
  for v in ch do list[#list + 1] = v end
  return list
end

local function sorted(list)
  table.sort(list)
  return list
end

local function count(n) -- an iterator
  local i = 0
  return function()
    i = i + 1
    return i <= n and i or nil
  end
end

local function double(v) return v * 2 end

-- An option that starts goroutines and keeps them.
local function kept()
  local gs = {}
  return { go = function(f) gs[#gs + 1] = gos.go(f) end }, gs
end

describe("patterns", function()
  it("is loaded when it is asked for, once", function()
    local g = gos.isolate(function()
      local before = rawget(gos, "patterns") == nil and package.loaded["gossamer.patterns"] == nil
      local same = gos.patterns == require "gossamer.patterns" and rawget(gos, "patterns") == gos.patterns
      return before, same, gos.nothing
    end)
    assert.are.same({ true, true, true, nil }, { g:join() })
    g = gos.isolate(function() return require "gossamer.patterns" == gos.patterns end)
    assert.are.same({ true, true }, { g:join() })
  end)
  it("comes to isolates with the module", function()
    local g = gos.isolate(function()
      local sum = 0
      for v in gos.patterns.stage(function(x) return x + 1 end, gos.patterns.generate { 1, 2 }) do sum = sum + v end
      return sum
    end)
    assert.are.same({ true, 5 }, { g:join() })
  end)
end)

describe("generate", function()
  clean("gives what a list holds, an iterator gives, or a callable table", function()
    assert.are.same({ 1, 2, 3 }, collect(patterns.generate { 1, 2, 3 }))
    assert.are.same({ 1, 2, 3 }, collect(patterns.generate(count(3))))
    assert.are.same({ 1, 2 }, collect(patterns.generate(setmetatable({}, { __call = count(2) }))))
    assert.are.same({ false, 1 }, collect(patterns.generate { false, 1 }))
    assert.are.same({}, collect(patterns.generate {}))
  end)
  clean("may wait in its iterator, and in a coroutine that is one", function()
    local iterator = coroutine.wrap(function()
      for i = 1, 3 do
        gos.sleep(0.0001)
        coroutine.yield(i)
      end
    end)
    assert.are.same({ 1, 2, 3 }, collect(patterns.generate(iterator)))
  end)
  clean("ends with its context, quietly", function()
    local ctx = gos.with_cancel()
    local ch = patterns.generate(count(math.huge), { ctx = ctx })
    assert.are.same({ 1, 2 }, { (ch:recv()), (ch:recv()) })
    ctx:cancel()
    settle()
    assert.are.same({ nil, "closed" }, { ch:recv() })
    assert.are.same({}, collect(patterns.generate({ 1 }, { ctx = ctx })))
  end)
  clean("an error ends its goroutine and closes the channel", function()
    local options, gs = kept()
    local ch = patterns.generate(function() error("broken", 0) end, options)
    assert.are.same({ nil, "closed" }, { ch:recv() })
    assert.are.same({ nil, "broken" }, { gs[1]:join(), (select(2, gs[1]:join())) })
  end)
  clean("its channel is for receiving only, and its goroutine has a name", function()
    local ctx <close> = gos.with_cancel()
    local ch = patterns.generate({ 1 }, { ctx = ctx })
    raises("receive-only", ch.send, ch, 1)
    local names = {}
    for _, g in ipairs(gos.goroutines()) do names[g:name() or ""] = true end
    assert.is_true(names.generate)
  end)
end)

describe("stage", function()
  clean("maps, filters and reduces", function()
    local odd = patterns.stage(function(v) return v % 2 == 1 and v or patterns.skip end, patterns.generate(count(9)))
    local sum = 0
    for v in patterns.stage(double, odd) do sum = sum + v end
    assert.are.equal(50, sum)
  end)
  clean("n goroutines work at once", function()
    local running, most = 0, 0
    local ch = patterns.stage(function(v)
      running = running + 1
      most = math.max(most, running)
      gos.gosched()
      running = running - 1
      return v
    end, patterns.generate(count(20)), 3)
    assert.are.equal(20, #collect(ch))
    assert.are.equal(3, most)
  end)
  clean("ends with its context wherever it waits", function()
    local ctx = gos.with_cancel()
    local input = gos.chan()
    local receiving = patterns.stage(double, input, 2, { ctx = ctx })
    local sending = patterns.stage(double, patterns.generate({ 1 }, { ctx = ctx }), 2, { ctx = ctx })
    settle()
    ctx:cancel()
    settle()
    assert.are.same({ nil, "closed" }, { receiving:recv() })
    assert.are.same({ nil, "closed" }, { sending:recv() })
  end)
  clean("an interrupt ends a worker quietly", function()
    local options, gs = kept()
    local ch = patterns.stage(double, gos.chan(), 1, options)
    settle()
    gs[1]:interrupt()
    assert.are.same({ nil, "closed" }, { ch:recv() })
    assert.are.same({ true }, { gs[1]:join() })
  end)
  clean("an error ends one worker; the last one closes the output", function()
    local options, gs = kept()
    local ch = patterns.stage(function(v)
      if v == 2 then error("two", 0) end
      return v
    end, patterns.generate(count(5)), 2, options)
    assert.are.same({ 1, 3, 4, 5 }, sorted(collect(ch)))
    local failed = {}
    for _, g in ipairs(gs) do
      local ok, err = g:join()
      if not ok then failed[#failed + 1] = err end
    end
    assert.are.same({ "two" }, failed)
  end)
  clean("so does an error that is returned after nil, and nil alone", function()
    local function failure(f)
      local ctx <close> = gos.with_cancel()
      local options, gs = kept()
      collect(patterns.stage(f, patterns.generate({ 1, 2 }, { ctx = ctx }), 1, options))
      return select(2, gs[1]:join())
    end
    assert.are.equal("why", failure(function() return nil, "why" end))
    assert.is_true(support.contains(failure(function() end), "the function gave nil"))
    assert.are.equal(7, failure(function() error(7) end))
  end)
  clean("goexit closes the output, too", function()
    local ctx <close> = gos.with_cancel()
    assert.are.same({}, collect(patterns.stage(gos.goexit, patterns.generate({ 1 }, { ctx = ctx }))))
  end)
  clean("an errgroup's goroutines: the first error ends all", function()
    local grp = gos.errgroup()
    local options = { ctx = grp:ctx(), go = function(f) grp:go(f) end }
    local numbers = patterns.generate(count(math.huge), options)
    local ch = patterns.stage(function(v)
      if v == 5 then return nil, "five" end
      return v
    end, numbers, 2, options)
    assert.is_true(#collect(ch) < 10)
    assert.are.same({ nil, "five" }, { grp:wait() })
  end)
  clean("errors go on in items, which later stages pass on", function()
    local items = patterns.stage(patterns.item, patterns.generate(count(5)))
    local checked = patterns.stage(function(v)
      if v == 2 then error("two", 0) end
      if v == 3 then return nil, "three" end
      if v == 4 then error(nil) end
      if v == 5 then return patterns.skip end
      return v * 10
    end, items)
    local seen = {}
    local made = collect(patterns.stage(function(v)
      seen[#seen + 1] = v
      return v + 1
    end, checked))
    assert.are.same({ 10 }, seen)
    assert.are.equal(4, #made)
    assert.are.same({ 11, nil, 2, "two" }, { made[1].value, made[1].err, made[2].value, made[2].err })
    assert.are.same({ 3, "three", 4, tostring(support.error_nil) },
      { made[3].value, made[3].err, made[4].value, made[4].err })
  end)
end)

describe("fan_out", function()
  clean("shares the input among workers with outputs of their own", function()
    local outs = patterns.fan_out(patterns.generate(count(10)), 3, double)
    assert.are.equal(3, #outs)
    assert.are.same({ 2, 4, 6, 8, 10, 12, 14, 16, 18, 20 }, sorted(collect(patterns.merge(outs))))
  end)
  clean("ends with its context", function()
    local ctx = gos.with_cancel()
    local outs = patterns.fan_out(gos.chan(), 2, double, { ctx = ctx })
    settle()
    ctx:cancel()
    assert.are.same({ {}, {} }, { collect(outs[1]), collect(outs[2]) })
  end)
  clean("a worker's error closes its output only", function()
    local options, gs = kept()
    local input = gos.chan()
    local outs = patterns.fan_out(input, 2, function() error("e", 0) end, options)
    input:send(1)
    settle()
    local closed = select(2, outs[1]:try_recv()) == "closed" and 1 or 2
    assert.are.same({ nil, "closed" }, { outs[closed]:try_recv() })
    assert.are.same({ nil, "empty" }, { outs[3 - closed]:try_recv() })
    input:close()
    assert.are.same({}, collect(outs[3 - closed]))
    for _, g in ipairs(gs) do g:join() end
  end)
end)

describe("merge", function()
  clean("takes channels, or a list of them", function()
    local function three() return patterns.generate { 1 }, patterns.generate { 2, 3 }, patterns.generate {} end
    assert.are.same({ 1, 2, 3 }, sorted(collect(patterns.merge(three()))))
    assert.are.same({ 1, 2, 3 }, sorted(collect(patterns.merge { three() })))
    assert.are.same({}, collect(patterns.merge {}))
    assert.are.same({ 5 }, collect(patterns.merge(patterns.generate { 5 })))
  end)
  clean("ends with its context", function()
    local ctx = gos.with_cancel()
    local a, b, c = patterns.merge(gos.chan(), gos.nilchan, { ctx = ctx }), patterns.merge({ gos.chan() }, { ctx = ctx }),
      patterns.merge(gos.chan(), { ctx = ctx })
    settle()
    ctx:cancel()
    for _, ch in ipairs { a, b, c } do assert.are.same({}, collect(ch)) end
  end)
end)

describe("tee", function()
  clean("gives each value to all, in whatever order they are ready", function()
    local a, b, c = patterns.tee(patterns.generate(count(3)), 3)
    local gots = {}
    local wg = gos.waitgroup()
    for i, ch in ipairs { c, a, b } do
      wg:go(function() gots[i] = collect(ch) end)
    end
    wg:wait()
    assert.are.same({ { 1, 2, 3 }, { 1, 2, 3 }, { 1, 2, 3 } }, gots)
  end)
  clean("takes the next only when all have one", function()
    local input = gos.chan()
    local a, b = patterns.tee(input)
    assert.is_true(input:send(1))
    assert.are.equal(1, b:recv())
    assert.are.same({ nil, "timeout" }, { b:recv(0) })
    assert.is_false(input:try_send(2))
    assert.are.equal(1, a:recv())
    settle()
    assert.is_true(input:try_send(2))
    assert.are.same({ 2, 2 }, { (a:recv()), (b:recv()) })
    input:close()
    assert.are.same({ {}, {} }, { collect(a), collect(b) })
  end)
  clean("ends with its context, between two receivers too", function()
    local ctx = gos.with_cancel()
    local a, b = patterns.tee(patterns.generate({ 1 }, { ctx = ctx }), 2, { ctx = ctx })
    assert.are.equal(1, a:recv())
    ctx:cancel()
    assert.are.same({ {}, {} }, { collect(a), collect(b) })
  end)
end)

describe("bridge", function()
  clean("gives what comes from channels that come from a channel", function()
    local channels = patterns.generate { patterns.generate { 1, 2 }, patterns.generate {}, patterns.generate { 3 } }
    assert.are.same({ 1, 2, 3 }, collect(patterns.bridge(channels)))
  end)
  clean("ends with its context in each of its waits", function()
    for _, channels in ipairs { gos.chan(), patterns.generate { gos.chan() }, patterns.generate { patterns.generate { 1 } } } do
      local ctx = gos.with_cancel()
      local ch = patterns.bridge(channels, { ctx = ctx })
      settle()
      ctx:cancel()
      settle()
      assert.are.same({ nil, "closed" }, { ch:recv() })
    end
    for _, g in ipairs(gos.leaks()) do g:interrupt() end -- the last generator above
  end)
  clean("refuses what is no channel", function()
    local options, gs = kept()
    assert.are.same({}, collect(patterns.bridge(patterns.generate { 7 }, options)))
    assert.are.equal("bridge: channel expected, got number", (select(2, gs[1]:join())))
  end)
end)

describe("streams with preemption", function()
  clean("lose nothing", function()
    local _ <close> = gos.defer(gos.preempt, gos.preempt(0.001))
    local function slow(v)
      local n = 0
      for i = 1, 3000 do n = n + i end
      return n > 0 and v
    end
    local outs = patterns.fan_out(patterns.generate(count(200)), 4, slow)
    local again = patterns.stage(slow, patterns.merge(outs), 4)
    assert.are.equal(200, #collect(again))
  end)
end)
