/* gos.file: opening files and asking about them, by other threads. Open files are streams.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lgos.h"

/* A question about a path. */
struct question {
  struct gl_work w;
  int (*ask)(struct question *q); /* 0, or an errno */
  char *path, *other;
  int flags, fd, err;
  struct stat st;
  char *names; /* of a directory, each with its 0 */
  size_t used, room;
};

static void run(struct gl_work *w) {
  struct question *q = (struct question *)w;
  do {
    q->err = q->ask(q);
  } while (q->err == EINTR);
}

static void free_question(struct gl_work *w) {
  struct question *q = (struct question *)w;
  free(q->path);
  free(q->other);
  free(q->names);
  if (q->fd > 0) close(q->fd - 1);
}

static char *copy(lua_State *L, int idx) {
  char *p = strdup(gl_check_text(L, idx, "a path"));
  if (!p) luaL_error(L, "not enough memory");
  return p;
}

/* Pushes the question about the path at 1, and the one at 2 if other. */
static struct question *about(lua_State *L, int (*ask)(struct question *q), bool other) {
  luaL_checkstring(L, 1);
  if (other) luaL_checkstring(L, 2);
  struct question *q = gl_work_new(L, sizeof *q, run, free_question);
  q->ask = ask;
  q->path = copy(L, 1);
  if (other) q->other = copy(L, 2);
  return q;
}

/* Asks it, until the time at idx. 0: it has been answered; else the number of results: what went wrong. */
static int put(lua_State *L, struct question *q, int idx) {
  struct gl *S = gl_of(L);
  gos_ns dl = gl_deadline(L, idx);
  bool now = dl == GOS_NOW;
  struct gl_go *me = gl_enter(L, S, &dl);
  int e = gl_work_do(L, S, me, &q->w, dl);
  if (e) return gl_io_failed(L, S, me, e, now, NULL);
  return q->err ? gl_sys_failed(L, q->err, q->path) : 0;
}

/* ---- open ------------------------------------------------------------------------------------- */

static int ask_open(struct question *q) {
  int fd = open(q->path, q->flags | O_CLOEXEC, 0666);
  if (fd < 0) return errno;
  q->fd = fd + 1;
  return fstat(fd, &q->st) ? errno : S_ISDIR(q->st.st_mode) ? EISDIR : 0;
}

static int flags_of(lua_State *L, int idx) {
  const char *mode = luaL_optstring(L, idx, "r"), *m = mode;
  int flags = *m == 'r' ? 0 : *m == 'w' ? O_CREAT | O_TRUNC : *m == 'a' ? O_CREAT | O_APPEND : -1;
  bool plus = false;
  for (m += *m != 0; flags >= 0 && *m; m++) {
    if (*m == '+')
      plus = true;
    else if (*m == 'x' && *mode == 'w')
      flags |= O_EXCL;
    else if (*m != 'b')
      flags = -1;
  }
  luaL_argcheck(L, flags >= 0, idx, "invalid mode");
  return flags | (plus ? O_RDWR : *mode == 'r' ? O_RDONLY : O_WRONLY);
}

/* open(path [, mode [, t]]): what never makes anybody wait is a file; a terminal or a FIFO, a pipe. */
static int open_(lua_State *L) {
  lua_settop(L, 3);
  int flags = flags_of(L, 2);
  struct question *q = about(L, ask_open, false);
  q->flags = flags;
  int n = put(L, q, 3);
  if (n) return n;
  struct gl_stream *st = gl_new_stream(L, S_ISREG(q->st.st_mode) || S_ISBLK(q->st.st_mode) ? GL_FILE : GL_PIPE);
  gl_stream_own(st, q->fd - 1);
  q->fd = 0;
  gl_work_done(L, 4);
  return 1;
}

/* ---- stat ---------------------------------------------------------------------------------------- */

static int ask_stat(struct question *q) { return stat(q->path, &q->st) ? errno : 0; }
static int ask_lstat(struct question *q) { return lstat(q->path, &q->st) ? errno : 0; }

static const char *type_of(mode_t m) {
  return S_ISREG(m)    ? "file"
         : S_ISDIR(m)  ? "directory"
         : S_ISLNK(m)  ? "link"
         : S_ISFIFO(m) ? "fifo"
         : S_ISSOCK(m) ? "socket"
         : S_ISCHR(m)  ? "char"
         : S_ISBLK(m)  ? "block"
                       : "unknown";
}

