/* Streams of bytes: sockets and pipes, which are waited for by the poller, and files, which are read
 * and written by other threads. They differ in three places: reading some, writing some, closing.
 *
 * A stream is closed for good by fd = -1. Whoever waits finds out: the poller ends his wait, and he
 * looks at fd after each lock. A buffer that is in use when its stream is closed is freed by its user.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gossamer/net.h>

#include "lgos.h"

enum { LEAST = 4096, CHUNK = 65536, PIECE = 1 << 20 };
enum { END = 0 }; /* a read's result at the end of the stream */

/* A running call: who makes it, until when. */
struct op {
  lua_State *L;
  struct gl *S;
  struct gl_go *me;
  gos_ns dl;
  bool now;  /* the caller asked not to wait */
  bool over; /* the stream's deadline passed before */
};

struct gl_go *gl_enter_until(lua_State *L, int idx, gos_ns until, gos_ns *dl, bool *now) {
  *dl = idx ? gl_deadline(L, idx) : GOS_FOREVER;
  *now = *dl == GOS_NOW;
  struct gl_go *me = gl_enter(L, gl_of(L), dl);
  if (until < *dl) *dl = until;
  return me;
}

bool gl_passed(gos_ns until) { return until != GOS_FOREVER && until <= gos_now(); }

static struct op enter(lua_State *L, int idx, gos_ns until) {
  struct op o = {.L = L, .S = gl_of(L), .over = gl_passed(until)};
  o.me = gl_enter_until(L, idx, until, &o.dl, &o.now);
  return o;
}

struct gl_stream *gl_test_stream(lua_State *L, int idx) {
  struct gl_stream *st;
  (void)((st = gl_test(L, idx, GL_CONN)) || (st = gl_test(L, idx, GL_PIPE)) || (st = gl_test(L, idx, GL_FILE)));
  return st;
}

struct gl_stream *gl_check_stream(lua_State *L, int idx) {
  struct gl_stream *st = gl_test_stream(L, idx);
  if (!st) luaL_typeerror(L, idx, "stream");
  return st;
}

static struct gl_stream *check(lua_State *L) { return gl_check_stream(L, 1); }

static struct gl_stream *check_file(lua_State *L) { return gl_check(L, 1, GL_FILE, "file"); }

/* ---- the life of a stream --------------------------------------------------------------------- */

struct gl_stream *gl_new_stream(lua_State *L, enum gl_type type) {
  struct gl_stream *st = memset(lua_newuserdatauv(L, sizeof *st, 1), 0, sizeof *st);
  st->type = &gl_mark[type];
  st->fd = -1;
  st->read_until = st->write_until = GOS_FOREVER;
  lua_rawgeti(L, GL_VALS, type);
  lua_setmetatable(L, -2);
  if (type == GL_FILE) {
    if (!(st->file = malloc(sizeof *st->file))) luaL_error(L, "not enough memory");
    *st->file = (struct gl_file){-1, 1};
  }
  return st;
}

void gl_stream_own(struct gl_stream *st, int fd) {
  st->fd = fd;
  if (st->file) st->file->fd = fd;
}

static void file_drop(struct gl_file *f) {
  if (__atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL)) return;
  if (f->fd >= 0) close(f->fd);
  free(f);
}

static void forget_buffer(struct gl_stream *st) {
  free(st->buf);
  st->buf = NULL;
  st->at = st->end = st->cap = 0;
}

bool gl_stream_shut(struct gl_stream *st) {
  int fd = st->fd;
  if (fd < 0) return false;
  st->fd = -1;
  if (st->file)
    file_drop(st->file);
  else
    gos_close(fd);
  st->file = NULL;
  if (gos_mutex_trylock(&st->reading) == GOS_OK) {
    forget_buffer(st);
    gos_mutex_unlock(&st->reading);
  }
  return true;
}

static int stream_close(lua_State *L) {
  struct gl_stream *st = check(L);
  gl_self(L, gl_of(L));
  lua_pushboolean(L, gl_stream_shut(st));
  return 1;
}

static int stream_gc(lua_State *L) { /* nobody is inside any more */
  struct gl_stream *st = check(L);
  gl_stream_shut(st);
  if (st->file) file_drop(st->file); /* never opened */
  st->file = NULL;
  forget_buffer(st);
  return 0;
}

