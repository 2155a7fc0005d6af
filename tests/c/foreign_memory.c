// ctest: timeout=60
// ctest: not-in=address,thread,undefined
/* A thread's first call when there is no memory for what the runtime has to know of it: whatever can say so does, at
 * once, and the next call may be the first. The sanitizers have allocators of their own.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <errno.h>
#include <gossamer/host.h>
#include <gossamer/net.h>
#include <pthread.h>

extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_memalign(size_t align, size_t size);
static _Thread_local bool refused;
__attribute__((visibility("default"))) void *calloc(size_t n, size_t size) {
  return refused ? NULL : __libc_calloc(n, size);
}
__attribute__((visibility("default"))) int posix_memalign(void **p, size_t align, size_t size) {
  return refused || !(*p = __libc_memalign(align, size)) ? ENOMEM : 0;
}

static gos_chan *c;
static gos_g *parked;
static gos_ctx *ctx;
static gos_mutex mu, held, *own = &mu;
static gos_rwmutex rw;
static gos_cond cond;
static gos_waitgroup wg;
static gos_sem *sem;
static int p[2];
static void receives(void *arg) { CHECK_EQ(gos_chan_recv(c, arg), GOS_OK); }
static void nothing(void *arg) { (void)arg; }

/* What each of them asks for would wait, or needs the runtime. */
static void all_refuse(void) {
  uint64_t v = 1;
  char byte;
  int e = 0;
  gos_case k = {.op = 1, .c = c, .v = &v};
  CHECK_EQ(gos_go(nothing, NULL), GOS_NOMEM);
  CHECK(!gos_go_opts(NULL, nothing, NULL, &e));
  CHECK_EQ(e, GOS_NOMEM);
  CHECK_EQ(gos_join(parked, GOS_FOREVER), GOS_NOMEM);
  CHECK_EQ(gos_interrupt(parked), GOS_NOMEM);
  CHECK(!gos_done(parked));
  CHECK_EQ(gos_sleep(MS), GOS_NOMEM);
  CHECK_EQ(gos_defer(nothing, NULL), GOS_NOMEM);
  CHECK_EQ(gos_set_label("k", "v"), GOS_NOMEM);
  CHECK_EQ(gos_lock_os_thread(), GOS_NOMEM);
  CHECK_EQ(gos_chan_send(c, &v), GOS_NOMEM);
  CHECK_EQ(gos_chan_recv(c, &v), GOS_NOMEM);
  CHECK_EQ(gos_chan_recv(NULL, &v), GOS_NOMEM);
  CHECK_EQ(gos_chan_close(c), GOS_NOMEM);
  CHECK_EQ(gos_select(&k, 1, GOS_FOREVER), GOS_NOMEM);
  CHECK_EQ(gos_mutex_lock_dl(&held, GOS_FOREVER), GOS_NOMEM);
  CHECK_EQ(gos_rwmutex_lock_dl(&rw, GOS_FOREVER), GOS_NOMEM);
  CHECK_EQ(gos_rwmutex_rlock_dl(&rw, GOS_FOREVER), GOS_NOMEM);
  CHECK_EQ(gos_waitgroup_wait(&wg), GOS_NOMEM);
  CHECK_EQ(gos_waitgroup_go(&wg, nothing, NULL), GOS_NOMEM);
  gos_mutex_lock(own); /* free: the thread needs nothing for it */
  CHECK_EQ(gos_cond_wait(&cond, own), GOS_NOMEM);
  CHECK_EQ(gos_mutex_unlock(own), GOS_OK); /* it had not been given back */
  CHECK_EQ(gos_sem_acquire(sem, 1), GOS_NOMEM);
  CHECK_EQ(gos_fd_wait(p[0], GOS_READ, GOS_FOREVER), GOS_NOMEM);
  CHECK_EQ(gos_read(p[0], &byte, 1, GOS_FOREVER), GOS_NOMEM);
  CHECK(!gos_timer_new(MS) && !gos_ticker_new(MS) && !gos_after_func(MS, nothing, NULL));
  CHECK(!gos_with_timeout(NULL, MS));
  CHECK_EQ(gos_chan_recv_ctx(c, &v, ctx), GOS_NOMEM);
  CHECK_EQ(gos_host_thread(NULL, 0, nothing, NULL), GOS_NOMEM);
}
static void *calls_in(void *arg) {
  refused = true;
  all_refuse();
  refused = false;
  CHECK_EQ(gos_chan_send(c, arg), GOS_OK);
  return NULL;
}
TEST(no_memory_for_a_threads_first_call) {
  uint64_t v = 7, got = 0;
  pthread_t t;
  c = gos_chan_make(8, 0), sem = gos_sem_new(0), ctx = gos_with_cancel(NULL);
  gos_mutex_lock(&held), gos_rwmutex_lock(&rw);
  CHECK_EQ(gos_waitgroup_add(&wg, 1), GOS_OK);
  CHECK_EQ(gos_pipe(p), GOS_OK);
  parked = spawn(receives, &got);
  until_parked(parked, "chan receive");
  CHECK_EQ(pthread_create(&t, NULL, calls_in, &v), 0);
  finish(parked);
  CHECK_EQ(got, 7);
  pthread_join(t, NULL);
  gos_close(p[0]), gos_close(p[1]);
  gos_ctx_release(ctx), gos_sem_free(sem), gos_chan_release(c);
}
