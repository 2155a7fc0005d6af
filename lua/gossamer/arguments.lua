--- What the Lua parts of the library say about the arguments of their functions. An error is one of the caller of the
--- function that was called: each of these is called by that function itself, nothing between.
--
-- SPDX-License-Identifier: Apache-2.0

local native = require "gossamer.native"

local arguments = {}

--- A field of v's metatable.
function arguments.metafield(v, field) return (debug.getmetatable(v) or {})[field] end

local function is(class)
  return function(v) return arguments.metafield(v, "__name") == class end
end
local function integer_from(least)
  return function(v) return math.type(v) ~= nil and math.tointeger(v) ~= nil and v >= least end
end
local is_context, is_channel = is "gossamer.context", is "gossamer.channel"

-- Kinds that are narrower than a type: a test, and the type of which a value that fails is worth showing. NaN is no
-- number of anything.
local kinds = {
  context = { is_context, "userdata" },
  channel = { function(v) return is_channel(v) and (pcall(native.recv, v)) end, "userdata" }, -- to receive from
  ["positive integer"] = { integer_from(1), "number" },
  ["integer from 0 on"] = { integer_from(0), "number" },
  ["positive number"] = { function(v) return math.type(v) ~= nil and v > 0 end, "number" },
  ["non-empty list"] = { function(v) return type(v) == "table" and #v > 0 end },
  ["seconds or context"] = { function(v) return is_context(v) or math.type(v) ~= nil and v == v end, "number" },
}

--- Is v of that type or kind?
function arguments.fits(kind, v)
  local narrow = kinds[kind]
  if narrow then return narrow[1](v) end
  return type(v) == kind
end

local fits = arguments.fits

local function got(kind, v)
  local narrow = kinds[kind]
  return narrow and narrow[2] == type(v) and tostring(v) or type(v)
end

--- Argument i of the function name is wrong. check() ends with a tail call of it, no level more; a return inside `for` is
--- none, so the errors there are raised in place.
function arguments.refuse(i, name, text, ...)
  error(("bad argument #%d to '%s' (%s)"):format(i, name, text:format(...)), 3)
end

local refuse = arguments.refuse

--- Argument i of the function name must be of that type or kind.
function arguments.check(kind, i, name, v)
  if not fits(kind, v) then return refuse(i, name, "%s expected, got %s", kind, got(kind, v)) end
end

--- The same of one that may be left out.
function arguments.optional(kind, i, name, v)
  if v ~= nil then return arguments.check(kind, i, name, v) end -- a tail call: no level more
end

--- Argument i must be a table of known options, or nil; known: a kind for each, with "!" one that must be given.
--- Gives the table.
function arguments.options(known, i, name, options)
  if options == nil then options = {} end
  if type(options) ~= "table" then return refuse(i, name, "table expected, got %s", type(options)) end
  for option in pairs(options) do
    if not known[option] then error(("bad argument #%d to '%s' (unknown option '%s')"):format(i, name, option), 3) end
  end
  for option, kind in pairs(known) do
    local v, wanted = options[option], kind:gsub("!", "")
    if (v ~= nil or wanted ~= kind) and not fits(wanted, v) then
      error(("bad argument #%d to '%s' (%s: %s expected, got %s)"):format(i, name, option, wanted, got(wanted, v)), 3)
    end
  end
  return options
end

--- A copy of an option that is a table of functions.
function arguments.functions(i, name, option, list)
  local copy = {}
  for key, f in pairs(list) do
    if type(f) ~= "function" then
      error(("bad argument #%d to '%s' (%s: '%s': function expected, got %s)"):format(i, name, option, key, type(f)), 3)
    end
    copy[key] = f
  end
  return copy
end

--- The results of pcall(f, ...) in the function name. An error about f's arguments is one of its caller;
--- which[i]: the argument of name that was f's argument i.
function arguments.called(name, which, ok, ...)
  if ok then return ... end
  local err = ...
  local i, text = tostring(err):match "^bad argument #(%d+) to '%?' (.*)"
  if i then error(("bad argument #%d to '%s' %s"):format(which[tonumber(i)] or 1, name, text), 3) end
  error(err, type(err) == "string" and err:find "^spawn: " and 3 or 0)
end

--- Seconds that are left of t, which began at start; a context stays one.
function arguments.left(t, start)
  return type(t) == "number" and math.max(t - (native.now() - start), 0) or t
end

--- A class written in Lua: a table that takes its methods, and its metatable. A method called on something else says so.
function arguments.class(name)
  local methods = {}
  local meta = { __name = "gossamer." .. name, __index = methods, methods = methods }
  local function define(_, method, f)
    methods[method] = function(self, ...)
      if getmetatable(self) ~= meta then
        error(("calling '%s' on bad self (%s expected, got %s)"):format(method, name, type(self)), 2)
      end
      return f(self, ...) -- a tail call: no level more
    end
  end
  return setmetatable({}, { __newindex = define }), meta
end

return arguments
