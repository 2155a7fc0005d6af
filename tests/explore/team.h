/* Goroutines of a scenario: with a handle or without, as the seed says. */
#ifndef EX_TEAM_H
#define EX_TEAM_H
#include "explore.h"

enum { TEAM_MOST = 16 };
typedef struct team {
  gos_waitgroup wg;
  gos_g *g[TEAM_MOST];
  int n;
} team;

static inline gos_g *ex_go(void (*fn)(void *), void *arg) {
  int e;
  gos_g *g = gos_go_opts(NULL, fn, arg, &e);
  CHECK_EQ(e, GOS_OK);
  return g;
}
static inline void ex_finish(gos_g *g) {
  CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
  gos_release(g);
}
static inline void team_go(team *t, void (*fn)(void *), void *arg) {
  if (ex_roll(2) && t->n < TEAM_MOST)
    t->g[t->n++] = ex_go(fn, arg);
  else
    CHECK_EQ(gos_waitgroup_go(&t->wg, fn, arg), GOS_OK);
}
static inline void team_wait(team *t) {
  for (int i = 0; i < t->n; i++) ex_finish(t->g[i]);
  CHECK_EQ(gos_waitgroup_wait(&t->wg), GOS_OK);
}
/* A moment in [0, ns) from now, or now, or never. */
static inline gos_ns some_deadline(uint32_t ns) {
  uint32_t k = ex_roll(4);
  return k == 0 ? GOS_NOW : k == 1 ? GOS_FOREVER : gos_now() + ex_roll(ns);
}
#endif
