--- What gos.file has for whole files.
--
-- SPDX-License-Identifier: Apache-2.0

local arguments = require "gossamer.arguments"
local check, called = arguments.check, arguments.called

return function(gos)
  local file = gos.file

  function file.read(path, t)
    local f <close>, why, code = called("read", { 1, 0, 2 }, pcall(file.open, path, "r", t))
    if not f then return nil, why, code end
    return f:read_all(t)
  end

  function file.write(path, data, t)
    -- Before the file is made empty. A buffer is userdata.
    if type(data) ~= "number" and type(data) ~= "userdata" then check("string", 2, "write", data) end
    local f <close>, why, code = called("write", { 1, 0, 3 }, pcall(file.open, path, "w", t))
    if not f then return nil, why, code end
    return called("write", { 1, 2, 3 }, pcall(f.write, f, data, t))
  end

  function file.lines(path)
    local f, why = called("lines", { 1 }, pcall(file.open, path))
    if not f then error(why, 2) end
    local next_line, state = f:lines()
    return next_line, state, nil, f
  end
end
