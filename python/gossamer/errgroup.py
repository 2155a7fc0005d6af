"""Go's golang.org/x/sync/errgroup: goroutines that work on one thing, given up together."""
# SPDX-License-Identifier: Apache-2.0

import builtins

from . import context
from ._gossamer import _adopt, _Goexit, _origin, _reset_ambient, _Room, _set_ambient

__all__ = ["Group", "map"]


class Group:
    """Goroutines that work on one thing. The first error cancels ctx, which is their ambient context.

    with Group() as g:
        for url in urls:
            g.go(fetch, url)

    At most limit of them run at a time (None: any number). parent (None: context.current()) is the parent of
    ctx. wait() and leaving the 'with' raise the first error, with a note "2 more errors" when there were more;
    with errors="all" always an ExceptionGroup (BaseExceptionGroup) of them all. That one was canceled with the
    group is no error; when nothing else went wrong but a context above the group ended, its Canceled is raised.
    What nobody waited for is reported when the group is gone, or at the end. Go: errgroup.WithContext.
    """

    def __init__(self, limit=None, *, errors="first", parent=None):
        if errors not in ("first", "all"):
            raise ValueError(f'errors must be "first" or "all", not {errors!r}')
        if errors == "all" and not hasattr(builtins, "BaseExceptionGroup"):
            raise NotImplementedError('errors="all" needs the exception groups of Python 3.11')
        self._all = errors == "all"
        self._room = _Room()
        self._room.set_limit(limit)
        self._errors = []
        self._canceled = None
        self._noted = False
        self._tokens = []
        self.ctx = context.with_cancel(parent)

    def go(self, fn, /, *args, **kwargs):
        """Runs fn(*args, **kwargs) in a goroutine, whose exception is the group's. Waits while as many run as
        the limit allows; obeys the ambient context then. Go: Group.Go."""
        return self._room.go(self._run, _callable(fn), args, kwargs)

    def try_go(self, fn, /, *args, **kwargs):
        """The same, but None instead of waiting. Go: Group.TryGo."""
        return self._room.try_go(self._run, _callable(fn), args, kwargs)

    def set_limit(self, n):
        """At most n at a time; None or negative: any number; 0: none. RuntimeError while some run."""
        self._room.set_limit(n)

    def wait(self, timeout=None, *, ctx=None):
        """Waits until all have ended, cancels ctx, and raises what went wrong. timeout in seconds raises
        TimeoutError; obeys ctx, or else the ambient context. Go: Group.Wait."""
        error = self._end(self._room.wait(timeout, ctx=ctx))
        if error is not None:
            try:
                raise error
            finally:
                del error  # or it and this frame's would keep one another alive

    def __enter__(self):
        self._tokens.append(_set_ambient(self.ctx))
        return self

    def __exit__(self, type, value, traceback):
        _reset_ambient(self._tokens.pop())
        if value is not None:
            self._failed(value)
        error = self._end(self._wait_for_all())
        if error is None:
            return value is not None  # the group's own Canceled
        if error is value:
            return False
        before = error.__context__
        try:
            raise error
        finally:
            error.__context__ = before  # the Canceled that the error itself led to explains nothing
            del error, value, before

    def __reduce_ex__(self, protocol):
        raise TypeError("a Group belongs to this process and cannot be copied or pickled; make another one")

    def __copy__(self):
        return self.__reduce_ex__(2)

    def __deepcopy__(self, memo):
        return self.__reduce_ex__(2)

    def _run(self, fn, args, kwargs):
        _adopt(self.ctx)
        try:
            return fn(*args, **kwargs)
        except _Goexit:
            raise  # an end, but no error
        except BaseException as e:
            self._failed(e)
            del self, fn, args, kwargs  # its traceback holds this frame, and would keep the group
            raise

    def _failed(self, e):
        of = _origin(e)
        if of is not None and of is _origin(self.ctx):
            if of is not self.ctx and self._canceled is None:
                self._canceled = e
            return
        self._errors.append(e)
        self.ctx.cancel(e)  # only the first one counts

    def _wait_for_all(self):
        """Nobody is left behind; a second KeyboardInterrupt does not wait for them."""
        try:
            return self._room.wait(ctx=context.background())
        except BaseException as e:
            self._failed(e)
            return self._room.wait(ctx=context.background())

    def _end(self, unstarted):
        """What wait() has to raise, if anything."""
        if unstarted is not None and not any(e is unstarted for e in self._errors):
            self._failed(unstarted)
        self.ctx.cancel()
        errors = self._errors
        if not errors:
            return self._canceled
        if self._all:
            return BaseExceptionGroup("goroutines of the group failed", errors)
        first = next((e for e in errors if isinstance(e, (KeyboardInterrupt, SystemExit))), errors[0])
        more = len(errors) - 1
        if more and not self._noted and hasattr(first, "add_note"):  # Python 3.11
            self._noted = True
            first.add_note(f"{more} more error{'s' if more > 1 else ''} in the group")
        return first


def _callable(fn):
    if not callable(fn):
        raise TypeError(f"go() needs a callable, not {type(fn).__name__}")
    return fn


def map(fn, it, *, limit=None):
    """[fn(x) for x in it], each call in a goroutine, at most limit at a time. The results are in the order of
    it. The first error cancels the others and is raised."""
    results, missing = [], object()

    def call(at, x):
        results[at] = fn(x)

    with Group(limit) as g:
        for at, x in enumerate(it):
            results.append(missing)
            if g.ctx.err():
                break
            g.go(call, at, x)
    if any(r is missing for r in results):
        raise g.ctx.err()  # fn canceled it, or one above ended
    return results
