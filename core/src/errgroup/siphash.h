/* SipHash-1-3: a hash of strings from outside that they cannot foresee. L6.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSI_SIPHASH_H
#define GOSI_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t gosi_siphash(const uint64_t key[2], const void *data, size_t n);

#endif
