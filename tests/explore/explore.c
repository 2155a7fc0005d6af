/* The engine: virtual threads, decisions, virtual time, memory; one schedule after another.
 *
 * All writable data of this program (the core's and the scenarios') is put back to what it was at
 * the start before every schedule, and all memory comes from an arena at a fixed address, so a
 * schedule depends on nothing but its seed. The engine's own state is thread-local, which keeps it
 * out of that.
 * SPDX-License-Identifier: Apache-2.0 */
#include "explore.h"
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* The core's own switch, which the core reaches through __wrap_gosi_switch. */
typedef struct gosi_context {
  void *sp;
} gosi_context;
void __real_gosi_switch(void **save, void **load);
void __wrap_gosi_switch(void **save, void **load);
void gosi_context_make(gosi_context *c, char *lo, char *top, void (*fn)(void *), void *arg);

enum { THREADS = 32, STACK = 128 * 1024, TLS_MAX = 256, STEP_NS = 20, SPIN_NS = 300, FAIR_FROM = 20000, NOBODY = -1 };
static const gos_ns forever = GOS_FOREVER;
static const size_t arena_size = 64 << 20, reserve_size = 512 << 20;
static char *const arena_at = (char *)0x100000000000, *const reserve_at = (char *)0x200000000000;

enum state { UNUSED, READY, SPINNING, WAITING, QUIESCING, ENDED };
enum strategy { UNIFORM, STICKY, PCT, STRATEGIES };
static const char *const strategy_name[] = {"uniform", "sticky", "pct3"};

typedef struct vthread {
  gosi_context ctx;
  enum state state;
  uint32_t *word; /* WAITING: for this, NULL: for time only */
  gos_ns deadline;
  int result;
  uint32_t prio;
  void (*fn)(void *);
  void *(*core_fn)(void *);
  void *arg, *key_value;
  bool uncounted;
  char *stack;
  char tls[TLS_MAX];
} vthread;

typedef struct {
  /* of this schedule */
  const ex_scenario *scenario;
  uint64_t seed, rng, steps, hash, next_change[2], spins_alone;
  enum strategy strategy;
  bool on, sysmon, starting, thread_failures, deadlock_expected, failed;
  int deadlocks, changes, nthreads, cur, quiescing; /* quiescing: the thread that main rests on, or NOBODY */
  vthread t[THREADS];
  int ready[THREADS], nready, nspinning;
  gos_ns now, next_deadline;
  void (*key_dtor)(void *);
  gosi_context outside;
  char failure[512];
  char *arena_next, *reserve_next;
  /* of this run */
  char *data, *data_copy, *tls_lo;
  size_t data_size, tls_size;
  uint64_t max_steps, total_steps, most_steps;
  bool trace;
} explorer;
static _Thread_local explorer X;
static _Thread_local ex_scenario *scenarios;

/* ---- choices ------------------------------------------------------------------------------- */
static inline uint32_t roll32(void) {
  X.rng ^= X.rng >> 12;
  X.rng ^= X.rng << 25;
  X.rng ^= X.rng >> 27;
  return (uint32_t)((X.rng * 0x2545F4914F6CDD1Dull) >> 32);
}
static inline uint32_t below(uint32_t n) { return (uint32_t)(((uint64_t)roll32() * n) >> 32); }
uint32_t ex_roll(uint32_t n) { return below(n); }
static uint64_t splitmix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

/* ---- failure ---------------------------------------------------------------------------------- */
static const char *state_name(const vthread *t) {
  static const char *const name[] = {"unused", "ready", "spinning", "waiting", "quiescing", "ended"};
  return name[t->state];
}
static _Noreturn void leave_schedule(void) {
  X.on = false;
  gosi_context junk;
  __real_gosi_switch(&junk.sp, &X.outside.sp);
  __builtin_unreachable();
}
void ex_fail(const char *fmt, ...) {
  va_list ap;
  X.on = false;
  X.failed = true;
  va_start(ap, fmt);
  vsnprintf(X.failure, sizeof X.failure, fmt, ap);
  va_end(ap);
  leave_schedule();
}
void ex_abort(void) { ex_fail("the core aborted (its last words are above)"); }
void ex_exit(int status) { ex_fail("the core called _exit(%d)", status); }

