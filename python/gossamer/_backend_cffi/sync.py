"""WaitGroup, Mutex, RWMutex, Cond, Once."""
# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors

from __future__ import annotations

import threading
from collections import deque

from .chan import new_core
from .core import CLOSED, FOREVER, NULL, OK, TIMEDOUT, WOULDBLOCK, ffi, lib
from .errors import NoCopy, error_of, final
from .go import spawn
from .wait import Call, deadline_of, failed, obeyed, slice, wait


@final("gossamer.sync")
class WaitGroup(NoCopy):
    """WaitGroup()

    Waits for a number of goroutines to end. Go: sync.WaitGroup.
    """

    __slots__ = ("__weakref__", "_wg")

    def __init__(self):
        self._wg = ffi.new("gos_waitgroup *")

    def add(self, n=1, /):
        """Adds n to the counter; below zero raises ValueError and changes nothing. Go: WaitGroup.Add."""
        if not isinstance(n, int):
            raise TypeError(f"add() needs an int, not {type(n).__name__}")
        e = lib.gos_waitgroup_add(self._wg, n)
        if e < 0:
            raise error_of(e, "negative WaitGroup counter")

    def done(self):
        """add(-1)."""
        self.add(-1)

    def _enter(self):
        self.add(1)

    def _left(self, error):
        lib.gos_waitgroup_done(self._wg)

    def wait(self, timeout=None, *, ctx=None):
        """Waits until the counter is zero. timeout in seconds raises TimeoutError;
        obeys ctx, or else the ambient context. Go: WaitGroup.Wait."""
        deadline, ctx = deadline_of(timeout), obeyed(ctx, "wait")
        e = wait(deadline, ctx, Call(lib.gos_waitgroup_wait_dl, lib.gos_waitgroup_wait_ctx, self._wg))
        if e < 0:
            raise failed(e, ctx, "wait timed out")

    def go(self, *args, **kwargs):
        """go(fn, /, *args, **kwargs)

        add(), and a goroutine that calls done() at its end. Go: WaitGroup.Go."""
        if not args:
            raise TypeError("go() needs a callable as its first argument")
        return spawn(args[0], args[1:], kwargs, wg=self)


class _Lock(NoCopy):
    """What the locks have in common. _plain, _with_ctx, _try, _give: the core's functions for self._m."""

    __slots__ = ("__weakref__", "_m")

    def _call(self):
        return Call(self._plain, self._with_ctx, self._m)

    def _take(self, timeout, ctx, fn):
        deadline, ctx = deadline_of(timeout), obeyed(ctx, fn)
        call = self._call()
        try:
            e = wait(deadline, ctx, call)
        except BaseException:  # of a signal handler, perhaps just after the lock was taken
            if call.gave == OK:
                self._give(self._m)
            raise
        if e < 0:
            raise failed(e, ctx, "lock timed out")

    def __enter__(self):
        self._take(None, None, "lock")
        return self

    def __exit__(self, *exc):
        self.unlock()


@final("gossamer.sync")
class Mutex(_Lock):
    """Mutex()

    A lock that parks goroutines; 'with mu:' holds it. Go: sync.Mutex.
    """

    __slots__ = ()
    _plain, _with_ctx, _give = lib.gos_mutex_lock_dl, lib.gos_mutex_lock_ctx, lib.gos_mutex_unlock

    def __init__(self):
        self._m = ffi.new("gos_mutex *")

    def lock(self, timeout=None, *, ctx=None):
        """Waits for the mutex. timeout in seconds raises TimeoutError; obeys ctx, or else
        the ambient context. It has no owner: a
        second lock() by the same goroutine waits for ever. Go: Mutex.Lock."""
        self._take(timeout, ctx, "lock")

    def try_lock(self):
        """Locks if that needs no waiting; says whether it did."""
        return lib.gos_mutex_trylock(self._m) == OK

    def unlock(self):
        """Any goroutine may unlock it. RuntimeError when it is not locked."""
        e = lib.gos_mutex_unlock(self._m)
        if e < 0:
            raise error_of(e, "unlock of unlocked mutex")


