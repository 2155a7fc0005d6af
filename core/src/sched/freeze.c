/* Which goroutines are frozen, and when. L3. How a stack is frozen and thawed: stack/freeze.h.
 *
 * A batch goes like this. Candidates get a mark: their stack's, then GF_COLD in the goroutine's flags. A barrier runs on
 * every thread. Those that still wait, still with the flag, on the same stack at the same place, are frozen.
 * Whoever continues a goroutine has made it runnable before it looks at the flags (gosi_execute). Did it look before
 * the barrier, and so perhaps not see the flag, then we see that it does not wait any more; later it sees the
 * flag, thaws the stack, or takes the mark back. So a goroutine that nobody freezes pays nothing.
 * A goroutine that runs writes its own flags without atomic operations: it may lose the mark, then it is left alone,
 * or bring it back after it was taken away, then whoever continues it finds nothing to thaw.
 * SPDX-License-Identifier: Apache-2.0 */
#include "sched/freeze.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "sched/sched.h"
#include "stack/freeze.h"

enum {
  LOOK = 64,          /* chunks of goroutines a step looks at */
  STEPS = 8,          /* of the monitor, when nobody waits for a thread */
  HOT_GAP = 1000000,  /* between steps, while somebody waits for a thread */
  CHECK = 10000000,   /* did anybody run? */
  GAP_LEAST = 200000, /* between two sweeps */
  GAP_MOST = 1000000000
};
static const gos_ns usual_age = 1000000000;

gos_ns gosi_freeze_age = -1;

typedef struct batch {
  gosi_cold cold[GOSI_FREEZE_BATCH];
  gos_g *g[GOSI_FREEZE_BATCH];
  int n, frozen;
  gos_ns now, age;
  bool done;  /* it was full, and has been frozen */
  bool young; /* some may be frozen later */
} batch;

/* ---- a batch -------------------------------------------------------------------------------- */
static bool may_be_frozen(gos_g *g) {
  return gosi_load_acquire(&g->status) == G_WAITING && !gosi_load(&g->realm) &&
         !(gosi_load(&g->flags) & (GF_MAIN | GF_FOREIGN | GF_LOCKED | GF_STAYS)) && gosi_load(&g->fiber);
}

static void freeze_marked(batch *b) {
  bool waits[GOSI_FREEZE_BATCH] = {false}, seen = b->n > 0 && gosi_os_barrier_all();
  for (int i = 0; i < b->n; i++) waits[i] = gosi_load_acquire(&b->g[i]->status) == G_WAITING;
  /* What was written before it began to wait is seen after this one. */
  seen = seen && gosi_os_barrier_all();
  int n = 0;
  for (int i = 0; i < b->n; i++) {
    gos_g *g = b->g[i];
    gosi_cold *c = &b->cold[i];
    if (seen && waits[i] && may_be_frozen(g) && (gosi_load(&g->flags) & GF_COLD) && gosi_load(&g->fiber) == c->f &&
        gosi_load_acquire(&g->ctx.sp) == c->sp) {
      b->cold[n++] = *c;
    } else {
      gosi_stack_unmark(c);
      gosi_and(&g->flags, (uint8_t)~GF_COLD);
    }
  }
  b->n = 0;
  b->frozen += gosi_stack_freeze(b->cold, n);
}

static void consider(gos_g *g, void *u) {
  batch *b = u;
  gosi_fiber *f = gosi_load(&g->fiber);
  char *sp = gosi_load_acquire(&g->ctx.sp);
  if (!may_be_frozen(g) || !f || !sp || gosi_stack_frozen(f)) return;
  bool old = b->age == 0 || gosi_load(&g->since) <= b->now - b->age; /* since is rough */
  if (!old || !gosi_stack_mark(&b->cold[b->n], f, sp, b->now - b->age)) {
    b->young = true;
    return;
  }
  gosi_or(&g->flags, (uint8_t)GF_COLD); /* after the stack's mark: who sees it finds that */
  b->g[b->n++] = g;
  if (b->n < GOSI_FREEZE_BATCH) return;
  freeze_marked(b);
  b->done = true;
}

/* Looks at some goroutines, from *at on, and freezes about a batch. False: those were the last. */
static bool step(batch *b, const void **at) {
  sigset_t old;
  bool more = true;
  b->done = false;
  gosi_freeze_lock(&old);
  for (int i = 0; i < LOOK && more && !b->done; i++) more = gosi_g_visit_next(at, consider, b);
  freeze_marked(b);
  gosi_freeze_unlock(&old);
  return more;
}