static void describe(void) {
  printf("  virtual time %.6f s, %llu steps; on thread %d\n", (double)X.now / 1e9, (unsigned long long)X.steps, X.cur);
  for (int i = 0; i < X.nthreads; i++) {
    vthread *t = &X.t[i];
    printf("  thread %d %s: %s", i, t->core_fn ? "(core's)" : i ? "(foreign)" : "(main)", state_name(t));
    if (t->state == WAITING && t->word) printf(" on a word that is %u", *t->word);
    if (t->state == WAITING && t->deadline != forever) printf(" until %.6f s", (double)t->deadline / 1e9);
    printf("\n");
  }
  ex_describe_goroutines();
}

/* ---- who goes on ----------------------------------------------------------------------------------- */
static void note_deadline(void) {
  X.next_deadline = forever;
  for (int i = 0; i < X.nthreads; i++)
    if (X.t[i].state == WAITING && X.t[i].deadline < X.next_deadline) X.next_deadline = X.t[i].deadline;
}
static void make_ready(int i) {
  X.t[i].state = READY;
  X.ready[X.nready++] = i;
}
static void drop_ready(int i) {
  for (int k = 0; k < X.nready; k++)
    if (X.ready[k] == i) {
      X.ready[k] = X.ready[--X.nready];
      return;
    }
}
static void end_wait(int i, int result) {
  X.t[i].result = result;
  make_ready(i);
}
static void expire(void) {
  for (int i = 0; i < X.nthreads; i++)
    if (X.t[i].state == WAITING && X.t[i].deadline <= X.now) end_wait(i, GOS_TIMEDOUT);
  note_deadline();
}
static void unspin(void) {
  for (int i = 0; i < X.nthreads && X.nspinning; i++)
    if (X.t[i].state == SPINNING) {
      make_ready(i);
      X.nspinning--;
    }
}
/* Time goes on to when some sleeper wakes: not always the next one. */
static void pass_time(bool any) {
  gos_ns to = X.next_deadline;
  if (any) {
    int i = (int)below((uint32_t)X.nthreads);
    if (X.t[i].state == WAITING && X.t[i].deadline != forever) to = X.t[i].deadline;
  }
  if (to > X.now) X.now = to;
  expire();
}

/* The check calls the core, which must not be taken for a step. */
static const char *checked(const char *(*check)(void)) {
  X.on = false;
  const char *broken = check();
  X.on = true;
  return broken;
}

/* Main rests: has everything else come to rest? The monitor naps for ever, and may still have to hand on. */
static bool quiet(void) {
  gos_ns end = X.t[X.quiescing].deadline;
  return X.next_deadline > end && (X.next_deadline > end + 50000000 || !checked(ex_check_at_rest));
}

static int choose(void) {
  if (X.next_deadline != forever && (roll32() & 63) == 0) pass_time(true);
  while (X.nready == 0) {
    bool sleepers = X.next_deadline != forever;
    if (X.nspinning && (!sleepers || below(4))) {
      if (++X.spins_alone > 100000) ex_fail("livelock: all threads spin");
      unspin();
    } else if (X.quiescing != NOBODY && !X.nspinning && quiet()) {
      make_ready(X.quiescing);
      X.quiescing = NOBODY;
    } else if (sleepers) {
      if (X.now > (gos_ns)120 * 1000000000) ex_fail("stuck: two minutes of virtual time have passed");
      pass_time(below(8) == 0);
    } else {
      ex_fail("deadlock: every thread is blocked");
    }
  }
  if (X.nready == 1) return X.ready[0];
  switch (X.strategy) {
  case UNIFORM: return X.ready[below((uint32_t)X.nready)];
  case STICKY: return X.t[X.cur].state == READY && below(12) ? X.cur : X.ready[below((uint32_t)X.nready)];
  default: break;
  }
  int best = X.ready[0];
  for (int k = 1; k < X.nready; k++)
    if (X.t[X.ready[k]].prio > X.t[best].prio) best = X.ready[k];
  return best;
}

static void go_on_with(int next) {
  X.hash = (X.hash ^ (uint64_t)(next + 1)) * 0x100000001b3u;
  if (next == X.cur) return;
  vthread *from = &X.t[X.cur], *to = &X.t[next];
  if (X.trace) printf("%llu: %d -> %d\n", (unsigned long long)X.steps, X.cur, next);
  memcpy(from->tls, X.tls_lo, X.tls_size);
  memcpy(X.tls_lo, to->tls, X.tls_size);
  X.cur = next;
  __real_gosi_switch(&from->ctx.sp, &to->ctx.sp);
}

