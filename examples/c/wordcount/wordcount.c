/* wordcount: the most frequent words of all files below a directory.
 *
 *   walk --paths--> read (a pool) --chunks--> count (a pool) --tables--> merge
 *     \               \
 *      +---------------+------reports-----> watch (the main goroutine)
 *
 * What travels through a channel belongs to its receiver: a path, a chunk, a
 * table. Nothing is shared, so nothing is locked. Every stage ends when the
 * channel it reads from is closed and drained, and closes the one it writes to.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define _GNU_SOURCE
#include <gossamer.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 64 * 1024, MAX_TOP = 1000000000, MAX_WORKERS = 1000, BAR = 30 };
enum { ALL_FINE = 0, SOME_UNREADABLE = 1, BAD_USAGE = 2 };
static const gos_ns TICK = 100 * 1000000; /* between two pictures of the bar */

struct options {
  long top, workers;
  const char *tree;
};

struct chunk { /* whole words only; data is malloc'ed */
  unsigned char *data;
  size_t len;
};

struct report { /* what happened since the last one; path is malloc'ed or NULL */
  uint64_t found, files, bytes;
  char *path; /* could not be read ... */
  int reason; /* ... for this errno */
};

struct totals {
  uint64_t found, files, bytes, unreadable;
};

struct channels {
  gos_chan *paths, *chunks, *tables, *reports;
};

#define NOINLINE __attribute__((noinline))

/* ---- small things -------------------------------------------------------- */
_Noreturn static void die(const char *what, const char *why) {
  fprintf(stderr, "wordcount: %s: %s\n", what, why);
  exit(BAD_USAGE);
}

static void must(int code, const char *what) {
  if (code < 0) die(what, gos_strerror(code));
}

static void *must_have(void *p) {
  if (!p) die("memory", strerror(ENOMEM));
  return p;
}

/* The lower-case letter for a letter of either case, 0 for every other byte. */
static unsigned char letter(unsigned char c) {
  unsigned char low = c | 0x20;
  return low >= 'a' && low <= 'z' ? low : 0;
}

/* ---- the table of words: open addressing, at most half full ---------------- */
struct word {
  char *text; /* NULL: a free slot */
  size_t len;
  uint64_t hash, count;
};

struct table {
  struct word *slots;
  size_t size, used; /* size: a power of two */
};

static struct table *table_new(void) {
  struct table *t = must_have(malloc(sizeof *t));
  *t = (struct table){.size = 1024};
  t->slots = must_have(calloc(t->size, sizeof *t->slots));
  return t;
}

static void table_free(struct table *t) {
  for (size_t i = 0; i < t->size; i++) free(t->slots[i].text);
  free(t->slots);
  free(t);
}

/* The word's slot, or the free one where it belongs. */
static struct word *table_find(const struct table *t, uint64_t hash, const char *text, size_t len) {
  for (size_t i = hash;; i++) {
    struct word *w = &t->slots[i & (t->size - 1)];
    if (!w->text || (w->hash == hash && w->len == len && !memcmp(w->text, text, len))) return w;
  }
}

static void table_grow(struct table *t) {
  struct table old = *t;
  t->size *= 2;
  t->slots = must_have(calloc(t->size, sizeof *t->slots));
  for (size_t i = 0; i < old.size; i++) {
    struct word *w = &old.slots[i];
    if (w->text) *table_find(t, w->hash, w->text, w->len) = *w;
  }
  free(old.slots);
}

static void table_add(struct table *t, uint64_t hash, const char *text, size_t len, uint64_t count) {
  struct word *w = table_find(t, hash, text, len);
  if (!w->text) {
    if (2 * ++t->used > t->size) {
      table_grow(t);
      w = table_find(t, hash, text, len);
    }
    *w = (struct word){must_have(strndup(text, len)), len, hash, 0};
  }
  w->count += count;
}

static void table_add_chunk(struct table *t, struct chunk c) {
  for (size_t i = 0; i < c.len;) {
    uint64_t hash = 14695981039346656037u; /* FNV-1a, with the high bits folded in below */
    size_t begin = i;
    for (unsigned char low; i < c.len && (low = letter(c.data[i])); i++) {
      c.data[i] = low;
      hash = (hash ^ low) * 1099511628211u;
    }
    if (i > begin)
      table_add(t, hash ^ hash >> 32, (char *)c.data + begin, i - begin, 1);
    else
      i++;
  }
}

