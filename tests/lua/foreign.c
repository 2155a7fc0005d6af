/* A userdata of others is no channel, not even where one was before it was collected: what it holds is not looked at.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "script.h"
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(GOS_VALGRIND) /* they give no address again */
#define LEAST "-1"
#else
#define LEAST "0"
#endif

/* foreign(n): n bytes that would be a channel which can do everything, at an address that is none */
static int foreign(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  memset(lua_newuserdatauv(L, (size_t)n, 0), 3, (size_t)n);
  return 1;
}

static const char script[] =
    "local foreign = ...\n"
    "local gos = require 'gossamer.native'\n"
    "local send, recv = gos.chan().send, gos.chan().recv\n"
    "local was, same = {}, 0\n"
    "for size = 0, 64, 8 do\n" /* ThreadSanitizer does not see that an error leaves functions: so many at most */
    "  for _ = 1, 20 do\n"
    "    for i = 1, 16 do\n"
    "      local ch = gos.chan(1)\n"
    "      assert(send(ch, i) and recv(ch) == i)\n"
    "      was[('%p'):format(ch)] = true\n"
    "    end\n"
    "    collectgarbage()\n"
    "    for _ = 1, 16 do\n"
    "      local other = foreign(size)\n"
    "      if was[('%p'):format(other)] then same = same + 1 end\n"
    "      for _, f in ipairs { send, recv } do\n"
    "        local ok, err = pcall(f, other, 1)\n"
    "        assert(not ok and err:find('channel expected, got userdata', 1, true), err)\n"
    "      end\n"
    "    end\n"
    "  end\n"
    "end\n"
    "assert(same > " LEAST ", 'none came to where a channel had been')\n";

int main(void) { return run_script(script, foreign); }