/* ---- locks --------------------------------------------------------------------------------------- */

static gos_mutex *writers(struct gl_stream *st) { return st->file ? &st->reading : &st->writing; }

static void unlock(struct gl_stream *st, gos_mutex *mu) {
  if (mu == &st->reading && st->fd < 0) forget_buffer(st);
  gos_mutex_unlock(mu);
}

/* GOS_OK: it is ours, the stream is open, and neither the call's context nor the stream's deadline had ended before. */
static int lock(struct op *o, struct gl_stream *st, gos_mutex *mu) {
  if (st->fd < 0) return GOS_CLOSED;
  int e = gl_ended_before(o->L, o->me);
  if (e) return e;
  if (o->over) return GOS_TIMEDOUT;
  if (gos_mutex_trylock(mu) == GOS_OK) return GOS_OK;
  GL_WAIT(o->L, o->S, o->me, e, gos_mutex_lock_dl(mu, o->dl));
  if (e == GOS_OK && st->fd < 0) {
    unlock(st, mu);
    return GOS_CLOSED;
  }
  return e;
}

/* ---- files: by other threads ------------------------------------------------------------------------ */

struct transfer {
  struct gl_work w;
  struct gl_file *file;
  bool writing;
  int64_t n; /* bytes; when done, the result */
  char data[];
};

static int64_t transfer_some(struct transfer *t, char *p, int64_t n) {
  ssize_t k;
  do {
    k = t->writing ? write(t->file->fd, p, (size_t)n) : read(t->file->fd, p, (size_t)n);
  } while (k < 0 && errno == EINTR);
  return k < 0 ? GOS_SYS(errno) : k;
}

static void run_transfer(struct gl_work *w) {
  struct transfer *t = (struct transfer *)w;
  t->n = transfer_some(t, t->data, t->n);
}

static void free_transfer(struct gl_work *w) {
  struct transfer *t = (struct transfer *)w;
  if (t->file) file_drop(t->file);
}

/* The work of moving n bytes. Nothing here raises errors: the stream is locked. */
static struct transfer *new_transfer(struct gl_stream *st, bool writing, size_t n) {
  struct transfer *t = gl_work_alloc(sizeof *t + n, run_transfer, free_transfer);
  if (!t) return NULL;
  __atomic_add_fetch(&st->file->refs, 1, __ATOMIC_RELAXED);
  t->file = st->file;
  t->writing = writing;
  t->n = (int64_t)n;
  return t;
}

/* ---- reading ------------------------------------------------------------------------------------------ */

/* Room for n bytes at the end. */
static int make_room(struct gl_stream *st, size_t n) {
  if (st->at == st->end) st->at = st->end = 0;
  if (st->cap - st->end >= n) return GOS_OK;
  if (st->at) {
    memmove(st->buf, st->buf + st->at, st->end - st->at);
    st->end -= st->at;
    st->at = 0;
  }
  if (st->cap - st->end >= n) return GOS_OK;
  size_t cap = st->cap * 2 < LEAST ? LEAST : st->cap * 2;
  while (cap - st->end < n) cap *= 2;
  char *p = realloc(st->buf, cap);
  if (!p) return GOS_NOMEM;
  st->buf = p;
  st->cap = cap;
  return GOS_OK;
}

static int64_t read_file(struct op *o, struct gl_stream *st, char *p, size_t n) {
  if (n > PIECE) n = PIECE;
  struct transfer *t = new_transfer(st, false, n);
  if (!t) return GOS_NOMEM;
  int64_t e = gl_work_do(o->L, o->S, o->me, &t->w, o->dl);
  if (e == GOS_OK) {
    e = t->n;
    if (e > 0) memcpy(p, t->data, (size_t)e);
  }
  gl_work_end(&t->w);
  return e;
}

