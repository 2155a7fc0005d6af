"""RWMutex, its reader, Cond, Weighted; Mutex and WaitGroup are in test_sync.py."""
# SPDX-License-Identifier: Apache-2.0

import copy
import gc
import threading
import weakref

import pytest
from gossamer import Canceled, Chan, DeadlineExceeded, context, go, runtime, sleep
from gossamer.semaphore import Weighted
from gossamer.sync import Cond, Mutex, RWMutex

LONG, SHORT = 3600, 0.001


# ---- RWMutex ---------------------------------------------------------------------------------


def test_rwmutex(parked):
    rw = RWMutex()
    rw.rlock()
    rw.rlock()
    assert rw.try_rlock() and not rw.try_lock()
    w = parked(rw.lock)
    assert w.status == "waiting" and w.wait_reason == "sync.RWMutex.Lock"
    assert not rw.try_rlock(), "a writer waits"
    r = parked(rw.rlock)
    for _ in range(3):
        assert w.status == "waiting"
        rw.runlock()
    w.join()
    assert r.status == "waiting" and not rw.try_lock()
    rw.unlock()
    r.join()
    rw.runlock()
    assert rw.try_lock()
    rw.unlock()
    with pytest.raises(RuntimeError, match="unlock of unlocked RWMutex"):
        rw.unlock()
    with pytest.raises(RuntimeError, match="runlock of unlocked RWMutex"):
        rw.runlock()
    with pytest.raises(TypeError):
        RWMutex(1)
    with pytest.raises(TypeError):
        copy.copy(rw)


def test_rwmutex_with():
    rw = RWMutex()
    with rw as held:
        assert held is rw and not rw.try_rlock()
    with rw.reader as held, rw.reader:
        assert type(held) is type(rw.reader) and not rw.try_lock() and rw.reader.try_lock()
        held.unlock()
    with rw:
        pass
    rw.reader.lock(timeout=SHORT)
    rw.runlock()


def test_rwmutex_counts():
    rw, data = RWMutex(), {"a": 0, "b": 0}

    def write():
        for _ in range(50):
            with rw:
                data["a"] += 1
                runtime.gosched()
                data["b"] += 1

    def read():
        for _ in range(50):
            with rw.reader:
                assert data["a"] == data["b"]
                runtime.gosched()

    gs = [go(f) for f in (write, read, read) for _ in range(5)]
    ts = [threading.Thread(target=f) for f in (write, read)]
    for t in ts:
        t.start()
    for g in gs:
        g.join()
    for t in ts:
        t.join()
    assert data == {"a": 300, "b": 300}


def waits():
    rw, held, mu = RWMutex(), RWMutex(), Mutex()
    rw.lock()
    held.rlock()
    mu.lock()
    sem, cond = Weighted(2), Cond()
    sem.acquire()

    def waiting(**k):
        with cond:
            try:
                cond.wait(**k)
            finally:
                assert not cond.lock.try_lock()

    def waiting_for(**k):
        with cond:
            cond.wait_for(lambda: False, **k)

    return {
        "lock": rw.lock,
        "rlock": rw.rlock,
        "reader": rw.reader.lock,
        "lock_held": held.lock,
        "acquire": lambda **k: sem.acquire(2, **k),
        "hold": lambda **k: sem.hold(2, **k).__enter__(),
        "cond": waiting,
        "wait_for": waiting_for,
    }


every_wait = pytest.mark.parametrize("wait", waits().values(), ids=waits())


@every_wait
def test_timeout(wait):
    for timeout in (0, SHORT):
        with pytest.raises(TimeoutError):
            wait(timeout=timeout)


@every_wait
def test_context(wait, parked):
    c = context.with_cancel()
    g = parked(lambda: wait(ctx=c))
    assert g.status == "waiting"
    c.cancel()
    with pytest.raises(Canceled) as e:
        g.join()
    assert e.value.ctx is c
    with pytest.raises(Canceled):
        wait(ctx=c)
    with pytest.raises(DeadlineExceeded):
        wait(ctx=context.with_timeout(SHORT))


@every_wait
def test_ambient(wait, parked):
    with context.with_cancel() as c:
        g = parked(lambda: wait())
    with pytest.raises(Canceled) as e:
        g.join()
    assert e.value.ctx is c
    with pytest.raises(TimeoutError), context.with_timeout(SHORT):
        wait()


@every_wait
def test_interrupt(wait, parked):
    g = parked(wait)
    assert g.interrupt(KeyError)
    with pytest.raises(KeyError):
        g.join()


@every_wait
def test_in_a_thread(wait):
    seen = []

    def work():
        try:
            wait(ctx=context.with_timeout(SHORT))
        except DeadlineExceeded as e:
            seen.append(e)

    t = threading.Thread(target=work)
    t.start()
    t.join()
    assert len(seen) == 1


# ---- Cond ---------------------------------------------------------------------------------------


def locks():
    rw = RWMutex()
    return [None, Mutex(), rw, rw.reader]


