-- Runs the scenario tables on the gossamer module: driver.lua FILE.scn...
-- The format, and how the table's words map to Lua, are in README.md.
--
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"

local world -- of the running scenario: objects, runners, progress (steps begun and finished)

-- A step that is a panic in Go ends its goroutine with this; message is Go's.
local function failed(message) error({ failed = message }, 0) end

local function words(text)
  local list = {}
  for w in text:gmatch("%S+") do list[#list + 1] = w end
  return list
end

local function cut(text, separator)
  local from, to = text:find(separator, 1, true)
  if not from then return text, "" end
  return text:sub(1, from - 1), text:sub(to + 1)
end

local function trim(text) return (text:match("^%s*(.-)%s*$")) end

-- Calls f; an error with one of Go's messages in it is that panic.
local function guarded(message, f, ...)
  local result = table.pack(pcall(f, ...))
  if result[1] then return table.unpack(result, 2, result.n) end
  if tostring(result[2]):find(message, 1, true) then failed(message) end
  error(result[2], 0)
end

local closed, negative = "send on closed channel", "negative WaitGroup counter"

local function counted(f, ...)
  local ok, err = pcall(guarded, negative, f, ...)
  if ok then return end
  failed(type(err) == "table" and err.failed and "sync: " .. err.failed or tostring(err))
end

local function received(v, err)
  if v ~= nil then return { tostring(v), "true" } end
  if err == "closed" then return { "0", "false" } end
  return { err }
end

local function object(name) return world.objects[name] or error("no object " .. tostring(name)) end
local function bool(b) return { b and "true" or "false" } end

-- What each step gives, as words.
local steps = {
  send = function(c, v) guarded(closed, object(c).send, object(c), math.tointeger(v)) end,
  try_send = function(c, v) return bool(guarded(closed, object(c).try_send, object(c), math.tointeger(v))) end,
  send_for = function(ms, c, v)
    local ok, err = guarded(closed, object(c).send, object(c), math.tointeger(v), ms / 1000)
    return { ok and "true" or err }
  end,
  recv = function(c) return received(object(c):recv()) end,
  try_recv = function(c) return received(object(c):try_recv()) end,
  recv_for = function(ms, c) return received(object(c):recv(ms / 1000)) end,
  close = function(c)
    local ok, first = pcall(object(c).close, object(c))
    if not ok then failed("close of nil channel") end
    if not first then failed("close of closed channel") end
  end,
  range = function(c)
    local out = {}
    for v in object(c) do
      out[#out + 1] = tostring(v)
      world.progress = world.progress + 1
    end
    return out
  end,
  len = function(c) return { tostring(#object(c)) } end,
  cap = function(c) return { tostring(object(c):cap()) } end,
  lock = function(m) object(m):lock() end,
  unlock = function(m) object(m):unlock() end,
  trylock = function(m) return bool(object(m):try_lock()) end,
  add = function(w, n) counted(object(w).add, object(w), math.tointeger(n)) end,
  done = function(w) counted(object(w).done, object(w)) end,
  wait = function(w) object(w):wait() end,
  join = function(name) world.runners[name].handle:join() end,
  sleep = function(ms) gos.sleep(ms / 1000) end,
  gosched = function() gos.gosched() end,
}

-- The table's positions start at 0, Lua's at 1; default is no case here, so it keeps its place as false.
local function choose(list, timeout)
  local cases, kinds, n = { timeout = timeout }, {}, 0
  for text in list:gmatch("[^,]+") do
    local f = words(text)
    n = n + 1
    kinds[n] = f[1]
    if f[1] == "default" then
      cases[n], cases.default, kinds.default = false, true, n
    else
      cases[n] = f[1] == "recv" and gos.recv(object(f[2])) or gos.send(object(f[2]), math.tointeger(f[3]))
    end
  end
  local at, v, err = guarded(closed, gos.select, cases)
  if at == "default" then return { tostring(kinds.default - 1) } end
  if at == "timeout" then return { "timeout" } end
  if kinds[at] == "send" then return { tostring(at - 1) } end
  return { tostring(at - 1), table.unpack(received(v, err)) }
end

local function step(text, out)
  local verb, rest = cut(trim(text), " ")
  local gave
  world.progress = world.progress + 1
  if verb == "repeat" then
    local n, again = cut(rest, " ")
    for _ = 1, tonumber(n) do step(again, out) end
  elseif verb == "select" then
    gave = choose(rest)
  elseif verb == "select_for" then
    local ms, cases = cut(rest, " ")
    gave = choose(cases, ms / 1000)
  elseif verb == "fail" then
    failed(rest)
  else
    gave = (steps[verb] or error("unknown step " .. text))(table.unpack(words(rest)))
  end
  table.move(gave or {}, 1, #(gave or {}), #out + 1, out)
  world.progress = world.progress + 1
end

-- ---- goroutines --------------------------------------------------------------
local function run(runner, list)
  for text in list:gmatch("[^;]+") do
    local ok, err = pcall(step, text, runner.out)
    if not ok then
      runner.failed = type(err) == "table" and err.failed or tostring(err)
      break
    end
  end
  runner.ended = true
end

local function start(name, list)
  local runner = { out = {} }
  world.runners[name] = runner
  runner.handle = gos.go(run, runner, list)
end

local function state(runner)
  if runner.failed then return "panic " .. runner.failed end
  if runner.ended then return trim("done " .. table.concat(runner.out, " ")) end
  local status, reason = runner.handle:status()
  return "parked " .. tostring(reason or status)
end

-- All were seen waiting while no step began or ended, and none wakes another before its own step
-- ends: so all were waiting at one moment, and will stay so.
local function settled()
  local before = world.progress
  for _, runner in pairs(world.runners) do
    if not runner.ended and runner.handle:status() ~= "waiting" then return false end
  end
  return before == world.progress
end

local function settle()
  local stop = os.time() + 20
  while not settled() do
    if os.time() > stop then error("does not settle") end
    gos.gosched()
  end
end

-- Ends what still waits. A lost wait may fail a step, which is of no interest any more.
local function clear()
  for _, runner in pairs(world.runners) do
    while not runner.ended do
      runner.handle:interrupt()
      gos.gosched()
    end
    runner.handle:join()
  end
end

-- ---- lines ---------------------------------------------------------------------
local lines = {
  chan = function(name, more) world.objects[name] = gos.chan(math.tointeger(more)) end,
  nilchan = function(name) world.objects[name] = gos.nilchan end,
  mutex = function(name) world.objects[name] = gos.mutex() end,
  wg = function(name) world.objects[name] = gos.waitgroup() end,
  go = start,
  settle = settle,
  is = function(name, more)
    settle()
    return state(world.runners[name]), more
  end,
}

local function panics(rest)
  local message, text = cut(rest, "|")
  local ok, err = pcall(step, text, {})
  return ok and "no panic" or type(err) == "table" and err.failed or tostring(err), trim(message)
end

-- Makes one line; gives what came out and what the table says.
local function line(text)
  local verb, rest = cut(text, " ")
  if verb == "panics" then return panics(rest) end
  if lines[verb] then
    local got, want = lines[verb](cut(rest, " "))
    return got or "", want or ""
  end
  local out, make, want = {}, cut(text, " =")
  step(make, out)
  return table.concat(out, " "), trim(want)
end

local passed, bad = 0, 0

local function count(good)
  if not world then return end
  clear()
  if good then passed = passed + 1 else bad = bad + 1 end
end

local function file(path)
  local number, good = 0, true
  for raw in io.lines(path) do
    local text = trim(raw)
    number = number + 1
    if text:find("^scenario ") then
      count(good)
      world, good = { objects = {}, runners = {}, progress = 0 }, true
    elseif text ~= "" and text:sub(1, 1) ~= "#" then
      local ok, got, want = pcall(line, text)
      if not ok then got, want = type(got) == "table" and got.failed or tostring(got), "no error" end
      if got ~= want then
        good = false
        print(("%s:%d: %s\n  want %q\n  got  %q"):format(path, number, text, want, got))
      end
    end
  end
  count(good)
  world = nil
end

for _, path in ipairs(arg) do file(path) end
print(("lua: %d passed, %d failed"):format(passed, bad))
os.exit(bad == 0 and passed > 0)