/* Reads what is there, at most n bytes. Under the lock. A positive number, END, or an error. */
static int64_t read_some(struct op *o, struct gl_stream *st, char *p, size_t n) {
  int64_t e;
  gl_turn(o->S, o->me, &st->turns, o->dl);
  if (st->fd < 0) return GOS_CLOSED;
  if (st->file) {
    e = read_file(o, st, p, n);
    if (st->fd < 0 && e >= 0) e = GOS_CLOSED;
  } else {
    GL_WAIT(o->L, o->S, o->me, e, gos_read(st->fd, p, n, o->dl));
  }
  return e;
}

/* Reads some bytes ahead, at most as many as fit when there is room for want. */
static int64_t fill(struct op *o, struct gl_stream *st, size_t want) {
  int64_t n = make_room(st, want);
  if (n) return n;
  n = read_some(o, st, st->buf + st->end, st->cap - st->end);
  if (n > 0) st->end += (size_t)n;
  return n;
}

/* Ends a read: unlocks, and pushes n bytes of the buffer without the last cut. Nobody else runs in between;
   should there be no memory for the string, the lock is free. */
static int take(struct op *o, struct gl_stream *st, size_t n, size_t cut) {
  const char *p = n ? st->buf + st->at : "";
  st->at += n;
  gos_mutex_unlock(&st->reading);
  lua_pushlstring(o->L, p, n - cut);
  if (gos_mutex_trylock(&st->reading) == GOS_OK) {
    if (st->at == st->end && st->cap > CHUNK) forget_buffer(st);
    unlock(st, &st->reading);
  }
  return 1;
}

static int failed(struct op *o, struct gl_stream *st, gos_mutex *mu, int64_t e) {
  if (mu) unlock(st, mu);
  if (e != END) return gl_io_failed(o->L, o->S, o->me, e, o->now, NULL);
  lua_pushnil(o->L);
  lua_pushliteral(o->L, "eof");
  return 2;
}

static size_t buffered(const struct gl_stream *st) { return st->end - st->at; }

/* read([n [, t]]): what there is, at least a byte and at most n. */
static int stream_read(lua_State *L) {
  struct gl_stream *st = check(L);
  lua_Integer n = luaL_optinteger(L, 2, CHUNK);
  luaL_argcheck(L, n > 0, 2, "out of range");
  struct op o = enter(L, 3, st->read_until);
  int64_t e = lock(&o, st, &st->reading);
  if (e) return failed(&o, st, NULL, e);
  if (!buffered(st) && (e = fill(&o, st, n < LEAST ? LEAST : n < CHUNK ? (size_t)n : CHUNK)) <= 0)
    return failed(&o, st, &st->reading, e);
  return take(&o, st, buffered(st) < (size_t)n ? buffered(st) : (size_t)n, 0);
}

/* read_into(buffer [, t]): what there is, at least a byte, from the buffer's first byte on. How many. */
static int stream_read_into(lua_State *L) {
  struct gl_stream *st = check(L);
  size_t n;
  char *p = gl_check_buffer(L, 2, &n);
  luaL_argcheck(L, n > 0, 2, "the buffer has no room");
  struct op o = enter(L, 3, st->read_until);
  int64_t e = lock(&o, st, &st->reading);
  if (e) return failed(&o, st, NULL, e);
  if (buffered(st)) {
    e = (int64_t)(buffered(st) < n ? buffered(st) : n);
    memcpy(p, st->buf + st->at, (size_t)e);
    st->at += (size_t)e;
  } else if ((e = read_some(&o, st, p, n)) <= 0) {
    return failed(&o, st, &st->reading, e);
  }
  unlock(st, &st->reading);
  lua_pushinteger(L, e);
  return 1;
}

/* read_exactly(n [, t]): n bytes; what is there already stays if they do not come. */
static int stream_read_exactly(lua_State *L) {
  struct gl_stream *st = check(L);
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n >= 0, 2, "out of range");
  struct op o = enter(L, 3, st->read_until);
  int64_t e = lock(&o, st, &st->reading);
  if (e) return failed(&o, st, NULL, e);
  while (buffered(st) < (size_t)n) {
    size_t missing = (size_t)n - buffered(st);
    e = fill(&o, st, missing < CHUNK ? missing : CHUNK);
    if (e == END && buffered(st)) {
      unlock(st, &st->reading);
      lua_pushnil(L);
      lua_pushliteral(L, "unexpected eof");
      return 2;
    }
    if (e <= 0) return failed(&o, st, &st->reading, e);
  }
  return take(&o, st, (size_t)n, 0);
}

