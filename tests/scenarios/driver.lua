-- Runs the scenario tables on the gossamer module: driver.lua FILE.scn...
-- The format, and how the table's words map to Lua, are in README.md.
--
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"

-- What a scenario can need, but for the things that every language has.
local has = { goexit = true, once = true, once_func = true, timer = true }

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

-- Only the channel of a timer gives a float.
local function received(v, err)
  if math.type(v) == "float" then return { "tick", "true" } end
  if v ~= nil then return { tostring(v), "true" } end
  if err == "closed" then return { "0", "false" } end
  return { err }
end

local function object(name) return world.objects[name] or error("no object " .. tostring(name)) end
-- What receives: a channel, or that of a timer.
local function source(name)
  local o = object(name)
  return world.timers[name] and o.C or o
end
local function bool(b) return { b and "true" or "false" } end

local function timer(name, t) world.objects[name], world.timers[name] = t, true end

-- Go's Ticker gives nothing.
local function pending(t, was)
  if not world.tickers[t] then return bool(was) end
end

local function interval(where, ...)
  local ok, result = pcall(...)
  if ok then return result end
  if not tostring(result):find("non-positive interval", 1, true) then error(result, 0) end
  failed("non-positive interval for " .. where)
end

-- What comes until the channel is closed: its own iterator, counted.
local function values(c)
  return function()
    local v = object(c)()
    world.progress = world.progress + 1
    return v
  end
end

local function sum(c, limit)
  local n, left = 0, limit
  for v in values(c) do
    n = n + v
    left = left and left - 1
    if left == 0 then break end
  end
  return n
end

local body

