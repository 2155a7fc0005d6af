/* What the tests of gossamer.native run as goroutines. SPDX-License-Identifier: Apache-2.0 */
#include <gossamer/buffer.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct pipe {
  gos_chan *in, *out;
};

/* int64: what comes in, squared. Closes out at the end. */
void square(void *arg) {
  struct pipe *p = arg;
  int64_t n;
  gos_chan_range(p->in, &n) {
    n *= n;
    if (gos_chan_send(p->out, &n) != GOS_OK) return;
  }
  gos_chan_close(p->out);
}

/* Any element of 4, 8, 12 or sizeof(gos_buffer) bytes: what comes in goes out. */
static void copy(struct pipe *p, void *v) {
  while (gos_chan_recv(p->in, v) == GOS_OK)
    if (gos_chan_send(p->out, v) != GOS_OK) return;
  gos_chan_close(p->out);
}
void copy4(void *arg) { copy(arg, &(int32_t){0}); }
void copy8(void *arg) { copy(arg, &(int64_t){0}); }
void copy12(void *arg) { copy(arg, (char[12]){0}); }
void copy_buffers(void *arg) { copy(arg, &(gos_buffer){0}); }
void copy_200(void *arg) { copy(arg, (char[200]){0}); }

/* Buffers in; the sum of each one's bytes out, and where it was. */
struct sum {
  int64_t sum, address;
};
void sum(void *arg) {
  struct pipe *p = arg;
  gos_buffer b;
  gos_chan_range(p->in, &b) {
    struct sum s = {0, (intptr_t)b.data};
    for (size_t i = 0; i < b.len; i++) s.sum += ((const unsigned char *)b.data)[i];
    gos_buffer_release(&b);
    if (gos_chan_send(p->out, &s) != GOS_OK) return;
  }
  gos_chan_close(p->out);
}

/* Takes buffers and gives them up only when told to. */
struct keeper {
  gos_chan *in, *ready, *go;
};
void keep_one(void *arg) {
  struct keeper *k = arg;
  gos_buffer b;
  int64_t x = 0;
  if (gos_chan_recv(k->in, &b) != GOS_OK) return;
  gos_chan_send(k->ready, &x);
  gos_chan_recv(k->go, &x);
  gos_buffer_release(&b);
  gos_chan_send(k->ready, &x);
}
/* Gives up what it gets and says nothing. */
void swallow(void *arg) {
  gos_buffer b;
  gos_chan_range((gos_chan *)arg, &b) gos_buffer_release(&b);
}

static atomic_int made, freed;
int alive(void) { return made - freed; }
static void free_made(void *p) {
  freed++;
  free(p);
}
struct maker {
  gos_chan *out;
  intptr_t n, len;
};
void make_buffers(void *arg) {
  struct maker *m = arg;
  for (intptr_t i = 0; i < m->n; i++) {
    char *p = malloc((size_t)m->len + 1);
    memset(p, (int)(i & 0xff), (size_t)m->len);
    made++;
    gos_buffer b = {p, (size_t)m->len, free_made, p};
    if (gos_chan_send(m->out, &b) != GOS_OK) gos_buffer_release(&b);
  }
  gos_chan_close(m->out);
}
void send_wrong_buffer(void *arg) { gos_chan_send(arg, &(gos_buffer){NULL, 3, NULL, NULL}); }

/* Never calls the runtime: answers each odd number with the next even one, until it finds stop. */
struct handshake {
  atomic_long word, stop;
};
void answer(void *arg) {
  struct handshake *h = arg;
  long was = 0;
  while (!atomic_load(&h->stop)) {
    long now = atomic_load(&h->word);
    if (now != was && now % 2) atomic_store(&h->word, was = now + 1);
  }
}

void spin(void *arg) {
  (void)arg;
  for (;;) __asm__ volatile("");
}
void park(void *arg) {
  (void)arg;
  gos_chan_recv(NULL, NULL);
}
void nothing(void *arg) { (void)arg; }
void panics(void *arg) { gos_panic("lost %ld keys", (long)(intptr_t)arg); }
void leaves(void *arg) {
  gos_goexit();
  *(int *)arg = 1;
}
void store(void *arg) { *(volatile long *)arg = 7; }
struct words {
  intptr_t a, *out, b;
};
void add_words(void *arg) {
  struct words *w = arg;
  *w->out = w->a + w->b;
}
/* 1: the wait was interrupted, or the context ended. */
struct waiter {
  gos_chan *c;
  gos_ctx *x;
  intptr_t *out;
};
void wait_ctx(void *arg) {
  struct waiter *w = arg;
  int64_t v;
  *w->out = gos_chan_recv_ctx(w->c, &v, w->x);
}
void fill_stack(void *arg) {
  volatile char big[400 * 1024];
  for (size_t i = 0; i < sizeof big; i += 4096) big[i] = 1;
  *(long *)arg = big[4096];
}
/* Goes on with the channel after its Python object, and the goroutine that got it, are gone. */
static void later(void *arg) {
  gos_chan *c = arg;
  int64_t n = 5;
  gos_chan_send(c, &n);
  gos_chan_release(c);
}
void hand_on(void *arg) { gos_go(later, gos_chan_retain(arg)); }
void labels(void *arg) { *(uint64_t *)arg = gos_goid(); }
