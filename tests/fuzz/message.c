/* The messages between Lua states, against themselves: random values come out as they went in; cut, flipped and
 * random bytes give a value or an error, never a crash. Run it under AddressSanitizer.
 *
 *     message [ROUNDS [SEED]]
 * SPDX-License-Identifier: Apache-2.0 */
#include <lualib.h>
#include <stdio.h>

#include "message.h"

int luaopen_gossamer_native(lua_State *L);

static uint64_t state;
static uint32_t below(uint32_t n) { /* xorshift */
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)(state >> 32) % n;
}

/* equal(a, b): the same shape, what comes twice in one comes twice in the other. make(random): a value. */
static const char helpers[] =
    "local gos = require 'gossamer.native'\n"
    "local function same(a, b, seen)\n"
    "  if math.type(a) ~= math.type(b) or type(a) ~= type(b) then return false end\n"
    "  if a ~= a then return b ~= b end\n"
    "  if type(a) == 'function' then\n"
    "    if debug.getinfo(a, 'S').what == 'C' then return a == b end\n"
    "    if seen[a] then return seen[a] == b end\n"
    "    seen[a] = b\n"
    "    for i = 1, 255 do\n"
    "      local n, u = debug.getupvalue(a, i)\n"
    "      local m, v = debug.getupvalue(b, i)\n"
    "      if n ~= m then return false end\n"
    "      if not n then break end\n"
    "      if not same(u, v, seen) then return false end\n"
    "    end\n"
    "    return string.dump(a) == string.dump(b)\n"
    "  end\n"
    "  if type(a) ~= 'table' or a == b then return a == b end\n"
    "  if seen[a] or seen[b] then return seen[a] == b and seen[b] == a end\n"
    "  seen[a], seen[b] = b, a\n"
    "  local n = 0\n"
    "  for k, v in next, a do\n"
    "    n = n + 1\n"
    "    if (type(k) ~= 'table' and type(k) ~= 'function' and type(k) ~= 'userdata') and not same(v, rawget(b, k), "
    "seen) then return false end\n"
    "  end\n"
    "  for _ in next, b do n = n - 1 end\n"
    "  return n == 0\n"
    "end\n"
    "local channel = gos.chan(3)\n"
    "local function make(random, depth, pool)\n"
    "  local k = random(depth > 4 and 11 or 19)\n"
    "  if k == 1 then return random(1000) - 500 end\n"
    "  if k == 2 then return math.mininteger + random(1000) end\n"
    "  if k == 3 then return (random(1000) - 500) / 7 end\n"
    "  if k == 4 then return ({ 0 / 0, 1 / 0, -1 / 0, -0.0, 1e-320 })[random(5) + 1] end\n"
    "  if k == 5 then return ('x'):rep(random(10)) end\n"
    "  if k == 6 then return ('\\0y'):rep(random(400)) end\n"
    "  if k == 7 then return random(2) == 0 end\n"
    "  if k == 8 then return gos.null end\n"
    "  if k == 9 then return random(2) == 0 and string.format or print end\n"
    "  if k == 10 then return random(3) == 0 and gos.nilchan or channel end\n"
    "  if k <= 12 and #pool > 0 then return pool[random(#pool) + 1] end\n"
    "  if k == 18 then\n"
    "    local b = gos.buffer(('b'):rep(random(300)))\n"
    "    pool[#pool + 1] = random(2) == 0 and b or b:slice(random(#b + 1) + 1)\n"
    "    return pool[#pool]\n"
    "  end\n"
    "  if k == 13 then\n"
    "    local u, v = make(random, depth + 1, pool), make(random, depth + 1, pool)\n"
    "    local function f(n) return n == 0 and u or f(n - 1) end\n"
    "    local function g() v = u return v, f, print end\n"
    "    pool[#pool + 1] = random(2) == 0 and f or g\n"
    "    return random(2) == 0 and { f, g } or g\n"
    "  end\n"
    "  local t = {}\n"
    "  pool[#pool + 1] = t\n"
    "  for i = 1, random(random(20) == 0 and 200 or 8) do t[i] = make(random, depth + 1, pool) end\n"
    "  for _ = 1, random(6) do\n"
    "    local key = make(random, depth + 1, pool)\n"
    "    if key == key then t[key] = make(random, depth + 1, pool) end\n"
    "  end\n"
    "  return t\n"
    "end\n"
    "return function(a, b) return same(a, b, {}) end,\n"
    "  function(random) local v = make(random, 0, {}) if v == nil then return 0 end return v end";

