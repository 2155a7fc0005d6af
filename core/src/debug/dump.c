/* Looking at goroutines: dumps, info, statistics. Reads every layer.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "sched/sched.h"

static const char *const status_text[] = {
    [G_FREE] = "dead", [G_RUNNABLE] = "runnable", [G_RUNNING] = "running", [G_WAITING] = "waiting", [G_DEAD] = "dead"};

static void fill(gos_g *g, gos_info *out) {
  memset(out, 0, sizeof *out);
  uint8_t status = gosi_load(&g->status), reason = gosi_load(&g->reason);
  out->id = g->id;
  out->creator = g->creator;
  out->status = status_text[status];
  if (status == G_WAITING) {
    out->wait_reason = gosi_reason_text[reason < WAIT_REASONS ? reason : 0];
    out->since = g->since;
  }
  gosi_extra *x = gosi_load_acquire(&g->extra);
  if (x) snprintf(out->name, sizeof out->name, "%s", x->name);
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
  if (e->result || (g->flags & GF_FOREIGN) || gosi_load(&g->status) == G_DEAD) return;
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
static int one(const gos_info *i, void *u) {
  char line[512];
  gos_ns waited = i->wait_reason && i->since ? gosi_os_now() - i->since : 0;
  int n = snprintf(line, sizeof line, "\ngoroutine %llu%s%s%s [%s", (unsigned long long)i->id, i->name[0] ? " (" : "",
                   i->name, i->name[0] ? ")" : "", i->wait_reason ? i->wait_reason : i->status);
  if (waited >= 60000000000LL) n += snprintf(line + n, sizeof line - (size_t)n, ", %lld minutes", (long long)(waited / 60000000000LL));
  n += snprintf(line + n, sizeof line - (size_t)n, "]:\n");
  if (i->site[0]) {
    n += snprintf(line + n, sizeof line - (size_t)n, "\tcreated by %s", i->site);
    if (i->creator) n += snprintf(line + n, sizeof line - (size_t)n, " in goroutine %llu", (unsigned long long)i->creator);
    n += snprintf(line + n, sizeof line - (size_t)n, "\n");
  }
  add(u, line, (size_t)n);
  return 0;
}

static char *dump_text(const char *head, size_t *n) {
  struct text t = {NULL, 0, 0};
  add(&t, head, strlen(head));
  gos_foreach(one, &t);
  *n = t.n;
  return t.s;
}
__attribute__((constructor)) static void install(void) { gosi_dump_text = dump_text; }

int gos_dump(int fd, unsigned flags) {
  size_t n;
  if (flags) return GOS_INVAL;
  char *text = dump_text("", &n);
  if (!text) return GOS_NOMEM;
  gosi_write_all(fd, text, n);
  free(text);
  return GOS_OK;
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
    if (i >= gosi_load(&gosi_rt.nprocs) && !p->created && !p->ended) break;
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
