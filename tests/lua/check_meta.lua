-- Every bound function is annotated in lua/gossamer/meta.lua, and nothing else is.
--   lua5.4 tests/lua/check_meta.lua        prints what differs; the exit status tells
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local path = assert(package.searchpath("gossamer.meta", package.path))

-- meta.lua: every function with a description before it and a line for each of its parameters.
local annotated, documented, incomplete, doc = {}, {}, {}, {}
local tables, fields_of = { [""] = "gos.", patterns = "patterns." }, nil -- whose fields are values of the library
for line in io.lines(path) do
  local class, method, params = line:match "^function ([%w_.]+)[.:]([%w_]+)%((.-)%)"
  if class then
    local name = class .. "." .. method
    annotated[name], documented[name] = true, doc.text
    for param in params:gmatch "[^%s,]+" do
      if not doc["@" .. param] then incomplete[name .. ": parameter " .. param] = true end
    end
  end
  local field = line:match "^%-%-%-@field ([%a_][%w_]*)"
  local class_name = line:match "^%-%-%-@class gossamer%.?([%w_]*)"
  if class_name then fields_of = tables[class_name] elseif line:match "^local " then fields_of = nil end
  if field and fields_of then annotated[fields_of .. field], documented[fields_of .. field] = true, true end
  if line:match "^%-%-%-" then
    doc.text = doc.text or line:match "^%-%-%- %S" ~= nil
    local param = line:match "^%-%-%-@param ([%w_.]+)"
    if param then doc["@" .. param] = true end
  else
    doc = {}
  end
end
-- One object of each class; meta.lua splits the channel's methods over three names.
local objects = {
  Goroutine = gos.go(function() end), Chan = gos.chan(), Timer = gos.timer(1), Mutex = gos.mutex(),
  WaitGroup = gos.waitgroup(), Once = gos.once(), Context = gos.with_cancel(), RWMutex = gos.rwmutex(),
  RLocker = gos.rwmutex():reader(), Cond = gos.cond(), Pool = gos.pool(), Map = gos.map(),
  AtomicInt = gos.atomic.int(), AtomicBool = gos.atomic.bool(), ErrGroup = gos.errgroup(),
  Semaphore = gos.semaphore(1), SingleFlight = gos.singleflight(), Limiter = gos.limiter(1, 1),
  Reservation = gos.limiter(1, 1):reserve(), Buffer = gos.buffer(1),
}
local bound = {}
local parts = { net = true, file = true, process = true, patterns = true } -- annotated as classes of their own
local patterns = gos.patterns -- loaded when it is asked for
for name, value in pairs(gos) do
  bound["gos." .. name] = true
  local prefix = parts[name] and name or "gos." .. name
  for part in pairs(type(value) == "table" and value or {}) do bound[prefix .. "." .. part] = true end
end
local known = {}
-- Classes that share methods: those of the later names are annotated with the first that has them.
local shared = {
  Ring = "Queue", Subscription = "Queue", WorkerPool = "Jobs", JobQueue = "Jobs",
  Conn = "Stream", File = "Stream", Pipe = "Stream", Listener = "Conn", Packet = "Conn",
}
local function of_shared(class, name)
  local at = class
  while at and not annotated[at .. "." .. name] do at = shared[at] end
  return (at or class) .. "." .. name
end
objects.Conn, objects.Pipe = gos.net.socketpair(), gos.net.pipe()
objects.Listener, objects.Packet = gos.net.listen("unix", "@gossamer-meta"), gos.net.socketpair "unixgram"
objects.Ring, objects.PubSub, objects.WorkerPool = patterns.ring(1), patterns.pubsub(), patterns.pool(1)
objects.Subscription, objects.JobQueue = objects.PubSub:subscribe "t", patterns.job_queue { handlers = {} }
objects.ResourcePool, objects.ConnPool = patterns.resource_pool { 1 }, patterns.conn_pool { connect = print }
objects.RoundRobin, objects.Weighted = patterns.round_robin { 1 }, patterns.weighted { { 1, 1 } }
objects.TokenBucket, objects.Breaker = patterns.token_bucket(1, 1), patterns.breaker()
objects.HealthChecker = patterns.health_checker { checks = {} }
objects.File, objects.Process = gos.file.open(path), gos.process.spawn { "true" }
for class, object in pairs(objects) do
  known[debug.getmetatable(object)] = true
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
for name in pairs(incomplete) do complain(name, "not annotated") end
-- The binding's own table in the registry has the metatables of all its classes.
for _, values in pairs(debug.getregistry()) do
  local _, first = next(type(values) == "table" and values or {})
  local ours = type(first) == "table" and type(first.__name) == "string" and first.__name:match "^gossamer%."
  for _, class in pairs(ours and values or {}) do
    local methods = type(class) == "table" and class.methods
    if methods and next(methods) and not known[class] then complain(class.__name, "a class without an object here") end
  end
end
for name in pairs(annotated) do
  if not bound[name] then complain(name, "in meta.lua, but not bound") end
end
print(("%d functions and values, %d complaints"):format(n, bad))
os.exit(bad == 0)
