/* Lua values into a message.
 *
 * Depth first, each value a tag and what belongs to it; a table or function that comes again is the
 * number of its first coming. Nothing here may raise an error or run the collector, whose finalizers
 * could come back in here: only calls that neither allocate nor call Lua code.
 *
 * An error's path is put together on the way back from the value that cannot be sent.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#include "tags.h"

enum { DEPTH = 200, NESTED = 20, MOST = 1 << 30, FEW = 16, LINE = 64, MANY = 4096 };

struct gl_scratch {
  unsigned char *bytes;
  size_t size, room;
  struct gl_ref *refs;
  uint32_t nrefs, refs_room;
  /* What has come already: (address, number), and above FEW a table of indexes by hash. */
  struct seen {
    const void *p;
    uint32_t number;
  } * seen;
  uint32_t nseen, seen_room, *index, mask;
};

struct writer {
  lua_State *L;
  struct gl *S;
  struct gl_scratch *s;
  uint32_t objects;
  bool again;
  char *why; /* the path grows from its end to its front, then gets its verdict */
  size_t front;
  bool cut; /* nothing more fits in front */
  char verdict[256];
};

/* A channel that is just becoming shared may contain itself. */
struct gl_sharing {
  gos_chan *c;
  struct gl_sharing *outer;
  int depth;
};

/* ---- errors -------------------------------------------------------------------------------- */

static bool refuse(struct writer *w, const char *verdict) {
  snprintf(w->verdict, sizeof w->verdict, "%s", verdict);
  return false;
}

static bool no_memory(struct writer *w) { return refuse(w, ": not enough memory"); }

/* Puts text before the path so far; of one that is too long the end stays. Always false. */
__attribute__((format(printf, 2, 3))) static bool at(struct writer *w, const char *fmt, ...) {
  char text[96];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  size_t n = strlen(text);
  if (w->cut) return false;
  w->cut = n + 3 > w->front;
  if (w->cut)
    memcpy(w->why + (w->front -= 3), "...", 3);
  else
    memcpy(w->why + (w->front -= n), text, n);
  return false;
}

static bool is_name(const char *s, size_t n) {
  if (!n || n > 40 || isdigit((unsigned char)*s)) return false;
  for (size_t i = 0; i < n; i++)
    if (!isalnum((unsigned char)s[i]) && s[i] != '_') return false;
  return true;
}

/* The table's value with the key at idx. */
static bool at_key(struct writer *w, int idx) {
  lua_State *L = w->L;
  size_t n;
  const char *s;
  switch (lua_type(L, idx)) {
  case LUA_TSTRING:
    s = lua_tolstring(L, idx, &n);
    if (is_name(s, n)) return at(w, ".%s", s);
    return at(w, "[\"%.40s\"]", s);
  case LUA_TNUMBER:
    if (lua_isinteger(L, idx)) return at(w, "[%lld]", (long long)lua_tointeger(L, idx));
    return at(w, "[%.14g]", lua_tonumber(L, idx));
  case LUA_TBOOLEAN: return at(w, "[%s]", lua_toboolean(L, idx) ? "true" : "false");
  default: return at(w, "[%s]", lua_typename(L, lua_type(L, idx)));
  }
}

/* ---- bytes, references, what has come ---------------------------------------------------------- */

static bool room(struct writer *w, size_t n) {
  struct gl_scratch *s = w->s;
  if (s->size + n <= s->room) return true;
  if (n > MOST + 5 || s->size + n > MOST) return refuse(w, ": the message is larger than 1 GiB");
  size_t more = (s->size + n) * 2 + 256;
  unsigned char *bytes = realloc(s->bytes, more);
  if (!bytes) return no_memory(w);
  s->bytes = bytes;
  s->room = more;
  return true;
}

static void add(struct writer *w, const void *p, size_t n) {
  memcpy(w->s->bytes + w->s->size, p, n);
  w->s->size += n;
}

