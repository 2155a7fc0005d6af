// ctest: not-in=arm64
// ctest: timeout=120
/* Sockets and pipes through gossamer/net.h.
 * (qemu-user aborts in the child of a threaded process.)
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <gossamer/net.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include "test.h"

static gos_waitgroup wg;

static void closes(int fd) { CHECK_EQ(gos_close(fd), GOS_OK); }
static int listens(char *address, size_t n) {
  gos_addr a;
  int fd = gos_listen("tcp", "127.0.0.1:0", 0);
  CHECK(fd >= 0);
  CHECK_EQ(gos_local_addr(fd, &a), GOS_OK);
  CHECK(gos_addr_text(&a, address, n) > 0);
  CHECK(gos_local_port(fd) > 0);
  return fd;
}

/* ---- echo ------------------------------------------------------------------------------- */
static void echoes(void *arg) {
  char buf[512];
  int fd = (int)(intptr_t)arg;
  int64_t n;
  while ((n = gos_read(fd, buf, sizeof buf, GOS_FOREVER)) > 0) CHECK_EQ(gos_write(fd, buf, (size_t)n, GOS_FOREVER), n);
  CHECK_EQ(n, 0);
  closes(fd);
  gos_waitgroup_done(&wg);
}
static void serves(void *arg) {
  int fd, listener = *(int *)arg;
  while ((fd = gos_accept(listener, GOS_FOREVER)) >= 0) {
    gos_waitgroup_add(&wg, 1);
    CHECK_EQ(gos_go(echoes, (void *)(intptr_t)fd), GOS_OK);
  }
  CHECK_EQ(fd, GOS_CLOSED);
}
static char address[64];
static void reads_all(int fd, char *buf, size_t n) {
  for (size_t done = 0; done < n;) {
    int64_t k = gos_read(fd, buf + done, n - done, GOS_FOREVER);
    CHECK(k > 0);
    done += (size_t)k;
  }
}
static void asks(void *arg) {
  char out[64], in[64];
  int fd = gos_dial("tcp", address, GOS_FOREVER);
  CHECK(fd >= 0);
  for (int i = 0; i < (int)scaled(20); i++) {
    memset(out, (int)(intptr_t)arg + i, sizeof out);
    CHECK_EQ(gos_write(fd, out, sizeof out, GOS_FOREVER), sizeof out);
    reads_all(fd, in, sizeof in);
    CHECK_EQ(memcmp(in, out, sizeof in), 0);
  }
  CHECK_EQ(gos_shutdown(fd, 1), GOS_OK);
  CHECK_EQ(gos_read(fd, in, sizeof in, GOS_FOREVER), 0);
  closes(fd);
  gos_waitgroup_done(&wg);
}
TEST(echo_with_200_connections) {
  int listener = listens(address, sizeof address);
  gos_g *server = spawn(serves, &listener);
  gos_waitgroup_add(&wg, 200);
  for (int i = 0; i < 200; i++) CHECK_EQ(gos_go(asks, (void *)(intptr_t)i), GOS_OK);
  CHECK_EQ(gos_waitgroup_wait(&wg), GOS_OK);
  until_parked(server, "IO wait");
  closes(listener);
  finish(server);
}
static void *asks_on_a_thread(void *arg) { return asks(arg), NULL; }
TEST(echo_with_foreign_threads) {
  pthread_t t[4];
  int listener = listens(address, sizeof address);
  gos_g *server = spawn(serves, &listener);
  gos_waitgroup_add(&wg, 4);
  for (int i = 0; i < 4; i++) pthread_create(&t[i], NULL, asks_on_a_thread, (void *)(intptr_t)i);
  for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
  CHECK_EQ(gos_waitgroup_wait(&wg), GOS_OK);
  closes(listener);
  finish(server);
}

