--- How a user's function ended: an error is one that it raises, or returns after nil.
--
-- SPDX-License-Identifier: Apache-2.0

local outcome = {}

--- The error among a function's results: true and the error, or false.
function outcome.failed(...)
  local value, err = ...
  if value == nil and err ~= nil then return true, err end
  return false
end

--- The same of pcall's results. An error that is nil has a text.
function outcome.caught(ok, ...)
  if ok then return outcome.failed(...) end
  local err = ...
  return true, err == nil and "nil" or err
end

--- Ends as the call did whose pcall's results have been packed.
function outcome.replay(results)
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

return outcome
