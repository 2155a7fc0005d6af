/* Where goroutines cannot be frozen a program is told so; where they can, they are.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include "test.h"

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define SANITIZED 1
#else
#define SANITIZED TEST_TSAN
#endif

TEST_RAW(asked_for) {
  int e = gos_init(&(gos_config){.size = sizeof(gos_config), .flags = GOS_FREEZE});
  CHECK(e == GOS_SYS(ENOTSUP) || (e == GOS_OK && !SANITIZED));
  CHECK_EQ(gos_init(NULL), e ? GOS_OK : GOS_PERM); /* without it all is well */
  CHECK_EQ(gos_freeze(0), e);
  CHECK_EQ(gos_freezable(0), 1);
}

static void waits(void *arg) { CHECK_EQ(gos_chan_recv(NULL, arg), GOS_CANCELED); }
TEST_RAW(by_the_environment) {
  setenv("GOSSAMER_FREEZE", "age=0", 1);
  CHECK_EQ(gos_init(NULL), GOS_OK);
  gos_g *g = spawn(waits, NULL);
  until_parked(g, "chan receive (nil chan)");
  CHECK_EQ(gos_interrupt(g), GOS_OK);
  finish(g);
}

TEST_RAW(nonsense_in_the_environment) {
  static const char *const all[] = {"2", "age", "age=", "age=x", "age=-1", "age=1x"};
  int fd[2];
  char text[200] = "";
  CHECK_EQ(pipe(fd), 0);
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    pid_t pid = fork();
    if (pid == 0) {
      CHECK_EQ(dup2(fd[1], 2), 2);
      setenv("GOSSAMER_FREEZE", all[i], 1);
      _exit(gos_init(NULL));
    }
    int st = -1;
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    CHECK_EQ(st, 0);
    memset(text, 0, sizeof text);
    CHECK(read(fd[0], text, sizeof text - 1) > 0);
    CHECK_HAS(text, "GOSSAMER_FREEZE is 1 or age=MILLISECONDS, not ");
  }
}
