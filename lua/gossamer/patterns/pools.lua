--- Functions that wait for their turn: a pool, and a queue of jobs with priorities. Both are lines: every job is a
--- goroutine of its own from the beginning, and waits until it has one of n places.
--
-- Always true of a line: a job waits only while no place is free.
--
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local arguments = require "gossamer.arguments"
local outcome = require "gossamer.patterns.outcome"
local check, refuse = arguments.check, arguments.refuse

local pools = {}

local function give_turn(job)
  job.turn = true
  job.gate:close()
end

-- A job goes before those of a lower priority. `waiting` is sorted, the next one last.
local function enter(line, job)
  if line.free > 0 then
    line.free = line.free - 1
    return give_turn(job)
  end
  local waiting, low, high = line.waiting, 1, #line.waiting + 1
  while low < high do
    local middle = (low + high) // 2
    if waiting[middle].priority < job.priority then low = middle + 1 else high = middle end
  end
  table.insert(waiting, low, job)
end

-- A place goes to the next one.
local function pass_on(line)
  local job = table.remove(line.waiting)
  if job then return give_turn(job) end
  line.free = line.free + 1
end

-- A job that gave up waiting; its turn may have come meanwhile.
local function withdraw(line, job)
  if job.turn then return pass_on(line) end
  for i, other in ipairs(line.waiting) do
    if other == job then return table.remove(line.waiting, i) end
  end
end

local function wait_turn(line, job)
  local _, why = job.gate:recv(line.context)
  if why == "closed" then return true end
  gos.no_preempt(withdraw, line, job)
  return nil, why
end

-- f's results, from the first call that does not fail, or the last one; none follows one that was interrupted.
local function attempts(line, f, ...)
  for _ = 1, line.retry do
    local results = table.pack(pcall(f, ...))
    local failed, err = outcome.caught(table.unpack(results, 1, results.n))
    if not failed or err == "canceled" or line.context:err() then return outcome.replay(results) end
  end
  return f(...)
end

local function leave(line, job)
  line.jobs[job] = nil
  if line.room then line.room:release() end
end

-- A job's goroutine.
local function work(line, job, f, ...)
  local _ <close> = gos.defer(leave, line, job)
  local ok, why = wait_turn(line, job)
  if not ok then return nil, why end
  local _ <close> = gos.defer(gos.no_preempt, pass_on, line)
  return attempts(line, f, ...)
end

-- Why the line takes no more jobs, or nil.
local function refused(line)
  if line.closing then return "closed" end
  local err = line.accepting:err()
  return err and (err == "canceled" and "canceled" or "timeout")
end

-- Starts a job, f(...) when its turn has come. Gives its goroutine.
local function start(line, job, f, ...)
  local why = refused(line)
  if why then return nil, why end
  job.gate = gos.chan()
  job.g = line.wg:go(work, line, job, f, ...)
  line.jobs[job] = true
  enter(line, job)
  return job.g
end

local function give_up(line)
  line.context:cancel()
  for job in pairs(line.jobs) do job.g:interrupt() end
end

local function close(line, drain)
  line.closing = true
  line.accepting:cancel()
  if not drain then gos.no_preempt(give_up, line) end
  local ok, why = line.wg:wait()
  if not ok then return nil, why end
  line.context:cancel()
  return true
end

-- A class of lines.
local function lining(name)
  local class, meta = arguments.class(name)
  function class:ctx() return self.context end
  function class:close(options)
    options = arguments.options({ drain = "boolean" }, 1, "close", options)
    return close(self, options.drain ~= false)
  end
  function meta.__close(self, err) close(self, err == nil) end
  return class, meta
end

-- jobs: all that have not ended. accepting ends with close(), context with the giving up.
local function new_line(meta, n, options)
  local context = gos.with_cancel(options.ctx)
  return setmetatable({
    free = n,
    waiting = {},
    jobs = {},
    wg = gos.waitgroup(),
    context = context,
    accepting = gos.with_cancel(context),
    retry = options.retry or 0,
  }, meta)
end

local Pool, pool_meta = lining "worker_pool"
local pool_options = { queue = "integer from 0 on", retry = "integer from 0 on", ctx = "context" }

function pools.pool(n, options)
  check("positive integer", 1, "pool", n)
  options = arguments.options(pool_options, 2, "pool", options)
  local pool = new_line(pool_meta, n, options)
  pool.room = options.queue and gos.semaphore(n + options.queue) -- for jobs
  return pool
end

function Pool:submit(f, ...)
  check("function", 1, "submit", f)
  if not self.room then return gos.no_preempt(start, self, { priority = 0 }, f, ...) end
  local ok, why = self.room:acquire(1, self.accepting)
  if not ok then return nil, self.closing and "closed" or why end
  local job = { priority = 0 }
  local _ <close> = gos.defer(function()
    if not job.g then self.room:release() end
  end)
  return gos.no_preempt(start, self, job, f, ...)
end

local JobQueue, job_queue_meta = lining "job_queue"
local job_queue_options =
  { handlers = "table!", workers = "positive integer", cap = "integer from 0 on", ctx = "context" }

function pools.job_queue(options)
  options = arguments.options(job_queue_options, 1, "job_queue", options)
  local handlers = arguments.functions(1, "job_queue", "handlers", options.handlers)
  local queue = new_line(job_queue_meta, options.workers or 4, options)
  queue.handlers, queue.cap = handlers, options.cap or 100
  return queue
end

-- Of submit(kind, ...) or submit{kind, ..., priority=}: the priority, the kind, and the rest.
local function job_arguments(kind, ...)
  if type(kind) ~= "table" then return 0, kind, ... end
  return kind.priority or 0, table.unpack(kind, 1, kind.n or #kind)
end

local function start_if_room(queue, job, f, ...)
  if queue.free == 0 and #queue.waiting >= queue.cap and not refused(queue) then return nil, "full" end
  return start(queue, job, f, ...)
end

local function submit(queue, priority, kind, ...)
  return gos.no_preempt(start_if_room, queue, { priority = priority }, queue.handlers[kind], ...)
end

function JobQueue:submit(job, ...)
  local priority, kind = job_arguments(job)
  if not self.handlers[kind] then refuse(1, "submit", "no handler for '%s'", tostring(kind)) end
  if not math.type(priority) or priority ~= priority then
    refuse(1, "submit", "priority: number expected, got %s", type(priority))
  end
  for key in pairs(type(job) == "table" and job or {}) do
    if not math.type(key) and key ~= "priority" and key ~= "n" then
      refuse(1, "submit", "unknown option '%s'", tostring(key))
    end
  end
  return submit(self, job_arguments(job, ...))
end

return pools
