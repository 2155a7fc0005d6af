// ctest: not-in=arm64
// ctest: timeout=60
// ctest: env=GOMAXPROCS=4
// exit: 2
// stderr: ^fatal error: all goroutines are asleep - deadlock!
// stderr: ^goroutine 1 \[sync\.WaitGroup\.Wait\]:
/* (qemu-user does not tell how many threads there are, so nothing is reported there.)
 * A program that worked on several threads, slept and blocked in system calls, and then forgot a done().
 * SPDX-License-Identifier: Apache-2.0 */
#include <gossamer.h>
#include <unistd.h>

static gos_waitgroup wg;
static void works(void *arg) {
  for (int i = 0; i < 1000; i++) gos_gosched();
  gos_sleep(1000000);
  usleep(2000);
  if (arg) gos_waitgroup_done(&wg);
}

int main(void) {
  gos_waitgroup_add(&wg, 20);
  for (long i = 0; i < 20; i++) gos_go(works, (void *)i); /* the one with 0 forgets */
  gos_waitgroup_wait(&wg);
  return 0;
}
