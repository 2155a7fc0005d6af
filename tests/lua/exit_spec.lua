-- How programs end: deadlocks, errors nobody joins, os.exit, limits. Each in a process of its own.
-- SPDX-License-Identifier: Apache-2.0

local support = require "tests.lua.support"
local contains, script = support.contains, support.script

local function count(text, words)
  local n, at = 0, 1
  while true do
    local from, to = text:find(words, at, true)
    if not from then return n end
    n, at = n + 1, to + 1
  end
end

local function shows(out, ...)
  for _, words in ipairs { ... } do
    if not contains(out, words) then error(("%q is not in the output:\n%s"):format(words, out), 2) end
  end
end

describe("a deadlock", function()
  it("is an error of main's call, with a report", function()
    local out, status = script [[
      local ch = gos.chan()
      gos.go{function() ch:recv() end, name = "reader"}
      gos.go(function() gos.mutex():lock() gos.nilchan:send(1) end)
      gos.waitgroup():wait()
      local wg = gos.waitgroup()
      wg:add(1)
      wg:wait()]]
    assert.are.equal(1, status)
    shows(out, "all goroutines are asleep - deadlock!", "goroutine 1 [", "reader", "[chan receive]", "[chan send (nil chan)]")
    assert.is_truthy(out:find "lua_%w+:3") -- where the reader was created
    shows(out, "stack traceback:")
  end)
  it("can be caught, and the program goes on", function()
    local out, status = script [[
      for _, wait in ipairs{
        function() gos.chan():recv() end, function() gos.chan():send(1) end, function() gos.select{} end,
        function() gos.go(gos.nilchan.recv, gos.nilchan):join() end,
        function() local mu = gos.mutex() mu:lock() mu:lock() end,
        function() for _ in gos.chan() do end end,
        function() gos.goexit() end,
        function() coroutine.wrap(function() gos.chan():recv() end)() end,
      } do
        local ok, err = pcall(wait)
        print(ok, err:match("%- deadlock!"))
      end
      print(gos.go(function() return "fine" end):join())]]
    assert.are.equal(0, status)
    assert.are.equal(8, count(out, "false\t- deadlock!"))
    shows(out, "true\tfine")
  end)
  it("says no goroutines when main has called goexit", function()
    local out, status = script [[
      gos.go(function() gos.sleep(0.002) print "still ran" end)
      gos.goexit()]]
    assert.are.equal(1, status)
    shows(out, "still ran", "no goroutines (main called goexit) - deadlock!")
  end)
  it("is not seen while a timer is to come", function()
    local out, status = script [[
      local ch = gos.chan()
      gos.after_func(0.05, function() ch:send "late" end)
      print(ch:recv())]]
    assert.are.same({ "late\n", 0 }, { out, status })
  end)
  it("reports the errors first that may be its reason", function()
    local out = script [[
      local ch = gos.chan()
      gos.go(function() error "the reason" end)
      ch:recv()]]
    shows(out, "the reason", "deadlock!")
    assert.is_true(out:find("the reason", 1, true) < out:find("deadlock!", 1, true))
    assert.are.equal(1, count(out, "the reason"))
  end)
end)

