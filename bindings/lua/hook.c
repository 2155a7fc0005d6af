/* hook(): functions of the C library that park the goroutine, for Lua's own io and os, and LuaSocket.
 *
 * Three ways, all on the home thread but the last:
 *   waits              poll, select, nanosleep: the poller's and the timers'
 *   reads and writes   of a FILE on a pipe, a socket or a terminal: waits until the call would not block, then
 *                      makes it. Nobody else runs between the last look and the call, so no other goroutine
 *                      can take what it has seen, and a FILE is never used by two threads.
 *   the rest           system, pclose, getaddrinfo: on another thread
 * A goroutine's interruption cannot leave the C library's functions: it is put off until the next wait that
 * knows of it. On threads that run no goroutines, in finalizers and for regular files they are the real ones.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "lgos.h"

#if defined(__linux__) && defined(__GLIBC__)
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <gossamer/net.h>

enum { LOOK = 10000000, FEW = 16, ATOMIC_WRITE = PIPE_BUF };

/* What the self-test has been through. */
enum { SEEN_SYSTEM = 1, SEEN_READ = 2, SEEN_LINE = 4, SEEN_WRITE = 8, SEEN_CLOSE = 16, SEEN_ALL = 31 };
static _Thread_local unsigned seen;

/* The state whose goroutine makes the call; NULL: the call must not park. */
static struct gl *parks(void) {
  struct gl *S = gl_here;
  if (!S || !S->realm || gl_must_not_park || S->cur == &S->service || lua_gc(S->mainL, LUA_GCISRUNNING) < 0)
    return NULL;
  if (S->cur == S->main) gl_main_waits(S);
  return gl_above_main(S, NULL) ? NULL : S;
}

/* A wait inside a function that knows neither interruptions nor Lua's signals. */
#define HOOK_WAIT(S, e, call)                                                                                          \
  do {                                                                                                                 \
    struct gl_go *me_ = (S)->cur;                                                                                      \
    bool interrupted_ = false;                                                                                         \
    for (;;) {                                                                                                         \
      (e) = (call);                                                                                                    \
      (S)->cur = me_;                                                                                                  \
      if ((e) == GOS_AGAIN)                                                                                            \
        (S)->hook = lua_gethook((S)->mainL); /* its hook runs when Lua code does */                                    \
      else if ((e) == GOS_CANCELED)                                                                                    \
        interrupted_ = true;                                                                                           \
      else                                                                                                             \
        break;                                                                                                         \
    }                                                                                                                  \
    if (interrupted_) gos_interrupt(me_->h);                                                                           \
  } while (0)

static gos_ns in(time_t s, long ns) {
  if (s > (time_t)(GL_AGES / 1000000000)) return GOS_FOREVER;
  return gos_now() + (gos_ns)s * 1000000000 + ns;
}

/* ---- another thread does it --------------------------------------------------------------------- */

struct job {
  struct gl_work w;
  void (*fn)(void *);
  void *arg;
};

static void run_job(struct gl_work *w) { ((struct job *)w)->fn(((struct job *)w)->arg); }

static void elsewhere(struct gl *S, void (*fn)(void *), void *arg) {
  struct job *j = gl_work_alloc(sizeof *j, run_job, NULL);
  int e = GOS_NOMEM;
  if (j) {
    j->fn = fn;
    j->arg = arg;
    e = gl_work_start(&j->w);
    if (e == GOS_OK) HOOK_WAIT(S, e, gos_join(j->w.g, GOS_FOREVER));
    gl_work_end(&j->w);
  }
  if (e != GOS_OK) fn(arg); /* no thread to be had: then everybody waits */
}

struct command {
  const char *text, *mode;
  FILE *file;
  int result, err;
};

static void call_system(void *arg) {
  struct command *c = arg;
  errno = 0; /* what this thread did before is not told */
  c->result = system(c->text);
  c->err = errno;
}
static void run_system(void *arg) { gos_with_users_signals(call_system, arg); }

