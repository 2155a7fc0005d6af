"""All goroutines asleep: Deadlock in main, with a report; and when not to say so."""
# SPDX-License-Identifier: Apache-2.0

import pytest

BLOCKERS = {
    "recv": ("Chan().recv()", "chan receive"),
    "send": ("Chan().send(1)", "chan send"),
    "nil": ("nil_chan.recv()", "chan receive (nil chan)"),
    "select": ("select(recv(Chan()), send(Chan(), 1))", "select"),
    "no cases": ("select()", "select (no cases)"),
    "range": ("list(Chan())", "chan receive"),
    "waitgroup": ("wg = WaitGroup(); wg.add(1); wg.wait()", "sync.WaitGroup.Wait"),
    "mutex": ("mu = Mutex(); mu.lock(); mu.lock()", "sync.Mutex.Lock"),
    "once": ("o = Once(); o.do(lambda: o.do(len))", "sync.Mutex.Lock"),
    "forever": ("sleep(float('inf'))", "sleep"),
    "join": ("go(Chan().recv).join()", ""),
}


@pytest.mark.parametrize("kind", BLOCKERS)
def test_main_gets_deadlock(program, kind):
    code, reason = BLOCKERS[kind]
    r = program(
        f"""
        from gossamer import *
        def other(): Chan().recv()
        go.using(name="sleeper")(other)
        try:
            {code}
        except Deadlock as e:
            print(e.report)
        print("went on")
        print(go(lambda: 5).join())
        """,
        timeout=30,
    )
    assert r.code == 0 and r.out.endswith("went on\n5\n"), r
    assert "all goroutines are asleep - deadlock!" in r.out
    assert "sleeper" in r.out and "chan receive" in r.out and "<string>:4" in r.out
    assert reason in r.out


def test_unhandled_it_ends_the_program(program):
    r = program("import gossamer; gossamer.Chan().recv()", timeout=30)
    assert r.code == 1 and "Deadlock: all goroutines are asleep" in r.err, r


def test_main_called_goexit(program):
    r = program(
        """
        from gossamer import *
        go(lambda: (sleep(0.01), print("other")))
        go.using(name="sleeper")(Chan().recv)
        try: runtime.goexit()
        except Deadlock as e: print(e.report)
        """,
        timeout=30,
    )
    assert r.out.startswith("other\nno goroutines (main called runtime.Goexit) - deadlock!\n"), r
    assert "asleep" not in r.out and "sleeper" in r.out and r.code == 0, r


def test_deadlock_after_work(program):
    r = program(
        """
        import time
        from gossamer import *
        ch = Chan()
        def work():
            time.sleep(0.05)
            sleep(0.02)
        go(work)
        try: ch.recv()
        except Deadlock: print("deadlock")
        """,
        timeout=30,
    )
    assert r.out == "deadlock\n", r


@pytest.mark.parametrize(
    "busy",
    [
        "go(lambda: (sleep(0.6), ch.send(1)))",
        "go(lambda: (time.sleep(0.6), ch.send(1)))",
        "after_func(0.6, ch.send, 1)",
        "threading.Thread(target=lambda: (time.sleep(0.6), ch.send(1))).start()",
        "threading.Thread(target=lambda: (sleep(0.6), ch.send(1)), daemon=True).start()",
        "go(lambda: (threading.Event().wait(0.6), ch.send(1)))",
    ],
)
def test_no_false_alarm(program, busy):
    r = program(
        f"""
        import threading, time
        from gossamer import *
        ch = Chan()
        {busy}
        print(ch.recv())
        """,
        timeout=30,
    )
    assert r.out == "1\n" and r.code == 0, r


