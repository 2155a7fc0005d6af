/* Steps of channels and select. SPDX-License-Identifier: Apache-2.0 */
#include "driver.h"

enum { CASES = 8 };

static const char send_closed[] = "send on closed channel";

static void s_chan(struct flow *f, char **w) {
  (void)f;
  struct object *o = declare(w[1], CHAN, NULL);
  o->c = gos_chan_make(sizeof(int64_t), (size_t)atol(w[2]));
}
static void s_nilchan(struct flow *f, char **w) { (void)f, declare(w[1], CHAN, NULL); }
static void release_inside(void *c) { gos_chan_release(*(gos_chan **)c); }
static void s_chanchan(struct flow *f, char **w) {
  (void)f;
  struct object *o = declare(w[1], CHAN, NULL);
  o->element = CHANNEL;
  o->c = gos_chan_make(sizeof(gos_chan *), (size_t)atol(w[2]));
  gos_chan_set_dtor(o->c, release_inside);
}

static void send_until(struct flow *f, const char *c, const char *v, gos_ns dl, const char *ok) {
  int64_t value = atoll(v);
  result(f, gos_chan_send_dl(find_chan(c)->c, &value, dl), ok, send_closed);
}
static void recv_until(struct flow *f, const char *c, gos_ns dl) {
  struct object *o = find_chan(c);
  int64_t v = 0;
  received(f, o, gos_chan_recv_dl(o->c, &v, dl), &v);
}
static void s_send(struct flow *f, char **w) { send_until(f, w[1], w[2], GOS_FOREVER, NULL); }
static void s_try_send(struct flow *f, char **w) { send_until(f, w[1], w[2], GOS_NOW, "true"); }
static void s_send_for(struct flow *f, char **w) { send_until(f, w[2], w[3], deadline(w[1]), "true"); }
static void s_recv(struct flow *f, char **w) { recv_until(f, w[1], GOS_FOREVER); }
static void s_try_recv(struct flow *f, char **w) { recv_until(f, w[1], GOS_NOW); }
static void s_recv_for(struct flow *f, char **w) { recv_until(f, w[2], deadline(w[1])); }
static void s_len(struct flow *f, char **w) { say(f, "%zu", gos_chan_len(find_chan(w[1])->c)); }
static void s_cap(struct flow *f, char **w) { say(f, "%zu", gos_chan_cap(find_chan(w[1])->c)); }
static void s_close(struct flow *f, char **w) {
  int e = gos_chan_close(find_chan(w[1])->c);
  if (e == GOS_INVAL)
    fail(f, "close of nil channel");
  else
    result(f, e, NULL, "close of closed channel");
}

static void s_send_chan(struct flow *f, char **w) {
  gos_chan *inside = gos_chan_retain(find_chan(w[2])->c);
  int e = gos_chan_send(find_chan(w[1])->c, &inside);
  if (e != GOS_OK) gos_chan_release(inside);
  result(f, e, NULL, send_closed);
}
static void s_take(struct flow *f, char **w) {
  gos_chan *c = NULL;
  int e = gos_chan_recv(find_chan(w[2])->c, &c);
  if (e != GOS_OK) stop("took nothing from", w[2]);
  (void)f;
  declare(w[1], CHAN, NULL)->c = c;
}

/* Calls each(u, v) with what comes, until the channel is closed or each gives false. */
static void receive_all(struct flow *f, const char *name, bool (*each)(void *, int64_t), void *u) {
  gos_chan *c = find_chan(name)->c;
  int64_t v;
  int e;
  while ((e = gos_chan_recv(c, &v)) == GOS_OK) {
    moved();
    if (!each(u, v)) return;
  }
  if (e != GOS_CLOSED) fail(f, gos_strerror(e));
}
static bool say_each(void *f, int64_t v) { return say(f, "%lld", (long long)v), true; }
static void s_range(struct flow *f, char **w) { receive_all(f, w[1], say_each, f); }

struct sum {
  int64_t n, left; /* left < 0: all */
};
static bool add_each(void *u, int64_t v) {
  struct sum *s = u;
  s->n += v;
  return s->left < 0 || --s->left > 0;
}
static void s_sum(struct flow *f, char **w) {
  struct sum s = {0, -1};
  receive_all(f, w[1], add_each, &s);
  say(f, "%lld", (long long)s.n);
}
static void s_sum_of(struct flow *f, char **w) {
  struct sum s = {0, atoll(w[1])};
  receive_all(f, w[2], add_each, &s);
  say(f, "%lld", (long long)s.n);
}
static void s_sum_into(struct flow *f, char **w) {
  struct sum s = {0, -1};
  receive_all(f, w[2], add_each, &s);
  result(f, gos_chan_send(find_chan(w[1])->c, &s.n), NULL, send_closed);
}
static void s_count(struct flow *f, char **w) {
  gos_chan *c = find_chan(w[1])->c;
  for (int64_t v = atoll(w[2]), to = atoll(w[3]); v <= to; v++) {
    int e = gos_chan_send(c, &v);
    if (e != GOS_OK) {
      result(f, e, NULL, send_closed);
      return;
    }
    moved();
  }
}
struct sieve {
  gos_chan *to;
  int64_t prime;
};
static bool pass_on(void *u, int64_t v) {
  struct sieve *s = u;
  return v % s->prime == 0 || gos_chan_send(s->to, &v) == GOS_OK;
}
static void s_filter(struct flow *f, char **w) {
  struct sieve s = {find_chan(w[2])->c, atoll(w[3])};
  receive_all(f, w[1], pass_on, &s);
  gos_chan_close(s.to);
}