/* It does not block for long, but an isolate's thread takes no signals, which a child must not inherit. */
static void call_popen(void *arg) {
  struct command *c = arg;
  c->file = popen(c->text, c->mode);
  c->err = errno;
}
static FILE *hooked_popen(const char *text, const char *mode) {
  struct command c = {.text = text, .mode = mode};
  gos_with_users_signals(call_popen, &c);
  errno = c.err;
  return c.file;
}

static int hooked_system(const char *text) {
  struct gl *S = parks();
  seen |= SEEN_SYSTEM;
  if (!text) return access("/bin/sh", X_OK) == 0; /* the C library asks a shell, and is deaf to Ctrl-C meanwhile */
  if (!S) return system(text);
  struct command c = {.text = text};
  int before = errno;
  elsewhere(S, run_system, &c);
  errno = c.result == -1 ? c.err : before; /* Lua takes an errno beside an exit status for a failed call */
  return c.result;
}

struct lookup {
  const char *host, *service;
  const struct addrinfo *hints;
  struct addrinfo **found;
  const void *address;
  socklen_t size;
  int family;
  struct hostent *result;
  int err, system_err, h_err;
};

static void run_getaddrinfo(void *arg) {
  struct lookup *l = arg;
  errno = 0;
  l->err = getaddrinfo(l->host, l->service, l->hints, l->found);
  l->system_err = errno;
}

static int hooked_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                              struct addrinfo **found) {
  struct gl *S = parks();
  bool asks = host && !(hints && (hints->ai_flags & AI_NUMERICHOST));
  if (!S || !asks) return getaddrinfo(host, service, hints, found);
  struct lookup l = {.host = host, .service = service, .hints = hints, .found = found};
  elsewhere(S, run_getaddrinfo, &l);
  errno = l.system_err;
  return l.err;
}

static void run_gethostbyname(void *arg) {
  struct lookup *l = arg;
  l->result = l->host ? gethostbyname(l->host) : gethostbyaddr(l->address, l->size, l->family);
  l->h_err = h_errno;
}

/* The result is the C library's own, to be read before anybody else asks: the caller does not wait. */
static struct hostent *ask_host(struct gl *S, struct lookup *l) {
  static gos_mutex one;
  int e;
  HOOK_WAIT(S, e, gos_mutex_lock_dl(&one, GOS_FOREVER));
  elsewhere(S, run_gethostbyname, l);
  if (e == GOS_OK) gos_mutex_unlock(&one);
  h_errno = l->h_err;
  return l->result;
}

static struct hostent *hooked_gethostbyname(const char *host) {
  struct gl *S = parks();
  return S ? ask_host(S, &(struct lookup){.host = host}) : gethostbyname(host);
}

static struct hostent *hooked_gethostbyaddr(const void *address, socklen_t size, int family) {
  struct gl *S = parks();
  return S ? ask_host(S, &(struct lookup){.address = address, .size = size, .family = family})
           : gethostbyaddr(address, size, family);
}

/* ---- waits ------------------------------------------------------------------------------------------ */

static int hooked_nanosleep(const struct timespec *d, struct timespec *left) {
  struct gl *S = parks();
  if (!S || d->tv_sec < 0 || d->tv_nsec < 0 || d->tv_nsec >= 1000000000) return nanosleep(d, left);
  gos_ns until = in(d->tv_sec, d->tv_nsec);
  int e;
  HOOK_WAIT(S, e, gos_sleep(until == GOS_FOREVER ? GL_AGES : until - gos_now()));
  (void)e;
  if (left) *left = (struct timespec){0, 0};
  return 0;
}

static int events_of(short e) {
  return (e & (POLLIN | POLLRDNORM) ? GOS_READ : 0) | (e & (POLLOUT | POLLWRNORM) ? GOS_WRITE : 0);
}

/* What the poller cannot wait for, urgent data say, is looked for now and then. */
static gos_ns soon(const struct pollfd *p, nfds_t n, gos_ns until) {
  for (nfds_t i = 0; i < n; i++) {
    gos_ns then = gos_now() + LOOK;
    if (p[i].fd >= 0 && !events_of(p[i].events) && then < until) return then;
  }
  return until;
}

