-- Steps of timers and signals.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local words = require "words"
local object, declare, cut = words.object, words.declare, words.cut

local function timer(name, t)
  local world = words.world()
  declare(name, t)
  world.timers[name] = true
  table.insert(world.ends, function() t:stop() end)
end

-- Go's Ticker gives nothing.
local function pending(t, was)
  if not words.world().tickers[t] then return words.bool(was) end
end

local function interval(where, ...)
  return words.renamed("non-positive interval for " .. where, "non-positive interval", ...)
end

return function(body)
  return {
    outer = {
      after_func = function(rest)
        local name, more = cut(rest, " ")
        local ms, text = cut(more, " ")
        timer(name, gos.after_func(ms / 1000, body, text, {}))
      end,
    },
    steps = {
      timer = function(name, ms) timer(name, gos.timer(ms / 1000)) end,
      ticker = function(name, ms)
        timer(name, interval("NewTicker", gos.ticker, ms / 1000))
        words.world().tickers[name] = true
      end,
      after = function(name, ms) declare(name, gos.after(ms / 1000)) end,
      stop = function(t) return pending(t, object(t):stop()) end,
      reset = function(t, ms) return pending(t, interval("Ticker.Reset", object(t).reset, object(t), ms / 1000)) end,

      sigchan = function(name, cap)
        local c = gos.chan(math.tointeger(cap))
        declare(name, c)
        table.insert(words.world().ends, function() gos.stop(c) end)
      end,
      notify = function(c, ...) gos.notify(object(c), ...) end,
      notify_stop = function(c) gos.stop(object(c)) end,
      -- Lua cannot send one: the shell's parent is this process.
      raise = function(name) assert(os.execute("kill -" .. name .. " $PPID")) end,
    },
  }
end
