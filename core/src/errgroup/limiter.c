/* Rate limiter: a bucket of tokens that fills with time. L6.
 * Nothing runs in the background: the tokens of a moment follow from those at `last`. They may be
 * negative: promised to events to come. Written without libm.
 * SPDX-License-Identifier: Apache-2.0 */
#include "errgroup/limiter.h"
#include "context/context.h"

struct gos_limiter {
  gosi_lock lock; /* guards all below */
  double limit;   /* tokens a second; HUGE_VAL: no limit */
  int burst;
  double tokens; /* at last */
  gos_ns last;
  gos_ns last_event; /* the latest time promised to a reservation */
};

static bool unlimited(double limit) { return limit == __builtin_huge_val(); }

/* ns in which limit makes so many tokens; GOS_FOREVER: never, or as good as. */
static gos_ns time_for(double limit, double tokens) {
  if (limit <= 0) return GOS_FOREVER;
  double ns = tokens / limit * 1e9;
  return ns >= 9.2e18 ? GOS_FOREVER : (gos_ns)ns;
}
static double tokens_in(double limit, gos_ns d) { return limit <= 0 ? 0 : (double)d / 1e9 * limit; }

static gos_ns later(gos_ns t, gos_ns d) { return d > INT64_MAX - t ? GOS_FOREVER : t + d; }

/* The tokens there are at now. A clock read before another thread's counts as no time at all. */
static double advanced(const gos_limiter *l, gos_ns now) {
  double tokens = l->tokens + (now > l->last ? tokens_in(l->limit, now - l->last) : 0);
  return tokens > l->burst ? l->burst : tokens;
}

gos_limiter *gosi_limiter_new(double per_second, int burst, gos_ns now) {
  gos_limiter *l = per_second == per_second ? gosi_alloc(sizeof *l) : NULL;
  if (!l) return NULL;
  l->limit = per_second;
  l->burst = burst > 0 ? burst : 0;
  l->tokens = l->burst;
  l->last = now;
  return l;
}

bool gosi_limiter_reserve(gos_limiter *l, int n, gos_ns now, gos_ns patience, gos_reservation *r) {
  gosi_lock_take(&l->lock);
  *r = (gos_reservation){.ok = 1, .n = n, .at = now, .limiter = l, .limit = l->limit};
  if (!unlimited(l->limit)) {
    double tokens = advanced(l, now) - n;
    gos_ns wait = tokens < 0 ? time_for(l->limit, -tokens) : 0;
    r->ok = n <= l->burst && wait <= patience;
    if (r->ok) {
      r->at = later(now, wait);
      if (now > l->last) l->last = now;
      l->tokens = tokens;
      l->last_event = r->at;
    }
  }
  gosi_lock_drop(&l->lock);
  if (!r->ok) r->n = 0;
  return r->ok;
}

/* What later reservations were promised on top of this one stays theirs. */
void gosi_limiter_cancel(gos_reservation *r, gos_ns now) {
  gos_limiter *l = r->limiter;
  if (!r->ok || r->n == 0 || unlimited(r->limit) || r->at < now) return;
  gosi_lock_take(&l->lock);
  double back = r->n - tokens_in(r->limit, l->last_event - r->at);
  if (!unlimited(l->limit) && back > 0) {
    double tokens = advanced(l, now) + back;
    l->tokens = tokens > l->burst ? l->burst : tokens;
    if (now > l->last) l->last = now;
    if (r->at == l->last_event) {
      gos_ns took = time_for(r->limit, r->n), before = took > r->at ? 0 : r->at - took;
      if (before >= now) l->last_event = before;
    }
  }
  gosi_lock_drop(&l->lock);
  r->n = 0;
}

double gosi_limiter_tokens(gos_limiter *l, gos_ns now) {
  gosi_lock_take(&l->lock);
  double t = advanced(l, now);
  gosi_lock_drop(&l->lock);
  return t;
}

