// ctest: timeout=120
// ctest: not-in=address,thread
/* No memory for a thread: what had been prepared for it was freed while the monitor still looked at it.
 * (The sanitizers map more than the limit allows.)
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <sys/resource.h>

static gos_chan *gate;
static atomic_long woken;
static void waits(void *arg) { (void)arg, gos_chan_recv(gate, NULL), atomic_fetch_add(&woken, 1); }

static rlim_t address_space(void) {
  unsigned long pages = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  CHECK(f && fscanf(f, "%lu", &pages) == 1);
  fclose(f);
  return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void round_until_full(void) {
  long n = 0;
  CHECK_EQ(gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = 4}), GOS_OK);
  gate = gos_chan_make(0, 0);
  rlim_t most = address_space() + ((rlim_t)16 << 20);
  CHECK_EQ(setrlimit(RLIMIT_AS, &(struct rlimit){most, most}), 0);
  while (gos_go(waits, NULL) == GOS_OK)
    if (++n % 64 == 0) gos_gosched();
  gos_chan_close(gate);
  while (woken < n) gos_gosched();
}

TEST_RAW(again_and_again) {
  for (long i = scaled(40); i; i--) {
    pid_t pid = fork();
    if (!pid) {
      prctl(PR_SET_PDEATHSIG, SIGKILL), alarm(30);
      round_until_full();
      _exit(0);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    CHECK_EQ(status, 0);
  }
}
