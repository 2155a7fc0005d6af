/* What must be true of the scheduler's own structures.
 * SPDX-License-Identifier: Apache-2.0 */
#include "explore.h"
#include "sched/sched.h"
#undef CHECK

enum { MOST = 128 };
static gos_g *seen[MOST];
static int nseen;
static char text[160];

static const char *count_g(gos_g *g, const char *where) {
  for (int i = 0; i < nseen; i++)
    if (seen[i] == g) {
      snprintf(text, sizeof text, "goroutine %llu stands in two queues (%s)", (unsigned long long)g->id, where);
      return text;
    }
  if (nseen < MOST) seen[nseen++] = g;
  if (g->status != G_RUNNABLE) {
    snprintf(text, sizeof text, "goroutine %llu stands in %s with status %d", (unsigned long long)g->id, where,
             g->status);
    return text;
  }
  return NULL;
}

/* Threads that are locked to a goroutine sleep in no list. */
static void count_locked(gos_g *g, void *n) {
  uint8_t flags = g->flags;
  if ((flags & GF_LOCKED) && g->status != G_FREE && g->m->pinned && g->m->in_list) ++*(int *)n;
}

const char *ex_check_queues(void) {
  const char *broken = NULL;
  nseen = 0;
  if (gosi_rt.started != 2) return NULL;
  for (int i = 0; i < PS_MAX && !broken; i++) {
    gosi_p *p = &gosi_rt.ps[i];
    uint32_t h = p->head, t = p->tail;
    if (t - h > RING) return "a run queue's head and tail are apart by more than it holds";
    for (; h != t && !broken; h++) broken = count_g(p->ring[h % RING], "a run queue");
    uint32_t b = p->bottom, top = p->top;
    if (top - b > PILE) return "a pile's ends are apart by more than it holds";
    for (; b != top && !broken; b++) broken = count_g(p->pile[b % PILE], "a pile");
    /* Its owner copies runnext before it clears it. */
    if (!broken && p->runnext && p->runnext->status == G_RUNNABLE) broken = count_g(p->runnext, "runnext");
  }
  if (gosi_rt.lock.word) return broken;
  int n = 0;
  for (gos_g *g = gosi_rt.global_head; g && !broken; g = g->next, n++) broken = count_g(g, "the global queue");
  if (!broken && n != gosi_rt.nglobal) broken = "the global queue's length is wrong";
  n = 0;
  for (gosi_p *p = gosi_rt.idle_ps; p && !broken; p = p->link, n++)
    if (p->state != P_IDLE || p->m) broken = "an idle P is not idle";
  if (!broken && n != gosi_rt.nidle_ps) broken = "the number of idle Ps is wrong";
  n = 0;
  for (gosi_m *m = gosi_rt.idle_ms; m && !broken; m = m->link, n++)
    if (!m->in_list || m->p) broken = "an idle M is not idle";
  if (!broken && n != gosi_rt.nidle_ms) gosi_g_visit(count_locked, &n);
  if (!broken && n != gosi_rt.nidle_ms) broken = "the number of idle Ms is wrong";
  if (!broken && gosi_rt.nspinning < 0) broken = "nspinning is negative";
  return broken;
}

const char *ex_check_at_rest(void) {
  const char *broken = ex_check_queues();
  if (broken || gosi_rt.started != 2) return broken;
  if (gosi_rt.lock.word || gosi_rt.timers.lock.word) return "a lock of the runtime is held";
  if (gosi_rt.nspinning) return "nspinning is not 0";
  if (gosi_rt.nglobal) return "there is work in the global queue";
  for (int i = 0; i < gosi_rt.nprocs; i++) {
    gosi_p *p = &gosi_rt.ps[i];
    if (p->state != P_IDLE && !p->m) return "a P is neither idle nor owned";
    if (p->m && p->m->p != p) return "a P's thread does not know it";
    if (p->head != p->tail || p->bottom != p->top || p->runnext) return "there is work in a run queue";
    if (p->credits < 0 || p->nstacks < 0) return "a P's stacks are counted wrongly";
  }
  const gosi_timers *ts = &gosi_rt.timers;
  int n = ts->nheap;
  for (int i = 0; i < ts->nheap; i++)
    if (ts->heap[i].t->slot != i) return "a timer does not know its place";
  for (int l = 0; l < TIMER_LEVELS; l++)
    for (int b = 0; b < TIMER_BUCKETS; b++) {
      if (!(ts->used[l] >> b & 1)) continue;
      for (gosi_timer *t = ts->wheel[l][b].first; t; t = t->next, n++)
        if (t->slot != TIMER_IN_WHEEL || t->level != l || t->bucket != b) return "a timer does not know its bucket";
    }
  if (n != ts->n) return "the timers are counted wrongly";
  return NULL;
}

static void line(gos_g *g, void *u) {
  (void)u;
  if (g->status == G_DEAD || g->status == G_FREE) return;
  static const char *const name[] = {"free", "runnable", "running", "waiting", "dead"};
  printf("  goroutine %llu%s: %s%s%s\n", (unsigned long long)g->id,
         g->flags & GF_MAIN      ? " (main)"
         : g->flags & GF_FOREIGN ? " (a foreign thread)"
                                 : "",
         name[g->status], g->status == G_WAITING ? ", " : "",
         g->status == G_WAITING ? gosi_reason_text[g->reason] : "");
}
void ex_describe_goroutines(void) {
  gosi_g_visit(line, NULL);
  printf("  Ps: %d, %d idle; Ms: %d, %d idle; %d spinning; global queue %d; next timer %.6f s\n", gosi_rt.nprocs,
         gosi_rt.nidle_ps, gosi_rt.nms, gosi_rt.nidle_ms, gosi_rt.nspinning, gosi_rt.nglobal,
         gosi_rt.timers.next == GOS_FOREVER ? -1.0 : (double)gosi_rt.timers.next / 1e9);
}
