/* Lua values as 8 bytes, so that a channel can carry them.
 *
 * Floats are themselves; everything else hides among the NaNs that no computation gives:
 *   0xFFFA  integers of up to 48 bits         0xFFFB  false, true, gos.null
 *   0xFFFC  the slot of the value table that anchors the value (strings, tables, ...)
 * An anchored value is referenced by the channel's element alone: whoever takes the element out
 * takes the value out of its slot. So a value in a channel, or with a waiting sender, is alive;
 * one that nobody received is released with the channel, by its destructor.
 *
 * A free slot holds false, not nil, to keep the table an array.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "lgos.h"

enum { INT = 0xFFFA, CONST = 0xFFFB, SLOT = 0xFFFC };
enum { FALSE, TRUE, NULL_ };
#define BOX(tag, payload) ((gl_value)(tag) << 48 | ((uint64_t)(payload)&0xFFFFFFFFFFFF))
#define TAG(v) ((int)((v) >> 48))
#define PAYLOAD(v) ((int64_t)((v) << 16) >> 16)

void gl_reserve(lua_State *L, struct gl *S, int vals, int n) {
  if (S->nfree >= n) return;
  int more = S->nslots + n;
  int *next = realloc(S->next, sizeof *next * (size_t)(S->nslots + more + 1));
  if (!next) luaL_error(L, "not enough memory");
  S->next = next;
  vals = lua_absindex(L, vals);
  for (int i = 1; i <= more; i++) { /* an error here only leaves the table longer than nslots */
    lua_pushboolean(L, 0);
    lua_rawseti(L, vals, S->nslots + i);
  }
  for (int i = more; i > 0; i--) {
    next[S->nslots + i] = S->free;
    S->free = S->nslots + i;
  }
  S->nslots += more;
  S->nfree += more;
}

static int take(struct gl *S) {
  int slot = S->free;
  S->free = S->next[slot];
  S->nfree--;
  return slot;
}

static void give(struct gl *S, int slot) {
  S->next[slot] = S->free;
  S->free = slot;
  S->nfree++;
}

int gl_anchor(lua_State *L, struct gl *S, int vals) {
  int slot = take(S);
  lua_rawseti(L, vals, slot);
  return slot;
}

/* The slot exists, so nothing is allocated and no error raised. */
void gl_unanchor(struct gl *S, int slot) {
  lua_State *L = S->svc;
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->vals);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, slot);
  lua_pop(L, 1);
  give(S, slot);
}

gl_value gl_encode(lua_State *L, struct gl *S, int vals, int idx, bool reserved) {
  switch (lua_type(L, idx)) {
  case LUA_TNUMBER:
    if (lua_isinteger(L, idx)) {
      lua_Integer i = lua_tointeger(L, idx);
      if (PAYLOAD(BOX(INT, i)) == i) return BOX(INT, i);
    } else {
      lua_Number n = lua_tonumber(L, idx);
      gl_value v;
      memcpy(&v, &n, sizeof v);
      if (TAG(v) < INT) return v;
    }
    break;
  case LUA_TBOOLEAN: return BOX(CONST, lua_toboolean(L, idx) ? TRUE : FALSE);
  case LUA_TUSERDATA:
    if (lua_touserdata(L, idx) == S->null) return BOX(CONST, NULL_);
    break;
  }
  if (!reserved) gl_reserve(L, S, vals, 1);
  lua_pushvalue(L, idx);
  return BOX(SLOT, gl_anchor(L, S, vals));
}

void gl_push(lua_State *L, struct gl *S, int vals, gl_value v) {
  switch (TAG(v)) {
  case INT: lua_pushinteger(L, PAYLOAD(v)); return;
  case CONST:
    if (PAYLOAD(v) == NULL_)
      lua_rawgeti(L, vals, GL_NULL);
    else
      lua_pushboolean(L, PAYLOAD(v) == TRUE);
    return;
  case SLOT:
    lua_rawgeti(L, vals, PAYLOAD(v));
    lua_pushboolean(L, 0);
    lua_rawseti(L, vals, PAYLOAD(v));
    give(S, (int)PAYLOAD(v));
    return;
  default: {
    lua_Number n;
    memcpy(&n, &v, sizeof n);
    lua_pushnumber(L, n);
  }
  }
}

void gl_drop(struct gl *S, gl_value v) {
  if (TAG(v) == SLOT) gl_unanchor(S, (int)PAYLOAD(v));
}

void gl_drop_elem(void *elem) {
  gl_value v;
  memcpy(&v, elem, sizeof v);
  if (gl_here) gl_drop(gl_here, v);
}
