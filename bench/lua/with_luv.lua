-- SPDX-License-Identifier: Apache-2.0
-- luv calls back: it has no tasks, but sockets and threads.
local uv = require "luv"
local M = {}

function M.echo_100(n, watch)
  local server, control = uv.new_tcp(), nil
  assert(server:bind("127.0.0.1", 0))

  local function answer(data)
    if watch.began then watch.stop() else watch.start() end
    control:write(data, function()
      if not watch.spent then return end
      control:close()
      server:close()
    end)
  end

  local function accept()
    local conn = uv.new_tcp()
    server:accept(conn)
    conn:nodelay(true)
    if not control then
      control = conn
      conn:read_start(function(_, data) if data and not watch.spent then answer(data) end end)
      return
    end
    conn:read_start(function(_, data)
      if data then conn:write(data) else conn:close() end
    end)
  end

  assert(server:listen(128, accept))
  local load = watch.load(server:getsockname().port, n)
  uv.run()
  load:close()
end

for states = 1, 2 do
  M["isolate_" .. states] = function(n, watch)
    local all = {}
    watch.start()
    for i = 1, states do all[i] = uv.new_thread(watch.work, n // states) end
    for i = 1, states do all[i]:join() end
    watch.stop()
  end
end

return M
