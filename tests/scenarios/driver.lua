-- Runs the scenario tables on the gossamer module: driver.lua FILE.scn...
-- The format, and how the table's words map to Lua, are in README.md; what the steps do is in steps_*.lua.
--
-- SPDX-License-Identifier: Apache-2.0

package.path = (arg[0]:match("^.*/") or "") .. "?.lua;" .. package.path
local gos = require "gossamer"
local words = require "words"
local cut, trim = words.cut, words.trim

-- What a scenario can need, but for the things that every language has.
local has = {}
for word in ([[cond context errgroup goexit limiter map once once_func pool rwmutex semaphore signal singleflight
  timer]]):gmatch("%S+") do
  has[word] = true
end

local body

-- What each step gives, as words; and steps that have others in them, which add to out.
local steps = {
  join = function(name) words.world().runners[name].handle:join() end,
  sleep = function(ms) gos.sleep(ms / 1000) end,
  gosched = function() gos.gosched() end,
  goexit = function() gos.goexit() end,
}
local outer = {
  ["repeat"] = function(rest, out)
    local n, again = cut(rest, " ")
    for _ = 1, math.tointeger(n) do body(again, out) end
  end,
  fail = words.failed,
  give = function(rest, out) out.value = math.tointeger(rest) end,
  error = function(rest, out) out.error = math.tointeger(rest) end,
}

local function step(text, out)
  local verb, rest = cut(trim(text), " ")
  words.moved()
  if outer[verb] then
    outer[verb](rest, out)
  else
    local gave = (steps[verb] or error("unknown step " .. text))(table.unpack(words.of(rest))) or {}
    table.move(gave, 1, #gave, #out + 1, out)
  end
  words.moved()
end

body = function(list, out)
  for text in list:gmatch("[^&]+") do step(text, out) end
end

for _, name in ipairs { "chan", "sync", "ctx", "time", "work" } do
  local made = require("steps_" .. name)
  if type(made) == "function" then made = made(body) end
  for verb, f in pairs(made.steps) do steps[verb] = f end
  for verb, f in pairs(made.outer) do outer[verb] = f end
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
  words.world().runners[name] = runner
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
  local before, me = words.world().progress, gos.goid()
  for _, g in ipairs(gos.goroutines()) do
    local status = g:status()
    if g:id() ~= me and (status == "runnable" or status == "running") then return false end
  end
  return before == words.world().progress
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
  for _, stop in ipairs(words.world().ends) do stop() end
  for _, runner in pairs(words.world().runners) do
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
    local got = state(words.world().runners[name])
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
  if not words.world() then return end
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
      words.begin()
      name, good = rest, true
    elseif verb == "needs" then
      for need in rest:gmatch("%S+") do
        if not has[need] then good = nil end
      end
    elseif good ~= nil and text ~= "" and text:sub(1, 1) ~= "#" then
      check(path, number, text)
    end
  end
  count()
  words.over()
  good = nil
end

for _, path in ipairs(arg) do file(path) end
if #missing > 0 then print("lua: not there yet: " .. table.concat(missing, " ")) end
print(("lua: %d passed, %d failed, %d not there yet"):format(passed, bad, #missing))
os.exit(bad == 0 and passed > 0)
