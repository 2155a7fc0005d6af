/* Random choices: xorshift64*, one state a thread. L0.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSI_RAND_H
#define GOSI_RAND_H

#include "base/base.h"

SCHED_INLINE uint32_t gosi_rand(uint64_t *s) {
  uint64_t x = *s;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  *s = x;
  return (uint32_t)((x * 0x2545F4914F6CDD1Dull) >> 32);
}
/* Even in [0, n). */
SCHED_INLINE uint32_t gosi_rand_below(uint64_t *s, uint32_t n) {
  return (uint32_t)(((uint64_t)gosi_rand(s) * n) >> 32);
}

#endif
