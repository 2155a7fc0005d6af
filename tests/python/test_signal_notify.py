"""signal: notify, stop, ignore, reset, beside Python's own handlers. Each in a process of its own."""
# SPDX-License-Identifier: Apache-2.0

import pytest

PROLOGUE = """
import os, signal, sys, threading, time
from gossamer import *
from gossamer import signal as gsignal
def kill(sig): os.kill(os.getpid(), sig)
"""


@pytest.fixture
def run(program):
    return lambda source, **k: program(PROLOGUE + source, **k)


def test_notify(run):
    r = run(
        """
ch = Chan(10)
gsignal.notify(ch, signal.SIGUSR1, signal.SIGUSR2)
kill(signal.SIGUSR1)
s = ch.recv()
print(s is signal.SIGUSR1, s == 10)
kill(signal.SIGUSR2)
print(ch.recv().name)
gsignal.stop(ch)
print(signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL, len(ch), runtime.num_goroutine() <= 2)
kill(signal.SIGUSR1)
"""
    )
    assert r.out == "True True\nSIGUSR2\nTrue 0 True\n" and r.code == -10, r


def test_ctrl_c_raises_nothing_while_it_is_notified(run):
    r = run(
        """
ch = Chan(1)
gsignal.notify(ch, signal.SIGINT)
kill(signal.SIGINT)
print(ch.recv().name)
gsignal.stop(ch)
try:
    kill(signal.SIGINT)
    sleep(1000)
except KeyboardInterrupt: print("interrupt")
"""
    )
    assert r.out == "SIGINT\ninterrupt\n" and r.code == 0, r


def test_pythons_handlers_still_run_in_main(run):
    r = run(
        """
seen = Chan(10)
signal.signal(signal.SIGUSR1, lambda s, f: seen.send((s, runtime.goid(), threading.current_thread().name)))
ch = Chan(10)
def other():
    gsignal.notify(ch, signal.SIGUSR1)
    kill(signal.SIGUSR1)
    return ch.recv()
print(go(other).join().name, seen.recv())
gsignal.stop(ch)
kill(signal.SIGUSR1)
print(seen.recv(), len(ch))
"""
    )
    assert r.out == "SIGUSR1 (10, 1, 'MainThread')\n(10, 1, 'MainThread') 0\n" and r.code == 0, r


def test_a_handler_set_later_takes_it_until_the_next_notify(run):
    r = run(
        """
ch, seen = Chan(10), Chan(10)
gsignal.notify(ch, signal.SIGUSR1)
signal.signal(signal.SIGUSR1, lambda *a: seen.send("handler"))
kill(signal.SIGUSR1)
print(seen.recv(), len(ch))
gsignal.notify(ch, signal.SIGUSR1)
kill(signal.SIGUSR1)
print(seen.recv(), ch.recv().name)
gsignal.stop(ch)
kill(signal.SIGUSR1)
print(seen.recv(), len(ch))
"""
    )
    assert r.out == "handler 0\nhandler SIGUSR1\nhandler 0\n" and r.code == 0, r


def test_several_channels_and_views(run):
    r = run(
        """
a, b = Chan(10), Chan(10)
gsignal.notify(a.sender(), signal.SIGUSR1)
gsignal.notify(a, signal.SIGUSR2)
gsignal.notify(b, signal.SIGUSR1)
kill(signal.SIGUSR1)
print(a.recv().name, b.recv().name)
gsignal.stop(a)
kill(signal.SIGUSR1)
print(b.recv().name, len(a))
kill(signal.SIGUSR2)
"""
    )
    assert r.out == "SIGUSR1 SIGUSR1\nSIGUSR1 0\n" and r.code == -12, r


def test_full_channels_miss_and_closed_ones_are_let_go(run):
    r = run(
        """
full, un, closed, ch = Chan(1), Chan(), Chan(1), Chan(10)
for c in (full, un, closed, ch): gsignal.notify(c, signal.SIGUSR1)
closed.close()
for i in range(3):
    kill(signal.SIGUSR1)
    ch.recv()
print(len(full), len(un))
for c in (full, un, closed, ch): gsignal.stop(c)
gsignal.stop(ch)
"""
    )
    assert r.out == "1 0\n" and r.code == 0 and r.err == "", r


def test_all_signals(run):
    r = run(
        """
ch = Chan(100)
gsignal.notify(ch)
for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGRTMIN + 1):
    kill(s)
    print(ch.recv() == s)
gsignal.reset()
kill(signal.SIGTERM)
"""
    )
    assert r.out == "True\n" * 3 and r.code == -15, r


def test_ignore_and_reset(run):
    r = run(
        """
ch = Chan(10)
gsignal.notify(ch, signal.SIGUSR1, signal.SIGUSR2)
print(gsignal.ignored(signal.SIGUSR1))
gsignal.ignore(signal.SIGUSR1)
print(gsignal.ignored(signal.SIGUSR1))
kill(signal.SIGUSR1)
kill(signal.SIGUSR2)
print(ch.recv().name, len(ch))
gsignal.notify(ch, signal.SIGUSR1)
kill(signal.SIGUSR1)
print(ch.recv().name)
gsignal.reset(signal.SIGUSR1)
kill(signal.SIGUSR1)
"""
    )
    assert r.out == "False\nTrue\nSIGUSR2 0\nSIGUSR1\n" and r.code == -10, r


