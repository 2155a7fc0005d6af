/* RWMutex and Cond, without contexts: deadlines, tries, threads from outside. SPDX-License-Identifier: Apache-2.0 */
#include "team.h"

/* ---- readers share, a writer is alone ------------------------------------------------------------ */
static gos_rwmutex rw;
static int readers, writers;

static void inside(bool reads) {
  int *mine = reads ? &readers : &writers;
  CHECK(writers == 0 && (reads || readers == 0));
  ++*mine;
  ex_roll(2) ? ex_point() : gos_gosched();
  CHECK(reads ? writers == 0 : writers == 1 && readers == 0);
  --*mine;
}
static void reads_and_writes(void *u) {
  (void)u;
  for (int i = 0; i < 2; i++) {
    bool reads = ex_roll(2);
    uint32_t how = ex_roll(4);
    gos_ns dl = gos_now() + ex_roll(5000);
    int e = GOS_OK;
    if (how < 2)
      reads ? gos_rwmutex_rlock(&rw) : gos_rwmutex_lock(&rw);
    else if (how == 2)
      e = reads ? gos_rwmutex_rlock_dl(&rw, dl) : gos_rwmutex_lock_dl(&rw, dl);
    else
      e = reads ? gos_rwmutex_tryrlock(&rw) : gos_rwmutex_trylock(&rw);
    CHECK(e == GOS_OK || (how == 2 && e == GOS_TIMEDOUT && gos_now() >= dl) || (how == 3 && e == GOS_WOULDBLOCK));
    if (e) continue;
    inside(reads);
    CHECK_EQ(reads ? gos_rwmutex_runlock(&rw) : gos_rwmutex_unlock(&rw), GOS_OK);
  }
}
SCENARIO(rwmutex, 3, 0) {
  team t = {0};
  int outside = ex_roll(2) ? ex_thread(reads_and_writes, NULL) : 0;
  for (int i = 0; i < 3; i++) team_go(&t, reads_and_writes, NULL);
  reads_and_writes(NULL);
  team_wait(&t);
  if (outside) ex_join(outside);
  CHECK_EQ(gos_rwmutex_trylock(&rw), GOS_OK);
  CHECK_EQ(gos_rwmutex_tryrlock(&rw), GOS_WOULDBLOCK);
  CHECK_EQ(gos_rwmutex_unlock(&rw), GOS_OK);
  CHECK_EQ(gos_rwmutex_unlock(&rw), GOS_PERM);
  CHECK_EQ(gos_rwmutex_runlock(&rw), GOS_PERM);
}

/* ---- every token has its signal: who gives up takes none along, so the patient ones see them all ------ */
enum { TOKENS = 3 };
static gos_mutex mu;
static gos_cond some;
static int tokens, left;
static bool with_rw;

static void lock(void) { with_rw ? gos_rwmutex_lock(&rw) : gos_mutex_lock(&mu); }
static void unlock(void) { CHECK_EQ(with_rw ? gos_rwmutex_unlock(&rw) : gos_mutex_unlock(&mu), GOS_OK); }
static void takes(void *impatient) {
  bool stop = false;
  lock();
  while (left > 0 && !stop) {
    if (tokens > 0) {
      tokens--, left--;
      continue;
    }
    gos_ns dl = impatient ? gos_now() + ex_roll(4000) : GOS_FOREVER;
    int e = with_rw ? gos_cond_wait_rw(&some, &rw, dl) : gos_cond_wait_dl(&some, &mu, dl);
    CHECK(e == GOS_OK || (impatient && e == GOS_TIMEDOUT && gos_now() >= dl));
    CHECK(writers == 0);
    stop = e != GOS_OK;
  }
  bool last = left == 0;
  unlock();
  if (last) gos_cond_broadcast(&some); /* not else: that would make up for a lost signal */
}
static void gives(int n) {
  lock();
  writers++;
  tokens += n;
  ex_point();
  writers--;
  unlock();
}
SCENARIO(cond, 3, 0) {
  team t = {0};
  with_rw = ex_roll(2);
  left = TOKENS;
  int outside = ex_roll(2) ? ex_thread(takes, ex_roll(2) ? &t : NULL) : 0;
  for (int i = 0; i < 3; i++) team_go(&t, takes, i == 1 ? &t : NULL);
  if (ex_roll(2)) {
    gives(TOKENS);
    gos_cond_broadcast(&some);
  } else {
    for (int i = 0; i < TOKENS; i++) {
      gives(1);
      gos_cond_signal(&some);
    }
  }
  team_wait(&t);
  if (outside) ex_join(outside);
  CHECK_EQ(left, 0);
  CHECK_EQ(tokens, 0);
  CHECK_EQ(some.n, 0);
}

/* ---- one signal, about when those in front give up: one of them has it, or the patient one behind them ---- */
static int came, woken; /* woken: of those in front */
static gos_ns patience;

static void waits_until(gos_ns dl) {
  lock();
  came++;
  int e = with_rw ? gos_cond_wait_rw(&some, &rw, dl) : gos_cond_wait_dl(&some, &mu, dl);
  CHECK(e == GOS_OK || (e == GOS_TIMEDOUT && gos_now() >= dl));
  woken += e == GOS_OK && dl != GOS_FOREVER;
  unlock();
}
static void gives_up(void *u) { (void)u, waits_until(patience); }
static void stays(void *u) { (void)u, waits_until(GOS_FOREVER); }
static void until_came(int n) {
  for (bool there = false; !there; gos_gosched()) {
    lock(); /* so that who came has its place */
    there = came == n;
    unlock();
  }
}
SCENARIO(cond_one_signal, 3, 0) {
  team t = {0};
  with_rw = ex_roll(2);
  patience = gos_now() + 8000;
  for (int i = 0; i < 2; i++) team_go(&t, gives_up, NULL);
  until_came(2);
  gos_g *patient = ex_go(stays, NULL);
  until_came(3);
  gos_sleep(patience - gos_now() - ex_roll(2));
  gos_cond_signal(&some);
  team_wait(&t);
  if (woken) {
    CHECK_EQ(gos_join(patient, GOS_NOW), GOS_WOULDBLOCK);
    gos_cond_signal(&some);
  }
  ex_finish(patient);
  CHECK_EQ(some.n, 0);
}
