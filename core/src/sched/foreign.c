/* Foreign threads: any thread that calls in and is not the runtime's own. It has a G, so
 * that channels and locks need no second kind of waiter, and sleeps on a futex or
 * in the poller. L3.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "sched/realm.h"
#include "sched/sched.h"

static pthread_key_t key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static void thread_ends(void *arg) {
  gosi_m *m = arg;
  gosi_tls_m = NULL;
  if (!m->foreign) return; /* its realm was closed, but has not ended */
  gosi_lock_take(&gosi_rt.lock);
  gosi_rt.nthreads--;
  gosi_rt.nforeign--;
  gosi_lock_drop(&gosi_rt.lock);
  gosi_store(&m->foreign_g->status, (uint8_t)G_DEAD);
  gosi_g_unref(NULL, m->foreign_g);
  gosi_free(m);
}
static void make_key(void) { pthread_key_create(&key, thread_ends); }

static gosi_m *foreign_new(void) {
  pthread_once(&key_once, make_key);
  gosi_solo_end();
  gosi_m *m = gosi_m_new();
  gos_g *g = m ? gosi_g_new(NULL) : NULL;
  if (!g) {
    gosi_free(m);
    return NULL;
  }
  gosi_store(&g->flags, (uint8_t)GF_FOREIGN);
  g->m = m;
  gosi_store(&g->id, (uint64_t)0);
  gosi_store(&g->creator, (uint64_t)0);
  gosi_store(&g->status, (uint8_t)G_RUNNING);
  m->foreign = true;
  m->cur = m->foreign_g = g;
  return m;
}
/* False, and not counted: there are as many threads as there may be. */
static bool count(int d, int limit) {
  gosi_lock_take(&gosi_rt.lock);
  bool may = gosi_rt.nthreads < limit;
  if (may) {
    gosi_rt.nthreads += d;
    gosi_rt.nforeign += d;
  }
  gosi_lock_drop(&gosi_rt.lock);
  return may;
}
static void adopt(gosi_m *m) {
  gosi_store(&m->tid, gosi_os_tid());
  gosi_tls_m = m;
  pthread_setspecific(key, m);
}

/* The first call of a thread. NULL: no memory. */
gosi_m *gosi_foreign_attach(void) {
  gosi_m *m = foreign_new();
  if (!m) return NULL;
  adopt(m);
  count(1, INT_MAX);
  return m;
}

/* ---- threads for further realms --------------------------------------------------------- */
typedef struct start {
  gosi_m *m;
  void (*fn)(void *);
  void *arg;
  char name[16];
} start;

static void *thread_main(void *arg) {
  start s = *(start *)arg;
  gosi_free(arg);
  adopt(s.m);
  gosi_os_name_thread(s.name);
  gosi_os_alt_stack();
  s.fn(s.arg);
  gosi_os_alt_stack_free();
  return NULL;
}

/* It is counted from here on: until it has begun nothing else tells that somebody will come. */
int gos_host_thread(const char *name, size_t stack, void (*fn)(void *), void *arg) {
  if (!fn) return GOS_INVAL;
  if (gosi_cannot_enter()) return GOS_NOMEM;
  gosi_leave_m(gosi_enter());
  start *s = gosi_alloc(sizeof *s);
  gosi_m *m = s ? foreign_new() : NULL;
  if (!m) {
    gosi_free(s);
    return GOS_NOMEM;
  }
  *s = (start){.m = m, .fn = fn, .arg = arg};
  snprintf(s->name, sizeof s->name, "%s", name ? name : "gossamer-host");
  int e = GOS_SYS(EAGAIN);
  if (count(1, gosi_load(&gosi_rt.maxthreads))) {
    e = gosi_os_thread(thread_main, s, stack ? stack : 1 << 20);
    if (e == GOS_OK) return GOS_OK;
    count(-1, INT_MAX);
  }
  gosi_store(&m->foreign_g->status, (uint8_t)G_DEAD);
  gosi_g_unref(NULL, m->foreign_g);
  gosi_free(m);
  gosi_free(s);
  return e;
}

static gosi_m *try_attach(void) {
  if (gosi_load_acquire(&gosi_rt.started) != 2) gos_init(NULL);
  if (gosi_tls_m) return gosi_tls_m;
  return gosi_load_acquire(&gosi_rt.started) == 2 ? gosi_foreign_attach() : NULL;
}

bool gosi_attach_fails(void) { return !try_attach(); }

/* Some calls have no way to say that they lack the kilobyte this takes; so it is waited for a
   while: a shortage passes, an abort does not. */
gosi_m *gosi_attach(void) {
  enum { PATIENCE = 5000 /* ms */ };
  for (int i = 0; i < PATIENCE; i++) {
    gosi_m *m = try_attach();
    if (m) return m;
    gosi_os_nap(1000000);
  }
  gosi_fatal("no memory for a thread's first call");
}

/* A woken thread is awake from the moment it is woken, not when it gets a CPU. */
static void count_awake(int d, int due) {
  gosi_lock_take(&gosi_rt.lock);
  gosi_rt.nforeign += d;
  gosi_rt.ndue += due;
  gosi_lock_drop(&gosi_rt.lock);
}

void gosi_foreign_park(gosi_m *m) {
  gos_g *g = m->cur;
  gos_realm *r = m->realm;
  gos_ns until = g->timer.when; /* gosi_wait sets it for us */
  bool due = until != GOS_FOREVER;
  count_awake(-1, due);
  if (!gosi_load_acquire(&m->wake)) {
    if (r && r->host.detach) r->host.detach(r->host.u, m->host);
    while (!gosi_load_acquire(&m->wake)) { /* pairs with the store in gosi_foreign_ready */
      gos_g *ready;
      int e = gosi_m_wait(m, until, &ready);
      if (ready) gosi_ready_list(m, ready); /* perhaps this one */
      bool look = e == GOS_AGAIN && r && r->host.pending && r->host.pending(r->host.u);
      if (e != GOS_TIMEDOUT && !look) continue;
      until = GOS_FOREVER;
      if (!gosi_cas(&g->claim, 0u, 1u)) continue; /* being woken as well */
      g->result = look ? GOS_AGAIN : GOS_TIMEDOUT;
      count_awake(1, 0);
      break;
    }
    if (r && r->host.attach) r->host.attach(r->host.u, m->host);
  }
  if (due) count_awake(0, -1);
  gosi_store(&m->wake, 0u);
  gosi_store(&g->status, (uint8_t)G_RUNNING);
  if (gosi_load(&gosi_rt.nfds)) gosi_sysmon_nudge(); /* it may have left the poller */
}

void gosi_foreign_ready(gos_g *g) {
  count_awake(1, 0);
  gosi_m_wake(g->m);
}
