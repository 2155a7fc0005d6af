/* Runs the scenario tables on libgossamer: driver [FILE.scn...], by default all beside this file.
 * The format, and how the table's words map to C, are in README.md; what the steps do is in steps_*.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "driver.h"
#include <glob.h>
#include <libgen.h>
#include <stdarg.h>

enum { OBJECTS = 32, NAMES = 8192 };

/* What a scenario can need, but for the things that every language has. */
static const char has[] =
    " cond context errgroup goexit ignore limiter map once pool rwmutex semaphore signal singleflight timer "
    "value_and_error ";

struct runner {
  char name[NAME], steps[LINE];
  struct flow flow;
  gos_g *g;
  _Atomic uint64_t id;
  char panic[LINE];
  bool panicked;
};

static struct object object[OBJECTS];
static struct runner runner[OBJECTS];
static atomic_int objects, runners; /* a goroutine looks for what was there before it */
static _Atomic(struct body *) bodies;
static atomic_long progress; /* steps begun and finished: settle() compares it */
static const char *path;
static char scenario[LINE];
static int line_no;

_Noreturn void stop(const char *what, const char *detail) {
  fprintf(stderr, "%s:%d: %s %s\n", path, line_no, what, detail);
  exit(1);
}
void moved(void) { progress++; }

/* ---- the world ------------------------------------------------------------------ */
struct object *declare(const char *name, enum kind kind, void *p) {
  int at = objects;
  if (at == OBJECTS) stop("too many objects:", name);
  struct object *o = &object[at];
  *o = (struct object){.kind = kind, .p = p};
  snprintf(o->name, sizeof o->name, "%s", name);
  objects = at + 1;
  return o;
}
static struct object *named(const char *name) {
  for (int i = 0; i < objects; i++)
    if (!strcmp(object[i].name, name)) return &object[i];
  stop("no object", name);
}
struct object *find(const char *name, enum kind kind) {
  struct object *o = named(name);
  if (o->kind != kind) stop("not of the step's kind:", name);
  return o;
}
struct object *find_lock(const char *name) {
  struct object *o = named(name);
  if (o->kind != MUTEX && o->kind != RWMUTEX) stop("no lock:", name);
  return o;
}
struct object *find_timer(const char *name) {
  struct object *o = named(name);
  if (o->kind != TIMER && o->kind != TICKER) stop("no timer:", name);
  return o;
}
struct object *find_chan(const char *name) {
  struct object *o = named(name);
  if (o->kind != CHAN && o->kind != TIMER && o->kind != TICKER) stop("no channel:", name);
  return o;
}
void drop_memory(struct object *o) { free(o->p); }
static struct runner *find_runner(const char *name) {
  for (int i = 0; i < runners; i++)
    if (!strcmp(runner[i].name, name)) return &runner[i];
  stop("no goroutine", name);
}
gos_g *joins(struct flow *f, const char *name) {
  gos_g *g = find_runner(name)->g;
  f->joins = g;
  return g;
}
void joined(struct flow *f) {
  moved(); /* before: settled() looks in the other order */
  f->joins = NULL;
}

