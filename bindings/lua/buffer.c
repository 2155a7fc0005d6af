/* Buffers: bytes that states share. A message carries a reference, whatever their number.
 *
 * A span is counted and outlives its userdata. A slice is a span of its own that keeps the one whose bytes it
 * shows; slices of slices keep that one too, so there are never more than two.
 *
 * Nothing here is locked: who writes bytes that another state reads at the same time has to say so, by a channel,
 * a mutex, or a wait group. Sizes never change, so no access leaves the memory, whoever races.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "message.h"

struct span {
  uint32_t refs;
  struct span *whole; /* whose bytes they are; NULL: its own */
  size_t size;
  char *bytes;
  char own[];
};
struct buffer {
  const char *type; /* GL_BUFFER's mark */
  struct span *s;
  uint8_t kind;  /* for struct gl_share: 0 */
  size_t weight; /* what it counts for in gl.buffers */
};

enum { WINDOW = 128, WIDER = 16 }; /* what unpack looks at first, and how much wider then */
#define MOST ((lua_Integer)1 << 46)
#define LEAST ((size_t)32 << 20)

static void retain(void *p) { __atomic_add_fetch(&((struct span *)p)->refs, 1, __ATOMIC_RELAXED); }

static void release(void *p) {
  struct span *s = p;
  while (s && __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) == 0) {
    struct span *whole = s->whole;
    free(s);
    s = whole;
  }
}

/* Lua's collector does not see this memory, and in its generational mode no number of steps would find an old buffer:
   when a state's buffers have doubled since the last time, and grown by more than its heap, all is collected. */
static void weigh(lua_State *L, struct gl *S, void *userdata) {
  struct buffer *b = userdata;
  b->weight = (b->s->whole ? b->s->whole : b->s)->size;
  S->buffers += b->weight;
  if (S->buffers <= S->buffers_due + LEAST || lua_gc(L, LUA_GCISRUNNING) <= 0) return;
  lua_gc(L, LUA_GCCOLLECT);
  size_t heap = (size_t)lua_gc(L, LUA_GCCOUNT) << 10;
  S->buffers_due = S->buffers + (S->buffers > heap ? S->buffers : heap);
}
const struct gl_share gl_buffer_shares[] = {{GL_BUFFER, sizeof(struct buffer), retain, release, weigh}, {0}};

static struct span *check(lua_State *L, int idx) {
  struct buffer *b = gl_check(L, idx, GL_BUFFER, "buffer");
  if (!b->s) luaL_error(L, "the buffer has been collected");
  return b->s;
}

char *gl_check_buffer(lua_State *L, int idx, size_t *n) {
  struct span *s = check(L, idx);
  *n = s->size;
  return s->bytes;
}

const char *gl_check_bytes(lua_State *L, int idx, size_t *n) {
  if (gl_test(L, idx, GL_BUFFER)) return gl_check_buffer(L, idx, n);
  if (!lua_isstring(L, idx)) luaL_typeerror(L, idx, "string");
  return lua_tolstring(L, idx, n);
}

/* ---- making ------------------------------------------------------------------------------------ */

/* Pushes a buffer without bytes yet. */
static struct buffer *new_buffer(lua_State *L) { return gl_new_object(L, GL_BUFFER, sizeof(struct buffer), 0); }

/* buffer(n | string): n zeros, or a copy. */
static int buffer(lua_State *L) {
  const char *from = NULL;
  size_t n;
  if (lua_type(L, 1) == LUA_TSTRING) {
    from = lua_tolstring(L, 1, &n);
  } else {
    if (lua_type(L, 1) != LUA_TNUMBER) return luaL_typeerror(L, 1, "size or string");
    lua_Integer size = luaL_checkinteger(L, 1);
    luaL_argcheck(L, size >= 0 && size <= MOST, 1, "size out of range");
    n = (size_t)size;
  }
  struct buffer *b = new_buffer(L);
  struct span *s = from ? malloc(sizeof *s + n) : calloc(1, sizeof *s + n);
  if (!s) return luaL_error(L, "not enough memory for a buffer of %I bytes", (lua_Integer)n);
  *s = (struct span){.refs = 1, .size = n, .bytes = s->own};
  if (from) memcpy(s->own, from, n);
  b->s = s;
  weigh(L, gl_of(L), b);
  return 1;
}

/* ---- positions: from 1; those below 0 count from the end ------------------------------------------- */

static lua_Integer from_end(lua_Integer i, size_t n) { return i < 0 ? (lua_Integer)n + i + 1 : i; }

/* What comes before the position at idx: 0 to n bytes. */
static size_t check_position(lua_State *L, int idx, size_t n) {
  lua_Integer given = luaL_checkinteger(L, idx), i = from_end(given, n);
  if (i < 1 || i > (lua_Integer)n + 1)
    luaL_argerror(L, idx, lua_pushfstring(L, "position %I is outside of a buffer of %I bytes", given, (lua_Integer)n));
  return (size_t)i - 1;
}

