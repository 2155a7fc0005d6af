-- Lanes: threads of its own in the same process; a lane that uses gossamer itself.
local lanes = require "lanes"
if lanes.configure then lanes = lanes.configure { with_timers = false } end

return {
  library = "Lanes", version = lanes.ABOUT and lanes.ABOUT.version, what = "lanes beside goroutines, a linda between them, gossamer inside a lane",
  run = function(t)
    local linda = lanes.linda()
    local lane = lanes.gen("*", function(n)
      local sum = 0
      for i = 1, n do sum = sum + i end
      linda:send("result", sum)
      return sum
    end)
    local all = {}
    for i = 1, 4 do all[i] = lane(1000 * i) end
    local sum = 0
    for _ = 1, 4 do
      local key, v
      repeat
        key, v = linda:receive(0, "result")
        if not key then t.pause() end
      until key
      sum = sum + v
    end
    assert(sum == 500500 + 2001000 + 4501500 + 8002000)
    for i = 1, 4 do assert(all[i]:join(20)) end
    local inside = lanes.gen("*", function()
      local gos = require "gossamer"
      local ch = gos.chan()
      gos.go(function() for i = 1, 10 do ch:send(i) end ch:close() end)
      local n = 0
      for v in ch do n = n + v end
      return n
    end)()
    for _ = 1, 10000 do
      if inside.status == "done" or inside.status == "error" then break end
      t.pause()
    end
    local v, err = inside:join(1)
    assert((v == 55) or (err == 55), tostring(err))
  end,
}
