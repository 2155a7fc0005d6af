--- Channels whose sender never waits: a ring that drops the oldest value, and subscriptions that drop the newest.
--
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local arguments = require "gossamer.arguments"
local check, optional = arguments.check, arguments.optional

local queues = {}

-- A class of objects with a channel (ch) to receive from, and a number of values that it did not hold (lost).
local function receiving(name)
  local class, meta = arguments.class(name)
  function class:recv(t)
    optional("seconds or context", 1, "recv", t)
    return self.ch:recv(t)
  end
  function class:try_recv() return self.ch:try_recv() end
  function class:receiver() return self.ch:receiver() end
  function class:cap() return self.ch:cap() end
  function class:closed() return self.ch:closed() end
  function class:dropped() return self.lost end
  function meta.__call(self) return (self.ch:recv()) end
  function meta.__len(self) return #self.ch end
  function meta.__close(self) self:close() end
  return class, meta
end

local Ring, ring_meta = receiving "ring"

function queues.ring(n)
  check("positive integer", 1, "ring", n)
  return setmetatable({ ch = gos.chan(n), lost = 0 }, ring_meta)
end

local function push(ring, v)
  while not ring.ch:try_send(v) do
    ring.ch:try_recv()
    ring.lost = ring.lost + 1
  end
end

function Ring:send(v)
  if v == nil then arguments.refuse(1, "send", "cannot send nil (use gos.null)") end
  if self.ch:closed() then error("send on closed ring", 2) end
  gos.no_preempt(push, self, v)
  return true
end

function Ring:close() return self.ch:close() end

local Subscription, subscription_meta = receiving "subscription"
local PubSub, pubsub_meta = arguments.class "pubsub"

-- topics[topic][subscription] = true
function queues.pubsub() return setmetatable({ topics = {} }, pubsub_meta) end

local function subscribe(self, subscription)
  if not self.topics then return nil, "closed" end
  local topic = subscription.name
  self.topics[topic] = self.topics[topic] or {}
  self.topics[topic][subscription] = true
  return subscription
end

function PubSub:subscribe(topic, cap)
  if topic == nil then arguments.refuse(1, "subscribe", "topic expected, got nil") end
  optional("positive integer", 2, "subscribe", cap)
  local subscription = { ch = gos.chan(cap or 16), lost = 0, name = topic, of = self }
  return gos.no_preempt(subscribe, self, setmetatable(subscription, subscription_meta))
end

local function publish(self, topic, v)
  if not self.topics then return nil, "closed" end
  local got = 0
  for subscription in pairs(self.topics[topic] or {}) do
    if subscription.ch:try_send(v) then got = got + 1 else subscription.lost = subscription.lost + 1 end
  end
  return got
end

function PubSub:publish(topic, v)
  if topic == nil then arguments.refuse(1, "publish", "topic expected, got nil") end
  if v == nil then arguments.refuse(2, "publish", "cannot send nil (use gos.null)") end
  return gos.no_preempt(publish, self, topic, v)
end

local function unsubscribe(self)
  local topics = self.of.topics
  local there = topics and topics[self.name]
  if there then
    there[self] = nil
    if not next(there) then topics[self.name] = nil end
  end
  return self.ch:close()
end

function Subscription:topic() return self.name end
function Subscription:close() return gos.no_preempt(unsubscribe, self) end

local function close(self)
  local topics = self.topics
  if not topics then return false end
  self.topics = nil
  for _, there in pairs(topics) do
    for subscription in pairs(there) do subscription.ch:close() end
  end
  return true
end

function PubSub:close() return gos.no_preempt(close, self) end
function pubsub_meta.__close(self) self:close() end

return queues