static bool put(struct writer *w, const void *p, size_t n) {
  if (!room(w, n)) return false;
  add(w, p, n);
  return true;
}

static bool put_tag(struct writer *w, unsigned char tag) { return put(w, &tag, 1); }

static bool put_32(struct writer *w, unsigned char tag, uint32_t v) {
  if (!room(w, 5)) return false;
  add(w, &tag, 1);
  add(w, &v, 4);
  return true;
}

static bool put_text(struct writer *w, unsigned char tag, const char *s, size_t n) {
  if (!room(w, n + 5)) return false;
  if (tag == T_STRING && n < 256) {
    unsigned char head[2] = {T_SHORT, (unsigned char)n};
    add(w, head, 2);
  } else {
    uint32_t n32 = (uint32_t)n;
    add(w, &tag, 1);
    add(w, &n32, 4);
  }
  add(w, s, n);
  return true;
}

/* Room for a reference, so that the next add_ref() cannot fail. */
static bool ref_room(struct writer *w) {
  struct gl_scratch *s = w->s;
  if (s->nrefs < s->refs_room) return true;
  uint32_t more = s->refs_room * 2 + 8;
  struct gl_ref *refs = realloc(s->refs, more * sizeof *refs);
  if (!refs) return no_memory(w);
  s->refs = refs;
  s->refs_room = more;
  return true;
}

static uint32_t hash(const void *p) { return (uint32_t)(((uintptr_t)p >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 32); }

static void index_seen(struct gl_scratch *s, uint32_t i) {
  uint32_t h = hash(s->seen[i].p) & s->mask;
  while (s->index[h]) h = (h + 1) & s->mask;
  s->index[h] = i + 1;
}

static bool grow_seen(struct writer *w) {
  struct gl_scratch *s = w->s;
  uint32_t more = s->seen_room ? s->seen_room * 2 : FEW;
  struct seen *seen = realloc(s->seen, more * sizeof *seen);
  if (!seen) return no_memory(w);
  s->seen = seen;
  uint32_t *index = realloc(s->index, more * 2 * sizeof *index);
  if (!index) return no_memory(w);
  s->index = index;
  s->seen_room = more;
  return true;
}

/* Fills the table of indexes for the entries so far, as wide as there is room for them. */
static void reindex(struct gl_scratch *s) {
  s->mask = s->seen_room * 2 - 1;
  memset(s->index, 0, s->seen_room * 2 * sizeof *s->index);
  for (uint32_t i = 0; i < s->nseen; i++) index_seen(s, i);
}

static struct seen *find(struct gl_scratch *s, const void *p) {
  if (s->nseen <= FEW) {
    for (uint32_t i = 0; i < s->nseen; i++)
      if (s->seen[i].p == p) return &s->seen[i];
    return NULL;
  }
  for (uint32_t h = hash(p) & s->mask; s->index[h]; h = (h + 1) & s->mask)
    if (s->seen[s->index[h] - 1].p == p) return &s->seen[s->index[h] - 1];
  return NULL;
}

static bool remember(struct writer *w, const void *p, uint32_t number) {
  struct gl_scratch *s = w->s;
  bool grow = s->nseen == s->seen_room;
  if (grow && !grow_seen(w)) return false;
  s->seen[s->nseen++] = (struct seen){p, number};
  if (s->nseen == FEW + 1 || (grow && s->nseen > FEW))
    reindex(s);
  else if (s->nseen > FEW)
    index_seen(s, s->nseen - 1);
  return true;
}

/* true: the object on the top came before and has been put. *ok: no error. */
static bool came(struct writer *w, bool *ok) {
  const void *p = lua_topointer(w->L, -1);
  struct seen *seen = find(w->s, p);
  if (seen) {
    w->again = true;
    *ok = put_32(w, T_AGAIN, seen->number);
    return true;
  }
  *ok = remember(w, p, w->objects++);
  return !*ok;
}

/* ---- values ------------------------------------------------------------------------------------ */
/* put_TYPE puts the value on the top of the stack, and leaves it there. */
static bool put_value(struct writer *w, int depth);

static bool put_number(struct writer *w) {
  lua_State *L = w->L;
  if (!lua_isinteger(L, -1)) {
    lua_Number n = lua_tonumber(L, -1);
    return put_tag(w, T_FLOAT) && put(w, &n, sizeof n);
  }
  lua_Integer i = lua_tointeger(L, -1);
  if (i >= INT8_MIN && i <= INT8_MAX) {
    int8_t small = (int8_t)i;
    return put_tag(w, T_INT8) && put(w, &small, 1);
  }
  return put_tag(w, T_INT) && put(w, &i, sizeof i);
}

/* Values 1, 2, ... as long as the traversal gives them in this order, then pairs. */
static bool put_table(struct writer *w, int depth) {
  lua_State *L = w->L;
  bool ok;
  if (came(w, &ok)) return ok;
  if (depth == DEPTH) return refuse(w, ": tables are nested more than 200 deep");
  if (!lua_checkstack(L, 4)) return no_memory(w);
  if (!put_tag(w, T_TABLE)) return false;
  size_t counts = w->s->size;
  uint32_t n[2] = {0, 0};
  if (!put(w, n, sizeof n)) return false;
  bool list = true;
  int key = lua_gettop(L) + 1;
  for (lua_pushnil(L); lua_next(L, key - 1); lua_pop(L, 1)) {
    list = list && lua_isinteger(L, -2) && lua_tointeger(L, -2) == (lua_Integer)n[0] + 1;
    if (!list) {
      lua_pushvalue(L, -2);
      if (!put_value(w, depth + 1)) return at(w, ": a key");
      lua_pop(L, 1);
    }
    if (!put_value(w, depth + 1)) return at_key(w, key);
    n[!list]++;
  }
  memcpy(w->s->bytes + counts, n, sizeof n);
  return true;
}

/* Pushes package.loaded; false, and pushes nothing, where there is none. */
static bool push_loaded(lua_State *L) {
  if (lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE) == LUA_TTABLE) return true;
  lua_pop(L, 1);
  return false;
}