/* ---- streams -------------------------------------------------------------------------------- */
enum { LOTS = 3000000 };
static int ends[2];
static void writes_lots(void *arg) {
  char *all = malloc(LOTS);
  for (int i = 0; i < LOTS; i++) all[i] = (char)(i % 251);
  CHECK_EQ(gos_write(*(int *)arg, all, LOTS, GOS_FOREVER), LOTS);
  free(all);
  closes(*(int *)arg);
}
static void carries_lots(int from, int to) {
  char buf[10000];
  int64_t n, sum = 0;
  gos_g *g = spawn(writes_lots, &to);
  while ((n = gos_read(from, buf, 1 + (size_t)(sum % sizeof buf), GOS_FOREVER)) > 0)
    for (int64_t i = 0; i < n; i++, sum++) CHECK_EQ((unsigned char)buf[i], sum % 251);
  CHECK_EQ(n, 0);
  CHECK_EQ(sum, LOTS);
  finish(g);
  closes(from);
}
static void lots(void *arg) {
  (void)arg;
  CHECK_EQ(gos_pipe(ends), GOS_OK);
  carries_lots(ends[0], ends[1]);
  CHECK_EQ(gos_socketpair("unix", ends), GOS_OK);
  carries_lots(ends[0], ends[1]);
  CHECK_EQ(pipe(ends), 0); /* not ours, and they block */
  carries_lots(ends[0], ends[1]);
  CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  carries_lots(ends[0], ends[1]);
  CHECK_EQ(pipe2(ends, O_NONBLOCK), 0);
  carries_lots(ends[0], ends[1]);
}
TEST(lots_of_bytes) {
  gos_go_options big = {.size = sizeof big, .stack = 256 * 1024};
  finish(gos_go_opts(&big, lots, NULL, NULL));
}

