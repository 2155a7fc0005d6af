-- Mixed work in several Lua states at once: stress.lua [SECONDS [STATES]], run by tests/lua/host.c in the
-- sanitizers' builds (tools/soak runs it for longer). Values are checked on arrival, shared counters at the end
-- of each round. Of a run of a minute or more, memory in the last third may not be above that in the second by
-- more than 3 % + 4 MiB, unless GOSSAMER_STRESS_MEMORY=any: a sanitizer's own memory grows with every thread.
-- SPDX-License-Identifier: Apache-2.0
local gos = require "gossamer.native"
local seconds, states = tonumber((...)) or 2, tonumber((select(2, ...))) or 4

-- ---- what goes on in each state: each of these is a goroutine's work ------------------------------------
-- all: what the states share: jobs, mu, counter, seen, ctx. m: how much of it; seed: a number of its own.
local kinds = {}

local function value(i)
  local k = i % 7
  if k == 0 then return i end
  if k == 1 then return ("x"):rep(i % 50 * (i % 3 == 0 and 400 or 1)) .. i end
  if k == 2 then return { i, { i }, name = "n" .. i } end
  if k == 3 then local t = { i } t.self = t return t end
  if k == 4 then return function() return i end end
  if k == 5 then return { gos.chan(1), gos.null, shared = gos.buffer("buffer" .. i):slice(7), i = i } end
  return i * 0.5
end

-- Producers, consumers and selects on a channel of all states.
function kinds.produce(all, m, seed)
  local how = seed % 3
  for i = seed, seed + m do
    local v = value(i)
    if how == 0 then all.jobs:send(v, 0.01)
    elseif how == 1 then gos.select { gos.send(all.jobs, v), all.jobs, timeout = 0.001 }
    else all.jobs:try_send(v) gos.gosched() end
  end
end

function kinds.consume(all, m)
  for _ = 1, m do
    local v = all.jobs:recv(0.001)
    if type(v) == "function" then v = v() end
    if type(v) == "table" and v.self then assert(v.self == v) end
    if type(v) == "table" and v.shared then assert(v.shared:tostring() == tostring(v.i)) end
  end
end

-- A counter that only the lock keeps right. A state that is interrupted may end with the lock held.
function kinds.lock(all, m)
  for _ = 1, all.interrupted and 0 or m do
    all.mu:lock()
    local n = all.counter:load()
    if n % 16 == 0 then gos.gosched() end
    all.counter:store(n + 1)
    all.mu:unlock()
    all.seen:add(1)
  end
end

function kinds.context(all, m)
  for i = 1, m // 10 do
    local c <close> = gos.with_timeout(i % 5 * 0.0005, i % 2 == 0 and all.ctx or nil)
    local ran = gos.chan(1)
    local stop = c:after_func(ran.send, ran, true)
    gos.nilchan:recv(c)
    assert(c:err())
    if not stop() then assert(ran:recv()) end
  end
end

function kinds.timers(_, m, seed)
  for i = seed, seed + m // 10 do
    local t <close>, ran = gos.timer(i % 3 * 0.0002), gos.chan()
    local f <close> = gos.after_func(i % 3 * 0.0002, ran.close, ran)
    if i % 2 == 0 then t.C:recv() else t:stop() end
    if not f:stop() then assert(select(2, ran:recv()) == "closed") end
    local ticker <close> = gos.ticker(0.0001)
    ticker.C:recv()
    gos.select { gos.after(0.0001), ticker.C, default = i % 5 == 0 or nil }
  end
end

function kinds.groups(all, m)
  local sem, flight, once, ran = gos.semaphore(2), gos.singleflight(), gos.once(), 0
  for i = 1, m // 10 do
    local group = gos.errgroup { limit = 3, parent = all.ctx }
    for k = 1, 5 do
      group:go(function()
        once:do_(function() ran = ran + 1 end)
        assert(sem:acquire(1))
        local v = flight:do_(i, function() gos.gosched() return i end)
        sem:release(1)
        assert(v == i)
        if k == 3 and i % 2 == 0 then error("expected", 0) end
      end)
    end
    local ok, err = group:wait()
    assert(ok or err == "expected", err)
  end
  assert(ran == 1)
end

-- Goroutines that wait where Lua calls back, some of which are interrupted, or fail.
function kinds.anywhere(_, m)
  for i = 1, m // 10 do
    local ch = gos.chan()
    local g = gos.go(function()
      local t = { 3, 1, 2 }
      table.sort(t, function(a, b) gos.gosched() return a < b end)
      local s = ("abc"):gsub(".", function(c) return ch:recv() and c or nil end)
      local co = coroutine.wrap(function() coroutine.yield(ch:recv()) end)
      co()
      if i % 3 == 0 then error { s } end
      return s
    end)
    local patience = i % 4
    for _ = 1, 4 do
      if not ch:send(i, 0.05 * patience) then break end
    end
    while g:interrupt() do gos.gosched() end
    g:join()
  end