static void set_integer(lua_State *L, const char *name, int64_t n) {
  lua_pushinteger(L, n);
  lua_setfield(L, -2, name);
}

static void set_time(lua_State *L, const char *name, const struct timespec *t) {
  lua_pushnumber(L, (lua_Number)t->tv_sec + (lua_Number)t->tv_nsec / 1e9);
  lua_setfield(L, -2, name);
}

static int push_stat(lua_State *L, const struct stat *st) {
  lua_createtable(L, 0, 11);
  lua_pushstring(L, type_of(st->st_mode));
  lua_setfield(L, -2, "type");
  set_integer(L, "size", st->st_size);
  set_integer(L, "mode", st->st_mode & 07777);
  set_integer(L, "uid", st->st_uid);
  set_integer(L, "gid", st->st_gid);
  set_integer(L, "inode", (int64_t)st->st_ino);
  set_integer(L, "device", (int64_t)st->st_dev);
  set_integer(L, "links", (int64_t)st->st_nlink);
  set_time(L, "accessed", &st->st_atim);
  set_time(L, "modified", &st->st_mtim);
  set_time(L, "changed", &st->st_ctim);
  return 1;
}

static int stat_by(lua_State *L, int (*ask)(struct question *)) {
  lua_settop(L, 2);
  struct question *q = about(L, ask, false);
  int n = put(L, q, 2);
  return n ? n : push_stat(L, &q->st);
}
static int stat_(lua_State *L) { return stat_by(L, ask_stat); }
static int lstat_(lua_State *L) { return stat_by(L, ask_lstat); }

int gl_file_stat(lua_State *L) {
  struct stat st;
  struct gl_stream *f = gl_check(L, 1, GL_FILE, "file");
  if (f->fd < 0) return gl_failed(L, gl_of(L), gl_self(L, gl_of(L)), GOS_CLOSED, false);
  if (fstat(f->fd, &st)) return gl_sys_failed(L, errno, NULL);
  return push_stat(L, &st);
}

/* ---- list ------------------------------------------------------------------------------------------- */

static bool keep(struct question *q, const char *name) {
  size_t n = strlen(name) + 1;
  if (q->room - q->used < n) {
    size_t room = (q->room + n) * 2;
    char *p = realloc(q->names, room);
    if (!p) return false;
    q->names = p;
    q->room = room;
  }
  memcpy(q->names + q->used, name, n);
  q->used += n;
  return true;
}

static int ask_list(struct question *q) {
  DIR *d = opendir(q->path);
  if (!d) return errno;
  struct dirent *e;
  int err = 0;
  while (!err && (errno = 0, e = readdir(d)))
    if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && !keep(q, e->d_name)) err = ENOMEM;
  if (!err) err = errno;
  closedir(d);
  return err;
}

static int list(lua_State *L) {
  lua_settop(L, 2);
  struct question *q = about(L, ask_list, false);
  int n = put(L, q, 2);
  if (n) return n;
  lua_newtable(L);
  for (const char *p = q->names, *end = p + q->used; p < end; p += strlen(p) + 1) {
    lua_pushstring(L, p);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

/* ---- changing what is there ---------------------------------------------------------------------------- */

static int ask_remove(struct question *q) { return remove(q->path) ? errno : 0; }
static int ask_rename(struct question *q) { return rename(q->path, q->other) ? errno : 0; }
static int ask_mkdir(struct question *q) { return mkdir(q->path, 0777) ? errno : 0; }

static int change(lua_State *L, int (*ask)(struct question *), bool two) {
  lua_settop(L, 2 + two);
  struct question *q = about(L, ask, two);
  int n = put(L, q, 2 + two);
  if (n) return n;
  lua_pushboolean(L, 1);
  return 1;
}
static int remove_(lua_State *L) { return change(L, ask_remove, false); }
static int rename_(lua_State *L) { return change(L, ask_rename, true); }
static int mkdir_(lua_State *L) { return change(L, ask_mkdir, false); }

const luaL_Reg gl_file_functions[] = {{"open", open_},     {"stat", stat_},     {"lstat", lstat_}, {"list", list},
                                      {"remove", remove_}, {"rename", rename_}, {"mkdir", mkdir_}, {NULL, NULL}};
