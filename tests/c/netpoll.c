// ctest: timeout=120
/* gos_fd_wait and select over file descriptors.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include "test.h"

static int fds[2];
static _Atomic int count;

static void pair(int p[2]) { CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, p), 0); }
static void put(int fd) { CHECK_EQ(write(fd, "x", 1), 1); }
static void get(int fd) {
  char c;
  CHECK_EQ(read(fd, &c, 1), 1);
}

TEST(ready_and_not_ready) {
  pair(fds);
  CHECK_EQ(gos_fd_wait(fds[0], GOS_READ, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_fd_wait(fds[0], GOS_WRITE, GOS_NOW), GOS_WRITE);
  CHECK_EQ(gos_fd_wait(fds[0], GOS_READ | GOS_WRITE, GOS_FOREVER), GOS_WRITE);
  CHECK_EQ(gos_fd_wait(fds[0], GOS_READ, gos_now() + 2 * MS), GOS_TIMEDOUT);
  CHECK_EQ(gos_fd_wait(fds[0], GOS_READ, 1), GOS_TIMEDOUT); /* long ago */
  put(fds[1]);
  for (int i = 0; i < 3; i++) CHECK_EQ(gos_fd_wait(fds[0], GOS_READ, GOS_FOREVER), GOS_READ); /* as often as one asks */
  CHECK_EQ(gos_fd_wait(fds[0], GOS_READ | GOS_WRITE, GOS_NOW), GOS_READ | GOS_WRITE);
  get(fds[0]);
  CHECK_EQ(gos_fd_wait(fds[0], GOS_READ, GOS_NOW), GOS_WOULDBLOCK);
  close(fds[1]);
  CHECK_EQ(gos_fd_wait(fds[0], GOS_READ, GOS_FOREVER), GOS_READ);
  close(fds[0]);
}

TEST(bad_arguments) {
  pair(fds);
  CHECK_EQ(gos_fd_wait(fds[0], 0, GOS_NOW), GOS_INVAL);
  CHECK_EQ(gos_fd_wait(fds[0], 4, GOS_NOW), GOS_INVAL);
  CHECK_EQ(gos_fd_wait(-1, GOS_READ, GOS_NOW), GOS_SYS(EBADF));
  CHECK_EQ(gos_fd_wait(1 << 30, GOS_READ, GOS_NOW), GOS_NOMEM);
  close(fds[1]);
  CHECK_EQ(gos_fd_wait(fds[1], GOS_READ, GOS_FOREVER), GOS_SYS(EBADF));
  CHECK_EQ(gos_fd_forget(-1), GOS_SYS(EBADF));
  CHECK_EQ(gos_close(fds[1]), GOS_SYS(EBADF));
  CHECK_EQ(gos_close(-1), GOS_SYS(EBADF));
  gos_case bad[] = {{3, NULL, NULL, 0}}, bad2[] = {{7, NULL, NULL, 0}};
  CHECK_EQ(gos_select(bad, 1, GOS_NOW), GOS_INVAL);
  CHECK_EQ(gos_select(bad2, 1, GOS_NOW), GOS_INVAL);
}

TEST(what_never_blocks) {
  int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), dir = open("/", O_RDONLY | O_CLOEXEC | O_DIRECTORY),
      null = open("/dev/null", O_RDWR | O_CLOEXEC);
  CHECK(file >= 0 && dir >= 0 && null >= 0);
  CHECK_EQ(gos_fd_wait(file, GOS_READ, GOS_FOREVER), GOS_READ);
  CHECK_EQ(gos_fd_wait(file, GOS_READ | GOS_WRITE, GOS_FOREVER), GOS_READ | GOS_WRITE);
  CHECK_EQ(gos_fd_wait(dir, GOS_READ, GOS_FOREVER), GOS_READ);
  CHECK_EQ(gos_fd_wait(null, GOS_WRITE, GOS_FOREVER), GOS_WRITE);
  gos_case c[] = {GOS_FD(file, GOS_READ)};
  CHECK_EQ(gos_select(c, 1, GOS_FOREVER), 0);
  CHECK_EQ(c[0].ok, GOS_READ);
}

