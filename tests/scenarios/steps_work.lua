-- Steps of errgroup, semaphore, singleflight and limiter.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local words = require "words"
local object, declare, bool, cut, obeyed = words.object, words.declare, words.bool, words.cut, words.obeyed

local int <const> = math.tointeger

local function per_second(text) return text == "inf" and math.huge or tonumber(text) end

return function(body)
  -- A function that returns what the body says.
  local function outcome(text)
    return function()
      local out = {}
      body(text, out)
      if out.error then return nil, out.error end
      return out.value
    end
  end

  -- Two names and a body.
  local function cut2(rest)
    local first, more = cut(rest, " ")
    return first, cut(more, " ")
  end

  local outer = {}

  function outer.group_go(rest)
    local g, text = cut(rest, " ")
    object(g):go(outcome(text))
  end

  function outer.group_try_go(rest, out)
    local g, text = cut(rest, " ")
    out[#out + 1] = bool(object(g):try_go(outcome(text)))[1]
  end

  function outer.flight_do(rest, out)
    local f, k, text = cut2(rest)
    local v, shared = object(f):do_(k, outcome(text))
    assert(type(shared) == "boolean", shared)
    table.move({ tostring(v), "nil", tostring(shared) }, 1, 3, #out + 1, out)
  end

  function outer.flight_err(rest, out)
    local f, k, text = cut2(rest)
    local v, err = object(f):do_(k, outcome(text))
    out[#out + 1] = v == nil and type(err) ~= "boolean" and tostring(err) or "nil"
  end

  function outer.flight_go(rest)
    local c, more = cut(rest, " ")
    local f, k, text = cut2(more)
    declare(c, object(f):do_chan(k, outcome(text)))
  end

  return { outer = outer, steps = {
    group = function(name, parent) declare(name, gos.errgroup { parent = object(parent) }) end,
    group_ctx = function(name, g) declare(name, object(g):ctx()) end,
    group_limit = function(g, n)
      words.renamed("errgroup: modify limit while goroutines in the group are still active",
        "goroutines of the errgroup are running", object(g).set_limit, object(g), int(n))
    end,
    group_wait = function(g)
      local _, err = object(g):wait()
      return { tostring(err) }
    end,

    sem = function(name, n) declare(name, gos.semaphore(int(n))) end,
    acquire = function(s, n) object(s):acquire(int(n)) end,
    try_acquire = function(s, n) return bool(object(s):try_acquire(int(n))) end,
    acquire_ctx = function(x, s, n)
      local _, err = object(s):acquire(int(n), object(x))
      return obeyed(err, { "true" })
    end,
    release = function(s, n)
      words.guarded("semaphore: released more than held", object(s).release, object(s), int(n))
    end,

    flight = function(name) declare(name, gos.singleflight()) end,
    flight_forget = function(f, k) object(f):forget(k) end,
    result = function(c)
      local r = object(c):recv()
      return { tostring(r.val), tostring(r.err), tostring(r.shared) }
    end,

    limiter = function(name, rate, burst) declare(name, gos.limiter(per_second(rate), int(burst))) end,
    allow = function(l, n) return bool(object(l):allow(int(n))) end,
    reserve = function(name, l, n)
      local r = object(l):reserve(int(n))
      declare(name, r)
      return bool(r:ok())
    end,
    delay = function(r)
      local d = object(r):delay()
      return { d == math.huge and "forever" or d > 0 and "some" or "none" }
    end,
    give_back = function(r) object(r):cancel() end,
    tokens = function(l) return { ("%d"):format(math.floor(object(l):tokens() + 0.5)) } end,
    limit = function(l) return { ("%g"):format(object(l):limit()) } end,
    burst = function(l) return { tostring(object(l):burst()) } end,
    set_limit = function(l, rate) object(l):set_limit(per_second(rate)) end,
    set_burst = function(l, n) object(l):set_burst(int(n)) end,
    limiter_wait = function(x, l, n)
      local ok, r, err = pcall(object(l).wait, object(l), int(n), object(x))
      if ok then return obeyed(err, { "true" }) end
      if tostring(r):find("more than the limiter's burst", 1, true) then return { "burst" } end
      error(r, 0)
    end,
  } }
end
