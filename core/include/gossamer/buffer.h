/* buffer.h - bytes that change hands without being copied.
 *
 * A channel of buffers (gos_chan_make(sizeof(gos_buffer), cap)) moves the four words, never the bytes. Whoever
 * has received one owns it: it reads data, and then gives it up once, by gos_buffer_release() or by sending it
 * on. The maker says how that is done; memory of malloc():
 *
 *   gos_buffer b = {.data = p, .len = n, .release = free, .owner = p};
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef GOSSAMER_BUFFER_H
#define GOSSAMER_BUFFER_H

#include "../gossamer.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* cdef: begin */
typedef struct gos_buffer {
  const void *data; /* not to be written to: others may have it too */
  size_t len;
  void (*release)(void *owner); /* any thread or goroutine may call it; it must not wait. NULL: nothing to do */
  void *owner;
} gos_buffer;

/* Gives the bytes back to whoever made the buffer, which is empty from here on: again is nothing. NULL is ignored. */
void gos_buffer_release(gos_buffer *b);
/* The same for gos_chan_set_dtor(), of a channel of buffers. */
void gos_buffer_drop(void *buffer);
/* cdef: end */

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
