--- What stands before a service: a bucket of tokens, a circuit breaker, and checks of its health.
--
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local arguments = require "gossamer.arguments"
local outcome = require "gossamer.patterns.outcome"
local check, optional, refuse = arguments.check, arguments.optional, arguments.refuse

local guards = {}

local TokenBucket, token_bucket_meta = arguments.class "token_bucket"

function guards.token_bucket(rate, burst)
  check("positive number", 1, "token_bucket", rate)
  check("positive integer", 2, "token_bucket", burst)
  return setmetatable({ limiter = gos.limiter(rate, burst) }, token_bucket_meta)
end

function TokenBucket:take(n, t)
  optional("positive integer", 1, "take", n)
  optional("seconds or context", 2, "take", t)
  local burst = self.limiter:burst()
  if (n or 1) > burst then refuse(1, "take", "%d are more than the bucket holds, %d", n, burst) end
  return self.limiter:wait(n, t)
end

function TokenBucket:try_take(n)
  optional("positive integer", 1, "try_take", n)
  return self.limiter:allow(n)
end

local Breaker, breaker_meta = arguments.class "breaker"
local breaker_options = { threshold = "positive integer", timeout = "positive number", trials = "positive integer" }

-- count: failures in a row while closed, trials under way while half-open. turn: counts the states; what comes of a call
-- that began in an earlier one no longer matters.
function guards.breaker(options)
  options = arguments.options(breaker_options, 1, "breaker", options)
  return setmetatable({
    threshold = options.threshold or 5,
    timeout = options.timeout or 30,
    trials = options.trials or 1,
    name = "closed",
    count = 0,
    turn = 0,
  }, breaker_meta)
end

local function enter(self, name)
  self.name, self.count, self.turn, self.since = name, 0, self.turn + 1, gos.now()
end

-- The state, once an open one has become half-open in time.
local function state(self)
  if self.name == "open" and gos.now() - self.since >= self.timeout then enter(self, "half-open") end
  return self.name
end

-- The turn in which a call begins; nil: it may not.
local function admit(self)
  local name = state(self)
  if name == "open" or name == "half-open" and self.count >= self.trials then return nil end
  if name == "half-open" then self.count = self.count + 1 end
  return self.turn
end

local function fail(self)
  if self.name == "closed" then self.count = self.count + 1 end
  if self.name == "half-open" or self.count >= self.threshold then enter(self, "open") end
end

local function succeed(self)
  if self.name == "half-open" then enter(self, "closed") else self.count = 0 end
end

local function undecided(self)
  if self.name == "half-open" then self.count = self.count - 1 end
end

local function settle(self, turn, verdict)
  if self.turn == turn then verdict(self) end
end

-- A call that is under way. How it ends is known when it is closed; one that ends by goexit is closed, too.
local Call = {
  __close = function(call, err) gos.no_preempt(settle, call.of, call.turn, err ~= nil and fail or call.verdict) end,
}

-- The results of a call. One that was given up tells nothing about what it called.
local function judge(call, ...)
  local failed, err = outcome.failed(...)
  call.verdict = not failed and succeed or err == "canceled" and undecided or fail
  return ...
end

function Breaker:call(f, ...)
  check("function", 1, "call", f)
  local turn = gos.no_preempt(admit, self)
  if not turn then return nil, "open" end
  local call <close> = setmetatable({ of = self, turn = turn, verdict = undecided }, Call)
  return judge(call, f(...))
end

function Breaker:state() return gos.no_preempt(state, self) end

return guards