TEST(reads_and_writes_now) {
  char buf[65536] = "abc";
  int64_t all = 0, n;
  CHECK_EQ(gos_pipe(ends), GOS_OK);
  CHECK_EQ(gos_read(ends[0], buf, 1, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_read(ends[0], buf, 0, GOS_FOREVER), 0);
  CHECK_EQ(gos_read(ends[0], buf, 1, gos_now() + MS), GOS_TIMEDOUT);
  CHECK_EQ(gos_write(ends[1], buf, 3, GOS_NOW), 3);
  CHECK_EQ(gos_read(ends[0], buf, 10, GOS_NOW), 3);
  CHECK_EQ(gos_write(ends[1], buf, 3, GOS_NOW), 3); /* after a short read: nobody has looked at the poller yet */
  CHECK_EQ(gos_read(ends[0], buf, 10, GOS_NOW), 3);
  while ((n = gos_write(ends[1], buf, sizeof buf, GOS_NOW)) > 0) all += n;
  CHECK_EQ(n, GOS_WOULDBLOCK);
  CHECK_EQ(gos_write(ends[1], buf, sizeof buf, gos_now() + MS), GOS_TIMEDOUT);
  CHECK_EQ(gos_read(ends[0], buf, 5000, GOS_NOW), 5000);
  n = gos_write(ends[1], buf, sizeof buf, gos_now() + MS); /* a part of it */
  CHECK(n > 0 && n < (int64_t)sizeof buf);
  for (all += n - 5000; all > 0; all -= n) CHECK((n = gos_read(ends[0], buf, sizeof buf, GOS_NOW)) > 0);
  CHECK_EQ(all, 0);
  closes(ends[0]);
  CHECK_EQ(gos_write(ends[1], buf, 1, GOS_FOREVER), GOS_SYS(EPIPE)); /* and no signal */
  closes(ends[1]);
  CHECK_EQ(gos_socketpair("unix", ends), GOS_OK);
  closes(ends[0]);
  CHECK_EQ(gos_write(ends[1], buf, 1, GOS_FOREVER), GOS_SYS(EPIPE));
  closes(ends[1]);
  CHECK_EQ(pipe(ends), 0);
  close(ends[0]);
  CHECK_EQ(gos_write(ends[1], buf, 1, GOS_FOREVER), GOS_SYS(EPIPE));
  CHECK_EQ(gos_read(-1, buf, 1, GOS_FOREVER), GOS_SYS(EBADF));
  CHECK_EQ(gos_read(ends[0], buf, 1, GOS_FOREVER), GOS_SYS(EBADF));
  CHECK_EQ(gos_write(ends[0], buf, 1, GOS_FOREVER), GOS_SYS(EBADF));
}

/* The end of the stream comes with the last bytes, or right behind them: a read must see both. */
static void *sends_and_closes(void *arg) {
  int fd = *(int *)arg;
  CHECK_EQ(write(fd, "12345", 5), 5);
  close(fd);
  return NULL;
}
TEST(end_after_a_short_read) {
  char buf[100];
  for (int i = 0; i < scaled(300); i++) {
    pthread_t t;
    int64_t n = 0, k;
    if (i % 3 == 0)
      CHECK_EQ(gos_pipe(ends), GOS_OK);
    else
      CHECK_EQ(gos_socketpair("unix", ends), GOS_OK);
    if (i % 2) CHECK_EQ(gos_read(ends[0], buf, sizeof buf, gos_now() + 1000), GOS_TIMEDOUT);
    pthread_create(&t, NULL, sends_and_closes, &ends[1]);
    while ((k = gos_read(ends[0], buf, sizeof buf, GOS_FOREVER)) > 0) n += k;
    CHECK_EQ(k, 0);
    CHECK_EQ(n, 5);
    pthread_join(t, NULL);
    gos_fd_forget(ends[1]);
    closes(ends[0]);
  }
}

TEST(half_close) {
  char buf[10];
  int listener = listens(address, sizeof address), a = gos_dial("tcp", address, GOS_FOREVER),
      b = gos_accept(listener, GOS_FOREVER);
  CHECK(a >= 0 && b >= 0);
  CHECK_EQ(gos_write(a, "question", 8, GOS_FOREVER), 8);
  CHECK_EQ(gos_shutdown(a, 1), GOS_OK);
  reads_all(b, buf, 8);
  CHECK_EQ(gos_read(b, buf, 10, GOS_FOREVER), 0);
  CHECK_EQ(gos_read(b, buf, 10, GOS_FOREVER), 0);
  CHECK_EQ(gos_write(b, "answer", 6, GOS_FOREVER), 6);
  reads_all(a, buf, 6);
  CHECK_EQ(gos_write(a, "more", 4, GOS_FOREVER), GOS_SYS(EPIPE));
  CHECK_EQ(gos_shutdown(a, 3), GOS_INVAL);
  closes(a), closes(b), closes(listener);
}

/* An urgent byte cuts a read short although more follows it. */
TEST(urgent_byte) {
  char buf[100];
  int listener = listens(address, sizeof address), a = gos_dial("tcp", address, GOS_FOREVER),
      b = gos_accept(listener, GOS_FOREVER);
  CHECK_EQ(gos_read(b, buf, sizeof buf, gos_now() + MS), GOS_TIMEDOUT);
  CHECK_EQ(gos_write(a, "ab", 2, GOS_FOREVER), 2);
  CHECK_EQ(send(a, "!", 1, MSG_OOB), 1);
  CHECK_EQ(gos_write(a, "cd", 2, GOS_FOREVER), 2);
  reads_all(b, buf, 4);
  CHECK_EQ(memcmp(buf, "abcd", 4), 0);
  closes(a), closes(b), closes(listener);
}

static void reads_until_closed(void *arg) {
  char c;
  CHECK_EQ(gos_read(*(int *)arg, &c, 1, GOS_FOREVER), GOS_CLOSED);
}
static void reads_one(void *arg) {
  char c[8];
  CHECK_EQ(gos_read(*(int *)arg, c, sizeof c, GOS_FOREVER), 1);
}
TEST(close_while_reading) {
  CHECK_EQ(gos_socketpair("unix", ends), GOS_OK);
  gos_g *a = spawn(reads_until_closed, &ends[0]), *b = spawn(reads_until_closed, &ends[0]);
  until_parked(a, "IO wait"), until_parked(b, "IO wait");
  closes(ends[0]);
  finish(a), finish(b);
}
TEST(readers_take_turns) {
  enum { N = 20 };
  gos_g *g[N];
  CHECK_EQ(gos_socketpair("unixgram", ends), GOS_OK);
  for (int i = 0; i < N; i++) g[i] = spawn(reads_one, &ends[0]);
  for (int i = 0; i < N; i++) until_parked(g[i], "IO wait");
  for (int i = 0; i < N; i++) CHECK_EQ(gos_write(ends[1], "x", 1, GOS_FOREVER), 1);
  for (int i = 0; i < N; i++) finish(g[i]);
}

/* A number of ours closed by close(), and then used again by somebody else. */
TEST(numbers_of_ours_used_again) {
  char c[4];
  for (int i = 0; i < 50; i++) {
    int p[2];
    CHECK_EQ(gos_socketpair("unix", ends), GOS_OK);
    CHECK_EQ(gos_write(ends[1], "x", 1, GOS_FOREVER), 1);
    CHECK_EQ(gos_read(ends[0], c, 4, GOS_FOREVER), 1); /* short: known to be empty */
    closes(ends[0]), closes(ends[1]);
    CHECK_EQ(gos_socketpair("unix", p), GOS_OK);
    CHECK_EQ(p[0], ends[0]);
    gos_g *g = spawn(reads_one, &p[0]);
    until_parked(g, "IO wait");
    CHECK_EQ(gos_write(p[1], "x", 1, GOS_FOREVER), 1);
    finish(g);
    closes(p[0]), closes(p[1]);
  }
}

/* ---- other networks -------------------------------------------------------------------------------- */
TEST(datagrams) {
  char buf[16], text[64];
  gos_addr to, from;
  int a = gos_listen("udp", "127.0.0.1:0", 0), b = gos_listen("udp4", "127.0.0.1:0", 0);
  CHECK(a >= 0 && b >= 0);
  CHECK_EQ(gos_recvfrom(a, buf, sizeof buf, &from, gos_now() + MS), GOS_TIMEDOUT);
  CHECK_EQ(gos_recvfrom(a, buf, sizeof buf, NULL, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_local_addr(a, &to), GOS_OK);
  CHECK_EQ(gos_sendto(b, "hello", 5, &to, GOS_FOREVER), 5);
  CHECK_EQ(gos_sendto(b, "", 0, &to, GOS_FOREVER), 0);
  CHECK_EQ(gos_recvfrom(a, buf, sizeof buf, &from, GOS_FOREVER), 5);
  CHECK_EQ(gos_recvfrom(a, buf, sizeof buf, NULL, GOS_FOREVER), 0);
  CHECK_EQ(gos_sendto(a, "you", 3, &from, GOS_FOREVER), 3);
  CHECK_EQ(gos_recvfrom(b, buf, sizeof buf, &from, GOS_FOREVER), 3);
  CHECK(gos_addr_text(&from, text, sizeof text) > 0);
  snprintf(buf, sizeof buf, ":%d", gos_local_port(a));
  CHECK_HAS(text, buf);
  int c = gos_dial("udp", text, GOS_FOREVER);
  CHECK(c >= 0);
  CHECK_EQ(gos_write(c, "x", 1, GOS_FOREVER), 1);
  CHECK_EQ(gos_recvfrom(a, buf, sizeof buf, &from, GOS_FOREVER), 1);
  closes(a), closes(b), closes(c);
}
TEST(unix_sockets) {
  static const char *const kinds[] = {"unix", "unixpacket"};
  char name[64], buf[16];
  for (int i = 0; i < 2; i++) {
    snprintf(name, sizeof name, "@gossamer-test-%d-%d", (int)getpid(), i);
    int l = gos_listen(kinds[i], name, 5);
    CHECK(l >= 0);
    CHECK_EQ(gos_listen(kinds[i], name, 5), GOS_SYS(EADDRINUSE));
    CHECK_EQ(gos_accept(l, GOS_NOW), GOS_WOULDBLOCK);
    CHECK_EQ(gos_accept(l, gos_now() + MS), GOS_TIMEDOUT);
    int a = gos_dial(kinds[i], name, GOS_FOREVER), b = gos_accept(l, GOS_FOREVER);
    CHECK(a >= 0 && b >= 0);
    CHECK_EQ(gos_write(a, "hi", 2, GOS_FOREVER), 2);
    CHECK_EQ(gos_read(b, buf, sizeof buf, GOS_FOREVER), 2);
    gos_addr at;
    CHECK_EQ(gos_peer_addr(a, &at), GOS_OK);
    char text[64];
    CHECK_EQ(gos_addr_text(&at, text, sizeof text), strlen(name));
    CHECK_EQ(strcmp(text, name), 0);
    CHECK_EQ(gos_addr_text(&at, text, 3), GOS_INVAL);
    CHECK_EQ(gos_local_port(a), GOS_INVAL);
    closes(a), closes(b), closes(l);
  }
  CHECK_EQ(gos_dial("unix", "/nonexistent/socket", GOS_FOREVER), GOS_SYS(ENOENT));
}
TEST(listeners_of_others) { /* blocking, and never seen before */
  struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  char text[64];
  gos_addr at;
  int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK_EQ(bind(l, (struct sockaddr *)&in, sizeof in), 0);
  CHECK_EQ(listen(l, 5), 0);
  CHECK_EQ(gos_accept(l, gos_now() + MS), GOS_TIMEDOUT);
  CHECK_EQ(gos_local_addr(l, &at), GOS_OK);
  gos_addr_text(&at, text, sizeof text);
  int a = gos_dial("tcp", text, GOS_FOREVER), b = gos_accept(l, GOS_FOREVER);
  CHECK(a >= 0 && b >= 0);
  CHECK_EQ(gos_write(b, "x", 1, GOS_FOREVER), 1);
  CHECK_EQ(gos_read(a, text, 1, GOS_FOREVER), 1);
  closes(a), closes(b), closes(l);
}

TEST(dial_errors) {
  char nowhere[64];
  int l = listens(nowhere, sizeof nowhere);
  closes(l);
  CHECK_EQ(gos_dial("tcp", nowhere, GOS_FOREVER), GOS_SYS(ECONNREFUSED));
  CHECK_EQ(gos_dial("telegraph", nowhere, GOS_FOREVER), GOS_INVAL);
  CHECK_EQ(gos_dial(NULL, nowhere, GOS_FOREVER), GOS_INVAL);
  CHECK_EQ(gos_dial("tcp", "nocolon", GOS_FOREVER), GOS_INVAL);
  CHECK_EQ(gos_listen("tcp", "127.0.0.1:65536", 0), GOS_INVAL); /* the resolver would make 0 of it */
  CHECK_EQ(gos_dial("tcp", "127.0.0.1:4294967297", GOS_FOREVER), GOS_INVAL);
  CHECK_EQ(gos_dial("tcp", "::1:80", GOS_FOREVER), GOS_INVAL);
  CHECK_EQ(gos_dial("tcp", "127.0.0.1:noservice", GOS_FOREVER), GOS_INVAL);
  CHECK_EQ(gos_dial("tcp4", "[::1]:80", GOS_FOREVER), GOS_SYS(EHOSTUNREACH));
  CHECK_EQ(gos_dial("tcp", "bad name:80", GOS_FOREVER), GOS_NOHOST);
  CHECK_EQ(gos_listen("tcp", "127.0.0.1:0", -1), GOS_INVAL);
  CHECK_EQ(gos_socketpair("tcp", ends), GOS_INVAL);
  CHECK_EQ(gos_pipe(NULL), GOS_INVAL);
}
TEST(lookup_gives_all_addresses) {
  gos_addr a[4];
  char text[64];
  CHECK_EQ(gos_lookup("tcp4", "127.0.0.1:80", a, 4, GOS_NOW), 1);
  CHECK(gos_addr_text(&a[0], text, sizeof text) > 0);
  CHECK(strcmp(text, "127.0.0.1:80") == 0);
  int n = gos_lookup("tcp", "localhost:80", a, 1, GOS_FOREVER);
  CHECK(n >= 1);
  CHECK_EQ(gos_lookup("tcp", "localhost:80", a, 1, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_lookup("unix", "/some/path", a, 4, GOS_NOW), 1);
  CHECK_EQ(gos_lookup("tcp", "localhost:80", a, 0, GOS_FOREVER), GOS_INVAL);
  CHECK_EQ(gos_lookup("tcp", "localhost:80", NULL, 4, GOS_FOREVER), GOS_INVAL);
}
TEST(names_are_resolved) {
  char local[64], text[64];
  gos_addr a;
  int l = listens(address, sizeof address);
  snprintf(local, sizeof local, "localhost:%d", gos_local_port(l));
  CHECK_EQ(gos_resolve("tcp4", "127.0.0.1:80", &a, GOS_NOW), GOS_OK);
  CHECK_EQ(gos_addr_text(&a, text, sizeof text), strlen("127.0.0.1:80"));
  CHECK_EQ(gos_resolve("tcp", local, &a, GOS_NOW), GOS_WOULDBLOCK);
  int c = gos_dial("tcp4", local, GOS_FOREVER);
  CHECK(c >= 0);
  closes(c);
  c = gos_dial("tcp4", strrchr(local, ':'), GOS_FOREVER); /* no host: this one */
  CHECK(c >= 0);
  closes(c), closes(l);
  l = gos_listen("tcp", ":0", 0);
  CHECK(l >= 0);
  snprintf(local, sizeof local, "127.0.0.1:%d", gos_local_port(l));
  c = gos_dial("tcp", local, GOS_FOREVER);
  CHECK(c >= 0);
  closes(c), closes(l);
}

/* Nobody accepts, and the queue of the listener is full: a dial waits until its deadline. */
TEST(dial_deadline) {
  int l = gos_listen("tcp", "127.0.0.1:0", 1), c[16], n = 0;
  char to[64];
  snprintf(to, sizeof to, "127.0.0.1:%d", gos_local_port(l));
  while (n < 16 && (c[n] = gos_dial("tcp", to, gos_now() + 50 * MS)) >= 0) n++;
  CHECK(n < 16);
  CHECK_EQ(c[n], GOS_TIMEDOUT);
  while (n-- > 0) closes(c[n]);
  closes(l);
}

/* ---- limits ------------------------------------------------------------------------------------------ */
TEST(no_descriptors_left) {
  struct rlimit l;
  int listener = listens(address, sizeof address), a = gos_dial("tcp", address, GOS_FOREVER);
  CHECK_EQ(gos_read(a, address, 1, gos_now() + MS), GOS_TIMEDOUT);
  CHECK_EQ(getrlimit(RLIMIT_NOFILE, &l), 0);
  rlim_t was = l.rlim_cur;
  l.rlim_cur = 3;
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &l), 0);
  CHECK_EQ(gos_accept(listener, GOS_FOREVER), GOS_SYS(EMFILE));
  CHECK_EQ(gos_dial("tcp", "127.0.0.1:9", GOS_FOREVER), GOS_SYS(EMFILE));
  CHECK_EQ(gos_pipe(ends), GOS_SYS(EMFILE));
  l.rlim_cur = was;
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &l), 0);
  int b = gos_accept(listener, GOS_FOREVER);
  CHECK(b >= 0);
  closes(a), closes(b), closes(listener);
}

