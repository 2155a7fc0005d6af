--- Checks of health: named functions, run at once, each by one goroutine at a time.
--
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local arguments = require "gossamer.arguments"
local outcome = require "gossamer.patterns.outcome"

local health = {}

local HealthChecker, health_checker_meta = arguments.class "health_checker"
local health_checker_options = { checks = "table!", interval = "positive number", timeout = "positive number" }

-- flights[name]: the check that is under way. loop: what runs them periodically.
function health.health_checker(options)
  options = arguments.options(health_checker_options, 1, "health_checker", options)
  return setmetatable({
    checks = arguments.functions(1, "health_checker", "checks", options.checks),
    interval = options.interval or 30,
    timeout = options.timeout or 5,
    flights = {},
    last = {},
  }, health_checker_meta)
end

local function failure(flight, err) return { ok = false, error = err, seconds = gos.now() - flight.start } end

-- What pcall's results of a check say. false is a failure, too.
local function verdict(flight, ...)
  local failed, err = outcome.caught(...)
  if failed then return failure(flight, err) end
  local _, v, why = ...
  if v == false then return failure(flight, why == nil and "the check gave false" or why) end
  return { ok = true, seconds = gos.now() - flight.start }
end

-- The goroutine of a check.
local function fly(self, name, flight)
  local _ <close> = gos.defer(function()
    flight.result = flight.result or failure(flight, "the check did not return") -- but left by goexit
    self.flights[name] = nil
    flight.context:cancel()
  end)
  flight.result = verdict(flight, pcall(self.checks[name], flight.context))
end

-- The check of that name that is under way, or one that begins.
local function launch(self, name, ctx)
  local flight = self.flights[name]
  if not flight then
    flight = { start = gos.now(), context = gos.with_timeout(self.timeout, ctx) }
    flight.done = gos.go({ fly, self, name, flight, name = "health check " .. tostring(name) }):done()
    self.flights[name] = flight
  end
  return flight
end

-- Waits for a check's result; one that does not come in time is a failure.
local function land(flight)
  local _, why = flight.done:recv(flight.context)
  return flight.result or failure(flight, why)
end

local function run(self, ctx)
  local flights, results = {}, {}
  for name in pairs(self.checks) do flights[name] = gos.no_preempt(launch, self, name, ctx) end
  for name, flight in pairs(flights) do results[name] = land(flight) end
  if not (ctx and ctx:err()) then self.last = results end
  return results
end

function HealthChecker:run() return run(self, nil) end

function HealthChecker:status()
  local copy = {}
  for name, result in pairs(self.last) do copy[name] = result end
  return copy
end

local function loop(self, ctx)
  local ticker <close> = gos.ticker(self.interval)
  repeat run(self, ctx) until not ticker.C:recv(ctx)
end

local function start(self)
  if self.loop then return false end
  local context = gos.with_cancel()
  self.loop = { context = context, g = gos.go { loop, self, context, name = "health checker" } }
  return true
end

function HealthChecker:start() return gos.no_preempt(start, self) end

function HealthChecker:stop()
  local periodic = self.loop
  if not periodic then return false end
  self.loop = nil
  periodic.context:cancel()
  periodic.g:join()
  return true
end
function health_checker_meta.__close(self) self:stop() end

return health