/* Pushes a line of n bytes, the last of them its newline if ended. */
static int take_line(struct op *o, struct gl_stream *st, size_t n, bool ended) {
  const char *p = st->buf + st->at;
  size_t cut = ended;
  if (ended && n > 1 && p[n - 2] == '\r') cut++;
  return take(o, st, n, cut);
}

/* Is it, of which n bytes have come, longer than max whatever comes? A '\r' last may belong to its end. */
static bool too_long(const char *line, size_t n, size_t max) { return n > max && (n - max > 1 || line[n - 1] != '\r'); }

/* All of it stays to be read. */
static int refuse_line(struct op *o, struct gl_stream *st) {
  unlock(st, &st->reading);
  lua_pushnil(o->L);
  lua_pushliteral(o->L, "line too long");
  return 2;
}

/* read_line([t [, max]]): without its end; the last one may have none. */
static int read_line(lua_State *L, struct gl_stream *st, int t, int most) {
  lua_Integer max = luaL_optinteger(L, most, LUA_MAXINTEGER);
  luaL_argcheck(L, max > 0, most, "out of range");
  struct op o = enter(L, t, st->read_until);
  int64_t e = lock(&o, st, &st->reading);
  if (e) return failed(&o, st, NULL, e);
  for (size_t seen = 0;;) {
    size_t n = buffered(st);
    const char *line = n ? st->buf + st->at : "", *p = memchr(line + seen, '\n', n - seen);
    if (p) n = (size_t)(p - line);
    if (too_long(line, n, (size_t)max)) return refuse_line(&o, st);
    if (p) return take_line(&o, st, n + 1, true);
    seen = n;
    e = fill(&o, st, 1);
    if (e == END && seen > (size_t)max) return refuse_line(&o, st);
    if (e == END && seen) return take_line(&o, st, seen, false);
    if (e <= 0) return failed(&o, st, &st->reading, e);
  }
}

static int stream_read_line(lua_State *L) { return read_line(L, check(L), 2, 3); }

/* read_all([t]): until the end. */
static int stream_read_all(lua_State *L) {
  struct gl_stream *st = check(L);
  struct op o = enter(L, 2, st->read_until);
  int64_t e = lock(&o, st, &st->reading);
  if (e) return failed(&o, st, NULL, e);
  do {
    e = fill(&o, st, LEAST);
  } while (e > 0);
  if (e < 0) return failed(&o, st, &st->reading, e);
  return take(&o, st, buffered(st), 0);
}

/* The iterator of lines(): only the end ends the loop silently. */
static int next_line(lua_State *L) {
  lua_settop(L, 1);
  int n = read_line(L, check(L), 2, 3);
  if (n > 1 && strcmp(lua_tostring(L, -n + 1), "eof") != 0) return luaL_error(L, "%s", lua_tostring(L, -n + 1));
  return n;
}

static int stream_lines(lua_State *L) {
  check(L);
  lua_pushlightuserdata(L, gl_of(L));
  lua_pushvalue(L, GL_VALS);
  lua_pushcclosure(L, next_line, 2);
  lua_pushvalue(L, 1);
  return 2;
}

static int stream_buffered(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)buffered(check(L)));
  return 1;
}

/* ---- writing --------------------------------------------------------------------------------------------- */

/* What was read ahead of a file has not been read, as far as anybody can tell. */
static void unread(struct gl_stream *st) {
  if (buffered(st) && lseek(st->fd, -(off_t)buffered(st), SEEK_CUR) >= 0) st->at = st->end = 0;
}

static int64_t write_file(struct op *o, struct gl_stream *st, const char *p, size_t n) {
  if (n > PIECE) n = PIECE;
  struct transfer *t = new_transfer(st, true, n);
  if (!t) return GOS_NOMEM;
  memcpy(t->data, p, n);
  int64_t e = gl_work_do(o->L, o->S, o->me, &t->w, o->dl);
  if (e == GOS_OK) e = t->n;
  gl_work_end(&t->w);
  return e;
}

/* What goes at once; else waits until some will go. So an interrupted wait never hides behind bytes that
   have gone. */
