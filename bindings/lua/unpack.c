/* A message into Lua values.
 *
 * Trusts the bytes with nothing: every length, number and reference is checked, so that whatever they
 * say gives a value or an error. Raising errors is allowed; a message that is being unpacked is in
 * gl.unpacking, so that an error out of the middle (memory) loses nothing for good.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tags.h"

enum { DEPTH = 201 };

struct reader {
  lua_State *L;
  struct gl *S;
  struct gl_msg *m;
  const unsigned char *p, *end;
  int objects; /* index of the table of those that came, 0: none comes again */
  uint32_t n;
};

/* ---- the life of a message --------------------------------------------------------------------- */

void gl_ref_free(struct gl_ref *r) {
  switch (r->kind) {
  case GL_REF_TAKEN: break;
  case GL_REF_CODE: free(r->p); break;
  case GL_REF_CHAN: gos_chan_release(r->p); break;
  case GL_REF_SHARED: r->share->release(r->p); break;
  }
  r->kind = GL_REF_TAKEN;
}

/* A channel's end frees the messages in it, which may hold the last reference to another channel: one
   after the other, not one inside the other. */
void gl_msg_free(struct gl_msg *m) {
  static _Thread_local struct gl_msg *todo;
  static _Thread_local bool busy;
  if (!m) return;
  m->next = todo;
  todo = m;
  if (busy) return;
  busy = true;
  while ((m = todo)) {
    todo = m->next;
    for (uint32_t i = 0; i < m->nrefs; i++) gl_ref_free(&m->refs[i]);
    free(m->refs);
    gl_msg_give_back(m);
  }
  busy = false;
}

static void forget(struct gl *S, struct gl_msg *m) {
  struct gl_msg **at = &S->unpacking;
  while (*at != m) at = &(*at)->next;
  *at = m->next;
}

/* Frees the message and raises an error. */
static _Noreturn void fail(struct reader *r, const char *fmt, const char *s) {
  forget(r->S, r->m);
  lua_pushfstring(r->L, fmt, s);
  gl_msg_free(r->m);
  luaL_error(r->L, "%s", lua_tostring(r->L, -1));
  __builtin_unreachable();
}

static _Noreturn void corrupt(struct reader *r) { fail(r, "corrupt message%s", ""); }

/* ---- bytes ---------------------------------------------------------------------------------------- */

static void get(struct reader *r, void *p, size_t n) {
  if ((size_t)(r->end - r->p) < n) corrupt(r);
  memcpy(p, r->p, n);
  r->p += n;
}

static unsigned char get_8(struct reader *r) {
  unsigned char v;
  get(r, &v, 1);
  return v;
}

static uint32_t get_32(struct reader *r) {
  uint32_t v;
  get(r, &v, 4);
  return v;
}

static void push_text(struct reader *r, size_t n) {
  if ((size_t)(r->end - r->p) < n) corrupt(r);
  const char *s = (const char *)r->p;
  r->p += n;
  lua_pushlstring(r->L, s, n);
}

/* A string with its tag. */
static void push_string(struct reader *r) {
  switch (get_8(r)) {
  case T_SHORT: push_text(r, get_8(r)); break;
  case T_STRING: push_text(r, get_32(r)); break;
  default: corrupt(r);
  }
}

static struct gl_ref *get_ref(struct reader *r, int kind) {
  uint32_t i = get_32(r);
  if (i >= r->m->nrefs || (int)r->m->refs[i].kind != kind) corrupt(r);
  return &r->m->refs[i];
}

/* The object on the top has the next number. */
static void came(struct reader *r) {
  r->n++;
  if (!r->objects) return;
  lua_pushvalue(r->L, -1);
  lua_rawseti(r->L, r->objects, r->n);
}

/* ---- values ------------------------------------------------------------------------------------------ */
/* push_TYPE: the tag has been read. */
static void push_value(struct reader *r, int depth);