static int most_frequent_first(const void *a, const void *b) {
  const struct word *x = a, *y = b;
  if (x->count != y->count) return x->count < y->count ? 1 : -1;
  return strcmp(x->text, y->text);
}

/* Moves the words to the front of slots, sorted. The table can only be freed afterwards. */
static void table_sort(struct table *t) {
  size_t n = 0;
  for (size_t i = 0; i < t->size; i++) {
    if (!t->slots[i].text) continue;
    struct word w = t->slots[i];
    t->slots[i].text = NULL;
    t->slots[n++] = w;
  }
  qsort(t->slots, n, sizeof *t->slots, most_frequent_first);
}

/* ---- system calls ----------------------------------------------------------
 * errno is the thread's, and a goroutine may change threads in any call of gossamer. A compiler
 * may remember where errno was. So errno is only looked at in functions that call nothing of
 * gossamer, and are not inlined into those that do. */

/* The directory, or NULL and why not. */
NOINLINE static DIR *open_directory(const char *path, int *reason) {
  DIR *d = opendir(path);
  *reason = d ? 0 : errno;
  return d;
}

/* The next entry; NULL at the end (reason 0), or when it cannot be read. */
NOINLINE static struct dirent *next_entry(DIR *d, int *reason) {
  errno = 0;
  struct dirent *e = readdir(d);
  *reason = e ? 0 : errno;
  return e;
}

/* A file descriptor, or -errno. */
NOINLINE static int open_file(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  return fd < 0 ? -errno : fd;
}

/* The number of bytes, 0 at the end, or -errno. */
NOINLINE static ssize_t read_block(int fd, void *to) {
  ssize_t got;
  while ((got = read(fd, to, BLOCK)) < 0 && errno == EINTR)
    ;
  return got < 0 ? -errno : got;
}

/* ---- the goroutines -------------------------------------------------------- */
static void report_unreadable(struct channels *ch, const char *path, int reason) {
  struct report r = {.path = must_have(strdup(path)), .reason = reason};
  must(gos_chan_send(ch->reports, &r), "send");
}

static unsigned char type_of(const struct dirent *e, const char *path) {
  struct stat st;
  if (e->d_type != DT_UNKNOWN) return e->d_type;
  return lstat(path, &st) ? DT_UNKNOWN : IFTODT(st.st_mode);
}

/* Directories still to be walked. */
struct pending {
  char **dirs;
  size_t n, size;
};

static void push(struct pending *p, char *dir) {
  if (p->n == p->size) {
    p->size = p->size ? 2 * p->size : 64;
    p->dirs = must_have(realloc(p->dirs, p->size * sizeof *p->dirs));
  }
  p->dirs[p->n++] = dir;
}

/* Sends the files of one directory, and keeps its directories for later. */
static void walk_directory(const char *path, struct pending *later, struct channels *ch) {
  int reason;
  DIR *d = open_directory(path, &reason);
  if (!d) {
    report_unreadable(ch, path, reason);
    return;
  }
  for (struct dirent *e; (e = next_entry(d, &reason));) {
    if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
    char *name;
    bool slash = path[strlen(path) - 1] == '/';
    if (asprintf(&name, "%s%s%s", path, slash ? "" : "/", e->d_name) < 0) must_have(NULL);
    unsigned char type = type_of(e, name);
    if (type == DT_DIR) {
      push(later, name);
    } else if (type == DT_REG) {
      struct report r = {.found = 1};
      must(gos_chan_send(ch->reports, &r), "send");
      must(gos_chan_send(ch->paths, &name), "send");
    } else {
      free(name);
    }
  }
  if (reason) report_unreadable(ch, path, reason);
  closedir(d);
}

struct walk_args {
  struct channels *ch;
  const char *tree;
};

/* Sends every regular file below the tree. Symbolic links are not followed. */
static void walk(void *arg) {
  struct walk_args *a = arg;
  struct pending later = {0};
  push(&later, must_have(strdup(a->tree)));
  while (later.n) {
    char *path = later.dirs[--later.n];
    walk_directory(path, &later, a->ch);
    free(path);
  }
  free(later.dirs);
  gos_chan_close(a->ch->paths);
}

/* Sends a file's content in chunks that end where a word ends: the word a block breaks off in
 * goes to the front of the next one. Gives 0 or an errno. */