describe("an error that nobody joins", function()
  it("is reported once, with traceback and creation site; the program goes on", function()
    local out, status = script [[
      local function failing() error "boom" end
      gos.go{function() failing() end, name = "worker"}
      gos.sleep(1.3)
      io.stderr:write "main goes on\n"]]
    assert.are.equal(0, status)
    shows(out, "goroutine 2 worker:", "boom", "stack traceback:", "failing", "created by goroutine 1 at")
    assert.are.equal(1, count(out, "boom"))
    assert.is_true(out:find("boom", 1, true) < out:find("main goes on", 1, true))
  end)
  it("is reported at the end at the latest", function()
    for _, last in ipairs { "", "os.exit(0)", "os.exit(0, true)", "gos.go(os.exit, 0) gos.gosched()",
      "gos.go(os.exit, 0, true) gos.gosched()" } do
      local out, status = script("gos.go(error, 'boom', 0) gos.gosched() " .. last)
      assert.are.same({ 1, 0 }, { count(out, "boom"), status }, last)
    end
  end)
  it("is not reported when it is joined", function()
    local out = script [[
      local g = gos.go(error, "boom", 0)
      gos.gosched()
      print(select("#", g:join()))
      local h = gos.go(error, "boom", 0)
      print(select("#", h:join()))]]
    assert.are.equal("3\n3\n", out)
  end)
  it("may have any value", function()
    local out = script [[
      gos.go(error, {})
      gos.go(error, nil)
      gos.go(error, setmetatable({}, {__tostring = function() return "told" end}))
      gos.go(error, setmetatable({}, {__tostring = function() error "no" end}))
      gos.gosched()]]
    shows(out, "(error object is a table value)", "(error object is a nil value)", "told")
    assert.are.equal(4, count(out, "gossamer: goroutine"))
  end)
  it("goes to on_panic's function", function()
    local out, status = script [[
      gos.on_panic(function(err, traceback, g)
        print("handler", err, type(traceback), g:name())
        gos.sleep(0.001)
        error "handler's own"
      end)
      gos.go{error, "boom", 0, name = "n"}
      gos.sleep(1.2)
      gos.on_panic "report"
      gos.go(error, "plain", 0)
      gos.gosched()]]
    assert.are.equal(0, status)
    shows(out, "handler\tboom\tstring\tn", "handler's own", "plain")
    assert.are.equal(1, count(out, "boom"))
  end)
  it("ends the process under crash, with status 2 and all goroutines", function()
    local out, status = script [[
      gos.on_panic "crash"
      gos.go(gos.nilchan.recv, gos.nilchan)
      gos.go(error, "boom", 0)
      gos.sleep(60)
      print "not reached"]]
    assert.are.equal(2, status)
    shows(out, "boom", "[chan receive (nil chan)]")
    assert.is_false(contains(out, "not reached"))
  end)
  it("under crash does not end it when it is joined", function()
    local out, status = script [[
      gos.on_panic "crash"
      print(gos.go(error, "boom", 0):join())]]
    assert.are.equal(0, status)
    shows(out, "nil\tboom")
  end)
end)

