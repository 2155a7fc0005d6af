"""asyncio and goroutines, both ways."""
# SPDX-License-Identifier: Apache-2.0

import asyncio
import concurrent.futures
import contextvars
import gc
import threading
import time

import pytest
from gossamer import (
    Canceled,
    Chan,
    ChanClosed,
    _async,
    aio,
    awaiting,
    context,
    default,
    go,
    nil_chan,
    recv,
    runtime,
    select,
    sleep,
)


# ---- in coroutines --------------------------------------------------------------------------------
def test_await_a_goroutine():
    async def main():
        g = go(lambda: 5)
        assert await g == 5 and await g == 5
        ch = Chan()
        waits = go(ch.recv)
        ch2 = go(ch.send, 7)
        assert await waits == 7
        await ch2
        with pytest.raises(ZeroDivisionError):
            await go(lambda: 1 / 0)
        return await asyncio.gather(*[wait(go(time.sleep, 0.01)) for _ in range(20)])

    async def wait(g):
        return await g

    assert asyncio.run(main()) == [None] * 20


def test_await_outside_of_asyncio():
    g = go(len, "")
    with pytest.raises(RuntimeError, match="event loop"):
        g.__await__()
    g.join()


def test_loop_runs_on_while_a_goroutine_is_awaited():
    ch = Chan()

    async def main():
        g = go(ch.recv)
        task = asyncio.create_task(wait(g))
        await asyncio.sleep(0.01)
        assert not task.done()
        ch.send(3)
        return await task

    async def wait(g):
        return await g

    assert asyncio.run(main()) == 3


def test_cancelled_await_leaves_the_goroutine(settle):
    ch = Chan()

    async def main(g):
        async def wait():
            await g

        task = asyncio.create_task(wait())
        await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert g.status == "waiting"

    n = runtime.num_goroutine()
    g = go(ch.recv)
    settle(g)
    asyncio.run(main(g))
    ch.send(1)
    assert g.join() == 1
    while runtime.num_goroutine() > n:
        runtime.gosched()


def test_channels():
    async def main():
        ch = Chan(2)
        await ch.asend(1)
        await ch.asend(2)
        assert await ch.arecv() == 1 and await ch.arecv() == 2
        un = Chan()
        got, sent = await asyncio.gather(un.arecv(), un.asend("x"))
        assert got == "x" and sent is None
        g = go(lambda: [un.send(i) for i in range(5)] and un.close())
        assert [v async for v in un] == [0, 1, 2, 3, 4]
        await g
        with pytest.raises(ChanClosed):
            await un.arecv()
        with pytest.raises(ChanClosed):
            await un.asend(1)
        tx, rx = Chan(1).sender(), un.receiver()
        await tx.asend(1)
        assert [v async for v in rx] == []

    asyncio.run(main())


def test_pipeline_between_a_goroutine_and_a_coroutine():
    a, b = Chan(), Chan(3)

    def double():
        with b:
            for v in a:
                b.send(v * 2)

    async def main():
        go(double)

        async def feed():
            for i in range(200):
                await a.asend(i)
            a.close()

        task = asyncio.create_task(feed())
        out = [v async for v in b]
        await task
        return out

    assert asyncio.run(main()) == [2 * i for i in range(200)]


def test_cancelled_recv_loses_nothing():
    async def main():
        ch = Chan()
        got = []

        async def take():
            while True:
                got.append(await ch.arecv())

        for i in range(50):
            task = asyncio.create_task(take())
            await asyncio.sleep(0)
            g = go(ch.send, i)
            for _ in range(i % 4):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert task.cancelled()
            if g.status != "dead":
                got.append(await ch.arecv())
            await g
        return got

    assert asyncio.run(main()) == list(range(50))


async def taken(ch, v):
    """Sends v to the task that waits for it."""
    while not ch.try_send(v):
        await asyncio.sleep(0)


async def given(ch):
    """Takes the value of the task that waits to send it."""
    while (v := ch.try_recv(None)) is None:
        await asyncio.sleep(0)
    return v


def test_what_was_received_before_the_context_ended():
    async def main():
        ch = Chan()
        with context.with_cancel() as ctx:
            task = asyncio.create_task(ch.arecv())
            await taken(ch, "value")
            ctx.cancel()
        assert await task == "value"
        with context.with_cancel() as ctx:
            task = asyncio.create_task(ch.asend("value"))
            assert await given(ch) == "value"
            ctx.cancel()
        assert await task is None

    asyncio.run(main())