/* ---- what a step gives ------------------------------------------------------------ */
void say(struct flow *f, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  if (f->n) f->out[f->n++] = ' ';
  f->n += (size_t)vsnprintf(f->out + f->n, OUTPUT - f->n, fmt, ap);
  va_end(ap);
  if (f->n >= OUTPUT - LINE) stop("too much output", f->out);
}
void say_bool(struct flow *f, bool yes) { say(f, "%s", yes ? "true" : "false"); }
void say_value(struct flow *f, bool any, int64_t v) {
  if (any)
    say(f, "%lld", (long long)v);
  else
    say(f, "nil");
}
void fail(struct flow *f, const char *text) {
  if (f->goroutine) gos_panic("%s", text);
  snprintf(f->failed, sizeof f->failed, "%s", text);
}
void result(struct flow *f, int e, const char *on_ok, const char *on_closed) {
  if (e == GOS_CLOSED && on_closed)
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
void result_ctx(struct flow *f, int e, const char *on_ok, const char *on_closed) {
  if (e == GOS_CANCELED)
    say(f, "canceled");
  else if (e == GOS_TIMEDOUT)
    say(f, "deadline");
  else
    result(f, e, on_ok, on_closed);
}
static void element(struct flow *f, const struct object *o, const int64_t *v) {
  int sig;
  if (o->element == NUMBER)
    say(f, "%lld", (long long)*v);
  else if (o->element == SIGNAL)
    memcpy(&sig, v, sizeof sig), say(f, "%s", signal_name(sig));
  else
    say(f, "tick");
}
void received(struct flow *f, const struct object *o, int e, const int64_t *v) {
  if (e == GOS_OK)
    element(f, o, v), say(f, "true");
  else if (e == GOS_CLOSED)
    say(f, "0 false");
  else if (e == GOS_WOULDBLOCK)
    say(f, "empty");
  else
    result(f, e, NULL, NULL);
}
gos_ns deadline(const char *ms) { return gos_now() + atoll(ms) * MS; }

/* ---- making steps ------------------------------------------------------------------ */
struct body *body_new(const char *steps, struct flow *into) {
  struct body *b = calloc(1, sizeof *b);
  if (!b) stop("no memory for", steps);
  snprintf(b->steps, sizeof b->steps, "%s", steps);
  b->into = into;
  b->own.goroutine = true;
  for (b->next = bodies; !atomic_compare_exchange_weak(&bodies, &b->next, b);) {}
  return b;
}
void run_body(void *arg) {
  struct body *b = arg;
  run_steps(b->into ? b->into : &b->own, b->steps, "&");
}

static void s_join(struct flow *f, char **w) {
  int e = gos_join(joins(f, w[1]), GOS_FOREVER);
  joined(f);
  result(f, e, NULL, NULL);
}
static void s_sleep(struct flow *f, char **w) { result(f, gos_sleep(atoll(w[1]) * MS), NULL, NULL); }
static void s_gosched(struct flow *f, char **w) { (void)f, (void)w, gos_gosched(); }
static void s_goexit(struct flow *f, char **w) { (void)f, (void)w, gos_goexit(); }
static void s_fail(struct flow *f, char **w) { fail(f, w[1]); }
static void s_defer(struct flow *f, char **w) { result(f, gos_defer(run_body, body_new(w[1], f)), NULL, NULL); }
static void s_error(struct flow *f, char **w) { f->error = atoi(w[1]); }
static void s_give(struct flow *f, char **w) { f->value = atoll(w[1]); }
static void s_repeat(struct flow *f, char **w) {
  for (long n = atol(w[1]); n > 0 && !*f->failed; n--) run_steps(f, w[2], "&");
}
const struct verb life_verbs[] = {
    {"join", s_join, 2, false},     {"sleep", s_sleep, 2, false}, {"gosched", s_gosched, 1, false},
    {"goexit", s_goexit, 1, false}, {"fail", s_fail, 2, true},    {"defer", s_defer, 2, true},
    {"repeat", s_repeat, 3, true},  {"error", s_error, 2, false}, {"give", s_give, 2, false},
    {NULL, NULL, 0, false},
};
static const struct verb *const all_verbs[] = {chan_verbs, select_verbs, life_verbs,  sync_verbs,    map_verbs,
                                               ctx_verbs,  time_verbs,   group_verbs, limiter_verbs, signal_verbs};

int split(char *s, char **w) {
  int n = 0;
  for (char *at, *t = strtok_r(s, " ", &at); t; t = strtok_r(NULL, " ", &at)) {
    if (n == WORDS) stop("too many words at", t);
    w[n++] = t;
  }
  return n;
}
/* The same, but what follows the first n - 1 words is one word, and may be empty. */
static int split_body(char *s, char **w, int n) {
  int i = 0;
  for (; i < n - 1; i++) {
    s += strspn(s, " ");
    if (!*s) return i;
    w[i] = s;
    s += strcspn(s, " ");
    if (*s) *s++ = 0;
  }
  w[i] = s + strspn(s, " ");
  return n;
}
static const struct verb *verb_of(const char *s) {
  size_t n = strcspn(s, " ");
  for (size_t i = 0; i < sizeof all_verbs / sizeof *all_verbs; i++)
    for (const struct verb *v = all_verbs[i]; v->verb; v++)
      if (strlen(v->verb) == n && !memcmp(v->verb, s, n)) return v;
  stop("unknown step", s);
}
static void step(struct flow *f, const char *s) {
  char copy[LINE], *w[WORDS];
  s += strspn(s, " ");
  snprintf(copy, sizeof copy, "%s", s);
  for (size_t n = strlen(copy); n && copy[n - 1] == ' ';) copy[--n] = 0;
  const struct verb *v = verb_of(s);
  if ((v->body ? split_body(copy, w, v->words) : split(copy, w)) != v->words) stop("not so many words:", s);
  moved();
  v->fn(f, w);
  moved();
}
void run_steps(struct flow *f, const char *steps, const char *separator) {
  char list[LINE];
  snprintf(list, sizeof list, "%s", steps);
  for (char *at, *s = strtok_r(list, separator, &at); s && !*f->failed; s = strtok_r(NULL, separator, &at)) step(f, s);
}

/* ---- goroutines ---------------------------------------------------------------------- */
static void run(void *arg) {
  struct runner *r = arg;
  r->id = gos_goid();
  r->flow.goroutine = true;
  /* As run_steps(), but a deferred step goes on after one that failed. */
  char list[LINE];
  snprintf(list, sizeof list, "%s", r->steps);
  for (char *at, *s = strtok_r(list, ";", &at); s; s = strtok_r(NULL, ";", &at)) step(&r->flow, s);
}
/* "panic: first\n\tpanic: last\n\ngoroutine 7 ...": the last one is what Go's recover() gives. */
static void panicked(const char *report) {
  uint64_t id = gos_goid();
  const char *last = report, *end = strstr(report, "\n\n");
  for (const char *p = report; (p = strstr(p, "panic: ")) && p < end; p++) last = p + strlen("panic: ");
  for (int i = 0; i < runners; i++)
    if (runner[i].id == id) {
      snprintf(runner[i].panic, sizeof runner[i].panic, "%.*s", (int)strcspn(last, "\n"), last);
      runner[i].panicked = true;
      return;
    }
  stop("a goroutine without a name failed:", report);
}
static void start(const char *rest) {
  int n = 0, at = runners;
  if (at == OBJECTS) stop("too many goroutines:", rest);
  struct runner *r = &runner[at];
  memset(r, 0, sizeof *r);
  sscanf(rest, "%31s %n", r->name, &n);
  snprintf(r->steps, sizeof r->steps, "%s", rest + n);
  runners = at + 1;
  r->g = gos_go_opts(NULL, run, r, NULL);
  if (!r->g) stop("cannot start", r->name);
}
static bool ended(struct runner *r) { return gos_join(r->g, GOS_NOW) == GOS_OK; }

/* ---- looking ------------------------------------------------------------------- */
struct look {
  uint64_t me, waiting; /* waiting: a sum that tells who does */
};
static int busy(const gos_info *i, void *u) {
  struct look *l = u;
  bool waits = !strcmp(i->status, "waiting");
  if (waits) l->waiting += i->id * i->id + 1;
  return i->id != l->me && !waits && strcmp(i->status, "dead");
}
/* Nobody finished or began a step while all were seen waiting, and none wakes another before it
   finishes a step: so all were waiting at one moment, and will stay so. What a group has started wakes others
   as it ends, which is no step: two looks must see the same ones wait. */
static bool settled(void) {
  long before = progress;
  struct look first = {gos_goid(), 0}, second = first;
  if (gos_foreach(busy, &first) || gos_foreach(busy, &second) || first.waiting != second.waiting) return false;
  for (int i = 0; i < runners; i++) {
    gos_g *g = runner[i].flow.joins; /* it is seen dead a moment before those who join it are seen runnable */
    if (g && gos_join(g, GOS_NOW) == GOS_OK) return false;
  }
  return progress == before;
}
static void settle(void) {
  for (gos_ns until = gos_now() + 20000 * MS; !settled(); gos_gosched())
    if (gos_now() > until) gos_dump(2, 0), stop("does not settle:", scenario);
}
static void state(struct runner *r, char *text, size_t size) {
  gos_info i;
  if (ended(r) && r->panicked)
    snprintf(text, size, "panic %s", r->panic);
  else if (ended(r))
    snprintf(text, size, "done%s%s", r->flow.n ? " " : "", r->flow.out);
  else
    gos_info_get(r->g, &i, sizeof i), snprintf(text, size, "parked %s", i.wait_reason ? i.wait_reason : i.status);
}

/* ---- lines ------------------------------------------------------------------------ */
/* Ends what still waits and frees everything. */
static void clear_world(void) {
  gos_ns until = gos_now() + 20000 * MS;
  for (int i = 0; i < objects; i++)
    if (object[i].stop) object[i].stop(&object[i]);
  for (; gos_num_goroutine() > 1; gos_gosched()) {
    for (int i = 0; i < runners; i++) gos_interrupt(runner[i].g);
    if (gos_now() > until) gos_dump(2, 0), stop("goroutines do not end:", scenario);
  }
  /* What they did comes before what follows: by the join, and for those without a name by their count of steps. */
  (void)atomic_load(&progress);
  for (int i = 0; i < runners; i++) {
    if (gos_join(runner[i].g, GOS_FOREVER) != GOS_OK) stop("cannot join", runner[i].name);
    gos_release(runner[i].g);
  }
  for (int i = objects; i-- > 0;) {
    if (object[i].drop) object[i].drop(&object[i]);
    gos_chan_release(object[i].c);
  }
  for (struct body *b = bodies, *next; b; b = next) next = b->next, free(b);
  bodies = NULL;
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
static const char *after(const char *s, const char *verb) {
  size_t n = strlen(verb);
  if (strncmp(s, verb, n) || (s[n] && s[n] != ' ')) return NULL;
  return s + n + strspn(s + n, " ");
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
  char name[NAME];
  int n = 0;
  sscanf(rest, "%31s %n", name, &n);
  settle();
  state(find_runner(name), got, sizeof got);
  if (!strcmp(rest + n, "parked") && after(got, "parked")) return true;
  return same(line, rest + n, got);
}
static bool do_line(const char *line) {
  const char *rest;
  if ((rest = after(line, "go"))) return start(rest), true;
  if ((rest = after(line, "is"))) return check_state(line, rest);
  if ((rest = after(line, "panics"))) return check_panic(line, rest);
  if (after(line, "settle")) return settle(), true;
  return check_step(line);
}

/* ---- tables -------------------------------------------------------------------------- */
static int passed, failed, missing;
static char missing_names[NAMES];
static enum { NONE, GOOD, BAD, MISSING } verdict;

static void needs(const char *words) {
  char copy[LINE], *w[WORDS], spaced[LINE + 2];
  snprintf(copy, sizeof copy, "%s", words);
  for (int i = split(copy, w); i-- > 0;) {
    snprintf(spaced, sizeof spaced, " %s ", w[i]);
    if (!strstr(has, spaced)) verdict = MISSING;
  }
}
static void count_scenario(void) {
  if (verdict == NONE) return;
  clear_world();
  *(verdict == GOOD ? &passed : verdict == BAD ? &failed : &missing) += 1;
  size_t n = strlen(missing_names);
  if (verdict == MISSING) snprintf(missing_names + n, NAMES - n, " %s", scenario);
  verdict = NONE;
}
static void run_file(const char *name) {
  char line[LINE];
  const char *rest;
  FILE *f = fopen(path = name, "r");
  if (!f) stop("cannot open", name);
  for (line_no = 1; fgets(line, sizeof line, f); line_no++) {
    char *s = line + strspn(line, " ");
    trim(s);
    if (!*s || *s == '#') continue;
    if ((rest = after(s, "scenario")))
      count_scenario(), verdict = GOOD, snprintf(scenario, sizeof scenario, "%s", rest), gos_set_name(rest);
    else if ((rest = after(s, "needs")))
      needs(rest);
    else if (verdict != MISSING && !do_line(s))
      verdict = BAD;
  }
  fclose(f);
  count_scenario();
}

static void deadlock(const char *report) { fputs(report, stderr), stop("main is blocked for ever:", scenario); }

int main(int argc, char **argv) {
  gos_config cfg = {.size = sizeof cfg, .on_panic = panicked, .on_deadlock = deadlock};
  char here[4096];
  glob_t g = {0};
  setvbuf(stdout, NULL, _IOLBF, 0); /* what was found is told even if the rest hangs */
  if (gos_init(&cfg) != GOS_OK) return 1;
  for (int i = 1; i < argc; i++) run_file(argv[i]);
  snprintf(here, sizeof here, "%s", __FILE__);
  char pattern[sizeof here + 8];
  snprintf(pattern, sizeof pattern, "%s/*.scn", dirname(here));
  if (argc < 2 && !glob(pattern, 0, NULL, &g))
    for (size_t i = 0; i < g.gl_pathc; i++) run_file(g.gl_pathv[i]);
  globfree(&g);
  if (missing) printf("c: not there yet:%s\n", missing_names);
  printf("c: %d passed, %d failed, %d not there yet\n", passed, failed, missing);
  return failed || !passed;
}
