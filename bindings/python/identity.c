/* Two slots redirected, and the numbers given out.
 *
 * A goroutine's identity may reach pthread_kill() and the like (signal.pthread_kill(
 * threading.get_ident(), ...)). It therefore is the address of zeroed memory that glibc
 * can read and lock as if it were a thread that has ended, and gives ESRCH or EINVAL.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

__thread unsigned long identity_override __attribute__((tls_model("initial-exec")));

static pthread_t identity_self(void) {
  unsigned long id = identity_override;
  return id ? (pthread_t)id : pthread_self();
}

/* A thread that wants the GIL while the interpreter ends is sent to pthread_exit(). The home
   thread would there return to the bottom of main's stack, which another thread may be using:
   the runtime's threads stay, as CPython 3.14 lets all such threads do, and end with the process. */
static void identity_exit(void *result) {
  if (!state_here || state_here->kind == THREAD) pthread_exit(result);
  for (;;) pause();
}

unsigned long identity_real(void) { return (unsigned long)pthread_self(); }

/* ---- the slots --------------------------------------------------------------- */
struct patch {
  const char *name;
  void *to;
  int slots;
};

static uintptr_t absolute(struct dl_phdr_info *o, uintptr_t p) {
  return p < o->dlpi_addr ? p + o->dlpi_addr : p; /* glibc relocates these pointers, musl does not */
}

static bool holds_cpython(struct dl_phdr_info *o) {
  uintptr_t p = (uintptr_t)PyThread_get_thread_ident;
  for (int i = 0; i < o->dlpi_phnum; i++) {
    uintptr_t lo = o->dlpi_addr + o->dlpi_phdr[i].p_vaddr;
    if (o->dlpi_phdr[i].p_type == PT_LOAD && p >= lo && p < lo + o->dlpi_phdr[i].p_memsz) return true;
  }
  return false;
}

static bool write_slot(struct dl_phdr_info *o, void **slot, void *to) {
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)slot & ~(page - 1);
  if (mprotect((void *)at, page, PROT_READ | PROT_WRITE)) return false;
  __atomic_store_n(slot, to, __ATOMIC_RELEASE);
  for (int i = 0; i < o->dlpi_phnum; i++) {
    uintptr_t lo = o->dlpi_addr + o->dlpi_phdr[i].p_vaddr;
    if (o->dlpi_phdr[i].p_type == PT_GNU_RELRO && at >= (lo & ~(page - 1)) && at < lo + o->dlpi_phdr[i].p_memsz)
      mprotect((void *)at, page, PROT_READ);
  }
  return true;
}

static int patch_object(struct dl_phdr_info *o, size_t size, void *u) {
  (void)size;
  struct patch *p = u;
  if (!holds_cpython(o)) return 0;
  const ElfW(Dyn) *dyn = NULL;
  for (int i = 0; i < o->dlpi_phnum; i++)
    if (o->dlpi_phdr[i].p_type == PT_DYNAMIC) dyn = (void *)(o->dlpi_addr + o->dlpi_phdr[i].p_vaddr);
  if (!dyn) return 1; /* a static program */
  struct {
    ElfW(Rela) * at;
    size_t n;
  } tables[2] = {{NULL, 0}, {NULL, 0}};
  const ElfW(Sym) *symbols = NULL;
  const char *names = NULL;
  for (; dyn->d_tag != DT_NULL; dyn++) {
    uintptr_t v = dyn->d_un.d_ptr;
    switch (dyn->d_tag) {
    case DT_JMPREL: tables[0].at = (void *)absolute(o, v); break;
    case DT_PLTRELSZ: tables[0].n = v / sizeof(ElfW(Rela)); break;
    case DT_RELA: tables[1].at = (void *)absolute(o, v); break;
    case DT_RELASZ: tables[1].n = v / sizeof(ElfW(Rela)); break;
    case DT_SYMTAB: symbols = (void *)absolute(o, v); break;
    case DT_STRTAB: names = (void *)absolute(o, v); break;
    }
  }
  for (int t = 0; t < 2 && symbols && names; t++) {
    for (size_t i = 0; tables[t].at && i < tables[t].n; i++) {
      const ElfW(Rela) *r = &tables[t].at[i];
      size_t symbol = ELF64_R_SYM(r->r_info);
      if (!symbol || r->r_addend || strcmp(names + symbols[symbol].st_name, p->name)) continue;
      p->slots += write_slot(o, (void **)(o->dlpi_addr + r->r_offset), p->to);
    }
  }
  return 1;
}

static int point_slot(const char *name, void *to) {
  struct patch p = {name, to, 0};
  dl_iterate_phdr(patch_object, &p);
  return p.slots;
}

static bool follows(unsigned long id) {
  identity_override = id;
  bool ok = PyThread_get_thread_ident() == id;
  identity_override = 0;
  return ok;
}

bool identity_install(void) {
  unsigned long a = identity_new(), b = identity_new();
  bool ok = a && b && point_slot("pthread_self", (void *)identity_self) > 0 && follows(a) && follows(b) &&
            PyThread_get_thread_ident() == identity_real() && point_slot("pthread_exit", (void *)identity_exit) > 0;
  if (!ok) point_slot("pthread_self", (void *)pthread_self);
  identity_free(a);
  identity_free(b);
  return ok;
}

/* ---- the numbers ------------------------------------------------------------- */
enum { STEP = 64, TAIL = 8192, FIRST = 1024, CHUNKS = 32 };

static struct {
  uintptr_t base;
  size_t count, given;
} chunks[CHUNKS];
static int nchunks;
static struct {
  unsigned long *at;
  size_t n, size;
} spare;

static bool chunk_add(void) {
  if (nchunks == CHUNKS) return false;
  size_t count = (size_t)FIRST << nchunks;
  void *p = mmap(NULL, count * STEP + TAIL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return false;
  chunks[nchunks].base = (uintptr_t)p;
  chunks[nchunks].count = count;
  chunks[nchunks++].given = 0;
  return true;
}

unsigned long identity_new(void) {
  if (spare.n) return spare.at[--spare.n];
  if ((!nchunks || chunks[nchunks - 1].given == chunks[nchunks - 1].count) && !chunk_add()) return 0;
  return chunks[nchunks - 1].base + STEP * chunks[nchunks - 1].given++;
}

void identity_free(unsigned long id) {
  if (!id) return;
  if (spare.n == spare.size) {
    size_t size = spare.size ? spare.size * 2 : 64;
    unsigned long *at = realloc(spare.at, size * sizeof *at);
    if (!at) return; /* the number is never used again */
    spare.at = at;
    spare.size = size;
  }
  spare.at[spare.n++] = id;
}

bool identity_is_ours(unsigned long id) {
  for (int i = 0; i < nchunks; i++)
    if (id >= chunks[i].base && id < chunks[i].base + chunks[i].count * STEP) return true;
  return false;
}
