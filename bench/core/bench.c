/* The core's benchmarks. go/main.go has the same workloads under the same names.
 *
 *   bench             runs all of them, each in a process of its own
 *   bench NAME [N]    runs one, N operations instead of the usual number
 *   bench --list      prints the names
 *
 * Prints a line for each: NAME VALUE OPS UNIT, the value being nanoseconds an operation, or what
 * UNIT says. GOMAXPROCS is honoured. A workload's body runs inside a spawned goroutine: main only
 * joins it. Values are int64 everywhere.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <gossamer.h>
#include <gossamer/net.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- the stopwatch and small things ------------------------------------------ */
static int64_t started, spent;
static double value = -1; /* set by a workload that does not measure time per operation */

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void start(void) { started = now(); }

static void stop(void) { spent = now() - started; }

static void must(int code) {
  if (code >= 0) return;
  fprintf(stderr, "bench: %s\n", gos_strerror(code));
  _exit(1);
}

static void *must_have(void *p) {
  if (!p) must(GOS_NOMEM);
  return p;
}

static void expect(int64_t got, int64_t wanted) {
  if (got == wanted) return;
  fprintf(stderr, "bench: got %lld instead of %lld\n", (long long)got, (long long)wanted);
  _exit(1);
}

static gos_chan *make(size_t cap) { return must_have(gos_chan_make(sizeof(int64_t), cap)); }

static void send(gos_chan *c, int64_t v) { must(gos_chan_send(c, &v)); }

static int64_t recv(gos_chan *c) {
  int64_t v;
  must(gos_chan_recv(c, &v));
  return v;
}

static void go(void (*fn)(void *), void *arg) { must(gos_go(fn, arg)); }

/* What most workloads need: channels, a count, and somebody to wait for. */
static gos_chan *in, *out, *many[4];
static gos_waitgroup wg, wg2;
static int64_t each;

static void send_each(void *c) {
  for (int64_t i = 0; i < each; i++) send(c, i);
}

static void send_each_and_close(void *c) {
  send_each(c);
  gos_chan_close(c);
}

/* ---- goroutines ------------------------------------------------------------------ */
static void yielder(void *unused) {
  (void)unused;
  for (int64_t i = 0; i < each; i++) gos_gosched();
  gos_waitgroup_done(&wg);
}

static void yield(long n) {
  each = n / 2;
  gos_waitgroup_add(&wg, 2);
  start();
  go(yielder, NULL);
  go(yielder, NULL);
  gos_waitgroup_wait(&wg);
  stop();
}

static void done(void *unused) {
  (void)unused;
  gos_waitgroup_done(&wg);
}

static void spawn_batches(long n, long batch) {
  for (; n > 0; n -= batch) {
    gos_waitgroup_add(&wg, batch);
    for (long i = 0; i < batch; i++) go(done, NULL);
    gos_waitgroup_wait(&wg);
  }
}

static void spawn_join_1k(long n) {
  spawn_batches(1000, 1000);
  start();
  spawn_batches(n, 1000);
  stop();
}

static void spawn_join_100k(long n) {
  spawn_batches(100000, 100000);
  start();
  spawn_batches(n, 100000);
  stop();
}

static void links_on(void *left) {
  if (left)
    go(links_on, (char *)left - 1);
  else
    gos_waitgroup_done(&wg);
}

static void spawn_chain(long n) { /* each starts the next and ends */
  gos_waitgroup_add(&wg, 1);
  start();
  go(links_on, (char *)0 + n);
  gos_waitgroup_wait(&wg);
  stop();
}

/* ---- channels ---------------------------------------------------------------------- */
static void ponger(void *unused) {
  (void)unused;
  int64_t v;
  gos_chan_range(in, &v) send(out, v);
}

static void pingpong(long n) { /* an operation is two messages */
  in = make(0), out = make(0);
  go(ponger, NULL);
  start();
  for (int64_t i = 0; i < n; i++) {
    send(in, i);
    recv(out);
  }
  stop();
}

