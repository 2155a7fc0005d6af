/* By protection, guard markers (Linux 6.13) and mremap. L1.
 *
 * mremap leaves no seam: a page of the twin knows the same offset and the same anon_vma as its place, so the kernel
 * joins the mappings again once it has moved, and any number of them cost no entry of vm.max_map_count.
 * SPDX-License-Identifier: Apache-2.0 */
#include "os/pages.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

static bool move(char *from, char *to, size_t n) {
  void *p;
  do {
    p = mremap(from, n, n, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to);
  } while (p == MAP_FAILED && errno == EINTR);
  return p != MAP_FAILED;
}

char *gosi_pages_twin(char *p, size_t n) {
  enum { TRIES = 4 };
  *(volatile char *)p = 0; /* a mapping has no anon_vma to share until a page of it is there */
  for (int i = 0; i < TRIES; i++) {
    char *at = mmap(NULL, n, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) return NULL;
    /* One page that was p's, grown in place; another thread's mmap may come between. */
    munmap(at + GOSI_PAGE, n - GOSI_PAGE);
    bool moved = move(p, at, GOSI_PAGE);
    if (moved && mremap(at, GOSI_PAGE, n, 0) == at) return at;
    munmap(at, GOSI_PAGE);
    if (!moved) return NULL;
  }
  return NULL;
}

bool gosi_pages_forbid(char *p, size_t n) { return mprotect(p, n, PROT_READ) == 0; }
/* Joins the mappings that forbidding split. */
bool gosi_pages_allow(char *p, size_t n) { return mprotect(p, n, PROT_READ | PROT_WRITE) == 0; }

bool gosi_pages_guard(char *p, size_t n) {
  int r;
  do {
    r = madvise(p, n, MADV_GUARD_INSTALL);
  } while (r && (errno == EINTR || errno == EAGAIN));
  return r == 0;
}
/* The kernel gives back first and sets the markers then: in between a page that may be read would read as zeros. */
bool gosi_pages_drop(char *p, size_t n) { return mprotect(p, n, PROT_NONE) == 0 && gosi_pages_guard(p, n); }
bool gosi_pages_move(char *twin, char *to, size_t n) { return move(twin, to, n); }
void gosi_pages_open(char *p, size_t n) {
  while (madvise(p, n, MADV_GUARD_REMOVE)) gosi_os_nap(1000000);
}

const void *gosi_pages_fault_pc(const void *uc) {
  const ucontext_t *u = uc;
#if defined(__x86_64__)
  return (const void *)(uintptr_t)u->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
  return (const void *)(uintptr_t)u->uc_mcontext.pc;
#else
#error "where is the program counter?"
#endif
}

/* ---- does it all work here? ------------------------------------------------------------------------- */
/* A system call that reads a page tells without a signal whether it can be read. */
static bool readable(const char *p) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC | O_NONBLOCK)) return false;
  bool can = write(fds[1], p, 1) == 1;
  close(fds[0]);
  close(fds[1]);
  return can;
}

static const char *try(char *p, char *twin) {
  char *page = p + GOSI_PAGE, *its = twin + GOSI_PAGE;
  strcpy(page, "thawed");
  if (!gosi_pages_forbid(page, GOSI_PAGE)) return "its pages cannot be protected";
  bool dropped = gosi_pages_drop(page, GOSI_PAGE);
  if (!gosi_pages_allow(page, GOSI_PAGE)) return "its pages cannot be protected";
  if (!dropped || readable(page)) return "there are no guard markers (Linux 6.13 has them)";
  strcpy(its, "frozen");
  if (!gosi_pages_move(its, page, GOSI_PAGE)) return "pages cannot be moved";
  if (!readable(page) || strcmp(page, "frozen") != 0) return "a page that was moved is not there";
  return its[0] ? "a page that was moved is still there" : NULL;
}

const char *gosi_pages_trouble(void) {
  enum { N = 3 * GOSI_PAGE };
  if (GOSI_ASAN || GOSI_TSAN) return "a sanitizer must see every access to a stack";
  if (!gosi_os_barrier_all()) return "there is no membarrier";
  char *p = gosi_os_reserve(N);
  char *twin = p ? gosi_pages_twin(p, N) : NULL;
  const char *why = twin ? try(p, twin) : "pages cannot be moved (mremap)";
  if (twin) munmap(twin, N);
  if (p) munmap(p, N);
  return why;
}
