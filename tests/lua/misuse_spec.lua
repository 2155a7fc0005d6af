-- What nobody should write is an error with the caller's position, never a crash or silence.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local support = require "tests.lua.support"
local contains = support.contains

-- One object of every type that a program can have. The last results are to be closed.
local function all_types()
  local r, w = gos.net.pipe()
  local a, b = gos.net.socketpair()
  local path = os.tmpname()
  local file = gos.file.open(path)
  os.remove(path)
  local process = gos.process.spawn { "true" }
  local iso = gos.isolate(function() end)
  iso:join()
  process:wait()
  local limiter = gos.limiter(1, 1)
  return {
    channel = gos.chan(), goroutine = gos.go(function() end), case = gos.recv(gos.chan()), timer = gos.timer(100),
    mutex = gos.mutex(), waitgroup = gos.waitgroup(), once = gos.once(), null = gos.null, context = gos.with_cancel(),
    rwmutex = gos.rwmutex(), rlocker = gos.rwmutex():reader(), cond = gos.cond(gos.mutex()), pool = gos.pool(),
    map = gos.map(), int = gos.atomic.int(), bool = gos.atomic.bool(), errgroup = gos.errgroup(),
    semaphore = gos.semaphore(1), flight = gos.singleflight(), limiter = limiter, reservation = limiter:reserve(),
    pipe = r, conn = a, file = file, packet = gos.net.listen("udp", "127.0.0.1:0"),
    listener = gos.net.listen("tcp", "127.0.0.1:0"), process = process, isolate = iso, buffer = gos.buffer(8),
    deferred = gos.defer(function() end),
  }, { r, w, a, b, file }
end