static void stream_through(size_t cap, long n) {
  int64_t v, sum = 0;
  each = n;
  in = make(cap);
  start();
  go(send_each_and_close, in);
  gos_chan_range(in, &v) sum += v;
  stop();
  expect(sum, (int64_t)n * (n - 1) / 2);
}

static void stream(long n) { stream_through(0, n); }
static void spsc_1(long n) { stream_through(1, n); }
static void spsc_64(long n) { stream_through(64, n); }
static void spsc_1024(long n) { stream_through(1024, n); }

static void mpmc_producer(void *c) {
  send_each(c);
  gos_waitgroup_done(&wg);
}

static void mpmc_consumer(void *c) {
  int64_t v;
  gos_chan_range(c, &v);
  gos_waitgroup_done(&wg2);
}

static void mpmc(int k, long n) {
  each = n / k;
  in = make(64);
  gos_waitgroup_add(&wg, k);
  gos_waitgroup_add(&wg2, k);
  start();
  for (int i = 0; i < k; i++) go(mpmc_consumer, in);
  for (int i = 0; i < k; i++) go(mpmc_producer, in);
  gos_waitgroup_wait(&wg);
  gos_chan_close(in);
  gos_waitgroup_wait(&wg2);
  stop();
}

static void mpmc_4x4(long n) { mpmc(4, n); }
static void mpmc_100x100(long n) { mpmc(100, n); }

static void waits_for_close(void *c) {
  gos_waitgroup_done(&wg2);
  expect(gos_chan_recv(c, NULL), GOS_CLOSED);
  gos_waitgroup_done(&wg);
}

static void close_broadcast(long n) { /* an operation is a goroutine of 10,000 woken by a close */
  enum { CROWD = 10000 };
  for (long round = n / CROWD; round > 0; round--) {
    gos_chan *c = make(0);
    gos_waitgroup_add(&wg, CROWD);
    gos_waitgroup_add(&wg2, CROWD);
    for (int i = 0; i < CROWD; i++) go(waits_for_close, c);
    gos_waitgroup_wait(&wg2);
    int64_t before = spent;
    start();
    gos_chan_close(c);
    gos_waitgroup_wait(&wg);
    stop();
    spent += before;
    gos_chan_release(c);
  }
}

/* ---- select -------------------------------------------------------------------------- */
static void select_ready(int k, long n) {
  int64_t v;
  for (int i = 0; i < k; i++) many[i] = make(1);
  start();
  for (int64_t i = 0; i < n; i++) {
    send(many[i % k], i);
    gos_case cases[] = {GOS_RECV(many[0], &v), GOS_RECV(many[1], &v), GOS_RECV(many[2], &v), GOS_RECV(many[3], &v)};
    must(gos_select(cases, k, GOS_FOREVER));
  }
  stop();
}

static void select2_ready(long n) { select_ready(2, n); }
static void select4_ready(long n) { select_ready(4, n); }

static void select_block(int k, long n) {
  int64_t v;
  each = n / k;
  for (int i = 0; i < k; i++) go(send_each, many[i] = make(0));
  start();
  for (int64_t i = 0; i < each * k; i++) {
    gos_case cases[] = {GOS_RECV(many[0], &v), GOS_RECV(many[1], &v), GOS_RECV(many[2], &v), GOS_RECV(many[3], &v)};
    must(gos_select(cases, k, GOS_FOREVER));
  }
  stop();
}

static void select2_block(long n) { select_block(2, n); }
static void select4_block(long n) { select_block(4, n); }

static void select_both(gos_chan *to, gos_chan *from) {
  for (int64_t i = 0, v; i < each; i++) {
    gos_case cases[] = {GOS_SEND(to, &i), GOS_RECV(from, &v)};
    must(gos_select(cases, 2, GOS_FOREVER));
  }
}

static void mixer(void *unused) {
  (void)unused;
  select_both(out, in);
  gos_waitgroup_done(&wg);
}

static void select_mixed(long n) { /* two goroutines, each sending or receiving as it comes */
  in = make(0), out = make(0);
  each = n;
  gos_waitgroup_add(&wg, 1);
  start();
  go(mixer, NULL);
  select_both(in, out);
  gos_waitgroup_wait(&wg);
  stop();
}