static void push_table(struct reader *r, int depth) {
  lua_State *L = r->L;
  uint32_t list = get_32(r), pairs = get_32(r);
  size_t left = (size_t)(r->end - r->p);
  if (depth == DEPTH || list > left || pairs > left / 2 || list + (size_t)2 * pairs > left) corrupt(r);
  luaL_checkstack(L, 4, "message");
  lua_createtable(L, (int)list, (int)pairs);
  came(r);
  for (uint32_t i = 1; i <= list; i++) {
    push_value(r, depth + 1);
    lua_rawseti(L, -2, i);
  }
  for (uint32_t i = 0; i < pairs; i++) {
    push_value(r, depth + 1);
    lua_Number k = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
    if (lua_isnil(L, -1) || k != k) corrupt(r);
    push_value(r, depth + 1);
    lua_rawset(L, -3);
  }
}

static void push_again(struct reader *r) {
  uint32_t i = get_32(r);
  if (!r->objects || i >= r->n) corrupt(r);
  lua_rawgeti(r->L, r->objects, (lua_Integer)i + 1);
}

/* Upvalue i of the function on the top is the same as one of a function that came. */
static void join_upvalue(struct reader *r, int i) {
  lua_State *L = r->L;
  uint32_t v = get_32(r), fn = v >> 8;
  if (!r->objects || fn >= r->n) corrupt(r);
  lua_rawgeti(L, r->objects, (lua_Integer)fn + 1);
  if (!lua_isfunction(L, -1) || lua_iscfunction(L, -1) || !lua_getupvalue(L, -1, (int)(v & 255))) corrupt(r);
  lua_pop(L, 1);
  lua_upvaluejoin(L, -2, i, -1, (int)(v & 255));
  lua_pop(L, 1);
}

static void push_function(struct reader *r, int depth) {
  lua_State *L = r->L;
  struct gl_code *code = get_ref(r, GL_REF_CODE)->p;
  int n = get_8(r);
  if (depth == DEPTH) corrupt(r);
  luaL_checkstack(L, 6, "message");
  if (luaL_loadbufferx(L, code->bytes, code->size, "=message", "b") != LUA_OK) fail(r, "%s", lua_tostring(L, -1));
  came(r);
  for (int i = 1; i <= n; i++) {
    if (r->p < r->end && *r->p == T_UPVALUE) {
      r->p++;
      if (!lua_getupvalue(L, -1, i)) corrupt(r);
      lua_pop(L, 1);
      join_upvalue(r, i);
    } else {
      push_value(r, depth + 1);
      if (!lua_setupvalue(L, -2, i)) corrupt(r);
    }
  }
}

/* Replaces the name on the top by what require gives for it. */
static void require(struct reader *r) {
  lua_State *L = r->L;
  int name = lua_gettop(L);
  luaL_checkstack(L, 6, "message");
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushvalue(L, name);
  if (lua_rawget(L, -2) == LUA_TNIL) {
    lua_getglobal(L, "require");
    lua_pushvalue(L, name);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) fail(r, "cannot receive: %s", luaL_tolstring(L, -1, NULL));
  }
  lua_replace(L, name);
  lua_settop(L, name);
}

/* A module, or what is found in it by names, one after the other. Leaves the path, its text, below it. */
static void push_place(struct reader *r) {
  lua_State *L = r->L;
  luaL_checkstack(L, 8, "message");
  push_text(r, get_32(r));
  lua_pushvalue(L, -1);
  require(r);
  for (int n = get_8(r); n > 0; n--) {
    if (!lua_istable(L, -1)) fail(r, "cannot receive: %s is no table here", lua_tostring(L, -2));
    push_string(r);
    lua_pushfstring(L, "%s.%s", lua_tostring(L, -3), lua_tostring(L, -1));
    lua_replace(L, -4);
    lua_rawget(L, -2);
    lua_remove(L, -2);
  }
}

static void push_module(struct reader *r) {
  push_place(r);
  if (lua_isnil(r->L, -1)) fail(r, "cannot receive: there is no %s here", lua_tostring(r->L, -2));
  lua_remove(r->L, -2);
}

static void push_c_function(struct reader *r) {
  push_place(r);
  if (!lua_isfunction(r->L, -1)) fail(r, "cannot receive: no such function here: %s", lua_tostring(r->L, -2));
  lua_remove(r->L, -2);
  came(r);
}

static void set_class(struct reader *r, enum gl_type type) {
  lua_State *L = r->L;
  lua_rawgeti(L, LUA_REGISTRYINDEX, r->S->vals);
  lua_rawgeti(L, -1, type);
  lua_setmetatable(L, -3);
  lua_pop(L, 1);
}

