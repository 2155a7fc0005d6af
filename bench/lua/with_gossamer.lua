-- SPDX-License-Identifier: Apache-2.0
local gos = require "gossamer"
local M = {}

function M.switch(n, watch)
  gos.go(function()
    while true do gos.gosched() end
  end)
  watch.start()
  for _ = 1, n do gos.gosched() end
  watch.stop()
end

local function through(ch, n, watch)
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

function M.message(n, watch) through(gos.chan(), n, watch) end
function M.buffered(n, watch) through(gos.chan(100), n, watch) end

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

function M.select(n, watch)
  local cases = { gos.chan(), gos.chan() }
  local function produce(ch)
    for i = 1, n // 2 do ch:send(i) end
  end
  watch.start()
  for _, ch in ipairs(cases) do gos.go(produce, ch) end
  for _ = 1, n // 2 * 2 do gos.select(cases) end
  watch.stop()
end

function M.pipeline(n, watch)
  local function stage(from, to)
    for v in from do to:send(v) end
    to:close()
  end
  local first = gos.chan()
  local last = first
  for _ = 1, 100 do
    local to = gos.chan()
    gos.go(stage, last, to)
    last = to
  end
  watch.start()
  gos.go(function()
    for i = 1, n do first:send(i) end
    first:close()
  end)
  local got = 0
  for _ in last do got = got + 1 end
  watch.stop()
  assert(got == n)
end

function M.parked(n, watch)
  local ch = gos.chan()
  local function wait() ch:recv() end
  watch.start()
  for _ = 1, n do gos.go(wait) end
  gos.gosched()
  watch.stop()
end
M.parked_500k = M.parked

-- Plain LuaSocket: hook() makes its waits those of the goroutine.
function M.http_20(n, watch)
  local http = require "socket.http"
  local url, stop = watch.slow_server()
  gos.hook()
  watch.start()
  local requests = {}
  for i = 1, n do requests[i] = gos.go(http.request, url) end
  for i = 1, n do
    local _, body = assert(requests[i]:join())
    assert(body == "ok", body)
  end
  watch.stop()
  gos.unhook()
  stop()
end

function M.echo_100(n, watch)
  local listener = assert(gos.net.listen("tcp", "127.0.0.1:0"))
  local load = watch.load(listener:local_addr():match("%d+$"), n)
  local control = listener:accept()
  local function serve(conn)
    for data in function() return conn:read(512) end do conn:write(data) end
    conn:close()
  end
  for _ = 1, 100 do gos.go(serve, (listener:accept())) end
  assert(control:read(1))
  watch.start()
  control:write "!"
  assert(control:read(1))
  watch.stop()
  control:write "!"
  load:close()
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

for states = 1, 2 do
  M["isolate_" .. states] = function(n, watch)
    local all = {}
    watch.start()
    for i = 1, states do all[i] = gos.isolate(watch.work, n // states) end
    for i = 1, states do assert(all[i]:join()) end
    watch.stop()
  end
end

return M
