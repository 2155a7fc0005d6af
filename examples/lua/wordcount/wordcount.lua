#!/usr/bin/env lua5.4
-- SPDX-License-Identifier: Apache-2.0
-- wordcount: the most frequent words of all files below a directory.
--
--   walk --paths--> read (a pool) --chunks--> count (a pool) --tables--> merge
--     \               \
--      +---------------+------reports-----> watch (the main goroutine)
--
-- What travels through a channel belongs to its receiver: a path, a chunk, a
-- table. Nothing is shared, so nothing is locked. Every stage ends when the
-- channel it reads from is closed and drained, and closes the one it writes to.
local gos = require "gossamer"

local BLOCK <const> = 64 * 1024
local MAX_TOP <const>, MAX_WORKERS <const> = 1000000000, 1000
local TICK <const>, BAR <const> = 0.1, 30 -- seconds between two pictures of the bar, and its width
local ALL_FINE <const>, SOME_UNREADABLE <const>, BAD_USAGE <const> = 0, 1, 2

local function fail(...)
  io.stderr:write("wordcount: ", ...)
  io.stderr:write("\n")
  os.exit(BAD_USAGE)
end

-- One word of a shell command, whatever bytes it has.
local function quote(s)
  return "'" .. s:gsub("'", "'\\''") .. "'"
end