static int read_file(const char *path, struct channels *ch, uint64_t *bytes) {
  int fd = open_file(path);
  if (fd < 0) return -fd;
  struct chunk head = {0}; /* the word broken off, if any */
  ssize_t got;
  for (;;) {
    unsigned char *data = must_have(realloc(head.data, head.len + BLOCK));
    got = read_block(fd, data + head.len);
    struct chunk block = {data, head.len + (got > 0 ? got : 0)};
    size_t cut = block.len;
    if (got > 0) {
      *bytes += got;
      while (cut > head.len && letter(data[cut - 1])) cut--;
      if (cut == head.len) { /* nothing but letters: the word goes on */
        head = block;
        continue;
      }
    }
    head = (struct chunk){NULL, block.len - cut};
    if (head.len) {
      head.data = must_have(malloc(head.len));
      memcpy(head.data, data + cut, head.len);
    }
    block.len = cut;
    if (cut)
      must(gos_chan_send(ch->chunks, &block), "send");
    else
      free(data);
    if (got <= 0) break;
  }
  close(fd);
  return (int)-got;
}

static void read_files(void *arg) {
  struct channels *ch = arg;
  char *path;
  gos_chan_range(ch->paths, &path) {
    struct report r = {0};
    int reason = read_file(path, ch, &r.bytes);
    if (reason) {
      report_unreadable(ch, path, reason);
    } else {
      r.files = 1;
      must(gos_chan_send(ch->reports, &r), "send");
    }
    free(path);
  }
}

/* Counts into a table of its own, and sends it once there are no more chunks. */
static void count(void *arg) {
  struct channels *ch = arg;
  struct table *words = table_new();
  struct chunk c;
  gos_chan_range(ch->chunks, &c) {
    table_add_chunk(words, c);
    free(c.data);
  }
  must(gos_chan_send(ch->tables, &words), "send");
}

struct merge_args {
  struct channels *ch;
  struct table *words;
};

static void merge(void *arg) {
  struct merge_args *a = arg;
  struct table *part;
  a->words = table_new();
  gos_chan_range(a->ch->tables, &part) {
    for (size_t i = 0; i < part->size; i++) {
      const struct word *w = &part->slots[i];
      if (w->text) table_add(a->words, w->hash, w->text, w->len, w->count);
    }
    table_free(part);
  }
  table_sort(a->words);
}

struct close_args {
  gos_waitgroup *wg;
  gos_chan *chans[2]; /* NULL: none */
};

/* Nobody sends any more once the whole pool has ended. */
static void close_after(void *arg) {
  struct close_args *a = arg;
  must(gos_waitgroup_wait(a->wg), "wait");
  for (int i = 0; i < 2; i++)
    if (a->chans[i]) gos_chan_close(a->chans[i]);
}

/* ---- what the user sees ------------------------------------------------------ */
static void draw(const struct totals *t) {
  char bar[BAR + 1];
  uint64_t seen = t->files + t->unreadable;
  int full = t->found && seen < t->found ? (int)(seen * BAR / t->found) : t->found ? BAR : 0;
  memset(bar, '-', BAR);
  memset(bar, '#', full);
  bar[BAR] = 0;
  fprintf(stderr, "\r\x1b[K[%s] %" PRIu64 "/%" PRIu64 " files, %.1f MB", bar, t->files, t->found, t->bytes / 1e6);
  fflush(stderr);
}

/* Adds up the reports until there are no more. A terminal also gets a bar, redrawn at every
 * tick; otherwise the ticker's case is a nil channel, which never fires. */
static struct totals watch(gos_chan *reports) {
  struct totals t = {0};
  struct report r;
  gos_ns now;
  gos_timer *ticker = isatty(STDERR_FILENO) ? must_have(gos_ticker_new(TICK)) : NULL;
  gos_case cases[] = {GOS_RECV(reports, &r), GOS_RECV(ticker ? gos_timer_c(ticker) : NULL, &now)};
  for (;;) {
    int i = gos_select(cases, 2, GOS_FOREVER);
    must(i, "select");
    if (i == 1) {
      draw(&t);
      continue;
    }
    if (!cases[0].ok) break;
    t.found += r.found;
    t.files += r.files;
    t.bytes += r.bytes;
    if (!r.path) continue;
    t.unreadable++;
    fprintf(stderr, "%s%s: %s\n", ticker ? "\r\x1b[K" : "", r.path, strerror(r.reason));
    free(r.path);
  }
  if (ticker) {
    draw(&t);
    fputc('\n', stderr);
    gos_timer_free(ticker);
  }
  return t;
}

