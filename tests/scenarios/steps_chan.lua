-- Steps of channels and select.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local words = require "words"
local object, source, bool, received, guarded = words.object, words.source, words.bool, words.received, words.guarded

local closed <const> = "send on closed channel"

-- What comes until the channel is closed: its own iterator, counted.
local function values(c)
  return function()
    local v = object(c)()
    words.moved()
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

local function send(c, v, t) return guarded(closed, object(c).send, object(c), math.tointeger(v), t) end

-- The table's positions start at 0, Lua's at 1; default is no case here, so it keeps its place as false.
local function choose(list, cases)
  local kinds, n = {}, 0
  for text in list:gmatch("[^,]+") do
    local f = words.of(text)
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
  if type(at) == "string" then return { cases.ctx and at == "timeout" and "deadline" or at } end
  if kinds[at] == "send" then return { tostring(at - 1) } end
  return { tostring(at - 1), table.unpack(received(v, err)) }
end

local function append(out, list) table.move(list, 1, #list, #out + 1, out) end

return {
  steps = {
    chan = function(name, cap) words.declare(name, gos.chan(math.tointeger(cap))) end,
    nilchan = function(name) words.declare(name, gos.nilchan) end,
    chanchan = function(name, cap) words.declare(name, gos.chan(math.tointeger(cap))) end,
    send = function(c, v) send(c, v) end,
    try_send = function(c, v) return bool(guarded(closed, object(c).try_send, object(c), math.tointeger(v))) end,
    send_for = function(ms, c, v)
      local ok, err = send(c, v, ms / 1000)
      return { ok and "true" or err }
    end,
    send_ctx = function(x, c, v)
      local _, err = send(c, v, object(x))
      return words.obeyed(err, { "true" })
    end,
    recv = function(c) return received(source(c):recv()) end,
    try_recv = function(c) return received(source(c):try_recv()) end,
    recv_for = function(ms, c) return received(source(c):recv(ms / 1000)) end,
    recv_ctx = function(x, c)
      local v, err = source(c):recv(object(x))
      return words.obeyed(err, received(v, err))
    end,
    close = function(c)
      local ok, first = pcall(object(c).close, object(c))
      if not ok then words.failed("close of nil channel") end
      if not first then words.failed("close of closed channel") end
    end,
    len = function(c) return { tostring(#source(c)) } end,
    cap = function(c) return { tostring(source(c):cap()) } end,
    range = function(c)
      local out = {}
      for v in values(c) do out[#out + 1] = tostring(v) end
      return out
    end,
    sum = function(c) return { tostring(sum(c)) } end,
    sum_of = function(n, c) return { tostring(sum(c, math.tointeger(n))) } end,
    sum_into = function(r, c) object(r):send(sum(c)) end,
    count = function(c, first, last)
      for v = math.tointeger(first), math.tointeger(last) do
        send(c, v)
        words.moved()
      end
    end,
    filter = function(a, b, prime)
      for v in values(a) do
        if v % math.tointeger(prime) ~= 0 then object(b):send(v) end
      end
      object(b):close()
    end,
    send_chan = function(cc, c) object(cc):send(object(c)) end,
    take = function(name, cc) words.declare(name, (object(cc):recv())) end,
  },
  outer = {
    select = function(rest, out) append(out, choose(rest, {})) end,
    select_for = function(rest, out)
      local ms, cases = words.cut(rest, " ")
      append(out, choose(cases, { timeout = ms / 1000 }))
    end,
    select_ctx = function(rest, out)
      local x, cases = words.cut(rest, " ")
      append(out, choose(cases, { ctx = object(x) }))
    end,
  },
}