@final("gossamer.sync")
class RWMutex(_Lock):
    """RWMutex()

    Many readers or one writer. 'with rw:' holds it for writing, 'with rw.reader:' for reading. A writer
    that waits keeps new readers out: do not read-lock twice. Go: sync.RWMutex.
    """

    __slots__ = ()
    _plain, _with_ctx, _give = lib.gos_rwmutex_lock_dl, lib.gos_rwmutex_lock_ctx, lib.gos_rwmutex_unlock

    def __init__(self):
        self._m = ffi.new("gos_rwmutex *")

    def lock(self, timeout=None, *, ctx=None):
        """Waits until it is nobody's, for writing. timeout in seconds raises TimeoutError;
        obeys ctx, or else the ambient context. Go: RWMutex.Lock."""
        self._take(timeout, ctx, "lock")

    def try_lock(self):
        """Locks for writing if that needs no waiting; says whether it did."""
        return lib.gos_rwmutex_trylock(self._m) == OK

    def unlock(self):
        """Ends writing. RuntimeError when it is not locked for writing. Go: RWMutex.Unlock."""
        e = lib.gos_rwmutex_unlock(self._m)
        if e < 0:
            raise error_of(e, "unlock of unlocked RWMutex")

    def rlock(self, timeout=None, *, ctx=None):
        """Waits until nobody writes or waits to write, for reading beside others. timeout in seconds raises
        TimeoutError; obeys ctx, or else the ambient context. Go: RWMutex.RLock."""
        self.reader._take(timeout, ctx, "rlock")

    def try_rlock(self):
        """Locks for reading if that needs no waiting; says whether it did."""
        return lib.gos_rwmutex_tryrlock(self._m) == OK

    def runlock(self):
        """Ends reading. RuntimeError when it is not locked for reading. Go: RWMutex.RUnlock."""
        e = lib.gos_rwmutex_runlock(self._m)
        if e < 0:
            raise error_of(e, "runlock of unlocked RWMutex")

    @property
    def reader(self):
        """Its reader's side as a lock: lock() is rlock(), unlock() is runlock(); 'with rw.reader:'. Go:
        RWMutex.RLocker."""
        locker = object.__new__(Locker)
        locker._m, locker._of = self._m, self
        return locker


@final("gossamer.sync", made_by_call=False)
class Locker(_Lock):
    """The reader's side of an RWMutex, from RWMutex.reader. Go: sync.Locker."""

    __slots__ = ("_of",)
    _plain, _with_ctx, _give = lib.gos_rwmutex_rlock_dl, lib.gos_rwmutex_rlock_ctx, lib.gos_rwmutex_runlock

    def lock(self, timeout=None, *, ctx=None):
        """The rlock() of its RWMutex."""
        self._take(timeout, ctx, "lock")

    def try_lock(self):
        """The try_rlock() of its RWMutex."""
        return self._of.try_rlock()

    def unlock(self):
        """The runlock() of its RWMutex."""
        self._of.runlock()