TEST(descriptors_close_on_exec) {
  bool before[100];
  char c;
  for (int fd = 3; fd < 100; fd++) before[fd] = fcntl(fd, F_GETFD) >= 0;
  CHECK_EQ(gos_pipe(ends), GOS_OK);
  CHECK_EQ(gos_read(ends[0], &c, 1, gos_now() + MS), GOS_TIMEDOUT); /* the poller is open */
  for (int fd = 3; fd < 100; fd++) {
    int flags = before[fd] ? -1 : fcntl(fd, F_GETFD);
    CHECK(flags < 0 || (flags & FD_CLOEXEC));
  }
}

/* ---- fork ------------------------------------------------------------------------------------------------ */
#if !TEST_TSAN /* it allows no new threads in the child of a threaded process */
static void child(void) {
  char c[8];
  int p[2];
  CHECK_EQ(gos_write(ends[1], "child", 5, GOS_FOREVER), 5); /* to itself: the parent's reader must not see it */
  CHECK_EQ(gos_pipe(p), GOS_OK);
  gos_g *g = spawn(reads_one, &p[0]);
  until_parked(g, "IO wait");
  CHECK_EQ(gos_write(p[1], "x", 1, GOS_FOREVER), 1);
  finish(g);
  CHECK_EQ(gos_fd_wait(p[0], GOS_READ, gos_now() + MS), GOS_TIMEDOUT);
  closes(p[0]), closes(p[1]);
  (void)c;
}
static void reads_five(void *arg) {
  char c[8];
  CHECK_EQ(gos_read(*(int *)arg, c, sizeof c, GOS_FOREVER), 5);
}
TEST(fork_has_a_poller_of_its_own) {
  int status = -1;
  CHECK_EQ(gos_socketpair("unix", ends), GOS_OK);
  gos_g *g = spawn(reads_five, &ends[0]);
  until_parked(g, "IO wait");
  pid_t pid = fork();
  if (!pid) {
    alarm(20);
    child();
    _exit(0);
  }
  finish(g); /* what the child wrote came to the shared socket */
  CHECK_EQ(waitpid(pid, &status, 0), pid);
  CHECK_EQ(status, 0);
  g = spawn(reads_one, &ends[0]);
  until_parked(g, "IO wait");
  CHECK_EQ(gos_write(ends[1], "x", 1, GOS_FOREVER), 1);
  finish(g);
}
#endif
