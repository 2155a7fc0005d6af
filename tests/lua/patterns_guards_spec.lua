-- gos.patterns: token buckets, breakers, health checks.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local patterns = require "gossamer.patterns"
local support = require "tests.lua.support"
local test = require "gossamer.busted".test
local raises, settle = support.raises, support.settle

-- A test that fails if it leaves goroutines behind.
local function clean(name, f) it(name, test(f)) end

describe("a token bucket", function()
  clean("is full at first", function()
    local bucket = patterns.token_bucket(1e-6, 3)
    assert.is_true(bucket:take(2))
    assert.is_true(bucket:try_take())
    assert.is_false(bucket:try_take())
    assert.are.same({ nil, "timeout" }, { bucket:take(1, 0.001) })
    assert.are.same({ nil, "timeout" }, { bucket:take(1, 0) })
  end)
  clean("fills again", function()
    local bucket = patterns.token_bucket(1000, 1)
    local start = gos.now()
    for _ = 1, 4 do assert.is_true(bucket:take()) end
    assert.is_true(gos.now() - start >= 0.0029)
  end)
  clean("an ended context gives up", function()
    local bucket, ctx = patterns.token_bucket(1e-6, 1), gos.with_cancel()
    bucket:take()
    local g = gos.go(function() return bucket:take(1, ctx) end)
    settle()
    ctx:cancel()
    assert.are.same({ true, nil, "canceled" }, { g:join() })
  end)
end)

describe("a breaker", function()
  local function fails() error("down", 0) end
  local function gives_error() return nil, "down" end
  local function works(...) return "up", ... end

  local function opened(options)
    local b = patterns.breaker(options)
    while b:state() == "closed" do b:call(gives_error) end
    return b
  end
  local function half_open(options)
    options.timeout = 1e-9
    local b = opened(options)
    while b:state() == "open" do gos.gosched() end
    return b
  end

  clean("gives results and errors as they are", function()
    local b = patterns.breaker()
    assert.are.same({ "up", 1, nil, 3 }, { b:call(works, 1, nil, 3) })
    assert.are.same({ nil, "down" }, { b:call(gives_error) })
    local object = {}
    assert.are.same({ false, object }, { pcall(b.call, b, error, object) })
    assert.are.equal(object, select(2, pcall(b.call, b, error, object)))
    assert.are.equal("closed", b:state())
  end)
  clean("opens after failures in a row", function()
    local b = patterns.breaker { threshold = 3 }
    for _, f in ipairs { fails, gives_error, works, gives_error, fails } do pcall(b.call, b, f) end
    assert.are.equal("closed", b:state())
    raises("down", b.call, b, fails)
    assert.are.equal("open", b:state())
    local called
    assert.are.same({ nil, "open" }, { b:call(function() called = true end) })
    assert.is_nil(called)
  end)
  clean("is half-open when its time is up: a success closes it, a failure opens it again", function()
    local b = half_open { threshold = 2 }
    assert.are.equal("half-open", b:state())
    assert.are.equal("up", b:call(works))
    assert.are.equal("closed", b:state())
    b = half_open { threshold = 2 }
    b.timeout = 1000
    raises("down", b.call, b, fails)
    assert.are.equal("open", b:state())
  end)
  clean("half-open it lets so many through at once, no more", function()
    local b, gate = half_open { threshold = 1, trials = 2 }, gos.chan()
    local gs = {}
    for i = 1, 3 do
      gs[i] = gos.go(function() return b:call(function() return gate:recv() end) end)
      settle()
    end
    assert.are.same({ true, nil, "open" }, { gs[3]:join() })
    gate:send "ok"
    settle()
    assert.are.equal("closed", b:state())
    gs[1]:interrupt()
    gs[2]:interrupt()
    gs[1]:join()
    gs[2]:join()
    assert.are.equal("closed", b:state())
  end)
  clean("a trial that was given up makes room for another", function()
    local b = half_open { threshold = 1 }
    for _, f in ipairs { function() return nil, "canceled" end, gos.goexit } do
      gos.go(function() b:call(f) end):join()
      assert.are.equal("half-open", b:state())
    end
    assert.are.equal("up", b:call(works))
    assert.are.equal("closed", b:state())
  end)
  clean("what comes of a call from before no longer matters", function()
    local b, gate = patterns.breaker { threshold = 1, timeout = 1e-9 }, gos.chan()
    local slow = gos.go(function() return b:call(function() return gate:recv() end) end)
    settle()
    b:call(gives_error)
    while b:state() == "open" do gos.gosched() end
    gate:send "late success"
    assert.are.same({ true, "late success" }, { slow:join() })
    assert.are.equal("half-open", b:state())
  end)
  clean("calls that were given up do not count", function()
    local b = patterns.breaker { threshold = 1 }
    assert.are.same({ nil, "canceled" }, { b:call(function() return nil, "canceled" end) })
    assert.are.equal("closed", b:state())
    b:call(function() return nil, "timeout" end)
    assert.are.equal("open", b:state())
  end)
  clean("keeps the place of an error for tracebacks", function()
    local b = patterns.breaker()
    local trace = select(2, xpcall(b.call, debug.traceback, b, function() error "here" end))
    assert.is_true(support.contains(trace, "patterns_guards_spec.lua"))
  end)
end)

