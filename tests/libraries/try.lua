-- One library in one place: lua5.4 tests/libraries/try.lua PROGRAM main|isolate plain|hook
--
-- A program is a file that gives { library = name, what = what is done, run = function(t) end }; t has
--   gos, hooked, isolated    the module; is hook() in force? is this an isolate?
--   each(n, f)     f(1) ... f(n) in n goroutines at once; the first error is raised
--   elsewhere(f, ...)  a goroutine, or where blocking calls stop the state an isolate, that runs f(...)
--   pause()        a wait of some turns, as it may stand in any callback
-- Beside it a ticker runs. Printed: the library's version, the ticks, and the longest time between two of them.
--
-- SPDX-License-Identifier: Apache-2.0

local file, where, hook = ...

local function try(path, hooked, isolated)
  local gos = require "gossamer"
  if hooked then gos.hook() end
  local t = { gos = gos, hooked = hooked, isolated = isolated }
  function t.each(n, f)
    local grp <close> = gos.errgroup()
    for i = 1, n do grp:go(f, i) end
  end
  t.elsewhere = hooked and gos.go or gos.isolate
  function t.pause() gos.sleep(0.001) end

  local stop, ticks, longest, last = gos.with_cancel(), 0, 0, gos.now()
  local ticker = gos.go(function()
    local every <close> = gos.ticker(0.002)
    while every.C:recv(stop) do
      local now = gos.now()
      ticks, longest, last = ticks + 1, math.max(longest, now - last), now
    end
  end)
  local program = dofile(path)
  program.run(t)
  gos.sleep(0.005) -- a tick at least
  stop:cancel()
  assert(ticker:join())
  local left = gos.leaks()
  if #left > 0 then error(("%d goroutines are left: %s"):format(#left, left[1]:traceback())) end
  local version = program.version
  return type(version) == "function" and version() or version or "", ticks, longest
end

local version, ticks, longest
if where == "main" then
  version, ticks, longest = try(file, hook == "hook")
else
  local ok
  ok, version, ticks, longest = require "gossamer".isolate(try, file, hook == "hook", true):join()
  if not ok then error(version, 0) end
end
print(("%s\t%d\t%.0f"):format(version, ticks, longest * 1000))