static void select_default(long n) {
  int64_t v;
  in = make(0);
  start();
  for (long i = 0; i < n; i++) {
    gos_case cases[] = {GOS_RECV(in, &v)};
    expect(gos_select(cases, 1, GOS_NOW), GOS_WOULDBLOCK);
  }
  stop();
}

static void select_timeout(long n) { /* the value comes, the second never passes */
  int64_t v;
  in = make(0);
  each = n;
  start();
  go(send_each, in);
  for (long i = 0; i < n; i++) {
    gos_case cases[] = {GOS_RECV(in, &v)};
    expect(gos_select(cases, 1, gos_now() + 1000000000), 0);
  }
  stop();
}

/* ---- sync ------------------------------------------------------------------------------ */
static gos_mutex mu;
static volatile int64_t guarded;

static void lock_and_add(long n) {
  for (long i = 0; i < n; i++) {
    gos_mutex_lock(&mu);
    guarded++;
    gos_mutex_unlock(&mu);
  }
}

static void mutex_uncontended(long n) {
  start();
  lock_and_add(n);
  stop();
}

static void locker(void *unused) {
  (void)unused;
  lock_and_add(each);
  gos_waitgroup_done(&wg);
}

static void mutex_100(long n) {
  each = n / 100;
  gos_waitgroup_add(&wg, 100);
  start();
  for (int i = 0; i < 100; i++) go(locker, NULL);
  gos_waitgroup_wait(&wg);
  stop();
  expect(guarded, each * 100);
}

static void yielding_locker(void *unused) {
  (void)unused;
  for (int64_t i = 0; i < each; i++) {
    gos_mutex_lock(&mu);
    guarded++;
    gos_gosched();
    gos_mutex_unlock(&mu);
  }
  gos_waitgroup_done(&wg);
}

static void mutex_yield(long n) { /* 100 goroutines; the holder lets others run */
  each = n / 100;
  gos_waitgroup_add(&wg, 100);
  start();
  for (int i = 0; i < 100; i++) go(yielding_locker, NULL);
  gos_waitgroup_wait(&wg);
  stop();
  expect(guarded, each * 100);
}

static gos_rwmutex rw;

static void reads_and_writes(void *unused) {
  (void)unused;
  int64_t seen = 0;
  for (int64_t i = 0; i < each; i++) {
    if (i % 10 == 9) {
      gos_rwmutex_lock(&rw);
      guarded++;
      gos_rwmutex_unlock(&rw);
    } else {
      gos_rwmutex_rlock(&rw);
      seen += guarded;
      gos_rwmutex_runlock(&rw);
    }
  }
  if (seen < 0) must(GOS_INVAL);
  gos_waitgroup_done(&wg);
}

static void rwmutex_90_10(long n) { /* 100 goroutines, nine reads for every write */
  each = n / 100;
  gos_waitgroup_add(&wg, 100);
  start();
  for (int i = 0; i < 100; i++) go(reads_and_writes, NULL);
  gos_waitgroup_wait(&wg);
  stop();
  expect(guarded, each / 10 * 100);
}

static void *new_buffer(void *unused) {
  (void)unused;
  return must_have(malloc(1024));
}

static gos_pool *pool;

static void borrower(void *unused) {
  (void)unused;
  for (int64_t i = 0; i < each; i++) {
    char *buffer = gos_pool_get(pool);
    buffer[0]++;
    gos_pool_put(pool, buffer);
  }
  gos_waitgroup_done(&wg);
}

static void pool_100(long n) { /* an operation is a get and a put */
  each = n / 100;
  pool = must_have(gos_pool_new(new_buffer, free, NULL));
  gos_waitgroup_add(&wg, 100);
  start();
  for (int i = 0; i < 100; i++) go(borrower, NULL);
  gos_waitgroup_wait(&wg);
  stop();
}

enum { MAP_KEYS = 1024 };
static gos_map *map;

