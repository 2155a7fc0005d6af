/* The parking lot. L4. SPDX-License-Identifier: Apache-2.0 */
#include "sync/lot.h"
#include <string.h>

enum { BUCKETS = GOSI_EXPLORE ? 4 : 1024 };
static struct { gosi_bucket b; } __attribute__((aligned(64))) lot[BUCKETS];

gosi_bucket *gosi_lot_lock(const void *key) {
  uint64_t h = (uint64_t)(uintptr_t)key * 0x9E3779B97F4A7C15ull;
  gosi_bucket *b = &lot[(h >> 54) % BUCKETS].b;
  gosi_guard_take(&b->lock);
  return b;
}

static void after_fork(void) { memset(lot, 0, sizeof lot); /* who waits is not in the child */ }
__attribute__((constructor)) static void install(void) { gosi_lot_after_fork = after_fork; }

static void put_front(gosi_waitq *q, gosi_waiter *w) {
  w->prev = NULL;
  w->next = q->head;
  w->queued = true;
  if (q->head)
    q->head->prev = w;
  else
    q->tail = w;
  q->head = w;
}

/* On a result other than GOS_OK w may still be queued. */
static JUMPS_BACK int sleep_locked(gosi_m *m, gosi_bucket *b, gosi_waiter *w, unsigned reason, gos_ns deadline) {
  gos_g *g = m->cur;
  w->g = g;
  w->mode = gosi_claim_mode(g, deadline);
  gosi_prepare(m, g, reason);
  bool sleep = gosi_arm(w, deadline);
  gosi_guard_drop(&b->lock);
  if (sleep) gosi_park(m);
  return w->mode == CLAIM_NONE ? GOS_OK : gosi_disarm(g, deadline);
}

JUMPS_BACK int gosi_lot_sleep(gosi_m *m, gosi_bucket *b, gosi_waiter *w, unsigned reason, gos_ns deadline) {
  int e = sleep_locked(m, b, w, reason, deadline);
  if (e) {
    gosi_guard_take(&b->lock);
    gosi_waitq_remove(&b->q, w);
    gosi_guard_drop(&b->lock);
  }
  return e;
}

JUMPS_BACK int gosi_lot_nap(gosi_m *m, gosi_bucket *b, gosi_waiter *w, unsigned reason, gos_ns deadline) {
  int e = sleep_locked(m, b, w, reason, deadline);
  if (e) {
    gosi_guard_take(&b->lock);
    w->ok = !w->queued; /* whoever passed it over may have found nobody else */
    w->g = NULL;
    w->mode = CLAIM_NONE;
    gosi_guard_drop(&b->lock);
  }
  return e;
}

JUMPS_BACK int gosi_lot_wait(gosi_m *m, gosi_bucket *b, gosi_waiter *w, const void *key, bool front, unsigned reason,
                             gos_ns deadline) {
  w->key = key;
  w->ok = false;
  if (front)
    put_front(&b->q, w);
  else
    gosi_waitq_put(&b->q, w);
  return gosi_lot_sleep(m, b, w, reason, deadline);
}

void gosi_lot_reserve(gosi_bucket *b, gosi_waiter *w, const void *key) {
  w->g = NULL;
  w->key = key;
  w->ok = false;
  w->mode = CLAIM_NONE;
  gosi_waitq_put(&b->q, w);
}

gosi_waiter *gosi_lot_take(gosi_bucket *b, const void *key) {
  for (gosi_waiter *w = b->q.head, *next; w; w = next) {
    next = w->next;
    if (w->key != key) continue;
    gosi_waitq_remove(&b->q, w);
    if (gosi_claim(w)) return w;
  }
  return NULL;
}

uint32_t gosi_lot_take_all(gosi_bucket *b, const void *key, gos_g ***tail) {
  uint32_t n = 0;
  for (gosi_waiter *w = b->q.head, *next; w; w = next) {
    next = w->next;
    if (w->key != key) continue;
    gosi_waitq_remove(&b->q, w);
    if (!gosi_claim(w)) continue;
    w->ok = true;
    n++;
    if (!w->g) continue;
    **tail = w->g;
    *tail = &w->g->next;
  }
  return n;
}
