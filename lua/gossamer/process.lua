--- What gos.process has beside spawn().
--
-- SPDX-License-Identifier: Apache-2.0

-- Seconds that are left of t, which began at start; a context stays one.
local function left(gos, t, start)
  return type(t) == "number" and math.max(t - (gos.now() - start), 0) or t
end

-- Runs a program to its end and collects its output.
local function run(gos, options, t)
  local ok, refused = gos.sleep(0, t) -- a context that has ended starts nothing
  if not ok then return nil, refused end
  local start, o = gos.now(), {}
  for k, v in pairs(options) do o[k] = v end
  o.stdin = o.input and "pipe" or o.stdin
  o.stdout, o.stderr = o.stdout or "pipe", o.stderr or "pipe"
  local p <close>, why, code = gos.process.spawn(o)
  if not p then return nil, why, code end
  if o.input then
    gos.go(function() -- a program need not read it all
      p:stdin():write(o.input)
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
    local ok, text, message = g:join(left(gos, t, start))
    if not ok or not text then return nil, ok and message or text end
    result[name] = text
  end
  result.status, result.how, code = p:wait(left(gos, t, start))
  if not result.status then return nil, result.how, code end
  return result
end

return function(gos)
  function gos.process.run(options, t)
    if type(options) ~= "table" then
      error(("bad argument #1 to 'run' (table expected, got %s)"):format(type(options)), 2)
    end
    return run(gos, options, t)
  end
end
