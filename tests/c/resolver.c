// ctest: timeout=60
/* Names, with a resolver of the test's own: its answers and failures, and how addresses are tried in turn.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <errno.h>
#include <gossamer/net.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* ---- the resolver: takes getaddrinfo's place for the library as well ------------------------------ */
enum { MOST = 8 };
static int answer; /* EAI_*: what it says to a name; addresses of numbers it always knows */
static int answer_errno;
static unsigned short ports[MOST]; /* one address of 127.0.0.1 for each */
static int naddresses;
static atomic_int asked, given;
static gos_chan *slow; /* it answers only once this is closed */

static struct addrinfo *one(unsigned short port, int socktype, struct addrinfo *next) {
  struct addrinfo *a = calloc(1, sizeof *a + sizeof(struct sockaddr_in));
  struct sockaddr_in *in = (struct sockaddr_in *)(a + 1);
  in->sin_family = AF_INET;
  in->sin_port = htons(port);
  in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  *a = (struct addrinfo){.ai_family = AF_INET, .ai_socktype = socktype, .ai_addrlen = sizeof *in, .ai_next = next};
  a->ai_addr = (struct sockaddr *)in;
  given++;
  return a;
}
__attribute__((visibility("default"))) int getaddrinfo(const char *host, const char *service,
                                                       const struct addrinfo *hints, struct addrinfo **out) {
  bool number = !host || (host[0] >= '0' && host[0] <= '9');
  *out = NULL;
  if (!number && (hints->ai_flags & AI_NUMERICHOST)) return EAI_NONAME;
  if (number) {
    *out = one((unsigned short)atoi(service), hints->ai_socktype, NULL);
    return 0;
  }
  asked++;
  if (slow) CHECK_EQ(gos_chan_recv(slow, NULL), GOS_CLOSED);
  errno = answer_errno;
  if (answer) return answer;
  for (int i = naddresses; i-- > 0;) *out = one(ports[i], hints->ai_socktype, *out);
  return 0;
}
__attribute__((visibility("default"))) void freeaddrinfo(struct addrinfo *a) {
  for (struct addrinfo *next; a; a = next) {
    next = a->ai_next;
    given--;
    free(a);
  }
}
static void resolver(int what, int n) {
  answer = what;
  naddresses = n;
}

/* ---- tests ------------------------------------------------------------------------------------------ */
TEST(what_the_resolver_says) {
  static const struct {
    int says, err, want;
  } cases[] = {{EAI_MEMORY, 0, GOS_NOMEM},   {EAI_AGAIN, 0, GOS_SYS(EAGAIN)}, {EAI_SYSTEM, EMFILE, GOS_SYS(EMFILE)},
               {EAI_NONAME, 0, GOS_NOHOST},  {EAI_NODATA, 0, GOS_NOHOST},     {EAI_SERVICE, 0, GOS_INVAL},
               {EAI_SOCKTYPE, 0, GOS_INVAL}, {EAI_BADFLAGS, 0, GOS_INVAL},    {EAI_FAMILY, 0, GOS_SYS(EHOSTUNREACH)}};
  gos_addr a;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    resolver(cases[i].says, 0);
    answer_errno = cases[i].err;
    CHECK_EQ(gos_resolve("tcp", "name:1", &a, GOS_FOREVER), cases[i].want);
    CHECK_EQ(gos_dial("tcp", "name:1", GOS_FOREVER), cases[i].want);
    CHECK_EQ(gos_listen("tcp", "name:1", 0), cases[i].want);
    CHECK_EQ(gos_lookup("udp", "name:1", &a, 1, gos_now() + 60000 * MS), cases[i].want);
  }
  CHECK_EQ(asked, 4 * 9);
  CHECK_EQ(gos_resolve("tcp", "name:1", &a, GOS_NOW), GOS_WOULDBLOCK); /* it is not even asked */
  CHECK_EQ(asked, 4 * 9);
  while (gos_num_goroutine() > 1) gos_gosched();
  CHECK_EQ(given, 0);
}

TEST(a_name_without_addresses) {
  gos_addr a;
  resolver(0, 0);
  CHECK_EQ(gos_dial("tcp", "name:1", GOS_FOREVER), GOS_SYS(EHOSTUNREACH));
  CHECK_EQ(gos_listen("tcp", "name:1", 0), GOS_SYS(EHOSTUNREACH));
  CHECK_EQ(gos_lookup("tcp", "name:1", &a, 1, GOS_FOREVER), GOS_SYS(EHOSTUNREACH));
  CHECK_EQ(gos_resolve("udp", "name:1", &a, GOS_FOREVER), GOS_SYS(EHOSTUNREACH));
  while (gos_num_goroutine() > 1) gos_gosched();
}

