/* Sequences of API calls, decoded from bytes, beside a model that knows every result: channels with goroutines
 * that wait on them, close, select, interrupt, timers that never fire. One P, and every goroutine that is
 * started is left waiting or has ended before the next call, so the model is exact.
 *
 * tools/fuzz builds it for libFuzzer; otherwise it runs the files and folders of its arguments (the corpus).
 * SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <gossamer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANS = 3, CAP_MAX = 4, WAITERS = 24, TIMERS = 4, OPS_MAX = 400 };
#define CHECK(c)                                                                                                       \
  do {                                                                                                                 \
    if (!(c)) fprintf(stderr, "%s:%d: CHECK(%s)\n", __FILE__, __LINE__, #c), abort();                                  \
  } while (0)

static const uint8_t *input;
static size_t left;
static unsigned next(unsigned n) {
  if (!left) return 0;
  left--;
  return *input++ % n;
}

/* ---- the model -------------------------------------------------------------------------------------- */
struct waiter { /* a goroutine that receives or sends once */
  gos_g *g;
  gos_chan *c;
  bool sends;
  long value;            /* sent, or received */
  int result;            /* what the call gave */
  bool over;             /* the model says that it has ended, */
  int want;              /* with this result */
  long want_value;       /* and, for a receive, this value */
  struct waiter *behind; /* in the queue of its channel */
};
struct model {
  gos_chan *c;
  unsigned cap, n;
  long buf[CAP_MAX];
  bool closed;
  struct waiter *receivers, *senders;
};
static struct model chans[CHANS];
static struct waiter waiters[WAITERS];
static int nwaiters;
static gos_timer *timers[TIMERS];
static bool pending[TIMERS];
static long serial;

static struct waiter *take(struct waiter **q) {
  struct waiter *w = *q;
  if (w) *q = w->behind;
  return w;
}
static void put(struct waiter **q, struct waiter *w) {
  while (*q) q = &(*q)->behind;
  w->behind = NULL;
  *q = w;
}
static void ends(struct waiter *w, int want, long value) {
  w->over = true;
  w->want = want;
  w->want_value = value;
}

static int model_send(struct model *m, long v) {
  if (m->closed) return GOS_CLOSED;
  struct waiter *w = take(&m->receivers);
  if (w) return ends(w, GOS_OK, v), GOS_OK;
  if (m->n == m->cap) return GOS_WOULDBLOCK;
  m->buf[m->n++] = v;
  return GOS_OK;
}
static int model_recv(struct model *m, long *v) {
  *v = 0;
  if (m->n) {
    *v = m->buf[0];
    memmove(m->buf, m->buf + 1, sizeof(long) * --m->n);
    struct waiter *w = take(&m->senders);
    if (w) m->buf[m->n++] = w->value, ends(w, GOS_OK, 0);
    return GOS_OK;
  }
  struct waiter *w = take(&m->senders);
  if (w) return *v = w->value, ends(w, GOS_OK, 0), GOS_OK;
  return m->closed ? GOS_CLOSED : GOS_WOULDBLOCK;
}
static bool model_ready(struct model *m, int op) {
  if (op == 2) return m->closed || m->receivers || m->n < m->cap;
  return m->closed || m->n || m->senders;
}
static int model_close(struct model *m) {
  if (m->closed) return GOS_CLOSED;
  m->closed = true;
  for (struct waiter *w; (w = take(&m->receivers));) ends(w, GOS_CLOSED, 0);
  for (struct waiter *w; (w = take(&m->senders));) ends(w, GOS_CLOSED, 0);
  return GOS_OK;
}

/* ---- the calls --------------------------------------------------------------------------------------- */
static void waits(void *arg) {
  struct waiter *w = arg;
  w->result = w->sends ? gos_chan_send(w->c, &w->value) : gos_chan_recv(w->c, &w->value);
}
/* Every waiter is where the model has it. */
static void settle(void) {
  for (int i = 0; i < nwaiters; i++) {
    struct waiter *w = &waiters[i];
    gos_info info;
    if (!w->g) continue;
    do gos_gosched(), gos_info_get(w->g, &info, sizeof info);
    while (strcmp(info.status, w->over ? "dead" : "waiting"));
    if (!w->over) continue;
    CHECK(w->result == w->want);
    if (!w->sends && w->want != GOS_CANCELED) CHECK(w->value == w->want_value);
    CHECK(gos_interrupt(w->g) == GOS_CLOSED);
    gos_release(w->g);
    w->g = NULL;
  }
}

static void op_waiter(struct model *m) {
  if (nwaiters == WAITERS) return;
  struct waiter *w = &waiters[nwaiters++];
  *w = (struct waiter){.c = m->c, .sends = next(2), .value = ++serial};
  long v;
  int e = w->sends ? model_send(m, w->value) : model_recv(m, &v);
  if (e != GOS_WOULDBLOCK)
    ends(w, e, w->sends ? 0 : v);
  else
    put(w->sends ? &m->senders : &m->receivers, w);
  w->g = gos_go_opts(NULL, waits, w, NULL);
  CHECK(w->g);
}