void gosi_limiter_set(gos_limiter *l, const double *limit, const int *burst, gos_ns now) {
  gosi_lock_take(&l->lock);
  l->tokens = advanced(l, now);
  if (now > l->last) l->last = now;
  if (limit) l->limit = *limit;
  if (burst) l->burst = *burst > 0 ? *burst : 0;
  gosi_lock_drop(&l->lock);
}

/* ---- the public calls ----------------------------------------------------------------------- */
gos_limiter *gos_limiter_new(double per_second, int burst) {
  return gosi_limiter_new(per_second, burst, gosi_os_now());
}
void gos_limiter_free(gos_limiter *l) { gosi_free(l); }

int gos_limiter_allow(gos_limiter *l, int n) {
  gos_reservation r;
  return l && n >= 0 && gosi_limiter_reserve(l, n, gosi_os_now(), 0, &r);
}

int gos_limiter_reserve(gos_limiter *l, int n, gos_reservation *r) {
  if (!l || !r || n < 0) return GOS_INVAL;
  return gosi_limiter_reserve(l, n, gosi_os_now(), GOS_FOREVER, r) ? GOS_OK : GOS_INVAL;
}
void gos_reservation_cancel(gos_reservation *r) {
  if (r && r->limiter) gosi_limiter_cancel(r, gosi_os_now());
}

/* n will never happen, whatever the caller's context says: his mistake comes first, as in Go. */
static bool beyond(gos_limiter *l, int n) { return n > gos_limiter_burst(l) && !unlimited(gos_limiter_limit(l)); }

static int wait_until(gos_limiter *l, int n, gos_ns deadline, gos_ctx *x) {
  gos_reservation r;
  if (!l || n < 0 || beyond(l, n)) return GOS_INVAL;
  if (gosi_ctx_can_end(x) && gosi_ctx_ended(x)) return gosi_ctx_ended(x);
  gos_ns now = gosi_os_now(), patience = deadline == GOS_FOREVER ? GOS_FOREVER : deadline > now ? deadline - now : 0;
  if (!gosi_limiter_reserve(l, n, now, patience, &r)) {
    if (beyond(l, n)) return GOS_INVAL; /* since a moment ago */
    return deadline == GOS_NOW ? GOS_WOULDBLOCK : GOS_TIMEDOUT;
  }
  int e = r.at > now ? gos_sleep_ctx(r.at - now, x) : GOS_OK;
  if (e) gos_reservation_cancel(&r);
  return e;
}

int gos_limiter_wait(gos_limiter *l, int n) { return wait_until(l, n, GOS_FOREVER, NULL); }
int gos_limiter_wait_dl(gos_limiter *l, int n, gos_ns deadline) { return wait_until(l, n, deadline, NULL); }
int gos_limiter_wait_ctx(gos_limiter *l, int n, gos_ctx *x) {
  gos_ns deadline;
  gos_ctx_deadline(x, &deadline);
  return wait_until(l, n, deadline, x);
}

double gos_limiter_limit(gos_limiter *l) {
  if (!l) return 0;
  gosi_lock_take(&l->lock);
  double limit = l->limit;
  gosi_lock_drop(&l->lock);
  return limit;
}
int gos_limiter_burst(gos_limiter *l) {
  if (!l) return 0;
  gosi_lock_take(&l->lock);
  int burst = l->burst;
  gosi_lock_drop(&l->lock);
  return burst;
}
double gos_limiter_tokens(gos_limiter *l) { return !l ? 0 : gosi_limiter_tokens(l, gosi_os_now()); }
int gos_limiter_set_limit(gos_limiter *l, double per_second) {
  if (!l || per_second != per_second) return GOS_INVAL;
  gosi_limiter_set(l, &per_second, NULL, gosi_os_now());
  return GOS_OK;
}
int gos_limiter_set_burst(gos_limiter *l, int burst) {
  if (!l) return GOS_INVAL;
  gosi_limiter_set(l, NULL, &burst, gosi_os_now());
  return GOS_OK;
}