TEST(all_addresses_are_given) {
  gos_addr a[MOST];
  char text[64], want[64];
  resolver(0, 5);
  for (int i = 0; i < 5; i++) ports[i] = (unsigned short)(100 + i);
  CHECK_EQ(gos_lookup("tcp", "name:1", a, MOST, GOS_FOREVER), 5);
  for (int i = 0; i < 5; i++) {
    CHECK(gos_addr_text(&a[i], text, sizeof text) > 0);
    snprintf(want, sizeof want, "127.0.0.1:%d", 100 + i);
    CHECK(!strcmp(text, want));
  }
  memset(a, 0, sizeof a);
  CHECK_EQ(gos_lookup("tcp", "name:1", a, 2, GOS_FOREVER), 5); /* so many there are, and two are here */
  CHECK(a[1].len > 0 && a[2].len == 0);
  while (gos_num_goroutine() > 1) gos_gosched();
  CHECK_EQ(given, 0);
}

static unsigned short deaf_port(void) { /* nobody listens there any more */
  int fd = gos_listen("tcp", "127.0.0.1:0", 0), port = gos_local_port(fd);
  CHECK_EQ(gos_close(fd), GOS_OK);
  return (unsigned short)port;
}

/* The first that answers is taken, whatever place it has; if none does, the first error is the result. */
TEST(addresses_are_tried_in_turn) {
  int l = gos_listen("tcp", "127.0.0.1:0", 0);
  unsigned short open = (unsigned short)gos_local_port(l), deaf = deaf_port();
  CHECK(l >= 0);
  for (int at = 0; at < 4; at++) {
    resolver(0, 4);
    for (int i = 0; i < 4; i++) ports[i] = i == at ? open : deaf;
    int fd = gos_dial("tcp", "name:1", at % 2 ? GOS_FOREVER : gos_now() + 60000 * MS), in = gos_accept(l, GOS_FOREVER);
    CHECK(fd >= 0 && in >= 0);
    gos_close(fd), gos_close(in);
  }
  gos_close(l);
  ports[2] = ports[3] = deaf_port();
  CHECK_EQ(gos_dial("tcp", "name:1", gos_now() + 60000 * MS), GOS_SYS(ECONNREFUSED));
  while (gos_num_goroutine() > 1) gos_gosched();
  CHECK_EQ(given, 0);
}

/* Who waits for the resolver may give up; the answer is then nobody's, and not lost memory either. */
static void resolves(void *arg) {
  gos_addr a;
  CHECK_EQ(gos_resolve("tcp", "name:1", &a, GOS_FOREVER), (intptr_t)arg);
}
TEST(the_question_is_given_up) {
  gos_addr a;
  gos_ctx *x = gos_with_cancel(NULL);
  resolver(0, 3);
  slow = gos_chan_make(0, 0);
  CHECK_EQ(gos_resolve("tcp", "name:1", &a, gos_now() + 2 * MS), GOS_TIMEDOUT);
  CHECK_EQ(gos_dial("tcp", "name:1", gos_now() + 2 * MS), GOS_TIMEDOUT);
  gos_g *g = spawn(resolves, (void *)(intptr_t)GOS_CANCELED);
  until_parked(g, "chan receive");
  CHECK_EQ(gos_interrupt(g), GOS_OK);
  finish(g);
  g = spawn(resolves, (void *)(intptr_t)GOS_OK);
  until_parked(g, "chan receive");
  gos_chan_close(slow);
  finish(g);
  gos_cancel(x, 0);
  CHECK_EQ(gos_resolve_ctx("tcp", "name:1", &a, x), GOS_CANCELED);
  CHECK_EQ(gos_resolve_ctx("tcp", "127.0.0.1:7", &a, NULL), GOS_OK);
  while (gos_num_goroutine() > 1) gos_gosched();
  CHECK_EQ(given, 0);
  gos_ctx_release(x);
  gos_chan_release(slow);
}

/* Listening at a name: the first of its addresses where it can be done. */
TEST(listening_at_a_name) {
  resolver(0, 2);
  int taken = gos_listen("tcp", "127.0.0.1:0", 0);
  ports[0] = (unsigned short)gos_local_port(taken), ports[1] = 0;
  int l = gos_listen("tcp", "name:1", 3);
  CHECK(l >= 0);
  CHECK(gos_local_port(l) > 0 && gos_local_port(l) != ports[0]);
  gos_close(l);
  resolver(0, 1);
  CHECK_EQ(gos_listen("tcp", "name:1", 0), GOS_SYS(EADDRINUSE));
  gos_close(taken);
}
