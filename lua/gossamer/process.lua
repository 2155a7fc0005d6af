--- What gos.process has beside spawn().
--
-- SPDX-License-Identifier: Apache-2.0

local arguments = require "gossamer.arguments"
local check, called, left = arguments.check, arguments.called, arguments.left

-- What spawn() is told for a program whose output is collected.
local function collected(options)
  local o = {}
  for k, v in pairs(options) do o[k] = v end
  o.stdin = o.input and "pipe" or o.stdin
  o.stdout, o.stderr, o.input = o.stdout or "pipe", o.stderr or "pipe", nil
  return o
end

-- Waits for its end and collects its output.
local function collect(gos, p, input, t, start)
  if input then
    gos.go(function() -- a program need not read it all
      p:stdin():write(input)
      p:stdin():close()
    end)
  end
  local result = {}
  local readers = {}
  for _, name in ipairs { "stdout", "stderr" } do
    local stream = p[name](p)
    if stream then readers[name] = gos.go(stream.read_all, stream) end
  end
  for name, g in pairs(readers) do
    local ok, text, message = g:join(left(t, start))
    if not ok or not text then return nil, ok and message or text end
    result[name] = text
  end
  local code
  result.status, result.how, code = p:wait(left(t, start))
  if not result.status then return nil, result.how, code end
  return result
end

return function(gos)
  function gos.process.run(options, t)
    check("table", 1, "run", options)
    local ok, refused = called("run", { 1, 2 }, pcall(gos.sleep, 0, t)) -- a context that has ended starts nothing
    if not ok then return nil, refused end
    local start = gos.now()
    local p <close>, why, code = called("run", { 1 }, pcall(gos.process.spawn, collected(options)))
    if not p then return nil, why, code end
    return collect(gos, p, options.input, t, start)
  end
end
