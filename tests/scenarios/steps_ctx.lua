-- Steps of contexts; send_ctx, recv_ctx and select_ctx are with the channels.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local words = require "words"
local object, declare, bool, cut, obeyed = words.object, words.declare, words.bool, words.cut, words.obeyed

local int <const> = math.tointeger

local function made(name, x)
  declare(name, x)
  table.insert(words.world().ends, function() x:cancel() end)
end

local function why(err) return { err == "deadline exceeded" and "deadline" or tostring(err) } end

return function(body)
  return {
    outer = {
      on_end = function(rest)
        local name, more = cut(rest, " ")
        local x, text = cut(more, " ")
        local stop = object(x):after_func(body, text, {})
        declare(name, stop)
        table.insert(words.world().ends, 1, stop)
      end,
    },
    steps = {
      background = function(name) declare(name, gos.background()) end,
      with_cancel = function(name, p) made(name, gos.with_cancel(object(p))) end,
      with_timeout = function(name, p, ms) made(name, gos.with_timeout(ms / 1000, object(p))) end,
      with_deadline = function(name, p, ms) made(name, gos.with_deadline(gos.now() + ms / 1000, object(p))) end,
      with_value = function(name, p, k, v) declare(name, gos.with_value(int(k), int(v), object(p))) end,
      without_cancel = function(name, p) declare(name, gos.without_cancel(object(p))) end,
      merge = function(name, a, b) made(name, gos.merge(object(a), object(b))) end,
      done_of = function(name, x) declare(name, object(x):done()) end,
      cancel = function(x) object(x):cancel() end,
      cancel_cause = function(x, n) object(x):cancel(int(n)) end,
      err = function(x) return why(object(x):err()) end,
      cause = function(x) return why(object(x):cause()) end,
      value = function(x, k) return { tostring(object(x):value(int(k))) } end,
      has_deadline = function(x) return bool(object(x):deadline()) end,
      same_deadline = function(x, y) return bool(object(x):deadline() == object(y):deadline()) end,
      stop_on_end = function(s) return bool(object(s)()) end,
      sleep_ctx = function(x, ms)
        local _, err = gos.sleep(ms / 1000, object(x))
        return obeyed(err, { "true" })
      end,
      join_ctx = function(x, name)
        local ok, err = words.world().runners[name].handle:join(object(x))
        return ok and { "true" } or obeyed(err)
      end,
    },
  }
end
