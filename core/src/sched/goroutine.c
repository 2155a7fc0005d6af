/* The public calls on goroutines. L3. SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "sched/sched.h"

int gos_go(void (*fn)(void *), void *arg) {
  if (!fn) return GOS_INVAL;
  gosi_m *m = gosi_enter();
  int e = gosi_spawn(m, NULL, fn, arg, __builtin_return_address(0), NULL);
  gosi_leave_m(m);
  return e;
}

gos_g *gos_go_opts(const gos_go_options *o, void (*fn)(void *), void *arg, int *err) {
  gos_g *g = NULL;
  int e = GOS_INVAL;
  if (fn && (!o || o->size == sizeof *o)) {
    gosi_m *m = gosi_enter();
    e = gosi_spawn(m, o, fn, arg, __builtin_return_address(0), &g);
    gosi_leave_m(m);
  }
  if (err) *err = e;
  return e ? NULL : g;
}

void gos_release(gos_g *g) {
  if (!g) return;
  gosi_m *m = gosi_enter();
  gosi_g_unref(g->realm ? gosi_realm_cache(g->realm) : m->p ? &m->p->gs : NULL, g);
  gosi_leave_m(m);
}

int gos_join(gos_g *g, gos_ns deadline) {
  if (!g) return GOS_INVAL;
  if (!gos_g_alive(g)) {
    gosi_hb_after(g);
    return GOS_OK;
  }
  if (deadline == GOS_NOW) return GOS_WOULDBLOCK;
  gosi_m *m = gosi_enter();
  gos_g *me = m->cur;
  gosi_waiter w = {.g = me, .mode = gosi_claim_mode(me, deadline)};
  gosi_lock_take(&g->lock);
  if (gosi_load(&g->status) == G_DEAD) {
    gosi_hb_after(g);
    gosi_lock_drop(&g->lock);
    gosi_leave_m(m);
    return GOS_OK;
  }
  gosi_prepare(m, me, WAIT_JOIN);
  gosi_waitq_put(&g->joiners, &w);
  bool sleep = gosi_arm(&w, deadline);
  if (!sleep) gosi_waitq_remove(&g->joiners, &w);
  gosi_lock_drop(&g->lock);
  if (sleep) gosi_park(m);
  int e = w.mode != CLAIM_NONE ? gosi_disarm(me, deadline) : GOS_OK;
  if (e) {
    gosi_lock_take(&g->lock);
    gosi_waitq_remove(&g->joiners, &w);
    gosi_lock_drop(&g->lock);
  }
  gosi_leave();
  return e;
}

int gos_interrupt(gos_g *g) {
  if (!g) return GOS_INVAL;
  if (!gos_g_alive(g)) return GOS_CLOSED;
  gosi_m *m = gosi_enter();
  gosi_store_seq(&g->interrupted, (uint8_t)1); /* pairs with gosi_arm_slow */
  if (gosi_cas(&g->claim, 0u, 1u)) {
    gosi_store(&g->interrupted, (uint8_t)0);
    g->result = GOS_CANCELED;
    gosi_ready(m, g);
  }
  gosi_leave();
  return GOS_OK;
}

void gos_gosched(void) {
  gosi_m *m = gosi_enter();
  gos_g *g = m->cur;
  if (g->flags & GF_FOREIGN) {
    gosi_leave_m(m);
    usleep(0);
    return;
  }
  gosi_yield(m, g);
  gosi_leave();
}

int gos_sleep(gos_ns d) {
  gosi_m *m = gosi_enter();
  gos_g *g = m->cur;
  if (d <= 0) {
    gosi_leave_m(m);
    return GOS_OK;
  }
  gos_ns deadline = gosi_deadline(d);
  gosi_prepare(m, g, WAIT_SLEEP);
  if (gosi_arm_slow(g, deadline)) gosi_park(m);
  int e = gosi_disarm(g, deadline);
  gosi_leave();
  return e == GOS_TIMEDOUT ? GOS_OK : e;
}

/* ---- ends --------------------------------------------------------------------------------- */
void gos_goexit(void) {
  gosi_m *m = gosi_enter();
  gos_g *g = m->cur;
  if (g->flags & GF_FOREIGN) {
    gosi_leave_m(m);
    pthread_exit(NULL);
  }
  gosi_leave_m(m);
  gosi_g_run_defers(g);
  gosi_end(gosi_enter(), g);
}

int gos_defer(void (*fn)(void *), void *arg) {
  gosi_m *m = gosi_enter();
  gos_g *g = m->cur;
  gosi_leave_m(m);
  if (!fn) return GOS_INVAL;
  if (g->flags & GF_FOREIGN) return GOS_PERM;
  gosi_extra *x = gosi_g_extra(g);
  gosi_defer *d = x ? gosi_alloc(sizeof *d) : NULL;
  if (!d) return GOS_NOMEM;
  *d = (gosi_defer){x->defers, fn, arg};
  x->defers = d;
  return GOS_OK;
}

void gos_panic(const char *fmt, ...) {
  char text[1024];
  size_t n = 0;
  va_list ap;
  gosi_m *m = gosi_enter();
  gos_g *g = m->cur;
  gosi_leave_m(m);
  n += (size_t)snprintf(text, sizeof text, "panic: ");
  va_start(ap, fmt);
  int k = vsnprintf(text + n, sizeof text - n, fmt, ap);
  va_end(ap);
  n += k > 0 ? (size_t)k : 0;
  if (n > sizeof text - 300) n = sizeof text - 300; /* room for who it was */
  n += (size_t)snprintf(text + n, sizeof text - n, "\n\n");
  if (g->flags & GF_FOREIGN)
    n += (size_t)snprintf(text + n, sizeof text - n, "a foreign thread\n");
  else
    n += gosi_g_headline(g, "running", text + n, sizeof text - n);
  if (!gosi_rt.on_panic) {
    gosi_write_all(2, text, n);
    _exit(2);
  }
  gosi_rt.on_panic(text);
  gos_goexit();
}

uint64_t gos_goid(void) {
  gosi_m *m = gosi_tls_m;
  return m && m->cur && !(m->cur->flags & GF_FOREIGN) ? m->cur->id : 0;
}

/* ---- blocking calls --------------------------------------------------------------------------- */
void gos_entersyscall(void) {
  gosi_m *m = gosi_enter();
  gosi_p *p = m->p;
  bool give =
      p && (gosi_p_has_work(p) || gosi_load(&gosi_rt.nglobal) || gosi_load(&gosi_rt.timers.next) != GOS_FOREVER);
  if (give) {
    gosi_lock_take(&gosi_rt.lock);
    gosi_store(&m->lost, 1u);
    m->p = NULL;
    gosi_store(&p->m, (gosi_m *)NULL);
    gosi_lock_drop(&gosi_rt.lock);
    gosi_handoff(p);
  }
  gosi_leave_m(m);
}

void gos_exitsyscall(void) {
  gosi_enter(); /* takes a P, or waits for one */
  gosi_leave();
}

int gos_blocking(void *(*fn)(void *), void *arg, void **ret) {
  if (!fn) return GOS_INVAL;
  gos_entersyscall();
  void *r = fn(arg);
  gos_exitsyscall();
  if (ret) *ret = r;
  return GOS_OK;
}
