/* The list of a scope. L5. SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include "context/context.h"

int gosi_ctx_join(gosi_scope *s, gosi_ctx_place *n) {
  gosi_lock_take(&s->lock);
  int e = s->err;
  if (!e) {
    n->next = s->first;
    if (n->next) gosi_store(&n->next->at, &n->next);
    gosi_store(&s->first, n);
    gosi_store(&n->at, &s->first);
  }
  gosi_lock_drop(&s->lock);
  return e;
}

bool gosi_ctx_part(gosi_scope *s, gosi_ctx_place *n) {
  if (!gosi_load_acquire(&n->at)) return false; /* pairs with gosi_ctx_forget: nobody looks at n any more */
  gosi_lock_take(&s->lock);
  bool there = n->at != NULL;
  if (there) {
    gosi_ctx_take_out(n);
    gosi_ctx_forget(n);
  }
  gosi_lock_drop(&s->lock);
  return there;
}

void gosi_ctx_relax(unsigned *n) {
  if (++*n < 100)
    gosi_pause();
  else
    sched_yield(); /* the other may have lost its CPU */
}