static void waits_to_read(void *arg) {
  CHECK_EQ(gos_fd_wait(*(int *)arg, GOS_READ, GOS_FOREVER), GOS_READ);
  count++;
}
static void waits_until_closed(void *arg) {
  CHECK_EQ(gos_fd_wait(*(int *)arg, GOS_READ, GOS_FOREVER), GOS_CLOSED);
  count++;
}

TEST(many_wait_for_one) {
  enum { N = 50 };
  gos_g *g[N];
  pair(fds);
  for (int i = 0; i < N; i++) g[i] = spawn(waits_to_read, &fds[0]);
  for (int i = 0; i < N; i++) until_parked(g[i], "IO wait");
  put(fds[1]);
  for (int i = 0; i < N; i++) finish(g[i]);
  CHECK_EQ(count, N);
}

TEST(close_ends_the_waits) {
  enum { N = 20 };
  gos_g *g[N];
  pair(fds);
  for (int i = 0; i < N; i++) g[i] = spawn(waits_until_closed, &fds[0]);
  for (int i = 0; i < N; i++) until_parked(g[i], "IO wait");
  CHECK_EQ(gos_close(fds[0]), GOS_OK);
  for (int i = 0; i < N; i++) finish(g[i]);
  pair(fds);
  g[0] = spawn(waits_until_closed, &fds[0]);
  until_parked(g[0], "IO wait");
  CHECK_EQ(gos_fd_forget(fds[0]), GOS_OK);
  finish(g[0]);
  put(fds[1]); /* it is still open, and may be waited for again */
  CHECK_EQ(gos_fd_wait(fds[0], GOS_READ, GOS_FOREVER), GOS_READ);
}

/* The number is closed and opened again by others, with and without a copy that keeps the old one open. */
TEST(numbers_used_again) {
  for (int i = 0; i < scaled(200); i++) {
    int p[2], q[2], copy = -1;
    pair(p);
    CHECK_EQ(gos_fd_wait(p[0], GOS_READ, gos_now() + 1), GOS_TIMEDOUT); /* watched now */
    if (i % 2) copy = dup(p[0]);
    pair(q);
    CHECK_EQ(dup2(q[0], p[0]), p[0]);
    if (copy >= 0 && i % 3 == 0) put(p[1]); /* for the old one */
    gos_g *g = spawn(waits_to_read, &p[0]);
    until_parked(g, "IO wait");
    put(q[1]);
    finish(g);
    get(p[0]);
    if (copy >= 0) close(copy);
    close(p[0]), close(p[1]), close(q[0]), close(q[1]);
  }
}

static void interrupted(void *arg) { CHECK_EQ(gos_fd_wait(*(int *)arg, GOS_READ, GOS_FOREVER), GOS_CANCELED); }
TEST(interrupt_ends_a_wait) {
  pair(fds);
  gos_g *g = spawn(interrupted, &fds[0]);
  until_parked(g, "IO wait");
  CHECK_EQ(gos_interrupt(g), GOS_OK);
  finish(g);
  g = spawn(waits_to_read, &fds[0]); /* nothing is left of it in the queue */
  until_parked(g, "IO wait");
  put(fds[1]);
  finish(g);
}

/* The deadline and the byte come about the same time: either is right, and none is lost. */
struct race {
  int fd[2];
  int rounds, late;
};
static void racing_reader(void *arg) {
  struct race *r = arg;
  for (int i = 0; i < r->rounds; i++) {
    int e = gos_fd_wait(r->fd[0], GOS_READ, gos_now() + (i % 7) * 10000);
    if (e == GOS_TIMEDOUT) {
      r->late++;
      e = gos_fd_wait(r->fd[0], GOS_READ, GOS_FOREVER);
    }
    CHECK_EQ(e, GOS_READ);
    get(r->fd[0]);
    put(r->fd[0]); /* the next one, please */
  }
}
static void racing_writer(void *arg) {
  struct race *r = arg;
  for (int i = 0; i < r->rounds; i++) {
    if (i % 3) gos_sleep(i % 5 * 10000);
    put(r->fd[1]);
    CHECK_EQ(gos_fd_wait(r->fd[1], GOS_READ, GOS_FOREVER), GOS_READ);
    get(r->fd[1]);
  }
}
TEST(deadlines_race_with_readiness) {
  enum { N = 4 };
  static struct race r[N];
  gos_g *g[2 * N];
  for (int i = 0; i < N; i++) {
    pair(r[i].fd);
    r[i].rounds = (int)scaled(2000);
    g[2 * i] = spawn(racing_reader, &r[i]);
    g[2 * i + 1] = spawn(racing_writer, &r[i]);
  }
  for (int i = 0; i < 2 * N; i++) finish(g[i]);
}

