-- Steps of locks, wait groups, once, pools, maps and plain variables.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local words = require "words"
local object, declare, bool, found, cut = words.object, words.declare, words.bool, words.found, words.cut

local function counted(f, ...)
  return words.renamed("sync: negative WaitGroup counter", "negative WaitGroup counter", f, ...)
end

local int <const> = math.tointeger

return function(body)
  local outer = {}

  outer["do"] = function(rest, out)
    local once, text = cut(rest, " ")
    object(once):do_(function() body(text, out) end)
  end

  function outer.wg_go(rest)
    local group, text = cut(rest, " ")
    object(group):go(body, text, {})
  end

  function outer.once_func(rest)
    local name, text = cut(rest, " ")
    declare(name, gos.once_func(function() body(text, {}) end))
  end

  function outer.once_value(rest)
    local name, text = cut(rest, " ")
    declare(name, gos.once_value(function()
      local out = {}
      body(text, out)
      return out.value
    end))
  end

  function outer.each(rest, out)
    local limit, more = cut(rest, " ")
    local m, text = cut(more, " ")
    local seen = 0
    object(m):range(function()
      if text ~= "" then body(text, out) end
      seen = seen + 1
      return seen < int(limit)
    end)
    out[#out + 1] = tostring(seen)
  end

  return { outer = outer, steps = {
    mutex = function(name) declare(name, gos.mutex()) end,
    rwmutex = function(name) declare(name, gos.rwmutex()) end,
    lock = function(m) object(m):lock() end,
    unlock = function(m) object(m):unlock() end,
    trylock = function(m) return bool(object(m):try_lock()) end,
    rlock = function(r) object(r):rlock() end,
    runlock = function(r) object(r):runlock() end,
    tryrlock = function(r) return bool(object(r):try_rlock()) end,

    cond = function(name, lock) declare(name, gos.cond(object(lock))) end,
    cond_wait = function(k) object(k):wait() end,
    signal = function(k) object(k):signal() end,
    broadcast = function(k) object(k):broadcast() end,

    wg = function(name) declare(name, gos.waitgroup()) end,
    add = function(w, n) counted(object(w).add, object(w), int(n)) end,
    done = function(w) counted(object(w).done, object(w)) end,
    wait = function(w) object(w):wait() end,

    once = function(name) declare(name, gos.once()) end,
    call = function(f)
      local v = object(f)()
      if v ~= nil then return { tostring(v) } end
    end,

    pool = function(name, v)
      declare(name, gos.pool(v ~= "nil" and function() return int(v) end or nil))
    end,
    pool_get = function(p) return { tostring(object(p):get()) } end,
    pool_put = function(p, v) object(p):put(int(v)) end,

    map = function(name) declare(name, gos.map()) end,
    load = function(m, k) return found(object(m):load(int(k))) end,
    store = function(m, k, v) object(m):store(int(k), int(v)) end,
    load_or_store = function(m, k, v) return found(object(m):load_or_store(int(k), int(v))) end,
    load_and_delete = function(m, k) return found(object(m):load_and_delete(int(k))) end,
    delete = function(m, k) object(m):delete(int(k)) end,
    swap = function(m, k, v) return found(object(m):swap(int(k), int(v))) end,
    compare_and_swap = function(m, k, old, new)
      return bool(object(m):compare_and_swap(int(k), int(old), int(new)))
    end,
    compare_and_delete = function(m, k, old) return bool(object(m):compare_and_delete(int(k), int(old))) end,
    clear = function(m) object(m):clear() end,
    pairs = function(m)
      local keys, values, out = {}, {}, {}
      object(m):range(function(k, v)
        keys[#keys + 1], values[k] = k, v
      end)
      table.sort(keys)
      for i, k in ipairs(keys) do out[i] = k .. "=" .. values[k] end
      return out
    end,

    var = function(name) declare(name, { n = 0 }) end,
    set = function(n, v) object(n).n = int(v) end,
    inc = function(n) object(n).n = object(n).n + 1 end,
    get = function(n) return { tostring(object(n).n) } end,
  } }
end
