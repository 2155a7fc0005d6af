/* Bytes that change hands. L4. SPDX-License-Identifier: Apache-2.0 */
#include "gossamer/buffer.h"

void gos_buffer_release(gos_buffer *b) {
  if (!b) return;
  gos_buffer was = *b;
  *b = (gos_buffer){0};
  if (was.release) was.release(was.owner);
}

void gos_buffer_drop(void *buffer) { gos_buffer_release(buffer); }
