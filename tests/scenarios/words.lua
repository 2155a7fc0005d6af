-- What the steps of the Lua driver share: the world of the running scenario, and what a step gives, in the
-- table's words.
-- SPDX-License-Identifier: Apache-2.0

local words = {}

-- Of the running scenario: objects, runners, progress (steps begun and finished: settle compares it), ends
-- (called at its end, before the goroutines' own: so that no more of them start).
local world

function words.begin() world = { objects = {}, timers = {}, tickers = {}, runners = {}, progress = 0, ends = {} } end

function words.over() world = nil end

function words.world() return world end

function words.moved() world.progress = world.progress + 1 end

function words.declare(name, o) world.objects[name] = o end

function words.object(name) return world.objects[name] or error("no object " .. tostring(name)) end

-- What receives: a channel, or that of a timer.
function words.source(name)
  local o = words.object(name)
  return world.timers[name] and o.C or o
end

-- ---- texts --------------------------------------------------------------------
function words.of(text)
  local list = {}
  for w in text:gmatch("%S+") do list[#list + 1] = w end
  return list
end

-- What is before the separator, and what is after it.
function words.cut(text, separator)
  local from, to = text:find(separator, 1, true)
  if not from then return text, "" end
  return text:sub(1, from - 1), text:sub(to + 1)
end

function words.trim(text) return (text:match("^%s*(.-)%s*$")) end

-- ---- what a step gives ----------------------------------------------------------
-- A step that is a panic in Go ends its goroutine with this; message is Go's.
function words.failed(message) error({ failed = message }, 0) end

-- Calls f; an error with this message in it is that panic, or as says what else.
function words.guarded(message, f, ...)
  local result = table.pack(pcall(f, ...))
  if result[1] then return table.unpack(result, 2, result.n) end
  if tostring(result[2]):find(message, 1, true) then words.failed(message) end
  error(result[2], 0)
end

-- The same where Go has other words for it.
function words.renamed(go, message, ...)
  local result = table.pack(pcall(words.guarded, message, ...))
  if result[1] then return table.unpack(result, 2, result.n) end
  local err = result[2]
  if type(err) == "table" and err.failed == message then words.failed(go) end
  error(err, 0)
end

function words.bool(b) return { b and "true" or "false" } end

function words.found(v, ok) return { tostring(v), ok and "true" or "false" } end

-- Only the channel of a timer gives a float.
function words.received(v, err)
  if math.type(v) == "float" then return { "tick", "true" } end
  if v ~= nil then return { tostring(v), "true" } end
  if err == "closed" then return { "0", "false" } end
  return { err }
end

-- The word for the end of a context that ended a wait; else given.
function words.obeyed(ended, given)
  if ended == "canceled" then return { "canceled" } end
  if ended == "timeout" then return { "deadline" } end
  return given
end

return words