NOINLINE static void print(const struct table *words, long top, const struct totals *t) {
  for (size_t i = 0; i < words->used && i < (size_t)top; i++)
    printf("%7" PRIu64 " %s\n", words->slots[i].count, words->slots[i].text);
  printf("\nfiles: %" PRIu64 "\nbytes: %" PRIu64 "\nunreadable: %" PRIu64 "\n", t->files, t->bytes, t->unreadable);
  if (fflush(stdout) || ferror(stdout)) die("standard output", strerror(errno));
}

static const char USAGE[] = "usage: wordcount [--top N] [--workers N] TREE\n"
                            "\n"
                            "Prints the most frequent words of all regular files below TREE.\n"
                            "A word is a run of ASCII letters; case does not count.\n"
                            "\n"
                            "  --top N      how many words to print (default: 10)\n"
                            "  --workers N  how many files to read at a time (default: 4 for each CPU)\n"
                            "  --help       print this and exit\n"
                            "\n"
                            "Exit status: 0 all fine, 1 something could not be read, 2 wrong usage.\n";

static long whole_number(const char *option, const char *text, long max) {
  char *end, why[160];
  errno = 0;
  long n = strtol(text, &end, 10);
  if (*text >= '0' && *text <= '9' && !*end && !errno && n >= 1 && n <= max) return n;
  snprintf(why, sizeof why, "must be a whole number from 1 to %ld, not '%.60s'", max, text);
  die(option, why);
}

NOINLINE static struct options parse(int argc, char **argv) {
  static const struct option known[] = {
      {"top", required_argument, 0, 't'}, {"workers", required_argument, 0, 'w'}, {"help", no_argument, 0, 'h'}, {0}};
  struct options o = {.top = 10};
  for (int c; (c = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
    switch (c) {
    case 't': o.top = whole_number("--top", optarg, MAX_TOP); break;
    case 'w': o.workers = whole_number("--workers", optarg, MAX_WORKERS); break;
    case 'h': fputs(USAGE, stdout); exit(ALL_FINE);
    default: fputs("try 'wordcount --help'\n", stderr); exit(BAD_USAGE);
    }
  }
  if (argc - optind != 1) {
    fputs("wordcount: one directory is needed\ntry 'wordcount --help'\n", stderr);
    exit(BAD_USAGE);
  }
  o.tree = argv[optind];
  DIR *d = opendir(o.tree);
  if (!d) die(o.tree, strerror(errno));
  closedir(d);
  return o;
}

static int wordcount(int argc, char **argv) {
  struct options o = parse(argc, argv);
  int cpus = gos_num_cpu();
  if (!o.workers) o.workers = 4 * cpus;

  struct channels ch = {
      .paths = must_have(gos_chan_make(sizeof(char *), 256)),
      .chunks = must_have(gos_chan_make(sizeof(struct chunk), o.workers)),
      .tables = must_have(gos_chan_make(sizeof(struct table *), 0)),
      .reports = must_have(gos_chan_make(sizeof(struct report), 256)),
  };
  gos_waitgroup readers = {0}, counters = {0}, closers = {0};
  struct walk_args walked = {&ch, o.tree};
  struct close_args read_all = {&readers, {ch.chunks, ch.reports}};
  struct close_args counted_all = {&counters, {ch.tables}};
  struct merge_args merged = {&ch, NULL};
  int err = GOS_OK;

  must(gos_waitgroup_go(&closers, walk, &walked), "go");
  for (long i = 0; i < o.workers; i++) must(gos_waitgroup_go(&readers, read_files, &ch), "go");
  for (int i = 0; i < cpus; i++) must(gos_waitgroup_go(&counters, count, &ch), "go");
  must(gos_waitgroup_go(&closers, close_after, &read_all), "go");
  must(gos_waitgroup_go(&closers, close_after, &counted_all), "go");
  gos_g *merger = gos_go_opts(NULL, merge, &merged, &err);
  must(err, "go");

  struct totals t = watch(ch.reports);
  must(gos_join(merger, GOS_FOREVER), "join");
  print(merged.words, o.top, &t);

  table_free(merged.words);
  gos_release(merger);
  must(gos_waitgroup_wait(&closers), "wait"); /* a channel outlives the call that closes it */
  gos_chan_release(ch.paths);
  gos_chan_release(ch.chunks);
  gos_chan_release(ch.tables);
  gos_chan_release(ch.reports);
  return t.unreadable ? SOME_UNREADABLE : ALL_FINE;
}

int main(int argc, char **argv) { return gos_main(wordcount, argc, argv); }
