/* The public calls on goroutines. L3. SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "sched/sched.h"

int gos_go(void (*fn)(void *), void *arg) {
  if (!fn) return GOS_INVAL;
  if (gosi_cannot_enter()) return GOS_NOMEM;
  gosi_m *m = gosi_enter();
  int e = gosi_spawn(m, NULL, fn, arg, __builtin_return_address(0), NULL);
  gosi_leave_m(m);
  return e;
}

gos_g *gos_go_opts(const gos_go_options *o, void (*fn)(void *), void *arg, int *err) {
  gos_g *g = NULL;
  int e = GOS_INVAL;
  if (fn && (!o || o->size == sizeof *o) && !(e = gosi_cannot_enter() ? GOS_NOMEM : GOS_OK)) {
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

JUMPS_BACK int gos_join(gos_g *g, gos_ns deadline) {
  if (!g) return GOS_INVAL;
  if (!gos_g_alive(g)) {
    gosi_hb_after(g);
    return GOS_OK;
  }
  if (deadline == GOS_NOW) return GOS_WOULDBLOCK;
  if (gosi_cannot_enter()) return GOS_NOMEM;
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
  if (gosi_cannot_enter()) return GOS_NOMEM;
  gosi_m *m = gosi_enter();
  bool mine = gosi_cas(&g->claim, 0u, 1u);
  if (!mine) {                           /* not waiting: its next wait will see the flag, or we see that it waits */
    gosi_lock_take(&gosi_rt.interrupts); /* or it might end that wait by the flag, and we the next one */
    gosi_store_seq(&g->interrupted, (uint8_t)1);
    gosi_rt_barrier(); /* pairs with gosi_arm_claim */
    if ((mine = gosi_cas(&g->claim, 0u, 1u))) gosi_store(&g->interrupted, (uint8_t)0);
    gosi_lock_drop(&gosi_rt.interrupts);
  }
  if (mine) {
    g->result = GOS_CANCELED;
    gosi_ready(m, g);
  }
  gosi_leave();
  return GOS_OK;
}

JUMPS_BACK void gos_gosched(void) {
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

JUMPS_BACK int gos_sleep(gos_ns d) {
  if (gosi_cannot_enter()) return GOS_NOMEM;
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
/* What gos_panic() was called with; on the stack of that call, which does not return. */
struct gosi_panic {
  gosi_panic *before; /* in progress when this one came, out of a deferred call */
  char *text;         /* NULL: no memory */
};

static void drop_panics(gos_g *g) {
  gosi_extra *x = g->extra;
  for (gosi_panic *p = x ? x->panics : NULL; p; p = p->before) gosi_free(p->text);
  if (x) x->panics = NULL;
}

void gos_goexit(void) {
  gosi_m *m = gosi_enter();
  gos_g *g = m->cur;
  gosi_leave_m(m);
  gosi_g_run_defers(g);
  drop_panics(g); /* Goexit in a deferred call ends a panic, as in Go */
  if (g->flags & GF_FOREIGN) pthread_exit(NULL);
  gosi_end(gosi_enter(), g);
}

int gos_defer(void (*fn)(void *), void *arg) {
  if (gosi_cannot_enter()) return GOS_NOMEM;
  gosi_m *m = gosi_enter();
  gos_g *g = m->cur;
  gosi_leave_m(m);
  if (!fn) return GOS_INVAL;
  if (g->flags & GF_FOREIGN) return GOS_PERM;
  gosi_defer *d = gosi_alloc(sizeof *d);
  if (!d) return GOS_NOMEM;
  *d = (gosi_defer){g->defers, fn, arg, false};
  g->defers = d;
  return GOS_OK;
}

static gos_g *self(void) {
  gosi_m *m = gosi_enter();
  gos_g *g = m->cur;
  gosi_leave_m(m);
  return g;
}

void gosi_defer_push(gosi_defer *d, void (*fn)(void *), void *arg) {
  gos_g *g = self();
  *d = (gosi_defer){g->defers, fn, arg, true};
  g->defers = d;
}

void gosi_defer_pop(gosi_defer *d) {
  gosi_defer **at = &self()->defers;
  while (*at != d) at = &(*at)->next; /* gos_defer calls made meanwhile lie above it */
  *at = d->next;
}

static const char *text_of(const gosi_panic *p) { return p->text ? p->text : "(no memory for the text)"; }

/* "panic: first\n\tpanic: second\n": the older ones first. */
static size_t add_panics(const gosi_panic *p, char *buf, size_t n) {
  size_t at = p->before ? add_panics(p->before, buf, n) : 0;
  int k = snprintf(buf + at, n - at, "%spanic: %s\n", p->before ? "\t" : "", text_of(p));
  return k > 0 && (size_t)k < n - at ? at + (size_t)k : n - 1;
}

/* In a function of its own: what follows a panic may need the stack. */
static NOINLINE void report(gos_g *g, const gosi_panic *p) {
  char few[256], who[512] = "a foreign thread\n";
  size_t n = sizeof who + 8;
  for (const gosi_panic *q = p; q; q = q->before) n += strlen(text_of(q)) + 16;
  char *all = gosi_alloc(n), *text = all ? all : few;
  if (!all) n = sizeof few;
  if (!(g->flags & GF_FOREIGN)) gosi_g_headline(g, "running", who, sizeof who);
  size_t at = add_panics(p, text, n);
  int k = snprintf(text + at, n - at, "\n%s", who);
  at = k > 0 && (size_t)k < n - at ? at + (size_t)k : n - 1;
  if (!gosi_rt.on_panic) {
    gosi_write_all(2, text, at);
    _exit(2);
  }
  gosi_rt.on_panic(text);
  gosi_free(all);
}

static char *text_for(const char *fmt, va_list ap) {
  va_list again;
  va_copy(again, ap);
  int n = vsnprintf(NULL, 0, fmt, again);
  va_end(again);
  char *text = n >= 0 ? gosi_alloc((size_t)n + 1) : NULL;
  if (text) vsnprintf(text, (size_t)n + 1, fmt, ap);
  return text;
}

void gos_panic(const char *fmt, ...) {
  gosi_m *m = gosi_enter();
  gos_g *g = m->cur;
  gosi_leave_m(m);
  gosi_panic p = {NULL, NULL};
  va_list ap;
  va_start(ap, fmt);
  p.text = text_for(fmt, ap);
  va_end(ap);
  gosi_extra *x = g->defers ? gosi_g_extra(g) : g->extra; /* nothing deferred: nothing can panic in it */
  if (x) {
    p.before = x->panics;
    x->panics = &p;
  }
  gosi_g_run_defers(g);
  if (!x || x->panics == &p) report(g, &p); /* else gos_recover() */
  if (!x) gosi_free(p.text);
  gos_goexit();
}

int gos_recover(char *buf, size_t n) {
  gos_g *g = self();
  gosi_extra *x = g->extra;
  if (!x || !x->panics) return 0;
  if (buf && n) snprintf(buf, n, "%s", text_of(x->panics));
  drop_panics(g);
  return 1;
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
