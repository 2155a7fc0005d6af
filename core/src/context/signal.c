/* A context that ends when a signal comes. L5.
 *
 * Two contexts: one inside, which a goroutine cancels when something comes through the channel, and
 * below it the user's, which stops that when it is cancelled or given up. So the goroutine keeps only the
 * inner one alive, and ends when the channel is closed.
 * SPDX-License-Identifier: Apache-2.0 */
#include "chan/chan.h"
#include "context/context.h"

typedef struct watch {
  gos_chan *c;
  gos_ctx *inner;
} watch;

static void stop(gos_chan *c) {
  gos_signal_stop(c);
  gos_chan_close(c);
}

static void drop(watch *w) {
  gos_chan_release(w->c);
  gos_ctx_release(w->inner);
  gosi_free(w);
}

static void run(void *arg) {
  watch *w = arg;
  int sig;
  if (gos_chan_recv(w->c, &sig) == GOS_OK) gos_cancel(w->inner, sig);
  drop(w);
}

static int start(watch *w, void *site) {
  gosi_m *m = gosi_enter();
  int e =
      gosi_spawn(m, &(gos_go_options){.size = sizeof(gos_go_options), .name = "signal context"}, run, w, site, NULL);
  gosi_leave_m(m);
  return e;
}

gos_ctx *gos_signal_ctx(gos_ctx *p, const int *sigs, int n, int *err) {
  int e = GOS_NOMEM;
  gos_ctx *x = NULL;
  watch *w = gosi_alloc(sizeof *w);
  if (w) *w = (watch){gos_chan_make(sizeof(int), 1), gos_with_cancel(p)};
  if (w && w->c && w->inner) x = gosi_ctx_fed(w->inner, w->c, stop);
  if (x) e = gos_signal_notify(w->c, sigs, n);
  if (!e) e = start(w, __builtin_return_address(0));
  if (err) *err = e;
  if (!e) return x;
  gos_ctx_release(x);
  if (w) drop(w);
  return NULL;
}
