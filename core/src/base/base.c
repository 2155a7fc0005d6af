/* Fatal errors, memory, the lock's slow path. L0.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/lock.h"

bool gosi_write_all(int fd, const char *s, size_t n) {
  while (n > 0) {
    ssize_t k = write(fd, s, n);
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0) return false;
    s += k;
    n -= (size_t)k;
  }
  return true;
}

void gosi_fatal(const char *fmt, ...) {
  char buf[512] = "gossamer: fatal: ";
  size_t n = strlen(buf);
  va_list ap;
  va_start(ap, fmt);
  int k = vsnprintf(buf + n, sizeof buf - n - 1, fmt, ap);
  va_end(ap);
  if (k > 0) n += (size_t)k < sizeof buf - n - 1 ? (size_t)k : sizeof buf - n - 2;
  buf[n++] = '\n';
  gosi_write_all(2, buf, n);
  abort();
}

void *gosi_alloc(size_t n) { return calloc(1, n); }

#if GOSI_NOSYNC /* the scheduler's own memory: who zeroed it and who uses it is not the tool's business */
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
#else
#define AnnotateIgnoreWritesBegin(file, line) ((void)0)
#define AnnotateIgnoreWritesEnd(file, line) ((void)0)
#endif

void *gosi_alloc_aligned(size_t n) {
  void *p = NULL;
  n = (n + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
  AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  if (posix_memalign(&p, CACHE_LINE, n) == 0) memset(p, 0, n);
  AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
  return p;
}

void gosi_free(void *p) { free(p); }

void gosi_lock_slow(gosi_lock *l) {
  for (unsigned n = 0;; n++) {
    while (gosi_load(&l->word)) {
      if (n++ < 100)
        gosi_pause();
      else
        sched_yield(); /* the holder may have lost its CPU */
    }
    if (!__atomic_exchange_n(&l->word, 1, __ATOMIC_ACQUIRE)) {
      gosi_hb_after(l);
      return;
    }
  }
}