/* Waits until one of them is ready, perhaps. */
static int wait_for_some(struct gl *S, const struct pollfd *p, nfds_t n, gos_ns until) {
  gos_case few[FEW], *cases = n <= FEW ? few : malloc(n * sizeof *cases);
  int k = 0, e;
  if (!cases) return GOS_NOMEM;
  for (nfds_t i = 0; i < n; i++)
    if (p[i].fd >= 0 && events_of(p[i].events)) cases[k++] = (gos_case)GOS_FD(p[i].fd, events_of(p[i].events));
  until = soon(p, n, until);
  HOOK_WAIT(S, e, gos_select(cases, k, until));
  if (cases != few) free(cases);
  return e;
}

static int poll_until(struct gl *S, struct pollfd *p, nfds_t n, gos_ns until) {
  for (;;) {
    int k = poll(p, n, 0);
    if (k != 0 || until == GOS_NOW) return k;
    int e = wait_for_some(S, p, n, until);
    if ((e == GOS_TIMEDOUT || e == GOS_WOULDBLOCK) && gos_now() >= until) return poll(p, n, 0);
    if (e == GOS_NOMEM || e == GOS_INVAL || e == GOS_DEADLOCK) {
      errno = e == GOS_NOMEM ? ENOMEM : e == GOS_INVAL ? EINVAL : EDEADLK;
      return -1;
    }
  }
}

static int hooked_poll(struct pollfd *p, nfds_t n, int ms) {
  struct gl *S = ms ? parks() : NULL;
  if (!S) return poll(p, n, ms);
  return poll_until(S, p, n, ms < 0 ? GOS_FOREVER : in(ms / 1000, ms % 1000 * 1000000L));
}

static int read_sets(struct pollfd *p, int n, const fd_set *r, const fd_set *w, const fd_set *x) {
  int k = 0;
  for (int fd = 0; fd < n; fd++) {
    int e = (r && FD_ISSET(fd, r) ? POLLIN : 0) | (w && FD_ISSET(fd, w) ? POLLOUT : 0) |
            (x && FD_ISSET(fd, x) ? POLLPRI : 0);
    if (e) p[k++] = (struct pollfd){fd, (short)e, 0};
  }
  return k;
}

static int set_bit(fd_set *to, int fd, bool on) {
  if (to && on) FD_SET(fd, to);
  return to && on;
}

static int write_sets(const struct pollfd *p, int k, fd_set *r, fd_set *w, fd_set *x) {
  int count = 0;
  if (r) FD_ZERO(r);
  if (w) FD_ZERO(w);
  if (x) FD_ZERO(x);
  for (int i = 0; i < k; i++) {
    short e = p[i].events, is = p[i].revents;
    count += set_bit(r, p[i].fd, (e & POLLIN) && (is & (POLLIN | POLLHUP | POLLERR)));
    count += set_bit(w, p[i].fd, (e & POLLOUT) && (is & (POLLOUT | POLLERR)));
    count += set_bit(x, p[i].fd, (e & POLLPRI) && (is & POLLPRI));
  }
  return count;
}

static int hooked_select(int n, fd_set *r, fd_set *w, fd_set *x, struct timeval *t) {
  struct gl *S = t && t->tv_sec == 0 && t->tv_usec == 0 ? NULL : parks();
  if (!S || n < 0 || n > FD_SETSIZE || (t && (t->tv_sec < 0 || t->tv_usec < 0))) return select(n, r, w, x, t);
  struct pollfd *p = malloc(FD_SETSIZE * sizeof *p);
  if (!p) return select(n, r, w, x, t);
  int k = read_sets(p, n, r, w, x);
  int e = poll_until(S, p, (nfds_t)k, t ? in(t->tv_sec, t->tv_usec * 1000L) : GOS_FOREVER);
  for (int i = 0; i < k && e > 0; i++)
    if (p[i].revents & POLLNVAL) {
      e = -1;
      errno = EBADF;
    }
  if (e >= 0) e = write_sets(p, k, r, w, x);
  int err = errno;
  free(p);
  errno = err;
  return e;
}

