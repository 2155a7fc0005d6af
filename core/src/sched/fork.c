/* After fork() the child has one thread, and keeps one goroutine: the one that forked. L3.
 *
 * The others are gone: their queue places are made unclaimable, so no value goes to them.
 * Buffered values stay, timers are cleared. Threads and the monitor are made again when they
 * are next needed, not here: most children only exec.
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include "sched/realm.h"
#include "sched/sched.h"
#include "stack/freeze.h"

void (*gosi_lot_after_fork)(void);

static void forget_g(gos_g *g, void *me) {
  if (g == me || g->status == G_DEAD) return;
  g->claim = 1;
  g->w.mode = CLAIM_ATOMIC; /* whoever meets it in a queue drops it */
  g->lock.word = 0;
  g->status = G_DEAD;
}

static void forget_p(gosi_p *p) {
  p->runnext = NULL;
  p->head = p->tail;
  p->bottom = p->top;
  p->m = NULL;
  p->state = P_RETIRED;
  p->link = NULL;
}

/* m: of the thread that forked; NULL: the runtime does not know it. */
static void keep_realm(gos_realm *r, gosi_m *m) {
  r->visitors = r->watched = 0;
  if (r->closed == REALM_ENDED) return;
  r->lock.word = 0;
  r->head = r->tail = r->inbox = NULL;
  r->nrun = 0;
  r->idle_ms = NULL;
  r->handing = r->kicking = 0;
  gosi_timers_forget(&r->timers);
  gosi_realm_forget_stacks(r);
  if (!m || m->realm != r || m->foreign) { /* none of its goroutines lives */
    r->closed = REALM_CLOSED;
    r->ended = r->created;
    return;
  }
  if (m->locked != m->cur) m->locked = NULL;
  r->locks = m->locked != NULL;
  r->home = r->owner = m;
  r->main = r->cur = m->cur;
  r->idle = REALM_BUSY;
  r->nms = r->awake = 1;
  r->created = r->promised;
  r->ended = 0;
  m->in_list = false;
  m->is_home = true;
}

static void in_child(void) {
  gosi_m *m = gosi_tls_m;
  gosi_freeze_after_fork(true);
  if (gosi_load(&gosi_rt.started) != 2) return;
  gosi_rt.lock.word = gosi_rt.interrupts.word = 0;
  gosi_stack_after_fork();
  gosi_g_after_fork();
  if (gosi_lot_after_fork) gosi_lot_after_fork();
  gosi_sysmon_after_fork();
  gosi_procs_after_fork();
  gosi_labels_after_fork();
  gosi_rt.poller = NULL;
  gosi_rt.nfds = 0;
  if (gosi_rt.netpoll.after_fork) gosi_rt.netpoll.after_fork();
  gosi_rt.global_head = gosi_rt.global_tail = NULL;
  gosi_rt.nglobal = gosi_rt.nspinning = 0;
  gosi_rt.idle_ms = gosi_rt.keeper = NULL;
  gosi_rt.nidle_ms = gosi_rt.nms = gosi_rt.nidle_ps = 0;
  gosi_rt.keeper_when = GOS_FOREVER;
  gosi_rt.idle_ps = NULL;
  gosi_rt.nthreads = m ? 1 : 0;
  gosi_rt.nforeign = m && m->foreign ? 1 : 0;
  gosi_rt.ndue = 0;
  gosi_timers_forget(&gosi_rt.timers);
  gosi_g_visit(forget_g, m ? m->cur : NULL);
  for (int i = gosi_rt.nps; i-- > 0;) {
    gosi_p *p = &gosi_rt.ps[i];
    forget_p(p);
    p->ended = p->created;
    if (m && m->p == p) {
      p->m = m;
      p->state = P_TAKEN;
      p->created++;
      continue;
    }
    if (i >= gosi_rt.nprocs) continue;
    p->state = P_IDLE;
    p->link = gosi_rt.idle_ps;
    gosi_rt.idle_ps = p;
    gosi_rt.nidle_ps++;
  }
  gosi_rt.foreign_ended = gosi_rt.foreign_created = 0;
  for (gos_realm *r = gosi_rt.realms; r; r = r->link) keep_realm(r, m);
  if (!m) return;
  m->tid = gosi_os_tid();
  if (!m->foreign && !m->is_home) gosi_os_users_signals(); /* it is the only thread, or execs: somebody must get them */
  m->wake = m->task = 0;
  m->next_g = NULL;
  m->handed = NULL;
  if (!m->realm && !m->foreign) {
    gosi_rt.nms = 1;
    if (!m->p) { /* it had lost its P to a thread that is gone: there are idle ones */
      m->lost = 1;
      gosi_rt.ps[0].created++;
    }
  }
  if (!m->foreign && m->cur) gosi_rt.main = m->cur;
}

static void in_parent(void) { gosi_freeze_after_fork(false); }

void gosi_fork_watch(void) { pthread_atfork(gosi_freeze_before_fork, in_parent, in_child); }