static void count_step(void) {
  X.now += STEP_NS;
  if (++X.steps > X.max_steps) ex_fail("livelock: no end after %llu steps", (unsigned long long)X.steps);
  if ((X.steps & 31) == 0) {
    const char *broken = checked(ex_check_queues);
    if (broken) ex_fail("%s", broken);
  }
  if (X.strategy == PCT && X.changes < 2 && X.steps >= X.next_change[X.changes])
    X.t[X.cur].prio = (uint32_t)(1 - X.changes++); /* below all others; the second below the first */
  if (X.steps == FAIR_FROM) X.strategy = UNIFORM;  /* priorities may starve someone for ever, which no machine does */
  if (X.now >= X.next_deadline) expire();
}

/* The running thread is not READY any more, or had to be asked. */
static void reschedule(void) { go_on_with(choose()); }

void ex_point(void) {
  if (!X.on) return;
  count_step();
  if (X.nspinning) unspin();
  X.spins_alone = 0;
  reschedule();
}

void ex_spin(void) {
  if (!X.on) return;
  count_step();
  X.now += SPIN_NS;
  vthread *t = &X.t[X.cur];
  /* PCT: whoever spins gives way for good, or it would run for ever. */
  if (X.strategy == PCT) t->prio = 2 + below(98);
  if (X.nspinning && X.nready > 1) X.spins_alone = 0;
  drop_ready(X.cur);
  t->state = SPINNING;
  X.nspinning++;
  reschedule();
}

/* ---- waiting ------------------------------------------------------------------------------------------- */
static int block(uint32_t *word, gos_ns deadline) {
  vthread *t = &X.t[X.cur];
  drop_ready(X.cur);
  t->state = WAITING;
  t->word = word;
  t->deadline = deadline;
  if (deadline < X.next_deadline) X.next_deadline = deadline;
  reschedule();
  return t->result;
}
int ex_wait(uint32_t *word, uint32_t seen, gos_ns deadline) {
  if (!X.on) return GOS_AGAIN;
  ex_point();
  if (*word != seen) return GOS_OK;
  if (deadline <= X.now) return GOS_TIMEDOUT;
  if (below(64) == 0) return below(2) ? GOS_AGAIN : GOS_OK; /* a signal; a wake for nothing */
  return block(word, deadline);
}
void ex_wake(uint32_t *word) {
  if (!X.on) return;
  ex_point();
  int waiting[THREADS], n = 0;
  for (int i = 0; i < X.nthreads; i++)
    if (X.t[i].state == WAITING && X.t[i].word == word) waiting[n++] = i;
  if (!n) return;
  end_wait(waiting[n > 1 ? below((uint32_t)n) : 0], GOS_OK);
  note_deadline();
}
void ex_nap(gos_ns d) {
  if (!X.on) return;
  ex_point();
  block(NULL, X.now + d);
}
void ex_mutex_lock(uint32_t *word) {
  ex_point();
  while (*word) block(word, forever);
  *word = 1;
}
void ex_mutex_unlock(uint32_t *word) {
  ex_point();
  *word = 0;
  ex_wake(word);
}
gos_ns ex_now(void) { return X.now; }
uint64_t ex_ticks(void) { return (uint64_t)X.now * 3; }

/* ---- threads ------------------------------------------------------------------------------------------- */
static void thread_body(void *arg) {
  vthread *t = arg;
  if (t->core_fn)
    t->core_fn(t->arg);
  else
    t->fn(t->arg);
  void ex_thread_exit(void) __attribute__((noreturn));
  ex_thread_exit();
}
_Noreturn void ex_thread_exit(void) {
  vthread *t = &X.t[X.cur];
  void *v = t->key_value;
  t->key_value = NULL;
  if (v && X.key_dtor) X.key_dtor(v);
  drop_ready(X.cur);
  t->state = ENDED;
  for (int i = 0; i < X.nthreads; i++)
    if (X.t[i].state == WAITING && X.t[i].word == (uint32_t *)(void *)&t->state) end_wait(i, GOS_OK);
  reschedule();
  __builtin_unreachable();
}
int ex_key_create(unsigned *key, void (*dtor)(void *));
int ex_key_create(unsigned *key, void (*dtor)(void *)) {
  *key = 1;
  X.key_dtor = dtor;
  return 0;
}
int ex_setspecific(unsigned key, const void *v);
int ex_setspecific(unsigned key, const void *v) {
  (void)key;
  X.t[X.cur].key_value = (void *)(uintptr_t)v;
  return 0;
}

