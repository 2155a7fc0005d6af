/* How many Ps there are, and how many threads there may be: changed while goroutines run. L3.
 *
 * A P whose number is nprocs or more retires: it is not woken or stolen from any more, and the thread that has it
 * gives it up when it next looks; the monitor takes it from one that does not look. Its queue then goes to the
 * global one, its caches to the common ones. Nobody waits for that, and the world is not stopped.
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include "sched/sched.h"

/* Guards the steps between retired and not; not a spin lock, as memory is asked for under it. Nobody parks with it. */
static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;

void gosi_procs_after_fork(void) { pthread_mutex_init(&changing, NULL); }

static void empty_caches(gosi_p *p) {
  while (p->stacks) {
    gosi_fiber *f = p->stacks;
    p->stacks = f->next;
    gosi_stack_put(f);
  }
  p->nstacks = 0;
  if (p->credits) gosi_stack_give_credits(gosi_rt.cls, p->credits);
  p->credits = 0;
  gosi_gcache_empty(&p->gs);
}

void gosi_p_retire(gosi_p *p) {
  gosi_p_drain(p);
  empty_caches(p);
  pthread_mutex_lock(&changing);
  gosi_lock_take(&gosi_rt.lock);
  gosi_p_idle_locked(p);
  bool idle = p->state == P_IDLE; /* the number was raised meanwhile */
  gosi_lock_drop(&gosi_rt.lock);
  if (!idle) gosi_stack_drop_cache();
  pthread_mutex_unlock(&changing);
  if (idle && gosi_load(&gosi_rt.nglobal)) gosi_wake_p();
}

/* Ps [was, n) begin to work. [changing] */
static int raise_to(int n, int was) {
  int k = 0;
  gosi_lock_take(&gosi_rt.lock);
  for (int i = was; i < n; i++) k += gosi_rt.ps[i].state == P_RETIRED;
  gosi_lock_drop(&gosi_rt.lock);
  if (k > 0 && !gosi_stack_add_caches(gosi_rt.cls, k)) return GOS_NOMEM;
  for (int i = gosi_rt.nps; i < n; i++) gosi_rt.ps[i].id = i;
  if (n > gosi_rt.nps) gosi_store_release(&gosi_rt.nps, n); /* pairs with the loads in sysmon.c and dump.c */
  gosi_lock_take(&gosi_rt.lock);
  gosi_store_release(&gosi_rt.nprocs, n);
  for (int i = n; i-- > was;) /* one that is being given up, but not yet, stays */
    if (gosi_rt.ps[i].state == P_RETIRED) gosi_p_idle_locked(&gosi_rt.ps[i]);
  gosi_lock_drop(&gosi_rt.lock);
  return GOS_OK;
}

/* Ps [n, was) stop: the idle ones, linked, are the caller's to retire. */
static gosi_p *lower_to(int n) {
  gosi_p *out = NULL, **at = &gosi_rt.idle_ps;
  gosi_lock_take(&gosi_rt.lock);
  gosi_store(&gosi_rt.nprocs, n);
  for (gosi_p *p; (p = *at);) {
    if (p->id < n) {
      at = &p->link;
      continue;
    }
    *at = p->link;
    gosi_store(&gosi_rt.nidle_ps, gosi_rt.nidle_ps - 1);
    p->state = P_TAKEN;
    p->link = out;
    out = p;
  }
  gosi_lock_drop(&gosi_rt.lock);
  return out;
}

int gos_gomaxprocs(int n) {
  gosi_p *out = NULL;
  if (n > 1) gosi_solo_end();
  gosi_enter();
  if (n > PS_MAX) n = PS_MAX;
  if (n <= 0) {
    n = gosi_load(&gosi_rt.nprocs);
    gosi_leave();
    return n;
  }
  pthread_mutex_lock(&changing);
  int was = gosi_load(&gosi_rt.nprocs), e = GOS_OK;
  if (n > was) e = raise_to(n, was);
  if (n < was) out = lower_to(n);
  pthread_mutex_unlock(&changing);
  for (gosi_p *p; (p = out);) {
    out = p->link;
    gosi_p_retire(p);
  }
  if (n != was && !e) {
    if (gosi_load(&gosi_rt.nglobal)) gosi_wake_p();
    gosi_sysmon_wake(); /* it spreads what waits, and takes Ps that retire */
  }
  gosi_leave();
  return e ? e : was;
}

int gos_set_max_threads(int n) {
  gosi_enter();
  gosi_lock_take(&gosi_rt.lock);
  int was = gosi_rt.maxthreads;
  if (n > 0) gosi_store(&gosi_rt.maxthreads, n);
  gosi_lock_drop(&gosi_rt.lock);
  gosi_leave();
  return was;
}
