-- select: choice, default, timeout, handlers, bad input.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local support = require "tests.lua.support"
local settle, raises = support.settle, support.raises

local function full(v)
  local ch = gos.chan(1)
  ch:send(v)
  return ch
end

describe("select", function()
  it("takes the ready case", function()
    local a, b = gos.chan(1), full(4)
    assert.are.same({ 2, 4 }, { gos.select { a, b } })
    assert.are.same({ 2, 5 }, { gos.select { gos.recv(a), gos.recv((full(5))) } })
  end)

  it("sends", function()
    local ch = gos.chan(1)
    assert.are.same({ 1, true }, { gos.select { gos.send(ch, "x") } })
    assert.are.equal("x", ch:recv())
  end)

  it("tells that the case's channel is closed", function()
    local ch = gos.chan()
    ch:close()
    assert.are.same({ 1, nil, "closed" }, { gos.select { ch } })
  end)

  it("tells false from closed", function()
    assert.are.same({ 1, false }, { gos.select { full(false) } })
  end)

  it("waits, and wakes on either", function()
    local a, b = gos.chan(), gos.chan()
    local g = gos.go(function() return gos.select { a, b } end)
    settle()
    assert.are.same({ "waiting", "select" }, { g:status() })
    b:send(6)
    assert.are.same({ true, 2, 6 }, { g:join() })
    assert.is_false(a:try_send(1)) -- nobody is left behind in a's queue
  end)

  it("waits to send, too", function()
    local a, b = gos.chan(), gos.chan()
    local g = gos.go(function() return gos.select { gos.send(a, "A"), gos.send(b, "B") } end)
    settle()
    assert.are.equal("B", b:recv())
    assert.are.same({ true, 2, true }, { g:join() })
    assert.are.same({ nil, "empty" }, { a:try_recv() })
  end)

  it("without cases waits for ever", function()
    local g = gos.go(gos.select, {})
    settle()
    assert.are.same({ "waiting", "select (no cases)" }, { g:status() })
    g:interrupt()
    assert.are.same({ true, "canceled" }, { g:join() })
  end)

  it("chooses evenly among the ready cases", function()
    local hits, n = { 0, 0, 0 }, 3000
    for _ = 1, n do
      local i = gos.select { full(1), full(1), full(1) }
      hits[i] = hits[i] + 1
    end
    for i = 1, 3 do assert.is_true(hits[i] > n / 3 * 0.8 and hits[i] < n / 3 * 1.2) end
  end)

  it("ordered: the first ready case wins", function()
    for _ = 1, 100 do
      assert.are.equal(2, (gos.select { gos.nilchan, full(1), full(1), ordered = true }))
    end
  end)

  it("accepts the same channel several times, and never meets itself", function()
    local ch = gos.chan()
    assert.are.equal("timeout", (gos.select { ch, gos.send(ch, 1), ch, timeout = 0.001 }))
    assert.are.equal("default", (gos.select { gos.send(ch, 1), ch, default = true }))
  end)

  it("takes false as no case, and the numbers of the others stay", function()
    assert.are.same({ 3, 1 }, { gos.select { false, false, (full(1)) } })
    assert.are.equal("default", (gos.select { false, default = true }))
  end)

  it("never takes the nil channel", function()
    assert.are.same({ 2, 4 }, { gos.select { gos.send(gos.nilchan, 1), full(4) } })
  end)

  it("works with many cases", function()
    local cases = {}
    for i = 1, 1000 do cases[i] = gos.chan() end
    local g = gos.go(gos.select, cases)
    settle()
    cases[777]:send "x"
    assert.are.same({ true, 777, "x" }, { g:join() })
    for i = 1, 1000 do cases[i] = gos.send(cases[i], { i }) end
    assert.are.equal("timeout", (gos.select { timeout = 0, table.unpack(cases) }))
  end)

  it("uses case objects again and again", function()
    local ch, out = gos.chan(1), {}
    local s, r = gos.send(ch, "v"), gos.recv(ch, function(v) out[#out + 1] = v end)
    for _ = 1, 3 do
      assert.are.equal(1, (gos.select { s, default = true }))
      assert.are.equal(1, (gos.select { r, default = true }))
    end
    assert.are.same({ "v", "v", "v" }, out)
  end)

  it("works with views, timers and the end of goroutines", function()
    local ch = full(1)
    assert.are.same({ 1, 1 }, { gos.select { ch:receiver() } })
    assert.are.same({ 1, true }, { gos.select { gos.send(ch:sender(), 2) } })
    local i, now = gos.select { gos.after(0.001) }
    assert.are.equal(1, i)
    assert.are.equal("float", math.type(now))
    assert.are.same({ 1, nil, "closed" }, { gos.select { gos.go(function() end):done() } })
  end)
end)

describe("default", function()
  it("is chosen when nothing is ready", function()
    assert.are.same({ "default" }, { gos.select { gos.chan(), default = true } })
    assert.are.same({ "default" }, { gos.select { default = true } })
  end)
  it("is not chosen when something is", function()
    assert.are.equal(1, (gos.select { full(1), default = true }))
  end)
  it("may be a function", function()
    local called = 0
    assert.are.same({ "default" }, { gos.select { default = function() called = called + 1 end } })
    assert.are.equal(1, called)
  end)
  it("of false is none", function()
    assert.are.equal("timeout", (gos.select { default = false, timeout = 0.001 }))
  end)
end)

describe("timeout", function()
  it("gives the word", function()
    for _, t in ipairs { 0, -1, 0.002 } do
      assert.are.same({ "timeout" }, { gos.select { gos.chan(), timeout = t } })
    end
  end)
  it("must be a number", function()
    raises("timeout: seconds expected", gos.select, { timeout = 0 / 0 })
    raises("timeout: seconds expected", gos.select, { timeout = {} })
  end)
end)

describe("handlers", function()
  it("are called with value and error, and the results stay", function()
    local seen
    local function note(...) seen = table.pack(...) end
    assert.are.same({ 1, "v" }, { gos.select { gos.recv(full "v", note) } })
    assert.are.same({ n = 2, "v" }, seen)
    local closed = gos.chan()
    closed:close()
    gos.select { gos.recv(closed, note) }
    assert.are.same({ n = 2, nil, "closed" }, seen)
    gos.select { gos.send(gos.chan(1), 1, note) }
    assert.are.same({ n = 2, true }, seen)
  end)
  it("may wait and raise", function()
    local c = support.counter()
    gos.select { gos.recv(full(1), function() assert.are.equal(1, c:recv()) end) }
    raises("from the handler", gos.select, { gos.recv(full(1), function() error "from the handler" end) })
  end)
end)

describe("bad input", function()
  it("is refused", function()
    raises("table expected", gos.select)
    raises("case 1: channel, case or false expected, got number", gos.select, { 1 })
    raises("case 2: channel, case or false expected, got table", gos.select, { gos.chan(), {} })
    raises("case 1: channel, case or false expected, got boolean", gos.select, { true })
    raises("case 1: cannot receive from a send-only channel", gos.select, { gos.chan():sender() })
    raises("cannot receive from a send-only channel", gos.recv, gos.chan():sender())
    raises("cannot send to or close a receive-only channel", gos.send, gos.chan():receiver(), 1)
    raises("cannot send nil (use gos.null)", gos.send, gos.chan())
    raises("channel expected", gos.recv, {})
    raises("ctx: context expected", gos.select, { ctx = {} })
    raises("default: function or true expected", gos.select, { default = 1 })
    raises("timeout: seconds expected", gos.select, { timeout = "1" })
    raises("timeout: seconds expected", gos.select, { timeout = 0 / 0 })
  end)
  it("has no options but its own", function()
    local ch = gos.chan(1)
    ch:send "stays"
    raises("unknown option 'timout'", gos.select, { ch, timout = 1 })
    raises("unknown option 'Default'", gos.select, { ch, Default = true })
    raises("unknown option 'n'", gos.select, table.pack(ch))
    raises("unknown option '0'", gos.select, { [0] = ch })
    raises("unknown option '1.5'", gos.select, { ch, [1.5] = ch })
    raises("unknown option 'true'", gos.select, { ch, [true] = ch })
    assert.are.equal(1, #ch)
  end)
  it("has no holes", function()
    local ch = gos.chan(1)
    ch:send "stays"
    raises("case 2: channel, case or false expected, got nil", gos.select, { ch, nil, ch })
    raises("case 1: channel, case or false expected, got nil", gos.select, { nil, ch })
    raises("case 2: channel, case or false expected, got nil", gos.select, { [1] = ch, [3] = ch })
    local many = {}
    for i = 1, 100 do many[i] = ch end
    many[50] = nil
    raises("case 50: channel, case or false expected, got nil", gos.select, many)
    assert.are.equal(1, #ch)
  end)
  it("takes cases and options from wherever the table has them", function()
    local ch, other = gos.chan(1), gos.chan()
    local t = { timeout = 5 }
    for i = 20, 1, -1 do t[i] = i == 7 and ch or other end -- all of them in the table's hash part
    t.ordered = true
    ch:send "found"
    assert.are.same({ 7, "found" }, { gos.select(t) })
    t.timeout = 0.001
    assert.are.equal("timeout", (gos.select(t)))
    t.default = true
    assert.are.equal("default", (gos.select(t)))
    assert.are.equal("timeout", (gos.select(setmetatable({ ch, timeout = 0 }, { __index = { default = true } }))))
  end)
  it("a send on a closed channel raises, whatever else is ready or not", function()
    local ch = gos.chan()
    ch:close()
    raises("send on closed channel", gos.select, { gos.send(ch, {}), default = true })
    local open = gos.chan()
    local g = gos.go(function() return pcall(gos.select, { gos.send(open, {}), gos.nilchan }) end)
    settle()
    open:close()
    local _, ok, err = g:join()
    assert.is_false(ok)
    assert.is_true(support.contains(err, "send on closed channel"))
  end)
end)
