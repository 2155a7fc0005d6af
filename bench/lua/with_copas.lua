-- SPDX-License-Identifier: Apache-2.0
-- copas has no channel, and its queue has no limit: these are made of its semaphores.
local copas = require "copas"
local semaphore = require "copas.semaphore"
local socket = require "socket"
local M = { less = { switch = 10, message = 20, buffered = 20, spawn_join = 10, pipeline = 100 } }
local FOREVER <const> = math.huge

-- As copas.loop(), but that one sleeps for a tenth of a second before it sees that all is done.
local function run()
  repeat copas.step() until copas.finished()
end

function M.switch(n, watch)
  local left = n
  copas.addthread(function()
    while left > 0 do
      left = left - 1
      copas.pause(0)
    end
  end)
  copas.addthread(function()
    while left > 0 do copas.pause(0) end
  end)
  watch.start()
  run()
  watch.stop()
end

local Chan = {}
Chan.__index = Chan

local function chan(n)
  local of = n == 0 and 1 or n
  return setmetatable({
    first = 1, last = 1,
    some = semaphore.new(of, 0, FOREVER),
    room = n > 0 and semaphore.new(n, n, FOREVER),
    taken = n == 0 and semaphore.new(1, 0, FOREVER),
  }, Chan)
end

function Chan:send(v)
  if self.room then self.room:take(1) end
  self[self.last], self.last = v, self.last + 1
  self.some:give(1)
  if self.taken then self.taken:take(1) end
end

function Chan:recv()
  self.some:take(1)
  local v = self[self.first]
  self[self.first], self.first = nil, self.first + 1
  local other = self.room or self.taken
  other:give(1)
  return v
end

local function through(ch, n, watch)
  copas.addthread(function() for i = 1, n do ch:send(i) end end)
  copas.addthread(function() for _ = 1, n do ch:recv() end end)
  watch.start()
  run()
  watch.stop()
end

function M.message(n, watch) through(chan(0), n, watch) end
function M.buffered(n, watch) through(chan(100), n, watch) end

local function nothing() end

function M.spawn_join(n, watch)
  watch.start()
  for _ = 1, n // 1000 do
    for _ = 1, 1000 do copas.addthread(nothing) end
    run()
  end
  watch.stop()
end

function M.pipeline(n, watch)
  local first = chan(0)
  local last = first
  for _ = 1, 100 do
    local from, to = last, chan(0)
    copas.addthread(function() for _ = 1, n do to:send(from:recv()) end end)
    last = to
  end
  copas.addthread(function() for i = 1, n do first:send(i) end end)
  copas.addthread(function() for _ = 1, n do last:recv() end end)
  watch.start()
  run()
  watch.stop()
end

function M.parked(n, watch)
  local never = semaphore.new(1, 0, FOREVER)
  local function wait() never:take(1) end
  watch.start()
  for _ = 1, n do copas.addthread(wait) end
  copas.step(0)
  watch.stop()
end
M.parked_500k = M.parked

function M.http_20(n, watch)
  local http = require "copas.http"
  local url, stop = watch.slow_server()
  for _ = 1, n do
    copas.addthread(function() assert(http.request(url) == "ok") end)
  end
  watch.start()
  run()
  watch.stop()
  stop()
end

function M.echo_100(n, watch)
  local server = assert(socket.bind("127.0.0.1", 0))
  local _, port = server:getsockname()
  local load, first = watch.load(port, n), true
  local function control(conn)
    assert(conn:receive(1))
    watch.start()
    conn:send "!"
    assert(conn:receive(1))
    watch.stop()
    conn:send "!"
    copas.removeserver(server)
  end
  copas.addserver(server, copas.handler(function(conn)
    if first then
      first = false
      return control(conn)
    end
    -- What has come, but not more: receive() would wait for all 512.
    while true do
      local data, err, part = conn:receivepartial(512)
      data = data or part
      if data == "" and err then break end
      conn:send(data)
    end
  end))
  copas.loop()
  load:close()
end

return M
