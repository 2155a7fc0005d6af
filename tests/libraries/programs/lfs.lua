local lfs = require "lfs"

return {
  library = "LuaFileSystem", version = lfs._VERSION, what = "directories listed with waits between, locks, attributes",
  run = function(t)
    local base = os.tmpname()
    os.remove(base)
    assert(lfs.mkdir(base))
    t.each(10, function(i)
      local dir = base .. "/" .. i
      assert(lfs.mkdir(dir))
      for k = 1, i do assert(t.gos.file.write(dir .. "/" .. k, ("x"):rep(k))) end
      local seen, size = 0, 0
      for name in lfs.dir(dir) do
        t.pause()
        if name ~= "." and name ~= ".." then
          seen, size = seen + 1, size + lfs.attributes(dir .. "/" .. name, "size")
        end
      end
      assert(seen == i and size == i * (i + 1) // 2)
      local iter, state = lfs.dir(dir) -- not read to its end
      iter(state)
      for k = 1, i do assert(os.remove(dir .. "/" .. k)) end
      assert(lfs.rmdir(dir))
    end)
    assert(not lfs.attributes(base .. "/none"))
    assert(not pcall(lfs.dir, base .. "/none"))
    local lock = assert(lfs.lock_dir(base))
    assert(not lfs.lock_dir(base))
    lock:free()
    assert(lfs.rmdir(base))
  end,
}
