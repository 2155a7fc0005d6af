/* A C library that calls back on main's Lua thread, whoever runs, as some event loops do: while main waits, a callback may do
 * what need not wait, and the rest is an error. Were it to wait, main would go on below it on the same Lua stack.
 * SPDX-License-Identifier: Apache-2.0 */
#include "script.h"

/* on_main(f) */
static int on_main(lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  lua_State *M = lua_tothread(L, -1);
  lua_pushvalue(L, 1);
  lua_xmove(L, M, 1);
  if (lua_pcall(M, 0, 0, 0) == LUA_OK) return 0;
  lua_xmove(M, L, 1);
  return lua_error(L);
}

static const char script[] =
    "local on_main = ...\n"
    "local gos = require 'gossamer.native'\n"
    "local function refused(f, ...)\n"
    "  local ok, err = pcall(f, ...)\n"
    "  assert(not ok and tostring(err):find(\"here: main's Lua thread runs another goroutine's call\"), err)\n"
    "end\n"
    "local function in_callback(done)\n"
    "  local full, never = gos.chan(1), gos.chan()\n"
    "  assert(full:send(1) and full:recv() == 1 and full:send(2))\n"
    "  refused(full.send, full, 3)\n"
    "  refused(never.recv, never)\n"
    "  refused(never.recv, never, gos.with_cancel())\n"
    "  refused(gos.select, { never })\n"
    "  refused(gos.sleep, 1)\n"
    "  refused(gos.goexit)\n"
    "  assert(select(2, never:recv(0)) == 'timeout')\n"
    "  assert(gos.select { never, default = true } == 'default')\n"
    "  gos.gosched()\n"
    "  gos.go(done.send, done, 'from a goroutine of the callback')\n"
    "end\n"
    "for _ = 1, 3 do\n"
    "  local done = gos.chan()\n"
    "  local g = gos.go(on_main, function()\n"
    "    in_callback(done)\n"
    "    coroutine.wrap(in_callback)(gos.chan(1))\n"
    "  end)\n"
    "  assert(coroutine.wrap(done.recv)(done) == 'from a goroutine of the callback')\n"
    "  assert(g:join())\n"
    "end\n"
    "on_main(function() assert(gos.sleep(0.001)) end) -- main's own: it waits\n"
    "coroutine.wrap(on_main)(function() assert(gos.sleep(0.001)) end)\n"
    "if pcall(gos.hook) then\n"
    "  local order, g = {}, nil\n"
    "  g = gos.go(on_main, function()\n"
    "    os.execute 'sleep 0.02'\n"
    "    order[#order + 1] = 'callback'\n"
    "  end)\n"
    "  gos.sleep(0.001)\n"
    "  order[#order + 1] = 'main'\n"
    "  assert(g:join() and table.concat(order, ' ') == 'callback main')\n"
    "  assert(os.execute())\n"
    "end\n";

int main(void) { return run_script(script, on_main); }
