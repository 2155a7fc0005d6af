-- Channels: what GO_SEMANTICS promises, and the forms of the Lua calls.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local support = require "tests.lua.support"
local settle, raises = support.settle, support.raises

describe("an unbuffered channel", function()
  it("makes the sender wait for a receiver", function()
    local ch = gos.chan()
    local g = gos.go(ch.send, ch, 7)
    settle()
    assert.are.same({ "waiting", "chan send" }, { g:status() })
    assert.are.equal(7, ch:recv())
    assert.are.same({ true, true }, { g:join() })
  end)

  it("makes the receiver wait for a sender", function()
    local ch = gos.chan()
    local g = gos.go(ch.recv, ch)
    settle()
    assert.are.same({ "waiting", "chan receive" }, { g:status() })
    assert.is_true(ch:send(9))
    assert.are.same({ true, 9 }, { g:join() })
  end)

  it("serves waiters first in, first out", function()
    local ch, order = gos.chan(), {}
    for i = 1, 5 do
      gos.go(function()
        local v = ch:recv()
        order[#order + 1] = { i, v }
      end)
      settle()
    end
    for i = 1, 5 do ch:send(i * 10) end
    settle()
    assert.are.same({ { 1, 10 }, { 2, 20 }, { 3, 30 }, { 4, 40 }, { 5, 50 } }, order)
  end)

  it("has length and capacity 0", function()
    local ch = gos.chan()
    gos.go(ch.send, ch, 1)
    settle()
    assert.are.equal(0, #ch)
    assert.are.equal(0, ch:cap())
    ch:recv()
  end)
end)

describe("a buffered channel", function()
  it("keeps values in order and tells its length", function()
    local ch = gos.chan(2)
    ch:send(1)
    ch:send(2)
    assert.are.same({ 2, 2 }, { #ch, ch:cap() })
    local g = gos.go(ch.send, ch, 3)
    settle()
    assert.are.equal("waiting", (g:status()))
    assert.are.equal(1, ch:recv())
    settle()
    assert.are.equal("dead", (g:status()))
    assert.are.same({ 2, 3 }, { ch:recv(), ch:recv() })
  end)

  it("wraps around many times", function()
    local ch = gos.chan(3)
    local sum = 0
    gos.go(function()
      for i = 1, 1000 do ch:send(i) end
      ch:close()
    end)
    for v in ch do sum = sum + v end
    assert.are.equal(500500, sum)
  end)
end)

describe("close", function()
  it("lets the values inside be received, then gives nil, closed", function()
    local ch = gos.chan(2)
    ch:send(5)
    assert.is_true(ch:close())
    assert.are.equal(5, ch:recv())
    for _ = 1, 3 do assert.are.same({ nil, "closed" }, { ch:recv() }) end
    assert.are.same({ nil, "closed" }, { ch:try_recv() })
  end)

  it("is true for the call that closed, false for later ones", function()
    local ch = gos.chan()
    assert.is_false(ch:closed())
    assert.is_true(ch:close())
    assert.is_false(ch:close())
    assert.is_true(ch:closed())
  end)

  it("wakes all receivers", function()
    local ch, gs = gos.chan(), {}
    for i = 1, 10 do gs[i] = gos.go(ch.recv, ch) end
    settle()
    ch:close()
    for i = 1, 10 do assert.are.same({ true, nil, "closed" }, { gs[i]:join() }) end
  end)

  it("makes a waiting sender raise, and its value is not lost to it", function()
    local ch, value = gos.chan(), {}
    local g = gos.go(function()
      local ok, err = pcall(ch.send, ch, value)
      return ok, err, value
    end)
    settle()
    ch:close()
    local joined, ok, err, v = g:join()
    assert.is_true(joined)
    assert.is_false(ok)
    assert.is_true(support.contains(err, "send on closed channel"))
    assert.are.equal(value, v)
  end)

  it("makes later sends raise, with the position of the call", function()
    local ch = gos.chan(1)
    ch:close()
    local err = raises("send on closed channel", function() ch:send(1) end)
    assert.is_truthy(err:find("chan_spec.lua:%d+:"))
    raises("send on closed channel", function() ch:try_send(1) end)
  end)

  it("of the nil channel raises", function()
    raises("close of nil channel", function() gos.nilchan:close() end)
  end)

  it("happens at the end of a scope", function()
    local kept
    do
      local ch <close> = gos.chan()
      kept = ch
    end
    assert.is_true(kept:closed())
  end)
end)

describe("the nil channel", function()
  it("blocks for ever both ways", function()
    local s, r = gos.go(gos.nilchan.send, gos.nilchan, 1), gos.go(gos.nilchan.recv, gos.nilchan)
    settle()
    assert.are.same({ "waiting", "chan send (nil chan)" }, { s:status() })
    assert.are.same({ "waiting", "chan receive (nil chan)" }, { r:status() })
    s:interrupt()
    r:interrupt()
    assert.are.same({ true, nil, "canceled" }, { s:join() })
    assert.are.same({ true, nil, "canceled" }, { r:join() })
  end)

  it("is never ready", function()
    assert.are.same({ nil, "empty" }, { gos.nilchan:try_recv() })
    assert.is_false(gos.nilchan:try_send(1))
    assert.are.same({ nil, "timeout" }, { gos.nilchan:recv(0.001) })
    assert.are.equal(0, #gos.nilchan)
    assert.are.equal(0, gos.nilchan:cap())
    assert.is_false(gos.nilchan:closed())
  end)
end)

describe("try forms", function()
  it("of send: false when it would wait", function()
    local ch = gos.chan(1)
    assert.is_true(ch:try_send(1))
    assert.is_false(ch:try_send(2))
    assert.are.equal(1, ch:recv())
  end)
  it("of receive: nil, empty when it would wait", function()
    local ch = gos.chan(1)
    assert.are.same({ nil, "empty" }, { ch:try_recv() })
    ch:send(false)
    assert.are.equal(false, ch:try_recv())
  end)
  it("meet a waiting partner", function()
    local ch = gos.chan()
    local g = gos.go(ch.recv, ch)
    settle()
    assert.is_true(ch:try_send "x")
    assert.are.same({ true, "x" }, { g:join() })
  end)
end)

describe("timeouts", function()
  it("give nil, timeout; 0, negative and tiny ones too", function()
    local ch = gos.chan()
    for _, t in ipairs { 0, -1, -math.huge, 1e-12, 0.002 } do
      assert.are.same({ nil, "timeout" }, { ch:recv(t) })
      assert.are.same({ nil, "timeout" }, { ch:send(1, t) })
    end
  end)
  it("do not hinder what is ready", function()
    local ch = gos.chan(1)
    assert.is_true(ch:send("v", 0))
    assert.are.equal("v", ch:recv(-5))
  end)
  it("of infinity wait for ever", function()
    local ch = gos.chan()
    gos.go(function() ch:send(1, math.huge) end)
    assert.are.equal(1, ch:recv(math.huge))
  end)
  it("leave the value with the caller and the channel as it was", function()
    local ch, v = gos.chan(), setmetatable({}, {})
    assert.are.same({ nil, "timeout" }, { ch:send(v, 0.001) })
    assert.are.same({ nil, "empty" }, { ch:try_recv() })
    local g = gos.go(ch.send, ch, v)
    assert.are.equal(v, ch:recv())
    g:join()
  end)
  it("must be numbers or contexts", function()
    local ch = gos.chan()
    raises("NaN", ch.recv, ch, 0 / 0)
    raises("NaN", ch.send, ch, 1, 0 / 0)
    raises("seconds or context expected, got table", ch.recv, ch, {})
    raises("seconds or context expected, got string", ch.send, ch, 1, "1")
  end)
end)

describe("values", function()
  it("of every type come out as they went in", function()
    local ch = gos.chan(1)
    local co = coroutine.create(print)
    local values = { true, false, 0, -1, 1, 2 ^ 47 | 0, -(2 ^ 47) | 0, 2 ^ 47 - 1 | 0, -(2 ^ 47) - 1 | 0, math.maxinteger,
      math.mininteger, 0.0, -0.0, 1.5, math.huge, -math.huge, 5e-324, 1.7976931348623157e308, "", "text", ("long"):rep(1000),
      "with\0zero", {}, print, function() end, co, io.stdout, gos.null, ch, gos.go }
    for _, v in ipairs(values) do
      ch:send(v)
      local got = ch:recv()
      assert.is_true(rawequal(v, got))
      assert.are.equal(math.type(v), math.type(got))
      if v == 0 then assert.are.equal(1 / v, 1 / got) end
    end
  end)

  it("of every type meet a waiting receiver too", function()
    local ch, back = gos.chan(), gos.chan()
    gos.go(function() for v in ch do back:send(v) end end)
    for _, v in ipairs { 1, 1.5, "s", {}, false, gos.null, math.maxinteger } do
      ch:send(v)
      assert.is_true(rawequal(v, back:recv()))
    end
    ch:close()
  end)

  it("keep NaN a NaN, its sign included", function()
    local ch = gos.chan(2)
    for _, nan in ipairs { 0 / 0, -(0 / 0) } do
      ch:send(nan)
      local got = ch:recv()
      assert.are.equal("float", math.type(got))
      assert.is_true(got ~= got)
      assert.are.equal(tostring(nan), tostring(got))
    end
    -- NaNs that look like this binding's own representation of other values
    for _, bits in ipairs { 0xFFFA000000000001, 0xFFFB000000000000, 0xFFFC000000000001, 0xFFFFFFFFFFFFFFFF } do
      local nan = string.unpack("<d", string.pack("<I8", bits))
      ch:send(nan)
      local got = ch:recv()
      assert.is_true(math.type(got) == "float" and got ~= got)
    end
  end)

  it("of nil cannot be sent; gos.null stands for it", function()
    local ch = gos.chan(1)
    raises("cannot send nil (use gos.null)", ch.send, ch, nil)
    raises("cannot send nil (use gos.null)", ch.send, ch)
    raises("cannot send nil (use gos.null)", ch.try_send, ch)
    ch:send(gos.null)
    assert.are.equal(gos.null, ch:recv())
    assert.are.equal("null", tostring(gos.null))
  end)
end)

describe("for v in ch", function()
  it("ends when the channel is closed and empty", function()
    local ch, got = gos.chan(3), {}
    for i = 1, 3 do ch:send(i) end
    ch:close()
    for v in ch do got[#got + 1] = v end
    assert.are.same({ 1, 2, 3 }, got)
  end)
  it("goes on over false", function()
    local ch, n = gos.chan(2), 0
    ch:send(false)
    ch:send(false)
    ch:close()
    for v in ch do n = n + (v == false and 1 or 0) end
    assert.are.equal(2, n)
  end)
  it("raises when the goroutine is interrupted", function()
    local g = gos.go(function() for _ in gos.nilchan do end end)
    settle()
    g:interrupt()
    local ok, err = g:join()
    assert.is_nil(ok)
    assert.is_true(support.contains(err, "canceled"))
  end)
end)

describe("views", function()
  local ch = gos.chan(1)
  local s, r = ch:sender(), ch:receiver()
  it("share the channel", function()
    s:send(3)
    assert.are.same({ 1, 1, 1 }, { #ch, #s, #r })
    assert.are.equal(3, r:recv())
    assert.are.equal(1, s:cap())
  end)
  it("refuse the wrong direction with a clear message", function()
    raises("cannot receive from a send-only channel", s.recv, s)
    raises("cannot receive from a send-only channel", s.try_recv, s)
    raises("cannot receive from a send-only channel", function() for _ in s do end end)
    raises("cannot send to or close a receive-only channel", r.send, r, 1)
    raises("cannot send to or close a receive-only channel", r.try_send, r, 1)
    raises("cannot send to or close a receive-only channel", r.close, r)
    raises("receive-only", r.sender, r)
    raises("send-only", s.receiver, s)
  end)
  it("of the nil channel exist", function()
    assert.is_false(gos.nilchan:sender():try_send(1))
  end)
  it("outlive the channel's own handle", function()
    local view
    do
      local c = gos.chan(1)
      c:send { "kept" }
      view = c:receiver()
    end
    collectgarbage()
    collectgarbage()
    assert.are.same({ "kept" }, view:recv())
  end)
  it("of a view close the channel", function()
    assert.is_true(s:sender():close())
    assert.is_true(r:closed())
  end)
end)

describe("bad input", function()
  it("is refused with the argument's number", function()
    raises("bad argument #1 to 'chan' (negative capacity)", function() gos.chan(-1) end)
    raises("bad argument #1 to 'chan' (number expected, got string)", function() gos.chan "x" end)
    raises("number has no integer representation", function() gos.chan(1.5) end)
    raises("bad argument #2 to 'chan'", function() gos.chan(1, {}) end)
    local ch = gos.chan()
    raises("channel expected, got table", ch.send, {}, 1)
    raises("channel expected, got nil", ch.recv, nil)
    raises("channel expected, got gossamer.null", ch.recv, gos.null)
    raises("channel expected", ch.close, io.stdout)
    raises("channel expected, got gossamer.mutex", ch.cap, gos.mutex())
  end)
  it("too large a capacity is an error, not a crash", function()
    raises("not enough memory", gos.chan, math.maxinteger)
    raises("not enough memory", gos.chan, 1 << 56)
  end)
end)

describe("tostring", function()
  it("tells kind and name", function()
    local ch = gos.chan(0, "jobs")
    assert.is_truthy(tostring(ch):find "^channel: .* %(jobs%)$")
    assert.is_truthy(tostring(ch:sender()):find "^send%-only channel: ")
    assert.is_truthy(tostring(ch:receiver()):find "^receive%-only channel: ")
    assert.are.equal("channel: nil", tostring(gos.nilchan))
  end)
end)
