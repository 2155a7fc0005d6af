/* "All goroutines are asleep": nothing runs, nothing is due, nobody outside could help. L3.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "sched/sched.h"

/* Threads that a sanitizer runs in the background. */
enum { TOOL_THREADS = GOSI_TSAN ? 1 : 0 };

/* But for the thread that is to report it, of that realm; NULL: the monitor asks. */
static bool nothing_runs(gos_realm *reporting) {
  gosi_lock_take(&gosi_rt.lock);
  bool quiet = gosi_rt.nidle_ms == gosi_rt.nms && gosi_rt.nglobal == 0 && gosi_rt.nforeign == 0 && gosi_rt.ndue == 0 &&
               gosi_load(&gosi_rt.timers.next) == GOS_FOREVER;
  int known = gosi_rt.nthreads;
  gosi_lock_drop(&gosi_rt.lock);
  for (int i = 0; quiet && i < gosi_load_acquire(&gosi_rt.nps); i++) quiet = !gosi_p_has_work(&gosi_rt.ps[i]);
  if (!quiet || !gosi_realms_quiet(reporting)) return false;
  if (gosi_load_acquire(&gosi_rt.nfds) && gosi_rt.netpoll.waits()) return false;
  /* A thread the runtime has never seen may be about to send. A realm that can tell its
     threads apart (alone) decides itself. */
  int threads = gosi_os_thread_count();
  gos_realm *r = gosi_load_acquire(&gosi_rt.main)->realm; /* the main goroutine may become another: gos_realm_new() */
  return (r && gosi_realm_knows_threads(r)) || (threads >= 0 && threads <= known + TOOL_THREADS);
}

/* The switches of all. */
static uint64_t switches(void) { return gosi_realm_ticks() + gosi_p_ticks(); }

static uint64_t asleep_at; /* the switches when all were last found asleep */

/* They are looked at one after another: one looked at early may be woken by one looked at late, which
   then goes to sleep. Twice nothing, and no switch in between: there was a moment when all of them slept. */
static bool all_asleep(void) {
  uint64_t before = switches();
  if (!nothing_runs(NULL) || !nothing_runs(NULL) || switches() != before) return false;
  gosi_store(&asleep_at, before);
  return true;
}

/* The thread that reports it comes later: one that the runtime had not seen may have woken somebody meanwhile, and have
   gone. */
bool gosi_deadlock_stands(gos_realm *r) { return nothing_runs(r) && switches() == gosi_load(&asleep_at); }

char *(*gosi_dump_text)(const char *head, size_t *n);

static void finish(const char *head) {
  size_t n;
  char *text = gosi_dump_text(head, &n);
  gosi_write_all(2, "fatal error: ", 13);
  gosi_write_all(2, text ? text : head, n);
  _exit(2);
}

void gosi_deadlock_check(void) {
  gos_g *g = gosi_load_acquire(&gosi_rt.main); /* pairs with the store in gos_realm_new */
  if (!g || !all_asleep()) return;
  uint8_t status = gosi_load(&g->status);
  if (status != G_WAITING) {
    if (status == G_DEAD || status == G_FREE) finish("no goroutines (main called runtime.Goexit) - deadlock!\n");
    return;
  }
  if (g->realm) {
    gosi_realm_ask_deadlock();
    return;
  }
  if (!gosi_rt.on_deadlock) finish("all goroutines are asleep - deadlock!\n");
  size_t n;
  char *text = gosi_dump_text("all goroutines are asleep - deadlock!\n", &n);
  gosi_rt.on_deadlock(text ? text : gos_strerror(GOS_DEADLOCK));
  free(text);
  if (!gosi_cas(&g->claim, 0u, 1u)) return;
  static gosi_m nobody; /* the monitor runs no goroutines */
  g->result = GOS_DEADLOCK;
  gosi_ready(&nobody, g);
}