int gos_freeze(gos_ns age) {
  if (age < 0) return GOS_INVAL;
  if (gosi_freeze_trouble() || gosi_rt.fences) return GOS_SYS(ENOTSUP);
  if (gosi_load_acquire(&gosi_rt.started) != 2) return 0;
  if (!gosi_stack_watched()) return GOS_PERM;
  gos_ns now = gosi_os_now();
  gosi_store(&gosi_coarse, now);
  batch b = {.now = now, .age = age};
  const void *at = NULL;
  while (step(&b, &at)) {}
  return b.frozen;
}

int gos_freezable(int on) {
  gosi_m *m = gosi_enter();
  gos_g *g = m->cur;
  int before = !(g->flags & GF_STAYS);
  gosi_store(&g->flags, (uint8_t)(on ? g->flags & ~GF_STAYS : g->flags | GF_STAYS));
  gosi_leave_m(m);
  return before;
}

/* ---- the monitor ------------------------------------------------------------------------------- */
/* A sweep looks at all goroutines, some at a time; the next one begins a while later. When there is nothing left to
   freeze, and nobody has run since, there is none until somebody does. */
static struct {
  const void *at;
  bool sweeping, young, quiet;
  uint64_t seen; /* switches, before it began */
  gos_ns due, began;
} sweep;

static gos_ns gap(gos_ns now) {
  gos_ns d = gosi_freeze_age / 2 < GAP_MOST ? gosi_freeze_age / 2 : GAP_MOST;
  if (gosi_freeze_age && d < 4 * (now - sweep.began)) d = 4 * (now - sweep.began);
  return d > GAP_LEAST ? d : GAP_LEAST;
}

static void end_sweep(gos_ns now) {
  sweep.sweeping = false;
  sweep.quiet = !sweep.young && gosi_p_ticks() == sweep.seen;
  sweep.due = now + (sweep.quiet ? CHECK : gap(now));
}

/* False: not now. */
static bool begin_sweep(gos_ns now) {
  if (!gosi_stack_watched()) { /* somebody else catches the faults, and nobody would thaw anything */
    gosi_freeze_figures f;
    gosi_freeze_figures_get(&f);
    if (f.now) gosi_stack_thaw_all();
    sweep.due = now + (f.now ? CHECK : usual_age);
    return false;
  }
  if (sweep.quiet && gosi_p_ticks() == sweep.seen) {
    sweep.due = now + CHECK;
    return false;
  }
  sweep.at = NULL;
  sweep.sweeping = true;
  sweep.young = sweep.quiet = false;
  sweep.seen = gosi_p_ticks();
  sweep.began = now;
  return true;
}

gos_ns gosi_freeze_look(gos_ns now, bool hot) {
  if (now < sweep.due) return sweep.quiet ? GOS_FOREVER : sweep.due;
  if (!sweep.sweeping && !begin_sweep(now)) return sweep.quiet ? GOS_FOREVER : sweep.due;
  batch b = {.now = now, .age = gosi_freeze_age};
  bool more = true;
  for (int i = 0; i < (hot ? 1 : STEPS) && more; i++) more = step(&b, &sweep.at);
  sweep.young |= b.young;
  if (!more)
    end_sweep(gosi_os_now());
  else if (hot && gosi_freeze_age)
    sweep.due = now + HOT_GAP;
  return sweep.quiet ? GOS_FOREVER : sweep.due;
}

/* ---- the settings --------------------------------------------------------------------------------- */
/* "1", or "age=MS". */
static gos_ns age_of(const char *s) {
  char *end;
  if (!s || !*s || !strcmp(s, "0")) return -1;
  if (!strcmp(s, "1")) return usual_age;
  long ms = strncmp(s, "age=", 4) != 0 || !s[4] ? -1 : strtol(s + 4, &end, 10);
  if (ms >= 0 && !*end) return ms < 86400000 ? ms * 1000000 : 86400000000000;
  fprintf(stderr, "gossamer: GOSSAMER_FREEZE is 1 or age=MILLISECONDS, not %s\n", s);
  return -1;
}

int gosi_freeze_start(unsigned flags) {
  gos_ns age = gosi_os_secure() ? -1 : age_of(getenv("GOSSAMER_FREEZE"));
  bool asked = flags & GOS_FREEZE;
  gosi_freeze_age = -1; /* a start that failed may have left it */
  if (!asked && age < 0) return GOS_OK;
  const char *why = gosi_rt.fences ? "there is no membarrier" : gosi_freeze_trouble();
  if (why) {
    fprintf(stderr, "gossamer: goroutines cannot be frozen here: %s\n", why);
    return asked ? GOS_SYS(ENOTSUP) : GOS_OK;
  }
  gosi_freeze_age = age >= 0 ? age : usual_age;
  return GOS_OK;
}
