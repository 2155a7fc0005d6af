/* Sockets, pipes, waits for descriptors, select over them, names, signals.
 * SPDX-License-Identifier: Apache-2.0 */
#include "faults.h"
#include <gossamer/net.h>
#include <signal.h>
#include <sys/socket.h>

enum { CONNECTIONS = 5, PAIRS = 12 };

/* Both ends of a stream: what is written is read, or an end is refused. */
static void stream(int from, int to) {
  char got[16] = "";
  int64_t n = gos_write(from, "value", 5, GOS_FOREVER);
  if (n < 0) {
    (void)WORKED((int)n);
    return;
  }
  CHECK_EQ(n, 5); /* there is room: nothing is needed for it */
  for (int at = 0; at < 5; at += (int)n) {
    n = gos_read(to, got + at, sizeof got - (size_t)at, GOS_FOREVER);
    if (n < 0 && !WORKED((int)n)) return;
    CHECK(n > 0);
  }
  CHECK(!strcmp(got, "value"));
}

static void pairs(void) {
  int p[2];
  if (WORKED(gos_pipe(p))) {
    stream(p[1], p[0]);
    int e = gos_fd_wait(p[0], GOS_READ, gos_now() + MS / 20);
    if (e != GOS_TIMEDOUT) (void)WORKED(e == GOS_READ ? GOS_INVAL : e);
    CHECK_EQ(gos_fd_wait(p[1], GOS_WRITE, GOS_FOREVER), GOS_WRITE);
    CHECK_EQ(gos_close(p[0]), GOS_OK);
    CHECK_EQ(gos_close(p[1]), GOS_OK);
  }
  if (WORKED(gos_socketpair("unix", p))) {
    stream(p[0], p[1]);
    stream(p[1], p[0]);
    CHECK_EQ(gos_close(p[0]), GOS_OK);
    CHECK_EQ(gos_close(p[1]), GOS_OK);
  }
}

/* ---- connections --------------------------------------------------------------------------- */
static char address[64];
static atomic_int dialed, echoed, refused;
static bool fine(int e) {
  bool worked = WORKED(e);
  refused += !worked;
  return worked;
}
static void dials(void *arg) {
  (void)arg;
  int fd = gos_dial("tcp", address, gos_now() + 3600000 * MS);
  if (!fine(fd)) return;
  char byte = 0;
  dialed++;
  int64_t n = gos_write(fd, "x", 1, GOS_FOREVER);
  if (fine((int)n)) n = gos_read(fd, &byte, 1, GOS_FOREVER);
  if (fine((int)n) && n == 1) {
    CHECK_EQ(byte, 'y');
    echoed++;
  }
  CHECK_EQ(gos_close(fd), GOS_OK);
}
static void answer(int fd) {
  char byte = 0;
  int64_t n = gos_read(fd, &byte, 1, GOS_FOREVER);
  if (fine((int)n) && n == 1) {
    CHECK_EQ(byte, 'x');
    (void)fine((int)gos_write(fd, "y", 1, GOS_FOREVER));
  }
  CHECK_EQ(gos_close(fd), GOS_OK);
}
static void connections(void) {
  int l = gos_listen("tcp", "127.0.0.1:0", 0);
  if (!fine(l)) return;
  snprintf(address, sizeof address, "127.0.0.1:%d", gos_local_port(l));
  dialed = echoed = refused = 0;
  for (int i = 0; i < CONNECTIONS; i++) {
    int e, before = dialed;
    gos_g *g = gos_go_opts(NULL, dials, NULL, &e);
    if (!fine(e)) continue;
    while (dialed == before && gos_join(g, GOS_NOW) == GOS_WOULDBLOCK) gos_gosched();
    if (dialed > before) { /* it is in the listener's queue */
      int fd;
      do {
        fd = gos_accept(l, GOS_FOREVER);
      } while (!fine(fd) && (faults_end(), true)); /* once more, without */
      answer(fd);
    }
    CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
    gos_release(g);
  }
  CHECK(echoed == CONNECTIONS || refused > 0);
  CHECK_EQ(gos_close(l), GOS_OK);
}

/* ---- select over many descriptors and a channel ------------------------------------------------ */
static void selects(int many) {
  int s[PAIRS][2], n = 0;
  gos_case k[PAIRS + 1];
  gos_chan *c = gos_chan_make(0, 0);
  if (!GOT(c)) return;
  while (n < many && WORKED(gos_socketpair("unix", s[n]))) {
    k[n] = (gos_case)GOS_FD(s[n][0], GOS_READ);
    n++;
  }
  k[n] = (gos_case)GOS_RECV(c, NULL);
  int e = gos_select(k, n + 1, gos_now() + MS / 20);
  if (e != GOS_TIMEDOUT) (void)WORKED(e);
  for (int i = 0; i < n; i++) {
    CHECK_EQ(send(s[i][1], "z", 1, MSG_NOSIGNAL), 1);
    e = gos_select(k, n + 1, GOS_FOREVER);
    if (WORKED(e)) {
      CHECK_EQ(e, i);
      CHECK_EQ(k[i].ok, GOS_READ);
    }
    char byte;
    CHECK_EQ(recv(s[i][0], &byte, 1, 0), 1);
  }
  while (n-- > 0) {
    CHECK_EQ(gos_close(s[n][0]), GOS_OK);
    CHECK_EQ(gos_close(s[n][1]), GOS_OK);
  }
  gos_chan_release(c);
}

/* ---- names and signals ---------------------------------------------------------------------------- */
static void names(void) {
  gos_addr a;
  int e = gos_resolve("tcp", "127.0.0.1:80", &a, GOS_FOREVER);
  if (WORKED(e)) CHECK(a.len > 0);
  e = gos_resolve("tcp4", "localhost:80", &a, gos_now() + 60000 * MS); /* asked by a goroutine */
  if (e != GOS_NOHOST && WORKED(e)) CHECK(a.len > 0);
}

static void signals(void) {
  int sig = SIGUSR2, got = 0;
  gos_chan *c = gos_chan_make(sizeof(int), 2);
  if (!GOT(c)) return;
  if (WORKED(gos_signal_notify(c, &sig, 1))) {
    CHECK_EQ(kill(getpid(), SIGUSR2), 0);
    CHECK_EQ(gos_chan_recv(c, &got), GOS_OK);
    CHECK_EQ(got, SIGUSR2);
    CHECK_EQ(gos_signal_stop(c), GOS_OK);
  }
  CHECK(signal(SIGUSR2, SIG_DFL) == SIG_DFL);
  gos_chan_release(c);
}

int files_kept(void) { return 4; } /* the poller, what wakes it, and the pipe of the signals */

void workload(void) {
  pairs();
  selects(3);
  selects(PAIRS);
  names();
  signals();
  connections(); /* last: it may end the fault */
  settle();
}