/* Where every state finds a value: a module; a field of it; a field of a table in it. Not needed: NULL. */
struct name {
  const char *s;
  size_t n;
};
struct place {
  struct name module, path[2];
};
enum { A_MODULE, A_FIELD, A_FIELD_OF_A_FIELD };

static bool put_place(struct writer *w, unsigned char tag, const struct place *at) {
  unsigned char keys = (unsigned char)((at->path[0].s != NULL) + (at->path[1].s != NULL));
  bool ok = put_text(w, tag, at->module.s, at->module.n) && put_tag(w, keys);
  for (int i = 0; ok && i < keys; i++) ok = put_text(w, T_STRING, at->path[i].s, at->path[i].n);
  return ok;
}

/* The string at idx, a table's key: it lives as long as that. */
static struct name name_at(lua_State *L, int idx) {
  struct name name;
  name.s = lua_tolstring(L, idx, &name.n);
  return name;
}

/* Looks for the value at value in the table on the top, that many levels down. */
static bool find_field(lua_State *L, int value, int level, struct name *path) {
  int table = lua_gettop(L);
  bool found = false;
  if (!lua_istable(L, table)) return false;
  for (lua_pushnil(L); !found && lua_next(L, table); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) continue;
    found = level == 0 ? lua_rawequal(L, -1, value) : find_field(L, value, level - 1, path + 1);
    if (found) path[0] = name_at(L, -2);
  }
  lua_settop(L, table);
  return found;
}

/* What the globals hold is a module's too, or the program's own and not in every state. */
static bool is_globals(struct name module) { return module.n == 2 && memcmp(module.s, "_G", 2) == 0; }

/* Looks for the value at value there; of several modules that have it, takes the one with the shortest name, which
   is a whole ("gossamer"), not a part of it ("gossamer.native"). */
