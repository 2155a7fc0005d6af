/* What the monitor tells when asked to: the dump on SIGQUIT, GOSSAMER_DEBUG=schedtrace.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "debug/dump.h"
#include "sched/sched.h"

static gos_ns began, period, next_trace = GOS_FOREVER; /* period 0: no trace */
static bool detail;

/* ---- SIGQUIT ------------------------------------------------------------------ */
/* The handler only tells the monitor: whoever was interrupted may hold any lock. */
static void on_quit(int sig) {
  int e = errno;
  if (gosi_sysmon_runs()) {
    gosi_store_seq(&gosi_debug_asked, 1u); /* pairs with the load in sysmon.c */
    gosi_sysmon_wake();
  } else { /* a fork's child that has started nothing */
    signal(sig, SIG_DFL);
    raise(sig);
  }
  errno = e;
}

static _Noreturn void quit(void) {
  gosi_write_all(2, "SIGQUIT: quit\n", 14);
  gosi_dump_fd(2);
  _exit(2);
}

/* ---- schedtrace ---------------------------------------------------------------- */
static void one_g(gos_g *g, void *u) {
  gos_info i;
  if ((gosi_load(&g->flags) & GF_FOREIGN) || gosi_load(&g->status) == G_DEAD) return;
  const char *locked = gosi_load(&g->flags) & GF_LOCKED ? " locked" : "";
  gos_info_get(g, &i, sizeof i);
  gosi_outf(u, "  G%llu: status=%s(%s)%s\n", (unsigned long long)i.id, i.status, i.wait_reason ? i.wait_reason : "",
            locked);
}

static void trace(gos_ns now) {
  gosi_out o = {.fd = 2};
  gos_stats s;
  gos_stats_get(&s, sizeof s);
  gosi_outf(&o,
            "SCHED %lldms: gomaxprocs=%d idleprocs=%d threads=%d spinningthreads=%d idlethreads=%d runqueue=%d "
            "timers=%d goroutines=%d",
            (long long)((now - began) / 1000000), s.procs, s.idle_procs, s.threads, s.spinning, s.idle_threads,
            s.runqueue, s.timers, s.goroutines);
  for (int i = 0; i < s.procs; i++) {
    gosi_p *p = &gosi_rt.ps[i];
    uint32_t queued = gosi_load(&p->tail) - gosi_load(&p->head) + (gosi_load(&p->runnext) != NULL);
    gosi_m *m = gosi_load_acquire(&p->m);
    if (!detail)
      gosi_outf(&o, "%s%u", i ? " " : " [", queued);
    else
      gosi_outf(&o, "\n  P%d: status=%s schedtick=%u m=%d runqsize=%u", i, m ? "running" : "idle", gosi_load(&p->tick),
                m ? gosi_load(&m->tid) : 0, queued);
  }
  gosi_outf(&o, detail ? "\n" : "]\n");
  if (detail) gosi_g_visit(one_g, &o);
  gosi_out_flush(&o);
}

/* Called by the monitor; when it is to be called again at the latest. */
static gos_ns look(gos_ns now) {
  if (gosi_load_seq(&gosi_debug_asked)) quit();
  if (now >= next_trace) {
    trace(now);
    next_trace = now + period;
  }
  return next_trace;
}

/* ---- the settings ------------------------------------------------------------------ */
static long setting(const char *all, const char *name) {
  size_t n = strlen(name);
  for (const char *s = all; s && *s; s = strchr(s, ',') ? strchr(s, ',') + 1 : NULL)
    if (!strncmp(s, name, n) && s[n] == '=') return strtol(s + n + 1, NULL, 10);
  return 0;
}

void gos_dump_on_sigquit(void) {
  gosi_store_release(&gosi_debug_look, look); /* pairs with the load in sysmon.c */
  struct sigaction sa = {.sa_handler = on_quit, .sa_flags = SA_RESTART | SA_ONSTACK};
  sigemptyset(&sa.sa_mask);
  sigaction(SIGQUIT, &sa, NULL);
}

static void start(unsigned flags) {
  const char *debug = gosi_os_secure() ? NULL : getenv("GOSSAMER_DEBUG");
  const char *quits = gosi_os_secure() ? NULL : getenv("GOSSAMER_SIGQUIT");
  long ms = setting(debug, "schedtrace");
  bool on_signal = (flags & GOS_DUMP_ON_SIGQUIT) || (quits && !strcmp(quits, "1"));
  began = gosi_os_now();
  if (ms > 0) {
    period = ms < 86400000 ? ms * 1000000 : 86400000000000;
    next_trace = began + period;
    detail = setting(debug, "scheddetail") > 0;
  }
  if (ms > 0) gosi_store_release(&gosi_debug_look, look);
  if (on_signal) gos_dump_on_sigquit();
}

__attribute__((constructor)) static void install(void) { gosi_debug_start = start; }
