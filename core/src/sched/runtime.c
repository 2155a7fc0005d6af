/* The start of the runtime, its settings, the main goroutine. L3.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <unistd.h>
#include "sched/freeze.h"
#include "sched/sched.h"

enum { DEFAULT_STACK = 64 * 1024, DEFAULT_THREADS = 10000, LOOP_STACK = 128 * 1024 };
enum { KNOWN_FLAGS = GOS_DUMP_ON_SIGQUIT | GOS_FREEZE };

static size_t describe_stack(const char *lo, char *buf, size_t n) {
  gosi_m *m = gosi_self_m();
  if (!m || !m->cur || !m->cur->fiber || m->cur->fiber->lo != lo) return 0;
  return gosi_g_describe(m->cur, buf, n);
}

static int procs_wanted(const gos_config *cfg) {
  int n = cfg->maxprocs;
  const char *env = gosi_os_secure() ? NULL : getenv("GOMAXPROCS");
  if (n <= 0 && env) n = atoi(env);
  if (n <= 0) n = gosi_os_cpus();
  return n < PS_MAX ? n : PS_MAX;
}

static uint64_t seed_wanted(const gos_config *cfg) {
  const char *env = gosi_os_secure() ? NULL : getenv("GOSSAMER_SEED");
  gosi_rt.seeded = cfg->seed || (env && *env);
  return cfg->seed ? cfg->seed : gosi_rt.seeded ? strtoull(env, NULL, 10) : gosi_os_random();
}

uint64_t gosi_seed_next(void) {
  static uint64_t given;
  if (!gosi_load(&gosi_rt.seeded)) return gosi_os_random();
  return gosi_rand_state(~gosi_load(&gosi_rt.seed), gosi_add(&given, UINT64_C(1)));
}

/* The calling thread becomes the main goroutine, with the first P. */
static int adopt_main(void) {
  gosi_m *m = gosi_m_new();
  gos_g *g = gosi_g_new(NULL);
  size_t size = LOOP_STACK;
  if (!m || !g || !gosi_home_context(m, &size)) {
    if (g) gosi_g_unref(NULL, g);
    gosi_free(m);
    return GOS_NOMEM;
  }
  gosi_store(&g->flags, (uint8_t)GF_MAIN);
  gosi_store(&g->id, gosi_g_next_id(NULL));
  gosi_store(&g->refs, 2u);
  gosi_store(&g->status, (uint8_t)G_RUNNING);
  gosi_context_adopt(&g->ctx);
  m->cur = gosi_rt.main = g;
  m->is_home = true;
  m->tid = gosi_os_tid();
  m->in_rt = M_LEFT; /* the caller is user code */
  m->p = &gosi_rt.ps[0];
  m->p->m = m;
  m->p->state = P_TAKEN;
  m->p->created = 1;
  gosi_rt.nms = 1;
  gosi_rt.nthreads = 1;
  /* The process may end from any thread, another thread only by itself: where main returns it has to be on it. */
  if (!gosi_os_first_thread()) gosi_lock_for_good(m, g);
  gosi_os_alt_stack();
  gosi_tls_m = m;
  return GOS_OK;
}

/* Once for each P: gomaxprocs may go to and fro. */
static void give_cache(gosi_p *p) {
  if (!p->has_cache) gosi_stack_new_cache();
  p->has_cache = true;
}

static int start(const gos_config *cfg, bool with_p) {
  gosi_os_init();
  gosi_rt.fences = !gosi_os_barrier_all();
  int cls = gosi_stack_class(cfg->stack ? cfg->stack : DEFAULT_STACK);
  if (cls < 0 || cfg->maxprocs < 0 || cfg->maxthreads < 0 || (cfg->flags & ~(unsigned)KNOWN_FLAGS)) return GOS_INVAL;
  int e = gosi_freeze_start(cfg->flags);
  if (e) return e;
  gosi_rt.cls = (unsigned)cls;
  gosi_rt.nps = gosi_rt.nprocs = procs_wanted(cfg);
  gosi_rt.maxthreads = cfg->maxthreads ? cfg->maxthreads : DEFAULT_THREADS;
  gosi_rt.many_cpus = gosi_os_cpus() > 1;
  gosi_rt.seed = seed_wanted(cfg);
  gosi_rt.on_panic = cfg->on_panic;
  gosi_rt.on_deadlock = cfg->on_deadlock;
  gosi_rt.keeper_when = GOS_FOREVER;
  gosi_timers_init(&gosi_rt.timers);
  /* All that gomaxprocs may ask for; pages nobody uses cost nothing. */
  if (!gosi_rt.ps && !(gosi_rt.ps = (gosi_p *)(void *)gosi_os_reserve(PS_MAX * sizeof(gosi_p)))) return GOS_NOMEM;
  for (int i = 0; i < gosi_rt.nprocs; i++) gosi_rt.ps[i].id = i;
  gosi_rt.nidle_ps = 0; /* a start that failed may have left some */
  gosi_p **tail = &gosi_rt.idle_ps;
  for (int i = with_p ? 1 : 0; i < gosi_rt.nprocs; i++) {
    give_cache(&gosi_rt.ps[i]);
    gosi_rt.ps[i].state = P_IDLE;
    *tail = &gosi_rt.ps[i];
    tail = &gosi_rt.ps[i].link;
    gosi_rt.nidle_ps++;
  }
  *tail = NULL;
  if (with_p) {
    give_cache(&gosi_rt.ps[0]);
    e = adopt_main();
    if (e) return e;
    /* In the build tsan-nosync it would order nothing: there the locks are what says who comes after whom. */
    gosi_store(&gosi_solo, gosi_rt.nprocs == 1 && !gosi_rt.fences && !GOSI_NOSYNC ? 1u : 0u);
  }
  gosi_stack_watch(describe_stack);
  if (gosi_debug_start) gosi_debug_start(cfg->flags);
  static uint32_t watched;
  if (!watched++) gosi_fork_watch();
  return GOS_OK;
}

bool gosi_runtime_start(const gos_config *cfg, bool with_p, int *err) {
  static const gos_config defaults = {.size = sizeof(gos_config)};
  if (!gosi_cas(&gosi_rt.started, 0u, 1u)) {
    while (gosi_load_acquire(&gosi_rt.started) == 1) gosi_pause(); /* another thread is at it */
    *err = GOS_PERM;
    return gosi_load_acquire(&gosi_rt.started) == 2;
  }
  if (cfg && cfg->size != sizeof *cfg)
    *err = GOS_INVAL;
  else
    *err = start(cfg ? cfg : &defaults, with_p);
  gosi_store_release(&gosi_rt.started, *err ? 0u : 2u); /* pairs with the loads of started */
  if (*err) return false;
  if (with_p) gosi_sysmon_start();
  return true;
}

int gos_init(const gos_config *cfg) {
  int e = GOS_OK;
  if (gosi_load_acquire(&gosi_rt.started) == 2) return GOS_PERM;
  gosi_runtime_start(cfg, true, &e);
  return e;
}

int gos_main(int (*fn)(int, char **), int argc, char **argv) {
  if (!fn) return GOS_INVAL;
  if (!gosi_tls_m) {
    int e = gos_init(NULL);
    if (e && e != GOS_PERM) return e;
  }
  int r = fn(argc, argv);
  gosi_m *m = gosi_self_m();
  if (m && m->cur) gosi_g_run_defers(m->cur);
  return r;
}

int gos_num_cpu(void) { return gosi_os_cpus(); }
gos_ns gos_now(void) { return gosi_os_now(); }
