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
/* Where the n-th of those that choose begins, of a seed's. Never 0. */
SCHED_INLINE uint64_t gosi_rand_state(uint64_t seed, uint64_t n) {
  uint64_t x = seed + (n + 1) * 0x9E3779B97F4A7C15ull;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ x >> 27) * 0x94D049BB133111EBull;
  x ^= x >> 31;
  return x ? x : 1;
}
/* Even in [0, n). */
SCHED_INLINE uint32_t gosi_rand_below(uint64_t *s, uint32_t n) {
  return (uint32_t)(((uint64_t)gosi_rand(s) * n) >> 32);
}

#endif
