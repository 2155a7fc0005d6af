-- A goroutine may wait wherever Lua, or C on behalf of Lua, calls back. Each case runs in a
-- goroutine and again in the main chunk; c:recv() waits for a partner and gives 1, 2, 3, ...
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local support = require "tests.lua.support"
local contains = support.contains

local function case(name, f) support.case(it, name, f) end

describe("waiting in protected calls:", function()
  case("pcall", function(c)
    local ok, err = pcall(function()
      c:recv()
      error { code = c:recv() }
    end)
    assert(not ok and err.code == 2)
  end)
  case("pcall in pcall", function(c)
    local ok, err = pcall(function()
      local ok, err = pcall(function() error(c:recv()) end)
      assert(not ok and err == 1)
      error(c:recv() + err)
    end)
    assert(not ok and err == 3)
  end)
  case("xpcall with arguments", function(c)
    local ok, a, b = xpcall(function(x) return x, c:recv() end, debug.traceback, "x")
    assert(ok and a == "x" and b == 1)
  end)
  case("xpcall's handler", function(c)
    local ok, err = xpcall(error, function(e) return e .. c:recv() end, "e")
    assert(not ok and err == "e1")
  end)
  case("before an error whose traceback is whole", function(c)
    local function inner()
      c:recv()
      error "here"
    end
    local ok, t = xpcall(function() inner() end, debug.traceback)
    assert(not ok and contains(t, "here") and contains(t, "inner"))
  end)
end)

