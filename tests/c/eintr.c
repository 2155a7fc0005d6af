// ctest: timeout=120
/* Signals whose handler does not ask for system calls to be restarted come all the time: nothing is lost, repeated or
 * given up because of them. (libraries install such handlers without asking)
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <errno.h>
#include <gossamer/net.h>
#include <pthread.h>

static atomic_long handled;
static atomic_bool over;
static void counts(int sig) { (void)sig, handled++; }

/* The threads that are shot at; the runtime's own block all signals. */
enum { TARGETS = 3 };
static pthread_t target[TARGETS];
static atomic_int alive; /* the first so many are there */

static void *shoots(void *arg) {
  (void)arg;
  for (unsigned i = 0; !over; i++) {
    int n = alive;
    if (n) pthread_kill(target[i % (unsigned)n], SIGUSR1);
    if (i % 16 == 0) usleep(20);
  }
  return NULL;
}
static pthread_t shooter;
static void fire(void) {
  struct sigaction a = {.sa_handler = counts}; /* without SA_RESTART */
  CHECK_EQ(sigaction(SIGUSR1, &a, NULL), 0);
  target[0] = pthread_self(); /* main: the first thread */
  alive = 1;
  CHECK_EQ(pthread_create(&shooter, NULL, shoots, NULL), 0);
  while (!handled) sched_yield();
}
static void cease(void) {
  over = true;
  pthread_join(shooter, NULL);
}
/* The rest of the targets, each running fn; they must not end before the fire has ceased. */
static void outside(void *(*fn)(void *), void **args, int n) {
  for (int i = 0; i < n; i++) CHECK_EQ(pthread_create(&target[1 + i], NULL, fn, args[i]), 0);
  alive = 1 + n;
}

static gos_chan *chan_to, *chan_back;
static void *answers(void *arg) {
  long v;
  (void)arg;
  gos_chan_range(chan_to, &v) {
    v = -v;
    CHECK_EQ(gos_chan_send(chan_back, &v), GOS_OK);
  }
  return NULL;
}

TEST(channels) {
  chan_to = gos_chan_make(sizeof(long), 0), chan_back = gos_chan_make(sizeof(long), 0);
  fire();
  outside(answers, (void *[]){NULL}, 1);
  for (long i = 1, v; i <= scaled(2000); i++) {
    CHECK_EQ(gos_chan_send(chan_to, &i), GOS_OK);
    CHECK_EQ(gos_chan_recv(chan_back, &v), GOS_OK);
    CHECK_EQ(v, -i);
  }
  cease(); /* an ended thread is no target */
  gos_chan_close(chan_to);
  pthread_join(target[1], NULL);
  gos_chan_release(chan_to), gos_chan_release(chan_back);
}

TEST(sleeps_and_deadlines) {
  gos_chan *never = gos_chan_make(0, 0);
  fire();
  for (int i = 0; i < 20; i++) {
    gos_ns at = gos_now() + i * MS / 8;
    CHECK_EQ(gos_sleep(at - gos_now()), GOS_OK);
    CHECK(gos_now() >= at);
    at = gos_now() + i * MS / 8;
    CHECK_EQ(gos_chan_recv_dl(never, NULL, at), GOS_TIMEDOUT);
    CHECK(gos_now() >= at);
  }
  cease();
  gos_chan_release(never);
}

/* Bytes through a pipe and a socket, both of them often full and often empty. */
enum { BYTES = 1 << 18 };
static unsigned char byte_at(long i) { return (unsigned char)((unsigned long)i * 2654435761u >> 13); }
static void *writes(void *arg) {
  int fd = *(int *)arg;
  unsigned char buf[3000];
  for (long at = 0; at < BYTES;) {
    long n = BYTES - at < (long)sizeof buf ? BYTES - at : (long)sizeof buf;
    for (long i = 0; i < n; i++) buf[i] = byte_at(at + i);
    CHECK_EQ(gos_write(fd, buf, (size_t)n, GOS_FOREVER), n);
    at += n;
  }
  while (!over) gos_sleep(MS); /* a target until the fire ceases */
  return NULL;
}
static void reads_all(int fd) {
  unsigned char buf[2000];
  for (long at = 0; at < BYTES;) {
    int64_t n = gos_read(fd, buf, sizeof buf, GOS_FOREVER);
    CHECK(n > 0);
    for (int64_t i = 0; i < n; i++) CHECK_EQ(buf[i], byte_at(at + i));
    at += n;
  }
}
TEST(bytes) {
  int p[2], s[2];
  CHECK_EQ(gos_pipe(p), GOS_OK);
  CHECK_EQ(gos_socketpair("unix", s), GOS_OK);
  fire();
  outside(writes, (void *[]){&p[1], &s[1]}, 2);
  reads_all(p[0]);
  reads_all(s[0]);
  cease();
  for (int i = 0; i < 2; i++) pthread_join(target[1 + i], NULL), gos_close(p[i]), gos_close(s[i]);
}

