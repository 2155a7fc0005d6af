/* Looking at goroutines: dumps, info, statistics. Reads every layer.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "debug/dump.h"
#include "sched/sched.h"
#include "stack/freeze.h"

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
  gosi_labels_text(g, out->labels, sizeof out->labels);
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
void gosi_out_flush(gosi_out *o) {
  if (o->fd >= 0 && o->n > 0 && !o->failed) o->failed = !gosi_write_all(o->fd, o->few, o->n);
  if (o->fd >= 0) o->n = 0;
}

void gosi_out_add(gosi_out *o, const char *s, size_t n) {
  if (o->fd >= 0) {
    if (o->n + n > sizeof o->few) gosi_out_flush(o);
    if (n > sizeof o->few) n = sizeof o->few;
    memcpy(o->few + o->n, s, n);
    o->n += n;
    return;
  }
  if (o->n + n + 1 > o->cap) {
    size_t cap = (o->n + n + 1) * 2;
    char *p = realloc(o->s, cap);
    if (!p) return; /* a shorter dump beats none */
    o->s = p;
    o->cap = cap;
  }
  memcpy(o->s + o->n, s, n);
  o->n += n;
  o->s[o->n] = 0;
}

void gosi_outf(gosi_out *o, const char *fmt, ...) {
  char line[512];
  va_list ap;
  va_start(ap, fmt);
  int k = vsnprintf(line, sizeof line, fmt, ap);
  va_end(ap);
  if (k > 0) gosi_out_add(o, line, (size_t)k < sizeof line ? (size_t)k : sizeof line - 1);
}

static void one(gos_g *g, void *u) {
  char line[640], state[96];
  uint8_t status = gosi_load(&g->status), reason = gosi_load(&g->reason);
  if ((gosi_load(&g->flags) & GF_FOREIGN) || status == G_DEAD) return;
  gos_ns minutes = status == G_WAITING ? (gosi_os_now() - gosi_load(&g->since)) / 60000000000LL : 0;
  const char *what = status == G_WAITING ? gosi_reason_text[reason < WAIT_REASONS ? reason : 0] : status_text[status];
  const char *locked = gosi_load(&g->flags) & GF_LOCKED ? ", locked to thread" : "";
  const char *frozen = gosi_stack_frozen(gosi_load(&g->fiber)) ? ", frozen" : "";
  if (minutes > 0)
    snprintf(state, sizeof state, "%s, %lld minutes%s%s", what, (long long)minutes, locked, frozen);
  else
    snprintf(state, sizeof state, "%s%s%s", what, locked, frozen);
  gosi_out_add(u, "\n", 1);
  gosi_out_add(u, line, gosi_g_headline(g, state, line, sizeof line));
}

static char *dump_text(const char *head, size_t *n) {
  gosi_out o = {.fd = -1};
  gosi_out_add(&o, head, strlen(head));
  gosi_g_visit(one, &o);
  *n = o.n;
  return o.s;
}
__attribute__((constructor)) static void install(void) { gosi_dump_text = dump_text; }

bool gosi_dump_fd(int fd) {
  gosi_out o = {.fd = fd};
  gosi_g_visit(one, &o);
  gosi_out_flush(&o);
  return !o.failed;
}

int gos_dump(int fd, unsigned flags) {
  if (flags || fd < 0) return flags ? GOS_INVAL : GOS_SYS(EBADF);
  errno = EIO;
  return gosi_dump_fd(fd) ? GOS_OK : GOS_SYS(errno);
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
  uint64_t ended = 0, realm_created = 0, realm_switches = 0, realm_handoffs = 0;
  /* All ends before the first start: one that has ended here had started what it started, so no child is missed. */
  for (int i = 0; i < gosi_load_acquire(&gosi_rt.nps); i++) ended += gosi_load_acquire(&gosi_rt.ps[i].ended);
  s->created = gosi_load(&gosi_rt.foreign_created);
  for (int i = 0; i < gosi_load_acquire(&gosi_rt.nps); i++) {
    gosi_p *p = &gosi_rt.ps[i];
    s->created += gosi_load(&p->created);
    s->steals += gosi_load(&p->steals);
    s->switches_out += gosi_load(&p->tick);
  }
  uint64_t live = s->created - ended + gosi_realm_count(&realm_created, &realm_switches, &realm_handoffs);
  s->goroutines = (int)live;
  s->created += realm_created;
  s->switches_out += realm_switches;
  s->handoffs = gosi_load(&gosi_rt.handoffs) + realm_handoffs;
  s->wakes = gosi_load(&gosi_rt.wakes);
  gosi_lock_take(&gosi_rt.lock);
  s->threads = gosi_rt.nthreads;
  s->idle_threads = gosi_rt.nidle_ms;
  s->procs = gosi_rt.nprocs;
  s->max_threads = gosi_rt.maxthreads;
  s->idle_procs = gosi_rt.nidle_ps;
  s->runqueue = gosi_rt.nglobal;
  s->spinning = gosi_load(&gosi_rt.nspinning);
  gosi_lock_drop(&gosi_rt.lock);
  gosi_lock_take(&gosi_rt.timers.lock);
  s->timers = gosi_rt.timers.n;
  gosi_lock_drop(&gosi_rt.timers.lock);
  gosi_stack_stats(&s->stacks, &s->stack_bytes);
  gosi_freeze_figures f;
  gosi_freeze_figures_get(&f);
  s->frozen = f.now;
  s->frozen_bytes = f.bytes;
  s->thawed = f.thawed;
  s->trapped = f.trapped;
  return GOS_OK;
}