@pytest.mark.parametrize(
    "handler, sends",
    [
        ("lambda *_: ch.send(1)", "signal.setitimer(signal.ITIMER_REAL, 0.6)"),
        ("functools.partial(lambda *_: ch.send(1))", "signal.setitimer(signal.ITIMER_REAL, 0.6)"),
        ("lambda *_: ch.send(1)", "subprocess.Popen(['sh', '-c', f'sleep 0.6; kill -ALRM {os.getpid()}'])"),
    ],
)
def test_a_handler_may_wake_somebody(program, handler, sends):
    r = program(
        f"""
        import functools, os, signal, subprocess
        from gossamer import *
        ch = Chan(1)
        signal.signal(signal.SIGALRM, {handler})
        {sends}
        print(ch.recv())
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        try: ch.recv()
        except Deadlock: print("deadlock")
        """,
        timeout=30,
    )
    assert r.out == "1\ndeadlock\n" and r.code == 0, r


@pytest.mark.parametrize(
    "handler",
    [
        "signal.signal(signal.SIGTERM, signal.default_int_handler)",
        "signal.signal(signal.SIGINT, asyncio.Runner()._on_sigint)",
        "signal.signal(signal.SIGINT, functools.partial(asyncio.Runner()._on_sigint, main_task=None))",
        "signal.signal(signal.SIGINT, signal.SIG_DFL); signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    ],
)
def test_handlers_that_only_raise_wake_nobody(program, handler):
    r = program(
        f"""
        import asyncio, functools, signal
        from gossamer import *
        {handler}
        try: Chan().recv()
        except Deadlock: print("deadlock")
        """,
        timeout=30,
    )
    assert r.out == "deadlock\n" and r.code == 0, r


def test_a_timeout_is_no_deadlock(program):
    r = program(
        """
        from gossamer import *
        try: Chan().recv(timeout=0.5)
        except TimeoutError: print("timeout")
        print(select(recv(Chan()), timeout=0.3))
        """,
        timeout=30,
    )
    assert r.out == "timeout\nNone\n", r


def test_many_parked(program):
    r = program(
        """
        from gossamer import *
        ch = Chan()
        for i in range(1000): go(ch.recv)
        try: nil_chan.recv()
        except Deadlock as e: print(e.report.count("chan receive"))
        """,
        timeout=30,
    )
    assert r.code == 0 and int(r.out) >= 1, r


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("Chan().recv()", "chan receive"),
        ("aio.run(Chan().arecv())", "chan receive"),
        ("aio.run(asyncio.Event().wait())", "chan receive"),
        ("select(awaiting(asyncio.Event().wait()))", "select"),
    ],
)
def test_event_loop_that_only_goroutines_can_wake(program, code, reason):
    r = program(
        f"""
        import asyncio
        from gossamer import *
        from gossamer import aio
        print(aio.run(asyncio.sleep(0, 3)))
        try:
            {code}
        except Deadlock as e:
            print(e.report)
        print("went on", aio.run(asyncio.sleep(0.001, 4)), aio.run(aio.wrap(lambda: 5)()))
        """,
        timeout=30,
    )
    assert r.code == 0 and r.out.startswith("3\n") and r.out.endswith("went on 4 5\n"), r
    assert "all goroutines are asleep - deadlock!" in r.out and "(asyncio)" in r.out and reason in r.out


@pytest.mark.parametrize(
    "wakes",
    [
        "threading.Timer(0.3, lambda: loop.call_soon_threadsafe(done.set)).start()",
        "loop.call_later(0.3, done.set)",
        "loop.run_in_executor(None, time.sleep, 0.3).add_done_callback(lambda _: done.set())",
        "a, b = socket.socketpair(); loop.add_reader(a, done.set); subprocess.Popen(['sleep', '0.3'], stdout=b); b.close()",
    ],
)
def test_event_loop_that_something_else_can_wake(program, wakes):
    r = program(
        f"""
        import asyncio, socket, subprocess, threading, time
        from gossamer import aio
        async def main():
            done, loop = asyncio.Event(), asyncio.get_running_loop()
            {wakes}
            await done.wait()
            return 6
        print(aio.run(main()))
        """,
        timeout=30,
    )
    assert r.code == 0 and r.out == "6\n", r
