// ctest: timeout=120
/* Elements of every size, and the destructor for values nobody received.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

static const size_t sizes[] = {0, 1, 3, 8, 16, 100, 5000};
enum { SIZES = sizeof sizes / sizeof *sizes, MOST = 5000 };

struct stream {
  gos_chan *c;
  size_t size;
};

static void fill(unsigned char *v, size_t size, long seed) {
  for (size_t i = 0; i < size; i++) v[i] = (unsigned char)(seed * 31 + (long)i * 7);
}

static void produce(void *arg) {
  struct stream *s = arg;
  unsigned char v[MOST + 1];
  for (long i = 0; i < 200; i++) {
    fill(v, s->size, i);
    CHECK_EQ(gos_chan_send(s->c, v), GOS_OK);
    memset(v, 0xee, s->size); /* the channel has its own copy */
  }
  gos_chan_close(s->c);
}

static void check_stream(size_t size, size_t cap) {
  struct stream s = {gos_chan_make(size, cap), size};
  unsigned char got[MOST + 1], want[MOST + 1];
  gos_g *g = spawn(produce, &s);
  for (long i = 0; i < 200; i++) {
    got[size] = 0xa5; /* nothing is written past the element */
    CHECK_EQ(i % 3 ? gos_chan_recv(s.c, got) : gos_select((gos_case[]){GOS_RECV(s.c, got)}, 1, GOS_FOREVER), 0);
    fill(want, size, i);
    CHECK(!memcmp(got, want, size));
    CHECK_EQ(got[size], 0xa5);
  }
  memset(got, 0xff, sizeof got);
  CHECK_EQ(gos_chan_recv(s.c, got), GOS_CLOSED);
  for (size_t i = 0; i < size; i++) CHECK_EQ(got[i], 0);
  CHECK_EQ(got[size], 0xff);
  finish(g);
  gos_chan_release(s.c);
}

TEST(every_size_and_capacity) {
  for (int i = 0; i < SIZES; i++)
    for (size_t cap = 0; cap <= 7; cap += 1 + cap) check_stream(sizes[i], cap);
}

TEST(size_zero_counts) {
  gos_chan *c = gos_chan_make(0, 3);
  for (int i = 0; i < 3; i++) CHECK_EQ(gos_chan_send(c, NULL), GOS_OK);
  CHECK_EQ(gos_chan_send_dl(c, NULL, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_chan_len(c), 3);
  for (int i = 0; i < 3; i++) CHECK_EQ(gos_chan_recv(c, NULL), GOS_OK);
  CHECK_EQ(gos_chan_recv_dl(c, NULL, GOS_NOW), GOS_WOULDBLOCK);
  gos_chan_release(c);
}

TEST(size_zero_with_huge_capacity) {
  gos_chan *c = gos_chan_make(0, (size_t)1 << 30);
  if (!c) return; /* refused is fine, a crash is not */
  for (int i = 0; i < 1000; i++) CHECK_EQ(gos_chan_send(c, NULL), GOS_OK);
  CHECK_EQ(gos_chan_len(c), 1000);
  gos_chan_release(c);
}

static atomic_long freed, freed_sum;
static void dtor(void *elem) { atomic_fetch_add(&freed_sum, *(long *)elem), atomic_fetch_add(&freed, 1); }
static void receives(void *c) { gos_chan_recv(c, NULL); }
static void sends(void *c) { gos_chan_send(c, &(long){1000}); }

TEST(dtor_for_values_left_inside) {
  gos_chan *c = gos_chan_make(sizeof(long), 10);
  gos_chan_set_dtor(c, dtor);
  for (long v, i = 1; i <= 8; i++) { /* the ring has turned */
    CHECK_EQ(gos_chan_send(c, &i), GOS_OK);
    if (i <= 4) CHECK_EQ(gos_chan_recv(c, &v), GOS_OK);
  }
  gos_chan_close(c);
  CHECK_EQ(freed, 0);
  gos_chan_retain(c), gos_chan_release(c);
  CHECK_EQ(freed, 0);
  gos_chan_release(c);
  CHECK_EQ(freed, 4);
  CHECK_EQ(freed_sum, 5 + 6 + 7 + 8);
}

TEST(dtor_not_for_received_or_refused_values) {
  gos_chan *c = gos_chan_make(sizeof(long), 0);
  gos_chan_set_dtor(c, dtor);
  gos_g *g = spawn(receives, c);
  CHECK_EQ(gos_chan_send(c, &(long){5}), GOS_OK);
  finish(g);
  g = spawn(sends, c); /* closed while it waits: the value stays its own */
  until_parked(g, "chan send");
  gos_chan_close(c);
  finish(g);
  CHECK_EQ(gos_chan_send(c, &(long){6}), GOS_CLOSED);
  CHECK_EQ(gos_chan_send_dl(c, &(long){6}, GOS_NOW), GOS_CLOSED);
  gos_chan_release(c);
  CHECK_EQ(freed, 0);
}

TEST(dtor_of_an_empty_channel) {
  gos_chan *c = gos_chan_make(sizeof(long), 4);
  gos_chan_set_dtor(c, dtor);
  gos_chan_release(c);
  CHECK_EQ(freed, 0);
}

/* A destructor may release another channel. */
static void release_inner(void *elem) { gos_chan_release(*(gos_chan **)elem), freed++; }

TEST(dtor_releases_channels) {
  gos_chan *outer = gos_chan_make(sizeof(gos_chan *), 3);
  gos_chan_set_dtor(outer, release_inner);
  for (int i = 0; i < 3; i++) {
    gos_chan *inner = gos_chan_make(sizeof(gos_chan *), 1), *leaf = gos_chan_make(1, 1);
    gos_chan_set_dtor(inner, release_inner);
    CHECK_EQ(gos_chan_send(inner, &leaf), GOS_OK);
    CHECK_EQ(gos_chan_send(outer, &inner), GOS_OK);
  }
  gos_chan_release(outer);
  CHECK_EQ(freed, 6);
}
