/* The memory of messages.
 *
 * Large blocks that one thread takes and another gives back are what allocators are worst at: each
 * message of 10 KB cost a page fault or two, and the kernel's lock that goes with them (10 us; with
 * this 2). So blocks of 4 KB to 128 KB go round here, at most 1 MiB of each size waiting.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <pthread.h>

#include "message.h"

enum { SMALLEST = 12, CLASSES = 6, KEPT = 1 << 20 };

struct block {
  struct block *next;
};
static struct pool {
  pthread_mutex_t lock;
  struct block *free;
  int n;
} pools[CLASSES] = {{.lock = PTHREAD_MUTEX_INITIALIZER}, {.lock = PTHREAD_MUTEX_INITIALIZER},
                    {.lock = PTHREAD_MUTEX_INITIALIZER}, {.lock = PTHREAD_MUTEX_INITIALIZER},
                    {.lock = PTHREAD_MUTEX_INITIALIZER}, {.lock = PTHREAD_MUTEX_INITIALIZER}};

/* In a fork's child: another thread may have been at it. What waited is lost. */
static void after_fork(void) {
  for (int c = 0; c < CLASSES; c++) pools[c] = (struct pool){.lock = PTHREAD_MUTEX_INITIALIZER};
}
__attribute__((constructor)) static void watch_fork(void) { pthread_atfork(NULL, NULL, after_fork); }

/* The class for n bytes; below 0: malloc does well; CLASSES: too large. */
static int class_of(size_t n) {
  if (n <= (size_t)1 << (SMALLEST - 1)) return -1;
  int c = 64 - __builtin_clzll((unsigned long long)n - 1) - SMALLEST;
  return c < 0 ? 0 : c < CLASSES ? c : CLASSES;
}

static bool pooled(int c) { return c >= 0 && c < CLASSES; }

struct gl_msg *gl_msg_alloc(size_t bytes) {
  size_t n = sizeof(struct gl_msg) + bytes;
  int c = class_of(n);
  struct block *b = NULL;
  if (pooled(c)) {
    struct pool *p = &pools[c];
    pthread_mutex_lock(&p->lock);
    if ((b = p->free)) {
      p->free = b->next;
      p->n--;
    }
    pthread_mutex_unlock(&p->lock);
    n = (size_t)1 << (c + SMALLEST);
  }
  struct gl_msg *m = b ? (struct gl_msg *)b : malloc(n);
  if (m) *m = (struct gl_msg){.room = pooled(c) ? (int8_t)c : -1, .size = bytes};
  return m;
}

void gl_msg_give_back(struct gl_msg *m) {
  if (m->room >= 0) {
    struct pool *p = &pools[m->room];
    struct block *b = (struct block *)m;
    int most = KEPT >> (m->room + SMALLEST);
    pthread_mutex_lock(&p->lock);
    bool keep = p->n < most;
    if (keep) {
      b->next = p->free;
      p->free = b;
      p->n++;
    }
    pthread_mutex_unlock(&p->lock);
    if (keep) return;
  }
  free(m);
}
