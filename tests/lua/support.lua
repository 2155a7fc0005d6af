-- What the specs share. Run them from the top of the tree:
--   LUA_PATH=... LUA_CPATH=... lua5.4 /usr/bin/busted tests/lua
-- GOSSAMER_LUA_STRESS=generational | step | full runs them under a harsher collector.
--
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"

local support = { lua = os.getenv "LUA" or "lua5.4" }

--- What error(nil) raises: nil until 5.5.
support.error_nil = select(2, pcall(error, nil))

local stress = {
  generational = function() collectgarbage "generational" end,
  step = function()
    collectgarbage("incremental", 50, 400)
    debug.sethook(function() collectgarbage("step", 10) end, "", 2000)
  end,
  full = function()
    debug.sethook(function() collectgarbage() end, "", 20000)
  end,
}
local mode = os.getenv "GOSSAMER_LUA_STRESS"
support.stressed = mode ~= nil and mode ~= ""
if support.stressed then assert(stress[mode], "GOSSAMER_LUA_STRESS: unknown mode " .. mode)() end

--- Debian 12's lua5.4 (5.4.4-3+deb12u1) keeps a stale pointer when an __concat metamethod moves
--- the stack, in plain Lua too. Upstream's 5.4.4 and every later version are sound.
function support.concat_moves_stack_safely()
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write [[
    local function deep(n)
      if n > 0 then return (deep(n - 1)) + 0 end
      return 0
    end
    for i = 1, 200 do
      local co = coroutine.create(function()
        local mt = { __concat = function()
          if i % 2 == 0 then deep(200) else collectgarbage() end
          return "r"
        end }
        local a = setmetatable({}, mt)
        if i % 2 == 1 then deep(300) end
        local r = "x" .. a
        local t = {}
        for j = 1, 50 do t[j] = { r .. j } end
        collectgarbage()
        return r
      end)
      local ok, r = coroutine.resume(co)
      assert(ok and r == "r")
    end]]
  file:close()
  local ok = os.execute(("%s %s >/dev/null 2>&1"):format(support.lua, name))
  os.remove(name)
  return ok == true
end

--- Lets the others run until each of them waits.
function support.settle()
  local me = gos.goid()
  repeat
    gos.gosched()
    local busy = false
    for _, g in ipairs(gos.goroutines()) do
      if g:id() ~= me and g:status() ~= "waiting" then busy = true end
    end
  until not busy
end

--- A channel from which every receive waits for a partner goroutine: 1, 2, 3, ...
function support.counter()
  local ch = gos.chan()
  gos.go(function()
    local n = 0
    while select(1, ch:send(n + 1)) do n = n + 1 end
  end)
  return ch
end

--- A case of the table of places where one may wait: f is run in a goroutine, in a coroutine of one,
--- and in main, with a channel from which every receive waits and gives 1, 2, 3, ... it: busted's.
function support.case(it, name, f)
  it(name .. ", in a goroutine", function() support.run(f, support.counter()) end)
  it(name .. ", in a coroutine of a goroutine", function()
    support.run(function() assert(coroutine.resume(coroutine.create(f), support.counter())) end)
  end)
  it(name .. ", in main", function() f(support.counter()) end)
end

--- Runs f in a goroutine and returns its results; its error is raised.
function support.run(f, ...)
  local r = table.pack(gos.go(f, ...):join())
  if not r[1] then error(r[2], 0) end
  return table.unpack(r, 2, r.n)
end

--- Runs Lua code with plain lua5.4 in a process of its own. Its output, stderr included, and
--- its exit status. before: shell commands to run first.
function support.script(code, before)
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write('local gos = require "gossamer"\n', code, "\n")
  file:close()
  local command = ("{ %s timeout -k 5 60 %s %s; } 2>&1; echo status=$?"):format(before and before .. ";" or "", support.lua, name)
  local pipe = assert(io.popen(command))
  local out = pipe:read "a"
  pipe:close()
  os.remove(name)
  local text, status = out:match "^(.*)status=(%d+)\n$"
  return text, tonumber(status)
end

--- True if the message of an error contains the words, plainly.
function support.contains(text, words)
  return type(text) == "string" and text:find(words, 1, true) ~= nil
end

--- Fails unless f raises an error whose message contains the words.
function support.raises(words, f, ...)
  local r = table.pack(pcall(f, ...))
  if r[1] then error("no error raised; expected: " .. words, 2) end
  if not support.contains(tostring(r[2]), words) then
    error(("error %q does not contain %q"):format(tostring(r[2]), words), 2)
  end
  return r[2]
end

return support
