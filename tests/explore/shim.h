/* Included before every file of the core in the explorer's build: each atomic operation, lock,
 * pause, allocation and pthread call becomes one of explore.c. No file of the core is changed.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef EX_SHIM_H
#define EX_SHIM_H

/* All that the core includes, before its words are given another meaning. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void ex_point(void);
void ex_spin(void);
uint64_t ex_ticks(void);
void *ex_malloc(size_t n);
void *ex_calloc(size_t k, size_t n);
void *ex_realloc(void *p, size_t n);
int ex_posix_memalign(void **p, size_t align, size_t n);
void ex_free(void *p);
_Noreturn void ex_abort(void);
_Noreturn void ex_exit(int status);
_Noreturn void ex_thread_exit(void);
void ex_mutex_lock(uint32_t *word);
void ex_mutex_unlock(uint32_t *word);
int ex_key_create(pthread_key_t *key, void (*dtor)(void *));
int ex_setspecific(pthread_key_t key, const void *v);
int ex_close(int fd);
int ex_sigaction(int sig, const struct sigaction *now, struct sigaction *old);

/* Thread-local variables lie together, and are swapped with the virtual threads. */
#define __thread __attribute__((section("ex_tls")))
#define tls_model(m) unused

/* A point stands before the operation; what is to be stored is worked out before the point. */
#define EX_POINTED(expr)                                                                                               \
  __extension__({                                                                                                      \
    ex_point();                                                                                                        \
    expr;                                                                                                              \
  })
#define EX_VALUE(p, v, expr)                                                                                           \
  __extension__({                                                                                                      \
    __typeof__(*(p)) ex_value_ = (v);                                                                                  \
    ex_point();                                                                                                        \
    expr;                                                                                                              \
  })
#define __atomic_load_n(p, o) EX_POINTED(__atomic_load_n(p, o))
#define __atomic_store_n(p, v, o) EX_VALUE(p, v, __atomic_store_n(p, ex_value_, o))
#define __atomic_exchange_n(p, v, o) EX_VALUE(p, v, __atomic_exchange_n(p, ex_value_, o))
#define __atomic_fetch_add(p, v, o) EX_VALUE(p, v, __atomic_fetch_add(p, ex_value_, o))
#define __atomic_fetch_sub(p, v, o) EX_VALUE(p, v, __atomic_fetch_sub(p, ex_value_, o))
#define __atomic_fetch_or(p, v, o) EX_VALUE(p, v, __atomic_fetch_or(p, ex_value_, o))
#define __atomic_fetch_and(p, v, o) EX_VALUE(p, v, __atomic_fetch_and(p, ex_value_, o))
#define __atomic_add_fetch(p, v, o) EX_VALUE(p, v, __atomic_add_fetch(p, ex_value_, o))
#define __atomic_sub_fetch(p, v, o) EX_VALUE(p, v, __atomic_sub_fetch(p, ex_value_, o))
#define __atomic_compare_exchange_n(p, e, v, w, s, f)                                                                  \
  EX_VALUE(p, v, __atomic_compare_exchange_n(p, e, ex_value_, w, s, f))
#define __atomic_thread_fence(o) ex_point()

#define __builtin_ia32_pause() ex_spin()
#define __builtin_ia32_rdtsc() ex_ticks()
#define sched_yield() ex_spin()
#define usleep(us) ex_spin()

#define malloc(n) ex_malloc(n)
#define calloc(k, n) ex_calloc(k, n)
#define realloc(p, n) ex_realloc(p, n)
#define posix_memalign(p, a, n) ex_posix_memalign(p, a, n)
#define free(p) ex_free(p)
#define abort() ex_abort()
#define _exit(n) ex_exit(n)

/* Only ours are ever locked: a word is enough. */
#define pthread_mutex_init(m, a) (*(uint32_t *)(void *)(m) = 0)
#define pthread_mutex_lock(m) ex_mutex_lock((uint32_t *)(void *)(m))
#define pthread_mutex_unlock(m) ex_mutex_unlock((uint32_t *)(void *)(m))
#define pthread_once(o, f) ((*(int *)(void *)(o))++ ? (void)0 : f())
#define pthread_key_create(k, f) ex_key_create(k, f)
#define pthread_setspecific(k, v) ex_setspecific(k, v)
#define pthread_exit(v) ex_thread_exit()
#define pthread_atfork(a, b, c) ((void)(a), (void)(b), (void)(c))
#define sigaction(s, n, o) ex_sigaction(s, n, o)
#define pthread_sigmask(how, s, old) ((void)(how), (void)(s), (void)(old))

/* File descriptors are the explorer's too. */
#define close(fd) ex_close(fd)

#endif