def test_bad_arguments(run):
    r = run(
        """
ch = Chan(1)
for bad in ((ch, signal.SIGKILL), (ch, signal.SIGSEGV), (ch, 0), (ch, 1000), (ch, -1), (nil_chan, signal.SIGUSR1)):
    try: gsignal.notify(*bad)
    except ValueError: print("ValueError", end=" ")
for bad in ((ch, "x"), (ch.receiver(), signal.SIGUSR1), (3,), ()):
    try: gsignal.notify(*bad)
    except (TypeError, ValueError) as e: print("TypeError", end=" ")
for f in (gsignal.ignore, gsignal.reset):
    try: f(signal.SIGKILL)
    except ValueError: print("ok", end=" ")
"""
    )
    assert r.out == "ValueError " * 6 + "TypeError " * 4 + "ok ok " and r.code == 0, r


def test_from_a_signal_handler(run):
    r = run(
        """
ch = Chan(10)
signal.signal(signal.SIGALRM, lambda *a: (gsignal.notify(ch, signal.SIGUSR1), gsignal.stop(ch)))
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
other = Chan(10)
for _ in range(300):
    gsignal.notify(other, signal.SIGUSR2)
    gsignal.stop(other)
signal.setitimer(signal.ITIMER_REAL, 0)
gsignal.notify(ch, signal.SIGUSR1)
kill(signal.SIGUSR1)
print(ch.recv().name)
"""
    )
    assert r.out == "SIGUSR1\n" and r.code == 0, r


def test_no_deadlock_while_signals_may_come(run):
    r = run(
        """
ch = Chan(1)
gsignal.notify(ch, signal.SIGUSR1)
threading.Thread(target=lambda: (time.sleep(0.1), kill(signal.SIGUSR1))).start()
print(ch.recv().name)
gsignal.stop(ch)
try: ch.recv()
except Deadlock: print("deadlock")
"""
    )
    assert r.out == "SIGUSR1\ndeadlock\n" and r.code == 0, r


def test_shutdown_and_again(run):
    r = run(
        """
ch = Chan(1)
gsignal.notify(ch, signal.SIGUSR1)
print(runtime.shutdown(10), runtime.num_goroutine())
gsignal.notify(ch, signal.SIGUSR1)
kill(signal.SIGUSR1)
print(ch.recv().name)
"""
    )
    assert r.out == "True 1\nSIGUSR1\n" and r.code == 0, r


def test_a_forked_child_has_its_signals_back(run):
    r = run(
        """
import warnings
warnings.simplefilter("ignore")
ch = Chan(10)
gsignal.notify(ch, signal.SIGTERM)
pid = os.fork()
if not pid:
    kill(signal.SIGTERM)
    os._exit(1)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
kill(signal.SIGTERM)
print(ch.recv().name)
"""
    )
    assert r.out == "-15\nSIGTERM\n" and r.code == 0, r


def test_asyncio_handlers_still_run(run):
    r = run(
        """
import asyncio
ch = Chan(10)
async def main():
    got = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, got.set)
    gsignal.notify(ch, signal.SIGUSR1)
    kill(signal.SIGUSR1)
    await got.wait()
    print(await ch.arecv())
asyncio.run(main())
"""
    )
    assert r.out.strip().endswith("SIGUSR1") or r.out.strip() == "10", r
    assert r.code == 0, r


def test_many_signals_arrive(run):
    r = run(
        """
ch = Chan(1)
gsignal.notify(ch, signal.SIGUSR1)
for i in range(200):
    kill(signal.SIGUSR1)
    ch.recv()
print("all")
""",
        timeout=60,
    )
    assert r.out == "all\n" and r.code == 0, r


def test_notify_context(run):
    r = run(
        """
ctx = gsignal.notify_context(signal.SIGTERM, signal.SIGINT)
kill(signal.SIGTERM)
recv_ok = ctx.done.recv_ok()
print(recv_ok, repr(ctx.cause()), ctx.cause().signal.name)
while signal.getsignal(signal.SIGTERM) != signal.SIG_DFL or runtime.num_goroutine() > 1: runtime.gosched()
ctx = gsignal.notify_context(signal.SIGUSR1, parent=context.with_timeout(0.001))
ctx.done.recv_ok()
print(type(ctx.err()).__name__)
with gsignal.notify_context(signal.SIGUSR1) as ctx: pass
while runtime.num_goroutine() > 1: runtime.gosched()
kill(signal.SIGUSR1)
"""
    )
    assert r.out == "(None, False) Signaled('SIGTERM received') SIGTERM\nDeadlineExceeded\n" and r.code == -10, r


def test_a_wait_that_obeys_a_notify_context(run):
    r = run(
        """
go(lambda: (sleep(0.01), kill(signal.SIGINT)))
try: Chan().recv(ctx=gsignal.notify_context(signal.SIGINT))
except Canceled as e: print(type(e.cause).__name__, e.cause.signal.name)
"""
    )
    assert r.out == "Signaled SIGINT\n" and r.code == 0, r