/* The same with descriptors of others, which block: the calls are announced, or made by threads of the pool. */
TEST(descriptors_that_block) {
  int p[2];
  CHECK_EQ(pipe(p), 0);
  fire();
  outside(writes, (void *[]){&p[1]}, 1);
  reads_all(p[0]);
  cease();
  pthread_join(target[1], NULL);
  gos_close(p[0]), gos_close(p[1]);
}

static int listener;
static void *dials(void *arg) {
  char addr[64];
  snprintf(addr, sizeof addr, "127.0.0.1:%d", *(int *)arg);
  for (long i = 0; i < scaled(100); i++) {
    int fd = gos_dial("tcp", addr, GOS_FOREVER);
    CHECK(fd >= 0);
    CHECK_EQ(gos_write(fd, &i, sizeof i, GOS_FOREVER), (long)sizeof i);
    CHECK_EQ(gos_close(fd), GOS_OK);
  }
  while (!over) gos_sleep(MS);
  return NULL;
}
TEST(connections) {
  CHECK((listener = gos_listen("tcp", "127.0.0.1:0", 0)) >= 0);
  int port = gos_local_port(listener);
  fire();
  outside(dials, (void *[]){&port}, 1);
  for (long i = 0, v = -1; i < scaled(100); i++) {
    int fd = gos_accept(listener, GOS_FOREVER);
    CHECK(fd >= 0);
    CHECK_EQ(gos_read(fd, &v, sizeof v, GOS_FOREVER), (long)sizeof v);
    CHECK_EQ(v, i);
    CHECK_EQ(gos_read(fd, &v, sizeof v, GOS_FOREVER), 0);
    CHECK_EQ(gos_close(fd), GOS_OK);
  }
  cease();
  pthread_join(target[1], NULL);
  gos_close(listener);
}

/* Locks, groups and joins, half of the users outside. */
static gos_mutex mu;
static gos_waitgroup wg;
static gos_cond turn;
static long plain, rounds;
static void *locks(void *arg) {
  (void)arg;
  for (long i = 0; i < scaled(500); i++) {
    gos_mutex_lock(&mu);
    long was = plain;
    if (i % 8 == 0) gos_gosched();
    plain = was + 1;
    if (plain % 50 == 0) gos_cond_broadcast(&turn);
    CHECK_EQ(gos_mutex_unlock(&mu), GOS_OK);
  }
  CHECK_EQ(gos_waitgroup_done(&wg), GOS_OK);
  while (!over) gos_sleep(MS);
  return NULL;
}
static void locks_inside(void *arg) { locks(arg); }
TEST(locks_and_groups) {
  gos_g *g[3];
  CHECK_EQ(gos_waitgroup_add(&wg, 5), GOS_OK);
  fire();
  outside(locks, (void *[]){NULL, NULL}, 2);
  for (int i = 0; i < 3; i++) g[i] = spawn(locks_inside, NULL);
  gos_mutex_lock(&mu);
  while (plain < 5 * scaled(500)) {
    int e = gos_cond_wait_dl(&turn, &mu, gos_now() + MS);
    CHECK(e == GOS_OK || e == GOS_TIMEDOUT);
    rounds++;
  }
  CHECK_EQ(gos_mutex_unlock(&mu), GOS_OK);
  CHECK_EQ(gos_waitgroup_wait(&wg), GOS_OK);
  CHECK_EQ(plain, 5 * scaled(500));
  cease();
  for (int i = 0; i < 3; i++) finish(g[i]);
  for (int i = 0; i < 2; i++) pthread_join(target[1 + i], NULL);
}
