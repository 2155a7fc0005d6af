/* Looking at goroutines: dumps, info, statistics. Reads every layer.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "sched/sched.h"

static const char *const status_text[] = {
    [G_FREE] = "dead", [G_RUNNABLE] = "runnable", [G_RUNNING] = "running", [G_WAITING] = "waiting", [G_DEAD] = "dead"};

static void fill(gos_g *g, gos_info *out) {
  memset(out, 0, sizeof *out);
  uint8_t status = gosi_load(&g->status), reason = gosi_load(&g->reason);
  out->id = gosi_load(&g->id);
  out->creator = gosi_load(&g->creator);
  out->status = status_text[status];
  if (status == G_WAITING) {
    out->wait_reason = gosi_reason_text[reason < WAIT_REASONS ? reason : 0];
    out->since = gosi_load(&g->since);
  }
  gosi_extra *x = gosi_load_acquire(&g->extra);
  for (size_t i = 0; x && i + 1 < sizeof out->name && (out->name[i] = gosi_load(&x->name[i])); i++) {}
  if (status != G_DEAD && status != G_FREE) gosi_g_site(g, out->site, sizeof out->site);
}

int gos_info_get(gos_g *g, gos_info *out, size_t size) {
  if (!g || !out || size != sizeof *out) return GOS_INVAL;
  fill(g, out);
  return GOS_OK;
}

struct each {
  int (*f)(const gos_info *, void *);
  void *u;
  int result;
};
static void each_g(gos_g *g, void *u) {
  struct each *e = u;
  gos_info info;
  if (e->result || (gosi_load(&g->flags) & GF_FOREIGN) || gosi_load(&g->status) == G_DEAD) return;
  fill(g, &info);
  e->result = e->f(&info, e->u);
}
int gos_foreach(int (*f)(const gos_info *info, void *u), void *u) {
  if (!f) return GOS_INVAL;
  struct each e = {f, u, 0};
  gosi_g_visit(each_g, &e);
  return e.result;
}

/* ---- text ---------------------------------------------------------------------------- */
struct text {
  char *s;
  size_t n, cap;
};
static void add(struct text *t, const char *s, size_t n) {
  if (t->n + n + 1 > t->cap) {
    size_t cap = (t->n + n + 1) * 2;
    char *p = realloc(t->s, cap);
    if (!p) return; /* a shorter dump beats none */
    t->s = p;
    t->cap = cap;
  }
  memcpy(t->s + t->n, s, n);
  t->n += n;
  t->s[t->n] = 0;
}
static void one(gos_g *g, void *u) {
  char line[512], state[96];
  uint8_t status = gosi_load(&g->status), reason = gosi_load(&g->reason);
  if ((gosi_load(&g->flags) & GF_FOREIGN) || status == G_DEAD) return;
  gos_ns minutes = status == G_WAITING ? (gosi_os_now() - gosi_load(&g->since)) / 60000000000LL : 0;
  const char *what = status == G_WAITING ? gosi_reason_text[reason < WAIT_REASONS ? reason : 0] : status_text[status];
  if (minutes > 0)
    snprintf(state, sizeof state, "%s, %lld minutes", what, (long long)minutes);
  else
    snprintf(state, sizeof state, "%s", what);
  add(u, "\n", 1);
  add(u, line, gosi_g_headline(g, state, line, sizeof line));
}

static char *dump_text(const char *head, size_t *n) {
  struct text t = {NULL, 0, 0};
  add(&t, head, strlen(head));
  gosi_g_visit(one, &t);
  *n = t.n;
  return t.s;
}
__attribute__((constructor)) static void install(void) { gosi_dump_text = dump_text; }

int gos_dump(int fd, unsigned flags) {
  size_t n;
  if (flags) return GOS_INVAL;
  char *text = dump_text("", &n);
  if (!text) return GOS_NOMEM;
  errno = EIO;
  int e = gosi_write_all(fd, text, n) ? GOS_OK : GOS_SYS(errno);
  free(text);
  return e;
}

/* ---- figures ----------------------------------------------------------------------------- */
int gos_num_goroutine(void) {
  gos_stats s;
  gos_stats_get(&s, sizeof s);
  return s.goroutines;
}

int gos_stats_get(gos_stats *s, size_t size) {
  if (!s || size != sizeof *s) return GOS_INVAL;
  memset(s, 0, sizeof *s);
  s->size = sizeof *s;
  if (gosi_load_acquire(&gosi_rt.started) != 2) return GOS_OK;
  uint64_t ended = 0, realm_switches = 0, realm_handoffs = 0;
  s->created = gosi_load(&gosi_rt.foreign_created);
  for (int i = 0; i < PS_MAX && gosi_rt.ps; i++) {
    gosi_p *p = &gosi_rt.ps[i];
    if (i >= gosi_load(&gosi_rt.nprocs) && !gosi_load(&p->created) && !gosi_load(&p->ended)) break;
    s->created += gosi_load(&p->created);
    ended += gosi_load(&p->ended);
    s->steals += gosi_load(&p->steals);
    s->switches_out += gosi_load(&p->tick);
  }
  uint64_t live = s->created - ended + gosi_realm_count(&realm_switches, &realm_handoffs);
  s->goroutines = (int)live;
  s->switches_out += realm_switches;
  s->handoffs = gosi_load(&gosi_rt.handoffs) + realm_handoffs;
  s->wakes = gosi_load(&gosi_rt.wakes);
  gosi_lock_take(&gosi_rt.lock);
  s->threads = gosi_rt.nthreads;
  s->idle_threads = gosi_rt.nidle_ms;
  s->procs = gosi_rt.nprocs;
  gosi_lock_drop(&gosi_rt.lock);
  gosi_stack_stats(&s->stacks, &s->stack_bytes);
  return GOS_OK;
}
