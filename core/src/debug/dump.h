/* Text for a descriptor or a buffer. SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSI_DUMP_H
#define GOSI_DUMP_H

#include "base/base.h"

/* fd >= 0: written there as it gets full, without any memory. fd < 0: kept in s, which is malloc'ed. */
typedef struct gosi_out {
  int fd;
  bool failed; /* it could not all be written */
  char *s;
  size_t n, cap;
  char few[1024];
} gosi_out;

void gosi_outf(gosi_out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void gosi_out_add(gosi_out *o, const char *s, size_t n);
void gosi_out_flush(gosi_out *o);
bool gosi_dump_fd(int fd);

#endif