@pytest.mark.parametrize("lock", locks(), ids=["none", "mutex", "rwmutex", "reader"])
def test_cond(lock, parked):
    cond, order = Cond(lock), []
    assert lock is None or cond.lock is lock

    def work(i):
        with cond as held:
            assert held is cond and cond.wait() is None
            order.append(i)

    gs = [parked(work, i) for i in range(6)]
    assert gs[0].wait_reason == "sync.Cond.Wait"
    for i in range(3):
        cond.signal()
        gs[i].join()
        assert order == list(range(i + 1))
    with cond:
        cond.broadcast()
    for g in gs:
        g.join()
    assert sorted(order) == list(range(6))
    assert cond.lock.try_lock()
    cond.lock.unlock()


def test_cond_without_lock():
    cond = Cond()
    with pytest.raises(RuntimeError, match="without holding"):
        cond.wait()
    with pytest.raises(RuntimeError, match="without holding"):
        cond.wait_for(lambda: False)
    assert cond.wait_for(lambda: "x") == "x"
    with pytest.raises(RuntimeError, match="unlocked"):
        cond.__exit__()
    for bad in (1, Cond()):
        with pytest.raises(TypeError, match="Mutex"):
            Cond(bad)
    with cond, pytest.raises(TimeoutError):
        cond.wait(timeout=0)


def test_wait_for():
    cond, queue = Cond(), []

    def take():
        with cond:
            cond.wait_for(lambda: queue)
            return queue.pop()

    gs = [go(take) for _ in range(20)]
    runtime.gosched()
    for i in range(20):
        with cond:
            queue.append(i)
        cond.signal()
    assert sorted(g.join() for g in gs) == list(range(20))
    with cond, pytest.raises(ZeroDivisionError):
        cond.wait_for(lambda: 1 / 0)
    with cond, pytest.raises(TimeoutError):
        cond.wait_for(lambda: None, SHORT)
    with pytest.raises(TypeError):
        cond.wait_for()
    assert cond.lock.try_lock()


def test_cond_queue_with_threads_and_timeouts():
    """Nothing is lost, nothing comes twice, whoever waits and gives up."""
    cond, queue, got, n = Cond(), [], [], 500

    def take():
        while True:
            with cond:
                try:
                    cond.wait_for(lambda: queue, timeout=SHORT)
                except TimeoutError:
                    continue
                x = queue.pop(0)
            if x is None:
                return
            got.append(x)

    def put():
        for i in range(n):
            with cond:
                queue.append(i)
            cond.signal()
            if i % 7 == 0:
                runtime.gosched()

    takers = [go(take) for _ in range(4)] + [threading.Thread(target=take) for _ in range(2)]
    for t in takers[4:]:
        t.start()
    go(put).join()
    with cond:
        queue.extend([None] * 6)
        cond.broadcast()
    for t in takers:
        t.join()
    assert sorted(got) == list(range(n))


def test_cond_wait_locks_again_after_cancel(parked):
    cond, c = Cond(), context.with_cancel()

    def work():
        with cond:
            try:
                cond.wait(ctx=c)
            finally:
                assert not cond.lock.try_lock()

    g = parked(work)
    with cond:
        c.cancel()
        for _ in range(20):
            runtime.gosched()
        assert g.status == "waiting", "for the lock"
    with pytest.raises(Canceled):
        g.join()


def test_interrupt_while_locking_again(parked):
    cond = Cond()

    def work():
        with cond:
            cond.wait()
            assert not cond.lock.try_lock()
            sleep(LONG)

    g = parked(work)
    with cond:
        cond.signal()
        while g.wait_reason != "sync.Mutex.Lock":
            runtime.gosched()
        g.interrupt(KeyError)
    with pytest.raises(KeyError):
        g.join()
    assert cond.lock.try_lock()


def test_keyboard_interrupt_in_cond(program):
    r = program("""
        import os, signal
        from gossamer import *
        from gossamer.sync import Cond
        cond, n = Cond(), 0
        def interrupt():
            with cond: pass  # main waits by now
            os.kill(os.getpid(), signal.SIGINT)
        for ctx in (None, context.with_timeout(100)):
            for i in range(10):
                with cond:
                    go(interrupt)
                    try:
                        cond.wait(ctx=ctx)
                    except KeyboardInterrupt:
                        n += 1
                        assert not cond.lock.try_lock()
        print(n)
    """)
    assert r.out == "20\n", r


def test_signal_handler_misses_no_signal(program):
    """A handler runs in the middle of a wait; a signal of the Cond that comes meanwhile counts."""
    r = program("""
        import os, signal
        from gossamer import *
        from gossamer.sync import Cond
        cond, n = Cond(), 0
        def handler(*a):
            cond.signal()
        signal.signal(signal.SIGUSR1, handler)
        def kill():
            with cond: pass
            os.kill(os.getpid(), signal.SIGUSR1)
        for i in range(20):
            with cond:
                go(kill)
                cond.wait()
        print("done")
    """)
    assert r.out == "done\n", r


