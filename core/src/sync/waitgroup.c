/* WaitGroup. L4.
 * n: the counter times two, plus one while someone may be waiting. Whoever brings the counter
 * to zero and sees the bit wakes everybody, but does not touch *wg again: a waiter may have seen
 * the zero itself and given the memory back. So the waiters clear the bit, and look again when
 * woken: the wake may have been meant for an earlier group at the same address.
 * SPDX-License-Identifier: Apache-2.0 */
#include "sync/lot.h"

static NOINLINE void wake_all(const void *wg) {
  gosi_m *m = gosi_enter();
  gos_g *woken = NULL, **tail = &woken;
  gosi_bucket *b = gosi_lot_lock(wg);
  for (gosi_waiter *w; (w = gosi_lot_take(b, wg));) {
    *tail = w->g;
    tail = &w->g->next;
  }
  *tail = NULL;
  gosi_guard_drop(&b->lock);
  if (woken) gosi_ready_list(m, woken);
  gosi_leave_m(m);
}

int gos_waitgroup_add(gos_waitgroup *wg, int64_t n) {
  if (n > INT64_MAX / 4 || n < -(INT64_MAX / 4)) return GOS_INVAL;
  int64_t now = __atomic_add_fetch(&wg->n, 2 * n, __ATOMIC_ACQ_REL);
  if (unlikely(now < 0)) { /* negative counter */
    gosi_sub(&wg->n, 2 * n);
    return GOS_INVAL;
  }
  if (unlikely(now == 1)) wake_all(wg);
  return GOS_OK;
}

int gos_waitgroup_done(gos_waitgroup *wg) { return gos_waitgroup_add(wg, -1); }

static NOINLINE JUMPS_BACK int wait_slow(gos_waitgroup *wg, gos_ns deadline) {
  if (gosi_cannot_enter()) return GOS_NOMEM;
  gosi_m *m = gosi_enter();
  int e = GOS_OK;
  while (!e) {
    gosi_waiter w;
    gosi_bucket *b = gosi_lot_lock(wg);
    if (gosi_or(&wg->n, 1) < 2) { /* zero */
      gosi_guard_drop(&b->lock);
      break;
    }
    e = gosi_lot_wait(m, b, &w, wg, false, WAIT_WAITGROUP, deadline);
    m = gosi_self_m();
  }
  if (!e) gosi_cas(&wg->n, (int64_t)1, (int64_t)0);
  gosi_leave();
  return e;
}

int gos_waitgroup_wait_dl(gos_waitgroup *wg, gos_ns deadline) {
  if (gosi_load_acquire(&wg->n) < 2) return GOS_OK;
  return deadline == GOS_NOW ? GOS_WOULDBLOCK : wait_slow(wg, deadline);
}

int gos_waitgroup_wait(gos_waitgroup *wg) { return gos_waitgroup_wait_dl(wg, GOS_FOREVER); }

/* The deferred done is part of the job, so that it cannot fail for want of memory once fn was
   promised to run: without it a gos_goexit() in fn would leave the counter up for ever. */
struct job {
  gosi_defer done; /* first: whoever runs it frees the job */
  gos_waitgroup *wg;
  void (*fn)(void *);
  void *arg;
};
static void job_done(void *arg) { gos_waitgroup_done(arg); }
static void job_run(void *arg) {
  struct job *j = arg;
  gosi_defer_push(&j->done, job_done, j->wg);
  j->done.framed = false;
  j->fn(j->arg);
}

int gos_waitgroup_go(gos_waitgroup *wg, void (*fn)(void *), void *arg) {
  if (!fn) return GOS_INVAL;
  if (gosi_cannot_enter()) return GOS_NOMEM;
  struct job *j = gosi_alloc(sizeof *j);
  if (!j) return GOS_NOMEM;
  *j = (struct job){.wg = wg, .fn = fn, .arg = arg};
  int e = gos_waitgroup_add(wg, 1);
  if (!e) {
    gosi_m *m = gosi_enter();
    e = gosi_spawn(m, NULL, job_run, j, __builtin_return_address(0), NULL);
    gosi_leave_m(m);
    if (e) gos_waitgroup_done(wg);
  }
  if (e) gosi_free(j);
  return e;
}