static void map_user(void *unused) {
  (void)unused;
  int64_t sum = 0;
  for (int64_t i = 0; i < each; i++) {
    void *key = (void *)(intptr_t)(i * 7 % MAP_KEYS + 1), *v = NULL;
    if (i % 10 == 9) {
      must(gos_map_store(map, key, key));
    } else {
      must(gos_map_load(map, key, &v));
      sum += (intptr_t)v;
    }
  }
  if (sum < 0) must(GOS_INVAL);
  gos_waitgroup_done(&wg);
}

static void map_90_10(long n) { /* 100 goroutines, nine loads for every store, 1,024 keys */
  each = n / 100;
  map = must_have(gos_map_new(NULL));
  for (intptr_t i = 1; i <= MAP_KEYS; i++) must(gos_map_store(map, (void *)i, (void *)i));
  gos_waitgroup_add(&wg, 100);
  start();
  for (int i = 0; i < 100; i++) go(map_user, NULL);
  gos_waitgroup_wait(&wg);
  stop();
}

static void waitgroup(long n) {
  gos_waitgroup_add(&wg, 1);
  start();
  for (long i = 0; i < n; i++) {
    gos_waitgroup_add(&wg, 1);
    gos_waitgroup_done(&wg);
  }
  stop();
}

/* ---- context --------------------------------------------------------------------------- */
enum { TREE = 10000 };

static void context_tree(long n) { /* an operation is a context: made, ended through the root, seen to have ended */
  static gos_ctx *tree[TREE];
  start();
  for (long round = n / TREE; round > 0; round--) {
    gos_ctx *root = must_have(gos_with_cancel(NULL));
    for (long i = 0; i < TREE; i++) tree[i] = must_have(gos_with_cancel(i < 100 ? root : tree[i / 100 - 1]));
    gos_cancel(root, 0);
    for (long i = 0; i < TREE; i++) {
      expect(gos_ctx_err(tree[i]), GOS_CANCELED);
      gos_ctx_release(tree[i]);
    }
    gos_ctx_release(root);
  }
  stop();
}

/* ---- small programs ---------------------------------------------------------------------- */
struct link {
  gos_chan *from, *to;
  int64_t id;
};

enum { RING = 503 };

static void ring_member(void *arg) {
  struct link *l = arg;
  for (int64_t v; (v = recv(l->from)) > 0;) send(l->to, v - 1);
  send(out, l->id);
}

static void threadring(long n) {
  static struct link links[RING];
  out = make(0);
  for (int i = 0; i < RING; i++) links[i] = (struct link){make(0), NULL, i};
  for (int i = 0; i < RING; i++) {
    links[i].to = links[(i + 1) % RING].from;
    go(ring_member, &links[i]);
  }
  start();
  send(links[0].from, n);
  expect(recv(out), n % RING);
  stop();
}

static void numbers(void *c) {
  for (int64_t i = 2;; i++) send(c, i);
}

static void filter(void *arg) {
  struct link l = *(struct link *)arg;
  for (;;) {
    int64_t v = recv(l.from);
    if (v % l.id) send(l.to, v);
  }
}

static void sieve(long n) { /* an operation is a prime found */
  struct link *links = must_have(calloc(n, sizeof *links));
  gos_chan *c = make(0);
  start();
  go(numbers, c);
  for (long i = 0; i < n; i++) {
    links[i] = (struct link){c, make(0), recv(c)};
    go(filter, &links[i]);
    c = links[i].to;
  }
  stop();
}

struct sky {
  gos_chan *up;
  int64_t first, size;
};

static void skynet_node(void *arg) {
  struct sky me = *(struct sky *)arg, children[10];
  if (me.size == 1) {
    send(me.up, me.first);
    return;
  }
  gos_chan *c = make(0);
  int64_t sum = 0, part = me.size / 10;
  for (int i = 0; i < 10; i++) {
    children[i] = (struct sky){c, me.first + i * part, part};
    go(skynet_node, &children[i]);
  }
  for (int i = 0; i < 10; i++) sum += recv(c);
  gos_chan_release(c);
  send(me.up, sum);
}