static void push_channel(struct reader *r) {
  lua_State *L = r->L;
  struct gl_ref *ref = get_ref(r, GL_REF_CHAN);
  luaL_checkstack(L, 4, "message");
  struct gl_chan *ch = lua_newuserdatauv(L, sizeof *ch, 1);
  *ch = (struct gl_chan){.type = &gl_mark[GL_CHAN], .S = r->S, .can = ref->can, .holds = ref->holds};
  set_class(r, GL_CHAN);
  ch->c = ref->p;
  ref->kind = GL_REF_TAKEN;
  came(r);
  push_string(r);
  if (lua_rawlen(L, -1))
    lua_setiuservalue(L, -2, 1);
  else
    lua_pop(L, 1);
}

static void push_nilchan(struct reader *r) {
  lua_State *L = r->L;
  unsigned char can = get_8(r);
  if (!can || can > (GL_CAN_RECV | GL_CAN_SEND)) corrupt(r);
  struct gl_chan *ch = lua_newuserdatauv(L, sizeof *ch, 0);
  *ch = (struct gl_chan){.type = &gl_mark[GL_CHAN], .S = r->S, .can = can};
  set_class(r, GL_CHAN);
  came(r);
}

static void push_shared(struct reader *r) {
  lua_State *L = r->L;
  struct gl_ref *ref = get_ref(r, GL_REF_SHARED);
  const struct gl_share *share = ref->share;
  void **p = memset(lua_newuserdatauv(L, share->size, 0), 0, share->size);
  p[0] = (void *)(uintptr_t)&gl_mark[share->type];
  p[1] = ref->p;
  if (share->size > sizeof(void *[2])) *(uint8_t *)(p + 2) = ref->kind_of;
  ref->kind = GL_REF_TAKEN; /* nothing fails from here on: the class is there */
  set_class(r, share->type);
  came(r);
  if (share->weigh) share->weigh(L, r->S, p);
}

static void push_value(struct reader *r, int depth) {
  lua_State *L = r->L;
  lua_Integer i;
  lua_Number n;
  void *p;
  switch (get_8(r)) {
  case T_NIL: lua_pushnil(L); break;
  case T_FALSE: lua_pushboolean(L, 0); break;
  case T_TRUE: lua_pushboolean(L, 1); break;
  case T_NULL:
    lua_rawgeti(L, LUA_REGISTRYINDEX, r->S->vals);
    lua_rawgeti(L, -1, GL_NULL);
    lua_remove(L, -2);
    break;
  case T_INT8: lua_pushinteger(L, (int8_t)get_8(r)); break;
  case T_INT:
    get(r, &i, sizeof i);
    lua_pushinteger(L, i);
    break;
  case T_FLOAT:
    get(r, &n, sizeof n);
    lua_pushnumber(L, n);
    break;
  case T_SHORT: push_text(r, get_8(r)); break;
  case T_STRING: push_text(r, get_32(r)); break;
  case T_LIGHT:
    get(r, &p, sizeof p);
    lua_pushlightuserdata(L, p);
    break;
  case T_TABLE: push_table(r, depth); break;
  case T_AGAIN: push_again(r); break;
  case T_FUNCTION: push_function(r, depth); break;
  case T_GLOBALS: lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS); break;
  case T_MODULE: push_module(r); break;
  case T_C_FUNCTION: push_c_function(r); break;
  case T_CHANNEL: push_channel(r); break;
  case T_NIL_CHANNEL: push_nilchan(r); break;
  case T_SHARED: push_shared(r); break;
  default: corrupt(r);
  }
}

int gl_unpack(lua_State *L, struct gl *S, struct gl_msg *m) {
  m->next = S->unpacking;
  S->unpacking = m;
  struct reader r = {.L = L, .S = S, .m = m, .p = m->bytes + m->begin, .end = m->bytes + m->size};
  int n = (int)m->nvalues;
  if (m->begin > m->size) corrupt(&r);
  luaL_checkstack(L, n + LUA_MINSTACK, "message");
  if (m->again) {
    lua_newtable(L);
    r.objects = lua_gettop(L);
  }
  for (int i = 0; i < n; i++) push_value(&r, 0);
  if (r.p != r.end) corrupt(&r);
  if (r.objects) lua_remove(L, r.objects);
  forget(S, m);
  gl_msg_free(m);
  return n;
}
