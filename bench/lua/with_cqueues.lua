-- SPDX-License-Identifier: Apache-2.0
-- cqueues has no channel: one made of its condition variables.
local cqueues = require "cqueues"
local condition = require "cqueues.condition"
local socket = require "cqueues.socket"
local M = { less = { switch = 4, message = 10, buffered = 5, spawn_join = 2, select = 10, pipeline = 20 } }

function M.switch(n, watch)
  local loop, left = cqueues.new(), n
  loop:wrap(function()
    while left > 0 do
      left = left - 1
      cqueues.sleep(0)
    end
  end)
  loop:wrap(function()
    while left > 0 do cqueues.sleep(0) end
  end)
  watch.start()
  assert(loop:loop())
  watch.stop()
end

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

local function through(ch, n, watch)
  local loop = cqueues.new()
  loop:wrap(function() for i = 1, n do ch:send(i) end end)
  loop:wrap(function() for _ = 1, n do ch:recv() end end)
  watch.start()
  assert(loop:loop())
  watch.stop()
end

function M.message(n, watch) through(chan(), n, watch) end

local Buffer = {}
Buffer.__index = Buffer

function Buffer:send(v)
  while self.last - self.first == 100 do self.room:wait() end
  self[self.last], self.last = v, self.last + 1
  self.some:signal(1)
end

function Buffer:recv()
  while self.last == self.first do self.some:wait() end
  local v = self[self.first]
  self[self.first], self.first = nil, self.first + 1
  self.room:signal(1)
  return v
end

function M.buffered(n, watch)
  local buffer = { first = 1, last = 1, room = condition.new(), some = condition.new() }
  through(setmetatable(buffer, Buffer), n, watch)
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

function M.select(n, watch)
  local loop, a, b = cqueues.new(), chan(), chan()
  for _, ch in ipairs { a, b } do
    loop:wrap(function() for i = 1, n // 2 do ch:send(i) end end)
  end
  loop:wrap(function()
    for _ = 1, n // 2 * 2 do
      while a.value == nil and b.value == nil do cqueues.poll(a.full, b.full) end
      local ch = a.value ~= nil and a or b
      ch:recv()
    end
  end)
  watch.start()
  assert(loop:loop())
  watch.stop()
end

function M.pipeline(n, watch)
  local loop, first = cqueues.new(), chan()
  local last = first
  for _ = 1, 100 do
    local from, to = last, chan()
    loop:wrap(function() for _ = 1, n do to:send(from:recv()) end end)
    last = to
  end
  loop:wrap(function() for i = 1, n do first:send(i) end end)
  loop:wrap(function() for _ = 1, n do last:recv() end end)
  watch.start()
  assert(loop:loop())
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
M.parked_500k = M.parked

function M.echo_100(n, watch)
  local loop, server = cqueues.new(), assert(socket.listen("127.0.0.1", 0))
  assert(server:listen())
  local load = watch.load(select(3, server:localname()), n)
  local function serve(conn)
    conn:setmode("bn", "bn")
    for data in function() return conn:read(-512) end do conn:write(data) end
    conn:close()
  end
  loop:wrap(function()
    local control = server:accept()
    control:setmode("bn", "bn")
    for _ = 1, 100 do loop:wrap(serve, (server:accept())) end
    assert(control:read(-1))
    watch.start()
    control:write "!"
    assert(control:read(-1))
    watch.stop()
    control:write "!"
    control:close()
  end)
  assert(loop:loop())
  load:close()
end

return M
