/* L6. SPDX-License-Identifier: Apache-2.0 */
#include "errgroup/siphash.h"

static uint64_t turn(uint64_t x, int by) { return x << by | x >> (64 - by); }

static void mix(uint64_t v[4]) {
  v[0] += v[1], v[2] += v[3];
  v[1] = turn(v[1], 13) ^ v[0], v[3] = turn(v[3], 16) ^ v[2];
  v[0] = turn(v[0], 32);
  v[2] += v[1], v[0] += v[3];
  v[1] = turn(v[1], 17) ^ v[2], v[3] = turn(v[3], 21) ^ v[0];
  v[2] = turn(v[2], 32);
}

/* Up to eight bytes, the first one lowest. */
static uint64_t word(const unsigned char *p, size_t n) {
  uint64_t w = 0;
  for (size_t i = 0; i < n; i++) w |= (uint64_t)p[i] << (8 * i);
  return w;
}

static void eat(uint64_t v[4], uint64_t w) {
  v[3] ^= w;
  mix(v);
  v[0] ^= w;
}

uint64_t gosi_siphash(const uint64_t key[2], const void *data, size_t n) {
  const unsigned char *p = data;
  uint64_t v[4] = {key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du, key[0] ^ 0x6c7967656e657261u,
                   key[1] ^ 0x7465646279746573u};
  size_t left = n;
  for (; left >= 8; left -= 8, p += 8) eat(v, word(p, 8));
  eat(v, word(p, left) | (uint64_t)n << 56);
  v[2] ^= 0xff;
  for (int i = 0; i < 3; i++) mix(v);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}