static void skynet(long n) { /* an operation is a leaf */
  struct sky root = {make(0), 0, n};
  start();
  go(skynet_node, &root);
  expect(recv(root.up), (int64_t)n * (n - 1) / 2);
  stop();
}

static void worker(void *unused) {
  (void)unused;
  int64_t v;
  gos_chan_range(in, &v) send(out, v + 1);
}

static void fanout(long n) { /* one to 100 to one */
  int64_t sum = 0;
  in = make(0), out = make(0);
  each = n;
  for (int i = 0; i < 100; i++) go(worker, NULL);
  start();
  go(send_each, in);
  for (long i = 0; i < n; i++) sum += recv(out);
  stop();
  expect(sum, (int64_t)n * (n + 1) / 2);
}

static void stage(void *arg) {
  struct link *l = arg;
  int64_t v;
  gos_chan_range(l->from, &v) send(l->to, v + 1);
  gos_chan_close(l->to);
}

static void pipeline_100(long n) { /* an operation is a hop */
  static struct link links[100];
  int64_t v, sum = 0;
  each = n / 101;
  gos_chan *c = in = make(0);
  for (int i = 0; i < 100; i++) {
    links[i] = (struct link){c, make(0), 0};
    go(stage, &links[i]);
    c = links[i].to;
  }
  start();
  go(send_each_and_close, in);
  gos_chan_range(c, &v) sum += v;
  stop();
  expect(sum, each * (each - 1) / 2 + each * 100);
}

/* ---- time, memory, threads ------------------------------------------------------------------ */
static void timer_create_stop(long n) {
  start();
  for (long i = 0; i < n; i++) {
    gos_timer *t = must_have(gos_timer_new(INT64_C(3600000000000) + i));
    expect(gos_timer_stop(t), 1);
    gos_timer_free(t);
  }
  stop();
}

static void sleeper(void *d) {
  must(gos_sleep(*(const int64_t *)d));
  gos_waitgroup_done(&wg);
}

