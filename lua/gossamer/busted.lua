--- Tests of programs with goroutines: a deadlock fails the test, and so do goroutines that it leaves behind.
--   require "gossamer.busted".install { timeout = 10 }      in a helper of busted's or at the top of a spec file
--   it("...", require "gossamer.busted".test(function() ... end))             one test, of any framework
-- A deadlock is an error of the main goroutine's wait, so it needs nothing but this runtime; a test that other
-- goroutines' timers keep from being one is ended by its timeout, with all tracebacks.
--
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"

local busted = {}

---@class gossamer.busted.options
---@field timeout? number seconds that a test may wait (for ever)
---@field leaks? boolean false: goroutines may be left behind
---@field patience? number seconds for goroutines that are about to end (0.1)

local function self()
  for _, g in ipairs(gos.goroutines()) do
    if g:id() == gos.goid() then return g end
  end
end

-- Ends the wait of the running goroutine t from now. Gives what calls it off.
local function watch(t)
  local me, fired = self(), false
  local timer = gos.after_func(t, function()
    fired = true
    me:interrupt(("the test has waited for %g seconds\n%s"):format(t, gos.stack(true)))
  end)
  return function()
    if timer:stop() then return end
    while not fired do gos.gosched() end
    pcall(gos.sleep, 1e-3) -- where it did not meet a wait of the test's
  end
end

local function left_behind(known, patience)
  local until_, left = gos.now() + patience, gos.leaks(known)
  while #left > 0 and gos.now() < until_ do
    gos.sleep(patience / 20)
    left = gos.leaks(known)
  end
  return left
end

local function describe(left)
  local text = { ("the test leaves %d goroutine%s behind:"):format(#left, #left == 1 and "" or "s") }
  for _, g in ipairs(left) do
    local status, reason = g:status()
    text[#text + 1] = ("%s [%s]\n%s"):format(tostring(g), reason or status, g:traceback() or "")
  end
  return table.concat(text, "\n")
end

--- A function that calls f and then raises an error if goroutines are left behind that f has started. An error
--- of f's is raised as it is.
---@param f function
---@param options? gossamer.busted.options
---@return function
function busted.test(f, options)
  options = options or {}
  return function(...)
    local known = gos.goroutines()
    local call_off = options.timeout and watch(options.timeout)
    local result = table.pack(pcall(f, ...))
    if call_off then call_off() end
    if not result[1] then error(result[2], 0) end
    if options.leaks ~= false then
      local left = left_behind(known, options.patience or 0.1)
      if #left > 0 then error(describe(left), 0) end
    end
    return table.unpack(result, 2, result.n)
  end
end

--- Makes all tests that busted runs from here on such functions. In busted only.
---@param options? gossamer.busted.options
function busted.install(options)
  require "busted".subscribe({ "test", "start" }, function(element)
    if element.gossamer then return end -- twice installed: files are kept apart from each other's modules
    element.gossamer = true
    element.run = busted.test(element.run, options)
  end)
end

return busted