def test_outcome_of_a_goroutine_that_ended_before_the_context():
    async def main():
        async def wait(g):
            return await g

        ch = Chan()
        with context.with_cancel() as ctx:
            g = go(ch.recv)
            task = asyncio.create_task(wait(g))
            await taken(ch, "value")
            while g.status != "dead":
                await asyncio.sleep(0)
            again = asyncio.create_task(wait(g))
            ctx.cancel()
        assert await task == "value" and await again == "value"

    asyncio.run(main())


@pytest.mark.parametrize("wait", [lambda ch, g: ch.arecv(), lambda ch, g: ch.asend(1), lambda ch, g: g])
def test_waits_obey_the_ambient_context(wait):
    async def main():
        async def begin():
            await wait(Chan(), g)

        quit = Chan()
        g = go(quit.recv)
        with context.with_cancel() as ctx:
            task = asyncio.create_task(begin())
            await asyncio.sleep(0)
            ctx.cancel()
        with pytest.raises(Canceled):
            await task
        quit.send(None)

    asyncio.run(main())


def cancel_too_late(monkeypatch, task, when):
    """Cancels the task, which waits for what has happened already; either before or after it was told."""
    if when == "untold":
        task.cancel("why")
    else:
        wake = _async._wake

        def wake_and_cancel(future):
            wake(future)
            task.cancel("why")

        monkeypatch.setattr(_async, "_wake", wake_and_cancel)


@pytest.mark.parametrize("when", ["untold", "told"])
def test_cancelled_too_late(monkeypatch, when):
    async def main():
        ch = Chan()
        task = asyncio.create_task(ch.arecv())
        await taken(ch, "value")
        cancel_too_late(monkeypatch, task, when)
        assert await task == "value" and not task.cancelled()
        monkeypatch.undo()
        task = asyncio.create_task(ch.asend("value"))
        assert await given(ch) == "value"
        cancel_too_late(monkeypatch, task, when)
        assert await task is None and not task.cancelled()

    asyncio.run(main())


@pytest.mark.parametrize("when", ["untold", "told"])
def test_cancelled_too_late_is_cancelled_later(monkeypatch, when):
    async def main():
        ch, got = Chan(), []

        async def take():
            got.append(await ch.arecv())
            got.append(await ch.arecv())

        task = asyncio.create_task(take())
        await taken(ch, "value")
        cancel_too_late(monkeypatch, task, when)
        with pytest.raises(asyncio.CancelledError, match="why"):
            await task
        assert got == ["value"] and task.cancelled() and task.cancelling() == 1

    asyncio.run(main())


def test_timeout_too_late():
    async def main():
        ch = Chan()

        async def take():
            async with asyncio.timeout(None) as limit:
                limits.append(limit)
                value = await ch.arecv()
            await asyncio.sleep(0)  # not cancelled: the timeout is over
            await asyncio.sleep(0)
            return value, asyncio.current_task().cancelling()

        limits = []
        task = asyncio.create_task(take())
        await taken(ch, "value")
        limits[0].reschedule(0)  # now: beside what the goroutine tells the loop
        return await task, limits[0].expired()

    assert asyncio.run(main()) == (("value", 0), True)


def test_timeout_around_recv():
    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await Chan().arecv()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(Chan().asend(1), 0.01)

    asyncio.run(main())


def test_wrap():
    @aio.wrap
    def blocks(a, b=1):
        """Docs."""
        time.sleep(0.005)
        return a + b

    async def main():
        return await asyncio.gather(*[blocks(i, b=2) for i in range(10)])

    assert asyncio.run(main()) == [i + 2 for i in range(10)] and blocks.__doc__ == "Docs."

    async def fails():
        await aio.wrap(lambda: 1 / 0)()

    with pytest.raises(ZeroDivisionError):
        asyncio.run(fails())


def test_cancelling_interrupts_what_is_wrapped():
    ended = Chan(1)

    def waits():
        try:
            nil_chan.recv()
        except Canceled:
            ended.send("canceled")
            raise

    async def main():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(aio.wrap(waits)(), 0.01)

    asyncio.run(main())
    assert ended.recv() == "canceled"


# ---- in goroutines --------------------------------------------------------------------------------
async def add(a, b):
    await asyncio.sleep(0.001)
    return a + b


async def fail():
    raise KeyError("mine")


def test_run():
    assert aio.run(add(1, 2)) == 3
    gs = [go(lambda i=i: aio.run(add(i, i))) for i in range(20)]
    assert [g.join() for g in gs] == [2 * i for i in range(20)]
    with pytest.raises(KeyError, match="mine"):
        aio.run(fail())