/* slice(i [, j]): a part of the bytes, as a buffer of its own. */
static int slice(lua_State *L) {
  struct span *s = check(L, 1);
  size_t at = check_position(L, 2, s->size);
  lua_Integer given = luaL_optinteger(L, 3, -1), j = from_end(given, s->size);
  if (j < (lua_Integer)at || j > (lua_Integer)s->size)
    return luaL_argerror(
        L, 3,
        lua_pushfstring(L, "no slice from %I to %I of %I bytes", (lua_Integer)at + 1, given, (lua_Integer)s->size));
  struct buffer *b = new_buffer(L);
  struct span *part = malloc(sizeof *part);
  if (!part) return luaL_error(L, "not enough memory");
  struct span *whole = s->whole ? s->whole : s;
  *part = (struct span){.refs = 1, .whole = whole, .size = (size_t)j - at, .bytes = s->bytes + at};
  retain(whole);
  b->s = part;
  return 1;
}

/* ---- bytes ---------------------------------------------------------------------------------------- */

/* sub(i [, j]): a string, cut to what there is as string.sub does. */
static int sub(lua_State *L) {
  struct span *s = check(L, 1);
  lua_Integer n = (lua_Integer)s->size;
  lua_Integer i = from_end(luaL_checkinteger(L, 2), s->size), j = from_end(luaL_optinteger(L, 3, -1), s->size);
  if (i < 1) i = 1;
  if (j > n) j = n;
  lua_pushlstring(L, i <= j ? s->bytes + i - 1 : "", i <= j ? (size_t)(j - i + 1) : 0);
  return 1;
}

static int tostring(lua_State *L) {
  struct span *s = check(L, 1);
  lua_pushlstring(L, s->bytes, s->size);
  return 1;
}

/* The string or buffer at idx from there on. The position after it. */
static int put(lua_State *L, struct span *s, size_t at, int idx) {
  size_t n;
  const char *p = gl_check_bytes(L, idx, &n);
  if (n > s->size - at)
    return luaL_error(L, "%I bytes at position %I do not fit into a buffer of %I bytes", (lua_Integer)n,
                      (lua_Integer)at + 1, (lua_Integer)s->size);
  memmove(s->bytes + at, p, n);
  lua_pushinteger(L, (lua_Integer)(at + n + 1));
  return 1;
}

static int set(lua_State *L) {
  struct span *s = check(L, 1);
  return put(L, s, check_position(L, 2, s->size), 3);
}

/* ---- numbers: string.pack's formats ------------------------------------------------------------------ */

static void push_string_function(lua_State *L, const char *name) {
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "string") != LUA_TTABLE || lua_getfield(L, -1, name) != LUA_TFUNCTION)
    luaL_error(L, "there is no string.%s here", name);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

/* Raises the error on the top, with the place of the buffer's user. */
static int fail(lua_State *L) {
  if (lua_type(L, -1) != LUA_TSTRING) return lua_error(L);
  luaL_where(L, 1);
  lua_insert(L, -2);
  lua_concat(L, 2);
  return lua_error(L);
}

/* pack(pos, fmt, ...): the position after it. */
static int pack(lua_State *L) {
  struct span *s = check(L, 1);
  size_t at = check_position(L, 2, s->size);
  luaL_checkstring(L, 3);
  luaL_checkstack(L, 4, NULL);
  push_string_function(L, "pack");
  lua_insert(L, 3);
  if (lua_pcall(L, lua_gettop(L) - 3, 1, 0) != LUA_OK) return fail(L);
  return put(L, s, at, 3);
}

/* unpack(pos, fmt): the values, and the position after them. Few formats need many bytes: not all of a large
   buffer becomes a string. */
static int unpack(lua_State *L) {
  struct span *s = check(L, 1);
  size_t at = check_position(L, 2, s->size), rest = s->size - at;
  luaL_checkstring(L, 3);
  lua_settop(L, 3);
  push_string_function(L, "unpack");
  for (size_t n = WINDOW;; n *= WIDER) {
    lua_pushvalue(L, 4);
    lua_pushvalue(L, 3);
    lua_pushlstring(L, s->bytes + at, n < rest ? n : rest);
    if (lua_pcall(L, 2, LUA_MULTRET, 0) == LUA_OK) break;
    if (n >= rest) return fail(L);
    lua_settop(L, 4);
  }
  lua_pushinteger(L, lua_tointeger(L, -1) + (lua_Integer)at);
  lua_replace(L, -2);
  return lua_gettop(L) - 4;
}

/* ---- the rest ---------------------------------------------------------------------------------------- */

static int len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check(L, 1)->size);
  return 1;
}

/* The same bytes. */
static int eq(lua_State *L) {
  const struct buffer *a = gl_test(L, 1, GL_BUFFER), *b = gl_test(L, 2, GL_BUFFER);
  lua_pushboolean(L, a && b && a->s && b->s && a->s->size == b->s->size &&
                         (a->s->bytes == b->s->bytes || memcmp(a->s->bytes, b->s->bytes, a->s->size) == 0));
  return 1;
}

static int gc(lua_State *L) {
  struct buffer *b = lua_touserdata(L, 1);
  gl_of(L)->buffers -= b->weight;
  b->weight = 0;
  release(b->s);
  b->s = NULL;
  return 0;
}

const luaL_Reg gl_buffer_functions[] = {{"buffer", buffer}, {NULL, NULL}};

static const luaL_Reg methods[] = {{"sub", sub},     {"set", set},           {"pack", pack}, {"unpack", unpack},
                                   {"slice", slice}, {"tostring", tostring}, {NULL, NULL}};
static const luaL_Reg meta[] = {{"__len", len}, {"__eq", eq}, {"__gc", gc}, {"__tostring", tostring}, {NULL, NULL}};
const struct gl_class gl_buffer_classes[] = {{GL_BUFFER, "gossamer.buffer", methods, meta}, {0}};
