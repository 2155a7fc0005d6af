// ctest: timeout=120
/* Runs the scenario tables on libgossamer: driver [FILE.scn...], by default all beside this file.
 * The format, and how the table's words map to C, are in README.md.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <glob.h>
#include <gossamer.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OBJECTS = 16, LINE = 256, OUTPUT = 8192, WORDS = 8, CASES = 8 };
#define MS ((gos_ns)1000000)

/* What a list of steps gave so far. failed: it ends here. */
struct flow {
  char out[OUTPUT];
  size_t n;
  char failed[LINE];
};

struct object {
  char name[LINE];
  gos_chan *c;
  gos_mutex mu;
  gos_waitgroup wg;
};
struct runner {
  char name[LINE], steps[LINE];
  struct flow flow;
  gos_g *g;
  atomic_bool ended;
};

static struct object object[OBJECTS];
static struct runner runner[OBJECTS];
static int objects, runners;
static atomic_long progress; /* steps begun and finished: settle() compares it */
static const char *path;
static int line_no;

static void stop(const char *what, const char *detail) {
  fprintf(stderr, "%s:%d: %s %s\n", path, line_no, what, detail);
  exit(1);
}
static struct object *find(const char *name) {
  for (int i = 0; i < objects; i++)
    if (!strcmp(object[i].name, name)) return &object[i];
  return stop("no object", name), NULL;
}
static struct runner *find_runner(const char *name) {
  for (int i = 0; i < runners; i++)
    if (!strcmp(runner[i].name, name)) return &runner[i];
  return stop("no goroutine", name), NULL;
}

__attribute__((format(printf, 2, 3))) static void say(struct flow *f, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  if (f->n) f->out[f->n++] = ' ';
  f->n += (size_t)vsnprintf(f->out + f->n, OUTPUT - f->n, fmt, ap);
  va_end(ap);
  if (f->n >= OUTPUT - LINE) stop("too much output", f->out);
}
static void fail(struct flow *f, const char *text) { snprintf(f->failed, sizeof f->failed, "%s", text); }

/* The words of a result code; on_closed is Go's panic for this step. */
static void result(struct flow *f, int e, const char *on_ok, const char *on_closed) {
  if (e == GOS_CLOSED)
    fail(f, on_closed);
  else if (e == GOS_WOULDBLOCK)
    say(f, "false");
  else if (e == GOS_TIMEDOUT)
    say(f, "timeout");
  else if (e != GOS_OK)
    fail(f, gos_strerror(e));
  else if (on_ok)
    say(f, "%s", on_ok);
}
static void received(struct flow *f, int e, int64_t v) {
  if (e == GOS_OK || e == GOS_CLOSED)
    say(f, "%lld %s", (long long)v, e == GOS_OK ? "true" : "false");
  else if (e == GOS_WOULDBLOCK)
    say(f, "empty");
  else
    result(f, e, NULL, NULL);
}
static gos_ns deadline(const char *ms) { return gos_now() + atoll(ms) * MS; }

/* ---- steps: w are the words, the verb first ------------------------------ */
static const char send_closed[] = "send on closed channel", negative[] = "sync: negative WaitGroup counter";

