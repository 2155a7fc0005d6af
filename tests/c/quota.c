// ctest: not-in=address,thread,undefined
/* How many CPUs there are: the affinity mask, and the quota of the cgroups on the way to the root, in both versions of
 * the file system. open() and sched_getaffinity() are the test's own, which sanitizers would see differently.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static struct { const char *path, *text; } files[8];
static int cpus = 8;

static int file_with(const char *text) {
  int fd = (int)syscall(SYS_memfd_create, "text", 0);
  if (fd < 0 || write(fd, text, strlen(text)) < 0) return -1;
  lseek(fd, 0, SEEK_SET);
  return fd;
}
__attribute__((visibility("default"))) int open(const char *path, int flags, ...) {
  va_list ap;
  va_start(ap, flags);
  int mode = flags & O_CREAT ? va_arg(ap, int) : 0;
  va_end(ap);
  if (!strcmp(path, "/proc/self/cgroup") || !strncmp(path, "/sys/fs/cgroup", 14)) {
    for (int i = 0; i < 8; i++)
      if (files[i].path && !strcmp(files[i].path, path)) return file_with(files[i].text);
    return errno = ENOENT, -1;
  }
  return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}
__attribute__((visibility("default"))) int sched_getaffinity(pid_t pid, size_t n, cpu_set_t *set) {
  (void)pid;
  if (cpus < 0) return errno = EINVAL, -1;
  if (n * 8 < (size_t)cpus) return errno = EINVAL, -1; /* as the system says of a mask that is too short */
  memset(set, 0, n);
  for (int i = 0; i < cpus; i++) ((unsigned char *)set)[i / 8] |= (unsigned char)(1 << i % 8);
  return 0;
}

static int nfiles;
static void none(void) {
  memset(files, 0, sizeof files);
  nfiles = 0;
}
static void file(const char *path, const char *text) {
  files[nfiles].path = path;
  files[nfiles++].text = text;
}

TEST_RAW(the_mask) {
  none();
  for (cpus = 1; cpus <= 4; cpus++) CHECK_EQ(gos_num_cpu(), cpus);
  cpus = 3000; /* more than a mask of the usual size holds */
  CHECK_EQ(gos_num_cpu(), 3000);
  cpus = -1; /* not to be had: there is one at least */
  CHECK_EQ(gos_num_cpu(), 1);
}

TEST_RAW(a_quota_of_version_2) {
  static const struct {
    const char *max;
    int want;
  } cases[] = {{"max 100000\n", 8},   {"100000 100000\n", 1}, {"250000 100000\n", 3},
               {"50000 100000\n", 1}, {"900000 100000\n", 8}, {"", 8},
               {"rubbish\n", 8},      {"-5 100000\n", 8},     {"100000 0\n", 8}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    none();
    file("/proc/self/cgroup", "0::/a/b\n");
    file("/sys/fs/cgroup/a/b/cpu.max", cases[i].max);
    CHECK_EQ(gos_num_cpu(), cases[i].want);
  }
}

/* The least of those on the way to the root counts. */
TEST_RAW(quotas_on_the_way) {
  none();
  file("/proc/self/cgroup", "0::/a/b\n");
  file("/sys/fs/cgroup/a/b/cpu.max", "600000 100000\n");
  file("/sys/fs/cgroup/a/cpu.max", "200000 100000\n");
  CHECK_EQ(gos_num_cpu(), 2);
  file("/sys/fs/cgroup/cpu.max", "100000 100000\n");
  CHECK_EQ(gos_num_cpu(), 1);
  none();
  file("/proc/self/cgroup", "0::/\n");
  CHECK_EQ(gos_num_cpu(), 8);
  file("/sys/fs/cgroup/cpu.max", "500000 100000\n");
  CHECK_EQ(gos_num_cpu(), 5);
}

TEST_RAW(a_quota_of_version_1) {
  none();
  file("/proc/self/cgroup", "12:memory:/x\n4:cpu,cpuacct:/x\nno colon at all\n3:only one\n");
  CHECK_EQ(gos_num_cpu(), 8);
  file("/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "300000\n");
  CHECK_EQ(gos_num_cpu(), 8); /* without its period it says nothing */
  file("/sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n");
  CHECK_EQ(gos_num_cpu(), 3);
}