-- io.open's message without the path in front.
local function reason(path, message)
  return message:sub(1, #path + 2) == path .. ": " and message:sub(#path + 3) or message
end

---- the goroutines ----------------------------------------------------------------

-- Sends every regular file below the tree. Symbolic links are not followed. Standard Lua lists no
-- directories: find(1) does, its output ending each path with a zero byte.
local function walk(tree, paths, reports)
  local name = os.tmpname()
  local errors = assert(io.open(name))
  local command = "LC_ALL=C find -H %s -type f -print0 2>%s"
  local safe = tree:match("^[-(),!]") and "./" .. tree or tree -- not to be taken for an option of find
  local find = assert(io.popen(command:format(quote(safe), quote(name)), "r"))
  local rest, block = "", find:read(BLOCK)
  os.remove(name) -- both sides have opened it
  while block do
    rest = rest .. block
    local from = 1
    for path, next in rest:gmatch("([^\0]+)\0()") do
      reports:send { found = 1 }
      paths:send(path)
      from = next
    end
    rest = rest:sub(from)
    block = find:read(BLOCK)
  end
  find:close()
  for line in errors:lines() do -- find: 'PATH': REASON
    local path, why = line:match("^find: '(.*)': (.*)$")
    reports:send { unreadable = path and path .. ": " .. why or line }
  end
  errors:close()
  paths:close()
end

-- Sends a file's content in chunks that end where a word ends: the word a block breaks off in goes
-- to the front of the next one. Gives the number of bytes, or nil and why not.
local function read_file(path, chunks)
  local file, message = io.open(path, "rb")
  if not file then return nil, reason(path, message) end
  local size, head = 0, {} -- head: the parts of the word broken off
  local block
  repeat
    block, message = file:read(BLOCK)
    if block then
      size = size + #block
      local rest = block:match("^.*%A()") -- the position after the last byte that is no letter
      if rest then
        head[#head + 1] = block:sub(1, rest - 1)
        chunks:send(table.concat(head))
        head = {}
      end
      head[#head + 1] = block:sub(rest or 1)
    end
  until not block
  file:close()
  local last = table.concat(head)
  if last ~= "" then chunks:send(last) end
  if message then return nil, message end
  return size
end

local function read_files(paths, chunks, reports)
  for path in paths do
    local size, why = read_file(path, chunks)
    if size then
      reports:send { files = 1, bytes = size }
    else
      reports:send { unreadable = path .. ": " .. why }
    end
  end
end

-- Counts into a table of its own, and sends it once there are no more chunks.
local function count(chunks, tables)
  local words = {}
  for chunk in chunks do
    for word in chunk:lower():gmatch("%a+") do
      words[word] = (words[word] or 0) + 1
    end
  end
  tables:send(words)
end

local function merge(tables)
  local words, order = {}, {}
  for part in tables do
    for word, n in pairs(part) do
      if not words[word] then order[#order + 1] = word end
      words[word] = (words[word] or 0) + n
    end
  end
  table.sort(order, function(a, b)
    if words[a] ~= words[b] then return words[a] > words[b] end
    return a < b
  end)
  return words, order
end

-- Nobody sends any more once the whole pool has ended.
local function close_after(wg, ...)
  wg:wait()
  for _, ch in ipairs { ... } do ch:close() end
end

---- what the user sees ------------------------------------------------------------

local function draw(t)
  local seen = t.files + t.unreadable
  local full = seen < t.found and seen * BAR // t.found or t.found > 0 and BAR or 0
  local bar = ("#"):rep(full) .. ("-"):rep(BAR - full)
  io.stderr:write(("\r\x1b[K[%s] %d/%d files, %.1f MB"):format(bar, t.files, t.found, t.bytes / 1e6))
end

-- Adds up the reports until there are no more. A terminal also gets a bar, redrawn at every tick;
-- otherwise the ticker's case is a nil channel, which never fires.
local function watch(reports)
  local t = { found = 0, files = 0, bytes = 0, unreadable = 0 }
  local ticker = os.execute("test -t 2") and gos.ticker(TICK)
  local cases = { gos.recv(reports), gos.recv(ticker and ticker.C or gos.nilchan) }
  while true do
    local i, r, err = gos.select(cases)
    if i == 2 then
      draw(t)
    elseif err then
      break
    else
      t.found = t.found + (r.found or 0)
      t.files = t.files + (r.files or 0)
      t.bytes = t.bytes + (r.bytes or 0)
      if r.unreadable then
        t.unreadable = t.unreadable + 1
        io.stderr:write(ticker and "\r\x1b[K" or "", r.unreadable, "\n")
      end
    end
  end
  if ticker then
    draw(t)
    io.stderr:write("\n")
    ticker:stop()
  end
  return t
end

local function show(words, order, top, t)
  for i = 1, math.min(top, #order) do
    io.write(("%7d %s\n"):format(words[order[i]], order[i]))
  end
  io.write(("\nfiles: %d\nbytes: %d\nunreadable: %d\n"):format(t.files, t.bytes, t.unreadable))
  local ok, why = io.stdout:flush()
  if not ok then fail("standard output: ", why) end
end

local USAGE <const> = [[
usage: wordcount.lua [--top N] [--workers N] TREE

Prints the most frequent words of all regular files below TREE.
A word is a run of ASCII letters; case does not count.

  --top N      how many words to print (default: 10)
  --workers N  how many files to read at a time (default: 4 for each CPU)
  --help       print this and exit

Exit status: 0 all fine, 1 something could not be read, 2 wrong usage.
]]

local function whole_number(option, text, most)
  local n = text and text:match("^%d+$") and math.tointeger(tonumber(text))
  if n and n >= 1 and n <= most then return n end
  fail(("%s: must be a whole number from 1 to %d, not '%.60s'"):format(option, most, text or ""))
end

local function parse(args)
  local o = { top = 10, workers = 4 * gos.num_cpu() }
  local limits = { top = MAX_TOP, workers = MAX_WORKERS }
  local options, i = true, 1
  while i <= #args do
    local name, value = args[i]:match("^%-%-(%a+)=?(.*)$")
    if not options or args[i]:sub(1, 1) ~= "-" then
      if o.tree then fail("one directory is enough\ntry 'wordcount.lua --help'") end
      o.tree = args[i]
    elseif args[i] == "--" then
      options = false
    elseif args[i] == "--help" or args[i] == "-h" then
      io.write(USAGE)
      os.exit(ALL_FINE)
    elseif limits[name] then
      if not args[i]:find("=", 1, true) then
        i = i + 1
        value = args[i]
      end
      o[name] = whole_number("--" .. name, value, limits[name])
    else
      fail("no such option: ", args[i], "\ntry 'wordcount.lua --help'")
    end
    i = i + 1
  end
  if not o.tree then fail("one directory is needed\ntry 'wordcount.lua --help'") end
  local dir, message = io.open(o.tree .. "/.") -- opens directories only
  if not dir then fail(o.tree, ": ", reason(o.tree .. "/.", message)) end
  dir:close()
  return o
end

local function main(args)
  local o = parse(args)
  local paths, chunks = gos.chan(256), gos.chan(o.workers)
  local tables, reports = gos.chan(), gos.chan(256)
  local readers, counters = gos.waitgroup(), gos.waitgroup()

  gos.go(walk, o.tree, paths, reports)
  for _ = 1, o.workers do readers:go(read_files, paths, chunks, reports) end
  for _ = 1, gos.num_cpu() do counters:go(count, chunks, tables) end
  gos.go(close_after, readers, chunks, reports)
  gos.go(close_after, counters, tables)
  local merger = gos.go(merge, tables)

  local t = watch(reports)
  local ok, words, order = merger:join()
  if not ok then error(words) end
  show(words, order, o.top, t)
  return t.unreadable > 0 and SOME_UNREADABLE or ALL_FINE
end

local ok, result = pcall(main, arg)
if ok then os.exit(result) end
if tostring(result):find("interrupted!", 1, true) then os.exit(130) end -- Ctrl-C, as a shell reports it
error(result, 0)
