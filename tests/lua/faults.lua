-- Run by tests/lua/faults.c: each allocation of Lua's in each of these fails, alone and with all that
-- follow. Then an error or nothing at all has come of it, and everything works again.
-- SPDX-License-Identifier: Apache-2.0
-- luacheck: globals fail_at fail_stop, ignore 143

local gos = require "gossamer.native"

local function settle() for _ = 1, 20 do gos.gosched() end end

local cases = {
  channels = function()
    local ch = gos.chan(2, "name")
    ch:send {}
    gos.go(ch.send, ch, "x", 0.05)
    ch:sender():try_send(2)
    ch:recv(1)
    gos.select { ch, gos.send(ch, {}), default = true }
  end,
  goroutines = function()
    gos.go { function(...) return ... end, 1, 2, name = "n", labels = { a = "b" } }:join(0.05)
    gos.go(error, "e"):join(0.05)
    local g = gos.go(gos.nilchan.recv, gos.nilchan, 0.05)
    gos.gosched()
    g:interrupt()
    g:done():recv(0.05)
    gos.stack(true)
  end,
  timers = function()
    local t <close> = gos.ticker(0.001)
    t.C:recv(0.05)
    gos.after_func(0, function() end, 1)
    gos.after(0):recv(0.05)
  end,
  contexts = function()
    local c <close> = gos.with_cancel(gos.with_value("k", {}, gos.with_timeout(3600, nil, "late")))
    local m <close> = gos.merge(c, gos.without_cancel(gos.with_grace(1, c)))
    m:done():recv(gos.with_timeout(0.001))
    m:cancel {}
    assert(m:cause() and m:value "k")
  end,
  functions = function()
    local c <close> = gos.with_cancel()
    local stop = c:after_func(function() end, 1, 2)
    c:after_func(function() end)
    stop()
  end,
  locks = function()
    local rw, cond = gos.rwmutex(), gos.cond()
    local _ <close> = rw:rguard()
    gos.go(function()
      local _ <close> = cond.L:guard()
      cond:signal()
    end)
    local _ <close> = cond.L:guard()
    cond:wait(0.01)
    gos.once():do_(function() end)
    gos.waitgroup():go(function() end)
  end,
  pools = function()
    local pool = gos.pool(function() return {} end)
    for _ = 1, 10 do pool:put {} end
    for _ = 1, 12 do pool:get() end
  end,
  maps = function()
    local m = gos.map()
    for i = 1, 10 do m:store(i, {}) end
    m:range(function() end)
    m:clear()
    gos.atomic.int(1):add(1)
    gos.atomic.bool(true):load()
  end,
  groups = function()
    local grp = gos.errgroup { limit = 2, errors = "all" }
    for i = 1, 5 do grp:go(function() if i > 3 then error {} end end) end
    grp:wait(1)
  end,
  limits = function()
    local sem, lim = gos.semaphore(1), gos.limiter(1000, 2)
    sem:acquire()
    sem:acquire(1, 0.001)
    sem:release()
    lim:reserve():cancel()
    lim:wait(1, 1)
  end,
  flights = function()
    local sf = gos.singleflight()
    gos.go(sf.do_, sf, "k", function() gos.gosched() return {} end)
    gos.gosched()
    sf:do_("k", function() end, 0.05)
    sf:do_chan("j", function() return 1 end):recv(0.05)
  end,
  buffers = function()
    local b, ch <const> = gos.buffer(4096), gos.chan(1)
    gos.isolate(function() end, ch):join(0.05)
    ch:send { b, b:slice(2, 9) }
    local got = ch:recv(0.05)
    if got then got[2]:pack(1, "z", "text") end
    b:unpack(1, "z")
  end,
  signals = function()
    local ch <const> = gos.chan(1)
    gos.notify(ch, "USR1")
    gos.gosched()
    gos.stop(ch)
    local _ <close> = gos.notify_context "USR2"
  end,
}

gos.on_panic(function() end) -- errors nobody joins are expected here
local n = 0
for name, case in pairs(cases) do
  for _, for_ever in ipairs { false, true } do
    local at, failed = 0, true
    while failed do
      fail_at(at, for_ever)
      local ok, err = pcall(case)
      failed = fail_stop()
      assert(ok or failed, err)
      settle()
      at, n = at + 1, n + 1
    end
    local ch = gos.chan()
    gos.go(ch.send, ch, name)
    assert(ch:recv(60) == name)
  end
end
for _ = 1, 3000 do
  collectgarbage()
  gos.sleep(0.01)
  if gos.num_goroutine() == 1 then break end
end
assert(gos.num_goroutine() == 1, gos.stack(true)) -- all that waited had a timeout
gos.sleep(1.1) -- on_panic's second
print(n .. " faults")
