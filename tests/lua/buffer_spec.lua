-- gos.buffer: bytes that states share.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local support = require "tests.lua.support"
local raises = support.raises

describe("a buffer", function()
  it("is made of zeros or of a string", function()
    assert.are.equal("\0\0\0", gos.buffer(3):tostring())
    assert.are.equal("a\0b", tostring(gos.buffer "a\0b"))
    assert.are.equal(0, #gos.buffer(0))
    assert.are.equal(0, #gos.buffer "")
    assert.are.equal(2, #gos.buffer(2.0))
    assert.are.equal("12", gos.buffer("12"):tostring())
    for _, bad in ipairs { -1, 1 << 60, 1.5 } do assert.has_error(function() gos.buffer(bad) end) end
    raises("size or string expected", gos.buffer)
    raises("size or string expected", gos.buffer, {})
    raises("not enough memory for a buffer of", gos.buffer, 1 << 46)
  end)
  it("gives strings as string.sub does", function()
    local s = "hello, buffer"
    local b = gos.buffer(s)
    for i = -15, 15 do
      assert.are.equal(s:sub(i), b:sub(i))
      for j = -15, 15 do assert.are.equal(s:sub(i, j), b:sub(i, j)) end
    end
    assert.are.equal(s:sub(math.mininteger, math.maxinteger), b:sub(math.mininteger, math.maxinteger))
    assert.are.equal("", b:sub(math.maxinteger, math.mininteger))
  end)
  it("takes bytes that fit", function()
    local b = gos.buffer(6)
    assert.are.equal(4, b:set(1, "abc"))
    assert.are.equal(7, b:set(4, gos.buffer "def"))
    assert.are.equal(7, b:set(-1, "F"))
    assert.are.equal(7, b:set(7, ""))
    assert.are.equal("abcdeF", b:tostring())
    b:set(2, b:slice(1, 5)) -- overlaps
    assert.are.equal("aabcde", b:tostring())
    assert.are.equal(3, b:set(1, 12))
    raises("2 bytes at position 6 do not fit into a buffer of 6 bytes", b.set, b, 6, "xy")
    raises("position 0 is outside of a buffer of 6 bytes", b.set, b, 0, "x")
    raises("position 8 is outside", b.set, b, 8, "")
    raises("position -7 is outside", b.set, b, -7, "")
    raises("outside", b.set, b, math.mininteger, "")
    raises("outside", b.set, b, math.maxinteger, "")
    raises("string expected", b.set, b, 1, {})
    raises("buffer expected", b.set, "b", 1, "")
    assert.are.equal("12bcde", b:tostring())
  end)
  it("packs and unpacks as string.pack does", function()
    local b = gos.buffer(1000)
    local next_ = b:pack(1, "<i4 d z s2 B", -5, 2.5, "text", "more", 255)
    assert.are.equal(1 + string.packsize "<i4 d" + 5 + 6 + 1, next_)
    assert.are.same({ -5, 2.5, "text", "more", 255, next_ }, { b:unpack(1, "<i4 d z s2 B") })
    assert.are.equal(996 + 5, b:pack(-4, "I4", 7))
    assert.are.same({ 7, 1001 }, { b:unpack(997, "I4") })
    assert.are.same({ 1001 }, { b:unpack(1001, "") })
    raises("4 bytes at position 998 do not fit", b.pack, b, 998, "i4", 1)
    raises("data string too short", b.unpack, b, 998, "i4")
    raises("invalid format option", b.unpack, b, 1, "?")
    raises("invalid format option", b.pack, b, 1, "?")
    raises("buffer_spec.lua", function() b:pack(1, "i1", 1000) end)
    raises("overflow", b.pack, b, 1, "i1", 1000)
    raises("position 1002 is outside", b.unpack, b, 1002, "")
  end)
  it("unpacks what is long", function()
    local long = ("x"):rep(1 << 20)
    local b = gos.buffer(string.pack("s4 z i1", long, long, 7))
    local x, y, z, at = b:unpack(1, "s4 z i1")
    assert.is_true(x == long and y == long)
    assert.are.same({ 7, #b + 1 }, { z, at })
    raises("unfinished string", b.unpack, gos.buffer(long), 1, "z")
  end)
  it("has slices that are the same memory", function()
    local b = gos.buffer "0123456789"
    local s = b:slice(3, 6)
    assert.are.equal("2345", s:tostring())
    s:set(1, "ab")
    assert.are.equal("01ab456789", b:tostring())
    local inner = s:slice(2)
    inner:set(-1, "Z")
    assert.are.equal("01ab4Z6789", b:tostring())
    assert.are.equal("b4Z", inner:tostring())
    assert.are.equal("", b:slice(11):tostring())
    assert.are.equal("", b:slice(4, 3):tostring())
    assert.are.equal("9", b:slice(-1):tostring())
    assert.are.equal("78", b:slice(-3, -2):tostring())
    raises("do not fit into a buffer of 4 bytes", s.set, s, 3, "abc")
    raises("position 12 is outside of a buffer of 10 bytes", b.slice, b, 12)
    raises("no slice from 4 to 2 of 10 bytes", b.slice, b, 4, 2)
    raises("no slice from 1 to 11 of 10 bytes", b.slice, b, 1, 11)
    raises("no slice from 1 to -12 of 10 bytes", b.slice, b, 1, -12)
    b, s = nil, nil -- luacheck: ignore
    for _ = 1, 3 do collectgarbage() end
    assert.are.equal("b4Z", inner:tostring())
  end)
  it("equals one with the same bytes", function()
    local b = gos.buffer "abcabc"
    assert.is_true(b == gos.buffer "abcabc")
    assert.is_true(b:slice(1, 3) == b:slice(4))
    assert.is_true(gos.buffer(0) == gos.buffer "")
    assert.is_false(b == gos.buffer "abcabd")
    assert.is_false(b:slice(1, 3) == b)
    assert.is_false(b == "abcabc")
    assert.is_false(b == gos.chan())
  end)
  it("is not kept when nobody refers to it", function()
    local function resident()
      for line in io.lines "/proc/self/status" do
        local kb = line:match "^VmRSS:%s*(%d+)"
        if kb then return tonumber(kb) end
      end
    end
    local before = resident()
    for _ = 1, 300 do gos.buffer(("x"):rep(1 << 20)) end -- Lua's collector keeps up with memory it does not see
    assert.is_true(resident() - before < 150000)
  end)
  it("goes between goroutines as any value", function()
    local ch = gos.chan()
    local b = gos.buffer "x"
    gos.go(ch.send, ch, b)
    assert.is_true(rawequal(b, ch:recv()))
  end)
end)

describe("a shared buffer", function()
  it("is the same memory in another state", function()
    local b = gos.buffer(8)
    local ok, n, back = gos.isolate(function(it_)
      it_:pack(1, "i8", 42)
      return #it_, it_
    end, b):join()
    assert.are.same({ true, 8 }, { ok, n })
    assert.are.same({ 42, 9 }, { b:unpack(1, "i8") })
    back:set(1, "changed!")
    assert.are.equal("changed!", b:tostring())
    assert.is_true(back == b)
  end)
  it("goes through channels, in tables, in upvalues, and as slices", function()
    local work, done = gos.chan(), gos.chan()
    local b = gos.buffer(("-"):rep(20))
    local last = b:slice(-4)
    local g = gos.isolate(function()
      for t in work do
        t.part:set(1, t.text)
        assert(t.part == t.again and rawequal(t.part, t.again))
        done:send(#t.part)
      end
      last:set(1, "last")
    end)
    for i = 1, 4 do
      local part = b:slice(4 * i - 3, 4 * i)
      work:send { part = part, again = part, text = ("p%d"):format(i) }
      assert.are.equal(4, done:recv())
    end
    work:close()
    assert(g:join())
    assert.are.equal("p1--p2--p3--p4--last", b:tostring())
  end)
  it("lives as long as anybody has it", function()
    local out = gos.chan(1)
    assert(gos.isolate(function()
      local gos_ = require "gossamer"
      out:send(gos_.buffer("made elsewhere"):slice(1, 4))
    end):join())
    collectgarbage()
    assert.are.equal("made", out:recv():tostring())
    local ch = gos.chan(1)
    assert(gos.isolate(function() end, ch):join())
    ch:send(gos.buffer(100)) -- nobody takes it out
    ch = nil -- luacheck: ignore
    for _ = 1, 3 do collectgarbage() end
  end)
  it("needs no more than gossamer.native there", function()
    local b = gos.buffer "\7\0"
    assert.are.same({ true, 7, 3 }, { gos.isolate(function() return b:unpack(1, "<i2") end):join() })
  end)
  it("is written by several states at once, each its part", function()
    local n, part = 4, 10000
    local b = gos.buffer(n * part)
    local wg = gos.waitgroup()
    wg:add(n)
    for i = 1, n do
      gos.isolate(function()
        local mine = b:slice((i - 1) * part + 1, i * part)
        for k = 1, part do mine:pack(k, "B", i) end
        wg:done()
      end)
    end
    assert.is_true(wg:wait())
    for i = 1, n do assert.is_true(b:sub((i - 1) * part + 1, i * part) == string.char(i):rep(part)) end
  end)
end)

describe("streams and buffers", function()
  it("read into and write from them", function()
    local a, b = gos.net.socketpair()
    local out, inp = gos.buffer "hello, world", gos.buffer(5)
    assert.are.equal(12, a:write(out))
    assert.are.equal(5, b:read_into(inp, 5))
    assert.are.equal("hello", inp:tostring())
    assert.are.equal(", wor", b:read(5, 5))
    assert.are.equal(2, b:read_into(inp, 5))
    assert.are.equal("ldllo", inp:tostring())
    assert.are.same({ nil, "timeout" }, { b:read_into(inp, 0.001) })
    assert.are.equal(1, a:write(out:slice(1, 1)))
    assert.are.equal(1, b:read_into(inp:slice(3), 5))
    assert.are.equal("ldhlo", inp:tostring())
    raises("the buffer has no room", b.read_into, b, gos.buffer(0))
    raises("buffer expected", b.read_into, b, "x")
    raises("string expected", a.write, a, {})
    a:close()
    assert.are.same({ nil, "eof" }, { b:read_into(inp, 5) })
    b:close()
    assert.are.same({ nil, "closed" }, { b:read_into(inp, 5) })
  end)
  it("large ones too, while others run", function()
    local a, b = gos.net.socketpair()
    local big = gos.buffer(("0123456789abcdef"):rep(1 << 16))
    local got, n = gos.buffer(#big), 0
    gos.go(function()
      a:write(big)
      a:close()
    end)
    while true do
      local k, why = b:read_into(got:slice(n + 1), 30)
      if not k then
        assert.are.equal("eof", why)
        break
      end
      n = n + k
      if n == #big then break end
    end
    assert.is_true(n == #big and got == big)
    b:close()
  end)
  it("of files", function()
    local name = os.tmpname()
    assert.are.equal(6, gos.file.write(name, gos.buffer "abcdef"))
    local f <close> = gos.file.open(name)
    local b = gos.buffer(4)
    assert.are.equal(4, f:read_into(b))
    assert.are.equal("abcd", b:tostring())
    assert.are.equal(2, f:read_into(b))
    assert.are.equal("efcd", b:tostring())
    assert.are.same({ nil, "eof" }, { f:read_into(b) })
    os.remove(name)
    local r = gos.process.run({ "cat", input = gos.buffer "through" }, 60)
    assert.are.equal("through", r.stdout)
  end)
  it("as datagrams", function()
    local a, b = gos.net.socketpair "unixgram"
    assert.are.equal(3, a:write(gos.buffer "one"))
    assert.are.equal("one", b:read(10, 5))
  end)
end)
