/* Buffers in channels. SPDX-License-Identifier: Apache-2.0 */
#include <gossamer/buffer.h>
#include "test.h"

static atomic_int released;
static void release(void *owner) { atomic_fetch_add(&released, *(int *)owner); }

TEST(buffer_is_released_once) {
  int one = 1;
  gos_buffer b = {.data = "abc", .len = 3, .release = release, .owner = &one};
  gos_buffer_release(&b);
  gos_buffer_release(&b);
  CHECK_EQ(released, 1);
  CHECK(!b.data && !b.len);
  gos_buffer_release(NULL);
  b = (gos_buffer){.data = "static", .len = 6};
  gos_buffer_release(&b);
}

enum { BYTES = 100 };
static void produce(void *arg) {
  gos_chan *c = arg;
  for (long i = scaled(1000); i; i--) {
    char *p = malloc(BYTES);
    memset(p, (int)(i & 0x7f), BYTES);
    CHECK_EQ(gos_chan_send(c, &(gos_buffer){.data = p, .len = BYTES, .release = free, .owner = p}), GOS_OK);
  }
  gos_chan_close(c);
}

TEST(buffers_through_a_channel) {
  gos_chan *c = gos_chan_make(sizeof(gos_buffer), 4);
  gos_buffer b;
  long n = 0;
  gos_go(produce, c);
  gos_chan_range(c, &b) {
    CHECK_EQ(b.len, BYTES);
    CHECK_EQ(((const char *)b.data)[0], ((const char *)b.data)[BYTES - 1]);
    gos_buffer_release(&b);
    n++;
  }
  CHECK_EQ(n, scaled(1000));
  gos_chan_release(c);
}

TEST(buffers_that_nobody_receives) {
  int one = 1;
  gos_chan *c = gos_chan_make(sizeof(gos_buffer), 3);
  gos_chan_set_dtor(c, gos_buffer_drop);
  for (int i = 0; i < 3; i++)
    CHECK_EQ(gos_chan_send(c, &(gos_buffer){.data = "x", .len = 1, .release = release, .owner = &one}), GOS_OK);
  CHECK_EQ(released, 0);
  gos_chan_release(c);
  CHECK_EQ(released, 3);
}