const struct verb chan_verbs[] = {
    {"chan", s_chan, 3, false},         {"nilchan", s_nilchan, 2, false},   {"chanchan", s_chanchan, 3, false},
    {"send", s_send, 3, false},         {"recv", s_recv, 2, false},         {"close", s_close, 2, false},
    {"range", s_range, 2, false},       {"len", s_len, 2, false},           {"cap", s_cap, 2, false},
    {"try_send", s_try_send, 3, false}, {"try_recv", s_try_recv, 2, false}, {"send_for", s_send_for, 4, false},
    {"recv_for", s_recv_for, 3, false}, {"take", s_take, 3, false},         {"send_chan", s_send_chan, 3, false},
    {"sum", s_sum, 2, false},           {"sum_of", s_sum_of, 3, false},     {"sum_into", s_sum_into, 3, false},
    {"count", s_count, 4, false},       {"filter", s_filter, 4, false},     {NULL, NULL, 0, false},
};

/* ---- select ---------------------------------------------------------------- */
struct choice {
  gos_case cs[CASES];
  const struct object *of[CASES];
  int64_t v[CASES];
  int n, otherwise;
};

/* default keeps its place in the list as a case that is none. */
static void add_case(struct choice *ch, char *text) {
  char *w[WORDS];
  int at = ch->n++, n = split(text, w);
  if (n == 1) {
    ch->otherwise = at;
    return;
  }
  ch->of[at] = find_chan(w[1]);
  if (n == 2)
    ch->cs[at] = (gos_case)GOS_RECV(ch->of[at]->c, &ch->v[at]);
  else
    ch->v[at] = atoll(w[2]), ch->cs[at] = (gos_case)GOS_SEND(ch->of[at]->c, &ch->v[at]);
}
static void read_choice(struct choice *ch, char *list) {
  *ch = (struct choice){.otherwise = -1};
  for (char *at, *t = strtok_r(list, ",", &at); t; t = strtok_r(NULL, ",", &at)) {
    if (ch->n == CASES) stop("too many cases at", t);
    add_case(ch, t);
  }
}
/* k is what the select gave. */
static void chosen(struct flow *f, const struct choice *ch, int k) {
  if (k >= 0) say(f, "%d", k);
  if (k >= 0 && ch->cs[k].op == 1) received(f, ch->of[k], ch->cs[k].ok ? GOS_OK : GOS_CLOSED, &ch->v[k]);
  if (k == GOS_WOULDBLOCK) say(f, "%d", ch->otherwise);
}
static void select_until(struct flow *f, char *list, gos_ns dl) {
  struct choice ch;
  read_choice(&ch, list);
  int k = gos_select(ch.cs, ch.n, ch.otherwise >= 0 ? GOS_NOW : dl);
  chosen(f, &ch, k);
  if (k < 0 && k != GOS_WOULDBLOCK) result(f, k, NULL, send_closed);
}
static void s_select(struct flow *f, char **w) { select_until(f, w[1], GOS_FOREVER); }
static void s_select_for(struct flow *f, char **w) { select_until(f, w[2], deadline(w[1])); }

/* ---- channels and contexts -------------------------------------------------- */
static gos_ctx *ctx(const char *name) { return find(name, CONTEXT)->p; }
static void s_send_ctx(struct flow *f, char **w) {
  int64_t v = atoll(w[3]);
  result_ctx(f, gos_chan_send_ctx(find_chan(w[2])->c, &v, ctx(w[1])), "true", send_closed);
}
static void s_recv_ctx(struct flow *f, char **w) {
  struct object *o = find_chan(w[2]);
  int64_t v = 0;
  int e = gos_chan_recv_ctx(o->c, &v, ctx(w[1]));
  if (e == GOS_OK || e == GOS_CLOSED)
    received(f, o, e, &v);
  else
    result_ctx(f, e, NULL, NULL);
}
static void s_select_ctx(struct flow *f, char **w) {
  struct choice ch;
  read_choice(&ch, w[2]);
  int k = gos_select_ctx(ch.cs, ch.n, ctx(w[1]));
  chosen(f, &ch, k);
  if (k < 0) result_ctx(f, k, NULL, send_closed);
}

const struct verb select_verbs[] = {
    {"select", s_select, 2, true},      {"select_for", s_select_for, 3, true}, {"send_ctx", s_send_ctx, 4, false},
    {"recv_ctx", s_recv_ctx, 3, false}, {"select_ctx", s_select_ctx, 3, true}, {NULL, NULL, 0, false},
};