static int thread_new(void (*fn)(void *), void *(*core_fn)(void *), void *arg) {
  if (X.nthreads == THREADS) ex_fail("more than %d threads", THREADS);
  vthread *t = &X.t[X.nthreads];
  char *stack = t->stack;
  *t = (vthread){.stack = stack, .fn = fn, .core_fn = core_fn, .arg = arg, .deadline = forever};
  t->prio = 1000 + below(1 << 30);
  gosi_context_make(&t->ctx, stack, stack + STACK, thread_body, t);
  make_ready(X.nthreads);
  return X.nthreads++;
}
int ex_thread(void (*fn)(void *), void *arg) {
  ex_point();
  bool on = X.on;
  X.on = false;
  int i = thread_new(fn, NULL, arg);
  X.on = on;
  return i;
}
int ex_onlooker(void (*fn)(void *), void *arg) {
  int i = ex_thread(fn, arg);
  X.t[i].uncounted = true;
  return i;
}
void ex_join(int i) {
  ex_point();
  while (X.t[i].state != ENDED) block((uint32_t *)(void *)&X.t[i].state, forever);
}
int ex_core_thread(void *(*fn)(void *), void *arg) {
  if (X.starting && !X.sysmon) return GOS_SYS(EAGAIN);
  ex_point();
  if (X.scenario->flags & EX_ALONE) return GOS_SYS(EAGAIN);
  if (X.thread_failures && !X.starting && below(3) == 0) return GOS_SYS(EAGAIN);
  bool on = X.on;
  X.on = false;
  thread_new(NULL, fn, arg);
  X.on = on;
  return GOS_OK;
}
int ex_thread_count(void) {
  int n = 0;
  for (int i = 0; i < X.nthreads; i++) n += X.t[i].state != ENDED && !X.t[i].uncounted;
  return n;
}

/* A context that runs, or whose stack is still in use, has sp 0: whoever loads it would run it twice. */
void __wrap_gosi_switch(void **save, void **load) {
  ex_point();
  if (!*load) ex_fail("a goroutine is continued that runs, or has not been saved");
  __real_gosi_switch(save, load);
}

/* ---- memory ---------------------------------------------------------------------------------------------- */
/* Nothing is used again within a schedule, so a use after free finds the poison. */
typedef struct {
  size_t size, live;
} header;
enum { LIVE = 0x11fe, DEAD = 0xdead };
static void *take(size_t n, size_t align, int fill) {
  char *p = (char *)(((uintptr_t)X.arena_next + sizeof(header) + align - 1) / align * align);
  if (p + n > arena_at + arena_size) ex_fail("the arena is used up");
  X.arena_next = p + n;
  ((header *)p)[-1] = (header){n, LIVE};
  return memset(p, fill, n);
}
void *ex_malloc(size_t n);
void *ex_calloc(size_t k, size_t n);
void *ex_realloc(void *p, size_t n);
int ex_posix_memalign(void **p, size_t align, size_t n);
void ex_free(void *p);
void *ex_malloc(size_t n) { return take(n, 16, 0xab); }
void *ex_calloc(size_t k, size_t n) { return take(k * n, 16, 0); }
int ex_posix_memalign(void **p, size_t align, size_t n) {
  *p = take(n, align, 0xab);
  return 0;
}
void ex_free(void *p) {
  if (!p) return;
  header *h = (header *)p - 1;
  if ((char *)p < arena_at || (char *)p >= X.arena_next || h->live != LIVE) ex_fail("free() of what is not allocated");
  h->live = DEAD;
  memset(p, 0xdd, h->size);
}
void *ex_realloc(void *p, size_t n) {
  void *q = ex_malloc(n);
  if (p) {
    size_t old = ((header *)p)[-1].size;
    memcpy(q, p, old < n ? old : n);
    ex_free(p);
  }
  return q;
}
/* The first part of a reservation holds the Ps, which begin as zeroes; stacks need not. */
char *ex_reserve(size_t n) {
  char *p = X.reserve_next;
  n = (n + 0xffff) & ~(size_t)0xffff;
  if (p + n > reserve_at + reserve_size) return NULL;
  X.reserve_next += n;
  return memset(p, 0, n < 4096 * 4 ? n : 4096 * 4);
}

size_t ex_page_number(const char *p) { return (size_t)(p - reserve_at) / 4096; }
bool ex_stack_in_use(const char *lo, const char *hi) {
  for (int i = 0; i < X.nthreads; i++) {
    const vthread *t = &X.t[i];
    const char *sp = i == X.cur ? __builtin_frame_address(0) : t->ctx.sp;
    if (t->state != ENDED && sp >= lo && sp < hi) return true;
  }
  return false;
}
int ex_current(void) { return X.cur; }

