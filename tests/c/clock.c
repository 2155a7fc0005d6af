// ctest: not-in=address,thread,undefined
/* The clock leaps: a machine that slept, a virtual one that was moved. Nothing is early, nothing is lost, ticks that
 * nobody could have had are dropped, and a dump tells how long somebody has waited. clock_gettime() is the test's own.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>

#define MINUTE (60000 * MS)
static atomic_llong leapt; /* ns ahead of the machine's clock */
__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *t) {
  long r = syscall(SYS_clock_gettime, clock, t);
  if (r == 0 && clock == CLOCK_MONOTONIC) {
    long long ns = t->tv_sec * 1000000000ll + t->tv_nsec + leapt;
    *t = (struct timespec){ns / 1000000000, ns % 1000000000};
  }
  return (int)r;
}

static gos_chan *never;
static void waits(void *arg) { gos_chan_recv(arg, NULL); }

static char *dump(void) {
  static char text[1 << 16];
  FILE *f = tmpfile();
  CHECK(f);
  CHECK_EQ(gos_dump(fileno(f), 0), GOS_OK);
  rewind(f);
  text[fread(text, 1, sizeof text - 1, f)] = 0;
  fclose(f);
  return text;
}

TEST(minutes_waited) {
  char line[80];
  gos_info i;
  never = gos_chan_make(0, 0);
  gos_g *g = spawn(waits, never);
  until_parked(g, "chan receive");
  gos_info_get(g, &i, sizeof i);
  snprintf(line, sizeof line, "goroutine %llu [chan receive]", (unsigned long long)i.id);
  CHECK_HAS(dump(), line);
  leapt += 7 * MINUTE + MINUTE / 2;
  snprintf(line, sizeof line, "goroutine %llu [chan receive, 7 minutes]", (unsigned long long)i.id);
  CHECK_HAS(dump(), line);
  leapt += 200 * MINUTE;
  snprintf(line, sizeof line, "goroutine %llu [chan receive, 207 minutes]", (unsigned long long)i.id);
  CHECK_HAS(dump(), line);
  gos_chan_close(never);
  finish(g);
  gos_chan_release(never);
}

/* Who started it: a goroutine with its number, or a thread, which has none. */
static void *starts(void *arg) {
  *(gos_g **)arg = spawn(waits, never);
  return NULL;
}
TEST(started_by_a_thread) {
  pthread_t t;
  gos_g *g, *h = spawn(waits, never = gos_chan_make(0, 0));
  CHECK_EQ(pthread_create(&t, NULL, starts, &g), 0);
  pthread_join(t, NULL);
  until_parked(g, "chan receive"), until_parked(h, "chan receive");
  char *text = dump(), *of_thread, *end, line[80];
  gos_info i;
  gos_info_get(h, &i, sizeof i);
  CHECK_EQ(i.creator, 1);
  CHECK_HAS(text, "in goroutine 1");
  gos_info_get(g, &i, sizeof i);
  CHECK_EQ(i.creator, 0);
  snprintf(line, sizeof line, "goroutine %llu [", (unsigned long long)i.id);
  CHECK((of_thread = strstr(text, line)) && (of_thread = strstr(of_thread, "created by ")));
  if ((end = strchr(of_thread, '\n'))) *end = 0;
  CHECK(!strstr(of_thread, "in goroutine"));
  gos_chan_close(never);
  finish(g), finish(h);
  gos_chan_release(never);
}

/* All that became due in between comes, each of them once, and with a time that is not before its own. */
TEST(timers_that_became_due) {
  enum { N = 200 };
  gos_timer *t[N];
  gos_ns now = gos_now(), at;
  for (int i = 0; i < N; i++) CHECK((t[i] = gos_timer_new((i * 37 % N + 1) * MINUTE)));
  leapt += N / 2 * MINUTE + MINUTE / 2;
  for (int i = 0; i < N; i++) {
    int minutes = i * 37 % N + 1;
    if (minutes <= N / 2) {
      CHECK_EQ(gos_chan_recv(gos_timer_c(t[i]), &at), GOS_OK);
      CHECK(at >= now + minutes * MINUTE);
      CHECK_EQ(gos_chan_recv_dl(gos_timer_c(t[i]), NULL, GOS_NOW), GOS_WOULDBLOCK);
      CHECK_EQ(gos_timer_stop(t[i]), 0);
    } else {
      CHECK_EQ(gos_timer_stop(t[i]), 1);
    }
    gos_timer_free(t[i]);
  }
}

