/* gos.process: other programs.
 *
 * Started by posix_spawn(), which is safe in a process with threads. Of the fds of this process a child
 * gets its first three, and nothing else, whoever opened them.
 *
 * A goroutine of the core waits for each child, whatever Lua does with its handle: so no zombie stays.
 * Whether it has been reaped is guarded by a lock, so that no signal meets the number's next owner.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gossamer/net.h>

#include "lgos.h"

enum { STDIO = 3, WATCHER_STACK = 64 * 1024, SIGNALS = 64 };

/* A child; shared by its handle and by the goroutine that waits for it. */
struct child {
  int refs;
  pid_t pid;
  gos_mutex mu; /* guards reaped */
  bool reaped;
  int err;       /* why its end is not known, or 0 */
  siginfo_t end; /* once done is closed */
  gos_chan *done;
};

struct process {
  const char *type; /* GL_PROCESS's mark */
  struct child *c;  /* NULL: it was not started */
};

static struct process *check(lua_State *L) { return gl_check(L, 1, GL_PROCESS, "process"); }

static void drop(struct child *c) {
  if (__atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL)) return;
  if (c->done) gos_chan_release(c->done);
  free(c);
}

/* ---- waiting for the end ---------------------------------------------------------------------- */

static void *wait_for_end(void *arg) { /* leaves it to be reaped */
  struct child *c = arg;
  siginfo_t info;
  while (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOWAIT) && errno == EINTR) {}
  return NULL;
}

static void reap(struct child *c) {
  gos_mutex_lock(&c->mu);
  int e;
  do {
    e = waitid(P_PID, (id_t)c->pid, &c->end, WEXITED);
  } while (e && errno == EINTR);
  c->err = e ? errno : 0; /* ECHILD: somebody else has reaped it, or SIGCHLD is ignored */
  c->reaped = true;
  gos_mutex_unlock(&c->mu);
}

/* By the poller where the system can tell it of a process's end, else a thread waits. */
static void watch(void *arg) {
  struct child *c = arg;
  int fd = -1;
#ifdef SYS_pidfd_open
  fd = (int)syscall(SYS_pidfd_open, c->pid, 0);
#endif
  int e = -1;
  if (fd >= 0) {
    while ((e = gos_fd_wait(fd, GOS_READ, GOS_FOREVER)) == GOS_CANCELED) {}
    gos_close(fd);
  }
  if (e < 0) gos_blocking(wait_for_end, c, NULL);
  reap(c);
  gos_chan_close(c->done);
  drop(c);
}

/* ---- what the table says ----------------------------------------------------------------------------- */

/* What a spawn needs, in a userdata so that no error leaks it. */
struct plan {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  bool has_actions, has_attributes;
  int theirs[STDIO], ours[STDIO]; /* fds to be closed; -1: none */
  int use[STDIO];                 /* what the child gets */
};

static void close_fd(int *fd) {
  if (*fd >= 0) gos_close(*fd);
  *fd = -1;
}

static void end_plan(struct plan *p) {
  for (int i = 0; i < STDIO; i++) {
    close_fd(&p->theirs[i]);
    close_fd(&p->ours[i]);
  }
  if (p->has_actions) posix_spawn_file_actions_destroy(&p->actions);
  if (p->has_attributes) posix_spawnattr_destroy(&p->attributes);
  p->has_actions = p->has_attributes = false;
}

static int plan_gc(lua_State *L) {
  end_plan(lua_touserdata(L, 1));
  return 0;
}

static struct plan *new_plan(lua_State *L) {
  struct plan *p = memset(lua_newuserdatauv(L, sizeof *p, 0), 0, sizeof *p);
  for (int i = 0; i < STDIO; i++) p->theirs[i] = p->ours[i] = -1;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, plan_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  return p;
}

/* A copy of fd that is none of the first three: the child's are put there one after another. */
static int high(int fd) {
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, STDIO);
  return copy < 0 ? -errno : copy;
}

static int keep(int *to, int fd) { /* moves fd out of the way of the first three */
  if (fd >= STDIO) {
    *to = fd;
    return 0;
  }
  int copy = high(fd);
  gos_close(fd);
  *to = copy < 0 ? -1 : copy;
  return copy < 0 ? -copy : 0;
}

static int plan_pipe(struct plan *p, int i) {
  int fd[2], e = gos_pipe(fd);
  if (e) return e <= GOS_SYS(0) ? GOS_SYS(0) - e : ENOMEM;
  e = keep(&p->theirs[i], fd[i != 0]);
  int e2 = keep(&p->ours[i], fd[i == 0]);
  if (e || e2) return e ? e : e2;
  /* Whether a write waits is a matter of the pipe's end, not of the process: the child's does. */
  int flags = fcntl(p->theirs[i], F_GETFL);
  if (flags < 0 || fcntl(p->theirs[i], F_SETFL, flags & ~O_NONBLOCK)) return errno;
  p->use[i] = p->theirs[i];
  return 0;
}

