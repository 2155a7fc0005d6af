-- SPDX-License-Identifier: Apache-2.0
-- One workload on one library: lua5.4 bench.lua PEER WORKLOAD [N], or PEER --list
--
-- Peers are the with_PEER.lua beside this file: each gives a table of functions that take the number of
-- operations and a stopwatch with start() and stop(). Prints a line: WORKLOAD VALUE OPS UNIT. A workload that
-- a peer has nothing for is not in its file.
--
--   switch      a task gives way to another, and gets its turn again; an operation is this round
--   message     a producer and a consumer on a channel without capacity; an operation is a message
--   buffered    the same with room for 100
--   spawn_join  tasks that do nothing, started and waited for in batches; an operation is a task
--   select      two producers, each with a channel, and a consumer that takes what comes first; a message
--   pipeline    100 stages with channels without capacity between them; an operation is a message through all
--   parked      100,000 tasks that wait on a channel; the value is the bytes of memory each of them takes
--   parked_500k 500,000
--   http_20     20 requests by LuaSocket at once, to a server that takes 50 ms for each: until all are done
--   echo_100    a TCP server that sends back what 100 connections send: its CPU time a request; the load comes
--               from another process (bench/core/echo_client.c: GOSSAMER_ECHO_CLIENT)
--   state_int, state_100b, state_10kb, state_table
--               a producer in another Lua state, on another thread, and a consumer in this one, with room
--               for 100 values between them; an operation is a message (payloads.lua)
--   isolate_1, isolate_2
--               that many Lua states compute at the same time; an operation is a piece of the work (work.lua)
local WORKLOADS <const> = { -- how many operations, what is measured
  { "switch", 2000000, "ns" },
  { "message", 1000000, "ns" },
  { "buffered", 2000000, "ns" },
  { "spawn_join", 200000, "ns" },
  { "select", 500000, "ns" },
  { "pipeline", 10000, "ns" },
  { "parked", 100000, "bytes" },
  { "parked_500k", 500000, "bytes" },
  { "http_20", 20, "ms" },
  { "echo_100", 100000, "ns of CPU" },
  { "state_int", 1000000, "ns" },
  { "state_100b", 500000, "ns" },
  { "state_10kb", 100000, "ns" },
  { "state_table", 200000, "ns" },
  { "isolate_1", 400, "ns" },
  { "isolate_2", 400, "ns" },
}

local peer, workload, n = table.unpack(arg)
local here = arg[0]:match("^.*/") or ""

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
  watch.cpu_before = os.clock() -- of all threads
  watch.began = now()
end
function watch.stop()
  watch.spent = now() - watch.began
  watch.cpu = os.clock() - watch.cpu_before
  watch.kb = memory() - watch.before
end

-- The load of the echo workloads. It connects once to say when, and 100 times more, with a request on each;
-- then comes a byte on the first connection, which is to be answered with one after watch.start(), and when
-- all requests are done another, to be answered after watch.stop().
function watch.load(port, requests)
  local client = os.getenv("GOSSAMER_ECHO_CLIENT") or error("GOSSAMER_ECHO_CLIENT is not set")
  return assert(io.popen(("exec '%s' %d 100 %d"):format(client, port, requests)))
end

-- The URL of a server that takes 50 ms for every request, and what ends it.
function watch.slow_server()
  -- Kept: the collector would wait for its end.
  watch.server = assert(io.popen(("echo $$; exec python3 '%s../python/slow_server.py'"):format(here)))
  local pid, port = watch.server:read("n", "n")
  return ("http://127.0.0.1:%d/"):format(port), function() os.execute("kill " .. pid) end
end

watch.work = require "work"

local function value(unit)
  if unit == "bytes" then return watch.kb * 1024 / n end
  if unit == "ms" then return watch.spent * 1e3 end
  return (unit == "ns" and watch.spent or watch.cpu) / n * 1e9
end

local module = peer and require("with_" .. peer)
for _, w in ipairs(WORKLOADS) do
  local name, count, unit = table.unpack(w)
  if workload == "--list" and module[name] then
    print(name)
  elseif workload == name then
    n = math.tointeger(tonumber(n)) or count // (module.less and module.less[workload] or 1)
    module[workload](n, watch)
    print(("%s %.2f %d %s"):format(workload, value(unit), n, unit))
    io.stdout:flush()
    os.exit(0) -- whatever is still parked
  end
end
if workload ~= "--list" then
  io.stderr:write("usage: bench.lua PEER WORKLOAD [N], or PEER --list\n")
  os.exit(2)
end
