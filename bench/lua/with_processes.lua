-- SPDX-License-Identifier: Apache-2.0
-- Plain Lua processes, which share nothing: what the machine has for two that compute at the same time.
local M = {}
local COMMAND <const> = [[exec '%s' -e 'require "work" (%d)']]

for processes = 1, 2 do
  M["isolate_" .. processes] = function(n, watch)
    local all = {}
    watch.start()
    for i = 1, processes do all[i] = assert(io.popen(COMMAND:format(arg[-1], n // processes))) end
    for i = 1, processes do assert(all[i]:close()) end
    watch.stop()
  end
end

return M
