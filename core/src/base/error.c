/* The error table: one text a code, in Go's words where Go has them. L0.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include "base/base.h"

static const char *const text[] = {
    [-GOS_OK] = "ok",
    [-GOS_CLOSED] = "channel closed",
    [-GOS_TIMEDOUT] = "timed out",
    [-GOS_CANCELED] = "canceled",
    [-GOS_WOULDBLOCK] = "would block",
    [-GOS_INVAL] = "invalid argument",
    [-GOS_NOMEM] = "out of memory, address space or guard pages",
    [-GOS_PERM] = "not permitted here",
    [-GOS_DEADLOCK] = "all goroutines are asleep - deadlock!",
    [-GOS_AGAIN] = "try again",
    [-GOS_NOHOST] = "no such host",
};

const char *gos_strerror(int code) {
  const char *t = NULL; /* NULL from either: nobody knows it */
  if (code <= -1000)
    t = strerrordesc_np(-1000 - code);
  else if (code <= 0 && (size_t)-code < COUNT(text))
    t = text[-code];
  return t ? t : "unknown error";
}

int gos_abi_version(void) { return GOS_ABI; }
