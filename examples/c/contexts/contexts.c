/* Three replicas are asked the same. The first answer ends the others; so do a deadline and Ctrl-C.
 * SPDX-License-Identifier: Apache-2.0 */
#include <gossamer.h>
#include <signal.h>
#include <stdio.h>

enum { REPLICAS = 3 };
static const gos_ns ms = 1000000, hour = 3600000 * ms;

struct replica {
  gos_ns takes; /* until it knows */
  gos_ctx *ctx;
  gos_chan *answers;
  int err; /* what became of it */
};

static void ask_one(void *arg) {
  struct replica *r = arg;
  r->err = gos_sleep_ctx(r->takes, r->ctx); /* the work: whatever waits in it obeys the context */
  if (!r->err) r->err = gos_chan_send_ctx(r->answers, &r->takes, r->ctx);
}

static void ask(const char *what, gos_ctx *parent, const gos_ns takes[REPLICAS], gos_ns patience) {
  struct replica r[REPLICAS];
  gos_waitgroup all = {0};
  gos_ns answer;
  gos_ctx *ctx = gos_with_timeout(parent, patience);
  gos_chan *answers = gos_chan_make(sizeof answer, 0);
  for (int i = 0; i < REPLICAS; i++) {
    r[i] = (struct replica){takes[i], ctx, answers, 0};
    gos_waitgroup_go(&all, ask_one, &r[i]);
  }
  int e = gos_chan_recv_ctx(answers, &answer, ctx);
  int cause = gos_ctx_cause(ctx); /* 0: it has not ended */
  gos_cancel(ctx, 0);             /* the others need not go on */
  gos_waitgroup_wait(&all);
  printf("%s: %s, cause %d\n", what, e ? gos_strerror(e) : "an answer", cause);
  for (int i = 0; i < REPLICAS; i++) printf("  replica %d: %s\n", i, gos_strerror(r[i].err));
  gos_chan_release(answers);
  gos_ctx_release(ctx);
}

static void clean_up(void *cleaned) { gos_chan_close(cleaned); }

int main(void) {
  int sig = SIGINT;
  gos_ctx *ctrl_c = gos_signal_ctx(NULL, &sig, 1, NULL);
  gos_chan *cleaned = gos_chan_make(0, 0);
  gos_ctx_after_func(ctrl_c, clean_up, cleaned, NULL); /* in a goroutine of its own, once that has ended */

  ask("one is quick", ctrl_c, (gos_ns[]){hour, 0, hour}, hour);
  ask("none is quick", ctrl_c, (gos_ns[]){hour, hour, hour}, 5 * ms);
  raise(SIGINT);
  ask("Ctrl-C", ctrl_c, (gos_ns[]){hour, hour, hour}, hour);

  gos_chan_recv(cleaned, NULL);
  puts("cleaned up");
  gos_ctx_release(ctrl_c);
  gos_chan_release(cleaned);
}
