-- SPDX-License-Identifier: Apache-2.0
-- One workload on one library: lua5.4 bench.lua PEER WORKLOAD [N], run in this directory.
--
-- Peers are the with_PEER.lua beside this file: each gives a table of functions that take the number
-- of operations and a stopwatch with start() and stop(). Prints a line: WORKLOAD VALUE OPS UNIT.
--
--   message     a producer and a consumer on an unbuffered channel; an operation is a message
--   spawn_join  tasks that do nothing, started and waited for in batches; an operation is a task
--   parked      tasks that wait on a channel; the value is the bytes of memory each of them takes
--   state_int, state_100b, state_10kb, state_table
--               a producer in another Lua state, on another thread, and a consumer in this one, with room
--               for 100 values between them; an operation is a message (payloads.lua)
local HOW_MANY <const> = { message = 1000000, spawn_join = 200000, parked = 20000, state_int = 1000000,
  state_100b = 500000, state_10kb = 100000, state_table = 200000 }

local peer, workload, n = table.unpack(arg)
if not HOW_MANY[workload] then
  io.stderr:write("usage: bench.lua PEER WORKLOAD [N]\n")
  os.exit(2)
end

-- Kilobytes in memory, page tables included.
local function memory()
  local sum = 0
  for line in io.lines("/proc/self/status") do
    sum = sum + (tonumber(line:match("^VmRSS:%s*(%d+)") or line:match("^VmPTE:%s*(%d+)")) or 0)
  end
  return sum
end

-- Seconds. Standard Lua has only whole ones and the CPU time, which misses what a library sleeps:
-- better are the clocks of LuaSocket and of cqueues.
local function clock()
  local found, lib = pcall(require, "socket")
  if found then return lib.gettime end
  found, lib = pcall(require, "cqueues")
  return found and lib.monotime or os.clock
end
local now = clock()

local watch = {}
function watch.start()
  collectgarbage()
  watch.before = memory()
  watch.began = now()
end
function watch.stop()
  watch.spent = now() - watch.began
  watch.kb = memory() - watch.before
end

local module = require("with_" .. peer)
n = math.tointeger(tonumber(n)) or HOW_MANY[workload] // (module.less and module.less[workload] or 1)
module[workload](n, watch)
if workload == "parked" then
  print(("parked %.2f %d bytes"):format(watch.kb * 1024 / n, n))
else
  print(("%s %.2f %d ns"):format(workload, watch.spent / n * 1e9, n))
end
io.stdout:flush()
os.exit(0) -- whatever is still parked
