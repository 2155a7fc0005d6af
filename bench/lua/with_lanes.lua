-- SPDX-License-Identifier: Apache-2.0
local lanes = require "lanes".configure()
local M = { less = {} }

for name, make in pairs(require "payloads") do
  M.less[name] = 4
  M[name] = function(n, watch)
    local linda = lanes.linda()
    linda:limit("v", 100)
    watch.start()
    local lane = lanes.gen("*", function(l, count, f)
      local v = f()
      for _ = 1, count do l:send("v", v) end
      return true
    end)(linda, n, make)
    for _ = 1, n do
      local _, v = linda:receive("v")
      assert(v ~= nil)
    end
    watch.stop()
    assert(lane[1])
  end
end

for states = 1, 2 do
  M["isolate_" .. states] = function(n, watch)
    local all = {}
    watch.start()
    for i = 1, states do all[i] = lanes.gen("*", watch.work)(n // states) end
    for i = 1, states do all[i]:join() end
    watch.stop()
  end
end

return M
