/* The slots through which an ELF object calls functions of other objects, and how they are changed.
 *
 * Changed are the interpreter's and those of modules that call Lua's functions; other libraries keep the
 * C library's. A slot is found by its value or by its name, so nothing has to be remembered of objects
 * that may be unloaded meanwhile.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "lgos.h"

#if defined(__linux__) && defined(__GLIBC__) && (defined(__x86_64__) || defined(__aarch64__))
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef __x86_64__
enum { JUMP_SLOT = R_X86_64_JUMP_SLOT, GLOB_DAT = R_X86_64_GLOB_DAT };
#else
enum { JUMP_SLOT = R_AARCH64_JUMP_SLOT, GLOB_DAT = R_AARCH64_GLOB_DAT };
#endif

struct relocations {
  const ElfW(Rela) * first;
  size_t n;
};

struct object {
  ElfW(Addr) base;
  const ElfW(Sym) * symbols;
  const char *names;
  struct relocations of[2]; /* of data, of the procedure linkage table */
  ElfW(Addr) relro, relro_end;
};

struct work {
  const struct gl_slot *slots;
  size_t n;
  bool ours, failed;
  ElfW(Addr) interpreter, own;
  int changed;
};

static bool read_object(struct object *o, const struct dl_phdr_info *info) {
  const ElfW(Dyn) *d = NULL;
  *o = (struct object){.base = info->dlpi_addr};
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *h = &info->dlpi_phdr[i];
    if (h->p_type == PT_DYNAMIC) d = (const ElfW(Dyn) *)(info->dlpi_addr + h->p_vaddr);
    if (h->p_type == PT_GNU_RELRO) {
      o->relro = info->dlpi_addr + h->p_vaddr;
      o->relro_end = o->relro + h->p_memsz;
    }
  }
  for (; d && d->d_tag != DT_NULL; d++) {
    void *p = (void *)d->d_un.d_ptr;
    switch (d->d_tag) {
    case DT_SYMTAB: o->symbols = p; break;
    case DT_STRTAB: o->names = p; break;
    case DT_RELA: o->of[0].first = p; break;
    case DT_RELASZ: o->of[0].n = d->d_un.d_val / sizeof(ElfW(Rela)); break;
    case DT_JMPREL: o->of[1].first = p; break;
    case DT_PLTRELSZ: o->of[1].n = d->d_un.d_val / sizeof(ElfW(Rela)); break;
    default: break;
    }
  }
  /* The vdso's pointers are not relocated; it calls nothing. */
  return o->symbols && o->names && (ElfW(Addr))o->symbols >= o->base;
}

static const char *name_of(const struct object *o, const ElfW(Rela) * r) {
  unsigned type = (unsigned)ELF64_R_TYPE(r->r_info);
  if (type != JUMP_SLOT && type != GLOB_DAT) return NULL;
  return o->names + o->symbols[ELF64_R_SYM(r->r_info)].st_name;
}

/* Does it call Lua's functions, of whatever library? */
static bool speaks_lua(const struct object *o) {
  for (int k = 0; k < 2; k++)
    for (size_t i = 0; o->of[k].first && i < o->of[k].n; i++) {
      const char *name = name_of(o, &o->of[k].first[i]);
      if (name && (strncmp(name, "lua_", 4) == 0 || strncmp(name, "luaL_", 5) == 0)) return true;
    }
  return false;
}

/* The page may be one that the loader has made read-only. */
static bool store(const struct object *o, void **slot, void *value) {
  ElfW(Addr) size = (ElfW(Addr))sysconf(_SC_PAGESIZE), page = (ElfW(Addr))slot & ~(size - 1);
  bool fixed = (ElfW(Addr))slot >= o->relro && (ElfW(Addr))slot < o->relro_end;
  if (fixed && mprotect((void *)page, size, PROT_READ | PROT_WRITE)) return false;
  __atomic_store_n(slot, value, __ATOMIC_RELEASE); /* other threads may be calling through it */
  if (fixed) mprotect((void *)page, size, PROT_READ);
  return true;
}

static void change(struct work *w, const struct object *o, const ElfW(Rela) * r) {
  const char *name = name_of(o, r);
  void **slot = (void **)(o->base + r->r_offset);
  for (size_t k = 0; name && k < w->n; k++) {
    const struct gl_slot *s = &w->slots[k];
    if (w->ours ? strcmp(name, s->name) != 0 || *slot == s->ours : *slot != s->ours) continue;
    if (store(o, slot, w->ours ? s->ours : s->theirs))
      w->changed++;
    else
      w->failed = true;
    return;
  }
}

static int visit(struct dl_phdr_info *info, size_t size, void *u) {
  (void)size;
  struct work *w = u;
  struct object o;
  if (info->dlpi_addr == w->own || !read_object(&o, info)) return 0;
  if (w->ours && info->dlpi_addr != w->interpreter && !speaks_lua(&o)) return 0;
  for (int k = 0; k < 2; k++)
    for (size_t i = 0; o.of[k].first && i < o.of[k].n; i++) change(w, &o, &o.of[k].first[i]);
  return 0;
}

static ElfW(Addr) base_of(const void *p) {
  Dl_info info;
  struct link_map *m;
  return dladdr1(p, &info, (void **)&m, RTLD_DL_LINKMAP) ? m->l_addr : 0;
}

int gl_slots_set(const struct gl_slot *slots, size_t n, bool ours, const char **why) {
  struct work w = {.slots = slots, .n = n, .ours = ours};
  w.interpreter = base_of((const void *)lua_pcallk);
  w.own = base_of(&gl_mark);
  dl_iterate_phdr(visit, &w);
  *why = w.failed ? "the loader's tables cannot be written" : NULL;
  return w.failed ? -1 : w.changed;
}

#else

int gl_slots_set(const struct gl_slot *slots, size_t n, bool ours, const char **why) {
  (void)slots, (void)n, (void)ours;
  *why = "only on Linux with glibc, on x86-64 and arm64";
  return -1;
}

#endif