static void op_select(bool ordered) {
  gos_case cs[10];
  struct model *m[10];
  long v[10], want;
  int n = (int)next(10), first = -1, ready = 0;
  for (int i = 0; i < n; i++) {
    m[i] = next(8) ? &chans[next(CHANS)] : NULL;
    v[i] = ++serial;
    cs[i] = (gos_case){(int)next(3), m[i] ? m[i]->c : NULL, &v[i], 7};
    if (cs[i].op && m[i] && model_ready(m[i], cs[i].op) && !ready++) first = i;
  }
  int k = ordered ? gos_select_ordered(cs, n, GOS_NOW) : gos_select(cs, n, GOS_NOW);
  if (!ready) {
    CHECK(k == GOS_WOULDBLOCK);
    return;
  }
  if (k == GOS_CLOSED) { /* a send on a closed channel: the case says which */
    for (k = 0; k < n && cs[k].ok != -1; k++) {}
    CHECK(k < n && cs[k].op == 2 && m[k]->closed);
    if (ordered) CHECK(k == first);
    return;
  }
  CHECK(k >= 0 && k < n && cs[k].op && m[k] && model_ready(m[k], cs[k].op));
  if (ordered) CHECK(k == first);
  if (cs[k].op == 2) {
    CHECK(model_send(m[k], v[k]) == GOS_OK && cs[k].ok == 1);
  } else {
    int e = model_recv(m[k], &want);
    CHECK(cs[k].ok == (e == GOS_OK) && v[k] == want);
  }
}

static void op_timer(unsigned at) {
  if (!timers[at]) {
    timers[at] = next(2) ? gos_timer_new(INT64_MAX / 2) : gos_ticker_new(INT64_MAX / 2);
    pending[at] = true;
    CHECK(timers[at] && gos_chan_len(gos_timer_c(timers[at])) == 0 && gos_chan_cap(gos_timer_c(timers[at])) == 0);
    return;
  }
  unsigned what = next(4);
  if (what == 0) {
    CHECK(gos_timer_stop(timers[at]) == pending[at]);
    pending[at] = false;
  } else if (what == 1) {
    CHECK(gos_timer_reset(timers[at], INT64_MAX / 2 + next(9)) == pending[at]);
    pending[at] = true;
  } else if (what == 2) {
    CHECK(gos_chan_recv_dl(gos_timer_c(timers[at]), NULL, GOS_NOW) == GOS_WOULDBLOCK);
  } else {
    gos_timer_free(timers[at]);
    timers[at] = NULL;
  }
}

static void op_interrupt(unsigned at) {
  struct waiter *w = (int)at < nwaiters ? &waiters[at] : NULL;
  if (!w || !w->g || w->over) return;
  for (int i = 0; i < CHANS; i++)
    for (struct waiter **q = w->sends ? &chans[i].senders : &chans[i].receivers; *q; q = &(*q)->behind)
      if (*q == w) {
        *q = w->behind;
        break;
      }
  CHECK(gos_interrupt(w->g) == GOS_OK);
  ends(w, GOS_CANCELED, 0);
}

static void renew(struct model *m, unsigned cap) {
  if (m->c) gos_chan_close(m->c), model_close(m), settle(), gos_chan_release(m->c);
  *m = (struct model){.c = gos_chan_make(sizeof(long), cap), .cap = cap};
  CHECK(m->c && gos_chan_cap(m->c) == cap);
}

static void step(void) {
  struct model *m = &chans[next(CHANS)];
  long v = ++serial, want = 0;
  int e;
  switch (next(12)) {
  case 0:
  case 1: CHECK(gos_chan_send_dl(m->c, &v, GOS_NOW) == model_send(m, v)); break;
  case 2:
  case 3:
    e = model_recv(m, &want);
    CHECK(gos_chan_recv_dl(m->c, &v, GOS_NOW) == e);
    if (e != GOS_WOULDBLOCK) CHECK(v == want);
    break;
  case 4:
  case 5:
  case 6: op_waiter(m); break;
  case 7: op_select(true); break;
  case 8: op_select(false); break;
  case 9: op_interrupt(next(WAITERS)); break;
  case 10: op_timer(next(TIMERS)); break;
  default:
    if (next(4) == 0)
      renew(m, next(CAP_MAX + 1));
    else if (next(2))
      CHECK(gos_chan_close(m->c) == model_close(m));
  }
  settle();
  CHECK(gos_chan_len(m->c) == m->n && gos_chan_closed(m->c) == m->closed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static bool up;
  if (!up) CHECK(gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = 1, .seed = 1}) == GOS_OK);
  up = true;
  input = data;
  left = size;
  nwaiters = 0;
  for (int i = 0; i < CHANS; i++) renew(&chans[i], next(CAP_MAX + 1));
  for (int i = 0; i < OPS_MAX && left; i++) step();
  for (int i = 0; i < TIMERS; i++) gos_timer_free(timers[i]), timers[i] = NULL;
  for (int i = 0; i < CHANS; i++) renew(&chans[i], 0);
  for (int i = 0; i < CHANS; i++) gos_chan_release(chans[i].c), chans[i].c = NULL;
  while (gos_num_goroutine() > 1) gos_gosched();
  return 0;
}

#ifndef GOS_FUZZ
static int replay(const char *path) {
  DIR *d = opendir(path);
  int n = 0;
  if (d) {
    char name[4096];
    for (struct dirent *e; (e = readdir(d));)
      if (e->d_name[0] != '.') snprintf(name, sizeof name, "%s/%s", path, e->d_name), n += replay(name);
    closedir(d);
    return n;
  }
  static uint8_t data[1 << 16];
  FILE *f = fopen(path, "rb");
  CHECK(f);
  size_t size = fread(data, 1, sizeof data, f);
  fclose(f);
  return LLVMFuzzerTestOneInput(data, size), 1;
}
int main(int argc, char **argv) {
  int n = 0;
  for (int i = 1; i < argc; i++) n += replay(argv[i]);
  printf("%d inputs\n", n);
  return n == 0;
}
#endif