static int random_lua(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  lua_pushinteger(L, n > 0 ? below((uint32_t)n) : 0);
  return 1;
}

static int unpack(lua_State *L) {
  struct gl_msg *m = lua_touserdata(L, 1);
  lua_settop(L, 0);
  return gl_unpack(L, gl_here, m);
}

/* Unpacks m in protected mode: the value or the error is on the top. */
static bool unpacked(lua_State *L, struct gl_msg *m) {
  lua_pushcfunction(L, unpack);
  lua_pushlightuserdata(L, m);
  return lua_pcall(L, 1, 1, 0) == LUA_OK;
}

static struct gl_msg *pack(lua_State *L) { /* the value at 3 */
  char why[GL_WHY];
  struct gl_msg *m = gl_pack(L, gl_here, 3, 1, GL_ROOT_MSG, why);
  if (m) return m;
  if (strstr(why, "200 deep")) return NULL;
  fprintf(stderr, "cannot send %s\n", why);
  exit(1);
}

static void mutate(struct gl_msg *m) {
  if (!m->size) return;
  switch (below(4)) {
  case 0: m->size = below((uint32_t)m->size); break;
  case 1: m->bytes[below((uint32_t)m->size)] ^= (unsigned char)(1u << below(8)); break;
  case 2:
    for (uint32_t i = 1 + below(8); i > 0; i--) m->bytes[below((uint32_t)m->size)] = (unsigned char)below(24);
    break;
  default:
    for (size_t i = 0; i < m->size; i++) m->bytes[i] = (unsigned char)below(below(2) ? 256 : 22);
  }
}

/* Exactly as long as it says, so that a sanitizer sees a read beyond. */
static struct gl_msg *tight(struct gl_msg *m) {
  struct gl_msg *t = malloc(sizeof *t + m->size);
  if (!t) exit(1);
  memcpy(t, m, sizeof *t + m->size);
  t->room = -1;
  gl_msg_give_back(m);
  return t;
}

int main(int argc, char **argv) {
  int rounds = argc > 1 ? atoi(argv[1]) : 1000, refused = 0, values = 0;
  state = argc > 2 ? strtoull(argv[2], NULL, 0) : 0x1234567;
  lua_State *L = luaL_newstate();
  if (!L) return 1;
  luaL_openlibs(L);
  luaL_requiref(L, "gossamer.native", luaopen_gossamer_native, 0);
  lua_settop(L, 0);
  if (luaL_dostring(L, helpers)) {
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    return 1;
  }
  for (int i = 0; i < rounds; i++) {
    uint64_t seed = state;
    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    lua_pushcfunction(L, random_lua);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
      fprintf(stderr, "seed %#llx: %s\n", (unsigned long long)seed, lua_tostring(L, -1));
      return 1;
    }
    struct gl_msg *m = pack(L);
    if (!m) continue;
    if (!unpacked(L, m)) { /* 4 */
      fprintf(stderr, "seed %#llx: %s\n", (unsigned long long)seed, lua_tostring(L, -1));
      return 1;
    }
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 3);
    lua_pushvalue(L, 4);
    if (lua_pcall(L, 2, 1, 0) != LUA_OK || !lua_toboolean(L, -1)) {
      fprintf(stderr, "seed %#llx: not the same: %s\n", (unsigned long long)seed, luaL_tolstring(L, -1, NULL));
      return 1;
    }
    for (int k = 0; k < 4; k++) {
      m = pack(L);
      mutate(m);
      if (unpacked(L, tight(m)))
        values++;
      else
        refused++;
      lua_settop(L, 3);
    }
  }
  lua_close(L);
  printf("%d values came back; of those with other bytes %d were refused, %d were some value\n", rounds, refused,
         values);
  return 0;
}