static bool find_place(struct writer *w, int value, int where, bool globals, struct place *at) {
  lua_State *L = w->L;
  int top = lua_gettop(L);
  *at = (struct place){0};
  if (!push_loaded(L)) return false;
  for (lua_pushnil(L); lua_next(L, top + 1); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) continue;
    struct place here = {.module = name_at(L, -2)};
    if ((at->module.s && at->module.n <= here.module.n) || (!globals && is_globals(here.module))) continue;
    if (where == A_MODULE ? lua_rawequal(L, -1, value) : find_field(L, value, where - 1, here.path)) *at = here;
  }
  lua_settop(L, top);
  return at->module.s != NULL;
}

/* Has the table on the top functions alone, one of C among them? It has no state of its own to be copied. */
static bool of_functions(lua_State *L) {
  int table = lua_gettop(L);
  bool of_c = false, others = false;
  for (lua_pushnil(L); !others && lua_next(L, table); lua_pop(L, 1)) {
    others = !lua_isfunction(L, -1);
    of_c = of_c || lua_iscfunction(L, -1);
  }
  lua_settop(L, table);
  return of_c && !others;
}

/* The table on the top is what require gives under a name, or a field of that: then puts its place. */
static bool put_module(struct writer *w, bool *ok) {
  struct place at;
  int value = lua_gettop(w->L);
  if (!lua_checkstack(w->L, 8)) return false;
  if (!find_place(w, value, A_MODULE, true, &at) && !(of_functions(w->L) && find_place(w, value, A_FIELD, false, &at)))
    return false;
  *ok = put_place(w, T_MODULE, &at);
  return true;
}

static bool put_c_function(struct writer *w) {
  struct place at;
  int fn = lua_gettop(w->L);
  bool ok;
  if (came(w, &ok)) return ok;
  if (!lua_checkstack(w->L, 12)) return no_memory(w);
  if (!find_place(w, fn, A_MODULE, true, &at) && !find_place(w, fn, A_FIELD, true, &at) &&
      !find_place(w, fn, A_FIELD_OF_A_FIELD, false, &at))
    return refuse(w, " is a C function that no loaded module has");
  return put_place(w, T_C_FUNCTION, &at);
}

static int write_code(lua_State *L, const void *p, size_t n, void *u) {
  (void)L;
  struct gl_code **code = u;
  if (!*code) return 1;
  if ((*code)->size + n > (*code)->room) {
    size_t more = ((*code)->size + n) * 2 + 256;
    struct gl_code *c = more > MOST ? NULL : realloc(*code, sizeof *c + more);
    if (!c) {
      free(*code);
      *code = NULL;
      return 1;
    }
    c->room = more;
    *code = c;
  }
  memcpy((*code)->bytes + (*code)->size, p, n);
  (*code)->size += n;
  return 0;
}

static bool put_code(struct writer *w) {
  struct gl_code *code = calloc(1, sizeof *code);
  if (!code || !ref_room(w)) {
    free(code);
    return no_memory(w);
  }
  lua_dump(w->L, write_code, &code, 0);
  if (!code) return no_memory(w);
  w->s->refs[w->s->nrefs] = (struct gl_ref){.kind = GL_REF_CODE, .p = code};
  return put_32(w, T_FUNCTION, w->s->nrefs++);
}

