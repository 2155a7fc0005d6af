/* Single flight: what many ask for at once is done once. L6.
 * A call is in the table until it has ended or is forgotten. Who runs it and who waits for it hold
 * a reference, and it holds one to its table. The mutex guards the table and each call's count and
 * channels; a call's result is fixed before its waitgroup opens.
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <string.h>
#include "chan/chan.h"
#include "context/context.h"
#include "errgroup/guard.h"
#include "errgroup/siphash.h"

typedef struct listener {
  struct listener *next;
  gos_chan *c;
} listener;

typedef struct call {
  struct call *next; /* in its bucket */
  gos_flight *f;
  uint32_t refs;
  bool listed;
  uint64_t hash;
  int (*fn)(void *arg, void **val);
  void *arg, *val;
  int err;
  int others; /* that asked as well */
  gos_waitgroup wg;
  listener *chans;
  char key[];
} call;

/* What runs a call. */
typedef struct runner {
  gosi_defer guard; /* first: the goroutine frees it when it leaves */
  call *c;
} runner;

struct gos_flight {
  uint32_t refs;
  gos_mutex mu;
  uint64_t seed[2];
  call **buckets;
  size_t nbuckets, n; /* a power of two */
};

enum { FIRST_SIZE = GOSI_HARD ? 1 : 16 };

gos_flight *gos_flight_new(void) {
  gos_flight *f = gosi_alloc(sizeof *f);
  if (!f) return NULL;
  if (!(f->buckets = gosi_alloc(FIRST_SIZE * sizeof *f->buckets))) {
    gosi_free(f);
    return NULL;
  }
  f->refs = 1;
  f->nbuckets = FIRST_SIZE;
  f->seed[0] = gosi_os_random();
  f->seed[1] = gosi_os_random();
  return f;
}

void gos_flight_free(gos_flight *f) {
  if (!f || gosi_sub(&f->refs, 1u) != 1) return;
  gosi_free(f->buckets);
  gosi_free(f);
}

static void unref(call *c) {
  if (gosi_sub(&c->refs, 1u) != 1) return;
  gos_flight_free(c->f);
  gosi_free(c);
}

/* ---- the table, under the mutex --------------------------------------------------------- */
static call **bucket(gos_flight *f, uint64_t hash) { return &f->buckets[hash & (f->nbuckets - 1)]; }

static call *find(gos_flight *f, const char *key, uint64_t hash) {
  call *c = *bucket(f, hash);
  while (c && (c->hash != hash || strcmp(c->key, key) != 0)) c = c->next;
  return c;
}

static void grow(gos_flight *f) {
  size_t n = f->nbuckets, size = 2 * n;
  call **old = f->buckets, **fresh = gosi_alloc(size * sizeof *fresh);
  if (!fresh) return; /* longer chains, then */
  f->buckets = fresh;
  f->nbuckets = size;
  for (size_t i = 0; i < n; i++)
    for (call *c; (c = old[i]);) {
      old[i] = c->next;
      c->next = *bucket(f, c->hash);
      *bucket(f, c->hash) = c;
    }
  gosi_free(old);
}

static void list(call *c) {
  gos_flight *f = c->f;
  if (f->n++ == f->nbuckets) grow(f);
  c->next = *bucket(f, c->hash);
  *bucket(f, c->hash) = c;
  c->listed = true;
}

static void unlist(call *c) {
  call **at = bucket(c->f, c->hash);
  if (!c->listed) return;
  while (*at != c) at = &(*at)->next;
  *at = c->next;
  c->listed = false;
  c->f->n--;
}

static call *call_new(gos_flight *f, const char *key, uint64_t hash, int (*fn)(void *, void **), void *arg) {
  size_t n = strlen(key) + 1;
  call *c = gosi_alloc(sizeof *c + n);
  if (!c) return NULL;
  gosi_add(&f->refs, 1u);
  *c = (call){.f = f, .refs = 1, .hash = hash, .fn = fn, .arg = arg};
  memcpy(c->key, key, n);
  gos_waitgroup_add(&c->wg, 1);
  return c;
}

/* ---- running ------------------------------------------------------------------------------ */
static void end(call *c, int err, void *val) {
  c->err = err;
  c->val = val;
  gos_mutex_lock(&c->f->mu);
  unlist(c);
  listener *l = c->chans;
  struct gos_flight_result r = {err, val, c->others > 0};
  gos_mutex_unlock(&c->f->mu);
  while (l) {
    listener *next = l->next;
    gos_chan_send_dl(l->c, &r, GOS_NOW); /* the first value into a buffer of one */
    gos_chan_release(l->c);
    gosi_free(l);
    l = next;
  }
  gos_waitgroup_done(&c->wg);
}