/* ---- one schedule ------------------------------------------------------------------------------------------- */
bool ex_has_sysmon(void) { return X.sysmon; }
int ex_deadlocks(void) { return X.deadlocks; }
void ex_expect_deadlock(void) { X.deadlock_expected = true; }

static void on_deadlock(const char *report) {
  X.deadlocks++;
  if (!X.deadlock_expected) ex_fail("the runtime reports: %s", report);
}
static void on_panic(const char *report) { ex_fail("the runtime reports: %s", report); }

void ex_quiesce(void) {
  ex_point();
  drop_ready(X.cur);
  X.quiescing = X.cur;
  X.t[X.cur].state = QUIESCING;
  X.t[X.cur].deadline = X.now + 300000;
  reschedule();
}

static void main_thread(void *arg) {
  const ex_scenario *s = arg;
  uint32_t n = (uint32_t)s->procs, r = below(4);
  gos_config cfg = {.size = sizeof cfg, .maxprocs = r && n > 1 ? (int)n : 1 + (int)below(n), .seed = X.rng | 1};
  cfg.on_deadlock = on_deadlock;
  cfg.on_panic = on_panic;
  if (!(s->flags & EX_BARE)) {
    X.starting = true;
    if (gos_init(&cfg) != GOS_OK) ex_fail("gos_init failed");
    X.starting = false;
  }
  X.on = true;
  s->fn();
  ex_quiesce();
  X.on = false;
  const char *broken = ex_check_at_rest();
  if (broken) ex_fail("at the end: %s", broken);
  leave_schedule();
}

static uint64_t name_hash(const char *s) {
  uint64_t h = 0xcbf29ce484222325u;
  while (*s) h = (h ^ (unsigned char)*s++) * 0x100000001b3u;
  return h;
}

static bool run_schedule(const ex_scenario *s, uint64_t seed) {
  memcpy(X.data, X.data_copy, X.data_size);
  X.scenario = s;
  X.seed = seed;
  X.rng = splitmix(splitmix(seed) ^ name_hash(s->name)) | 1;
  X.strategy = (enum strategy)below(STRATEGIES);
  X.sysmon = !(s->flags & EX_ALONE) && ((s->flags & EX_SYSMON) || below(2));
  X.thread_failures = !(s->flags & (EX_THREADS | EX_SYSMON)) && below(8) == 0;
  uint32_t span = 64u << below(7); /* where the two changes of priority may fall */
  X.next_change[0] = below(span);
  X.next_change[1] = X.next_change[0] + below(span);
  X.steps = X.spins_alone = 0;
  X.hash = 0xcbf29ce484222325u;
  X.on = X.starting = X.failed = X.deadlock_expected = false;
  X.deadlocks = X.changes = X.nthreads = X.cur = X.nready = X.nspinning = 0;
  X.quiescing = NOBODY;
  X.now = 1000000000;
  X.next_deadline = forever;
  X.key_dtor = NULL;
  X.arena_next = arena_at;
  X.reserve_next = reserve_at;
  thread_new(main_thread, NULL, (void *)(uintptr_t)s);
  memset(X.tls_lo, 0, X.tls_size);
  X.failure[0] = 0;
  __real_gosi_switch(&X.outside.sp, &X.t[0].ctx.sp);
  X.total_steps += X.steps;
  if (X.steps > X.most_steps) X.most_steps = X.steps;
  return !X.failed;
}

/* ---- the program --------------------------------------------------------------------------------------------- */
extern char __data_start, _end, __start_ex_tls, __stop_ex_tls;

void ex_register(ex_scenario *s) {
  ex_scenario **at = &scenarios;
  while (*at) at = &(*at)->next;
  *at = s;
}

static void report(void) {
  printf("FAIL %s --seed %llu (%s, %s): %s\n", X.scenario->name, (unsigned long long)X.seed, strategy_name[X.strategy],
         X.sysmon ? "monitor" : "no monitor", X.failure);
  describe();
}

static void on_fault(int sig) {
  printf("FAIL %s --seed %llu (%s): signal %d on thread %d after %llu steps\n", X.scenario->name,
         (unsigned long long)X.seed, strategy_name[X.strategy], sig, X.cur, (unsigned long long)X.steps);
  fflush(stdout);
  _exit(1);
}