/* A wake from another thread, an event and a timer reach the thread that sleeps in the poller. */
static gos_chan *ping, *pong;
static void *rings(void *arg) {
  for (long i = 0, n = *(long *)arg; i < n; i++) {
    int v = (int)i;
    CHECK_EQ(gos_chan_send(ping, &v), GOS_OK);
    CHECK_EQ(gos_chan_recv(pong, &v), GOS_OK);
  }
  return NULL;
}
TEST(the_poller_is_woken) {
  long n = scaled(2000);
  pthread_t t;
  ping = gos_chan_make(sizeof(int), 0), pong = gos_chan_make(sizeof(int), 0);
  pair(fds);
  gos_g *g = spawn(waits_to_read, &fds[0]); /* so that the idle thread is in the poller */
  until_parked(g, "IO wait");
  pthread_create(&t, NULL, rings, &n);
  for (long i = 0; i < n; i++) {
    int v;
    CHECK_EQ(gos_chan_recv(ping, &v), GOS_OK);
    CHECK_EQ(v, i);
    if (i % 64 == 0) gos_sleep(10000);
    CHECK_EQ(gos_chan_send(pong, &v), GOS_OK);
  }
  pthread_join(t, NULL);
  put(fds[1]);
  finish(g);
}

/* ---- many pairs ---------------------------------------------------------------------------- */
struct ball {
  int fd;
  long rounds;
  bool first; /* and keeps the ball in the end */
};
static void plays(void *arg) {
  struct ball *b = arg;
  for (long i = 0; i < b->rounds; i++) {
    int e = gos_fd_wait(b->fd, GOS_READ, GOS_FOREVER);
    CHECK_EQ(e, GOS_READ);
    get(b->fd);
    if (i + 1 < b->rounds || !b->first) put(b->fd);
  }
}
static void thousand(int n) {
  struct ball *b = calloc((size_t)n, sizeof *b);
  gos_g **g = calloc((size_t)n, sizeof(gos_g *));
  struct rlimit most;
  CHECK_EQ(getrlimit(RLIMIT_NOFILE, &most), 0);
  most.rlim_cur = most.rlim_max;
  setrlimit(RLIMIT_NOFILE, &most);
  for (int i = 0; i < n; i += 2) {
    int p[2];
    pair(p);
    put(p[0]); /* who serves */
    for (int k = 0; k < 2; k++) {
      b[i + k] = (struct ball){p[k], scaled(20), k == 0};
      g[i + k] = spawn(plays, &b[i + k]);
    }
  }
  for (int i = 0; i < n; i++) finish(g[i]);
  for (int i = 0; i < n; i++) gos_close(b[i].fd);
  free(b), free(g);
}
TEST(a_thousand_goroutines) { thousand(1000); }