static void abandoned(void *arg) {
  end(arg, GOS_CANCELED, NULL);
  unref(arg);
}

/* r NULL: a foreign thread, which is left by pthread_exit(). */
static void run(call *c, runner *r) {
  void *val = NULL;
  int err;
  if (r) {
    gosi_guard_begin(&r->guard, abandoned, c);
    err = c->fn(c->arg, &val);
    gosi_guard_end(&r->guard);
    gosi_free(r);
  } else {
    pthread_cleanup_push(abandoned, c);
    err = c->fn(c->arg, &val);
    pthread_cleanup_pop(0);
  }
  end(c, err, val);
}

static int result(call *c, void **val, int *shared) {
  int err = c->err;
  if (val) *val = c->val;
  if (shared) *shared = c->others > 0;
  unref(c);
  return err;
}

/* A runner for the running goroutine. *foreign: it is a thread and needs none. */
static runner *runner_here(bool *foreign) {
  gosi_m *m = gosi_enter();
  gos_g *g = m->cur;
  gosi_leave_m(m);
  *foreign = g->flags & GF_FOREIGN;
  return !*foreign && gosi_g_extra(g) ? gosi_alloc(sizeof(runner)) : NULL;
}

int gos_flight_do_ctx(gos_flight *f, const char *key, int (*fn)(void *, void **), void *arg, void **val, int *shared,
                      gos_ctx *x) {
  if (!f || !key || !fn) return GOS_INVAL;
  if (gosi_cannot_enter()) return GOS_NOMEM;
  if (gosi_ctx_can_end(x) && gosi_ctx_ended(x)) return gosi_ctx_ended(x);
  uint64_t hash = gosi_siphash(f->seed, key, strlen(key));
  bool foreign = false;
  runner *r = NULL;
  gos_mutex_lock(&f->mu);
  call *c = find(f, key, hash);
  bool found = c != NULL;
  if (found) {
    c->others++;
    gosi_add(&c->refs, 1u);
  } else if (((r = runner_here(&foreign)) || foreign) && (c = call_new(f, key, hash, fn, arg))) {
    list(c);
  }
  gos_mutex_unlock(&f->mu);
  if (!c) {
    gosi_free(r);
    return GOS_NOMEM;
  }
  if (!found) {
    run(c, r);
    return result(c, val, shared);
  }
  int e = gos_waitgroup_wait_ctx(&c->wg, x);
  if (!e) return result(c, val, shared);
  unref(c);
  return e;
}
int gos_flight_do(gos_flight *f, const char *key, int (*fn)(void *, void **), void *arg, void **val, int *shared) {
  return gos_flight_do_ctx(f, key, fn, arg, val, shared, NULL);
}

static void run_alone(void *arg) {
  runner *r = arg;
  call *c = r->c;
  run(c, r);
  unref(c);
}

gos_chan *gos_flight_do_chan(gos_flight *f, const char *key, int (*fn)(void *, void **), void *arg) {
  if (!f || !key || !fn || gosi_cannot_enter()) return NULL;
  uint64_t hash = gosi_siphash(f->seed, key, strlen(key));
  gos_chan *ch = gos_chan_make(sizeof(struct gos_flight_result), 1);
  listener *l = ch ? gosi_alloc(sizeof *l) : NULL;
  runner *r = l ? gosi_alloc(sizeof *r) : NULL;
  if (!r) goto no_memory;
  gos_mutex_lock(&f->mu);
  call *c = find(f, key, hash);
  bool found = c != NULL;
  if (found)
    c->others++;
  else if ((c = call_new(f, key, hash, fn, arg)))
    list(c);
  if (c) {
    *l = (listener){c->chans, gos_chan_retain(ch)};
    c->chans = l;
  }
  gos_mutex_unlock(&f->mu);
  if (!c) goto no_memory;
  if (found) {
    gosi_free(r);
    return ch;
  }
  r->c = c;
  gosi_m *m = gosi_enter();
  int e = gosi_spawn(m, NULL, run_alone, r, __builtin_return_address(0), NULL);
  gosi_leave_m(m);
  if (e) { /* others may be waiting for it already: all learn why */
    gosi_free(r);
    end(c, e, NULL);
    unref(c);
  }
  return ch;
no_memory:
  gosi_free(r);
  gosi_free(l);
  gos_chan_release(ch);
  return NULL;
}

void gos_flight_forget(gos_flight *f, const char *key) {
  if (!f || !key) return;
  uint64_t hash = gosi_siphash(f->seed, key, strlen(key));
  gos_mutex_lock(&f->mu);
  call *c = find(f, key, hash);
  if (c) unlist(c);
  gos_mutex_unlock(&f->mu);
}