def test_run_shares_a_loop():
    async def loop():
        return asyncio.get_running_loop()

    assert aio.run(loop()) is go(lambda: aio.run(loop())).join()


def test_run_takes_any_awaitable():
    class Later:
        def __await__(self):
            return add(2, 3).__await__()

    assert aio.run(Later()) == 5


def test_run_has_the_callers_contextvars():
    v = contextvars.ContextVar("v", default=0)
    v.set(5)

    async def get():
        return v.get()

    assert aio.run(get()) == 5


def test_run_in_a_coroutine():
    async def main():
        with pytest.raises(RuntimeError, match="await"):
            aio.run(add(1, 2))

    asyncio.run(main())
    aio.run(main())


def test_run_in_a_thread():
    seen = []
    t = threading.Thread(target=lambda: seen.append(aio.run(add(1, 1))))
    t.start()
    t.join()
    assert seen == [2]


def test_interrupted_run_cancels(settle):
    began, seen = Chan(1), Chan(1)

    async def forever():
        began.send(None)  # a task that is cancelled before never begins
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            seen.send("cancelled")
            raise

    g = go(lambda: aio.run(forever()))
    began.recv()
    settle(g)
    g.interrupt()
    with pytest.raises(Canceled):
        g.join()
    assert seen.recv() == "cancelled"


def test_run_waits_for_the_end_under_a_context_that_ended():
    began, may_end, log = Chan(1), Chan(), []

    async def work():
        began.send(None)
        try:
            await asyncio.sleep(1000)
        finally:
            await may_end.arecv()
            log.append("cleaned up")
            raise KeyError("nobody's")

    def call():
        with context.with_cancel() as ctx:
            ctxs.send(ctx)
            try:
                aio.run(work())
            finally:
                log.append("run")

    ctxs = Chan(1)
    g = go(call)
    began.recv()
    ctxs.recv().cancel()
    may_end.send(None)
    assert g.join() is None and log == ["cleaned up", "run"]


def test_several_asyncio_runs_at_once():
    async def main(i):
        q = asyncio.Queue()
        asyncio.get_running_loop().call_later(0.005, q.put_nowait, i)
        return await q.get()

    gs = [go(asyncio.run, main(i)) for i in range(5)]
    assert [g.join() for g in gs] == list(range(5))


def test_awaiting():
    a = awaiting(add(1, 2))
    ch = Chan()
    c = recv(ch)
    assert select(a, c) is a and a.ok and a.value == 3 and a.index == 0
    assert select(a, default) is a and a.value == 3  # once done, always ready
    never = awaiting(asyncio.sleep(1000))
    assert select(never, default) is default and never.value is None
    assert select(never, timeout=0.001) is None
    go(ch.send, 4)
    assert select(never, c) is c and c.value == 4
    assert "awaiting" in repr(never)


def test_awaiting_an_exception():
    a = awaiting(fail())
    assert select(a) is a and not a.ok
    with pytest.raises(KeyError, match="mine"):
        a.value


def test_awaiting_futures():
    ex = concurrent.futures.ThreadPoolExecutor(1)
    with ex:
        a = awaiting(ex.submit(pow, 2, 5))
        assert select(a) is a and a.value == 32

    async def main():
        future = asyncio.get_running_loop().create_future()
        case = awaiting(future)
        g = go(lambda: select(case).value)
        await asyncio.sleep(0)
        future.set_result("x")
        return await g

    assert asyncio.run(main()) == "x"
    for bad in (1, None, len):
        with pytest.raises(TypeError, match="awaitable"):
            awaiting(bad)


def test_awaiting_a_cancelled_task():
    async def main():
        task = asyncio.create_task(asyncio.sleep(1000))
        case = awaiting(task)
        await asyncio.sleep(0)
        task.cancel()
        g = go(select, case)
        assert await g is case
        with pytest.raises(asyncio.CancelledError):
            case.value

    asyncio.run(main())


@pytest.mark.parametrize("greenlets", [False, True])
def test_shared_loop_keeps_its_thread_for_greenlets(program, greenlets):
    r = program(
        f"""
        import asyncio, sys, threading, time
        from gossamer import aio, go, sleep
        if {greenlets}:
            sys.modules["greenlet"] = sys
        async def threads():
            used = set()
            for _ in range(100):
                used.add(threading.get_native_id())
                await asyncio.sleep(0.001)
            return used
        aio.run(asyncio.sleep(0))
        loop = go(aio.run, threads())
        while loop.status != "dead":  # blocks on one thread after the other, which the rest leave
            time.sleep(0.0015)
            sleep(0.0001)
        print(len(loop.join()))
        """
    )
    assert r.code == 0 and r.err == "", r
    assert int(r.out) == 1 or not greenlets, r


