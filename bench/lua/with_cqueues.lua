-- SPDX-License-Identifier: Apache-2.0
-- cqueues has no channel: one without capacity, made of its condition variables.
local cqueues = require "cqueues"
local condition = require "cqueues.condition"
local M = { less = { message = 10, spawn_join = 2 } }

local Chan = {}
Chan.__index = Chan

local function chan()
  return setmetatable({ full = condition.new(), taken = condition.new() }, Chan)
end

function Chan:send(v)
  while self.value ~= nil do self.taken:wait() end
  self.value = v
  self.full:signal(1)
  while self.value ~= nil do self.taken:wait() end
end

function Chan:recv()
  while self.value == nil do self.full:wait() end
  local v = self.value
  self.value = nil
  self.taken:signal(1)
  return v
end

function M.message(n, watch)
  local loop, ch = cqueues.new(), chan()
  loop:wrap(function() for i = 1, n do ch:send(i) end end)
  loop:wrap(function() for _ = 1, n do ch:recv() end end)
  watch.start()
  assert(loop:loop())
  watch.stop()
end

local function nothing() end

function M.spawn_join(n, watch)
  local loop = cqueues.new()
  watch.start()
  for _ = 1, n // 1000 do
    for _ = 1, 1000 do loop:wrap(nothing) end
    assert(loop:loop())
  end
  watch.stop()
end

function M.parked(n, watch)
  local loop, full = cqueues.new(), condition.new()
  local function wait() full:wait() end
  watch.start()
  for _ = 1, n do loop:wrap(wait) end
  assert(loop:step(0))
  watch.stop()
end

return M
