-- SPDX-License-Identifier: Apache-2.0
local effil = require "effil"
local M = { less = {} }

for name, make in pairs(require "payloads") do
  M.less[name] = 4
  M[name] = function(n, watch)
    local channel = effil.channel(100)
    watch.start()
    local thread = effil.thread(function(ch, count, f)
      local v = f()
      for _ = 1, count do
        while not ch:push(v) do end -- full: it does not wait
      end
    end)(channel, n, make)
    for _ = 1, n do assert(channel:pop() ~= nil) end
    watch.stop()
    thread:wait()
  end
end

for states = 1, 2 do
  M["isolate_" .. states] = function(n, watch)
    local all = {}
    watch.start()
    for i = 1, states do all[i] = effil.thread(watch.work)(n // states) end
    for i = 1, states do all[i]:wait() end
    watch.stop()
  end
end

return M
