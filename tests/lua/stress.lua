-- Mixed work in several Lua states at once: stress.lua [SECONDS [STATES]], run by tests/lua/host.c in the
-- sanitizers' builds. Values are checked on arrival; memory must not grow from one half to the other.
-- SPDX-License-Identifier: Apache-2.0
local gos = require "gossamer.native"
local seconds, states = tonumber((...)) or 2, tonumber((select(2, ...))) or 4

local function memory()
  for line in io.lines "/proc/self/status" do
    local kb = line:match "^VmRSS:%s*(%d+)"
    if kb then return tonumber(kb) end
  end
end

-- In each state: producers, consumers and selects on the same channels; isolates inside isolates; channels
-- made, sent and forgotten; goroutines left behind at the end.
local function work(jobs, seed, left)
  local n = 0
  local function value(i)
    local k = i % 7
    if k == 0 then return i end
    if k == 1 then return ("x"):rep(i % 50) .. i end
    if k == 2 then return { i, { i }, name = "n" .. i } end
    if k == 3 then local t = { i } t.self = t return t end
    if k == 4 then return function() return i end end
    if k == 5 then return { gos.chan(1), gos.null, shared = gos.buffer("buffer" .. i):slice(7), i = i } end
    return i * 0.5
  end
  local group = gos.waitgroup()
  for p = 1, 3 do
    group:go(function()
      for i = seed, seed + left // 3 do
        local v = value(i)
        if p == 1 then jobs:send(v, 0.01)
        elseif p == 2 then gos.select{ gos.send(jobs, v), jobs, timeout = 0.001 }
        else jobs:try_send(v) gos.gosched() end
      end
    end)
    group:go(function()
      for _ = 1, left // 3 do
        local v = jobs:recv(0.001)
        if type(v) == "function" then v = v() end
        if type(v) == "table" and v.self then assert(v.self == v) end
        if type(v) == "table" and v.shared then assert(v.shared:tostring() == tostring(v.i)) end
        n = n + 1
      end
    end)
  end
  gos.go(function() jobs:recv() end)
  gos.go(function() gos.select{ jobs, gos.nilchan } end)
  local inner = gos.isolate(function(c, i) local x <const> = i return c:try_send(x), { c } end, jobs, seed)
  group:wait()
  assert(inner:join())
  return n, { jobs }
end

local before, halftime
local start, round = gos.now(), 0
repeat
  round = round + 1
  local jobs, list = gos.chan(round % 5), {}
  jobs:try_send { "before it is shared" }
  for i = 1, states do list[i] = gos.isolate(work, jobs, round * 1000 + i, 150) end
  local stop = round % 3 == 0 and list[1]:interrupt()
  for i = 1, states do
    local ok, err = list[i]:join()
    if not ok and not stop then error(err) end
  end
  collectgarbage()
  if not before and gos.now() - start > seconds / 4 then before = memory() end
  halftime = memory()
until gos.now() - start > seconds
print(("%d rounds, %d to %d KB, %d goroutines"):format(round, before or 0, halftime, gos.num_goroutine()))
assert(gos.num_goroutine() == 1)
