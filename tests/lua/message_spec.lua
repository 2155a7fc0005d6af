-- What goes from one Lua state to another, and channels that states share.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local support = require "tests.lua.support"
local contains, raises, script, settle = support.contains, support.raises, support.script, support.settle

-- A channel that another state knows, so that all that is sent is copied.
local function shared(cap)
  local ch = gos.chan(cap or 1)
  assert(gos.isolate(function() end, ch):join())
  return ch
end

-- A copy of v, made in this state.
local function copy(v)
  local ch = shared()
  ch:send(v)
  return ch:recv()
end

-- f(v) as another state has it.
local function there(f, ...)
  local r = table.pack(gos.isolate(f, ...):join())
  assert(r[1], r[2])
  return table.unpack(r, 2, r.n)
end

describe("a copy", function()
  it("of numbers is exact, with their types", function()
    for _, v in ipairs { 0, 1, -1, 127, 128, -128, -129, 1 << 47, -(1 << 47), (1 << 47) - 1, math.maxinteger,
      math.mininteger } do
      assert.are.equal(v, copy(v))
      assert.are.equal(v, copy { v }[1])
      assert.are.equal("integer", math.type(copy { v }[1]))
    end
    for _, v in ipairs { 0.0, 1.5, -0.0, 1e300, 5e-324, math.huge, -math.huge, 3.0 } do
      assert.are.equal(v, copy { v }[1])
      assert.are.equal(1 / v, 1 / copy { v }[1])
      assert.are.equal("float", math.type(copy { v }[1]))
    end
    local nan = copy { 0 / 0 }[1]
    assert.are_not.equal(nan, nan)
    assert.are_not.equal(copy(0 / 0), copy(0 / 0))
  end)
  it("of strings, whatever bytes and length", function()
    for _, n in ipairs { 0, 1, 39, 40, 41, 255, 256, 65536, 3000000 } do
      local s = ("\0\xff\u{20AC}"):rep(n // 5 + 1):sub(1, n)
      assert.is_true(s == copy(s))
      assert.is_true(s == copy { s }[1])
      assert.is_true(copy { [s] = s }[s] == s)
    end
  end)
  it("of booleans, null, light userdata", function()
    assert.are.same({ true, false }, copy { true, false })
    assert.are.equal(gos.null, copy { gos.null }[1])
    assert.is_true(there(function(t) return t[1] == gos.null end, { gos.null }))
    assert.is_true(copy(true))
  end)
  it("of tables: lists, holes, every kind of key", function()
    local t = { 1, 2, nil, 4, x = { y = { z = {} } }, [2.5] = 1, [true] = 2, [-1] = 3, [1 << 40] = 4, [false] = { {} } }
    assert.are.same(t, copy(t))
    local list = {}
    for i = 1, 1000 do list[i] = { id = i, name = "n" .. i, v = i * 0.5 } end
    assert.are.same(list, copy(list))
    local key = {}
    local c = copy { [key] = key }
    local k, v = next(c)
    assert.is_true(k == v and k ~= key)
  end)
  it("of cycles, and what comes more than once", function()
    local t = { list = {} }
    t.self, t.list.up, t.a = t, t, t.list
    local c = copy(t)
    assert.is_true(c.self == c and c.list.up == c and c.a == c.list and c ~= t)
    local many, one = {}, { 1 }
    for i = 1, 500 do many[i] = { one, i } end
    c = copy(many)
    for i = 1, 500 do assert.is_true(c[i][1] == c[1][1] and c[i][2] == i) end
  end)
  it("has no metatable", function()
    assert.is_nil(getmetatable(copy(setmetatable({ 1 }, { __index = print }))))
  end)
  it("of functions: upvalues, shared ones too, recursion, globals", function()
    local n, t = 5, { 1 }
    local function inc() n = n + 1 return n end
    local function get() return n, t[1] end
    local c = copy { inc = inc, get = get, t = t }
    assert.are.equal(6, c.inc())
    assert.are.same({ 6, 1 }, { c.get() })
    assert.are.equal(5, n)
    c.t[1] = 2
    assert.are.equal(2, select(2, c.get()))
    local function fact(i) return i < 2 and 1 or i * fact(i - 1) end
    assert.are.equal(120, copy(fact)(5))
    assert.are.equal("3", there(function(f) return f(3) end, function(x) return tostring(x) end))
    assert.are.equal(7, copy(load "local a, b = ... return a + b")(3, 4))
  end)
  it("of C functions is the same function of the other state", function()
    local sub, pr, go = string.sub, print, gos.go
    assert.is_true(there(function(a, b, c)
      return a == string.sub and b == print and c == require "gossamer".go
    end, sub, pr, go))
    raises("msg is a C function that no loaded module has", copy, string.gmatch("a", "a"))
    raises("msg.f is a C function", copy, { f = coroutine.wrap(print) })
  end)
  it("of C functions of a part of a module, and the part itself as an upvalue", function()
    local net, file, lookup = gos.net, gos.file, gos.net.lookup
    assert.is_true(there(function(dial, int)
      local here = require "gossamer"
      return dial == here.net.dial and int == here.atomic.int and lookup == here.net.lookup and net == here.net and
        file == here.file and file.read ~= nil
    end, gos.net.dial, gos.atomic.int))
    assert.are.same({ "127.0.0.1" }, select(2, gos.isolate(gos.net.lookup, "127.0.0.1"):join()))
    assert.is_true(there(function(part) return part.dial == require "gossamer".net.dial end, gos.net))
  end)
  it("of a table in a module, with values of its own, is a copy", function()
    package.loaded["only.here"] = { options = { print = print, level = 3 } }
    local options = package.loaded["only.here"].options
    local level, same = there(function() return options.level, options.print == print end)
    package.loaded["only.here"] = nil
    assert.are.same({ 3, true }, { level, same })
  end)
  it("of a part of a module needs it there", function()
    local module = package.loaded["string"]
    module.only_here, module.parts = string.gmatch("a", "a"), { gos.go }
    local it_, part = module.only_here, module.parts
    local _, no_function = gos.isolate(it_):join()
    local _, no_part = gos.isolate(function() return part end):join()
    module.only_here, module.parts = nil, nil
    assert.is_true(contains(no_function, "cannot receive: no such function here: string.only_here"), no_function)
    assert.is_true(contains(no_part, "cannot receive: there is no string.parts here"), no_part)
  end)
  it("needs the modules there", function()
    package.loaded["only.here"] = { f = 1 }
    local m = package.loaded["only.here"]
    local ok, err = gos.isolate(function() return m end):join()
    package.loaded["only.here"] = nil
    assert.is_nil(ok)
    assert.is_true(contains(err, "cannot receive: module 'only.here' not found"))
  end)
end)

describe("what cannot be sent is named", function()
  local file = io.stdout
  local function f() return file end
  for path, v in pairs {
    ["msg is userdata"] = file,
    ["msg.items[3].fn: upvalue 'file' is userdata"] = { items = { 1, 2, { fn = f } } },
    ["msg.items[2][3]: upvalue 'file' is userdata"] = { items = { 0, { 1, 2, f } } },
    ["msg[\"a b\"][true][1.5] is a coroutine"] = { ["a b"] = { [true] = { [1.5] = coroutine.create(print) } } },
    ["msg: upvalue 'f': upvalue 'file' is userdata"] = function() return f() end,
    ["msg.t: a key is userdata"] = { t = { [file] = 1 } },
    ["msg[1] is userdata"] = { gos.go(print, "") },
  } do
    it(path, function() raises("cannot send " .. path, copy, v) end)
  end
  it("deep nesting too", function()
    local t = {}
    local deep = t
    for _ = 1, 198 do deep[1] = {} deep = deep[1] end
    local c, n = copy(t), 0
    while c do c, n = c[1], n + 1 end
    assert.are.equal(199, n)
    for _ = 1, 100 do deep.x = {} deep = deep.x end
    raises("tables are nested more than 200 deep", copy, t)
    raises("...", copy, t)
  end)
  it("and nothing was sent", function()
    local ch = shared()
    raises("cannot send", ch.send, ch, file)
    raises("cannot send", ch.try_send, ch, { 1, file })
    raises("case 2: cannot send msg[1] is userdata", gos.select, { gos.send(ch, { 1 }), gos.send(ch, { file }) })
    assert.are.equal(0, #ch)
    ch:send "next"
    assert.are.equal("next", ch:recv())
  end)
end)

describe("a shared channel", function()
  it("goes over channels, with its name and what it can do", function()
    local name, can = there(function(ch, s, r)
      return tostring(ch), pcall(s.recv, s), pcall(r.send, r, 1)
    end, gos.chan(1, "named"), gos.chan(1):sender(), gos.chan(1):receiver())
    assert.is_true(contains(name, "(named)"))
    assert.is_false(can)
    local reply = gos.chan(1)
    local requests = gos.chan()
    local g = gos.isolate(function(rs) for r in rs do r.reply:send(r.n * 2) end end, requests)
    for i = 1, 10 do
      requests:send { n = i, reply = reply }
      assert.are.equal(i * 2, reply:recv())
    end
    requests:close()
    assert.is_true((g:join()))
  end)
  it("is equal to itself", function()
    local ch = gos.chan(2)
    assert.is_true(there(function(a, b) return a == b and rawequal(a, b) end, ch, ch))
    local box = shared(2)
    box:send(ch)
    assert.is_true(box:recv() == ch)
    assert.is_false(gos.chan() == ch)
  end)
  it("keeps what was in it and who waits", function()
    local ch, t = gos.chan(2), { 1 }
    local g = {}
    for i = 1, 5 do g[i] = gos.go(function() return ch:send { i } end) end
    g[6] = gos.go(function() return (gos.select{ gos.send(ch, { 6 }), gos.nilchan }) end)
    g[7] = gos.go(function() return ch:send("x", 1000) end)
    settle()
    local sum = there(function(c)
      local n = 0
      for _ = 1, 7 do
        local v = c:recv()
        n = n + (v == "x" and 7 or v[1])
      end
      return n
    end, ch, t)
    assert.are.equal(28, sum)
    for i = 1, 7 do assert.is_true((g[i]:join())) end
    local r = {}
    for i = 1, 3 do r[i] = gos.go(function() return ch:recv() end) end
    r[4] = gos.go(function() return select(2, gos.select{ gos.nilchan, ch }) end)
    settle()
    there(function(c) for i = 1, 4 do c:send { i } end end, ch)
    sum = 0
    for i = 1, 4 do sum = sum + select(2, r[i]:join())[1] end
    assert.are.equal(10, sum)
  end)
  it("becomes one while receivers and selects wait", function()
    local ch, other = gos.chan(), gos.chan()
    local r = {}
    for i = 1, 4 do
      r[i] = gos.go(function()
        if i % 2 == 0 then return ch:recv() end
        return select(2, gos.select{ other, ch, timeout = 1000 })
      end)
    end
    settle()
    there(function(c) for i = 1, 4 do c:send(i) end end, ch)
    local sum = 0
    for i = 1, 4 do sum = sum + select(2, r[i]:join()) end
    assert.are.equal(10, sum)
  end)
  it("cannot be one with a value that cannot be sent, or a timer's", function()
    local ch = gos.chan(2)
    ch:send { 1 }
    ch:send { io.stdout }
    raises("cannot send argument 1: it holds a value that cannot be sent: msg[1] is userdata", gos.isolate, print, ch)
    assert.are.equal(1, ch:recv()[1])
    assert.are.equal(io.stdout, ch:recv()[1]) -- it is as it was
    raises("argument 1 is a timer's channel", gos.isolate, print, gos.after(1))
    raises("argument 1 is a timer's channel", gos.isolate, print, gos.timer(1).C)
  end)
  it("may contain itself, and channels in channels", function()
    local ch = gos.chan(1)
    ch:send(ch)
    assert.is_true(there(function(c) return c:recv() == c end, ch))
    local first = gos.chan(1)
    local inner = first
    for _ = 1, 10 do
      local next_one = gos.chan(1)
      inner:send { next_one }
      inner = next_one
    end
    inner:send "bottom"
    assert.are.equal("bottom", there(function(c)
      local v
      repeat
        v = c:recv()
        c = type(v) == "table" and v[1]
      until not c
      return v
    end, first))
  end)
  it("a goroutine's done channel, a nil channel", function()
    local gate = gos.chan()
    local g = gos.go(function() gate:recv() end)
    local waits = gos.isolate(function(done, nilchan)
      return select(2, done:recv()), nilchan:recv(0) == nil
    end, g:done(), gos.nilchan)
    gate:close()
    assert.are.same({ true, "closed", true }, { waits:join() })
  end)
  it("close, len, cap, closed, iteration, deadlines", function()
    local ch = gos.chan(3)
    local g = gos.isolate(function(c)
      c:send(1)
      c:send { 2 }
      local len, cap = #c, c:cap()
      c:send "3"
      local timeout = select(2, c:send({}, 0.001))
      return len, cap, timeout, c:try_send {}, c:close(), c:close()
    end, ch)
    assert.are.same({ true, 2, 3, "timeout", false, true, false }, { g:join() })
    assert.is_true(ch:closed())
    local got = {}
    for v in ch do got[#got + 1] = v end
    assert.are.same({ 1, { 2 }, "3" }, got)
    raises("send on closed channel", ch.send, ch, {})
    raises("send on closed channel", gos.select, { gos.send(ch, {}) })
    assert.are.same({ nil, "closed" }, { ch:try_recv() })
  end)
  it("carries nothing away when its state ends", function()
    local ch = gos.chan(3)
    for i = 1, 3 do assert.is_true((gos.isolate(function(c, n) c:send { n } end, ch, i):join())) end
    for i = 1, 3 do assert.are.equal(i, ch:recv()[1]) end
    local made = there(function()
      local c = gos.chan(1)
      c:send { "of a state that is gone" }
      return c
    end)
    assert.are.same({ "of a state that is gone" }, made:recv())
    assert.is_true(made:try_send(1))
  end)
  it("many states, many goroutines: every value once", function()
    local jobs, results = gos.chan(4), gos.chan(4)
    local workers = {}
    for i = 1, 4 do
      workers[i] = gos.isolate(function(from, to)
        local wg = gos.waitgroup()
        for k = 1, 3 do
          wg:go(function()
            if k == 1 then
              for v in from do to:send { v, v * 2 } end
            else
              while true do
                local at, v, err = gos.select{ from, timeout = 0.0005 }
                if err == "closed" then return end
                if at == 1 then gos.select{ gos.send(to, { v, v * 2 }) } end
              end
            end
          end)
        end
        wg:wait()
      end, jobs, results)
    end
    local n = 3000
    gos.go(function() for i = 1, n do jobs:send(i) end jobs:close() end)
    local seen = {}
    for _ = 1, n do
      local v = results:recv()
      assert(not seen[v[1]] and v[2] == v[1] * 2)
      seen[v[1]] = true
    end
    for i = 1, 4 do assert.is_true((workers[i]:join())) end
    assert.are.same({ nil, "empty" }, { results:try_recv() })
  end)
  it("carries every size both ways, hundreds at a time", function() -- their memory goes round
    local out, back = gos.chan(200), gos.chan(200)
    local echo = gos.isolate(function()
      local kept = {}
      for v in out do -- in two halves, so that each state has many of them
        kept[#kept + 1] = v
        if #kept == 100 then
          for _, k in ipairs(kept) do back:send(k) end
          kept = {}
        end
      end
    end)
    for _, size in ipairs { 1, 60, 90, 100, 200, 1000, 4000, 10000, 100000, 200000 } do
      for _ = 1, 2 do
        for i = 1, 200 do out:send(string.char(i):rep(size)) end
        for i = 1, 200 do assert.is_true(back:recv() == string.char(i):rep(size)) end
      end
    end
    out:close()
    assert.is_true((echo:join()))
  end)
  it("values nobody received are freed with it", function()
    local before
    for round = 1, 3 do
      for _ = 1, 50 do
        local ch = gos.chan(10)
        for i = 1, 10 do ch:send { i, ("x"):rep(1000) } end
        gos.isolate(function(c) c:recv() end, ch):join()
      end
      collectgarbage()
      collectgarbage()
      if round == 1 then before = gos.stats().anchored end
    end
    assert.are.equal(before, gos.stats().anchored)
  end)
  it("may be the last of a long chain", function() -- freed one by one, not one inside the other
    local out = script [[
      local box, first = gos.chan(1), gos.chan(1)
      gos.isolate(function() end, box):join()
      for _ = 1, 50000 do
        local outer = gos.chan(1)
        outer:send { first }
        box:send(outer)
        first = box:recv()
      end
      first = nil
      collectgarbage() collectgarbage()
      print "end"]]
    assert.are.equal("end\n", out)
  end)
end)

describe("states share", function()
  it("atomics", function()
    local n, flag = gos.atomic.int(5), gos.atomic.bool(false)
    local function count(a, f)
      while not f:load() do end -- never waits: set by another thread
      for _ = 1, 1000 do a:add(1) end
    end
    local x, y = gos.isolate(count, n, flag), gos.isolate(count, n, flag)
    flag:store(true)
    assert.is_true(x:join() and y:join())
    assert.are.equal(2005, n:load())
  end)
  it("mutexes", function()
    local mu, held = gos.mutex(), gos.chan()
    mu:lock()
    local g = gos.isolate(function(m, c)
      local tried = m:try_lock()
      c:send(tried)
      m:lock()
      m:unlock()
      return "had it"
    end, mu, held)
    assert.is_false(held:recv())
    mu:unlock()
    assert.are.same({ true, "had it" }, { g:join() })
    assert.is_true(mu:try_lock())
  end)
  it("wait groups: goroutines that vanish are done", function()
    local wg = gos.waitgroup()
    wg:add(2)
    local g = gos.isolate(function(w)
      w:go(function() gos.nilchan:recv() end)
      gos.go(function() w:done() end)
      w:done()
      gos.gosched()
    end, wg)
    assert.is_true(wg:wait())
    assert.is_true((g:join()))
  end)
  it("contexts, without their values", function()
    local ctx = gos.with_value("k", "v", gos.with_cancel())
    local scope, ready = gos.with_cancel(ctx), gos.chan()
    local g = gos.isolate(function(c, r)
      r:send(c:value "k" == nil)
      local v, err = gos.chan():recv(c)
      return v, err, c:err(), (select(2, c:done():recv()))
    end, scope, ready)
    assert.is_true(ready:recv())
    scope:cancel()
    assert.are.same({ true, nil, "canceled", "canceled", "closed" }, { g:join() })
    local mine = gos.with_cancel()
    assert.is_true((gos.isolate(function(c) c:cancel() end, mine):join()))
    assert.are.equal("canceled", mine:err())
  end)
  it("and what they share outlives the state that made it", function()
    local a, mu, ctx = there(function() return gos.atomic.int(7), gos.mutex(), gos.with_cancel() end)
    collectgarbage()
    assert.are.equal(8, a:add(1))
    assert.is_true(mu:try_lock())
    ctx:cancel()
    assert.are.equal("canceled", ctx:err())
  end)
end)
