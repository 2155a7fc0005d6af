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

local gos = {}
for name, value in pairs(native) do gos[name] = value end
require "gossamer.file" (gos)
require "gossamer.process" (gos)

local deferred = {
  __name = "gossamer.deferred",
  __close = function(self) self[1](table.unpack(self, 2, self.n)) end,
}

function gos.defer(f, ...)
  if type(f) ~= "function" then
    error(("bad argument #1 to 'defer' (function expected, got %s)"):format(type(f)), 2)
  end
  return setmetatable({ n = select("#", ...) + 1, f, ... }, deferred)
end

-- f's results, from its only call; its error is raised by every call.
local function once(f, name)
  if type(f) ~= "function" then
    error(("bad argument #1 to '%s' (function expected, got %s)"):format(name, type(f)), 3)
  end
  local guard, results = native.once(), { false, "once: the function did not return", n = 2 }
  return function()
    guard:do_(function() results = table.pack(pcall(f)) end)
    if not results[1] then error(results[2], 0) end
    return table.unpack(results, 2, results.n)
  end
end

function gos.once_func(f)
  local call = once(f, "once_func")
  return function() call() end
end

function gos.once_value(f)
  return once(f, "once_value")
end

function gos.leaks(known)
  local expected = { [gos.goid()] = true, [gos.goroutines()[1]:id()] = true }
  for _, g in ipairs(known or {}) do expected[g:id()] = true end
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

return gos
