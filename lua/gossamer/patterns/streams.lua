--- Streams: goroutines between channels. A stream's goroutines end when its input or its context does, and the last of
-- them closes the outputs, however it ends.
--
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local arguments = require "gossamer.arguments"
local outcome = require "gossamer.patterns.outcome"
local check, optional, refuse = arguments.check, arguments.optional, arguments.refuse

local streams = {}

local known = { ctx = "context", go = "function" }

-- Starts n goroutines that call work(ctx, i); the last one closes the channels of the list outs.
local function run(name, n, outs, options, work)
  local left = gos.atomic.int(n)
  local function leave()
    if left:add(-1) > 0 then return end
    for _, out in ipairs(outs) do out:close() end
  end
  for i = 1, n do
    local function body()
      local _ <close> = gos.defer(leave)
      work(options.ctx, i)
    end
    if options.go then options.go(body) else gos.go { body, name = name } end
  end
end

-- for v in values(ch, ctx)
local function values(ch, ctx)
  return function() return (ch:recv(ctx)) end
end

-- Sends all of a channel to another. Gives true if ctx has not ended.
local function forward(ch, out, ctx)
  for v in values(ch, ctx) do
    if not out:send(v, ctx) then return end
  end
  return true
end

local function elements(list)
  local i = 0
  return function()
    i = i + 1
    return list[i]
  end
end

function streams.generate(source, options)
  local callable = type(source) == "function" or arguments.metafield(source, "__call")
  if not callable and type(source) ~= "table" then
    refuse(1, "generate", "iterator or list expected, got %s", type(source))
  end
  options = arguments.options(known, 2, "generate", options)
  local out, next_value = gos.chan(), callable and source or elements(source)
  run("generate", 1, { out }, options, function(ctx)
    local v = next_value()
    while v ~= nil and out:send(v, ctx) do v = next_value() end
  end)
  return out:receiver()
end

--- Left out of a stage's output.
streams.skip = setmetatable({}, { __name = "gossamer.skip" })

local Item = { __name = "gossamer.item" }

function streams.item(value, err) return setmetatable({ value = value, err = err }, Item) end

-- What comes of an item whose value a function was called with: it keeps the value if that failed. Or skip.
local function next_item(item, ...)
  local failed, err = outcome.caught(...)
  if failed then return streams.item(item.value, err) end
  local _, v = ...
  return v == streams.skip and v or streams.item(v)
end

-- f's result, once it has been looked at.
local function result(...)
  local failed, err = outcome.failed(...)
  if failed then error(err, 0) end
  local v = ...
  if v == nil then error("stage: the function gave nil (return gos.null, or patterns.skip to leave it out)", 0) end
  return v
end

local function apply(f, v)
  if getmetatable(v) ~= Item then return result(f(v)) end
  return v.err ~= nil and v or next_item(v, pcall(f, v.value))
end

-- n goroutines that call f on what comes from ch. Gives their output.
local function workers(name, n, f, ch, options)
  local out = gos.chan()
  run(name, n, { out }, options, function(ctx)
    for v in values(ch, ctx) do
      local made = apply(f, v)
      if made ~= streams.skip and not out:send(made, ctx) then return end
    end
  end)
  return out:receiver()
end

function streams.stage(f, ch, n, options)
  check("function", 1, "stage", f)
  check("channel", 2, "stage", ch)
  optional("positive integer", 3, "stage", n)
  options = arguments.options(known, 4, "stage", options)
  return workers("stage", n or 1, f, ch, options)
end

function streams.fan_out(ch, n, f, options)
  check("channel", 1, "fan_out", ch)
  check("positive integer", 2, "fan_out", n)
  check("function", 3, "fan_out", f)
  options = arguments.options(known, 4, "fan_out", options)
  local receivers = {}
  for i = 1, n do receivers[i] = workers("fan_out", 1, f, ch, options) end
  return receivers
end

-- Of merge's arguments: how many channels, a list that begins with them, the options, and which argument those are.
local function merge_arguments(first, ...)
  if type(first) == "table" then return #first, first, (...), 2 end
  local all = table.pack(first, ...)
  local options = type(all[all.n]) == "table" and all[all.n] or nil
  return options and all.n - 1 or all.n, all, options, all.n
end

function streams.merge(first, ...)
  local n, list, options, at = merge_arguments(first, ...)
  options = arguments.options(known, at, "merge", options)
  for i = 1, n do check("channel", list == first and 1 or i, "merge", list[i]) end
  local out, inputs = gos.chan(), table.move(list, 1, n, 1, {})
  if n == 0 then out:close() end
  run("merge", n, { out }, options, function(ctx, i) forward(inputs[i], out, ctx) end)
  return out:receiver()
end

-- Sends v to all of outs, to each when it is ready. Gives true unless ctx has ended.
local function send_all(outs, v, ctx)
  local cases = { ctx = ctx }
  for i, out in ipairs(outs) do cases[i] = gos.send(out, v) end
  for _ = 1, #outs do
    local i = gos.select(cases)
    if i == "canceled" or i == "timeout" then return end
    cases[i] = false
  end
  return true
end

function streams.tee(ch, n, options)
  check("channel", 1, "tee", ch)
  optional("positive integer", 2, "tee", n)
  options = arguments.options(known, 3, "tee", options)
  local outs, receivers = {}, {}
  for i = 1, n or 2 do
    outs[i] = gos.chan()
    receivers[i] = outs[i]:receiver()
  end
  run("tee", 1, outs, options, function(ctx)
    for v in values(ch, ctx) do
      if not send_all(outs, v, ctx) then return end
    end
  end)
  return table.unpack(receivers)
end

function streams.bridge(channels, options)
  check("channel", 1, "bridge", channels)
  options = arguments.options(known, 2, "bridge", options)
  local out = gos.chan()
  run("bridge", 1, { out }, options, function(ctx)
    for ch in values(channels, ctx) do
      if not arguments.fits("channel", ch) then error("bridge: channel expected, got " .. type(ch), 0) end
      if not forward(ch, out, ctx) then return end
    end
  end)
  return out:receiver()
end

return streams