static void set_up(void) {
  X.data = &__data_start;
  X.data_size = (size_t)(&_end - &__data_start);
  X.tls_lo = &__start_ex_tls;
  X.tls_size = (size_t)(&__stop_ex_tls - &__start_ex_tls);
  if (X.tls_size > TLS_MAX) fprintf(stderr, "explore: more thread-local data than %d bytes\n", TLS_MAX), exit(2);
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
  if (mmap(arena_at, arena_size, PROT_READ | PROT_WRITE, flags, -1, 0) != arena_at ||
      mmap(reserve_at, reserve_size, PROT_READ | PROT_WRITE, flags, -1, 0) != reserve_at)
    perror("explore: mmap"), exit(2);
  char *stacks = mmap((char *)0x300000000000, (size_t)THREADS * STACK, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (stacks == MAP_FAILED) perror("explore: mmap"), exit(2);
  for (int i = 0; i < THREADS; i++) X.t[i].stack = stacks + (size_t)i * STACK;
  stack_t alt = {.ss_sp = malloc(65536), .ss_size = 65536};
  sigaltstack(&alt, NULL);
  struct sigaction sa = {.sa_handler = on_fault, .sa_flags = SA_ONSTACK};
  int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigaction(faults[i], &sa, NULL);
  X.data_copy = malloc(X.data_size);
  memcpy(X.data_copy, X.data, X.data_size);
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int usage(const char *me) {
  fprintf(stderr,
          "usage: %s [SCENARIO...] [--schedules N] [--first SEED]   run N schedules of each (of all)\n"
          "       %s SCENARIO --seed S [--trace] [--repeat N]       one schedule again, N times\n"
          "       %s --list\n",
          me, me, me);
  return 2;
}

int main(int argc, char **argv) {
  uint64_t schedules = 10000, first = 1, seed = 0, repeat = 1;
  bool one = false, list = false;
  const char *names[64];
  int nnames = 0;
  X.max_steps = 400000;
  for (int i = 1; i < argc; i++) {
    const char *a = argv[i];
    bool more = i + 1 < argc;
    if (!strcmp(a, "--list"))
      list = true;
    else if (!strcmp(a, "--trace"))
      X.trace = true;
    else if (!strcmp(a, "--seed") && more)
      one = true, seed = strtoull(argv[++i], NULL, 0);
    else if (!strcmp(a, "--schedules") && more)
      schedules = strtoull(argv[++i], NULL, 0);
    else if (!strcmp(a, "--first") && more)
      first = strtoull(argv[++i], NULL, 0);
    else if (!strcmp(a, "--repeat") && more)
      repeat = strtoull(argv[++i], NULL, 0);
    else if (a[0] == '-' || nnames == 64)
      return usage(argv[0]);
    else
      names[nnames++] = a;
  }
  set_up();
  int bad = 0, matched = 0;
  for (ex_scenario *s = scenarios; s; s = s->next) {
    bool wanted = nnames == 0;
    for (int i = 0; i < nnames; i++) wanted |= !strcmp(names[i], s->name);
    if (!wanted) continue;
    matched++;
    if (list) {
      printf("%s\n", s->name);
      continue;
    }
    double t0 = seconds();
    if (one) {
      uint64_t hash = 0, same = 0;
      bool ok = true;
      for (uint64_t k = 0; k < repeat; k++) {
        ok = run_schedule(s, seed);
        if (k == 0) hash = X.hash;
        same += X.hash == hash;
      }
      if (!ok) report();
      printf("%s --seed %llu: trace %016llx, %llu steps, the same in %llu of %llu runs\n", s->name,
             (unsigned long long)seed, (unsigned long long)hash, (unsigned long long)X.steps, (unsigned long long)same,
             (unsigned long long)repeat);
      bad += !ok || same != repeat;
      continue;
    }
    X.total_steps = X.most_steps = 0;
    uint64_t k = 0;
    for (; k < schedules; k++)
      if (!run_schedule(s, first + k)) {
        report();
        bad++;
        break;
      }
    double t = seconds() - t0;
    printf("%-16s %8llu schedules, %6.1f steps each (at most %llu), %5.1f s, %.1f us a schedule\n", s->name,
           (unsigned long long)k, k ? (double)X.total_steps / (double)k : 0, (unsigned long long)X.most_steps, t,
           k ? t * 1e6 / (double)k : 0);
    fflush(stdout);
  }
  if (!matched) return usage(argv[0]);
  return bad != 0;
}
