// ctest: timeout=60
/* What a goroutine keeps over a switch: registers, floating point control, its stack; and what it finds
 * at entry: a stack aligned as the ABI says.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <errno.h>
#include <fenv.h>
#include <math.h>
#include <pthread.h>

static void switches(void) {
  for (int i = 0; i < 5; i++) gos_gosched();
}

#if defined(__x86_64__)
/* Fills every callee-saved register, switches, and adds up what came back wrong. rbp and rbx are not
   for clobber lists everywhere, so they are saved by hand. */
static uint64_t keeps_registers(uint64_t seed) {
  uint64_t bad = 0;
  __asm__ volatile("subq $128, %%rsp\n pushq %%rbp\n pushq %%rbx\n" /* below the red zone */
                   "movq %1, %%rbx\n leaq 1(%1), %%rbp\n leaq 2(%1), %%r12\n leaq 3(%1), %%r13\n leaq 4(%1), %%r14\n "
                   "leaq 5(%1), %%r15\n"
                   "pushq %1\n pushq %2\n movq %%rsp, %%rax\n"
                   "subq $128, %%rsp\n andq $-16, %%rsp\n pushq %%rax\n pushq %%rax\n call *%2\n popq %%rsp\n"
                   "popq %2\n popq %1\n"
                   "xorl %%eax, %%eax\n subq %1, %%rbx\n orq %%rbx, %%rax\n"
                   "subq %1, %%rbp\n subq $1, %%rbp\n orq %%rbp, %%rax\n"
                   "subq %1, %%r12\n subq $2, %%r12\n orq %%r12, %%rax\n"
                   "subq %1, %%r13\n subq $3, %%r13\n orq %%r13, %%rax\n"
                   "subq %1, %%r14\n subq $4, %%r14\n orq %%r14, %%rax\n"
                   "subq %1, %%r15\n subq $5, %%r15\n orq %%r15, %%rax\n"
                   "popq %%rbx\n popq %%rbp\n addq $128, %%rsp\n"
                   : "=&a"(bad), "+S"(seed)
                   : "D"(switches)
                   : "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc", "xmm0", "xmm1",
                     "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
                     "xmm14", "xmm15");
  return bad;
}
#else
static uint64_t keeps_registers(uint64_t seed) { /* the compiler's own choice of registers */
  register uint64_t a = seed, b = seed * 3, c = seed * 5, d = seed * 7, e = seed * 9, f = seed * 11;
  double x = (double)seed, y = x * 1.5, z = x * 2.5;
  __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f), "+w"(x), "+w"(y), "+w"(z));
  switches();
  __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f), "+w"(x), "+w"(y), "+w"(z));
  return (a ^ seed) | (b ^ seed * 3) | (c ^ seed * 5) | (d ^ seed * 7) | (e ^ seed * 9) | (f ^ seed * 11) |
         (x != (double)seed) | (y != x * 1.5) | (z != x * 2.5);
}
#endif

static void registers(void *arg) {
  for (uint64_t i = 0; i < 200; i++) CHECK_EQ(keeps_registers((uint64_t)(uintptr_t)arg * 0x9e3779b97f4a7c15u + i), 0);
}

TEST(registers_are_kept) {
  gos_g *g[8];
  for (intptr_t i = 0; i < 8; i++) g[i] = spawn(registers, (void *)(i + 1));
  for (int i = 0; i < 8; i++) finish(g[i]);
}

static const int roundings[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
static void rounds(void *arg) {
  int mode = roundings[(intptr_t)arg % 4];
  CHECK_EQ(fesetround(mode), 0);
  for (int i = 0; i < 100; i++) {
    gos_gosched();
    CHECK_EQ(fegetround(), mode);
    volatile double third = 1.0 / 3.0 * 3.0;
    (void)third;
  }
}

TEST(rounding_mode_is_each_ones_own) {
  gos_g *g[8];
  for (intptr_t i = 0; i < 8; i++) g[i] = spawn(rounds, (void *)i);
  for (int i = 0; i < 8; i++) finish(g[i]);
  CHECK_EQ(fegetround(), FE_TONEAREST);
}

static void starts_nearest(void *arg) {
  (void)arg;
  CHECK_EQ(fegetround(), FE_TONEAREST);
}

TEST(new_goroutines_do_not_find_anothers_mode) {
  gos_g *g = spawn(rounds, (void *)2);
  finish(spawn(starts_nearest, NULL));
  finish(g);
  finish(spawn(starts_nearest, NULL)); /* on a stack that was used before */
}

static __attribute__((noinline)) void aligned(void *arg) {
  CHECK_EQ((uintptr_t)__builtin_frame_address(0) % 16, 0);
  _Alignas(16) char block[16];
  __asm__ volatile("" : : "r"(block) : "memory");
  CHECK_EQ((uintptr_t)block % 16, 0);
  char text[64];
  snprintf(text, sizeof text, "%.3f %Lg", 1.5, 2.5L); /* uses aligned moves */
  CHECK(!strcmp(text, "1.500 2.5"));
  gos_defer(starts_nearest, arg);
}

TEST(stack_is_aligned_at_entry) {
  for (int i = 0; i < 50; i++) finish(spawn(aligned, NULL));
  gos_g *g[50];
  for (int i = 0; i < 50; i++) g[i] = spawn(aligned, NULL);
  for (int i = 0; i < 50; i++) finish(g[i]);
}

/* Every goroutine's frames hold what it wrote. */
static int nest(int depth, int seed) {
  volatile int mine[32];
  for (int i = 0; i < 32; i++) mine[i] = seed + depth * 32 + i;
  if (depth) CHECK_EQ(nest(depth - 1, seed), 0);
  gos_gosched();
  for (int i = 0; i < 32; i++) CHECK_EQ(mine[i], seed + depth * 32 + i);
  return 0;
}
static void nests(void *seed) { nest(20, (int)(intptr_t)seed); }

TEST(stacks_are_kept) {
  gos_g *g[50];
  for (intptr_t i = 0; i < 50; i++) g[i] = spawn(nests, (void *)(i * 100000));
  for (int i = 0; i < 50; i++) finish(g[i]);
}

static void *wakes(void *c) { return gos_chan_send(c, NULL), NULL; }

TEST(errno_and_mask_survive_a_wait) {
  gos_chan *c = gos_chan_make(0, 0);
  sigset_t mask, after;
  sigemptyset(&mask), sigaddset(&mask, SIGUSR2);
  CHECK_EQ(pthread_sigmask(SIG_BLOCK, &mask, NULL), 0);
  pthread_t t;
  for (int i = 0; i < 20; i++) {
    CHECK_EQ(pthread_create(&t, NULL, wakes, c), 0);
    errno = EDOM; /* main never leaves its thread here: nobody else can run it */
    CHECK_EQ(gos_chan_recv(c, NULL), GOS_OK);
    pthread_join(t, NULL);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &after), 0);
  }
  CHECK(sigismember(&after, SIGUSR2));
  gos_chan_release(c);
}