/* Upvalue i, whose value is on the top, of function number fn. One that functions share stays shared. */
static bool put_upvalue(struct writer *w, uint32_t fn, int i, const char *name, int depth) {
  lua_State *L = w->L;
  const void *id = lua_upvalueid(L, -2, i);
  struct seen *seen = find(w->s, id);
  bool ok = true;
  if (seen) {
    w->again = true;
    return put_32(w, T_UPVALUE, seen->number);
  }
  if (fn <= UPVALUE_FN_MAX && !remember(w, id, fn << 8 | (uint32_t)i)) return false;
  if (!lua_istable(L, -1)) return put_value(w, depth + 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  bool globals = lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  if (globals || strcmp(name, "_ENV") == 0) return put_tag(w, T_GLOBALS);
  if (!find(w->s, lua_topointer(L, -1)) && put_module(w, &ok)) return ok;
  return put_value(w, depth + 1);
}

static bool put_function(struct writer *w, int depth) {
  lua_State *L = w->L;
  bool ok;
  if (lua_iscfunction(L, -1)) return put_c_function(w);
  uint32_t number = w->objects;
  if (came(w, &ok)) return ok;
  if (depth == DEPTH) return refuse(w, ": functions and tables are nested more than 200 deep");
  if (!lua_checkstack(L, 4)) return no_memory(w);
  if (!put_code(w)) return false;
  size_t count = w->s->size;
  if (!put_tag(w, 0)) return false;
  for (int i = 1; i <= 255; i++) {
    const char *name = lua_getupvalue(L, -1, i);
    if (!name) break;
    if (!put_upvalue(w, number, i, name, depth)) return at(w, ": upvalue '%s'", name);
    lua_pop(L, 1);
    w->s->bytes[count] = (unsigned char)i;
  }
  return true;
}

static bool put_channel(struct writer *w, struct gl_chan *ch) {
  if (!ch->c) {
    unsigned char nilchan[2] = {T_NIL_CHANNEL, ch->can};
    return put(w, nilchan, 2);
  }
  if (!gl_share_chan(w->L, w->S, ch, w->verdict, sizeof w->verdict)) return false;
  if (!ref_room(w) || !room(w, 5 + 1)) return false;
  gos_chan_retain(ch->c);
  w->s->refs[w->s->nrefs] = (struct gl_ref){.kind = GL_REF_CHAN, .can = ch->can, .holds = ch->holds, .p = ch->c};
  put_32(w, T_CHANNEL, w->s->nrefs++);
  lua_State *L = w->L;
  size_t n = 0;
  bool named = lua_checkstack(L, 1) && lua_getiuservalue(L, -1, 1) == LUA_TSTRING;
  const char *name = named ? lua_tolstring(L, -1, &n) : "";
  bool ok = put_text(w, T_STRING, name, n);
  lua_pop(L, 1);
  return ok;
}

static bool put_userdata(struct writer *w) {
  lua_State *L = w->L;
  bool ok;
  const char **p = lua_touserdata(L, -1);
  if ((const void *)p == w->S->null) return put_tag(w, T_NULL);
  if (lua_rawlen(L, -1) < 2 * sizeof *p || *p <= gl_mark || *p >= gl_mark + GL_FIXED) return refuse(w, " is userdata");
  enum gl_type type = (enum gl_type)(*p - gl_mark);
  const struct gl_share *share = w->S->share[type];
  if (type != GL_CHAN && !share) return refuse(w, " is userdata");
  if (came(w, &ok)) return ok;
  if (type == GL_CHAN) return put_channel(w, (struct gl_chan *)p);
  if (!ref_room(w) || !room(w, 5)) return false;
  void *shared = ((void **)p)[1];
  if (!shared) return refuse(w, " has been collected");
  share->retain(shared);
  uint8_t kind_of = share->size > sizeof(void *[2]) ? ((uint8_t *)p)[sizeof(void *[2])] : 0;
  w->s->refs[w->s->nrefs] = (struct gl_ref){.kind = GL_REF_SHARED, .kind_of = kind_of, .share = share, .p = shared};
  return put_32(w, T_SHARED, w->s->nrefs++);
}

static bool put_value(struct writer *w, int depth) {
  lua_State *L = w->L;
  void *p;
  size_t n;
  const char *s;
  switch (lua_type(L, -1)) {
  case LUA_TNIL: return put_tag(w, T_NIL);
  case LUA_TBOOLEAN: return put_tag(w, lua_toboolean(L, -1) ? T_TRUE : T_FALSE);
  case LUA_TNUMBER: return put_number(w);
  case LUA_TSTRING: s = lua_tolstring(L, -1, &n); return put_text(w, T_STRING, s, n);
  case LUA_TLIGHTUSERDATA: p = lua_touserdata(L, -1); return put_tag(w, T_LIGHT) && put(w, &p, sizeof p);
  case LUA_TTABLE: return put_table(w, depth);
  case LUA_TFUNCTION: return put_function(w, depth);
  case LUA_TUSERDATA: return put_userdata(w);
  default: return refuse(w, " is a coroutine");
  }
}

/* ---- messages ------------------------------------------------------------------------------------- */

static struct gl_scratch *take_scratch(struct gl *S) {
  struct gl_scratch *s = S->scratch;
  S->scratch = NULL;
  return s ? s : calloc(1, sizeof *s);
}

static void free_scratch(struct gl_scratch *s) {
  if (!s) return;
  free(s->bytes);
  free(s->refs);
  free(s->seen);
  free(s->index);
  free(s);
}

static void give_scratch(struct gl *S, struct gl_scratch *s) {
  if (S->scratch || s->room > 1 << 20 || s->seen_room > 1 << 16) {
    free_scratch(s);
    return;
  }
  s->size = 0;
  s->nrefs = s->nseen = 0;
  S->scratch = s;
}

static struct gl_msg *finish(struct writer *w, int n) {
  struct gl_scratch *s = w->s;
  struct gl_msg *m = gl_msg_alloc(s->size);
  struct gl_ref *refs = m && s->nrefs ? malloc(s->nrefs * sizeof *refs) : NULL;
  if (!m || (s->nrefs && !refs)) {
    if (m) gl_msg_give_back(m);
    no_memory(w);
    return NULL;
  }
  m->refs = refs;
  m->nrefs = s->nrefs;
  m->nvalues = (uint32_t)n;
  m->again = w->again;
  if (s->size) memcpy(m->bytes, s->bytes, s->size);
  if (refs) memcpy(refs, s->refs, s->nrefs * sizeof *refs);
  return m;
}

/* How much further to must be to lie in its cache line as from does. Where to is 1 to 31 bytes ahead in it, the
   string instructions that memcpy uses for many bytes take three times as long on some CPUs. */
static size_t in_step(const void *to, const void *from) { return ((uintptr_t)from - (uintptr_t)to) % LINE; }

struct gl_msg *gl_msg_text(const char *s, size_t n) {
  bool many = n >= MANY;
  struct gl_msg *m = n > MOST ? NULL : gl_msg_alloc(5 + n + (many ? LINE - 1 : 0));
  if (!m) return NULL;
  uint32_t n32 = (uint32_t)n;
  size_t begin = many ? in_step(m->bytes + 5, s) : 0;
  unsigned char *p = m->bytes + begin;
  m->nvalues = 1;
  m->begin = (uint8_t)begin;
  m->size = begin + 5 + n;
  p[0] = T_STRING;
  memcpy(p + 1, &n32, 4);
  memcpy(p + 5, s, n);
  return m;
}

static void name_root(struct writer *w, enum gl_root root, int i) {
  if (root == GL_ROOT_MSG)
    at(w, "msg");
  else if (root == GL_ROOT_RESULT)
    at(w, "result %d", i + 1);
  else if (i == 0)
    at(w, "function");
  else
    at(w, "argument %d", i);
}

struct gl_msg *gl_pack(lua_State *L, struct gl *S, int idx, int n, enum gl_root root, char why[GL_WHY]) {
  struct gl_msg *m = NULL;
  if (n == 1 && lua_type(L, idx) == LUA_TSTRING) { /* needs no other copy */
    size_t size;
    const char *s = lua_tolstring(L, idx, &size);
    if ((m = gl_msg_text(s, size))) return m;
  }
  struct writer w = {.L = L, .S = S, .s = take_scratch(S), .why = why, .front = GL_WHY - 1};
  why[GL_WHY - 1] = 0;
  int top = lua_gettop(L), i = 0;
  idx = lua_absindex(L, idx);
  bool ok = (w.s && lua_checkstack(L, 4)) || no_memory(&w);
  for (; ok && i < n; i++) {
    lua_pushvalue(L, idx + i);
    if (!(ok = put_value(&w, 0))) name_root(&w, root, i);
    lua_settop(L, top);
  }
  if (ok) m = finish(&w, n);
  if (!m) {
    for (uint32_t k = 0; w.s && k < w.s->nrefs; k++) gl_ref_free(&w.s->refs[k]);
    char verdict[sizeof w.verdict];
    memcpy(verdict, w.verdict, sizeof verdict);
    size_t len = strlen(why + w.front), room = GL_WHY - 1 - sizeof verdict;
    if (len > room) {
      w.front += len - room;
      len = room;
      memcpy(why + w.front, "...", 3);
    }
    memmove(why, why + w.front, len);
    strcpy(why + len, verdict);
  }
  if (w.s) give_scratch(S, w.s);
  return m;
}

void gl_messages_end(struct gl *S) {
  free_scratch(S->scratch);
  S->scratch = NULL;
  for (struct gl_msg *m; (m = S->unpacking);) {
    S->unpacking = m->next;
    gl_msg_free(m);
  }
  gl_blocks_end(S);
}

/* ---- a channel becomes shared ------------------------------------------------------------------------ */

struct convert {
  lua_State *L;
  struct gl *S;
  gl_value *values;
  size_t n, at;
  char *why;
};

static int count_elem(void *u, void *elem) {
  (void)elem;
  ((struct convert *)u)->n++;
  return 0;
}

static int pack_elem(void *u, void *elem) {
  struct convert *c = u;
  gl_value v;
  memcpy(&v, elem, sizeof v);
  if (!gl_repack(c->L, c->S, &v, c->why)) return 1;
  c->values[c->at++] = v;
  return 0;
}

static int replace_elem(void *u, void *elem) {
  struct convert *c = u;
  gl_value old, v = c->values[c->at++];
  memcpy(&old, elem, sizeof old);
  if (v != old) gl_drop(c->S, old);
  memcpy(elem, &v, sizeof v);
  return 0;
}

/* All values inside, and of those who wait to send, become messages; or none does. */
static bool convert_all(struct convert *c, gos_chan *ch) {
  gos_chan_each(ch, count_elem, c);
  if (c->n && !(c->values = malloc(c->n * sizeof *c->values))) {
    snprintf(c->why, GL_WHY, "not enough memory");
    return false;
  }
  bool ok = gos_chan_each(ch, pack_elem, c) == 0;
  size_t done = c->at;
  c->at = 0;
  if (ok)
    gos_chan_each(ch, replace_elem, c);
  else
    while (done-- > 0) gl_drop_message(c->values[done]);
  free(c->values);
  return ok;
}

bool gl_share_chan(lua_State *L, struct gl *S, struct gl_chan *ch, char *why, size_t size) {
  char inside[GL_WHY];
  if (!gos_chan_confined(ch->c)) return true;
  for (struct gl_sharing *s = S->sharing; s; s = s->outer)
    if (s->c == ch->c) return true; /* it will be, before this message leaves */
  struct gl_sharing me = {ch->c, S->sharing, S->sharing ? S->sharing->depth + 1 : 0};
  struct convert c = {.L = L, .S = S, .why = inside};
  if (ch->holds == GL_TIMES || me.depth == NESTED) {
    snprintf(why, size,
             ch->holds == GL_TIMES ? " is a timer's channel" : ": channels are inside channels more than 20 deep");
    return false;
  }
  S->sharing = &me;
  bool ok = ch->holds != GL_VALUES || convert_all(&c, ch->c);
  S->sharing = me.outer;
  if (ok)
    gos_chan_share(ch->c);
  else
    snprintf(why, size, ": it holds a value that cannot be sent: %s", inside);
  return ok;
}