describe("a health checker", function()
  clean("runs all checks at once", function()
    local gate, waiting = gos.chan(), 0
    local function meets()
      waiting = waiting + 1
      if waiting == 3 then gate:close() end
      gate:recv()
    end
    local checker = patterns.health_checker { checks = { a = meets, b = meets, c = meets } }
    assert.are.same({}, checker:status())
    local results = checker:run()
    for _, name in ipairs { "a", "b", "c" } do
      assert.are.same({ true, nil }, { results[name].ok, results[name].error })
      assert.is_true(results[name].seconds >= 0)
    end
    assert.are.same(results, checker:status())
  end)
  clean("tells how a check failed", function()
    local results = patterns.health_checker({
      checks = {
        raises = function() error("broken", 0) end,
        returns = function() return nil, "down" end,
        no = function() return false end,
        why = function() return false, "full" end,
        leaves = gos.goexit,
        fine = function() return true end,
        nothing = function() end,
      },
    }):run()
    local errors = {}
    for name, result in pairs(results) do
      assert.are.equal(result.error == nil, result.ok)
      errors[name] = result.error
    end
    assert.are.same({
      raises = "broken", returns = "down", no = "the check gave false", why = "full", leaves = "the check did not return",
    }, errors)
  end)
  clean("one that hangs has failed, and is not started again meanwhile", function()
    local gate, calls = gos.chan(), 0
    local checker = patterns.health_checker {
      timeout = 0.005,
      checks = {
        hangs = function()
          calls = calls + 1
          gate:recv()
        end,
      },
    }
    for _ = 1, 3 do
      local result = checker:run().hangs
      assert.are.same({ false, "timeout" }, { result.ok, result.error })
      assert.is_true(result.seconds >= 0.005)
      settle() -- it may begin as late as here
    end
    assert.are.equal(1, calls)
    gate:close()
    settle()
    repeat until checker:run().hangs.ok -- at once, unless the machine takes 5 ms to start it
    assert.is_true(calls >= 2)
  end)
  clean("a check's context ends with its time", function()
    local checker = patterns.health_checker {
      timeout = 0.002,
      checks = { slow = function(ctx) return gos.nilchan:recv(ctx) end },
    }
    local result = checker:run().slow
    assert.are.same({ false, "timeout" }, { result.ok, result.error })
  end)
  clean("two that ask at once share a run", function()
    local gate, calls = gos.chan(), 0
    local checker = patterns.health_checker { checks = { a = function()
      calls = calls + 1
      return gate:recv()
    end } }
    local gs = { gos.go(checker.run, checker), gos.go(checker.run, checker) }
    settle()
    gate:send(1)
    for _, g in ipairs(gs) do assert.is_true(select(2, g:join()).a.ok) end
    assert.are.equal(1, calls)
  end)
  clean("runs periodically", function()
    local ran = gos.chan()
    local checker <close> = patterns.health_checker { interval = 1e-4, checks = { a = function() ran:send(1) end } }
    assert.is_true(checker:start())
    assert.is_false(checker:start())
    for _ = 1, 3 do ran:recv() end
    ran:close() -- from now on it fails
    while (checker:status().a or {}).ok ~= false do gos.sleep(1e-4) end
    assert.is_true(checker:stop())
    assert.is_false(checker:stop())
    assert.is_true(support.contains(checker:status().a.error, "send on closed channel"))
  end)
  clean("stop ends the checks' contexts, and what it cut short is no result", function()
    local checker = patterns.health_checker { checks = { a = function(ctx) return gos.nilchan:recv(ctx) end } }
    do
      local started <close> = checker
      started:start()
      settle()
    end
    assert.are.same({}, checker:status())
  end)
end)
