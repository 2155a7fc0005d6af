/* GOSSAMER_SEED: the same choices in each process, other ones with another seed.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

enum { CHOICES = 200 };

/* In a process of its own, as a runtime starts once. */
static void choices(const char *seed, char *out) {
  int fds[2], status;
  CHECK_EQ(pipe(fds), 0);
  pid_t pid = fork();
  if (pid == 0) {
    setenv("GOSSAMER_SEED", seed, 1);
    CHECK_EQ(gos_init(NULL), GOS_OK);
    gos_chan *a = gos_chan_make(1, CHOICES), *b = gos_chan_make(1, CHOICES);
    char v = 0, took[CHOICES];
    for (int i = 0; i < CHOICES; i++) CHECK(gos_chan_send(a, &v) == GOS_OK && gos_chan_send(b, &v) == GOS_OK);
    for (int i = 0; i < CHOICES; i++) {
      gos_case cases[] = {GOS_RECV(a, &v), GOS_RECV(b, &v)};
      took[i] = (char)('a' + gos_select(cases, 2, GOS_FOREVER));
    }
    CHECK_EQ(write(fds[1], took, CHOICES), CHOICES);
    _exit(0);
  }
  CHECK_EQ(waitpid(pid, &status, 0), pid);
  CHECK_EQ(status, 0);
  CHECK_EQ(read(fds[0], out, CHOICES), CHOICES);
}

TEST_RAW(same_choices) {
  char first[CHOICES], again[CHOICES], other[CHOICES], zero[CHOICES];
  choices("7", first);
  choices("7", again);
  choices("8", other);
  choices("0", zero);
  CHECK(memcmp(first, again, CHOICES) == 0);
  CHECK(memcmp(first, other, CHOICES) != 0);
  choices("0", again);
  CHECK(memcmp(zero, again, CHOICES) == 0);
  CHECK(memchr(first, 'a', CHOICES) && memchr(first, 'b', CHOICES));
}