end

function kinds.sockets(_, m)
  local listener <close> = assert(gos.net.listen("tcp", "127.0.0.1:0"))
  local server = gos.go(function()
    for conn in listener do
      gos.go(function()
        for line in conn:lines() do conn:write(line .. "\n") end
        conn:close()
      end)
    end
  end)
  local conn <close> = assert(gos.net.dial("tcp", listener:local_addr()))
  for i = 1, m // 5 do
    conn:write(("x"):rep(i) .. "\n")
    assert(#conn:read_line() == i)
  end
  local a, b = assert(gos.net.socketpair())
  local _ <close> = a
  local _ <close> = b
  local reader = gos.go(b.read_all, b)
  a:write(("y"):rep(100000))
  a:close()
  local _, text = assert(reader:join())
  assert(#text == 100000)
  listener:close()
  server:join()
end

function kinds.threads(_, m)
  for _ = 1, m // 50 do assert(gos.blocking(os.getenv, "PATH")) end
end

-- One that does not let go for long: not for ever, as ThreadSanitizer keeps a signal for good now and then.
function kinds.spin()
  local stop, other = false, gos.go(function() gos.sleep(0.001) return "done" end)
  local spinner = gos.go(function()
    for _ = 1, 1e5 do
      if stop then break end
    end
  end)
  assert(select(2, other:join()) == "done")
  stop = true
  assert(spinner:join())
end

function kinds.isolate(all, _, seed)
  local inner = gos.isolate(function(c, i) local x <const> = i return c:try_send(x), { c } end, all.jobs, seed)
  assert(inner:join())
end

-- ---- rounds -----------------------------------------------------------------------------------------------
local function work(works, all, m, seed)
  local gs, names = {}, {}
  local _ <close> = setmetatable({}, { __close = function() all.done:done() end })
  gos.preempt(0.001)
  for name in pairs(works) do names[#names + 1] = name end
  table.sort(names)
  for i = 1, #names * 2 do
    gs[i] = gos.go(works[names[(i + seed) % #names + 1]], all, m, seed + i)
  end
  gos.go(function() all.jobs:recv() end) -- left behind at the end
  gos.go(function() gos.select { all.jobs, gos.nilchan } end)
  for i, g in ipairs(gs) do
    local ok, err, traceback = g:join()
    if not ok then error(("%s: %s\n%s"):format(names[(i + seed) % #names + 1], err, traceback), 0) end
  end
  return { all.jobs }
end

local function memory()
  for line in io.lines "/proc/self/status" do
    local kb = line:match "^VmRSS:%s*(%d+)"
    if kb then return tonumber(kb) end
  end
end

local samples = { {}, {}, {} }
local function median(t)
  table.sort(t)
  return t[(#t + 1) // 2] or 0
end
local start, round = gos.now(), 0
repeat
  round = round + 1
  local stop = round % 3 == 0
  local all = {
    interrupted = stop, jobs = gos.chan(round % 5), mu = gos.mutex(), counter = gos.atomic.int(), seen = gos.atomic.int(),
    ctx = gos.with_cancel(), done = gos.waitgroup(),
  }
  all.jobs:try_send { "before it is shared" }
  all.done:add(states)
  local list = {}
  for i = 1, states do list[i] = gos.isolate(work, kinds, all, 50, round * 1000 + i) end
  if stop then list[1]:interrupt() else all.done:wait() end
  for i = 1, states do
    local ok, err = list[i]:join()
    if not ok and not (stop and i == 1) then error(err, 0) end
  end
  all.ctx:cancel()
  if not stop then assert(all.counter:load() == all.seen:load()) end
  collectgarbage()
  local third = math.min((gos.now() - start) * 3 // seconds + 1, 3)
  table.insert(samples[third], memory())
until gos.now() - start > seconds
local first, second, last = median(samples[1]), median(samples[2]), median(samples[3])
print(("%d rounds; KB in each third: %d, %d, %d"):format(round, first, second, last))
while gos.num_goroutine() > 1 do gos.gosched() end -- a state that has been joined is still closing; else the test times out
assert(seconds < 60 or os.getenv "GOSSAMER_STRESS_MEMORY" == "any" or last <= second * 1.03 + 4096, "memory grows")