static int64_t cpu(void) { /* nanoseconds this process has used */
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void sleepers(long n) { /* n goroutines that each sleep 1 to 100 ms, ten rounds: CPU time each */
  static int64_t d[100];
  for (int i = 0; i < 100; i++) d[i] = (i + 1) * INT64_C(1000000);
  int64_t before = cpu();
  start();
  for (int round = 0; round < 10; round++) {
    gos_waitgroup_add(&wg, n);
    for (long i = 0; i < n; i++) go(sleeper, &d[i % 100]);
    gos_waitgroup_wait(&wg);
  }
  stop();
  value = (cpu() - before) / (10.0 * n);
}

/* Kilobytes in memory, page tables included. */
static int64_t memory(void) {
  FILE *f = must_have(fopen("/proc/self/status", "r"));
  char line[256];
  long kb, sum = 0;
  while (fgets(line, sizeof line, f))
    if (sscanf(line, "VmRSS: %ld", &kb) == 1 || sscanf(line, "VmPTE: %ld", &kb) == 1) sum += kb;
  fclose(f);
  return sum;
}

static void parked(void *unused) {
  (void)unused;
  gos_waitgroup_done(&wg2);
  recv(in);
  gos_waitgroup_done(&wg);
}

static void memory_parked(long n) {
  in = make(0);
  gos_waitgroup_add(&wg, n);
  gos_waitgroup_add(&wg2, n);
  int64_t before = memory();
  start();
  for (long i = 0; i < n; i++) go(parked, NULL);
  gos_waitgroup_wait(&wg2);
  stop();
  value = (memory() - before) * 1024.0 / n;
  for (long i = 0; i < n; i++) send(in, i);
  gos_waitgroup_wait(&wg);
}

static bool enough;

static void spinner(void *unused) {
  (void)unused;
  while (!__atomic_load_n(&enough, __ATOMIC_RELAXED))
    ;
}

static int by_size(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

/* How late a sleep of 1 ms ends, at the median, with as many goroutines spinning as may run. */
static void late_beside_spinners(long n) {
  int64_t *late = must_have(calloc(n, sizeof *late));
  for (int i = gos_gomaxprocs(0); i > 0; i--) go(spinner, NULL);
  start();
  for (long i = 0; i < n; i++) {
    int64_t due = now() + 1000000;
    gos_sleep(1000000);
    late[i] = now() - due;
  }
  stop();
  __atomic_store_n(&enough, true, __ATOMIC_RELAXED);
  qsort(late, n, sizeof *late, by_size);
  value = late[n / 2];
  free(late);
}

static void blocker(void *unused) {
  (void)unused;
  nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
  gos_waitgroup_done(&wg);
}

static void blocking_100(long n) { /* n blocking calls of 10 ms, begun together: until the last has ended */
  gos_waitgroup_add(&wg, n);
  start();
  for (long i = 0; i < n; i++) go(blocker, NULL);
  gos_waitgroup_wait(&wg);
  stop();
  value = spent;
}

/* ---- sockets --------------------------------------------------------------------------------- */
static void echo_one(void *arg) {
  char buf[512];
  int fd = (int)(intptr_t)arg;
  int64_t n;
  while ((n = gos_read(fd, buf, sizeof buf, GOS_FOREVER)) > 0)
    if (gos_write(fd, buf, (size_t)n, GOS_FOREVER) != n) break;
  gos_close(fd);
}

static void echo_all(void *arg) {
  for (int fd, l = (int)(intptr_t)arg; (fd = gos_accept(l, GOS_FOREVER)) >= 0;) go(echo_one, (void *)(intptr_t)fd);
}

/* What a request costs the server: the load comes from a process of its own (echo_client.c). */
static void echo(int connections, long n) {
  char self[4096], port[16], count[16], requests[32], c;
  int64_t from;
  struct rlimit most;
  getrlimit(RLIMIT_NOFILE, &most);
  most.rlim_cur = most.rlim_max;
  setrlimit(RLIMIT_NOFILE, &most);
  ssize_t len = readlink("/proc/self/exe", self, sizeof self - 16);
  expect(len > 0, 1);
  self[len] = 0;
  strcpy(strrchr(self, '/'), "/echo_client");
  int l = gos_listen("tcp", "127.0.0.1:0", 0);
  must(l);
  snprintf(port, sizeof port, "%d", gos_local_port(l));
  snprintf(count, sizeof count, "%d", connections);
  snprintf(requests, sizeof requests, "%ld", n);
  pid_t client = vfork();
  if (!client) {
    execl(self, self, port, count, requests, (char *)NULL);
    _exit(127);
  }
  int control = gos_accept(l, GOS_FOREVER);
  must(control);
  go(echo_all, (void *)(intptr_t)l);
  expect(gos_read(control, &c, 1, GOS_FOREVER), 1);
  start();
  from = cpu();
  expect(gos_write(control, &c, 1, GOS_FOREVER), 1);
  expect(gos_read(control, &c, 1, GOS_FOREVER), 1);
  value = (double)(cpu() - from) / (double)n;
  stop();
  expect(gos_write(control, &c, 1, GOS_FOREVER), 1);
}

static void echo_100(long n) { echo(100, n); }
static void echo_1000(long n) { echo(1000, n); }
static void echo_10k(long n) { echo(10000, n); }

/* ---- the table ---------------------------------------------------------------------------------- */
static const struct workload {
  const char *name;
  void (*run)(long n);
  long n;
  const char *unit;
} workloads[] = {
    {"yield", yield, 5000000, "ns"},
    {"spawn_join_1k", spawn_join_1k, 2000000, "ns"},
    {"spawn_join_100k", spawn_join_100k, 1000000, "ns"},
    {"spawn_chain", spawn_chain, 2000000, "ns"},
    {"pingpong", pingpong, 1000000, "ns"},
    {"stream", stream, 3000000, "ns"},
    {"spsc_1", spsc_1, 3000000, "ns"},
    {"spsc_64", spsc_64, 10000000, "ns"},
    {"spsc_1024", spsc_1024, 10000000, "ns"},
    {"mpmc_4x4", mpmc_4x4, 4000000, "ns"},
    {"mpmc_100x100", mpmc_100x100, 4000000, "ns"},
    {"close_broadcast", close_broadcast, 200000, "ns"},
    {"select2_ready", select2_ready, 5000000, "ns"},
    {"select4_ready", select4_ready, 5000000, "ns"},
    {"select2_block", select2_block, 2000000, "ns"},
    {"select4_block", select4_block, 2000000, "ns"},
    {"select_mixed", select_mixed, 1000000, "ns"},
    {"select_default", select_default, 50000000, "ns"},
    {"select_timeout", select_timeout, 1000000, "ns"},
    {"mutex_uncontended", mutex_uncontended, 50000000, "ns"},
    {"mutex_100", mutex_100, 5000000, "ns"},
    {"mutex_yield", mutex_yield, 1000000, "ns"},
    {"rwmutex_90_10", rwmutex_90_10, 10000000, "ns"},
    {"pool_100", pool_100, 10000000, "ns"},
    {"map_90_10", map_90_10, 10000000, "ns"},
    {"waitgroup", waitgroup, 50000000, "ns"},
    {"context_tree", context_tree, 1000000, "ns"},
    {"threadring", threadring, 1000000, "ns"},
    {"sieve", sieve, 2000, "ns"},
    {"skynet", skynet, 1000000, "ns"},
    {"fanout", fanout, 1000000, "ns"},
    {"pipeline_100", pipeline_100, 2020000, "ns"},
    {"timer_create_stop", timer_create_stop, 2000000, "ns"},
    {"sleepers_100k", sleepers, 100000, "ns of CPU"},
    {"memory_100k", memory_parked, 100000, "bytes"},
    {"memory_1m", memory_parked, 1000000, "bytes"},
    {"late_beside_spinners", late_beside_spinners, 100, "ns"},
    {"blocking_100", blocking_100, 100, "ns in all"},
    {"echo_100", echo_100, 300000, "ns of CPU"},
    {"echo_1000", echo_1000, 300000, "ns of CPU"},
    {"echo_10k", echo_10k, 300000, "ns of CPU"},
};
enum { WORKLOADS = sizeof workloads / sizeof *workloads };

static struct workload chosen;

static void body(void *unused) {
  (void)unused;
  chosen.run(chosen.n);
}

static int run_chosen(int argc, char **argv) {
  (void)argc, (void)argv;
  int err = GOS_OK;
  gos_g *g = gos_go_opts(NULL, body, NULL, &err);
  must(err);
  must(gos_join(g, GOS_FOREVER));
  printf("%s %.2f %ld %s\n", chosen.name, value < 0 ? (double)spent / chosen.n : value, chosen.n, chosen.unit);
  fflush(stdout);
  _exit(0); /* whatever is still parked or running */
}

/* All of them, each in a fresh process; gives the number that failed. */
static int run_all(int argc, char **argv) {
  int failed = 0;
  for (int i = 0; i < WORKLOADS; i++) {
    int status;
    chosen = workloads[i];
    pid_t pid = fork();
    if (!pid) gos_main(run_chosen, argc, argv);
    if (pid > 0 && waitpid(pid, &status, 0) == pid && !status) continue;
    fprintf(stderr, "bench: %s failed\n", chosen.name);
    failed++;
  }
  return failed;
}

int main(int argc, char **argv) {
  if (argc < 2) return run_all(argc, argv) != 0;
  if (!strcmp(argv[1], "--list")) {
    for (int i = 0; i < WORKLOADS; i++) puts(workloads[i].name);
    return 0;
  }
  for (int i = 0; i < WORKLOADS; i++) {
    if (strcmp(argv[1], workloads[i].name)) continue;
    chosen = workloads[i];
    if (argc > 2) chosen.n = strtol(argv[2], NULL, 10);
    if (chosen.n < 1) break;
    return gos_main(run_chosen, argc, argv);
  }
  fprintf(stderr, "usage: bench [--list | NAME [N]]\n");
  return 2;
}