def test_deadlock_in_cond(program):
    r = program("""
        from gossamer import *
        from gossamer.sync import Cond
        cond = Cond()
        try:
            with cond: cond.wait()
        except Deadlock as e:
            print("waiting", "sync.Cond.Wait" in e.report)
        def keep():
            cond.lock.lock()
            Chan().recv()
        cond.lock.lock()
        go(keep)
        try:
            cond.wait(timeout=0.01)
        except Deadlock as e:
            print("locking", "sync.Mutex.Lock" in e.report, type(e.__context__).__name__)
    """)
    assert r.out.splitlines() == ["waiting True", "locking True TimeoutError"], r


# ---- Weighted ---------------------------------------------------------------------------------------


def test_weighted(parked):
    sem = Weighted(3)
    sem.acquire()
    sem.acquire(n=2)
    assert not sem.try_acquire() and sem.try_acquire(0)
    big = parked(sem.acquire, 3)
    sem.release()
    small = parked(lambda: sem.acquire(1))
    assert big.status == small.status == "waiting", "strictly in order"
    assert not sem.try_acquire(1)
    sem.release(2)
    big.join()
    sem.release(n=3)
    small.join()
    with pytest.raises(RuntimeError, match="more released"):
        sem.release(2)
    sem.release()
    assert sem.try_acquire(n=3)


def test_weighted_hold():
    sem = Weighted(2)
    with sem.hold(2):
        assert not sem.try_acquire()
        with pytest.raises(TimeoutError), sem.hold(timeout=SHORT):
            pass
    held = sem.hold()
    with held, held:
        assert not sem.try_acquire()
    assert sem.try_acquire(2)
    sem.release(2)
    with pytest.raises(ZeroDivisionError), sem.hold(n=2):
        1 / 0  # noqa: B018
    assert sem.try_acquire(2)


def test_weighted_gives_up_its_turn(parked):
    sem, c = Weighted(2), context.with_cancel()
    sem.acquire()
    big = parked(lambda: sem.acquire(2, ctx=c))
    small = parked(sem.acquire)
    c.cancel()
    with pytest.raises(Canceled):
        big.join()
    small.join()


def test_weighted_too_big():
    sem = Weighted(1)
    with pytest.raises(TimeoutError):
        sem.acquire(2, SHORT)
    with pytest.raises(DeadlineExceeded):
        sem.acquire(2, ctx=context.with_timeout(SHORT))
    assert sem.try_acquire()


def test_weighted_bad_input():
    for bad in (lambda: Weighted("1"), lambda: Weighted(), lambda: Weighted(1).acquire("1")):
        with pytest.raises(TypeError):
            bad()
    for bad in (lambda: Weighted(-1), lambda: Weighted(1).acquire(-1), lambda: Weighted(1).release(-1)):
        with pytest.raises(ValueError):
            bad()
    sem = Weighted(5)
    for bad in (
        lambda: sem.acquire(1, 1, 1),
        lambda: sem.acquire(1, n=1),
        lambda: sem.acquire(1, 1, timeout=1),
        lambda: sem.acquire(x=1),
        lambda: sem.try_acquire(1, 2),
        lambda: sem.release(m=1),
        lambda: sem.acquire(ctx=1),
        lambda: copy.copy(sem),
    ):
        with pytest.raises(TypeError):
            bad()
    with pytest.raises(OverflowError):
        Weighted(1 << 80)
    assert sem.try_acquire(5)


def test_weighted_limits():
    sem, m, inside, most = Weighted(3), Mutex(), 0, 0

    def count(n):
        nonlocal inside, most
        with m:
            inside += n
            most = max(most, inside)

    def work():
        with sem.hold():
            count(1)
            while most < 3:
                runtime.gosched()
            count(-1)

    for g in [go(work) for _ in range(50)]:
        g.join()
    assert most == 3


def test_objects_go_away():
    made = [RWMutex(), Weighted(1), Cond(), RWMutex().reader, Cond(RWMutex().reader)]
    refs = [weakref.ref(o) for o in made if not type(o).__name__.endswith("Hold")]
    del made
    gc.collect()
    assert not any(r() for r in refs)


def test_no_value_is_lost_on_cancel():
    """A lock that came just as its wait was ended is held, or it is not: never both, never neither."""
    for i in range(200):
        mu, c = Mutex(), context.with_cancel()
        rw = RWMutex()
        mu.lock()
        rw.lock()

        def work(lock, c=c):
            lock.lock(ctx=c)
            lock.unlock()

        gs = [go(work, lock) for lock in (mu, rw, rw.reader, mu)]
        for _ in range(i % 7):
            runtime.gosched()
        go(c.cancel)
        for _ in range(i % 3):
            runtime.gosched()
        mu.unlock()
        rw.unlock()
        for g in gs:
            try:
                g.join()
            except Canceled:
                pass
        assert mu.try_lock() and rw.try_lock()


def test_channel_of_locks(parked):
    ch, rw = Chan(), RWMutex()
    g = parked(lambda: ch.recv().lock())
    ch.send(rw)
    g.join()
    assert not rw.try_rlock()
