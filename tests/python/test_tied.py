"""Code that keeps something with the thread, and calls Python, which waits."""
# SPDX-License-Identifier: Apache-2.0

import ctypes
import shutil
import subprocess
import sys
import threading
import time

import gossamer
import pytest
from gossamer import Chan, errgroup, go, runtime, sleep

pytestmark = [
    pytest.mark.skipif(gossamer.backend == "cffi", reason="a goroutine is a thread there"),
    pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler"),
]

SOURCE = """
static __thread int depth;
/* What an extension in Rust does: it counts how deep it is in calls, and where it is. */
int call(int (*f)(void)) {
  int *volatile here = &depth, mine = ++*here;
  f();
  int *volatile now = &depth, ok = here == now && *now == mine;
  --*here;
  return ok;
}
"""


@pytest.fixture(scope="module")
def call(tmp_path_factory):
    source = tmp_path_factory.mktemp("tied") / "tied.c"
    source.write_text(SOURCE)
    library = source.with_suffix(".so")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    kind = ctypes.CFUNCTYPE(ctypes.c_int)
    entry = ctypes.CDLL(str(library)).call
    entry.argtypes = [kind]
    return lambda f: entry(kind(lambda: (f(), 0)[1]))


def test_waits_in_a_callback_end_on_the_same_thread(call):
    def inside():
        time.sleep(0.0003)
        sleep(0.0003)
        time.sleep(0.0002)
        runtime.gosched()

    def work(n):
        return all(call(inside) for _ in range(10))

    assert errgroup.map(work, range(20)) == [True] * 20


def test_calls_within_calls(call):
    def work(n):
        def inside():
            sleep(0.0003)
            assert n == 0 or work(n - 1)
            time.sleep(0.0002)
            sleep(0.0003)

        return call(inside) == 1

    assert errgroup.map(work, [5] * 10) == [True] * 10


def test_main_too(call):
    ch = Chan()

    def blocks():
        for n in range(20):
            time.sleep(0.0003)
            ch.send(n)

    g = go(blocks)
    assert [call(ch.recv) for _ in range(10)] == [
        call(lambda: (time.sleep(0.0001), ch.recv())) for _ in range(10)
    ]
    g.join()


def test_the_others_go_on(call):
    """Each of those that wait in a callback holds a thread; nobody else is held up."""
    gate, entered = Chan(), Chan(10)
    gs = [go(call, lambda: (entered.send(None), gate.recv_ok())) for _ in range(10)]
    for _ in gs:
        entered.recv()
    assert errgroup.map(lambda n: (time.sleep(0.0003), n)[1], range(10)) == list(range(10))
    gate.close()
    assert [g.join() for g in gs] == [1] * 10


def test_a_lock_of_its_own_stays(call):
    def work():
        with runtime.lock_os_thread():
            before = threading.get_native_id()
            ok = call(lambda: sleep(0.0003))
            time.sleep(0.0003)
            sleep(0.0003)
            return ok == 1 and threading.get_native_id() == before

    assert all(g.join() for g in [go(work) for _ in range(10)])


STACK = """
#include <unistd.h>
/* How many of these frames are as they were when others have run. */
int use(int times, int n) {
  volatile char a[FRAME];
  a[0] = a[FRAME - 1] = (char)n;
  if (!times) usleep(2000);
  int below = times ? use(times - 1, n) : 0;
  return below + (a[0] == n && a[FRAME - 1] == n);
}
"""


def stack_user(folder, frame):
    source = folder / "stack.c"
    source.write_text(STACK)
    library = source.with_suffix(".so")
    subprocess.run(["cc", f"-DFRAME={frame}", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    return str(library)


def test_a_goroutine_has_as_much_stack_as_a_thread(tmp_path):
    use = ctypes.CDLL(stack_user(tmp_path, 540000)).use
    assert [g.join() for g in [go(use, 12, n) for n in range(10)]] == [13] * 10


@pytest.mark.parametrize("first", ["go(print).join()", "go(time.sleep, 0.01); sleep(0.005)"])
def test_an_overflow_is_reported(tmp_path, first):
    """On whatever thread: the first goroutine runs on the program's own, which had no stack for signals."""
    source = f"""if True:
        import ctypes, time
        from gossamer import go, sleep
        {first}
        go.using(name="deep")(ctypes.CDLL({stack_user(tmp_path, 1000)!r}).use, 1 << 20, 0).join()
    """
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert done.returncode == -11 and "stack overflow in goroutine" in done.stderr, done
    assert "(deep)" in done.stderr, done
