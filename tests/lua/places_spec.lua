-- More places where a goroutine may wait, and what must mean inside it what it means in plain Lua.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local support = require "tests.lua.support"
local contains, settle = support.contains, support.settle

local function case(name, f) support.case(it, name, f) end

local function meta(event, f) return setmetatable({}, { [event] = f }) end

describe("waiting where values are compared and found:", function()
  case("table.sort by __lt", function(c)
    local mt = { __lt = function(a, b)
      c:recv()
      return a[1] < b[1]
    end }
    local t = {}
    for i = 1, 30 do t[i] = setmetatable({ i * 7 % 31 }, mt) end
    table.sort(t)
    for i = 2, 30 do assert(t[i - 1][1] < t[i][1]) end
  end)
  case("a sort inside a comparator of a sort", function(c)
    local t = { 3, 1, 2 }
    table.sort(t, function(a, b)
      local u = { b, a }
      table.sort(u, function(x, y) return c:recv() and x < y end)
      return u[1] == a and a ~= b
    end)
    assert(table.concat(t) == "123")
  end)
  case("a comparator that fails after a wait", function(c)
    local ok, err = pcall(table.sort, { 2, 1, 3 }, function() error { c:recv() } end)
    assert(not ok and err[1] == 1)
  end)
  case("__eq in a search, __le in a chain", function(c)
    local mt = { __eq = function(a, b) return c:recv() and a.v == b.v end,
      __le = function(a, b) return c:recv() and a.v <= b.v end }
    local function new(v) return setmetatable({ v = v }, mt) end
    local found
    for i = 1, 5 do if new(i) == new(4) then found = i end end
    assert(found == 4 and new(1) <= new(2) and new(2) <= new(2) and (new(3) <= new(2)) == false)
  end)
  case("a chain of __index functions and tables", function(c)
    local a = meta("__index", function(_, k) return k .. c:recv() end)
    local b = setmetatable({}, { __index = setmetatable({}, { __index = a }) })
    assert(b.x == "x1" and b["y"] == "y2")
  end)
  case("__newindex that stores elsewhere", function(c)
    local store = {}
    local t = meta("__newindex", function(_, k, v) store[k] = v + c:recv() end)
    t.x, t.y = 10, 20
    assert(store.x + store.y == 33 and rawget(t, "x") == nil)
  end)
  case("globals through _ENV's __index", function(c)
    local f = load("return first + second", "env", "t", meta("__index", function() return c:recv() end))
    assert(f() == 3)
  end)
  case("ipairs through __index, pairs through __pairs", function(c)
    local t = meta("__index", function(_, i) return i <= 3 and c:recv() or nil end)
    local sum = 0
    for _, v in ipairs(t) do sum = sum + v end
    local p = meta("__pairs", function()
      return function(_, k)
        k = (k or 0) + 1
        if k <= 2 then return k, c:recv() end
      end
    end)
    for _, v in pairs(p) do sum = sum + v end
    assert(sum == 1 + 2 + 3 + 4 + 5)
  end)
end)

