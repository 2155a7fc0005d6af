-- SPDX-License-Identifier: Apache-2.0
-- What isolate_1 and isolate_2 compute, in any state or process: n pieces of work.
return function(pieces)
  local function fib(k) return k < 2 and k or fib(k - 1) + fib(k - 2) end
  for _ = 1, pieces do fib(22) end
end
