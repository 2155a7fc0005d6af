/* Names, labels, and values a binding keeps with a goroutine. L3.
 *
 * A set of labels never changes: a goroutine with another label has another set. Those it starts share its set, so
 * that starting one costs a count. Dumps read the sets of others: [sets] guards who has which, and the counts.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include "sched/sched.h"

static gosi_lock sets;
static int keys;

void gosi_labels_after_fork(void) { sets.word = 0; }

/* The value, which the next key follows. */
static const char *value_of(const char *key) { return key + strlen(key) + 1; }
static const char *next_key(const char *key) { return value_of(value_of(key)); }

/* x gets set, whose count is for it, instead of what it has. */
static void swap_set(gosi_extra *x, gosi_labels *set) {
  gosi_lock_take(&sets);
  gosi_labels *old = x->labels;
  bool last = old && --old->refs == 0;
  gosi_store(&x->labels, set);
  gosi_lock_drop(&sets);
  if (last) gosi_free(old);
}

static gosi_labels *take_set(gos_g *g) {
  gosi_extra *x = gosi_load_acquire(&g->extra);
  if (!x || !gosi_load(&x->labels)) return NULL;
  gosi_lock_take(&sets);
  gosi_labels *s = x->labels;
  if (s) s->refs++;
  gosi_lock_drop(&sets);
  return s;
}

static void drop_set(gosi_labels *s) {
  gosi_lock_take(&sets);
  bool last = --s->refs == 0;
  gosi_lock_drop(&sets);
  if (last) gosi_free(s);
}

bool gosi_labels_inherit(gos_g *from, gos_g *to) {
  gosi_extra *x = to ? gosi_g_extra(to) : NULL;
  if (!x) return false;
  swap_set(x, take_set(from));
  gosi_store(&to->flags, (uint8_t)(to->flags | GF_LABELS));
  return true;
}

void gosi_labels_forget(gosi_extra *x) { swap_set(x, NULL); }

/* old (NULL: none) with key changed to value, or without it; NULL: no memory. */
static gosi_labels *changed(const gosi_labels *old, const char *key, const char *value) {
  size_t k = strlen(key) + 1, v = value ? strlen(value) + 1 : 0, n = old ? old->n : 0;
  gosi_labels *s = gosi_alloc(sizeof *s + n + k + v);
  if (!s) return NULL;
  char *at = s->text;
  const char *from = old ? old->text : "", *end = from + n;
  for (; from < end && strcmp(from, key) < 0; from = next_key(from))
    at = (char *)memcpy(at, from, (size_t)(next_key(from) - from)) + (next_key(from) - from);
  if (value) {
    at = (char *)memcpy(at, key, k) + k;
    at = (char *)memcpy(at, value, v) + v;
  }
  if (from < end && strcmp(from, key) == 0) from = next_key(from);
  if (from < end) at = (char *)memcpy(at, from, (size_t)(end - from)) + (end - from);
  s->refs = 1;
  s->n = (size_t)(at - s->text);
  return s;
}

/* The running goroutine, or the calling foreign thread. */
static gos_g *me(void) {
  gosi_m *m = gosi_enter();
  gos_g *g = m->cur;
  gosi_leave_m(m);
  return g;
}

int gos_set_label(const char *key, const char *value) {
  if (!key || !*key) return GOS_INVAL;
  if (gosi_cannot_enter()) return GOS_NOMEM;
  gos_g *g = me();
  if (!value && !gos_label(key)) return GOS_OK; /* without a copy: it must not need memory */
  gosi_extra *x = gosi_g_extra(g);
  if (!x) return GOS_NOMEM;
  gosi_labels *s = changed(x->labels, key, value);
  if (!s) return GOS_NOMEM;
  bool none = s->n == 0;
  if (none) gosi_free(s);
  swap_set(x, none ? NULL : s);
  gosi_store(&g->flags, (uint8_t)(none ? g->flags & ~GF_LABELS : g->flags | GF_LABELS));
  return GOS_OK;
}

const char *gos_label(const char *key) {
  gosi_extra *x = me()->extra;
  gosi_labels *s = x && key ? x->labels : NULL;
  for (const char *at = s ? s->text : NULL; s && at < s->text + s->n; at = next_key(at))
    if (strcmp(at, key) == 0) return value_of(at);
  return NULL;
}

int gos_set_name(const char *name) {
  gos_g *g = me();
  gosi_extra *x = name && *name ? gosi_g_extra(g) : g->extra;
  if (!x) return name && *name ? GOS_NOMEM : GOS_OK;
  size_t i = 0;
  for (; name && name[i] && i + 1 < sizeof x->name; i++) gosi_store(&x->name[i], name[i]); /* a dump may be reading */
  gosi_store(&x->name[i], (char)0);
  return GOS_OK;
}

size_t gosi_labels_text(gos_g *g, char *buf, size_t n) {
  gosi_labels *s = take_set(g);
  size_t at = 0;
  buf[0] = 0;
  if (!s) return 0;
  for (const char *key = s->text; key < s->text + s->n; key = next_key(key)) {
    int k = snprintf(buf + at, n - at, "%s%s:\"%s\"", at ? ", " : "", key, value_of(key));
    if (k < 0 || (size_t)k >= n - at) {
      buf[at] = 0;
      continue;
    }
    at += (size_t)k;
  }
  drop_set(s);
  return at;
}

/* ---- for bindings -------------------------------------------------------------- */
int gos_g_local_key(void) {
  for (int k = gosi_load(&keys); k < GOS_G_LOCALS; k = gosi_load(&keys))
    if (gosi_cas(&keys, k, k + 1)) return k;
  return GOS_NOMEM;
}

void *gos_g_local_get(int key) {
  gosi_m *m = gosi_tls_m;
  gosi_extra *x = m && m->cur ? m->cur->extra : NULL;
  return x && key >= 0 && key < GOS_G_LOCALS ? x->local[key] : NULL;
}

int gos_g_local_set(int key, void *value) {
  if (key < 0 || key >= GOS_G_LOCALS) return GOS_INVAL;
  gos_g *g = me();
  gosi_extra *x = value ? gosi_g_extra(g) : g->extra;
  if (!x) return value ? GOS_NOMEM : GOS_OK;
  x->local[key] = value;
  return GOS_OK;
}
