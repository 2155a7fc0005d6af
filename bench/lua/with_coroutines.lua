-- SPDX-License-Identifier: Apache-2.0
-- Raw coroutines: a queue of runnable ones, and a channel as small as one can be written in Lua.
local M = {}
local head, tail, queue = 1, 0, {}

local function ready(co)
  tail = tail + 1
  queue[tail] = co
end

local function run()
  while head <= tail do
    local co = queue[head]
    queue[head] = nil
    head = head + 1
    assert(coroutine.resume(co))
  end
end

local function spawn(f) ready(coroutine.create(f)) end

-- No queue: resume and yield, there and back.
function M.switch(n, watch)
  local yield, resume = coroutine.yield, coroutine.resume
  local co = coroutine.create(function()
    while true do yield() end
  end)
  watch.start()
  for _ = 1, n do resume(co) end
  watch.stop()
end

-- One sender and one receiver at a time.
local Chan = {}
Chan.__index = Chan

function Chan:send(v)
  local receiver = self.receiver
  if receiver then
    self.receiver, self.value = nil, v
    ready(receiver)
  else
    self.sender, self.value = coroutine.running(), v
    coroutine.yield()
  end
end

function Chan:recv()
  local sender = self.sender
  if sender then
    self.sender = nil
    ready(sender)
    return self.value
  end
  self.receiver = coroutine.running()
  coroutine.yield()
  return self.value
end

local function chan() return setmetatable({}, Chan) end

function M.message(n, watch)
  local ch = chan()
  spawn(function() for i = 1, n do ch:send(i) end end)
  spawn(function() for _ = 1, n do ch:recv() end end)
  watch.start()
  run()
  watch.stop()
end

local function nothing() end

function M.spawn_join(n, watch)
  watch.start()
  for _ = 1, n // 1000 do
    for _ = 1, 1000 do spawn(nothing) end
    run()
  end
  watch.stop()
end

function M.pipeline(n, watch)
  local first = chan()
  local last = first
  for _ = 1, 100 do
    local from, to = last, chan()
    spawn(function() for _ = 1, n do to:send(from:recv()) end end)
    last = to
  end
  spawn(function() for i = 1, n do first:send(i) end end)
  spawn(function() for _ = 1, n do last:recv() end end)
  watch.start()
  run()
  watch.stop()
end

function M.parked(n, watch)
  local waiters = {}
  local function wait() coroutine.yield() end
  watch.start()
  for i = 1, n do
    waiters[i] = coroutine.create(wait)
    coroutine.resume(waiters[i])
  end
  watch.stop()
end
M.parked_500k = M.parked

return M
