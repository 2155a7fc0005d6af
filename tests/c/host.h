/* A host language for tests of realms: its lock is a semaphore, its states are counted, and every callback checks
 * that it is called as host.h promises. Works with the CHECKs of test.h and of faults.h.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSSAMER_TEST_HOST_H
#define GOSSAMER_TEST_HOST_H
#include <gossamer/host.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct host_state {
  struct host *h;
  char *lo, *hi; /* of a fiber */
  struct host_state *next;
} host_state;

static struct host {
  gos_host vt;
  gos_realm *realm;
  sem_t lock;              /* not a mutex: it is given up by another goroutine than the one that took it */
  host_state *_Atomic cur; /* the state that has the lock, NULL: free */
  host_state main;
  host_state *pool; /* states given back: stuck() may still look at them */
  int fibers, freed;
  atomic_int threads, asked_stuck;
  atomic_bool signal; /* pending() says so */
  atomic_bool not_alone, no_fibers, no_threads;
  atomic_int failed_starts;
  gos_g *_Atomic tied; /* this one is tied to its thread whenever it waits */
} host;
__attribute__((constructor)) static void host_init(void) { sem_init(&host.lock, 0, 1); }

static void host_attach(void *u, void *state) {
  struct host *h = u;
  while (sem_wait(&h->lock)) {}
  CHECK(!h->cur && state);
  h->cur = state;
}
static void host_detach(void *u, void *state) {
  struct host *h = u;
  CHECK(h->cur == state);
  h->cur = NULL;
  sem_post(&h->lock);
}
static host_state *host_state_new(struct host *h) {
  static host_state store[1024];
  static atomic_int n;
  int i = n++;
  CHECK(i < 1024);
  store[i].h = h;
  return &store[i];
}
static void *host_thread_new(void *u) {
  struct host *h = u;
  if (h->no_threads) return NULL;
  host_state *s = host_state_new(h);
  h->threads++;
  return s;
}
/* What the host keeps on each stack, above what its goroutine uses. */
static const char kept[64] = "the host's own until fiber_free";
static void *host_fiber_new(void *u, char *lo, char **hi) {
  struct host *h = u;
  CHECK(h->cur && lo < *hi);
  *hi -= sizeof kept;
  memcpy(*hi, kept, sizeof kept);
  host_state *s = h->no_fibers ? NULL : h->pool;
  if (h->no_fibers) return NULL;
  if (s)
    h->pool = s->next;
  else
    s = host_state_new(h);
  *s = (host_state){h, lo, *hi, NULL};
  h->fibers++;
  return s;
}
static void host_fiber_free(void *u, void *state) {
  struct host *h = u;
  host_state *s = state;
  CHECK(h->cur && h->cur != s && s->h == h);
  CHECK(memcmp(s->hi, kept, sizeof kept) == 0);
  s->next = h->pool;
  h->pool = s;
  h->freed++;
}
static void host_swap(void *u, void *from, void *to) {
  struct host *h = u;
  CHECK(h->cur == from && to);
  h->cur = to;
}
static int host_stuck(void *u, void *state, gos_ns age) {
  struct host *h = u;
  h->asked_stuck++;
  return h->cur != state || age > 5000000; /* it gave the lock up, or computes for long */
}
static int host_pending(void *u) { return ((struct host *)u)->signal; }
static int host_alone(void *u) { return !((struct host *)u)->not_alone; }
static void host_start_failed(void *u, void *arg) {
  struct host *h = u;
  CHECK(h->cur);
  (void)arg;
  h->failed_starts++;
}
static void host_site(void *u, void *arg, char *buf, size_t n) {
  (void)u;
  snprintf(buf, n, "script:%d", arg ? 12 : 0);
}
static int host_tied(void *u, void *state) {
  struct host *h = u;
  CHECK(h->cur == state);
  return gos_self() == h->tied;
}

/* The calling thread becomes the home of a realm, with the lock held. */
static inline gos_realm *host_start(unsigned flags, int *err) {
  host.vt = (gos_host){.size = sizeof(gos_host),
                       .flags = flags,
                       .language = "test",
                       .u = &host,
                       .main_state = &host.main,
                       .thread_new = host_thread_new,
                       .attach = host_attach,
                       .detach = host_detach,
                       .fiber_new = host_fiber_new,
                       .fiber_free = host_fiber_free,
                       .swap = host_swap,
                       .stuck = host_stuck,
                       .pending = host_pending,
                       .alone = host_alone,
                       .start_failed = host_start_failed,
                       .site = host_site,
                       .tied = host_tied};
  host.main.h = &host;
  if (!host.cur) host_attach(&host, &host.main);
  return host.realm = gos_realm_new(&host.vt, err);
}

/* Around code of the running goroutine that does not need the host: the lock is another's meanwhile. */
static inline host_state *host_release(void) {
  host_state *s = host.cur;
  host_detach(&host, s);
  return s;
}
#endif
