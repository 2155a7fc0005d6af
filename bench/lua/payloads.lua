-- SPDX-License-Identifier: Apache-2.0
-- What goes from one Lua state to another: payloads.NAME() makes one. No module's function: it is
-- called in the sending state.
return {
  state_int = function() return 42 end,
  state_100b = function() return ("x"):rep(100) end,
  state_10kb = function() return ("x"):rep(10000) end,
  state_table = function() return { 1, 2, 3, a = "hello", b = 4.5 } end,
}
