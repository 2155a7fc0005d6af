-- gos.file: files by other threads.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local support = require "tests.lua.support"
local raises = support.raises
local file = gos.file

local names = {}
local function name()
  names[#names + 1] = os.tmpname()
  return names[#names]
end
teardown(function() for _, n in ipairs(names) do os.remove(n) end end)

describe("a file", function()
  it("is written and read", function()
    local n = name()
    local f = assert(file.open(n, "w"))
    assert.are.equal(13, f:write("one\ntwo\nthree"))
    assert.is_true(f:sync())
    assert.is_true(f:close())
    assert.is_false(f:close())
    f = assert(file.open(n))
    local lines = {}
    for line in f:lines() do lines[#lines + 1] = line end
    assert.are.same({ "one", "two", "three" }, lines)
    assert.are.same({ nil, "eof" }, { f:read() })
    assert.are.equal("EBADF", (select(3, f:write("x"))))
    assert.are.equal(0, f:seek "set")
    assert.are.equal("one\ntwo\nthree", f:read_all())
    assert.are.equal(10, f:seek("end", -3))
    assert.are.equal("ree", f:read(100))
    f:close()
    assert.are.same({ nil, "closed" }, { f:read() })
    assert.are.same({ nil, "closed", nil, 0 }, { f:write("x") })
    assert.are.same({ nil, "closed" }, { f:seek() })
    assert.are.same({ nil, "closed" }, { f:stat() })
    assert.are.same({ nil, "closed" }, { f:sync() })
  end)
  it("has one position, for reading and writing", function()
    local f <close> = assert(file.open(name(), "w+"))
    f:write("one\ntwo\nthree\n")
    f:seek("set")
    assert.are.equal("one", f:read_line())
    assert.are.equal(4, f:seek())
    f:write("TWO")
    assert.are.equal("", f:read_line())
    assert.are.equal("three", f:read_line())
    f:seek("set")
    assert.are.equal("one\nTWO\nthree\n", f:read_all())
    assert.is_true(f:truncate(3))
    assert.are.equal(3, f:stat().size)
  end)
  it("appends, and does not overwrite with x", function()
    local n = name()
    assert(file.open(n, "a")):write("a")
    assert(file.open(n, "a+")):write("b")
    assert.are.equal("ab", file.open(n):read_all())
    assert.are.equal("EEXIST", (select(3, file.open(n, "wx"))))
    raises("invalid mode", file.open, n, "rw")
    raises("invalid mode", file.open, n, "")
    assert.are.equal("", file.open(n, "wb"):read_all() or "")
  end)
  it("goes by other threads, so that others go on", function()
    local n = name()
    local text = ("0123456789abcdef"):rep(200000)
    local f = assert(file.open(n, "w"))
    local counted = 0
    local g = gos.go(function() return f:write(text) end)
    while g:status() ~= "dead" do
      counted = counted + 1
      gos.gosched()
    end
    assert.are.same({ true, #text }, { g:join() })
    f:close()
    local r <close> = assert(file.open(n))
    assert.is_true(r:read_all() == text)
  end)
  it("closed while another reads, the read ends and the number stays its own until then", function()
    for _ = 1, 20 do
      local f = assert(file.open(name(), "w+"))
      f:write("text")
      f:seek "set"
      local g = gos.go(function() return f:read() end)
      gos.gosched()
      f:close()
      local ok, text, why = g:join()
      assert.is_true(ok and (text == "text" or why == "closed"))
    end
  end)
  it("gives clear errors", function()
    local f, message, code = file.open("/nonexistent/file")
    assert.are.same({ nil, "/nonexistent/file: No such file or directory", "ENOENT" }, { f, message, code })
    assert.are.equal("EISDIR", (select(3, file.open("/"))))
    raises("no zeros", file.open, "a\0b")
    assert.are.same({ nil, "timeout" }, { file.stat("/", 0) })
    local full = file.open("/dev/full", "w")
    if full then assert.are.equal("ENOSPC", (select(3, full:write("x")))) end
  end)
end)

describe("a context that had ended before", function()
  it("leaves files and directories as they are", function()
    local n, new = name(), name()
    os.remove(new)
    file.write(n, "text")
    local f = assert(file.open(n, "r+"))
    local canceled, late = gos.with_cancel(), gos.with_timeout(0)
    canceled:cancel()
    local calls = {
      remove = function(t) return file.remove(n, t) end,
      rename = function(t) return file.rename(n, new, t) end,
      mkdir = function(t) return file.mkdir(new, t) end,
      create = function(t) return file.open(new, "w", t) end,
      open = function(t) return file.open(n, "w", t) end,
      replace = function(t) return file.write(n, "other", t) end,
      write = function(t) return f:write("other", t) end,
      truncate = function(t) return f:truncate(1, t) end,
      sync = function(t) return f:sync(t) end,
      read = function(t) return f:read(1, t) end,
      stat = function(t) return file.stat(n, t) end,
      list = function(t) return file.list("/", t) end,
    }
    local function check(why, t)
      for what, call in pairs(calls) do
        local r, e = call(t)
        assert.are.same({ nil, why }, { r, e }, what)
        assert.are.equal("text", file.read(n), what)
        assert.is_nil((file.stat(new)), what)
      end
    end
    check("canceled", canceled)
    check("timeout", late)
    assert.are.same({ true, nil, "canceled" }, { gos.go(file.remove, n, canceled):join() })
    for what, call in pairs(calls) do
      local g = gos.go(call)
      g:interrupt() -- before it has begun
      local ok, r, e = g:join()
      assert.are.same({ true, nil, "canceled" }, { ok, r, e }, what)
      assert.are.equal("text", file.read(n), what)
      assert.is_nil((file.stat(new)), what)
    end
    f:set_deadline(-1)
    assert.are.same({ nil, "timeout", nil, 0 }, { f:write "other" })
    assert.are.equal("text", file.read(n))
    f:close()
  end)
end)

describe("whole files", function()
  it("are written, read, and read by lines", function()
    local n = name()
    assert.are.equal(8, file.write(n, "one\ntwo\n"))
    assert.are.equal("one\ntwo\n", file.read(n))
    local lines = {}
    for line in file.lines(n) do lines[#lines + 1] = line end
    assert.are.same({ "one", "two" }, lines)
    assert.are.equal("ENOENT", (select(3, file.read "/nonexistent/file")))
    assert.are.equal("ENOENT", (select(3, file.write("/nonexistent/file", ""))))
    raises("No such file", file.lines, "/nonexistent/file")
    local next_line, state, _, closing = file.lines(n)
    assert.are.equal("one", next_line(state))
    do local _ <close> = closing end
    assert.is_true(state:closed())
  end)
end)

describe("a directory", function()
  it("is made, listed, renamed and removed", function()
    local d = name()
    os.remove(d)
    assert.is_true(file.mkdir(d))
    assert.are.equal("EEXIST", (select(3, file.mkdir(d))))
    for _, n in ipairs { "a", "b", "c" } do file.open(d .. "/" .. n, "w"):close() end
    local list = assert(file.list(d))
    table.sort(list)
    assert.are.same({ "a", "b", "c" }, list)
    assert.is_true(file.rename(d .. "/a", d .. "/z"))
    assert.are.equal("directory", file.stat(d).type)
    assert.are.equal("file", file.lstat(d .. "/z").type)
    assert.are.equal("ENOTEMPTY", (select(3, file.remove(d))))
    for _, n in ipairs { "b", "c", "z" } do assert.is_true(file.remove(d .. "/" .. n)) end
    assert.are.same({}, file.list(d))
    assert.is_true(file.remove(d))
    assert.are.equal("ENOENT", (select(3, file.list(d))))
  end)
  it("is asked about", function()
    local st = file.stat("/")
    for _, field in ipairs { "size", "mode", "uid", "gid", "inode", "device", "links" } do
      assert.are.equal("integer", math.type(st[field]), field)
    end
    for _, field in ipairs { "accessed", "modified", "changed" } do
      assert.are.equal("float", math.type(st[field]), field)
    end
    assert.are.equal("char", file.stat("/dev/null").type)
  end)
end)
