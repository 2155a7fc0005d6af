/* Steps of timers and signals. SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <unistd.h>
#include "driver.h"

static gos_ns ms(const char *number) { return atoll(number) * MS; }
static void stop_timer(struct object *o) { gos_timer_stop(o->p); }
static void drop_timer(struct object *o) { gos_timer_free(o->p); }

static struct object *timer(const char *name, enum kind kind, gos_timer *t) {
  struct object *o = declare(name, kind, t);
  o->c = gos_chan_retain(gos_timer_c(t));
  o->element = TIME;
  o->stop = stop_timer;
  o->drop = drop_timer;
  return o;
}
static void s_timer(struct flow *f, char **w) { (void)f, timer(w[1], TIMER, gos_timer_new(ms(w[2]))); }
static void s_ticker(struct flow *f, char **w) {
  gos_timer *t = gos_ticker_new(ms(w[2]));
  if (t)
    timer(w[1], TICKER, t);
  else
    fail(f, "non-positive interval for NewTicker");
}
static void s_after(struct flow *f, char **w) {
  struct object *o = declare(w[1], CHAN, NULL);
  (void)f;
  o->c = gos_after(ms(w[2]));
  o->element = TIME;
}
static void s_after_func(struct flow *f, char **w) {
  (void)f, timer(w[1], TIMER, gos_after_func(ms(w[2]), run_body, body_new(w[3], NULL)));
}
/* Go's Ticker gives nothing. */
static void pending(struct flow *f, const struct object *o, int e) {
  if (e < 0)
    fail(f, "non-positive interval for Ticker.Reset");
  else if (o->kind == TIMER)
    say_bool(f, e);
}
static void s_stop(struct flow *f, char **w) {
  struct object *o = find_timer(w[1]);
  pending(f, o, gos_timer_stop(o->p));
}
static void s_reset(struct flow *f, char **w) {
  struct object *o = find_timer(w[1]);
  pending(f, o, gos_timer_reset(o->p, ms(w[2])));
}

const struct verb time_verbs[] = {
    {"timer", s_timer, 3, false}, {"ticker", s_ticker, 3, false}, {"after", s_after, 3, false},
    {"stop", s_stop, 2, false},   {"reset", s_reset, 3, false},   {"after_func", s_after_func, 4, true},
    {NULL, NULL, 0, false},
};

/* ---- signals -------------------------------------------------------------------- */
static const struct {
  const char *name;
  int number;
} signals[] = {{"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"HUP", SIGHUP}, {"WINCH", SIGWINCH}, {"KILL", SIGKILL}};
enum { SIGNALS = sizeof signals / sizeof *signals };
const char *signal_name(int sig) {
  for (int i = 0; i < SIGNALS; i++)
    if (signals[i].number == sig) return signals[i].name;
  return "another";
}
static int number_of(const char *name) {
  for (int i = 0; i < SIGNALS; i++)
    if (!strcmp(signals[i].name, name)) return signals[i].number;
  return stop("no signal", name), 0;
}
static void stop_signals(struct object *o) { gos_signal_stop(o->c); }
/* What one scenario ignored is as it was for the next. */
static void drop_signals(struct object *o) { (void)o, gos_signal_reset(NULL, 0); }
static void s_sigchan(struct flow *f, char **w) {
  struct object *o = declare(w[1], CHAN, NULL);
  (void)f;
  o->c = gos_chan_make(sizeof(int), (size_t)atol(w[2]));
  o->element = SIGNAL;
  o->stop = stop_signals;
  o->drop = drop_signals;
}
static void s_notify(struct flow *f, char **w) {
  int sig[WORDS], n = 0;
  char *names[WORDS];
  for (int all = split(w[2], names); n < all; n++) sig[n] = number_of(names[n]);
  result(f, gos_signal_notify(find_chan(w[1])->c, sig, n), NULL, NULL);
}
static void s_raise(struct flow *f, char **w) { (void)f, kill(getpid(), number_of(w[1])); }
static void s_notify_stop(struct flow *f, char **w) { result(f, gos_signal_stop(find_chan(w[1])->c), NULL, NULL); }
static void s_ignore(struct flow *f, char **w) {
  result(f, gos_signal_ignore((int[]){number_of(w[1])}, 1), NULL, NULL);
}
static void s_reset_signal(struct flow *f, char **w) {
  result(f, gos_signal_reset((int[]){number_of(w[1])}, 1), NULL, NULL);
}
static void s_ignored(struct flow *f, char **w) { say_bool(f, gos_signal_ignored(number_of(w[1])) == 1); }

const struct verb signal_verbs[] = {
    {"sigchan", s_sigchan, 3, false}, {"notify", s_notify, 3, true},
    {"raise", s_raise, 2, false},     {"notify_stop", s_notify_stop, 2, false},
    {"ignore", s_ignore, 2, false},   {"reset_signal", s_reset_signal, 2, false},
    {"ignored", s_ignored, 2, false}, {NULL, NULL, 0, false},
};
