/* L6. SPDX-License-Identifier: Apache-2.0 */
#include "errgroup/guard.h"

void gosi_guard_begin(gosi_defer *d, void (*gone)(void *), void *arg) {
  gosi_defer_push(d, gone, arg);
  d->framed = false;
}

void gosi_guard_end(gosi_defer *d) { gosi_defer_pop(d); }
