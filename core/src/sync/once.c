/* Once. L4.
 * done is set under mu, after fn has returned or its goroutine has left it by gos_goexit or gos_panic:
 * as in Go, fn is not tried again. Whoever reads done as 1 sees all that fn did.
 * SPDX-License-Identifier: Apache-2.0 */
#include "sync/once.h"

static void finished(void *arg) {
  gos_once *o = arg;
  gosi_store_release(&o->done, 1u); /* pairs with the load in gos_once_do */
  gos_mutex_unlock(&o->mu);
}

void gosi_once_run(gos_once *o, void (*fn)(void *), void *arg) {
  if (gosi_load(&o->done)) {
    gos_mutex_unlock(&o->mu);
    return;
  }
  gosi_defer left;
  gosi_defer_push(&left, finished, o);
  fn(arg);
  gosi_defer_pop(&left);
  finished(o);
}

void gos_once_do(gos_once *o, void (*fn)(void *), void *arg) {
  if (likely(gosi_load_acquire(&o->done))) return;
  gos_mutex_lock(&o->mu);
  gosi_once_run(o, fn, arg);
}

int gos_once_do_dl(gos_once *o, void (*fn)(void *), void *arg, gos_ns deadline) {
  if (likely(gosi_load_acquire(&o->done))) return GOS_OK;
  int e = gos_mutex_lock_dl(&o->mu, deadline);
  if (!e) gosi_once_run(o, fn, arg);
  return e;
}