-- What each step gives, as words.
local steps = {
  chan = function(name, cap) world.objects[name] = gos.chan(math.tointeger(cap)) end,
  nilchan = function(name) world.objects[name] = gos.nilchan end,
  chanchan = function(name, cap) world.objects[name] = gos.chan(math.tointeger(cap)) end,
  mutex = function(name) world.objects[name] = gos.mutex() end,
  wg = function(name) world.objects[name] = gos.waitgroup() end,
  once = function(name) world.objects[name] = gos.once() end,
  var = function(name) world.objects[name] = { n = 0 } end,
  timer = function(name, ms) timer(name, gos.timer(ms / 1000)) end,
  ticker = function(name, ms)
    timer(name, interval("NewTicker", gos.ticker, ms / 1000))
    world.tickers[name] = true
  end,
  after = function(name, ms) world.objects[name] = gos.after(ms / 1000) end,
  send_chan = function(cc, c) object(cc):send(object(c)) end,
  take = function(name, cc) world.objects[name] = object(cc):recv() end,
  sum = function(c) return { tostring(sum(c)) } end,
  sum_of = function(n, c) return { tostring(sum(c, math.tointeger(n))) } end,
  sum_into = function(r, c) object(r):send(sum(c)) end,
  count = function(c, first, last)
    for v = math.tointeger(first), math.tointeger(last) do
      guarded(closed, object(c).send, object(c), v)
      world.progress = world.progress + 1
    end
  end,
  filter = function(a, b, prime)
    for v in values(a) do
      if v % math.tointeger(prime) ~= 0 then object(b):send(v) end
    end
    object(b):close()
  end,
  set = function(n, v) object(n).n = math.tointeger(v) end,
  inc = function(n) object(n).n = object(n).n + 1 end,
  get = function(n) return { tostring(object(n).n) } end,
  stop = function(t) return pending(t, object(t):stop()) end,
  reset = function(t, ms) return pending(t, interval("Ticker.Reset", object(t).reset, object(t), ms / 1000)) end,
  call = function(f)
    local v = object(f)()
    if v ~= nil then return { tostring(v) } end
  end,
  goexit = function() gos.goexit() end,
  send = function(c, v) guarded(closed, object(c).send, object(c), math.tointeger(v)) end,
  try_send = function(c, v) return bool(guarded(closed, object(c).try_send, object(c), math.tointeger(v))) end,
  send_for = function(ms, c, v)
    local ok, err = guarded(closed, object(c).send, object(c), math.tointeger(v), ms / 1000)
    return { ok and "true" or err }
  end,
  recv = function(c) return received(source(c):recv()) end,
  try_recv = function(c) return received(source(c):try_recv()) end,
  recv_for = function(ms, c) return received(source(c):recv(ms / 1000)) end,
  close = function(c)
    local ok, first = pcall(object(c).close, object(c))
    if not ok then failed("close of nil channel") end
    if not first then failed("close of closed channel") end
  end,
  range = function(c)
    local out = {}
    for v in values(c) do out[#out + 1] = tostring(v) end
    return out
  end,
  len = function(c) return { tostring(#source(c)) } end,
  cap = function(c) return { tostring(source(c):cap()) } end,
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
      cases[n] = f[1] == "recv" and gos.recv(source(f[2])) or gos.send(object(f[2]), math.tointeger(f[3]))
    end
  end
  local at, v, err = guarded(closed, gos.select, cases)
  if at == "default" then return { tostring(kinds.default - 1) } end
  if at == "timeout" then return { "timeout" } end
  if kinds[at] == "send" then return { tostring(at - 1) } end
  return { tostring(at - 1), table.unpack(received(v, err)) }
end

-- Steps that have others in them. They add to out.
local outer = {
  ["repeat"] = function(rest, out)
    local n, again = cut(rest, " ")
    for _ = 1, math.tointeger(n) do body(again, out) end
  end,
  select = function(rest, out) table.move(choose(rest), 1, 9, #out + 1, out) end,
  select_for = function(rest, out)
    local ms, cases = cut(rest, " ")
    table.move(choose(cases, ms / 1000), 1, 9, #out + 1, out)
  end,
  fail = failed,
  ["do"] = function(rest, out)
    local once, text = cut(rest, " ")
    object(once):do_(function() body(text, out) end)
  end,
  wg_go = function(rest)
    local group, text = cut(rest, " ")
    object(group):go(body, text, {})
  end,
  after_func = function(rest)
    local name, more = cut(rest, " ")
    local ms, text = cut(more, " ")
    timer(name, gos.after_func(ms / 1000, body, text, {}))
  end,
  once_func = function(rest)
    local name, text = cut(rest, " ")
    world.objects[name] = gos.once_func(function() body(text, {}) end)
  end,
  once_value = function(rest)
    local name, text = cut(rest, " ")
    world.objects[name] = gos.once_value(function()
      local out = {}
      body(text, out)
      return out.given
    end)
  end,
  give = function(rest, out) out.given = math.tointeger(rest) end,
}

local function step(text, out)
  local verb, rest = cut(trim(text), " ")
  world.progress = world.progress + 1
  if outer[verb] then
    outer[verb](rest, out)
  else
    local gave = (steps[verb] or error("unknown step " .. text))(table.unpack(words(rest))) or {}
    table.move(gave, 1, #gave, #out + 1, out)
  end
  world.progress = world.progress + 1
end

body = function(list, out)
  for text in list:gmatch("[^&]+") do step(text, out) end
end

-- ---- goroutines --------------------------------------------------------------
-- Makes the steps of the list from the i-th on; what is deferred comes after those that follow it.
local function make(list, i, out)
  for at = i, #list do
    local verb, rest = cut(trim(list[at]), " ")
    if verb == "defer" then
      local _ <close> = gos.defer(body, rest, out)
      make(list, at + 1, out)
      return
    end
    step(list[at], out)
  end
end

local function run(runner, text)
  local list = {}
  for s in text:gmatch("[^;]+") do list[#list + 1] = s end
  make(list, 1, runner.out)
end

local function start(name, list)
  local runner = { out = {} }
  world.runners[name] = runner
  runner.handle = gos.go(run, runner, list)
end

local function state(runner)
  local status, reason = runner.handle:status()
  if status ~= "dead" then return "parked " .. tostring(reason or status) end
  local ok, err = runner.handle:join()
  if not ok then return "panic " .. (type(err) == "table" and err.failed or tostring(err)) end
  return trim("done " .. table.concat(runner.out, " "))
end

-- All were seen waiting while no step began or ended, and none wakes another before its own step
-- ends: so all were waiting at one moment, and will stay so.
local function settled()
  local before, me = world.progress, gos.goid()
  for _, g in ipairs(gos.goroutines()) do
    local status = g:status()
    if g:id() ~= me and (status == "runnable" or status == "running") then return false end
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
  for name in pairs(world.timers) do object(name):stop() end
  for _, runner in pairs(world.runners) do
    while runner.handle:status() ~= "dead" do
      runner.handle:interrupt()
      gos.gosched()
    end
    runner.handle:join()
  end
end

-- ---- lines ---------------------------------------------------------------------
local lines = {
  go = start,
  settle = settle,
  is = function(name, more)
    settle()
    local got = state(world.runners[name])
    return more == "parked" and got:find("^parked ") and more or got, more
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
  local out, verbs, want = {}, cut(text, " =")
  step(verbs, out)
  return table.concat(out, " "), trim(want)
end

local passed, bad, missing = 0, 0, {}
local name, good -- of the running scenario; good is nil if it needs what is not there

local function count()
  if not world then return end
  clear()
  if good == nil then
    missing[#missing + 1] = name
  elseif good then
    passed = passed + 1
  else
    bad = bad + 1
  end
end

local function check(path, number, text)
  local ok, got, want = pcall(line, text)
  if not ok then got, want = type(got) == "table" and got.failed or tostring(got), "no error" end
  if got == want then return end
  good = false
  print(("%s:%d: %s\n  want %q\n  got  %q"):format(path, number, text, want, got))
end

local function file(path)
  local number = 0
  for raw in io.lines(path) do
    local text = trim(raw)
    local verb, rest = cut(text, " ")
    number = number + 1
    if verb == "scenario" then
      count()
      world, name, good = { objects = {}, timers = {}, tickers = {}, runners = {}, progress = 0 }, rest, true
    elseif verb == "needs" then
      for need in rest:gmatch("%S+") do
        if not has[need] then good = nil end
      end
    elseif good ~= nil and text ~= "" and text:sub(1, 1) ~= "#" then
      check(path, number, text)
    end
  end
  count()
  world, good = nil, nil
end

for _, path in ipairs(arg) do file(path) end
if #missing > 0 then print("lua: not there yet: " .. table.concat(missing, " ")) end
print(("lua: %d passed, %d failed, %d not there yet"):format(passed, bad, #missing))
os.exit(bad == 0 and passed > 0)
