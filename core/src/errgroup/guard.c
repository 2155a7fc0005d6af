/* L6. SPDX-License-Identifier: Apache-2.0 */
#include "errgroup/guard.h"

const gos_go_options gosi_guarded = {.size = sizeof(gos_go_options), .name = ""};

static gosi_extra *mine(void) {
  gosi_m *m = gosi_enter();
  gosi_extra *x = m->cur->extra;
  gosi_leave_m(m);
  return x;
}

void gosi_guard_begin(gosi_defer *d, void (*gone)(void *), void *arg) {
  gosi_extra *x = mine();
  *d = (gosi_defer){x->defers, gone, arg};
  x->defers = d;
}

void gosi_guard_end(gosi_defer *d) {
  gosi_defer **at = &mine()->defers; /* the call may have deferred something itself: that stays */
  while (*at != d) at = &(*at)->next;
  *at = d->next;
}
