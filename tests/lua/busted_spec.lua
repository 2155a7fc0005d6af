-- gossamer.busted: deadlocks, leaks and timeouts fail a test.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local support = require "tests.lua.support"
local test = require "gossamer.busted".test
local contains, raises = support.contains, support.raises

describe("gossamer.busted.test", function()
  it("is the function, with its arguments and results", function()
    assert.are.same({ 2, nil, "x", n = 3 }, table.pack(test(function(...) return select("#", ...), ... end)(nil, "x")))
  end)
  it("raises its error as it is", function()
    local e = {}
    assert.are.same({ false, e }, { pcall(test(error), e) })
  end)
  it("fails when goroutines are left behind, and says where", function()
    local ch = gos.chan()
    local function forgotten() ch:recv() end
    local err = raises("the test leaves 1 goroutine behind:", test(function() gos.go { forgotten, name = "lost" } end))
    assert.is_true(contains(err, "(lost) [chan receive]") and contains(err, "busted_spec.lua:"))
    test(function() gos.go(gos.gosched) end)() -- one that was there before is not this test's
    test(function() gos.go(ch.recv, ch) end, { leaks = false })()
    test(function() gos.go(gos.sleep, 0.005) end, { patience = 30 })()
    ch:close()
    support.settle()
  end)
  it("ends a wait that is too long, and shows who waits", function()
    local ch <close> = gos.chan()
    local err = raises("the test has waited for 0.01 seconds", test(function() ch:recv() end, { timeout = 0.01 }))
    assert.is_true(contains(err, "[chan receive]"))
    test(function() gos.sleep(0.001) end, { timeout = 60 })()
    test(function() pcall(ch.recv, ch) end, { timeout = 0.01 })()
    assert.is_true(gos.sleep(0.001)) -- nothing is left of it
  end)
end)

describe("gossamer.busted.install", function()
  local function busted(spec)
    local base = os.tmpname()
    local name = base .. "_spec.lua"
    gos.file.write(name, spec)
    local r = gos.process.run({ "sh", "-c", ('exec %s "$(command -v busted)" -o TAP %s'):format(support.lua, name) }, 60)
    os.remove(name)
    os.remove(base)
    return r.stdout .. r.stderr, r.status
  end
  it("makes all tests such functions", function()
    local out, status = busted [[
      require "gossamer.busted".install { timeout = 1 }
      require "gossamer.busted".install { timeout = 1 }
      local gos = require "gossamer"
      describe("tests", function()
        it("good", function() assert.is_true(gos.go(function() return true end):join()) end)
        it("fails", function() assert.is_true(false) end)
        it("leaks", function() gos.go(gos.nilchan.recv, gos.nilchan) end)
        it("waits", function() while gos.sleep(0.001) do end end)
        it("waits on", function() gos.after(100):recv() end)
        it("pends", function() pending "later" end)
        it("ends", function() finally(function() end) end)
      end)
    ]]
    assert.are_not.equal(0, status)
    for _, line in ipairs { "ok 1 - tests good", "not ok 2 - tests fails", "not ok 3 - tests leaks", "not ok 4 - tests waits",
      "not ok 5 - tests waits on", "the test leaves 1 goroutine behind", "the test has waited for 1 seconds" } do
      assert.is_true(contains(out, line), line .. "\n" .. out)
    end
    assert.is_truthy(out:find "\nok %d+ %- tests ends")
  end)
  it("needs nothing for a deadlock", function()
    local out = busted [[
      require "gossamer.busted".install()
      local gos = require "gossamer"
      it("locks up", function() gos.chan():recv() end)
      it("goes on", function() end)
    ]]
    assert.is_true(contains(out, "not ok 1 - locks up") and contains(out, "all goroutines are asleep - deadlock!"), out)
    assert.is_true(contains(out, "ok 2 - goes on"), out)
  end)
end)