/* ---- select ----------------------------------------------------------------------------------- */
TEST(select_fd_and_channel) {
  static gos_chan *c;
  c = gos_chan_make(sizeof(int), 1);
  int v = 0;
  pair(fds);
  gos_case k[] = {GOS_FD(fds[0], GOS_READ), GOS_RECV(c, &v), {0, NULL, NULL, 0}};
  CHECK_EQ(gos_select(k, 3, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_select(k, 3, gos_now() + MS), GOS_TIMEDOUT);
  put(fds[1]);
  CHECK_EQ(gos_select(k, 3, GOS_FOREVER), 0);
  CHECK_EQ(k[0].ok, GOS_READ);
  CHECK_EQ(gos_select(k, 3, GOS_NOW), 0);
  v = 5;
  CHECK_EQ(gos_chan_send(c, &v), GOS_OK);
  v = 0;
  CHECK_EQ(gos_select_ordered(k, 3, GOS_FOREVER), 0);
  get(fds[0]);
  CHECK_EQ(gos_select_ordered(k, 3, GOS_FOREVER), 1);
  CHECK_EQ(v, 5);
  CHECK_EQ(k[0].ok, 0);
  gos_case both[] = {GOS_FD(fds[0], GOS_READ | GOS_WRITE)};
  CHECK_EQ(gos_select(both, 1, GOS_FOREVER), 0);
  CHECK_EQ(both[0].ok, GOS_WRITE);
  close(fds[1]);
  gos_case gone[] = {GOS_FD(fds[1], GOS_READ)};
  CHECK_EQ(gos_select(gone, 1, GOS_FOREVER), GOS_SYS(EBADF));
}

TEST(select_is_fair) {
  static gos_chan *c;
  c = gos_chan_make(0, 1);
  int p[2], won[4] = {0}, n = 4000;
  pair(fds), pair(p);
  put(fds[1]), put(p[1]);
  for (int i = 0; i < n; i++) {
    gos_case k[] = {GOS_FD(fds[0], GOS_READ), GOS_FD(p[0], GOS_READ), GOS_SEND(c, ""), GOS_FD(p[0], GOS_WRITE)};
    int w = gos_select(k, 4, GOS_FOREVER);
    CHECK(w >= 0 && w < 4);
    if (w == 2) CHECK_EQ(gos_chan_recv(c, NULL), GOS_OK);
    won[w]++;
  }
  for (int i = 0; i < 4; i++) CHECK(won[i] > n / 4 - 250 && won[i] < n / 4 + 250); /* nine standard deviations */
}

static gos_chan *values;
static void selects_until_closed(void *arg) {
  long fd_seen = 0, chan_seen = 0;
  struct ball *b = arg;
  while (fd_seen + chan_seen < 2 * b->rounds) {
    int v;
    gos_case k[] = {GOS_RECV(values, &v), GOS_FD(b->fd, GOS_READ)};
    int w = gos_select(k, 2, GOS_FOREVER);
    CHECK(w == 0 || w == 1);
    if (w == 0) {
      CHECK_EQ(v, chan_seen);
      chan_seen++;
    } else {
      CHECK_EQ(k[1].ok, GOS_READ);
      get(b->fd);
      fd_seen++;
    }
  }
  CHECK_EQ(fd_seen, b->rounds);
}
static void sends_values(void *arg) {
  for (long i = 0; i < *(long *)arg; i++) {
    int v = (int)i;
    CHECK_EQ(gos_chan_send(values, &v), GOS_OK);
    if (i % 16 == 0) gos_sleep(1000);
  }
}
TEST(select_loses_nothing) {
  struct ball b = {.rounds = scaled(5000)};
  values = gos_chan_make(sizeof(int), 0);
  pair(fds);
  b.fd = fds[0];
  gos_g *a = spawn(selects_until_closed, &b), *c = spawn(sends_values, &b.rounds);
  for (long i = 0; i < b.rounds; i++) {
    CHECK_EQ(gos_fd_wait(fds[1], GOS_WRITE, GOS_FOREVER), GOS_WRITE);
    put(fds[1]);
    if (i % 8 == 0) gos_gosched();
  }
  finish(a), finish(c);
}

static void select_closed(void *arg) {
  gos_case k[] = {{0, NULL, NULL, 0}, GOS_FD(*(int *)arg, GOS_READ)};
  CHECK_EQ(gos_select(k, 2, GOS_FOREVER), GOS_CLOSED);
  CHECK_EQ(k[1].ok, -1);
}
static void select_many(void *arg) {
  (void)arg;
  enum { N = 40 };
  gos_case k[N];
  int p[N][2];
  for (int i = 0; i < N; i++) pair(p[i]), k[i] = (gos_case)GOS_FD(p[i][0], GOS_READ);
  for (int i = 0; i < N; i++) {
    CHECK_EQ(gos_select(k, N, GOS_NOW), GOS_WOULDBLOCK);
    put(p[i][1]);
    CHECK_EQ(gos_select(k, N, GOS_FOREVER), i);
    get(p[i][0]);
  }
  for (int i = 0; i < N; i++) gos_close(p[i][0]), gos_close(p[i][1]);
}
TEST(select_close_and_many) {
  pair(fds);
  gos_g *g = spawn(select_closed, &fds[0]);
  until_parked(g, "select");
  CHECK_EQ(gos_close(fds[0]), GOS_OK);
  finish(g);
  finish(spawn(select_many, NULL));
}

/* ---- foreign threads --------------------------------------------------------------------------------- */
static void *foreign(void *arg) {
  struct ball *b = arg;
  plays(b);
  CHECK_EQ(gos_fd_wait(b->fd, GOS_READ, gos_now() + MS), GOS_TIMEDOUT);
  return NULL;
}
TEST(foreign_threads_wait) {
  struct ball b[4];
  pthread_t t[3];
  int p[2];
  for (int i = 0; i < 4; i += 2) {
    pair(p);
    put(p[0]);
    b[i] = (struct ball){p[0], scaled(1000), true}, b[i + 1] = (struct ball){p[1], scaled(1000), false};
  }
  for (int i = 0; i < 3; i++) pthread_create(&t[i], NULL, foreign, &b[i]);
  foreign(&b[3]);
  for (int i = 0; i < 3; i++) pthread_join(t[i], NULL);
}
static void *waits_and_is_closed(void *arg) {
  CHECK_EQ(gos_fd_wait(*(int *)arg, GOS_READ, GOS_FOREVER), GOS_CLOSED);
  count = 1;
  return NULL;
}
TEST(foreign_thread_is_told_of_the_close) {
  pthread_t t;
  pair(fds);
  gos_g *g = spawn(waits_to_read, &fds[0]);
  until_parked(g, "IO wait");
  pthread_create(&t, NULL, waits_and_is_closed, &fds[1]);
  while (!count) gos_fd_forget(fds[1]), gos_gosched();
  pthread_join(t, NULL);
  put(fds[1]);
  finish(g);
}

/* ---- limits --------------------------------------------------------------------------------------------- */
TEST_RAW(no_descriptors_left) {
  struct rlimit l;
  pair(fds);
  CHECK_EQ(getrlimit(RLIMIT_NOFILE, &l), 0);
  rlim_t was = l.rlim_cur;
  l.rlim_cur = (rlim_t)fds[1] + 1;
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &l), 0);
  CHECK_EQ(gos_fd_wait(fds[0], GOS_WRITE, GOS_FOREVER), GOS_WRITE); /* needs none */
  CHECK_EQ(gos_fd_wait(fds[0], GOS_READ, GOS_FOREVER), GOS_SYS(EMFILE));
  gos_case k[] = {GOS_FD(fds[0], GOS_READ)};
  CHECK_EQ(gos_select(k, 1, GOS_FOREVER), GOS_SYS(EMFILE));
  l.rlim_cur = was;
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &l), 0);
  CHECK_EQ(gos_fd_wait(fds[0], GOS_READ, gos_now() + MS), GOS_TIMEDOUT); /* and works again */
}

static void handled(int sig) { (void)sig, count++; }
TEST(signals_do_not_end_a_wait) {
  struct sigaction a = {.sa_handler = handled};
  sigaction(SIGUSR1, &a, NULL);
  pair(fds);
  gos_g *g = spawn(waits_to_read, &fds[0]);
  until_parked(g, "IO wait");
  for (int i = 0; i < 100; i++) {
    kill(getpid(), SIGUSR1); /* to the first thread: the runtime's own block it */
    do CHECK_EQ(gos_fd_wait(fds[1], GOS_READ, gos_now() + 10000), GOS_TIMEDOUT);
    while (count <= i);
  }
  CHECK_EQ(count, 100);
  put(fds[1]);
  finish(g);
}
