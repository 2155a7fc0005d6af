--- gossamer: Go's goroutines, channels and select for Lua 5.4 and 5.5.
-- Everything that decides anything is in the C core; this file adds what is shorter in Lua.
-- lua/gossamer/meta.lua describes every function.
--
-- SPDX-License-Identifier: Apache-2.0

if _VERSION ~= "Lua 5.4" and _VERSION ~= "Lua 5.5" then
  local jit = rawget(_G, "jit")
  error(("gossamer is for Lua 5.4 and 5.5, not for %s"):format(jit and jit.version or _VERSION), 0)
end
local native = require "gossamer.native"
local arguments = require "gossamer.arguments"
local check = arguments.check

local gos = {}
for name, value in pairs(native) do gos[name] = value end

require "gossamer.file"(gos)
require "gossamer.process"(gos)

local deferred = {
  __name = "gossamer.deferred",
  __close = function(self) self[1](table.unpack(self, 2, self.n)) end,
}

function gos.defer(f, ...)
  check("function", 1, "defer", f)
  return setmetatable({ n = select("#", ...) + 1, f, ... }, deferred)
end

-- f's results, from its only call; its error is raised by every call.
local function once(f)
  local guard, results = native.once(), { false, "once: the function did not return", n = 2 }
  return function()
    guard:do_(function() results = table.pack(pcall(f)) end)
    if not results[1] then error(results[2], 0) end
    return table.unpack(results, 2, results.n)
  end
end

function gos.once_func(f)
  check("function", 1, "once_func", f)
  local call = once(f)
  return function() call() end
end

function gos.once_value(f)
  check("function", 1, "once_value", f)
  return once(f)
end

function gos.leaks(known)
  if known ~= nil then check("table", 1, "leaks", known) end
  local main = gos.goroutines()[1]
  local expected = { [gos.goid()] = true, [main:id()] = true }
  for i, g in ipairs(known or {}) do
    local ok, id = pcall(main.id, g)
    if not ok then arguments.refuse(1, "leaks", "element %d: goroutine expected, got %s", i, type(g)) end
    expected[id] = true
  end
  local left
  for _ = 1, 100 do -- turns for those that are about to end; what never waits is no leak
    local busy = false
    left = {}
    for _, g in ipairs(gos.goroutines()) do
      if not expected[g:id()] then
        if g:status() == "waiting" then left[#left + 1] = g else busy = true end
      end
    end
    if not busy then break end
    gos.gosched()
  end
  return left
end

-- What few programs need is loaded when it is asked for; in one step, as a table of its own must not come twice.
setmetatable(gos, {
  __index = function(_, name)
    if name ~= "patterns" then return nil end
    gos.patterns = gos.no_preempt(require, "gossamer.patterns")
    return gos.patterns
  end,
})

return gos