static int64_t write_some(struct op *o, struct gl_stream *st, const char *p, size_t n) {
  if (st->file) return write_file(o, st, p, n);
  gl_turn(o->S, o->me, &st->turns, o->dl);
  if (st->fd < 0) return GOS_CLOSED;
  for (;;) {
    int64_t e = gos_write(st->fd, p, n, GOS_NOW);
    if (e != GOS_WOULDBLOCK) return e;
    GL_WAIT(o->L, o->S, o->me, e, gos_fd_wait(st->fd, GOS_WRITE, o->dl));
    if (e < 0) return e;
    if (st->fd < 0) return GOS_CLOSED;
  }
}

/* write(data [, t]): all of it; else nil, why, its code, and how much of it has gone. */
static int stream_write(lua_State *L) {
  struct gl_stream *st = check(L);
  size_t n, done = 0;
  const char *p = gl_check_bytes(L, 2, &n);
  struct op o = enter(L, 3, st->write_until);
  gos_mutex *mu = writers(st);
  int64_t e = lock(&o, st, mu);
  if (e == GOS_OK) {
    if (st->file) unread(st);
    while (done < n && (e = write_some(&o, st, p + done, n - done)) >= 0) {
      done += (size_t)e;
      if (st->fd < 0 && done < n) e = GOS_CLOSED;
      if (e < 0) break;
    }
    unlock(st, mu);
  }
  if (e >= 0) {
    lua_pushinteger(L, (lua_Integer)n);
    return 1;
  }
  int k = gl_io_failed(L, o.S, o.me, e, o.now, NULL);
  if (k == 2) lua_pushnil(L);
  lua_pushinteger(L, (lua_Integer)done);
  return 4;
}

/* ---- deadlines, and the rest that all have ------------------------------------------------------------------ */

/* set_deadline([t [, "r"|"w"]]): of the calls made from now on. */
static int stream_set_deadline(lua_State *L) {
  static const char *const which[] = {"rw", "r", "w", NULL};
  struct gl_stream *st = check(L);
  gos_ns dl = lua_isnoneornil(L, 2) ? GOS_FOREVER : gos_now() + gl_duration(L, 2);
  if (dl <= GOS_NOW) dl = 1; /* has passed: not the same as "do not wait" */
  int k = luaL_checkoption(L, 3, "rw", which);
  if (k != 2) st->read_until = dl;
  if (k != 1) st->write_until = dl;
  return 0;
}

static int stream_fd(lua_State *L) {
  struct gl_stream *st = check(L);
  if (st->fd < 0) return luaL_error(L, "the stream is closed");
  lua_pushinteger(L, st->fd);
  return 1;
}

static int stream_closed(lua_State *L) {
  lua_pushboolean(L, check(L)->fd < 0);
  return 1;
}

static int stream_tostring(lua_State *L) {
  struct gl_stream *st = check(L);
  const char *what = st->type == &gl_mark[GL_CONN] ? "connection" : st->type == &gl_mark[GL_PIPE] ? "pipe" : "file";
  if (st->fd < 0)
    lua_pushfstring(L, "%s (closed)", what);
  else
    lua_pushfstring(L, "%s: fd %d", what, st->fd);
  return 1;
}

/* ---- of sockets ------------------------------------------------------------------------------------------------ */

static int shut_down(lua_State *L, int how) {
  struct gl_stream *st = gl_check(L, 1, GL_CONN, "connection");
  struct op o = enter(L, 0, GOS_FOREVER);
  int e = st->fd < 0 ? GOS_CLOSED : gos_shutdown(st->fd, how);
  if (e) return gl_io_failed(L, o.S, o.me, e, false, NULL);
  lua_pushboolean(L, 1);
  return 1;
}
static int conn_close_read(lua_State *L) { return shut_down(L, 0); }
static int conn_close_write(lua_State *L) { return shut_down(L, 1); }

/* ---- of files --------------------------------------------------------------------------------------------------- */