static int hooked_close(int fd) {
  if (parks()) gos_fd_forget(fd); /* ends the waits for it */
  return close(fd);
}

/* ---- reading a FILE ----------------------------------------------------------------------------------- */

/* Is it one that makes people wait? */
static bool slow(FILE *f) {
  struct stat st;
  int fd = fileno(f);
  return fd >= 0 && fstat(fd, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode) && !S_ISDIR(st.st_mode);
}

static size_t there(FILE *f) { return (size_t)(f->_IO_read_end - f->_IO_read_ptr); }

/* Returns when the next read from f does not block: it has data, an end or an error. */
static void wait_readable(FILE *f) {
  struct gl *S = there(f) || f->_flags & _IO_EOF_SEEN ? NULL : parks();
  if (!S || !slow(f)) return;
  int e;
  HOOK_WAIT(S, e, gos_fd_wait(fileno(f), GOS_READ, GOS_FOREVER));
  (void)e;
}

extern int __uflow(FILE *);

static int hooked_uflow(FILE *f) {
  seen |= SEEN_LINE;
  wait_readable(f);
  return __uflow(f);
}

static int hooked_getc(FILE *f) {
  seen |= SEEN_LINE;
  wait_readable(f);
  return getc(f);
}

static char *hooked_fgets(char *p, int n, FILE *f) {
  if (n < 2 || !parks() || !slow(f)) return fgets(p, n, f);
  int k = 0, c = 0;
  while (k < n - 1 && c != '\n' && (c = hooked_getc(f)) != EOF) p[k++] = (char)c;
  p[k] = 0;
  return k ? p : NULL;
}

static size_t hooked_fread(void *to, size_t size, size_t n, FILE *f) {
  size_t total, done = 0;
  seen |= SEEN_READ;
  if (!parks() || __builtin_mul_overflow(size, n, &total) || total <= there(f) || !slow(f))
    return fread(to, size, n, f);
  for (char *p = to; done < total;) {
    size_t k = there(f) < total - done ? there(f) : total - done;
    if (k) {
      done += fread(p + done, 1, k, f);
      continue;
    }
    int c = hooked_getc(f);
    if (c == EOF) break;
    p[done++] = (char)c;
  }
  return done / size;
}

/* ---- writing a FILE --------------------------------------------------------------------------------------- */

/* A FILE that is being written: one goroutine at a time. */
struct writing {
  struct writing *next;
  FILE *f;
  int refs;
  gos_mutex mu;
};
static _Thread_local struct writing *writings; /* a FILE of Lua's belongs to one state */

static struct writing *begin_writing(struct gl *S, FILE *f) {
  struct writing *w = writings;
  while (w && w->f != f) w = w->next;
  if (!w) {
    if (!(w = calloc(1, sizeof *w))) return NULL;
    *w = (struct writing){.next = writings, .f = f};
    writings = w;
  }
  w->refs++;
  int e;
  HOOK_WAIT(S, e, gos_mutex_lock_dl(&w->mu, GOS_FOREVER));
  (void)e;
  return w;
}

static void end_writing(struct writing *w) {
  gos_mutex_unlock(&w->mu);
  if (--w->refs) return;
  struct writing **at = &writings;
  while (*at != w) at = &(*at)->next;
  *at = w->next;
  free(w);
}

/* Writes all of it past f's buffer. An errno. */
static int write_through(struct gl *S, FILE *f, const char *p, size_t n) {
  while (n) {
    int64_t k;
    HOOK_WAIT(S, k, gos_write(fileno(f), p, n, GOS_FOREVER));
    if (k < 0) return k <= GOS_SYS(0) ? (int)(GOS_SYS(0) - k) : EIO;
    p += k;
    n -= (size_t)k;
  }
  return 0;
}

