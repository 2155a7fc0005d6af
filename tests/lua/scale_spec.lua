-- Many goroutines: GOSSAMER_LUA_MANY says how many (500000 takes 3 GB).
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local support = require "tests.lua.support"

local MANY = math.tointeger(os.getenv "GOSSAMER_LUA_MANY") or support.stressed and 2000 or 100000

local function resident()
  for line in io.lines "/proc/self/status" do
    local kb = line:match "^VmRSS:%s*(%d+)"
    if kb then return kb * 1024 end
  end
end

describe(MANY .. " goroutines", function()
  it("are parked on a channel, woken and joined", function()
    local ch, done, sum = gos.chan(), gos.chan(MANY), 0
    local gs, before = {}, resident()
    for i = 1, MANY do
      gs[i] = gos.go(function()
        local v = ch:recv()
        done:send(v)
        return i
      end)
    end
    support.settle()
    assert.is_true(gos.num_goroutine() > MANY)
    for i = 1, MANY do assert(gs[i]:status() == "waiting") end
    if not support.stressed then assert((resident() - before) / MANY <= 6144) end
    for i = 1, MANY do ch:send(i) end
    for i = 1, MANY do
      local _, r = gs[i]:join()
      assert(r == i)
      sum = sum + done:recv()
    end
    assert.are.equal(MANY * (MANY + 1) // 2, sum)
  end)

  it("are woken by a close", function()
    local ch, wg, n = gos.chan(), gos.waitgroup(), 0
    for _ = 1, MANY do wg:go(function() for _ in ch do end n = n + 1 end) end
    support.settle()
    ch:close()
    wg:wait()
    assert.are.equal(MANY, n)
  end)

  it("sleep at once", function()
    local wg = gos.waitgroup()
    for i = 1, MANY do wg:go(gos.sleep, i % 10 * 0.001) end
    assert.is_true(wg:wait())
  end)

  it("form a ring that a token passes", function()
    local first = gos.chan()
    local left = first
    for _ = 1, MANY do
      local right = gos.chan()
      local from = left
      gos.go(function() right:send(from:recv() + 1) end)
      left = right
    end
    first:send(0)
    assert.are.equal(MANY, left:recv())
  end)
end)
