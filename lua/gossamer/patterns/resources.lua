--- Things that are lent: a pool of given resources, and one of connections that it makes itself. A buffered channel
--- holds what can be had, so that who waits for it is woken by its end, too.
--
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local arguments = require "gossamer.arguments"
local check, optional, refuse = arguments.check, arguments.optional, arguments.refuse

local resources = {}

-- Nothing more comes out of the channel. Gives true for the call that closed it.
local function shut(ch)
  local first = ch:close()
  while ch:try_recv() ~= nil do end
  return first
end

local ResourcePool, resource_pool_meta = arguments.class "resource_pool"

-- out[item]: how many of it are lent.
function resources.resource_pool(list)
  check("non-empty list", 1, "resource_pool", list)
  local free = gos.chan(#list)
  for _, item in ipairs(list) do free:send(item) end
  return setmetatable({ free = free, out = {} }, resource_pool_meta)
end

local function lend(self, item, why)
  if item == nil then return nil, why end
  self.out[item] = (self.out[item] or 0) + 1
  return item
end

local function take_back(self, item)
  local n = self.out[item]
  if not n then return false end
  self.out[item] = n > 1 and n - 1 or nil
  if not self.free:closed() then self.free:try_send(item) end
  return true
end

function ResourcePool:acquire(t)
  optional("seconds or context", 1, "acquire", t)
  return gos.no_preempt(lend, self, self.free:recv(t))
end

function ResourcePool:try_acquire() return gos.no_preempt(lend, self, self.free:try_recv()) end

function ResourcePool:release(item)
  if item == nil or not gos.no_preempt(take_back, self, item) then
    refuse(1, "release", "it is not lent: %s", tostring(item))
  end
end

function ResourcePool:close() return gos.no_preempt(shut, self.free) end
function resource_pool_meta.__close(self) self:close() end

local ConnPool, conn_pool_meta = arguments.class "conn_pool"
local conn_pool_options = {
  connect = "function!",
  close = "function",
  size = "positive integer",
  max_idle = "positive number",
  max_age = "positive number",
}

-- A connection is an entry in `out`, or in `idle`, the last used one last. places holds a value for each that may be
-- got: there are never more connections than size.
function resources.conn_pool(options)
  options = arguments.options(conn_pool_options, 1, "conn_pool", options)
  local size = options.size or 10
  local places = gos.chan(size)
  for _ = 1, size do places:send(true) end
  return setmetatable({
    places = places,
    idle = {},
    out = {},
    connect = options.connect,
    closer = options.close or function() end,
    max_idle = options.max_idle or math.huge,
    max_age = options.max_age or math.huge,
  }, conn_pool_meta)
end

local function expired(self, entry, now)
  return now - entry.made > self.max_age or now - entry.used > self.max_idle
end

-- Takes the entries that no longer hold out of `idle`.
local function take_expired(self)
  local now, kept, old = gos.now(), {}, {}
  for _, entry in ipairs(self.idle) do
    table.insert(expired(self, entry, now) and old or kept, entry)
  end
  self.idle = kept
  return old
end

local function take_idle(self) return table.remove(self.idle) end

-- Closes all of them; then raises the first error.
local function close_all(self, entries)
  local first
  for _, entry in ipairs(entries) do
    local ok, err = pcall(self.closer, entry.conn)
    if not ok and not first then first = { err } end
  end
  if first then error(first[1], 0) end
end

local function give_place(self)
  if not self.places:closed() then self.places:try_send(true) end
end

-- A place that is given back at the end of the scope, unless a connection keeps it.
local Place = {
  __close = function(place)
    if not place.kept then gos.no_preempt(give_place, place.of) end
  end,
}

local function new_entry(self, t, start)
  local conn, why = self.connect(arguments.left(t, start))
  if conn == nil then return nil, why == nil and "connect gave nothing" or why end
  return { conn = conn, made = gos.now() }
end

function ConnPool:get(t)
  optional("seconds or context", 1, "get", t)
  local start = gos.now()
  local ok, closed = self.places:recv(t)
  if not ok then return nil, closed end
  local place <close> = setmetatable({ of = self }, Place)
  close_all(self, gos.no_preempt(take_expired, self))
  local entry, why = gos.no_preempt(take_idle, self), nil
  if not entry then entry, why = new_entry(self, t, start) end
  if not entry then return nil, why end
  place.kept, self.out[entry.conn] = true, entry
  return entry.conn
end

-- Takes a connection back. Gives the list of those to be closed, or nil if it was not lent.
local function put(self, conn, broken)
  local entry = self.out[conn]
  if not entry then return nil end
  self.out[conn], entry.used = nil, gos.now()
  if broken or self.places:closed() then return { entry } end
  table.insert(self.idle, entry)
  return take_expired(self)
end

function ConnPool:put(conn, broken)
  local old = conn ~= nil and gos.no_preempt(put, self, conn, broken)
  if not old then refuse(1, "put", "it is not lent: %s", tostring(conn)) end
  local _ <close> = setmetatable({ of = self }, Place)
  close_all(self, old)
end

local function close(self)
  local idle = self.idle
  self.idle = {}
  return shut(self.places), idle
end

function ConnPool:close()
  local first, idle = gos.no_preempt(close, self)
  close_all(self, idle)
  return first
end
function conn_pool_meta.__close(self) self:close() end

return resources