/* A ticker goes on in step with its first tick; what it missed is one tick, not thousands. */
TEST(ticks_that_were_missed) {
  gos_ns from = gos_now(), at = 0, last = 0;
  gos_timer *t = gos_ticker_new(MINUTE);
  for (int i = 0; i < 5; i++) {
    leapt += 100 * MINUTE + MINUTE / 3;
    CHECK_EQ(gos_chan_recv(gos_timer_c(t), &at), GOS_OK);
    CHECK(at >= from + (i + 1) * 100 * MINUTE);
    CHECK(at > last);
    last = at;
    CHECK_EQ(gos_chan_recv_dl(gos_timer_c(t), &at, GOS_NOW), GOS_WOULDBLOCK);
  }
  gos_timer_free(t);
}

/* Deadlines and contexts pass; those of them that lie beyond the leap do not. */
TEST(deadlines_that_passed) {
  gos_ctx *x = gos_with_timeout(NULL, 10 * MINUTE), *y = gos_with_timeout(NULL, 1000 * MINUTE), *late;
  gos_ns t = gos_now() + 5 * MINUTE;
  leapt += 11 * MINUTE;
  CHECK_EQ(gos_chan_recv_dl(NULL, NULL, t), GOS_TIMEDOUT);
  CHECK_EQ(gos_chan_recv(gos_ctx_done(x), NULL), GOS_CLOSED);
  CHECK_EQ(gos_ctx_err(x), GOS_TIMEDOUT);
  CHECK_EQ(gos_ctx_err(y), GOS_OK);
  CHECK(late = gos_with_timeout(x, MINUTE));
  CHECK_EQ(gos_ctx_err(late), GOS_TIMEDOUT); /* born ended */
  gos_limiter *l = gos_limiter_new(1, 3);
  CHECK_EQ(gos_limiter_allow(l, 3), 1);
  leapt += 1000 * MINUTE;
  CHECK(gos_limiter_tokens(l) == 3); /* no more than the burst, however long nobody came */
  gos_limiter_free(l);
  gos_ctx_release(x), gos_ctx_release(y), gos_ctx_release(late);
}

/* Near the end of all time: what can be counted still is, and what cannot is for ever. */
TEST(the_end_of_all_time) {
  leapt = INT64_MAX - gos_now() - 1000 * MINUTE;
  gos_ns now = gos_now();
  CHECK(now > INT64_MAX / 2);
  gos_timer *beyond = gos_timer_new(2000 * MINUTE), *soon = gos_timer_new(MS);
  gos_timer *ticks = gos_ticker_new(900 * MINUTE);
  leapt += 2 * MS; /* the system's clock has not leapt: nothing may sleep until a time of ours */
  CHECK_EQ(gos_chan_recv(gos_timer_c(soon), NULL), GOS_OK);
  leapt += 950 * MINUTE;
  CHECK_EQ(gos_chan_recv(gos_timer_c(ticks), NULL), GOS_OK); /* the next one cannot be counted any more */
  leapt += MS;
  gos_gosched();
  CHECK_EQ(gos_chan_recv_dl(gos_timer_c(ticks), NULL, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_chan_recv_dl(gos_timer_c(beyond), NULL, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_timer_stop(beyond), 1);
  gos_ctx *x = gos_with_cancel(NULL), *y = gos_with_grace(x, INT64_MAX);
  gos_cancel(x, 0);
  CHECK_EQ(gos_ctx_err(y), GOS_OK); /* it has for ever */
  gos_ctx_release(x), gos_ctx_release(y);
  gos_timer_free(beyond), gos_timer_free(soon), gos_timer_free(ticks);
}