static void send_until(struct flow *f, const char *c, const char *v, gos_ns dl, const char *ok) {
  int64_t value = atoll(v);
  result(f, gos_chan_send_dl(find(c)->c, &value, dl), ok, send_closed);
}
static void recv_until(struct flow *f, const char *c, gos_ns dl) {
  int64_t v = -1;
  int e = gos_chan_recv_dl(find(c)->c, &v, dl);
  received(f, e, v);
}
static void s_send(struct flow *f, char **w) { send_until(f, w[1], w[2], GOS_FOREVER, NULL); }
static void s_try_send(struct flow *f, char **w) { send_until(f, w[1], w[2], GOS_NOW, "true"); }
static void s_send_for(struct flow *f, char **w) { send_until(f, w[2], w[3], deadline(w[1]), "true"); }
static void s_recv(struct flow *f, char **w) { recv_until(f, w[1], GOS_FOREVER); }
static void s_try_recv(struct flow *f, char **w) { recv_until(f, w[1], GOS_NOW); }
static void s_recv_for(struct flow *f, char **w) { recv_until(f, w[2], deadline(w[1])); }
static void s_len(struct flow *f, char **w) { say(f, "%zu", gos_chan_len(find(w[1])->c)); }
static void s_cap(struct flow *f, char **w) { say(f, "%zu", gos_chan_cap(find(w[1])->c)); }
static void s_close(struct flow *f, char **w) {
  int e = gos_chan_close(find(w[1])->c);
  if (e == GOS_INVAL)
    fail(f, "close of nil channel");
  else
    result(f, e, NULL, "close of closed channel");
}
static void s_range(struct flow *f, char **w) {
  gos_chan *c = find(w[1])->c;
  int64_t v;
  int e;
  while ((e = gos_chan_recv(c, &v)) == GOS_OK) say(f, "%lld", (long long)v), progress++;
  if (e != GOS_CLOSED) fail(f, gos_strerror(e));
}
static void s_lock(struct flow *f, char **w) { result(f, gos_mutex_lock_dl(&find(w[1])->mu, GOS_FOREVER), NULL, NULL); }
static void s_trylock(struct flow *f, char **w) { result(f, gos_mutex_trylock(&find(w[1])->mu), "true", NULL); }
static void s_unlock(struct flow *f, char **w) { result(f, gos_mutex_unlock(&find(w[1])->mu), NULL, NULL); }
static void counted(struct flow *f, int e) { e == GOS_INVAL ? fail(f, negative) : result(f, e, NULL, NULL); }
static void s_add(struct flow *f, char **w) { counted(f, gos_waitgroup_add(&find(w[1])->wg, atoll(w[2]))); }
static void s_done(struct flow *f, char **w) { counted(f, gos_waitgroup_done(&find(w[1])->wg)); }
static void s_wait(struct flow *f, char **w) { result(f, gos_waitgroup_wait(&find(w[1])->wg), NULL, NULL); }
static void s_join(struct flow *f, char **w) { result(f, gos_join(find_runner(w[1])->g, GOS_FOREVER), NULL, NULL); }
static void s_sleep(struct flow *f, char **w) { result(f, gos_sleep(atoll(w[1]) * MS), NULL, NULL); }
static void s_gosched(struct flow *f, char **w) { (void)f, (void)w, gos_gosched(); }

static const struct {
  const char *verb;
  void (*fn)(struct flow *, char **);
  int words;
} verbs[] = {
    {"send", s_send, 3},         {"recv", s_recv, 2},         {"close", s_close, 2},       {"range", s_range, 2},
    {"len", s_len, 2},           {"cap", s_cap, 2},           {"lock", s_lock, 2},         {"unlock", s_unlock, 2},
    {"trylock", s_trylock, 2},   {"add", s_add, 3},           {"done", s_done, 2},         {"wait", s_wait, 2},
    {"join", s_join, 2},         {"sleep", s_sleep, 2},       {"gosched", s_gosched, 1},   {"try_send", s_try_send, 3},
    {"try_recv", s_try_recv, 2}, {"send_for", s_send_for, 4}, {"recv_for", s_recv_for, 3},
};

static int split(char *s, char **w) {
  int n = 0;
  for (char *at, *t = strtok_r(s, " ", &at); t; t = strtok_r(NULL, " ", &at)) {
    if (n == WORDS) stop("too many words at", t);
    w[n++] = t;
  }
  return n;
}

/* ---- select ---------------------------------------------------------------- */
struct choice {
  gos_case cs[CASES];
  int64_t v[CASES];
  int n, otherwise;
};

/* default keeps its place in the list as a case that is none. */
static void add_case(struct choice *ch, char *text) {
  char *w[WORDS];
  int at = ch->n++, n = split(text, w);
  if (n == 1)
    ch->otherwise = at;
  else if (n == 2)
    ch->cs[at] = (gos_case)GOS_RECV(find(w[1])->c, &ch->v[at]);
  else
    ch->v[at] = atoll(w[2]), ch->cs[at] = (gos_case)GOS_SEND(find(w[1])->c, &ch->v[at]);
}
static void s_select(struct flow *f, char *list, gos_ns dl) {
  struct choice ch = {.otherwise = -1};
  for (char *at, *t = strtok_r(list, ",", &at); t && ch.n < CASES; t = strtok_r(NULL, ",", &at)) add_case(&ch, t);
  int k = gos_select(ch.cs, ch.n, ch.otherwise >= 0 ? GOS_NOW : dl);
  if (k >= 0 && ch.cs[k].op == 1)
    say(f, "%d %lld %s", k, (long long)ch.v[k], ch.cs[k].ok ? "true" : "false");
  else if (k >= 0)
    say(f, "%d", k);
  else if (k == GOS_WOULDBLOCK)
    say(f, "%d", ch.otherwise);
  else
    result(f, k, NULL, send_closed);
}

