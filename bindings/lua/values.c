/* Lua values as 8 bytes, so that a channel can carry them.
 *
 * Floats are themselves; everything else hides among the NaNs that no computation gives:
 *   0xFFFA  integers of up to 48 bits         0xFFFB  false, true, gos.null
 *   0xFFFC  the slot of the value table that anchors the value (strings, tables, ...)
 *   0xFFFD  the address of a message: in channels that states share
 * An anchored value is referenced by the channel's element alone: whoever takes the element out
 * takes the value out of its slot. So a value in a channel, or with a waiting sender, is alive;
 * one that nobody received is released with the channel, by its destructor.
 *
 * A free slot holds false, not nil, to keep the table an array.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tags.h"

enum { INT = 0xFFFA, CONST = 0xFFFB, SLOT = 0xFFFC, MESSAGE = 0xFFFD };
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

static struct gl_msg *message(gl_value v) { return (struct gl_msg *)(uintptr_t)(v & 0xFFFFFFFFFFFF); }

/* What needs neither a slot nor a message. */
static inline bool encode_small(lua_State *L, struct gl *S, int idx, gl_value *v) {
  if (lua_isinteger(L, idx)) { /* first: what is sent most */
    lua_Integer i = lua_tointeger(L, idx);
    *v = BOX(INT, i);
    return PAYLOAD(*v) == i;
  }
  switch (lua_type(L, idx)) {
  case LUA_TNUMBER: {
    lua_Number n = lua_tonumber(L, idx);
    memcpy(v, &n, sizeof n);
    return TAG(*v) < INT;
  }
  case LUA_TBOOLEAN: *v = BOX(CONST, lua_toboolean(L, idx) ? TRUE : FALSE); return true;
  case LUA_TUSERDATA: *v = BOX(CONST, NULL_); return lua_touserdata(L, idx) == S->null;
  default: return false;
  }
}

static bool shared(gos_chan *c) { return c && !gos_chan_confined(c); }

bool gl_encode_shared(lua_State *L, struct gl *S, int idx, gl_value *v, char *why) {
  struct gl_msg *m = gl_pack(L, S, idx, 1, GL_ROOT_MSG, why);
  if (!m) return false;
  *v = BOX(MESSAGE, (uintptr_t)m);
  if (message(*v) == m) return true;
  gl_msg_free(m);
  strcpy(why, "msg: its memory is out of the reach of 48 bits");
  return false;
}

static NOINLINE gl_value encode_big(lua_State *L, struct gl *S, int vals, int idx, gos_chan *c) {
  gl_value v;
  char why[GL_WHY];
  if (lua_isnoneornil(L, idx)) luaL_argerror(L, idx, "cannot send nil (use gos.null)");
  gl_reserve(L, S, vals, 1); /* may run finalizers, which may share the channel */
  if (shared(c)) {
    if (!gl_encode_shared(L, S, idx, &v, why)) luaL_error(L, "cannot send %s", why);
    return v;
  }
  lua_pushvalue(L, idx);
  return BOX(SLOT, gl_anchor(L, S, vals));
}

gl_value gl_encode(lua_State *L, struct gl *S, int vals, int idx, gos_chan *c) {
  gl_value v;
  if (encode_small(L, S, idx, &v)) return v;
  return encode_big(L, S, vals, idx, c);
}

bool gl_encode_reserved(lua_State *L, struct gl *S, int vals, int idx, gos_chan *c, gl_value *v, char *why) {
  if (encode_small(L, S, idx, v)) return true;
  if (shared(c)) return gl_encode_shared(L, S, idx, v, why);
  lua_pushvalue(L, idx);
  *v = BOX(SLOT, gl_anchor(L, S, vals));
  return true;
}

bool gl_repack(lua_State *L, struct gl *S, gl_value *v, char why[GL_WHY]) {
  if (TAG(*v) != SLOT) return true;
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->vals);
  lua_rawgeti(L, -1, PAYLOAD(*v));
  bool ok = gl_encode_shared(L, S, -1, v, why);
  lua_pop(L, 2);
  return ok;
}

void gl_drop_message(gl_value v) {
  if (TAG(v) == MESSAGE) gl_msg_free(message(v));
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
  case MESSAGE: gl_unpack(L, S, message(v)); return;
  default: {
    lua_Number n;
    memcpy(&n, &v, sizeof n);
    lua_pushnumber(L, n);
  }
  }
}

void gl_drop(struct gl *S, gl_value v) {
  if (TAG(v) == SLOT)
    gl_unanchor(S, (int)PAYLOAD(v));
  else
    gl_drop_message(v);
}

void gl_drop_elem(void *elem) {
  gl_value v;
  memcpy(&v, elem, sizeof v);
  if (TAG(v) != SLOT)
    gl_drop_message(v); /* on any thread */
  else if (gl_here)
    gl_drop(gl_here, v);
}
