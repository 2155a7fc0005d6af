-- hook(): unmodified blocking code parks its goroutine only.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local support = require "tests.lua.support"
local settle = support.settle

-- Shell commands behind `wait` go on once the gate is open.
local gate = os.tmpname()
local wait = ("until [ -e %s ]; do sleep 0.005; done; "):format(gate)
local opened = gos.chan() -- the same for goroutines

-- Runs f in a goroutine, and fails unless it waits while the gate is shut.
local function parks(f, ...)
  os.remove(gate)
  local g = gos.go(f, ...)
  settle()
  assert.are.equal("waiting", (g:status()))
  assert(io.open(gate, "w")):close()
  gos.select { gos.send(opened, true), default = true }
  return select(2, assert(g:join()))
end

describe("hook", function()
  setup(function() assert.is_true(gos.hook()) end)
  teardown(function()
    gos.unhook()
    os.remove(gate)
  end)

  it("may be called again", function() assert.is_true(gos.hook()) end)
  it("os.execute", function()
    assert.are.same({ nil, "exit", 7 }, { parks(os.execute, wait .. "exit 7") })
    assert.is_true(os.execute())
  end)
  it("os.execute and io.popen start programs with no signal blocked", function()
    local here = io.open("/proc/self/status"):read("a"):match "SigBlk:%s*%x+"
    assert.are.equal(here, io.popen("grep SigBlk /proc/self/status"):read("a"):match "SigBlk:%s*%x+")
    local out = os.tmpname()
    assert.is_true(os.execute("grep SigBlk /proc/self/status >" .. out))
    assert.are.equal(here, gos.file.read(out):match "SigBlk:%s*%x+")
    os.remove(out)
    local ok, isolated = gos.isolate(function()
      require "gossamer"
      return io.popen("grep SigBlk /proc/self/status"):read("a"):match "SigBlk:%s*%x+"
    end):join()
    assert.are.same({ true, here }, { ok, isolated })
  end)
  it("os.execute of many at once", function()
    local wg, sum = gos.waitgroup(), 0
    for i = 1, 20 do
      wg:go(function()
        local _, _, code = os.execute("sleep 0.01; exit " .. i)
        sum = sum + code
      end)
    end
    wg:wait()
    assert.are.equal(210, sum)
  end)
  it("io.popen: lines, parts, all", function()
    local function read(how)
      local p = assert(io.popen(wait .. "exec 2>&-; echo one; sleep 0.01; echo two; printf 42.5; exit 3"))
      local r = how(p)
      r[#r + 1] = select(3, p:close())
      return r
    end
    assert.are.same({ "one", "two", 42.5, 3 }, parks(read, function(p)
      return { p:read "l", p:read "l", p:read "n" }
    end))
    assert.are.same({ "one\ntwo\n42.5", 3 }, parks(read, function(p) return { p:read "a" } end))
    assert.are.same({ "one\nt", "wo\n", "42.5", 3 }, parks(read, function(p) -- all: what it still writes would kill it
      return { p:read(5), p:read "L", p:read "a" }
    end))
    local lines = parks(read, function(p)
      local t = {}
      for line in p:lines() do t[#t + 1] = line end
      return t
    end)
    assert.are.same({ "one", "two", "42.5", 3 }, lines)
  end)
  it("io.popen: writing more than the pipe holds", function()
    local name = os.tmpname()
    local text = ("0123456789\n"):rep(20000)
    parks(function()
      local p = assert(io.popen(wait .. "cat >" .. name, "w"))
      assert(p:write(text, 17, " ", 2.5))
      assert(p:flush())
      assert(p:write(text))
      assert(p:close())
    end)
    assert.is_true(assert(io.open(name)):read "a" == text .. "17 2.5" .. text)
    os.remove(name)
  end)
  it("two goroutines write whole pieces", function()
    local name = os.tmpname()
    local p = assert(io.popen("sleep 0.02; cat >" .. name, "w"))
    local a, b = gos.go(p.write, p, ("a"):rep(200000)), gos.go(p.write, p, ("b"):rep(200000))
    assert(a:join())
    assert(b:join())
    assert(p:close())
    local text = io.open(name):read "a"
    assert.is_true(text == ("a"):rep(200000) .. ("b"):rep(200000) or text == ("b"):rep(200000) .. ("a"):rep(200000))
    os.remove(name)
  end)
  it("a broken pipe is an error, not the end", function()
    local p = assert(io.popen("true", "w"))
    local ok, message
    repeat ok, message = p:write(("x"):rep(100000)) until not ok
    assert.is_true(support.contains(message, "Broken pipe"))
    p:close()
  end)
  it("files are left alone", function()
    local name = os.tmpname()
    local f = assert(io.open(name, "w+"))
    assert(f:write("one\n", 2, "\n"))
    f:seek "set"
    assert.are.same({ "one", 2 }, { f:read("l", "n") })
    f:close()
    os.remove(name)
    assert.are.equal("ENOENT", (select(3, gos.file.stat(name))))
  end)
  it("an interruption is put off until the goroutine's next wait", function()
    local g = gos.go(function()
      local ok = os.execute "sleep 0.02"
      return ok, select(2, gos.sleep(10))
    end)
    settle()
    g:interrupt()
    assert.are.same({ true, true, "canceled" }, { g:join() })
  end)
  it("standard input and output of a script", function()
    local name = os.tmpname()
    local file = assert(io.open(name, "w"))
    file:write [[
      local gos = require "gossamer"
      gos.hook()
      local main = gos.goroutines()[1]
      gos.go(function()
        repeat gos.gosched() until main:status() == "waiting"
        io.stderr:write "waiting\n"
      end)
      assert(io.read "l" == "first")
      assert(io.read "n" == 12)
      assert(io.read(1) == "\n")
      assert(io.read "a" == "rest\n")
      io.write("done ", 5, "\n")
      print "printed"
      io.stderr:write "error\n"
    ]]
    file:close()
    local p <close> = assert(gos.process.spawn { support.lua, name, stdin = "pipe", stdout = "pipe", stderr = "pipe" })
    assert.are.equal("waiting", p:stderr():read_line())
    for _, text in ipairs { "first\n", "12\n", "rest\n" } do p:stdin():write(text) end
    p:stdin():close()
    assert.are.equal("error\n", p:stderr():read_all())
    assert.are.equal("done 5\nprinted\n", p:stdout():read_all())
    assert.are.equal(0, (p:wait()))
    os.remove(name)
  end)
  it("in a finalizer calls block as ever", function()
    local result
    setmetatable({}, { __gc = function() result = select(3, os.execute "exit 5") end })
    collectgarbage()
    collectgarbage()
    assert.are.equal(5, result)
  end)
  it("a script that ends in the middle ends", function()
    local out, status = support.script [[
      gos.hook()
      gos.go(os.execute, "exec sleep 0.1")
      gos.go(function() io.popen("sleep 0.1"):read "l" end)
      gos.sleep(0.01)
      print "end"
    ]]
    assert.are.same({ "end\n", 0 }, { out, status })
  end)

  local has_socket, socket = pcall(require, "socket")
  if not has_socket then return pending "LuaSocket is not there" end

  local function server(answer)
    local s = assert(socket.bind("127.0.0.1", 0))
    local _, port = s:getsockname()
    gos.go(function()
      while true do
        local c = s:accept()
        if not c then return end
        gos.go(answer, c)
      end
    end)
    return s, port
  end
  it("LuaSocket: sleep, connect, accept, send, receive", function()
    local s, port = server(function(c)
      local line = c:receive()
      socket.sleep(0.01)
      c:send(line:upper() .. "\n")
      c:close()
    end)
    local wg, good = gos.waitgroup(), 0
    for i = 1, 20 do
      wg:go(function()
        local c = assert(socket.connect("127.0.0.1", port))
        c:settimeout(20)
        c:send("hello " .. i .. "\n")
        if c:receive() == "HELLO " .. i then good = good + 1 end
        c:close()
      end)
    end
    wg:wait()
    assert.are.equal(20, good)
    s:close()
  end)
  it("LuaSocket: timeouts, select, closing", function()
    local s, port = server(function(c)
      opened:recv()
      c:send "x"
    end)
    local c = assert(socket.connect("127.0.0.1", port))
    c:settimeout(0.001)
    assert.are.same({ nil, "timeout" }, { (c:receive(1)), (select(2, c:receive(1))) })
    assert.are.same({ {}, {}, "timeout" }, { socket.select({ c }, nil, 0.001) })
    local ready = parks(socket.select, { c }, nil, 20)
    assert.are.equal(c, ready[1])
    c:settimeout()
    assert.are.equal("x", c:receive(1))
    assert.is_true(gos.wait_fd(c, "w") == "w")
    c:close()
    s:close()
  end)
  it("LuaSocket: HTTP and names", function()
    assert.are.equal("127.0.0.1", socket.dns.toip "127.0.0.1")
    assert.is_string((socket.dns.toip "localhost"))
    local s, port = server(function(c)
      repeat until c:receive() == ""
      gos.sleep(0.01)
      c:send "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"
      c:close()
    end)
    local http = require "socket.http"
    local gs = {}
    for i = 1, 10 do gs[i] = gos.go(http.request, "http://127.0.0.1:" .. port .. "/") end
    for _, g in ipairs(gs) do assert.are.same({ true, "ok", 200 }, { table.unpack({ g:join() }, 1, 3) }) end
    s:close()
  end)
end)

describe("unhook", function()
  it("restores what was", function()
    assert.is_true(gos.hook())
    assert.is_true(gos.unhook())
    assert.is_false(gos.unhook())
    local g = gos.go(os.execute, "true")
    gos.gosched()
    assert.are.equal("dead", (g:status())) -- it did not wait
  end)
end)