/* ---- making steps ------------------------------------------------------------ */
static const char *after(const char *s, const char *verb) {
  size_t n = strlen(verb);
  if (strncmp(s, verb, n) || (s[n] && s[n] != ' ')) return NULL;
  return s + n + strspn(s + n, " ");
}
static void simple(struct flow *f, const char *s) {
  char copy[LINE], *w[WORDS];
  snprintf(copy, sizeof copy, "%s", s);
  int n = split(copy, w);
  for (size_t i = 0; n && i < sizeof verbs / sizeof *verbs; i++)
    if (!strcmp(verbs[i].verb, w[0]) && verbs[i].words == n) {
      verbs[i].fn(f, w);
      return;
    }
  stop("unknown step", s);
}
static void step(struct flow *f, const char *s) {
  const char *rest;
  char copy[LINE], *list;
  s += strspn(s, " ");
  progress++;
  snprintf(copy, sizeof copy, "%s", s);
  if ((rest = after(s, "repeat"))) {
    for (long n = strtol(rest, (char **)&rest, 10); n > 0 && !*f->failed; n--) step(f, rest);
  } else if (after(s, "select_for")) {
    long ms = strtol(after(copy, "select_for"), &list, 10);
    s_select(f, list, gos_now() + ms * MS);
  } else if (after(s, "select")) {
    s_select(f, (char *)after(copy, "select"), GOS_FOREVER);
  } else if ((rest = after(s, "fail"))) {
    fail(f, rest);
    gos_panic("%s", rest);
  } else {
    simple(f, s);
  }
  progress++;
}

static void ended(void *arg) { ((struct runner *)arg)->ended = true; }
static void run(void *arg) {
  struct runner *r = arg;
  char list[LINE];
  gos_defer(ended, r);
  snprintf(list, sizeof list, "%s", r->steps);
  for (char *at, *s = strtok_r(list, ";", &at); s && !*r->flow.failed; s = strtok_r(NULL, ";", &at)) step(&r->flow, s);
}

/* ---- looking ------------------------------------------------------------------- */
static bool quiet(struct runner *r) {
  gos_info i;
  return r->ended || (gos_info_get(r->g, &i, sizeof i) == GOS_OK && !strcmp(i.status, "waiting"));
}
/* Nobody finished or began a step while all were seen waiting, and none wakes another before it
   finishes a step: so all were waiting at one moment, and will stay so. */
static bool settled(void) {
  long before = progress;
  for (int i = 0; i < runners; i++)
    if (!quiet(&runner[i])) return false;
  return progress == before;
}
static void settle(void) {
  for (gos_ns until = gos_now() + 20000 * MS; !settled(); gos_gosched())
    if (gos_now() > until) gos_dump(2, 0), stop("does not", "settle");
}
static void state(struct runner *r, char *text, size_t size) {
  gos_info i;
  if (r->ended && *r->flow.failed)
    snprintf(text, size, "panic %s", r->flow.failed);
  else if (r->ended)
    snprintf(text, size, "done%s%s", r->flow.n ? " " : "", r->flow.out);
  else
    gos_info_get(r->g, &i, sizeof i), snprintf(text, size, "parked %s", i.wait_reason ? i.wait_reason : i.status);
}

