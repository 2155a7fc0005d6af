-- SPDX-License-Identifier: Apache-2.0
local gos = require "gossamer"
local M = {}

function M.message(n, watch)
  local ch = gos.chan()
  watch.start()
  gos.go(function()
    for i = 1, n do ch:send(i) end
    ch:close()
  end)
  local got = 0
  for _ in ch do got = got + 1 end
  watch.stop()
  assert(got == n)
end

local function nothing() end

function M.spawn_join(n, watch)
  local batch = {}
  watch.start()
  for _ = 1, n // 1000 do
    for i = 1, 1000 do batch[i] = gos.go(nothing) end
    for i = 1, 1000 do batch[i]:join() end
  end
  watch.stop()
end

function M.parked(n, watch)
  local ch = gos.chan()
  local function wait() ch:recv() end
  watch.start()
  for _ = 1, n do gos.go(wait) end
  gos.gosched()
  watch.stop()
end

-- A producer in another state.
local function produce(ch, n, make)
  local v = make()
  for _ = 1, n do ch:send(v) end
  ch:close()
end

for name, make in pairs(require "payloads") do
  M[name] = function(n, watch)
    local ch = gos.chan(100)
    watch.start()
    gos.isolate(produce, ch, n, make)
    local got = 0
    for _ in ch do got = got + 1 end
    watch.stop()
    assert(got == n)
  end
end

return M
