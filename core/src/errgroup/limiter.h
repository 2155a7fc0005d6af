/* The limiter with the time given, for tests too. L6. SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSI_LIMITER_H
#define GOSI_LIMITER_H

#include "base/lock.h"

/* l as if made at now. */
gos_limiter *gosi_limiter_new(double per_second, int burst, gos_ns now);
/* ok: n is allowed to happen at r->at, which is at most patience from now. */
bool gosi_limiter_reserve(gos_limiter *l, int n, gos_ns now, gos_ns patience, gos_reservation *r);
void gosi_limiter_cancel(gos_reservation *r, gos_ns now);
double gosi_limiter_tokens(gos_limiter *l, gos_ns now);
void gosi_limiter_set(gos_limiter *l, const double *limit, const int *burst, gos_ns now);

#endif