@final("gossamer.sync")
class Cond(NoCopy):
    """Cond(lock=None)

    Waits for a signal with a lock given up meanwhile: a Mutex (a new one for None), an RWMutex, or its
    reader. 'with cond:' holds the lock. Go: sync.Cond.
    """

    # Not the core's Cond: a wait may come in several slices, and its place must stay. Who waits has a channel, which
    # a signal closes.
    __slots__ = ("__weakref__", "_guard", "_lock", "_waiters")

    def __init__(self, lock=None):
        if lock is not None and not isinstance(lock, _Lock):
            raise TypeError(f"Cond() needs a Mutex, an RWMutex or its reader, not {type(lock).__name__}")
        self._lock = Mutex() if lock is None else lock
        self._guard = threading.RLock()  # of _waiters; a signal handler may come while it is held, and signal
        self._waiters = deque()

    @property
    def lock(self):
        """What it waits with. Go: Cond.L."""
        return self._lock

    def _leave(self, place):
        """True: it has been signalled."""
        with self._guard:
            try:
                self._waiters.remove(place)
            except ValueError:
                return True
            return False

    def _wait_once(self, deadline, ctx):
        """In main a signal handler may raise at any point: one try after the other, with nothing between them."""
        place, again, unlocked = _Place(), self._lock._call(), []
        e = error = None
        with self._guard:
            self._waiters.append(place)
        try:
            unlocked.extend(map(self._lock._give, (self._lock._m,)))
            if unlocked[0] == OK:
                e = wait(deadline, ctx, place.call, "sync.Cond.Wait")
        except BaseException as x:
            error = x
        while unlocked and unlocked[0] == OK:
            try:
                if again.until(slice(FOREVER)) == OK:
                    break
            except BaseException as x:
                error = x
                if again.gave == OK:
                    break
        self._woken(e, error, e == CLOSED or self._leave(place), ctx)

    def _woken(self, e, error, signalled, ctx):
        """The lock is held again. What has been signalled and raises passes the signal on."""
        if error is None:
            if signalled and e in (CLOSED, TIMEDOUT, WOULDBLOCK):
                return
            error = failed(e, ctx, "wait timed out") if e is not None else None
        if signalled:
            self.signal()
        try:
            raise error or RuntimeError("Cond.wait() without holding its lock")
        finally:
            del error

    def wait(self, timeout=None, *, ctx=None):
        """Unlocks, waits for a signal, and locks again, also when it raises. timeout in seconds raises TimeoutError;
        obeys ctx, or else the ambient context. RuntimeError when the
        lock is not held. Look at what you wait for in a loop, or use wait_for(). Go: Cond.Wait."""
        self._wait_once(deadline_of(timeout), obeyed(ctx, "wait"))

    def wait_for(self, pred, /, timeout=None, *, ctx=None):
        """wait() until pred() is true, which is called with the lock held; its value. timeout is for all of it."""
        deadline, ctx = deadline_of(timeout), obeyed(ctx, "wait_for")
        while True:
            value = pred()
            if value:
                return value
            self._wait_once(deadline, ctx)

    def signal(self):
        """Wakes the one that has waited longest. The lock may be held, but need not be. Go: Cond.Signal."""
        with self._guard:
            place = self._waiters.popleft() if self._waiters else None
        if place is not None:
            lib.gos_chan_close(place.c)

    def broadcast(self):
        """Wakes all that wait now. Go: Cond.Broadcast."""
        with self._guard:
            places, self._waiters = self._waiters, deque()
        for place in places:
            lib.gos_chan_close(place.c)

    def __enter__(self):
        self._lock._take(None, None, "lock")
        return self

    def __exit__(self, *exc):
        self._lock.unlock()


class _Place:
    __slots__ = ("c", "call")

    def __init__(self):
        self.c = new_core(0, 0)
        self.call = Call(lib.gos_chan_recv_dl, lib.gos_chan_recv_ctx, self.c, NULL)


@final("gossamer.sync")
class Once(NoCopy):
    """Once()

    Runs a function once. Go: sync.Once.
    """

    __slots__ = ("__weakref__", "_done", "_mu")

    def __init__(self):
        self._mu, self._done = Mutex(), False

    def do(self, fn, /):
        """Calls fn() the first time; later calls wait until that has returned, and do nothing. An exception
        of fn goes to the first caller only. Go: Once.Do."""
        if self._done:
            return
        if not callable(fn):
            raise TypeError(f"do() needs a callable, not {type(fn).__name__}")
        with self._mu:
            if not self._done:
                try:
                    fn()
                finally:
                    self._done = True


@final("gossamer._gossamer")
class _OnceCall(NoCopy):
    """What once_func(), once_value() and once_values() return: a callable that calls once."""

    def __init__(self, fn, gives):
        if not callable(fn):
            raise TypeError(f"a callable is needed, not {type(fn).__name__}")
        self._fn, self._gives, self._mu = fn, gives, Mutex()
        self._value = self._error = self._traceback = None

    def __call__(self, *args, **kwargs):
        if args or kwargs:
            raise TypeError("a function that is called once takes no arguments")
        if self._fn is not None:
            with self._mu:
                self._run()
        if self._error is None:
            return self._value
        # With the first call's traceback each time: it must not grow from call to call.
        raise self._error.with_traceback(self._traceback)

    def _run(self):
        if self._fn is None:
            return
        try:
            value = self._fn()
            self._value = value if self._gives else None
        except BaseException as error:
            self._error, self._traceback = error, error.__traceback__
        self._fn = None  # and what it holds: it is never needed again

    def __repr__(self):
        state = "not yet" if self._fn is not None else "failed" if self._error is not None else "done"
        return f"<function called once, {state}>"