describe("the end of the program", function()
  local parked = [[
    local ch, mu, wg = gos.chan(), gos.mutex(), gos.waitgroup()
    mu:lock()
    wg:add(1)
    local keep = {}
    for i = 1, 100 do
      local x <close> = gos.defer(function() end)
      keep[i] = gos.go(function()
        local _ <close> = gos.defer(print, "not closed")
        local t = setmetatable({}, {__gc = function() end})
        local waits = {
          function() gos.chan():recv() end, function() ch:send({}) end,
          function() gos.select{gos.chan(), gos.send(ch, {})} end,
          function() mu:lock() end, function() wg:wait() end, function() gos.sleep(3600) end,
          function() pcall(ch.send, ch, {}) end,
          function() coroutine.wrap(function() ch:send(i, 3600) end)() end,
          function() table.sort({1, 2, 3}, function() gos.nilchan:recv() end) end,
          function() for _ in gos.tick(3600) do end end,
        }
        waits[i % #waits + 1]()
      end)
    end
    gos.after_func(3600, print)
    gos.gosched()
  ]]
  for name, last in pairs {
    ["of the script"] = "",
    ["by os.exit"] = "os.exit(7)",
    ["by os.exit with a closed state"] = "os.exit(7, true)",
    ["by os.exit in a goroutine"] = "gos.go(os.exit, 7) gos.nilchan:recv()",
    ["by os.exit in a goroutine, with a closed state"] = "gos.go(os.exit, 7, true) gos.nilchan:recv()",
    ["by os.exit in a coroutine of a goroutine, with a closed state"] =
      "gos.go(function() coroutine.wrap(function() os.exit(7, true) end)() end) gos.nilchan:recv()",
    ["by os.exit in a timer's function, with a closed state"] = "gos.after_func(0.001, os.exit, 7, true) gos.nilchan:recv()",
    ["by an error"] = "error('the end', 0)",
  } do
    it(name .. " with parked goroutines is clean", function()
      local out, status = script(parked .. last)
      assert.are.equal(last == "" and 0 or last:find "^error" and 1 or 7, status, out)
      if status ~= 1 then assert.are.equal("", out) end
    end)
  end

  it("closes main's variables where a goroutine closes the state, which may not wait", function()
    local out, status = script [[
      local _ <close> = gos.defer(function()
        print "closing"
        print(pcall(gos.sleep, 1))
        print(pcall(gos.nilchan.recv, gos.nilchan))
      end)
      gos.go(os.exit, 5, true)
      gos.sleep(60)]]
    assert.are.equal(5, status)
    shows(out, "closing")
    assert.are.equal(2, count(out, "cannot wait here: main's Lua thread runs another goroutine's call"))
  end)

  it("lets finalizers of older objects call gossamer in vain", function()
    local out, status = script [[
      local old = ...
      setmetatable({}, {__gc = function() print(pcall(gos.chan)) print(pcall(gos.go, print)) print(pcall(gos.sleep, 1)) end})]]
    assert.are.equal(0, status)
    assert.are.equal(3, count(out, "false\t") + count(out, "true\t"))
  end)

  it("with values in channels and results unread is clean", function()
    local out, status = script [[
      ch = gos.chan(100)
      for i = 1, 100 do ch:send({i}) end
      g = gos.go(function() return {}, {} end)
      gos.gosched()
      t = gos.timer(60)
      d = g:done()]]
    assert.are.same({ "", 0 }, { out, status })
  end)
end)

describe("loading", function()
  it("twice in one state gives the same runtime", function()
    local out = script [[
      local ch = gos.chan(1)
      package.loaded["gossamer"], package.loaded["gossamer.native"] = nil, nil
      local again = require "gossamer"
      again.go(function() ch:send(7) end)
      print(ch:recv(), again.null == gos.null)]]
    assert.are.equal("7\ttrue\n", out)
  end)
  it("from a coroutine and from a module works", function()
    local out = script [[
      print(coroutine.wrap(function() local g = require "gossamer" return select(2, g.go(g.goid):join()) end)() > 1)]]
    assert.are.equal("true\n", out)
  end)
end)

-- AddressSanitizer needs more address space than the limits here leave.
local limited = (os.getenv "LD_PRELOAD" or ""):find("asan", 1, true) and pending or it

describe("limits", function()
  limited("of memory give a clear error, and what runs goes on", function()
    local out, status = script([[
      local ch, n = gos.chan(), 0
      local ok, err = pcall(function()
        while true do
          gos.go(ch.recv, ch)
          n = n + 1
        end
      end)
      print(ok, err)
      ch:close()
      gos.sleep(0.001)
      print(n > 100, gos.go(function() return "ok" end):join(60))]], "ulimit -v 2000000")
    assert.are.equal(0, status, out)
    shows(out, "not enough memory", "true\ttrue\tok")
  end)
  limited("of memory inside many sends lose nothing", function()
    local out, status = script([[
      local ch, sent = gos.chan(1000000), 0
      local ok, err = pcall(function()
        while ch:try_send(("x"):rep(1000) .. sent) do sent = sent + 1 end
      end)
      local n = 0
      for _ = 1, #ch do
        assert(ch:recv():sub(1001) == tostring(n))
        n = n + 1
      end
      print(sent == n, ok or err)]], "ulimit -v 600000")
    assert.are.equal(0, status, out)
    shows(out, "true\t", "not enough memory")
  end)
  it("of the stack are told apart from crashes", function()
    local out, status = script [[
      local function deep() return (string.gsub("x", "x", deep)) end
      for _ = 1, 3 do print(gos.go(deep):join()) end]]
    assert.are.equal(0, status)
    assert.are.equal(3, count(out, "stack overflow"))
  end)
end)
