-- cqueues: its controller in a goroutine that waits for the controller's descriptor.
local cqueues = require "cqueues"
local cs = require "cqueues.socket"
local condition = require "cqueues.condition"

return {
  library = "cqueues", version = tostring(cqueues.VERSION), what = "controllers in goroutines through pollfd(), sockets, conditions, sleeps; two of them at once",
  run = function(t)
    local gos = t.gos
    local function loop(cq)
      while not cq:empty() do
        assert(cq:step(0))
        if not cq:empty() then gos.wait_fd(cq:pollfd(), "r", cq:timeout()) end
      end
    end
    t.each(3, function(i)
      local cq = cqueues.new()
      local server = cs.listen("127.0.0.1", 0)
      server:listen()
      local _, _, port = server:localname()
      local answers, cond, ready = {}, condition.new(), false
      cq:wrap(function()
        for _ = 1, 5 do
          local con = server:accept()
          cq:wrap(function()
            for line in con:lines "*l" do con:write(line:upper(), "\n") con:flush() end
            con:close()
          end)
        end
      end)
      for k = 1, 5 do
        cq:wrap(function()
          while not ready do cond:wait() end
          local c = cs.connect("127.0.0.1", port)
          c:write(("line %d %d\n"):format(i, k))
          c:flush()
          answers[k] = c:read "*l"
          c:close()
        end)
      end
      cq:wrap(function()
        cqueues.sleep(0.005)
        ready = true
        cond:signal()
      end)
      loop(cq)
      for k = 1, 5 do assert(answers[k] == ("LINE %d %d"):format(i, k), answers[k]) end
      server:close()
    end)
    -- An error inside is the step's.
    local cq = cqueues.new()
    cq:wrap(function() cqueues.sleep(0.001) error "inside" end)
    local ok, err
    while not cq:empty() do
      ok, err = cq:step(0)
      if not ok then break end
      gos.wait_fd(cq:pollfd(), "r", cq:timeout())
    end
    assert(not ok and tostring(err):match "inside")
  end,
}