describe("a metatable of the library", function()
  local objects, open = all_types()
  local of_streams = { pipe = true, conn = true, file = true, packet = true, listener = true }
  local wrong = { false, 1, "text", {}, print, io.stdout, coroutine.create(print) }
  for name, object in pairs(objects) do
    local mt = getmetatable(object)
    it("of " .. name .. ": its functions look at what they are given", function()
      local function try(event, f)
        assert.is_false((pcall(f)), event)
        for _, value in ipairs(wrong) do pcall(f, value, value, value) end
        for other, value in pairs(objects) do
          if other ~= name and not (of_streams[name] and of_streams[other]) then pcall(f, value, value, value) end
        end
      end
      for event, f in pairs(type(mt) == "table" and mt or {}) do
        if type(f) == "function" and event ~= "__eq" and name ~= "null" then try(event, f) end
      end
      for method, f in pairs(mt and mt.methods or {}) do try(method, f) end
    end)
    if mt and mt.__gc then
      it("of " .. name .. ": its finalizer is the collector's", function()
        local own, why = pcall(mt.__gc, object)
        assert.is_false(own)
        assert.is_true(contains(why, "collector"), why)
        local ok, err = pcall(mt.__gc, {})
        assert.is_false(ok)
        assert.is_true(contains(err, mt.__name .. " expected, got table"), err)
        for _, v in pairs(objects) do
          if v ~= object then assert.is_false((pcall(mt.__gc, v))) end
        end
        setmetatable({}, mt)
        collectgarbage()
      end)
    end
  end
  it("serves its own objects still", function()
    for _, stream in ipairs(open) do stream:close() end
    assert.are.equal(0, #objects.channel)
    assert.are.equal(0, objects.int:load())
  end)
end)

local function raises(text, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.is_true(contains(err, text), err)
end

describe("a zero byte", function()
  local net = gos.net
  it("is in no address", function()
    raises("(an address has no zeros)", net.dial, "tcp", "127.0.0.1:1\0junk")
    raises("(a network has no zeros)", net.dial, "tcp\0", "127.0.0.1:1")
    local path = os.tmpname()
    os.remove(path)
    raises("(an address has no zeros)", net.listen, "unix", path .. "\0rest")
    assert.is_nil(io.open(path))
    raises("(a host has no zeros)", net.lookup, "127.0.0.1\0zz")
    local s <close> = net.listen("udp", "127.0.0.1:0")
    raises("an address has no zeros", s.write_to, s, "x", s:local_addr() .. "\0")
  end)
  it("is in nothing that a process is given", function()
    for _, options in ipairs { { "true\0" }, { "true", "a\0b" }, { "true", cwd = "/\0" }, { "true", env = { a = "\0" } },
      { "true", env = { ["a\0"] = "b" } } } do
      raises("it has a zero in it", gos.process.spawn, options)
    end
  end)
end)

describe("a handler that cannot be called", function()
  local ch = gos.chan(1)
  it("is refused when the case is made", function()
    raises("(function expected, got string)", gos.recv, ch, "x")
    raises("(function expected, got number)", gos.send, ch, 1, 2)
    local r, w = gos.net.pipe()
    raises("(function expected, got table)", gos.readable, r, {})
    raises("(function expected, got boolean)", gos.writable, w, false)
    r:close()
    w:close()
  end)
  it("is refused as select's default, before a value is received", function()
    ch:send "value"
    for _, default in ipairs { 1, "x", {}, io.stdout } do
      raises("default: function or true expected", gos.select, { ch, default = default })
    end
    assert.are.equal("value", (ch:recv()))
  end)
  it("is no object with __call", function()
    local got
    local handler = setmetatable({}, { __call = function(_, v) got = v end })
    ch:send(7)
    gos.select { gos.recv(ch, handler) }
    assert.are.equal(7, got)
    got = "none"
    gos.select { ch, default = handler }
    assert.is_nil(got)
  end)
end)

describe("an error about an argument", function()
  local eg = gos.errgroup()
  local path = os.tmpname()
  os.remove(path)
  -- The text, then code of one line that is the caller: what is called in it must not be in a tail call.
  for _, t in ipairs {
    { "bad argument #1 to 'once_value' (function expected, got number)", "gos.once_value(1)" },
    { "bad argument #1 to 'once_func' (function expected, got nil)", "gos.once_func()" },
    { "bad argument #1 to 'defer' (function expected, got nil)", "gos.defer()" },
    { "bad argument #1 to 'run' (table expected, got nil)", "gos.process.run()" },
    { "spawn: no program", "gos.process.run {}" },
    { "spawn: stdout: unknown kind 'x'", "gos.process.run { 'true', stdout = 'x' }" },
    { "bad argument #1 to 'read' (string expected, got nil)", "gos.file.read()" },
    { "bad argument #2 to 'read' (", "gos.file.read('/dev/null', 'x')" },
    { "bad argument #1 to 'read' (a path has no zeros)", "gos.file.read('\\0')" },
    { "bad argument #2 to 'write' (string expected, got nil)", "gos.file.write(path)" },
    { "bad argument #1 to 'write' (string expected, got table)", "gos.file.write({}, 'x')" },
    { "bad argument #3 to 'write' (", "gos.file.write(path, 'x', 'x')" },
    { "bad argument #2 to 'write' (", "gos.file.write('/dev/null', io.stdout)" },
    { "bad argument #1 to 'lines' (string expected, got nil)", "gos.file.lines()" },
    { "bad argument #1 to 'leaks' (table expected, got number)", "gos.leaks(1)" },
    { "bad argument #1 to 'leaks' (element 2: goroutine expected, got number)", "gos.leaks { gos.main, 1 }" },
    { "bad argument #1 to 'set_limit' (number expected, got string)", "eg:set_limit('x')" },
    { "bad argument #1 to 'set_limit' (number expected, got no value)", "eg:set_limit()" },
    { "bad argument #1 to 'errgroup' (limit: integer expected)", "gos.errgroup { limit = 'x' }" },
    { "bad argument #1 to 'generate' (iterator or list expected, got number)", "gos.patterns.generate(1)" },
    { "bad argument #2 to 'generate' (unknown option 'n')", "gos.patterns.generate({}, { n = 1 })" },
    { "bad argument #2 to 'generate' (table expected, got number)", "gos.patterns.generate({}, 1)" },
    { "bad argument #2 to 'generate' (ctx: context expected, got number)", "gos.patterns.generate({}, { ctx = 1 })" },
    { "bad argument #1 to 'stage' (function expected, got nil)", "gos.patterns.stage()" },
    { "bad argument #2 to 'stage' (channel expected, got table)", "gos.patterns.stage(print, {})" },
    { "bad argument #2 to 'stage' (channel expected, got send-only channel", "gos.patterns.stage(print, ch:sender())" },
    { "bad argument #3 to 'stage' (positive integer expected, got 0)", "gos.patterns.stage(print, ch, 0)" },
    { "bad argument #4 to 'stage' (go: function expected, got number)", "gos.patterns.stage(print, ch, 1, { go = 1 })" },
    { "bad argument #2 to 'fan_out' (positive integer expected, got nil)", "gos.patterns.fan_out(ch)" },
    { "bad argument #1 to 'merge' (channel expected, got nil)", "gos.patterns.merge()" },
    { "bad argument #2 to 'merge' (channel expected, got number)", "gos.patterns.merge(ch, 1)" },
    { "bad argument #1 to 'merge' (channel expected, got number)", "gos.patterns.merge { ch, 1 }" },
    { "bad argument #2 to 'merge' (unknown option 'x')", "gos.patterns.merge(ch, { x = 1 })" },
    { "bad argument #2 to 'tee' (positive integer expected, got 1.5)", "gos.patterns.tee(ch, 1.5)" },
    { "bad argument #1 to 'bridge' (channel expected, got nil)", "gos.patterns.bridge()" },
    { "bad argument #1 to 'ring' (positive integer expected, got nil)", "gos.patterns.ring()" },
    { "bad argument #1 to 'send' (cannot send nil (use gos.null))", "gos.patterns.ring(1):send()" },
    { "bad argument #1 to 'recv' (seconds or context expected, got string)", "gos.patterns.ring(1):recv('x')" },
    { "calling 'send' on bad self (ring expected, got number)", "gos.patterns.ring(1).send(7)" },
    { "bad argument #1 to 'subscribe' (topic expected, got nil)", "gos.patterns.pubsub():subscribe()" },
    { "bad argument #2 to 'subscribe' (positive integer expected, got 0)", "gos.patterns.pubsub():subscribe('t', 0)" },
    { "bad argument #2 to 'publish' (cannot send nil (use gos.null))", "gos.patterns.pubsub():publish('t')" },
    { "bad argument #1 to 'pool' (positive integer expected, got -1)", "gos.patterns.pool(-1)" },
    { "bad argument #2 to 'pool' (queue: integer from 0 on expected, got -1)", "gos.patterns.pool(1, { queue = -1 })" },
    { "bad argument #1 to 'submit' (function expected, got string)", "gos.patterns.pool(1):submit('x')" },
    { "bad argument #1 to 'close' (drain: boolean expected, got number)", "gos.patterns.pool(1):close { drain = 1 }" },
    { "bad argument #1 to 'job_queue' (handlers: table expected, got nil)", "gos.patterns.job_queue()" },
    { "bad argument #1 to 'job_queue' (handlers: 'a': function expected, got number)",
      "gos.patterns.job_queue { handlers = { a = 1 } }" },
    { "bad argument #1 to 'submit' (no handler for 'b')", "gos.patterns.job_queue({ handlers = {} }):submit('b')" },
    { "bad argument #1 to 'submit' (no handler for 'nil')", "gos.patterns.job_queue({ handlers = {} }):submit()" },
    { "bad argument #1 to 'submit' (priority: number expected, got string)",
      "gos.patterns.job_queue({ handlers = { a = print } }):submit { 'a', priority = 'high' }" },
    { "bad argument #1 to 'submit' (unknown option 'prio')",
      "gos.patterns.job_queue({ handlers = { a = print } }):submit { 'a', prio = 1 }" },
    { "bad argument #1 to 'resource_pool' (non-empty list expected, got table)", "gos.patterns.resource_pool {}" },
    { "bad argument #1 to 'release' (it is not lent: 2)", "gos.patterns.resource_pool({ 1 }):release(2)" },
    { "bad argument #1 to 'conn_pool' (connect: function expected, got nil)", "gos.patterns.conn_pool()" },
    { "bad argument #1 to 'conn_pool' (max_age: positive number expected, got 0)",
      "gos.patterns.conn_pool { connect = print, max_age = 0 }" },
    { "bad argument #1 to 'get' (seconds or context expected, got -nan)",
      "gos.patterns.conn_pool({ connect = print }):get(0 / 0)" },
    { "bad argument #1 to 'put' (it is not lent: 1)", "gos.patterns.conn_pool({ connect = print }):put(1)" },
    { "bad argument #1 to 'round_robin' (non-empty list expected, got nil)", "gos.patterns.round_robin()" },
    { "bad argument #1 to 'round_robin' (non-empty list expected, got table)", "gos.patterns.round_robin {}" },
    { "bad argument #1 to 'weighted' (element 1: {item, weight} expected)", "gos.patterns.weighted { 'a' }" },
    { "bad argument #1 to 'weighted' (element 1: weight: positive integer expected, got nil)",
      "gos.patterns.weighted { { 'a' } }" },
    { "bad argument #1 to 'weighted' (element 2: the item is there twice)", "gos.patterns.weighted { { 1, 1 }, { 1, 2 } }" },
    { "bad argument #1 to 'token_bucket' (positive number expected, got -1)", "gos.patterns.token_bucket(-1, 1)" },
    { "bad argument #1 to 'take' (2 are more than the bucket holds, 1)", "gos.patterns.token_bucket(1, 1):take(2)" },
    { "bad argument #1 to 'breaker' (threshold: positive integer expected, got 0)", "gos.patterns.breaker { threshold = 0 }" },
    { "bad argument #1 to 'call' (function expected, got nil)", "gos.patterns.breaker():call()" },
    { "bad argument #1 to 'health_checker' (checks: table expected, got nil)", "gos.patterns.health_checker()" },
    { "bad argument #1 to 'health_checker' (checks: 'a': function expected, got number)",
      "gos.patterns.health_checker { checks = { a = 1 } }" },
  } do
    it("has the caller's position and names the right one: " .. t[2], function()
      local env = setmetatable({ eg = eg, path = path, ch = gos.chan(),
        gos = setmetatable({ main = gos.goroutines()[1] }, { __index = gos }) }, { __index = _G })
      local ok, err = pcall(load("\n\n" .. t[2] .. "\nreturn", "=caller", "t", env))
      assert.is_false(ok)
      assert.are.equal("caller:3: " .. t[1], err:sub(1, #t[1] + 10))
      assert.is_nil(io.open(path))
    end)
  end
end)

describe("an option that there is not", function()
  local function f() end
  it("is named", function()
    raises("unknown option 'nmae'", gos.go, { f, nmae = "x" })
    raises("unknown option 'limt'", gos.errgroup, { limt = 1 })
    raises("unknown option 'mem'", gos.isolate, { f, mem = 1 })
    raises("unknown option 'dir'", gos.process.spawn, { "true", dir = "/" })
    raises("unknown option 'dir'", gos.process.run, { "true", dir = "/", input = "x" })
  end)
  it("is none of those that there are", function()
    gos.go({ f, name = "n", labels = { a = "b" }, stack = 1 << 20 }):join()
    gos.isolate({ f, name = "n", labels = {}, memory = 1 << 24, require = { "string" } }):join()
    assert.are.equal("x", gos.process.run({ "cat", input = "x", env = {}, cwd = "/", stderr = "null" }).stdout)
  end)
end)

describe("a process whose directory is not there", function()
  it("says so", function()
    local p, why, code = gos.process.spawn { "true", cwd = "/nonexistent" }
    assert.is_nil(p)
    assert.are.equal("spawn true: cwd /nonexistent: No such file or directory", why)
    assert.are.equal("ENOENT", code)
    assert.are.equal("spawn nonexistent: No such file or directory",
      (select(2, gos.process.spawn { "nonexistent", cwd = "/" })))
    assert.are.equal("spawn true: cwd /dev/null: Not a directory",
      (select(2, gos.process.spawn { "true", cwd = "/dev/null" })))
  end)
end)