def test_at_exit(program):
    r = program(
        """
        import asyncio
        from gossamer import aio, awaiting, go
        async def f(): return 5
        print(aio.run(f()))
        keep = awaiting(asyncio.sleep(1000))
        go(lambda: aio.run(asyncio.sleep(1000)))
        """,
        timeout=30,
    )
    assert r.out == "5\n" and r.code == 0 and r.err == "", r


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "SystemExit"])
def test_run_keeps_what_ends_a_program_to_its_caller(program, error):
    r = program(
        f"""
        import asyncio
        from gossamer import *
        from gossamer import aio
        async def fails(): raise {error}("mine")
        async def awaits():
            await asyncio.sleep(0)
            await asyncio.create_task(fails())
        async def waits(): return await quit.arecv()
        quit = Chan()
        other = go(aio.run, waits())
        for coro in fails(), awaits():
            try: aio.run(coro)
            except {error} as e: print(e)
        try: select(case := awaiting(fails())) and case.value
        except {error} as e: print(e)
        quit.send("goes on")
        print(other.join())
        """,
        timeout=30,
    )
    assert r.out == "mine\nmine\nmine\ngoes on\n" and r.code == 0 and r.err == "", r


def test_what_ends_a_program_ends_the_loop_unless_a_task_raised_it(program):
    r = program(
        """
        import asyncio, sys
        from gossamer import Canceled, aio
        async def waits():
            asyncio.get_running_loop().call_soon(sys.exit, "callback")
            await asyncio.sleep(1000)
        try: aio.run(waits())
        except Canceled as e: print(e)
        """,
        timeout=30,
    )
    assert r.out == "the event loop has ended\n" and r.code == 0, r


def test_forked_child_has_a_loop_of_its_own(program):
    r = program(
        """
        import asyncio, gc, os, warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # fork() beside threads
        warnings.simplefilter("default", ResourceWarning)
        from gossamer import aio, awaiting, go, select
        async def add(a, b):
            await asyncio.sleep(0)
            return a + b
        async def forks(): return child()
        def child():
            pid = os.fork()
            if pid == 0:
                try: ok = aio.run(add(1, 1)) == 2 and select(awaiting(add(1, 2))).value == 3
                finally:
                    gc.collect()
                    os._exit(7 if ok else 1)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(aio.run(add(1, 1)), child(), go(child).join(), aio.run(forks()), aio.run(add(2, 2)), flush=True)
        pid = os.fork()
        if pid: os.waitpid(pid, 0)
        print(aio.run(add(3, 3)))  # both end as programs do
        """,
        timeout=30,
    )
    assert r.out == "2 7 7 7 4\n6\n6\n" and r.code == 0 and r.err == "", r


def test_shutdown_ends_the_loop(program):
    r = program(
        """
        import asyncio
        from gossamer import aio, go, runtime, sleep
        async def f(): return 5
        aio.run(f())
        g = go(lambda: aio.run(asyncio.sleep(1000)))
        while g.wait_reason != "chan receive": sleep(0.001)
        print(runtime.shutdown(10), runtime.num_goroutine(), aio.run(f()))
        """,
        timeout=30,
    )
    assert r.out == "True 1 5\n" and r.code == 0, r


def test_no_asyncio_until_it_is_needed(program):
    r = program(
        """
        import sys
        from gossamer import *
        go(len, "").stack()
        print("asyncio" in sys.modules)
        """
    )
    assert r.out == "False\n", r


def test_nothing_is_kept():
    for _ in range(3):
        aio.run(add(1, 2))
        select(awaiting(add(1, 2)))
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(50):
        aio.run(add(1, 2))
        select(awaiting(add(1, 2)))
    sleep(0.01)
    gc.collect()
    assert len(gc.get_objects()) - before < 100


def test_loop_with_nothing_to_do_is_closed_at_exit(program):
    r = program(
        """
        import atexit
        atexit.register(lambda: print(loop.is_closed()))  # runs last
        import asyncio
        from gossamer import aio
        aio.run(asyncio.sleep(0))
        loop = aio._loop
        """
    )
    assert r.out == "True\n" and r.code == 0 and r.err == "", r
