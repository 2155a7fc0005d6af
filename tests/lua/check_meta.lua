-- Every bound function is annotated in lua/gossamer/meta.lua, and nothing else is.
--   lua5.4 tests/lua/check_meta.lua        prints what differs; the exit status tells
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local path = assert(package.searchpath("gossamer.meta", package.path))

local annotated, documented, doc = {}, {}, false
for line in io.lines(path) do
  local class, method = line:match "^function ([%w_]+)[.:]([%w_]+)%("
  local field = line:match "^%-%-%-@field ([%a_][%w_]*)"
  if class then
    local name = class .. "." .. method
    annotated[name], documented[name] = true, doc
  end
  local start = line:match "^%-%-%-@class gossamer$"
  if start then annotated["in gos"] = true elseif line:match "^local " then annotated["in gos"] = nil end
  if field and annotated["in gos"] then annotated["gos." .. field], documented["gos." .. field] = true, true end
  doc = line:match "^%-%-%-" ~= nil
end
annotated["in gos"] = nil

-- One object of each class; meta.lua splits the channel's methods over three names.
local objects = { Goroutine = gos.go(function() end), Chan = gos.chan(), Timer = gos.timer(1), Mutex = gos.mutex(),
  WaitGroup = gos.waitgroup(), Once = gos.once() }
local bound = {}
for name in pairs(gos) do bound["gos." .. name] = true end
for _, part in ipairs { "net", "file", "process" } do
  for name in pairs(gos[part]) do bound[part .. "." .. name] = true end
end
-- Classes that share methods: those of the later names are annotated with the first that has them.
local shared = { Conn = "Stream", File = "Stream", Pipe = "Stream", Listener = "Conn", Packet = "Conn" }
local function of_shared(class, name)
  local at = class
  while at and not annotated[at .. "." .. name] do at = shared[at] end
  return (at or class) .. "." .. name
end
objects.Conn, objects.Pipe = gos.net.socketpair(), gos.net.pipe()
objects.Listener, objects.Packet = gos.net.listen("unix", "@gossamer-meta"), gos.net.socketpair "unixgram"
objects.File, objects.Process = gos.file.open(path), gos.process.spawn { "true" }
for class, object in pairs(objects) do
  for name in pairs(debug.getmetatable(object).methods) do
    local full = of_shared(class, name)
    for _, other in ipairs { "SendChan", "RecvChan" } do
      if class == "Chan" and annotated[other .. "." .. name] then full = other .. "." .. name end
    end
    bound[full] = true
  end
end

local bad, n = 0, 0
local function complain(name, what)
  io.stderr:write(name, ": ", what, "\n")
  bad = bad + 1
end
for name in pairs(bound) do
  n = n + 1
  if not annotated[name] then complain(name, "bound, but not in meta.lua") end
  if annotated[name] and not documented[name] then complain(name, "without a description") end
end
for name in pairs(annotated) do
  if not bound[name] then complain(name, "in meta.lua, but not bound") end
end
print(("%d functions and values, %d complaints"):format(n, bad))
os.exit(bad == 0)
