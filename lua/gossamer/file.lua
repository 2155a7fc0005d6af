--- What gos.file has for whole files.
--
-- SPDX-License-Identifier: Apache-2.0

return function(gos)
  local file = gos.file

  function file.read(path, t)
    local f <close>, why, code = file.open(path, "r", t)
    if not f then return nil, why, code end
    return f:read_all(t)
  end

  function file.write(path, data, t)
    local f <close>, why, code = file.open(path, "w", t)
    if not f then return nil, why, code end
    return f:write(data, t)
  end

  function file.lines(path)
    local f, why = file.open(path)
    if not f then error(why, 2) end
    local next_line, state = f:lines()
    return next_line, state, nil, f
  end
end