describe("waiting where values become others:", function()
  case("print and tostring by __tostring", function(c)
    local v = meta("__tostring", function() return "v" .. c:recv() end)
    local out = {}
    local env = { print = function(...) for _, x in ipairs { ... } do out[#out + 1] = tostring(x) end end }
    load("local a, b = ... print(a, b)", "p", "t", env)(v, v)
    assert(table.concat(out, " ") == "v1 v2")
  end)
  case("the real print, which calls it between its writes", function(c)
    local v = meta("__tostring", function()
      c:recv()
      return ""
    end)
    print(v, v)
    assert(c:recv() == 3)
  end)
  case("a chain of __call", function(c)
    local inner = meta("__call", function(_, ...) return c:recv(), ... end)
    local outer = setmetatable({}, { __call = inner })
    local n, self, x = outer "x"
    assert(n == 1 and self == outer and x == "x")
  end)
  local concat = support.concat_moves_stack_safely() and case or pending
  concat("__concat of several operands", function(c)
    local mt = {}
    mt.__concat = function(a, b)
      local function text(v) return type(v) == "table" and v.s or v end
      return text(a) .. text(b) .. c:recv()
    end
    local v = setmetatable({ s = "v" }, mt)
    assert("a" .. v .. "b" .. v == "avbv12")
  end)
  case("arithmetic in the middle of an expression", function(c)
    local v = setmetatable({}, { __add = function(a, b)
      return (type(a) == "number" and a or type(b) == "number" and b or 0) + c:recv()
    end })
    assert((1 + v) * 10 + (v + 2) == 24)
  end)
  case("gsub inside gsub", function(c)
    local r = ("ab"):gsub(".", function(x)
      return (x:rep(2):gsub(".", function(y) return y .. c:recv() end))
    end)
    assert(r == "a1a2b3b4")
  end)
  case("gmatch and its loop", function(c)
    local t = {}
    for w in ("one two three"):gmatch "%a+" do t[#t + 1] = w .. c:recv() end
    assert(table.concat(t, " ") == "one1 two2 three3")
  end)
  case("io.lines' loop, and the file stays the same", function(c)
    local name = os.tmpname()
    local f = assert(io.open(name, "w"))
    f:write "a\nb\nc\n"
    f:close()
    local t = {}
    for line in io.lines(name) do t[#t + 1] = line .. c:recv() end
    os.remove(name)
    assert(table.concat(t) == "a1b2c3")
  end)
end)

describe("waiting around errors:", function()
  case("xpcall's handler after an error of the machine", function(c)
    local ok, err = xpcall(function() return nil + 1 end, function(e) return { e, c:recv() } end)
    assert(not ok and contains(err[1], "arithmetic") and err[2] == 1)
  end)
  case("a handler that fails itself", function(c)
    local ok, err = xpcall(error, function() c:recv() error "again" end)
    assert(not ok and err ~= nil)
  end)
  case("error objects of every type come through", function(c)
    for _, e in ipairs { 1, true, "s", {}, print } do
      local ok, err = pcall(function()
        c:recv()
        error(e, 0)
      end)
      assert(not ok and err == e)
    end
    local ok, err = pcall(function() c:recv() error() end)
    assert(not ok and err == support.error_nil)
  end)
  case("error's levels", function(c)
    local function thrower() error("m", 2) end
    local ok, err = pcall(function()
      c:recv()
      thrower()
    end)
    assert(not ok and contains(err, "places_spec.lua:"))
  end)
  case("__close that fails replaces the error", function(c)
    local ok, err = pcall(function()
      local _ <close> = setmetatable({}, { __close = function(_, e) error(e .. c:recv(), 0) end })
      local _ <close> = setmetatable({}, { __close = function(_, e) error(e .. c:recv(), 0) end })
      error("e", 0)
    end)
    assert(not ok and err == "e12")
  end)
  case("__close of goto, nested blocks and loops", function(c)
    local log = {}
    local function closing(name)
      return setmetatable({}, { __close = function() log[#log + 1] = name .. c:recv() end })
    end
    for i = 1, 2 do
      local _ <close> = closing("l" .. i)
      if i == 1 then goto continue end
      do
        local _ <close> = closing "b"
      end
      ::continue::
    end
    assert(table.concat(log, " ") == "l11 b2 l23")
  end)
  case("tail calls and variable arguments", function(c)
    local function loop(n, ...)
      if n == 0 then return ... end
      return loop(n - 1, c:recv(), ...)
    end
    assert(select("#", loop(5)) == 5 and (loop(1)) == 6)
  end)
end)

describe("waiting where code is loaded:", function()
  case("load with a mode, a name and an environment", function(c)
    local n = 0
    local f = assert(load(function()
      n = n + 1
      c:recv()
      return ({ "x = ", "y + 1 ", "return x" })[n]
    end, "=chunk", "t", { y = 41 }))
    assert(f() == 42)
  end)
  case("load whose reader fails", function(c)
    local ok, f, err = pcall(load, function() error("reader" .. c:recv(), 0) end) -- pcall: no outer handler sees it
    assert(ok and f == nil and err == "reader1")
  end)
  case("binary chunks through a reader", function(c)
    local bytes, i = string.dump(function(x) return x + 1 end), 0
    local f = assert(load(function()
      c:recv()
      i = i + 1
      return i <= #bytes and bytes:sub(i, i) or nil
    end, "b", "b"))
    assert(f(1) == 2)
  end)
  case("a module's file", function(c)
    local dir = os.tmpname()
    os.remove(dir)
    local name = "gossamer_" .. dir:match "%w+$"
    local file = dir .. name .. ".lua"
    local f = assert(io.open(file, "w"))
    f:write "local name, path = ... return { gossamer_places:recv(), name, path }"
    f:close()
    _G.gossamer_places = c
    local path = package.path
    package.path = dir .. "?.lua"
    local ok, m = pcall(require, name)
    package.path, _G.gossamer_places, package.loaded[name] = path, nil, nil
    os.remove(file)
    assert(ok and m[1] == 1 and m[2] == name and m[3] == file)
  end)
  case("a module that two goroutines require at once", function(c)
    local loads = 0
    package.preload.gossamer_twice = function()
      loads = loads + 1
      c:recv()
      return loads
    end
    local g = gos.go(require, "gossamer_twice")
    local first = require "gossamer_twice"
    local _, second = g:join()
    package.loaded.gossamer_twice, package.preload.gossamer_twice = nil, nil
    assert(first >= 1 and second >= 1 and loads <= 2) -- as in any Lua whose loader yields: no lock is held
  end)
end)

describe("waiting in coroutines:", function()
  case("yields between waits, across pcall and metamethods", function(c)
    local co = coroutine.wrap(function()
      local ok, v = pcall(function()
        coroutine.yield(c:recv())
        local t = meta("__index", function(_, k) return coroutine.yield(k) end)
        return t.key
      end)
      coroutine.yield(ok and v)
      c:recv()
      return "end"
    end)
    assert(co() == 1 and co() == "key" and co "value" == "value" and co() == "end")
  end)
  case("an iterator that yields and waits", function(c)
    local function numbers(n)
      return coroutine.wrap(function()
        for _ = 1, n do coroutine.yield(c:recv()) end
      end)
    end
    local sum = 0
    for a in numbers(3) do for b in numbers(2) do sum = sum + a * 0 + b end end
    assert(sum > 0)
  end)
  case("status and isyieldable", function(c)
    local co
    co = coroutine.create(function()
      c:recv()
      assert(coroutine.status(co) == "running" and coroutine.isyieldable() and coroutine.running() == co)
      coroutine.yield()
    end)
    assert(coroutine.resume(co) and coroutine.status(co) == "suspended")
    assert(coroutine.close(co) and coroutine.status(co) == "dead")
  end)
  case("close with pending variables that wait and fail", function(c)
    local co = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = function() error("closing" .. c:recv(), 0) end })
      coroutine.yield(c:recv())
    end)
    assert(coroutine.resume(co))
    local ok, err = coroutine.close(co)
    assert(not ok and err == "closing2")
  end)
  case("wrap that raises closes its coroutine", function(c)
    local closed
    local f = coroutine.wrap(function()
      local _ <close> = gos.defer(function() closed = c:recv() end)
      c:recv()
      error { "obj" }
    end)
    local ok, err = pcall(f)
    assert(not ok and err[1] == "obj" and closed == 2)
    assert(not pcall(f))
  end)
  case("a comparator that yields gets Lua's own error, and one may go on waiting", function(c)
    local co = coroutine.create(function()
      table.sort({ 2, 1 }, function() coroutine.yield() end)
    end)
    local ok, err = coroutine.resume(co)
    assert(not ok and contains(err, "attempt to yield across a C-call boundary"))
    assert(c:recv() == 1)
  end)
  case("the collector finds what waits nowhere", function(c)
    local weak = setmetatable({}, { __mode = "k" })
    do
      local co = coroutine.wrap(function()
        c:recv()
        coroutine.yield()
      end)
      co()
      weak[co] = true
    end
    collectgarbage()
    collectgarbage()
    assert(next(weak) == nil)
  end)
end)

describe("waiting under debug.sethook:", function()
  case("a line hook of the running thread", function(c)
    local n = 0
    debug.sethook(function()
      if n < 3 then
        n = n + 1
        c:recv()
      end
    end, "l")
    local x = 1
    x = x + 1
    x = x + 1
    debug.sethook()
    assert(n == 3 and x == 3)
  end)
  case("call and return hooks", function(c)
    local log = {}
    local busy
    debug.sethook(function(event)
      if busy or #log >= 2 then return end
      busy = true
      log[#log + 1] = event .. c:recv()
      busy = false
    end, "cr")
    math.abs(-1)
    debug.sethook()
    assert(#log == 2)
  end)
  case("a hook that raises", function(c)
    local ok, err = pcall(function()
      debug.sethook(function()
        debug.sethook()
        error("hook" .. c:recv(), 0)
      end, "", 1)
      for _ = 1, 100 do end
    end)
    debug.sethook()
    assert(not ok and err == "hook1")
  end)
  it("hooks belong to their goroutine", function()
    local n = 0
    local g = gos.go(function()
      debug.sethook(function() n = n + 1 end, "", 10)
      gos.gosched()
      return debug.gethook() ~= nil
    end)
    settle()
    assert.are.same({ true, true }, { g:join() })
    if not support.stressed then assert.is_nil((debug.gethook())) end
    local before = n
    for _ = 1, 1000 do end
    assert.are.equal(before, n)
  end)
end)

describe("debug's view of a goroutine that waits", function()
  it("shows its frames, locals and upvalues", function()
    local ch, up = gos.chan(), "up"
    local thread
    local g = gos.go(function()
      local here = "local" -- luacheck: ignore
      thread = coroutine.running()
      local v = ch:recv()
      return v, up
    end)
    settle()
    assert.is_true(contains(debug.traceback(thread), "places_spec.lua"))
    local info = debug.getinfo(thread, 1, "Slf")
    assert.is_true(contains(info.short_src, "places_spec.lua"))
    local name, value = debug.getlocal(thread, 1, 1)
    assert.are.same({ "here", "local" }, { name, value })
    debug.setlocal(thread, 1, 1, "changed")
    ch:send "v"
    assert.are.same({ true, "v", "up" }, { g:join() })
  end)
end)

describe("a finalizer that fails or starts goroutines", function()
  it("is Lua's warning, and the goroutine runs", function()
    local out, status = support.script [[
      local ch = gos.chan(1)
      warn "@on"
      do
        setmetatable({}, { __gc = function() gos.go(function() ch:send "started" end) gos.sleep(1) end })
      end
      collectgarbage() collectgarbage()
      print(ch:recv())]]
    assert.are.equal(0, status, out)
    assert.is_true(contains(out, "started"), out)
    assert.is_true(contains(out, "cannot wait in a finalizer"), out)
  end)
end)

describe("a script", function()
  it("that ends with runnable goroutines leaves them, as Go does", function()
    local out, status = support.script [[
      for i = 1, 3 do gos.go(print, "never " .. i) end]]
    assert.are.same({ "", 0 }, { out, status })
  end)
  it("may end inside nested calls of C", function()
    for _, where in ipairs {
      "table.sort({ 3, 2, 1 }, function() os.exit(3, true) end)",
      "string.gsub('x', 'x', function() os.exit(3, true) end)",
      "coroutine.wrap(function() pcall(function() os.exit(3, true) end) end)()",
      "gos.go(function() table.sort({ 3, 2, 1 }, function() os.exit(3, true) end) end) gos.nilchan:recv()",
      "local _ <close> = gos.defer(os.exit, 3, true)",
    } do
      local out, status = support.script("for i = 1, 5 do gos.go(gos.nilchan.recv, gos.nilchan) end gos.gosched()\n" .. where)
      assert.are.same({ "", 3 }, { out, status }, where)
    end
  end)
  it("that is interrupted by the key raises Lua's error in main, and the others go on", function()
    local out, status = support.script [[
      local n = 0
      gos.go(function() while true do gos.sleep(0.001) n = n + 1 end end)
      local main = gos.goroutines()[1]
      gos.go(function()
        while main:status() ~= "waiting" do gos.sleep(0.001) end
        io.popen("kill -INT $PPID"):close()
      end)
      print(pcall(gos.nilchan.recv, gos.nilchan))
      local before = n
      gos.sleep(0.02)
      print(n > before)]]
    assert.are.equal(0, status, out)
    assert.is_true(contains(out, "interrupted!"), out)
    assert.is_true(contains(out, "true\n"), out)
  end)
  it("by Ctrl-C is not lost where what main joins ends just then", function()
    local out, status = support.script [[
      local g = gos.go(function()
        local kill <close> = io.popen "kill -INT $PPID" -- closed when the runtime has had time to tell main
        local start = os.clock()
        while os.clock() - start < 0.1 do end
      end)
      local ok, err = pcall(g.join, g)
      print(ok, err)
      print(g:join())]]
    assert.are.same({ "false\tinterrupted!\ntrue\n", 0 }, { out, status })
  end)
end)
