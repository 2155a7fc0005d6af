/* The memory of messages.
 *
 * Blocks that one thread takes and another gives back are what allocators are worst at: the two wait for each
 * other's lock at every message, and one of 10 KB costs a page fault or two besides. So blocks of 128 bytes to
 * 128 KB go round here, in stacks of up to 32 KiB: a state has two of each size, and changes an empty one for
 * a full one, or a full one for an empty one, under a lock. At most 1 MiB of each size waits for that.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <pthread.h>

#include "message.h"

enum { SMALLEST = 7, CLASSES = 11, STACK = 32 << 10, KEPT = 1 << 20 };

/* A free block; the first of a stack tells of the rest. */
struct block {
  struct block *next;  /* below it in the stack */
  struct block *stack; /* the next stack in the pool */
  int n;               /* of blocks in this one */
};

struct gl_blocks {
  struct pair {
    struct block *top;  /* the stack whose turn it is */
    struct block *full; /* NULL, or one that is */
  } of[CLASSES];
};

static struct pool {
  pthread_mutex_t lock; /* guards the rest */
  struct block *stacks;
  size_t bytes;
} pools[CLASSES];

/* Also in a fork's child: another thread may have been at it. What waited is lost. */
static void init(void) {
  for (int c = 0; c < CLASSES; c++) pools[c] = (struct pool){.lock = PTHREAD_MUTEX_INITIALIZER};
}
__attribute__((constructor)) static void begin(void) {
  init();
  pthread_atfork(NULL, NULL, init);
}

/* The class for n bytes; below 0: too large. */
static int class_of(size_t n) {
  if (n <= (size_t)1 << SMALLEST) return 0;
  int c = 64 - __builtin_clzll((unsigned long long)n - 1) - SMALLEST;
  return c < CLASSES ? c : -1;
}

static size_t size_of(int c) { return (size_t)1 << (c + SMALLEST); }

/* How many blocks are a full stack. */
static int most(int c) {
  int n = STACK >> (c + SMALLEST);
  return n < 1 ? 1 : n > 64 ? 64 : n;
}

/* ---- what all states share ---------------------------------------------------------------------- */

static struct block *pool_take(int c) {
  struct pool *p = &pools[c];
  pthread_mutex_lock(&p->lock);
  struct block *b = p->stacks;
  if (b) {
    p->stacks = b->stack;
    p->bytes -= (size_t)b->n * size_of(c);
  }
  pthread_mutex_unlock(&p->lock);
  return b;
}

static void pool_give(int c, struct block *b) {
  struct pool *p = &pools[c];
  size_t bytes = (size_t)b->n * size_of(c);
  pthread_mutex_lock(&p->lock);
  bool keep = p->bytes + bytes <= KEPT;
  if (keep) {
    b->stack = p->stacks;
    p->stacks = b;
    p->bytes += bytes;
  }
  pthread_mutex_unlock(&p->lock);
  while (!keep && b) {
    struct block *below = b->next;
    free(b);
    b = below;
  }
}

/* ---- a state's own ---------------------------------------------------------------------------------- */

static struct block *take(struct pair *own, int c) {
  if (!own->top) {
    own->top = own->full ? own->full : pool_take(c);
    own->full = NULL;
  }
  struct block *b = own->top;
  if (b) own->top = b->next;
  return b;
}

static void give(struct pair *own, int c, struct block *b) {
  if (own->top && own->top->n == most(c)) {
    if (own->full) pool_give(c, own->full);
    own->full = own->top;
    own->top = NULL;
  }
  b->next = own->top;
  b->n = own->top ? own->top->n + 1 : 1;
  own->top = b;
}

/* NULL: the thread has no state, or there is no memory. */
static struct pair *own_pair(int c) {
  struct gl *S = gl_here;
  if (!S) return NULL;
  if (!S->blocks) S->blocks = calloc(1, sizeof *S->blocks);
  return S->blocks ? &S->blocks->of[c] : NULL;
}

struct gl_msg *gl_msg_alloc(size_t bytes) {
  size_t n = sizeof(struct gl_msg) + bytes;
  int c = class_of(n);
  struct pair *own = c >= 0 ? own_pair(c) : NULL;
  struct gl_msg *m = own ? (struct gl_msg *)take(own, c) : NULL;
  if (!m) m = malloc(c >= 0 ? size_of(c) : n);
  if (m) *m = (struct gl_msg){.room = (int8_t)c, .size = bytes};
  return m;
}

void gl_msg_give_back(struct gl_msg *m) {
  struct pair *own = m->room >= 0 ? own_pair(m->room) : NULL;
  if (own)
    give(own, m->room, (struct block *)m);
  else
    free(m);
}

void gl_blocks_end(struct gl *S) {
  for (int c = 0; S->blocks && c < CLASSES; c++) {
    struct pair *own = &S->blocks->of[c];
    if (own->top) pool_give(c, own->top);
    if (own->full) pool_give(c, own->full);
  }
  free(S->blocks);
  S->blocks = NULL;
}