/* Takes what is in f's buffer out and writes it. Others may put more in meanwhile. */
static int flush_slow(struct gl *S, FILE *f) {
  flockfile(f); /* another state's thread may be writing: to stdout, say */
  size_t n = __fpending(f);
  char *p = n ? malloc(n) : NULL;
  if (p) {
    memcpy(p, f->_IO_write_base, n);
    __fpurge(f);
  }
  funlockfile(f);
  if (!p) return n && fflush(f) ? errno : 0;
  int e = write_through(S, f, p, n);
  free(p);
  return e;
}

static int failed(FILE *f, int e) {
  if (e) f->_flags |= _IO_ERR_SEEN;
  errno = e ? e : errno;
  return e ? EOF : 0;
}

/* Puts it into the buffer, if none of it has to be written for that. */
static bool put(FILE *f, const char *p, size_t n) {
  flockfile(f);
  bool fits = __fpending(f) && !__flbf(f) && n < (size_t)(f->_IO_buf_end - f->_IO_write_ptr) &&
              fwrite_unlocked(p, 1, n, f) == n;
  funlockfile(f);
  return fits;
}

/* A FILE without a buffer gets it by a write that cannot block. */
static int write_small(struct gl *S, FILE *f, const char *p, size_t n) {
  int e;
  HOOK_WAIT(S, e, gos_fd_wait(fileno(f), GOS_WRITE, GOS_FOREVER));
  (void)e;
  return fwrite(p, 1, n, f) == n ? 0 : errno;
}

static int write_slow(struct gl *S, FILE *f, const char *p, size_t n) {
  struct writing *w = begin_writing(S, f);
  if (!w) return fwrite(p, 1, n, f) == n ? 0 : errno;
  int e = 0;
  if (!put(f, p, n) && !(e = flush_slow(S, f))) { /* now it may fit: another one has emptied it */
    bool small = n < ATOMIC_WRITE / 2 && __fbufsize(f) <= ATOMIC_WRITE && !__flbf(f);
    e = small ? write_small(S, f, p, n) : write_through(S, f, p, n);
  }
  end_writing(w);
  return e;
}

static size_t hooked_fwrite(const void *p, size_t size, size_t n, FILE *f) {
  size_t total;
  struct gl *S = parks();
  seen |= SEEN_WRITE;
  if (!S || __builtin_mul_overflow(size, n, &total) || total == 0) return fwrite(p, size, n, f);
  if (put(f, p, total)) return n;
  if (!slow(f)) return fwrite(p, size, n, f);
  return failed(f, write_slow(S, f, p, total)) ? 0 : n;
}

/* Of Lua's numbers. */
static int print(FILE *f, const char *format, va_list args) {
  char *text;
  int n = vasprintf(&text, format, args);
  if (n < 0) return n;
  if (n && !hooked_fwrite(text, (size_t)n, 1, f)) n = -1;
  free(text);
  return n;
}

static int hooked_fprintf(FILE *f, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int n = print(f, format, args);
  va_end(args);
  return n;
}

static int hooked_fprintf_chk(FILE *f, int flag, const char *format, ...) {
  va_list args;
  (void)flag;
  va_start(args, format);
  int n = print(f, format, args);
  va_end(args);
  return n;
}

static int flush_hooked(FILE *f) {
  struct gl *S = f && __fpending(f) ? parks() : NULL;
  if (!S || !slow(f)) return 0;
  struct writing *w = begin_writing(S, f);
  int e = w ? flush_slow(S, f) : 0;
  if (w) end_writing(w);
  return failed(f, e);
}

static int hooked_fflush(FILE *f) { return flush_hooked(f) ? EOF : fflush(f); }

/* The descriptor may be waited for: by readable(), say. */
static int before_close(FILE *f) {
  int e = flush_hooked(f), err = errno;
  if (parks()) gos_fd_forget(fileno(f));
  errno = err;
  return e;
}

static int hooked_fclose(FILE *f) {
  seen |= SEEN_CLOSE;
  int e = before_close(f), err = errno;
  if (fclose(f)) return EOF;
  errno = err;
  return e;
}

