--- Whose turn it is among several.
--
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local arguments = require "gossamer.arguments"
local check, optional, refuse = arguments.check, arguments.optional, arguments.refuse

local balancing = {}

local RoundRobin, round_robin_meta = arguments.class "round_robin"

function balancing.round_robin(list)
  check("non-empty list", 1, "round_robin", list)
  return setmetatable({ items = table.move(list, 1, #list, 1, {}), at = 0 }, round_robin_meta)
end

local function step(self)
  self.at = self.at % #self.items + 1
  return self.items[self.at]
end

function RoundRobin:next() return gos.no_preempt(step, self) end

local Weighted, weighted_meta = arguments.class "weighted"

-- free[item]: how many more may use it. units: one for each of all these.
function balancing.weighted(list)
  check("non-empty list", 1, "weighted", list)
  local self, sum = { items = {}, free = {}, weights = {} }, 0
  for i, pair in ipairs(list) do
    if type(pair) ~= "table" or pair[1] == nil then refuse(1, "weighted", "element %d: {item, weight} expected", i) end
    local item, weight = pair[1], pair[2]
    if not arguments.fits("positive integer", weight) then
      refuse(1, "weighted", "element %d: weight: positive integer expected, got %s", i, tostring(weight))
    end
    if self.free[item] then refuse(1, "weighted", "element %d: the item is there twice", i) end
    self.items[i], self.free[item], self.weights[item], sum = item, weight, weight, sum + weight
  end
  self.units = gos.semaphore(sum)
  return setmetatable(self, weighted_meta)
end

-- Takes a unit of the item of which the largest part is free; there is one.
local function pick(self)
  local free, weights, best = self.free, self.weights, self.items[1]
  for _, item in ipairs(self.items) do
    if free[item] / weights[item] > free[best] / weights[best] then best = item end
  end
  free[best] = free[best] - 1
  return best
end

function Weighted:acquire(t)
  optional("seconds or context", 1, "acquire", t)
  local ok, why = self.units:acquire(1, t)
  if not ok then return nil, why end
  return gos.no_preempt(pick, self)
end

local function give_back(self, item)
  local n = self.free[item]
  if not n or n == self.weights[item] then return false end
  self.free[item] = n + 1
  self.units:release()
  return true
end

function Weighted:release(item)
  if item == nil or not gos.no_preempt(give_back, self, item) then
    refuse(1, "release", "it is not acquired: %s", tostring(item))
  end
end

return balancing