/* seek([whence [, offset]]): the new position. */
static int file_seek(lua_State *L) {
  static const char *const names[] = {"set", "cur", "end", NULL};
  static const int whences[] = {SEEK_SET, SEEK_CUR, SEEK_END};
  struct gl_stream *st = check_file(L);
  int whence = whences[luaL_checkoption(L, 2, "cur", names)];
  lua_Integer offset = luaL_optinteger(L, 3, 0);
  struct op o = enter(L, 0, GOS_FOREVER);
  int e = lock(&o, st, &st->reading);
  if (e) return failed(&o, st, NULL, e);
  unread(st);
  off_t at = lseek(st->fd, offset, whence);
  int err = errno;
  unlock(st, &st->reading);
  if (at < 0) return gl_sys_failed(L, err, NULL);
  lua_pushinteger(L, at);
  return 1;
}

struct file_work {
  struct gl_work w;
  struct gl_file *file;
  int64_t size; /* truncate to this, or -1: sync */
  int err;
};

static void run_file_work(struct gl_work *w) {
  struct file_work *f = (struct file_work *)w;
  int e;
  do {
    e = f->size < 0 ? fsync(f->file->fd) : ftruncate(f->file->fd, f->size);
  } while (e && errno == EINTR);
  f->err = e ? errno : 0;
}

static void free_file_work(struct gl_work *w) {
  struct file_work *f = (struct file_work *)w;
  if (f->file) file_drop(f->file);
}

static int do_file_work(lua_State *L, int64_t size, int t) {
  struct gl_stream *st = check_file(L);
  struct op o = enter(L, t, GOS_FOREVER);
  if (st->fd < 0) return failed(&o, st, NULL, GOS_CLOSED);
  struct file_work *f = gl_work_new(L, sizeof *f, run_file_work, free_file_work);
  __atomic_add_fetch(&st->file->refs, 1, __ATOMIC_RELAXED);
  f->file = st->file;
  f->size = size;
  int e = gl_work_do(L, o.S, o.me, &f->w, o.dl);
  if (e) return failed(&o, st, NULL, e);
  if (f->err) return gl_sys_failed(L, f->err, NULL);
  lua_pushboolean(L, 1);
  return 1;
}

static int file_sync(lua_State *L) { return do_file_work(L, -1, 2); }

static int file_truncate(lua_State *L) {
  lua_Integer size = luaL_checkinteger(L, 2);
  luaL_argcheck(L, size >= 0, 2, "out of range");
  return do_file_work(L, size, 3);
}

/* clang-format off */
#define COMMON                                                                                              \
  {"read", stream_read}, {"read_line", stream_read_line}, {"read_exactly", stream_read_exactly},            \
  {"read_all", stream_read_all}, {"lines", stream_lines}, {"buffered", stream_buffered},                    \
  {"read_into", stream_read_into}, {"write", stream_write}, {"close", stream_close},                        \
  {"closed", stream_closed}, {"fd", stream_fd}, {"set_deadline", stream_set_deadline}
/* clang-format on */
int gl_conn_local_addr(lua_State *L), gl_conn_peer_addr(lua_State *L);
int gl_conn_option(lua_State *L), gl_conn_set_option(lua_State *L);
int gl_file_stat(lua_State *L);
static const luaL_Reg conn_methods[] = {COMMON,
                                        {"close_read", conn_close_read},
                                        {"close_write", conn_close_write},
                                        {"local_addr", gl_conn_local_addr},
                                        {"peer_addr", gl_conn_peer_addr},
                                        {"option", gl_conn_option},
                                        {"set_option", gl_conn_set_option},
                                        {NULL, NULL}};
static const luaL_Reg pipe_methods[] = {COMMON, {NULL, NULL}};
static const luaL_Reg file_methods[] = {
    COMMON,      {"seek", file_seek}, {"sync", file_sync}, {"truncate", file_truncate}, {"stat", gl_file_stat},
    {NULL, NULL}};
static const luaL_Reg meta[] = {
    {"__close", stream_close}, {"__gc", stream_gc}, {"__tostring", stream_tostring}, {NULL, NULL}};
const struct gl_class gl_stream_classes[] = {{GL_CONN, "gossamer.connection", conn_methods, meta},
                                             {GL_PIPE, "gossamer.pipe", pipe_methods, meta},
                                             {GL_FILE, "gossamer.file", file_methods, meta},
                                             {0}};