static void run_pclose(void *arg) {
  struct command *c = arg;
  errno = 0;
  c->result = pclose(c->file);
  c->err = errno;
}

static int hooked_pclose(FILE *f) {
  struct gl *S = parks();
  if (!S) return pclose(f);
  before_close(f);
  struct command c = {.file = f};
  elsewhere(S, run_pclose, &c);
  errno = c.err;
  return c.result;
}

/* ---- installing them ------------------------------------------------------------------------------------------ */

static void *hooked_dlopen(const char *name, int flags);
extern int __fprintf_chk(FILE *, int, const char *, ...);

#define SLOT(name)                                                                                                     \
  { #name, (void *)hooked_##name, (void *)name }
static const struct gl_slot slots[] = {SLOT(system),
                                       SLOT(popen),
                                       SLOT(pclose),
                                       SLOT(fclose),
                                       SLOT(fflush),
                                       SLOT(fread),
                                       SLOT(fgets),
                                       {"getc", (void *)hooked_getc, (void *)(getc)},
                                       {"__uflow", (void *)hooked_uflow, (void *)__uflow},
                                       SLOT(fwrite),
                                       SLOT(fprintf),
                                       {"__fprintf_chk", (void *)hooked_fprintf_chk, (void *)__fprintf_chk},
                                       SLOT(nanosleep),
                                       SLOT(poll),
                                       SLOT(select),
                                       SLOT(close),
                                       SLOT(getaddrinfo),
                                       SLOT(gethostbyname),
                                       SLOT(gethostbyaddr),
                                       SLOT(dlopen)};
enum { NSLOTS = sizeof slots / sizeof *slots };

static bool installed;

static int set_slots(bool ours, const char **why) { return gl_slots_set(slots, NSLOTS, ours, why); }

static void *hooked_dlopen(const char *name, int flags) {
  void *handle = dlopen(name, flags);
  const char *why;
  if (handle && __atomic_load_n(&installed, __ATOMIC_RELAXED)) set_slots(true, &why);
  return handle;
}

#else

enum { SEEN_ALL = 1 };
static unsigned seen;
static bool installed;
static int set_slots(bool ours, const char **why) { return gl_slots_set(NULL, 0, ours, why); }

#endif

static int take_back(void) {
  const char *why;
  __atomic_store_n(&installed, false, __ATOMIC_RELAXED);
  return set_slots(false, &why);
}

/* Each of the functions once, so that it shows whether Lua's libraries come here. */
static const char self_test[] = "local io, os = require 'io', require 'os'\n"
                                "local f = assert(io.open('/dev/null', 'r+'))\n"
                                "f:read(1)\n"
                                "f:read('l')\n"
                                "f:write('x')\n"
                                "f:close()\n"
                                "os.execute()";

/* hook() */
static int hook(lua_State *L) {
  const char *why;
  gl_self(L, gl_of(L));
  if (set_slots(true, &why) < 0) {
    take_back();
    return luaL_error(L, "hook: not supported here: %s", why);
  }
  __atomic_store_n(&installed, true, __ATOMIC_RELAXED);
  seen = 0;
  bool ok = luaL_loadstring(L, self_test) == LUA_OK && lua_pcall(L, 0, 0, 0) == LUA_OK;
  if (ok && seen == SEEN_ALL) {
    lua_pushboolean(L, 1);
    return 1;
  }
  take_back();
  return luaL_error(L, "hook: not supported here: the self-test failed (%s)",
                    ok ? "this interpreter's io and os library do not call the C library through ELF tables"
                       : lua_tostring(L, -1));
}

bool gl_hooked(void) { return __atomic_load_n(&installed, __ATOMIC_RELAXED); }

/* unhook(): was it installed? */
static int unhook(lua_State *L) {
  gl_self(L, gl_of(L));
  bool was = __atomic_load_n(&installed, __ATOMIC_RELAXED);
  take_back();
  lua_pushboolean(L, was);
  return 1;
}

const luaL_Reg gl_hook_functions[] = {{"hook", hook}, {"unhook", unhook}, {NULL, NULL}};
