// The workloads of bench.c that Boost.Fiber can do: one thread, unbuffered and buffered channels, its mutex.
// A fiber's stack is 64 KiB as by its default allocator; names, numbers and the line printed are bench.c's.
// SPDX-License-Identifier: Apache-2.0
#include <boost/fiber/all.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace f = boost::fibers;
using fiber = f::fiber;
using channel = f::unbuffered_channel<std::int64_t>;
using buffer = f::buffered_channel<std::int64_t>;

static std::chrono::steady_clock::time_point started;
static double spent;
static void start() { started = std::chrono::steady_clock::now(); }
static void stop() {
  spent = std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - started).count();
}
static void expect(std::int64_t got, std::int64_t wanted) {
  if (got == wanted) return;
  std::fprintf(stderr, "with_boost: got %lld instead of %lld\n", (long long)got, (long long)wanted);
  std::exit(1);
}

static void yield(long n) {
  auto some = [n] {
    for (long i = 0; i < n / 2; i++) boost::this_fiber::yield();
  };
  start();
  fiber a(some), b(some);
  a.join(), b.join();
  stop();
}

static void spawn_join_1k(long n) {
  start();
  for (; n > 0; n -= 1000) {
    std::vector<fiber> all;
    all.reserve(1000);
    for (int i = 0; i < 1000; i++) all.emplace_back([] {});
    for (auto &x : all) x.join();
  }
  stop();
}

static void pingpong(long n) {
  channel in, out;
  fiber ponger([&] {
    for (std::int64_t v; in.pop(v) == f::channel_op_status::success;) out.push(v);
  });
  start();
  for (std::int64_t i = 0; i < n; i++) {
    std::int64_t v;
    in.push(i);
    out.pop(v);
  }
  stop();
  in.close();
  ponger.join();
}

template <class Channel> static void through(Channel &c, long n) {
  std::int64_t sum = 0;
  start();
  fiber sender([&] {
    for (std::int64_t i = 0; i < n; i++) c.push(i);
    c.close();
  });
  for (std::int64_t v; c.pop(v) == f::channel_op_status::success;) sum += v;
  stop();
  sender.join();
  expect(sum, (std::int64_t)n * (n - 1) / 2);
}
static void stream(long n) {
  channel c;
  through(c, n);
}
static void spsc(std::size_t cap, long n) {
  buffer c(cap); // holds one less
  through(c, n);
}
static void spsc_64(long n) { spsc(128, n); }
static void spsc_1024(long n) { spsc(2048, n); }

static void mutex_uncontended(long n) {
  f::mutex mu;
  std::int64_t guarded = 0;
  start();
  for (long i = 0; i < n; i++) {
    mu.lock();
    guarded++;
    mu.unlock();
  }
  stop();
  expect(guarded, n);
}

static const struct {
  const char *name;
  void (*fn)(long n);
  long n;
} workloads[] = {
    {"yield", yield, 4000000},      {"spawn_join_1k", spawn_join_1k, 500000}, {"pingpong", pingpong, 1000000},
    {"stream", stream, 2000000},    {"spsc_64", spsc_64, 4000000},            {"spsc_1024", spsc_1024, 4000000},
    {"mutex_uncontended", mutex_uncontended, 20000000},
};

int main(int argc, char **argv) {
  for (auto &w : workloads) {
    if (argc > 1 && !std::strcmp(argv[1], "--list")) {
      std::printf("%s\n", w.name);
    } else if (argc > 1 && !std::strcmp(argv[1], w.name)) {
      long n = argc > 2 ? std::atol(argv[2]) : w.n;
      fiber(w.fn, n).join(); // as in bench.c, the body runs inside a fiber
      std::printf("%s %.2f %ld ns\n", w.name, spent / double(n), n);
      return 0;
    }
  }
  return argc > 1 && !std::strcmp(argv[1], "--list") ? 0 : 2;
}
