/* Code on a goroutine's stack that keeps something with the thread.
 *
 * An extension in Rust counts in a thread-local variable how deep it is in calls from Python; greenlet has there which
 * greenlet runs. When such code calls Python, and that waits in gossamer, the goroutine must go on on the same thread,
 * and nobody else may run there before: it is locked to the thread for the wait.
 *
 * Such code is known by the object it is in, which has thread-local variables and is not libc, CPython, or ours. A return
 * address that an earlier call left behind is taken for one in use: that costs a switch of threads, no more.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"
#include <link.h>

enum { MOST = 512 };

static struct {
  struct code {
    uintptr_t lo, size;
  } at[MOST];
  int n;
  uintptr_t lo, hi;        /* of all */
  unsigned long long adds; /* the loader's count of what it has loaded, when we last looked */
} tying;                   /* GIL */

static bool holds(const struct dl_phdr_info *o, uintptr_t p) {
  for (int i = 0; i < o->dlpi_phnum; i++)
    if (o->dlpi_phdr[i].p_type == PT_LOAD && p - (o->dlpi_addr + o->dlpi_phdr[i].p_vaddr) < o->dlpi_phdr[i].p_memsz)
      return true;
  return false;
}

/* These have thread-local variables that nobody holds on to over a call into Python. */
static bool excepted(const struct dl_phdr_info *o) {
  static void *const known[] = {(void *)pthread_self, (void *)PyThread_get_thread_ident, (void *)gos_self, &tying};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (holds(o, (uintptr_t)known[i])) return true;
  return false;
}

static void note_code(const struct dl_phdr_info *o) {
  for (int i = 0; i < o->dlpi_phnum && tying.n < MOST; i++) {
    const ElfW(Phdr) *h = &o->dlpi_phdr[i];
    if (h->p_type != PT_LOAD || !(h->p_flags & PF_X)) continue;
    struct code c = {o->dlpi_addr + h->p_vaddr, h->p_memsz};
    tying.at[tying.n++] = c;
    if (c.lo < tying.lo) tying.lo = c.lo;
    if (c.lo + c.size > tying.hi) tying.hi = c.lo + c.size;
  }
}

/* Called for each object, the first of which tells whether anything is new. */
static int look_at_object(struct dl_phdr_info *o, size_t size, void *first) {
  (void)size;
  if (*(bool *)first) {
    *(bool *)first = false;
    if (o->dlpi_adds == tying.adds) return 1;
    tying.adds = o->dlpi_adds;
    tying.n = 0;
    tying.lo = UINTPTR_MAX;
    tying.hi = 0;
  }
  bool locals = false;
  for (int i = 0; i < o->dlpi_phnum; i++) locals |= o->dlpi_phdr[i].p_type == PT_TLS;
  if (locals && !excepted(o)) note_code(o);
  return 0;
}

static bool ties(uintptr_t address) {
  if (address - tying.lo >= tying.hi - tying.lo) return false;
  for (int i = 0; i < tying.n; i++)
    if (address - tying.at[i].lo < tying.at[i].size) return true;
  return false;
}

/* A goroutine's function, written in Python, begins closer to base than this. */
enum { CLOSE = 1024 };

bool tied(char *base) {
  char *here = __builtin_frame_address(0), *inner, *outer;
  compat_loops(compat_ts(), &inner, &outer);
  if (UNLIKELY(!inner)) inner = outer = here;
  if (LIKELY(inner == outer && base - outer < CLOSE)) return false;
  bool first = true;
  dl_iterate_phdr(look_at_object, &first);
  if (!tying.n) return false;
  const uintptr_t *p = (const uintptr_t *)here, *end = (const uintptr_t *)(base - outer < CLOSE ? outer : base);
  for (; p < end; p++)
    if (UNLIKELY(ties(*p))) return true;
  return false;
}