static int plan_null(struct plan *p, int i) {
  int fd = open("/dev/null", (i ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
  if (fd < 0) return errno;
  int e = keep(&p->theirs[i], fd);
  p->use[i] = p->theirs[i];
  return e;
}

static int plan_fd(struct plan *p, int i, int fd) {
  int copy = high(fd);
  if (copy < 0) return -copy;
  p->theirs[i] = p->use[i] = copy;
  return 0;
}

/* The value on the top says what the child's fd i is. An errno. */
static int plan_stdio(lua_State *L, struct plan *p, int i, const char *name) {
  const char *word = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  if (lua_isnil(L, -1) || (word && strcmp(word, "inherit") == 0)) return plan_fd(p, i, i) ? plan_null(p, i) : 0;
  if (word && strcmp(word, "pipe") == 0) return plan_pipe(p, i);
  if (word && strcmp(word, "null") == 0) return plan_null(p, i);
  if (word && strcmp(word, "stdout") == 0 && i == 2) {
    p->use[2] = p->use[1];
    return 0;
  }
  if (word) luaL_error(L, "spawn: %s: unknown kind '%s'", name, word);
  return plan_fd(p, i, gl_check_fd(L, lua_gettop(L)));
}

static const char *check_word(lua_State *L, int idx, const char *what) {
  size_t n = 0;
  const char *s = lua_type(L, idx) == LUA_TSTRING ? lua_tolstring(L, idx, &n) : NULL;
  if (!s) luaL_error(L, "spawn: %s: string expected, got %s", what, luaL_typename(L, idx));
  if (memchr(s, 0, n)) luaL_error(L, "spawn: %s: it has a zero in it", what);
  return s;
}

static int plan_actions(lua_State *L, struct plan *p, int options) {
  int e = posix_spawn_file_actions_init(&p->actions);
  p->has_actions = !e;
  for (int i = 0; i < STDIO && !e; i++) e = posix_spawn_file_actions_adddup2(&p->actions, p->use[i], i);
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
  if (!e) e = posix_spawn_file_actions_addclosefrom_np(&p->actions, STDIO);
#endif
  if (lua_getfield(L, options, "cwd") != LUA_TNIL && !e) {
    e = posix_spawn_file_actions_addchdir_np(&p->actions, check_word(L, -1, "cwd"));
  }
  return e;
}

/* No signal is blocked in the child, and a broken pipe ends it, whatever this process does. */
static int plan_attributes(struct plan *p) {
  sigset_t none, dfl;
  sigemptyset(&none);
  sigemptyset(&dfl);
  sigaddset(&dfl, SIGPIPE);
  int e = posix_spawnattr_init(&p->attributes);
  p->has_attributes = !e;
  if (!e) e = posix_spawnattr_setsigmask(&p->attributes, &none);
  if (!e) e = posix_spawnattr_setsigdefault(&p->attributes, &dfl);
  if (!e) e = posix_spawnattr_setflags(&p->attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  return e;
}

/* Pushes the array of the program and its arguments; they live in the table of options. */
static char **push_arguments(lua_State *L, int options) {
  lua_Unsigned n = lua_rawlen(L, options);
  if (n == 0) luaL_error(L, "spawn: no program");
  if (n > 100000) luaL_error(L, "spawn: too many arguments");
  const char **argv = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *argv, 0);
  for (lua_Unsigned i = 0; i < n; i++) {
    lua_rawgeti(L, options, (lua_Integer)i + 1);
    if (lua_type(L, -1) == LUA_TNUMBER) { /* its text must live as long */
      lua_tostring(L, -1);
      lua_pushvalue(L, -1);
      lua_rawseti(L, options, (lua_Integer)i + 1);
    }
    argv[i] = check_word(L, -1, "argument");
    lua_pop(L, 1);
  }
  argv[n] = NULL;
  return (char **)argv;
}

/* Pushes the environment, NULL for this process's: that of the table env alone. Two values. */
static char **push_environment(lua_State *L, int options) {
  if (lua_getfield(L, options, "env") == LUA_TNIL) {
    lua_pushnil(L);
    return environ;
  }
  if (!lua_istable(L, -1)) luaL_error(L, "spawn: env: table expected, got %s", luaL_typename(L, -1));
  lua_newtable(L); /* holds the texts */
  lua_Integer n = 0;
  for (lua_pushnil(L); lua_next(L, -3);) {
    check_word(L, -2, "env: name");
    if (lua_type(L, -1) == LUA_TNUMBER) lua_tostring(L, -1);
    lua_pushfstring(L, "%s=%s", lua_tostring(L, -2), check_word(L, -1, lua_tostring(L, -2)));
    lua_rawseti(L, -4, ++n);
    lua_pop(L, 1);
  }
  lua_remove(L, -2);
  const char **env = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *env, 0);
  for (lua_Integer i = 0; i < n; i++) {
    lua_rawgeti(L, -2, i + 1);
    env[i] = lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  env[n] = NULL;
  return (char **)env;
}

/* ---- spawn ------------------------------------------------------------------------------------------------ */

static const char *const names[STDIO] = {"stdin", "stdout", "stderr"};

/* Gives the streams of our ends to the process at idx, as its user values. */
static void push_streams(lua_State *L, int idx, struct plan *p) {
  for (int i = 0; i < STDIO; i++) {
    if (p->ours[i] < 0) continue;
    struct gl_stream *st = gl_new_stream(L, GL_PIPE);
    gl_stream_own(st, p->ours[i]);
    p->ours[i] = -1;
    lua_setiuservalue(L, idx, i + 1);
  }
}

static struct child *new_child(void) {
  struct child *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  c->refs = 1;
  if ((c->done = gos_chan_make(0, 0))) return c;
  free(c);
  return NULL;
}

/* Somebody must wait for it. Without a goroutine for that it would stay a zombie, so it does not live. */
static int start_watching(struct child *c) {
  gos_go_options o = {.size = sizeof o, .name = "process", .stack = WATCHER_STACK};
  int e = GOS_OK;
  __atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
  gos_g *g = gos_go_opts(&o, watch, c, &e);
  if (g) {
    gos_release(g);
    return GOS_OK;
  }
  kill(c->pid, SIGKILL);
  reap(c);
  drop(c);
  return e;
}

/* The error of a spawn does not tell whether it was the program or its directory that failed. */
static bool can_enter(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode) && access(path, X_OK) == 0;
}

/* spawn{ program, argument..., stdin=, stdout=, stderr=, env=, cwd= } */
static int spawn(lua_State *L) {
  static const char *const options[] = {"stdin", "stdout", "stderr", "env", "cwd", NULL};
  struct gl *S = gl_of(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  gl_check_options(L, options);
  lua_settop(L, 1);
  struct gl_go *me = gl_self(L, S);
  struct process *pr = memset(lua_newuserdatauv(L, sizeof *pr, STDIO), 0, sizeof *pr);
  pr->type = &gl_mark[GL_PROCESS];
  lua_rawgeti(L, GL_VALS, GL_PROCESS);
  lua_setmetatable(L, -2);
  lua_createtable(L, 4, 0); /* a copy of the arguments: numbers become texts there */
  for (lua_Integer i = 1; lua_rawgeti(L, 1, i) != LUA_TNIL; i++) lua_rawseti(L, 3, i);
  lua_pop(L, 1);
  struct plan *p = new_plan(L);
  int e = 0;
  for (int i = 0; i < STDIO && !e; i++) {
    lua_getfield(L, 1, names[i]);
    e = plan_stdio(L, p, i, names[i]);
    lua_pop(L, 1);
  }
  if (e) return gl_sys_failed(L, e, "spawn");
  char **argv = push_arguments(L, 3), **env = push_environment(L, 1);
  if (!(pr->c = new_child())) return luaL_error(L, "not enough memory");
  if (!(e = plan_actions(L, p, 1))) e = plan_attributes(p);
  if (!e) e = posix_spawnp(&pr->c->pid, argv[0], &p->actions, &p->attributes, argv, env);
  if (e) {
    pr->c->reaped = true;
    lua_pushfstring(L, "spawn %s", argv[0]);
    if (lua_getfield(L, 1, "cwd") == LUA_TSTRING && !can_enter(lua_tostring(L, -1)))
      lua_pushfstring(L, "%s: cwd %s", lua_tostring(L, -2), lua_tostring(L, -1));
    else
      lua_pop(L, 1);
    return gl_sys_failed(L, e, lua_tostring(L, -1));
  }
  if ((e = start_watching(pr->c))) return gl_failed(L, S, me, e, false);
  for (int i = 0; i < STDIO; i++) close_fd(&p->theirs[i]);
  push_streams(L, 2, p);
  end_plan(p);
  lua_pushvalue(L, 2);
  return 1;
}

/* ---- methods ------------------------------------------------------------------------------------------------ */

/* The exit status or the signal, and which of them it is. */
static int push_end(lua_State *L, const struct child *c) {
  if (c->err) return gl_sys_failed(L, c->err, "wait");
  lua_pushinteger(L, c->end.si_status);
  lua_pushstring(L, c->end.si_code == CLD_EXITED ? "exit" : "signal");
  return 2;
}

static int process_wait(lua_State *L) {
  struct gl *S = gl_of(L);
  struct process *pr = check(L);
  gos_ns dl = gl_deadline(L, 2);
  bool now = dl == GOS_NOW;
  struct gl_go *me = gl_enter(L, S, &dl);
  int e;
  GL_WAIT(L, S, me, e, gos_chan_recv_dl(pr->c->done, NULL, dl));
  return e == GOS_CLOSED ? push_end(L, pr->c) : gl_failed(L, S, me, e, now);
}

static int check_signal(lua_State *L, int idx) {
  if (lua_isinteger(L, idx)) {
    lua_Integer n = lua_tointeger(L, idx);
    luaL_argcheck(L, n >= 0 && n <= SIGNALS, idx, "no signal");
    return (int)n;
  }
  const char *name = luaL_optstring(L, idx, "TERM");
  if (strncmp(name, "SIG", 3) == 0) name += 3;
  for (int i = 1; i <= SIGNALS; i++) {
    const char *its = sigabbrev_np(i);
    if (its && strcmp(its, name) == 0) return i;
  }
  return luaL_argerror(L, idx, lua_pushfstring(L, "no signal '%s'", name));
}

static int send_signal(struct child *c, int sig) {
  gos_mutex_lock(&c->mu);
  int e = c->reaped ? ESRCH : kill(c->pid, sig) ? errno : 0;
  gos_mutex_unlock(&c->mu);
  return e;
}

/* kill([signal]): true, or false if it has ended. */
static int process_kill(lua_State *L) {
  struct process *pr = check(L);
  int sig = check_signal(L, 2);
  gl_self(L, gl_of(L));
  int e = send_signal(pr->c, sig);
  if (e && e != ESRCH) return gl_sys_failed(L, e, "kill");
  lua_pushboolean(L, e == 0);
  return 1;
}

static int process_pid(lua_State *L) {
  lua_pushinteger(L, check(L)->c->pid);
  return 1;
}

static int process_done(lua_State *L) {
  struct process *pr = check(L);
  struct gl_chan *ch = gl_new_chan(L, GL_CAN_RECV, GL_NOTHING, 0);
  ch->c = gos_chan_retain(pr->c->done);
  return 1;
}

static int stream(lua_State *L, int i) {
  check(L);
  lua_getiuservalue(L, 1, i + 1);
  return 1;
}
static int process_stdin(lua_State *L) { return stream(L, 0); }
static int process_stdout(lua_State *L) { return stream(L, 1); }
static int process_stderr(lua_State *L) { return stream(L, 2); }

/* The end of a scope: a program that still runs is killed, and waited for. */
static int process_close(lua_State *L) {
  struct gl *S = gl_of(L);
  struct process *pr = check(L);
  gos_ns dl = GOS_FOREVER;
  struct gl_go *me = gl_enter(L, S, &dl);
  send_signal(pr->c, SIGKILL);
  for (int i = 0; i < STDIO; i++) {
    lua_getiuservalue(L, 1, i + 1);
    struct gl_stream *st = gl_test_stream(L, -1);
    if (st) gl_stream_shut(st);
  }
  int e;
  GL_WAIT(L, S, me, e, gos_chan_recv_dl(pr->c->done, NULL, dl));
  return e == GOS_CLOSED || e == GOS_WOULDBLOCK ? 0 : gl_failed(L, S, me, e, false);
}

static int process_gc(lua_State *L) {
  struct process *pr = check(L);
  if (pr->c) drop(pr->c);
  pr->c = NULL;
  return 0;
}

static int process_tostring(lua_State *L) {
  lua_pushfstring(L, "process: %d", (int)check(L)->c->pid);
  return 1;
}

const luaL_Reg gl_process_functions[] = {{"spawn", spawn}, {NULL, NULL}};

static const luaL_Reg methods[] = {
    {"wait", process_wait},   {"kill", process_kill},     {"pid", process_pid},       {"done", process_done},
    {"stdin", process_stdin}, {"stdout", process_stdout}, {"stderr", process_stderr}, {NULL, NULL}};
static const luaL_Reg meta[] = {
    {"__close", process_close}, {"__gc", process_gc}, {"__tostring", process_tostring}, {NULL, NULL}};
const struct gl_class gl_process_classes[] = {{GL_PROCESS, "gossamer.process", methods, meta}, {0}};