describe("waiting in metamethods:", function()
  local expressions = { __add = "a + b", __sub = "a - b", __mul = "a * b", __div = "a / b", __mod = "a % b", __pow = "a ^ b",
    __unm = "-a", __idiv = "a // b", __band = "a & b", __bor = "a | b", __bxor = "a ~ b", __shl = "a << b", __shr = "a >> b",
    __bnot = "~a", __concat = "a .. b", __len = "#a", __eq = "a == b", __lt = "a < b", __le = "a <= b", __index = "a.x",
    __call = "a(b)", __newindex = "(function() a.x = 1 return true end)()", __tostring = "tostring(a)",
    __pairs = "pairs(a) and true" }
  if support.stressed and not support.concat_moves_stack_safely() then expressions.__concat = nil end
  for event, expression in pairs(expressions) do
    case(event, function(c)
      local n = 0
      local mt = { [event] = function()
        n = n + c:recv()
        return event == "__tostring" and "s" or event == "__pairs" and next or 1
      end }
      local a, b = setmetatable({}, mt), setmetatable({}, mt)
      assert(assert(load("local a, b = ... return " .. expression))(a, b))
      assert(n == 1)
    end)
  end
  case("__index called by C", function(c)
    local t = setmetatable({}, { __index = function() return "v" .. c:recv() end, __len = function() return 3 end })
    assert(table.concat(t, ",") == "v1,v2,v3")
  end)
  case("__close at the end, at an error, at a return, at a break", function(c)
    local log = {}
    local function closing() return setmetatable({}, { __close = function(_, e) log[#log + 1] = { c:recv(), e } end }) end
    do
      local _ <close> = closing()
    end
    local ok, err = pcall(function()
      local _ <close> = closing()
      error("E", 0)
    end)
    assert(not ok and err == "E")
    local function f()
      local _ <close> = closing()
      return 1, 2, 3
    end
    assert(select("#", f()) == 3)
    for i in function(_, i) return (i or 0) + 1 end, nil, nil, closing() do
      if i == 3 then break end
    end
    for i = 1, 4 do assert(log[i][1] == i and log[i][2] == (i == 2 and "E" or nil)) end
  end)
end)

describe("waiting in callbacks of C:", function()
  case("table.sort's comparator", function(c)
    local t = {}
    for i = 1, 100 do t[i] = i * 37 % 101 end
    table.sort(t, function(a, b)
      c:recv()
      return a < b
    end)
    for i = 2, 100 do assert(t[i - 1] <= t[i]) end
  end)
  case("string.gsub's function", function(c)
    assert(string.gsub("a-b-c", "%a", function(s) return s .. c:recv() end) == "a1-b2-c3")
  end)
  case("string.gsub's table with __index", function(c)
    local t = setmetatable({}, { __index = function(_, k) return k .. c:recv() end })
    assert(string.gsub("x y", "%a", t) == "x1 y2")
  end)
  case("string.format's __tostring", function(c)
    local v = setmetatable({}, { __tostring = function() return "<" .. c:recv() .. ">" end })
    assert(string.format("%s %s", v, v) == "<1> <2>")
  end)
  case("an iterator of for", function(c)
    local sum = 0
    for v in function()
      local v = c:recv()
      return v < 5 and v or nil
    end do sum = sum + v end
    assert(sum == 10)
  end)
  case("load's reader", function(c)
    local parts, i = { "return ", "40", " + ", "2" }, 0
    local f = assert(load(function()
      c:recv()
      i = i + 1
      return parts[i]
    end))
    assert(f() == 42)
  end)
  case("require, through preload and a searcher", function(c)
    package.preload.gossamer_test_module = function() return { c:recv() } end
    assert(require "gossamer_test_module"[1] == 1)
    package.loaded.gossamer_test_module, package.preload.gossamer_test_module = nil, nil
    table.insert(package.searchers, 1, function(name)
      local n = c:recv()
      return name == "gossamer_test_other" and function() return n + c:recv() end or nil
    end)
    local ok, v = pcall(require, "gossamer_test_other")
    table.remove(package.searchers, 1)
    package.loaded.gossamer_test_other = nil
    assert(ok and v == 5)
  end)
  case("dofile", function(c)
    local name = os.tmpname()
    local f = assert(io.open(name, "w"))
    f:write "local c = gossamer_test_channel return c:recv(), c:recv()"
    f:close()
    _G.gossamer_test_channel = c
    local a, b = dofile(name)
    _G.gossamer_test_channel = nil
    os.remove(name)
    assert(a == 1 and b == 2)
  end)
  case("table functions with metamethods", function(c)
    local store = { 3, 1, 2 }
    local t = setmetatable({}, {
      __index = function(_, k) c:recv() return store[k] end,
      __newindex = function(_, k, v) c:recv() store[k] = v end,
      __len = function() c:recv() return #store end,
    })
    table.insert(t, 1, 9)
    assert(table.remove(t) == 2)
    table.sort(t)
    assert(table.concat(table.move(t, 1, 3, 1, {}), ",") == "1,3,9")
    assert(select("#", table.unpack(t)) == 3)
  end)
  case("a debug hook", function(c)
    local n = 0
    local co = coroutine.create(function() for _ = 1, 100 do end end)
    debug.sethook(co, function() n = n + c:recv() end, "", 100)
    assert(coroutine.resume(co))
    debug.sethook(co)
    assert(n >= 1)
  end)
end)

describe("coroutines in goroutines:", function()
  case("a generator that waits", function(c)
    local gen = coroutine.wrap(function() for _ = 1, 3 do coroutine.yield(c:recv()) end end)
    assert(gen() == 1 and gen() == 2 and gen() == 3)
  end)
  case("deeply nested ones", function(c)
    local function nest(n) return n == 0 and c:recv() or coroutine.wrap(nest)(n - 1) end
    assert(nest(50) == 1)
  end)
  case("an error after a wait", function(c)
    local co = coroutine.create(function()
      c:recv()
      error { c:recv() }
    end)
    local ok, err = coroutine.resume(co)
    assert(not ok and err[1] == 2 and coroutine.status(co) == "dead")
  end)
  case("one goes on in another goroutine", function()
    local co = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end)
    assert(co() == 1)
    assert(support.run(co) == 2)
    assert(co() == 3)
  end)
  case("one that waits is normal to everybody else", function()
    local ch = gos.chan()
    local co = coroutine.create(function() return ch:recv() end)
    local g = gos.go(coroutine.resume, co)
    support.settle()
    assert(coroutine.status(co) == "normal")
    local ok, err = coroutine.resume(co)
    assert(not ok and contains(err, "cannot resume non-suspended coroutine"))
    assert(not pcall(coroutine.close, co))
    ch:send "v"
    local _, resumed, v = g:join()
    assert(resumed and v == "v")
  end)
  case("coroutine.close while another waits", function(c)
    local closed
    local co = coroutine.create(function()
      local _ <close> = gos.defer(function() closed = c:recv() end)
      coroutine.yield()
    end)
    coroutine.resume(co)
    assert(coroutine.close(co) and closed == 1)
  end)

  it("a goroutine is no coroutine that others could resume, close or yield from", function()
    local ch = gos.chan()
    local thread, main
    local g = gos.go(function()
      thread, main = coroutine.running()
      assert(not coroutine.isyieldable())
      local ok, err = pcall(coroutine.yield)
      assert(not ok and contains(err, "attempt to yield"))
      return ch:recv()
    end)
    support.settle()
    assert.is_false(main)
    assert.are.equal("normal", coroutine.status(thread))
    assert.is_false((coroutine.resume(thread, "hijack")))
    assert.is_false((pcall(coroutine.close, thread)))
    ch:send "v"
    assert.are.same({ true, "v" }, { g:join() })
    assert.are.equal("dead", coroutine.status(thread))
    assert.is_false((coroutine.resume(thread)))
  end)
end)

describe("deep recursion in a goroutine", function()
  local function overflows(f)
    local c = support.counter()
    support.run(function()
      local ok, err = pcall(f)
      assert(not ok and contains(tostring(err), "overflow"), tostring(err))
      assert(c:recv() == 1)
    end)
  end
  it("of Lua functions", function()
    overflows(function()
      local function f() return 1 + f() end
      return f()
    end)
    local c = support.counter()
    support.run(function()
      local function f(n)
        if n == 0 then return c:recv() end
        local r = f(n - 1)
        return r
      end
      assert(f(100000) == 1)
    end)
  end)
  it("through string.gsub", function()
    overflows(function()
      local function f() return (string.gsub("x", "x", f)) end
      return f()
    end)
  end)
  it("through string.format", function()
    overflows(function()
      local t = setmetatable({}, {})
      getmetatable(t).__tostring = function() return string.format("%s %-99s %99.99f", t, "x", 1e308) end
      return tostring(t)
    end)
  end)
  it("through pcall, metamethods, sort, coroutines, require and the parser", function()
    overflows(function()
      local function f()
        local ok, err = pcall(f)
        if not ok then error(err, 0) end
      end
      f()
    end)
    overflows(function()
      local mt = {}
      mt.__index = function(t, k) return t[k] end
      return setmetatable({}, mt).x
    end)
    overflows(function()
      local function f() table.sort({ 1, 2, 3 }, function(a, b) f() return a < b end) end
      f()
    end)
    overflows(function()
      local function f() return coroutine.wrap(f)() end
      return f()
    end)
    overflows(function()
      local function f() return assert(load(function() f() end))() end
      f()
    end)
    overflows(function() assert(load("return " .. ("("):rep(1000) .. "1" .. (")"):rep(1000))) end)
    overflows(function() assert(load("return " .. ("{"):rep(1000) .. ("}"):rep(1000))) end)
  end)
  it("of patterns", function()
    support.run(function()
      assert(string.match(("a"):rep(190), ("a?"):rep(190)))
      local ok, err = pcall(string.match, ("a"):rep(300), ("a?"):rep(300))
      assert(not ok and contains(err, "too complex"))
    end)
  end)
end)

describe("a finalizer", function()
  local function in_finalizer(f)
    local result
    do
      setmetatable({}, { __gc = function() result = table.pack(pcall(f)) end })
    end
    collectgarbage()
    collectgarbage()
    assert(result, "the finalizer has not run")
    return table.unpack(result, 1, result.n)
  end
  local function refused(f)
    local ok, err = in_finalizer(f)
    assert.is_false(ok)
    assert.is_true(contains(err, "cannot wait in a finalizer (__gc)"), tostring(err))
  end
  it("cannot wait", function()
    local ch, mu, wg = gos.chan(), gos.mutex(), gos.waitgroup()
    mu:lock()
    wg:add(1)
    local g = gos.go(gos.nilchan.recv, gos.nilchan)
    refused(function() ch:recv() end)
    refused(function() ch:send {} end)
    refused(function() ch:recv(5) end)
    refused(function() gos.select { ch, gos.send(ch, {}) } end)
    refused(function() gos.sleep(1) end)
    refused(function() mu:lock() end)
    refused(function() wg:wait() end)
    refused(function() g:join() end)
    local ok, err = in_finalizer(gos.goexit)
    assert.is_false(ok)
    assert.is_true(contains(err, "finalizer"))
    g:interrupt()
    g:join()
    assert.are.same({ nil, "empty" }, { ch:try_recv() })
    assert.is_false(ch:try_send(1))
  end)
  it("can do what does not wait", function()
    local ch, mu = gos.chan(1), gos.mutex()
    local ok, err = in_finalizer(function()
      assert(ch:send { "v" })
      assert(mu:lock())
      mu:unlock()
      assert(gos.select { ch, default = true } == 1)
      assert(ch:try_send "w")
      gos.gosched()
      gos.go(function() ch:send "x" end)
      gos.sleep(0)
    end)
    assert.is_true(ok, tostring(err))
    assert.are.equal("w", ch:recv())
    assert.are.equal("x", ch:recv())
  end)
  it("of an object whose goroutine waits inside table.sort runs as ever", function()
    local ch, n = gos.chan(), 0
    local g = gos.go(function()
      table.sort({ 2, 1 }, function(a, b)
        ch:recv()
        return a < b
      end)
    end)
    support.settle()
    for _ = 1, 10 do
      setmetatable({}, { __gc = function() n = n + 1 end })
    end
    collectgarbage()
    collectgarbage()
    assert.are.equal(10, n)
    ch:close()
    g:join()
  end)
end)