/* ---- lines ------------------------------------------------------------------------ */
static struct object *declare(char *name) {
  if (objects == OBJECTS) stop("too many objects:", name);
  struct object *o = &object[objects++];
  *o = (struct object){0};
  snprintf(o->name, sizeof o->name, "%s", name);
  return o;
}
static void start(const char *rest) {
  int n = 0;
  if (runners == OBJECTS) stop("too many goroutines:", rest);
  struct runner *r = &runner[runners++];
  memset(r, 0, sizeof *r);
  sscanf(rest, "%255s %n", r->name, &n);
  snprintf(r->steps, sizeof r->steps, "%s", rest + n);
  r->g = gos_go_opts(NULL, run, r, NULL);
  if (!r->g) stop("cannot start", r->name);
}
/* Ends what still waits and frees everything. */
static void clear_world(void) {
  for (int i = 0; i < runners; i++) {
    for (; !runner[i].ended; gos_gosched()) gos_interrupt(runner[i].g);
    if (gos_join(runner[i].g, GOS_FOREVER) != GOS_OK) stop("cannot join", runner[i].name);
    gos_release(runner[i].g);
  }
  for (int i = 0; i < objects; i++) gos_chan_release(object[i].c);
  objects = runners = 0;
}
static bool same(const char *line, const char *want, const char *got) {
  if (!strcmp(want, got)) return true;
  printf("%s:%d: %s\n  want \"%s\"\n  got  \"%s\"\n", path, line_no, line, want, got);
  return false;
}
static void trim(char *s) {
  for (size_t n = strlen(s); n && strchr(" \n", s[n - 1]);) s[--n] = 0;
}
static bool check_step(const char *line) {
  static struct flow f;
  char text[LINE];
  snprintf(text, sizeof text, "%s", line);
  char *eq = strstr(text, " ="), *want = eq ? eq + 2 + strspn(eq + 2, " ") : (char *)"";
  if (eq) *eq = 0;
  memset(&f, 0, sizeof f);
  step(&f, text);
  return same(line, want, *f.failed ? f.failed : f.out);
}
static bool check_panic(const char *line, const char *rest) {
  static struct flow f;
  char want[LINE];
  snprintf(want, sizeof want, "%s", rest);
  char *bar = strchr(want, '|');
  if (!bar) stop("no | in", line);
  memset(&f, 0, sizeof f);
  step(&f, bar + 1);
  *bar = 0, trim(want);
  return same(line, want, *f.failed ? f.failed : "no panic");
}
static bool check_state(const char *line, const char *rest) {
  static char got[OUTPUT + LINE];
  char name[LINE];
  int n = 0;
  sscanf(rest, "%255s %n", name, &n);
  settle();
  state(find_runner(name), got, sizeof got);
  return same(line, rest + n, got);
}
static bool do_line(const char *line) {
  const char *rest;
  char copy[LINE], *w[WORDS];
  if ((rest = after(line, "go"))) return start(rest), true;
  if ((rest = after(line, "is"))) return check_state(line, rest);
  if ((rest = after(line, "panics"))) return check_panic(line, rest);
  if (after(line, "settle")) return settle(), true;
  snprintf(copy, sizeof copy, "%s", line);
  if (after(line, "nilchan") || after(line, "mutex") || after(line, "wg")) return split(copy, w), declare(w[1]), true;
  if (!after(line, "chan")) return check_step(line);
  split(copy, w);
  return (declare(w[1])->c = gos_chan_make(sizeof(int64_t), (size_t)atol(w[2]))) != NULL;
}

static int passed, failed;
static void count_scenario(bool any, bool good) {
  if (!any) return;
  clear_world();
  *(good ? &passed : &failed) += 1;
}
static void run_file(const char *name) {
  char line[LINE];
  bool any = false, good = true;
  FILE *f = fopen(path = name, "r");
  if (!f) stop("cannot open", name);
  for (line_no = 1; fgets(line, sizeof line, f); line_no++) {
    char *s = line + strspn(line, " ");
    trim(s);
    if (!*s || *s == '#') continue;
    if (after(s, "scenario"))
      count_scenario(any, good), any = good = true;
    else
      good &= do_line(s);
  }
  fclose(f);
  count_scenario(any, good);
}

static void quiet_panic(const char *report) { (void)report; }
static void deadlock(const char *report) { fputs(report, stderr), stop("main", "is blocked for ever"); }

int main(int argc, char **argv) {
  gos_config cfg = {.size = sizeof cfg, .on_panic = quiet_panic, .on_deadlock = deadlock};
  char here[4096];
  glob_t g = {0};
  if (gos_init(&cfg) != GOS_OK) return 1;
  for (int i = 1; i < argc; i++) run_file(argv[i]);
  snprintf(here, sizeof here, "%s", __FILE__);
  char pattern[sizeof here + 8];
  snprintf(pattern, sizeof pattern, "%s/*.scn", dirname(here));
  if (argc < 2 && !glob(pattern, 0, NULL, &g))
    for (size_t i = 0; i < g.gl_pathc; i++) run_file(g.gl_pathv[i]);
  globfree(&g);
  printf("c: %d passed, %d failed\n", passed, failed);
  return failed || !passed;
}
