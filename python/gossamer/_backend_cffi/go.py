"""Goroutines, a thread of Python's each: starting them, their results, and what becomes of their exceptions.

Always true of a Goroutine:
  while it has not ended it is in `_live`, which keeps it
  result and error are set before it has ended, and that before its done channel is closed
  its thread's frames do not hold it once it has ended: an exception that nobody can collect is reported at once
"""
# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors

from __future__ import annotations

import contextvars
import os
import sys
import threading
import time
import weakref
from collections.abc import Mapping
from types import GenericAlias, MappingProxyType

from .chan import NOTHING, RecvChan, new_core, view
from .core import CLOSED, FOREVER, NULL, OK, ffi, lib
from .errors import Canceled, DeadlineExceeded, Deadlock, NoCopy, final
from .report import report_exception
from .wait import Call, ambient, deadline_of, failed, here, obeyed, running, wait

_BACKEND = os.path.dirname(sys._getframe().f_code.co_filename)
_PACKAGE = os.path.dirname(_BACKEND)
_GRACE = 1.0  # seconds in which an exception may still be collected by who holds the handle
_id_lock = threading.RLock()  # a signal handler may come while it is held, and start one
_last_id = 1  # main's
_live: dict[int, Goroutine] = {}
_ending: set[int] = set()  # they count until their exception has been reported
_uncollected: dict[int, tuple[float, weakref.ref[Goroutine]]] = {}  # the oldest first
_members: dict[int, weakref.ref[Goroutine]] = {}  # not reported while their errgroup may still be waited for
_grace_lock = threading.RLock()  # a finalizer may come while it is held
_grace_runs = False
_stack_lock = threading.RLock()
_child_of = None  # in a fork's child: the goroutine that forked


def _new_id():
    global _last_id
    with _id_lock:
        _last_id += 1
        return _last_id


def created():
    """Goroutines, ever."""
    return _last_id


class _Goexit(BaseException):
    pass


def _outside(directory, frame):
    """The innermost frame whose code is not there."""
    while frame is not None and frame.f_code.co_filename.startswith(directory + os.sep):
        frame = frame.f_back
    return frame


def site_here():
    frame = _outside(_PACKAGE, sys._getframe(1))
    if frame is None:
        return ""
    code = frame.f_code
    return f"{code.co_filename}:{frame.f_lineno} in {getattr(code, 'co_qualname', code.co_name)}"


@final("gossamer", made_by_call=False)
class Goroutine(NoCopy):
    """A goroutine, as go() returns it. Keeping it is optional: dropping it leaves the goroutine running.

    An exception that nobody collects (join, await, exception) is reported once, to stderr unless
    runtime.set_panic() says otherwise: when the goroutine ends if no handle is held, else when the handle is
    dropped, a second after the end, or when the program ends. SystemExit, Canceled and what a context that
    ended raised are not reported.
    """

    __slots__ = (
        "__weakref__",
        "_began",
        "_call",
        "_collected",
        "_creator",
        "_done",
        "_ended",
        "_error",
        "_handle",
        "_id",
        "_interrupted",
        "_labels",
        "_name",
        "_reason",
        "_result",
        "_site",
        "_thread",
        "_wg",
    )
    __class_getitem__ = classmethod(GenericAlias)

    @property
    def id(self):
        """Its number; never used twice."""
        return self._id

    @property
    def name(self):
        """From go.using(name=), else ''."""
        return self._name

    @property
    def labels(self):
        """From go.using(labels=), with those of its creator."""
        return MappingProxyType(self._labels)

    @property
    def creator(self):
        """The number of the goroutine that started it; 0: a thread."""
        return self._creator

    @property
    def site(self):
        """Where it was started: 'file:line in function'."""
        return self._site

    @property
    def done(self):
        """A channel that is closed when it has ended."""
        return self._done

    def _info(self):
        if self._ended:
            return "dead", None
        if self._thread is None:
            return "runnable", None
        handle = self._handle
        if handle is None:
            return "running", None
        info = ffi.new("gos_info *")
        lib.gos_info_get(handle, info, ffi.sizeof("gos_info"))
        if info.wait_reason == NULL:
            return "running", None
        return "waiting", self._reason or ffi.string(info.wait_reason).decode()

    @property
    def status(self):
        """'runnable', 'running', 'waiting' or 'dead'."""
        return self._info()[0]

    @property
    def wait_reason(self):
        """What it waits for, in Go's words; None unless it waits."""
        return self._info()[1]

    @property
    def _frame(self):
        if self._ended or self._thread is None:
            return None
        return _outside(_BACKEND, sys._current_frames().get(self._thread))

    def stack(self):
        """Its Python frames, outermost first, as a traceback.StackSummary; empty before it begins and after it has
        ended."""
        from ..runtime import _summary

        return _summary(self._frame)

    def join(self, timeout=None, *, ctx=None):
        """Waits until it has ended; its result, or its exception raised again. timeout in seconds (None: for
        ever) raises TimeoutError. Obeys ctx, or else the ambient context: raises its Canceled or
        DeadlineExceeded. May be called by any goroutine or thread, any number of times."""
        if running() is self:
            raise RuntimeError("a goroutine cannot join itself")
        deadline, ctx = deadline_of(timeout), obeyed(ctx, "join")
        leaving = self._id in _ending and getattr(here, "ending", None) != self._id  # its thread lets go of it
        if leaving or not self._ended or ctx is not None:
            call = Call(lib.gos_chan_recv_dl, lib.gos_chan_recv_ctx, self._done._c, NULL)
            e = wait(FOREVER if leaving else deadline, ctx, call, "join")
            if e not in (OK, CLOSED):
                raise failed(e, ctx, "join timed out")
        error = self._error
        if error is None:
            return self._result
        self._collect()
        try:
            raise error
        finally:
            del error, self  # its traceback holds this frame

    def exception(self):
        """The exception it ended with; None when it returned, or has not ended. Does not wait."""
        if self._ended and self._error is not None:
            self._collect()
            return self._error
        return None

    def _collect(self):
        self._collected = True
        _uncollected.pop(self._id, None)
        _members.pop(self._id, None)

    def interrupt(self, exc=Canceled):
        """Ends its current wait, or its next one, by raising exc there. False when it has ended already."""
        if not (isinstance(exc, type) and issubclass(exc, BaseException)):
            raise TypeError("interrupt() needs an exception class")
        if self._ended:
            return False
        self._interrupted = exc
        handle = self._handle
        if handle is not None:
            lib.gos_interrupt(handle)
        return True

    def __await__(self):
        from .._async import await_goroutine

        return await_goroutine(self)

    def __repr__(self):
        status, reason = self._info()
        name = f" [{self._name}]" if self._name else ""
        why = f" ({reason})" if reason else ""
        site = f", created at {self._site}" if self._site else ""
        return f"<Goroutine {self._id}{name}, {status}{why}{site}>"

    def __del__(self):
        if self._to_be_reported():
            _report(self)

    def _to_be_reported(self):
        return self._ended and self._error is not None and not self._collected

    def _begin_wait(self, reason):
        if self._handle is None:
            self._handle = ffi.gc(lib.gos_caller(), lib.gos_release)
        self._reason = reason


def _make(id, name="", labels=None):
    g = object.__new__(Goroutine)
    g._id, g._name, g._labels = id, name, labels or {}
    g._creator, g._site = 0, ""
    g._call = g._error = g._handle = g._interrupted = g._reason = g._result = g._thread = g._wg = None
    g._began = g._ended = g._collected = False
    g._done = view(RecvChan, new_core(0, 0), NOTHING)
    return g


# ---- what becomes of an exception ----------------------------------------------------------------
def _report(g):
    if g._to_be_reported():
        g._collect()
        report_exception(g, g._error)


def _report_older(than):
    """Those that died before then; when the next one died, None: there is none."""
    for id, (died, ref) in list(_uncollected.items()):
        if died > than:
            return died
        _uncollected.pop(id, None)
        g = ref()
        if g is not None:
            _report(g)
        del g
    return None


def report_all():
    _report_older(float("inf"))
    for g in [ref() for ref in list(_members.values())]:
        if g is not None:
            _report(g)


def _grace():
    global _grace_runs
    died = time.monotonic()
    while died is not None:
        time.sleep(max(0.0, died + _GRACE - time.monotonic()))
        with _grace_lock:
            died = _report_older(time.monotonic() - _GRACE)
            if died is None:
                _grace_runs = False


def _await_collection(g):
    global _grace_runs
    with _grace_lock:
        _uncollected[g._id] = time.monotonic(), weakref.ref(g)
        start, _grace_runs = not _grace_runs, True
    if start:
        try:
            start_thread(_grace)
        except MemoryError:  # with the next one, or at the end
            _grace_runs = False


def _asked_for(error):
    """The ways in which a goroutine ends because it was told to, or said so itself, are no news."""
    return isinstance(error, SystemExit) or (
        isinstance(error, Canceled) and (not isinstance(error, DeadlineExceeded) or error.ctx is not None)
    )


def member_began():
    """The running goroutine has begun to work for its group, which knows its exception."""
    g = running()
    if g is not None:
        g._began = True


# ---- a goroutine's life ----------------------------------------------------------------------------
def _without_own_frames(tb):
    while tb is not None and tb.tb_frame.f_code.co_filename.startswith(_BACKEND + os.sep):
        tb = tb.tb_next
    return tb


def _describe(g):
    """The thread's name and labels in the core, for those who look from outside."""
    if g._name:
        lib.gos_set_name(g._name.encode(errors="replace"))
    for key, value in g._labels.items():
        lib.gos_set_label(key.encode(errors="replace"), value.encode(errors="replace"))


def _run(box):
    try:
        g = box.pop()
    except IndexError:  # go() raised
        return
    here.g = g
    g._thread = threading.get_ident()
    _describe(g)
    g._begin_wait(None)
    fn, args, kwargs, vars = g._call
    g._call = None
    try:
        g._result = vars.run(fn, *args, **kwargs)
    except _Goexit:
        pass
    except BaseException as error:
        g._error = error.with_traceback(_without_own_frames(error.__traceback__))
        del error
    del fn, args, kwargs, vars
    if _child_of is g:
        _end_child(g)
    done, wg = g._done._c, g._wg
    lost = g._error if not g._began else None
    id = g._id
    _end(g)
    here.g, here.ending = None, id
    del g  # perhaps the last reference: reports, before who joins goes on
    _ending.discard(id)
    here.ending = None
    lib.gos_chan_close(done)
    if wg is not None:
        wg._left(lost)
    del wg, lost  # a traceback may keep this frame


def _end_child(g):
    """This is the only thread that came along with a fork() in the goroutine: the process ends with it."""
    g._ended = True
    if not _asked_for(g._error):
        _report(g)
    for f in (sys.stdout, sys.stderr):
        f.flush()
    os._exit(0 if g._error is None else 1)


def _end(g):
    g._collected = g._collected or (g._error is not None and _asked_for(g._error))
    _ending.add(g._id)
    g._ended = True
    _live.pop(g._id, None)
    lost = getattr(g._wg, "lost", None)  # of an errgroup's room
    g._handle = g._wg = None
    if not g._to_be_reported():
        return
    if lost is None:
        _await_collection(g)
    else:
        _members[g._id] = weakref.ref(g)
        lost.append(g)


def start_thread(fn, *args, name=None, stack=None):
    """fn(*args) on a thread that does not keep the program from ending. MemoryError: there can be no more."""
    thread = threading.Thread(target=fn, args=args, name=name, daemon=True)
    try:
        if stack is None:
            thread.start()
            return
        with _stack_lock:
            before = threading.stack_size(max(stack + 4095 & ~4095, 32768))
            try:
                thread.start()
            finally:
                threading.stack_size(before)
    except RuntimeError as error:
        raise MemoryError(f"starting a goroutine: {error}") from None


def spawn(fn, args, kwargs, options=None, wg=None):
    """wg: is told by _enter() and _left(its error, unless somebody else has got it), if it starts at all."""
    if not callable(fn):
        raise TypeError(f"a goroutine needs a callable, not {type(fn).__name__}")
    parent = running()
    name, labels, stack, vars = options or (None, None, None, None)
    g = _make(_new_id(), name or "", {**(parent._labels if parent else {}), **(labels or {})})
    g._creator = parent._id if parent else 0
    g._site = site_here()
    g._wg = wg
    g._call = fn, args, kwargs, (vars.copy() if vars is not None else contextvars.copy_context())
    if wg is not None:
        wg._enter()
    _live[g._id] = g
    box = [g]
    try:
        start_thread(_run, box, name=name or f"goroutine {g._id}", stack=stack)
    except BaseException:  # it could not start, or a signal handler raised, and it has perhaps
        if _emptied(box):
            g._ended = True
            _live.pop(g._id, None)
            if wg is not None:
                wg._left(None)
        raise
    return g


def _emptied(box):
    """False: the thread has taken the goroutine, and runs it."""
    try:
        box.pop()
    except IndexError:
        return False
    return True


def run_here(fn, args, vars, site):
    """The calling thread goes on as a goroutine: of a timer, or of a context that ended."""
    g = _make(_new_id())
    g._site = site
    g._call = fn, args, {}, vars.copy()
    _live[g._id] = g
    box = [g]
    del g
    _run(box)


@final("gossamer._gossamer", made_by_call=False)
class _Go:
    """go(fn, /, *args, **kwargs)

    Starts fn(*args, **kwargs) as a goroutine and returns its Goroutine. It runs in a copy of the creator's
    contextvars. As a decorator, @go starts the function. No memory raises MemoryError. Go: go fn(args).
    """

    __slots__ = ("_options",)

    def __call__(self, *args, **kwargs):
        if not args:
            raise TypeError("go() needs a callable as its first argument")
        return spawn(args[0], args[1:], kwargs, self._options)

    def using(self, name=None, labels=None, stack_size=None, vars=None):
        """go with options: go.using(name='reader')(fn, *args). labels: str to str, inherited by the goroutines it
        starts; stack_size: bytes of C stack; vars: the contextvars.Context to run in a copy of. using() of the
        result adds to these options."""
        if name is not None and not isinstance(name, str):
            raise TypeError("name must be a str or None")
        if vars is not None and not isinstance(vars, contextvars.Context):
            raise TypeError("vars must be a contextvars.Context or None")
        go = object.__new__(_Go)
        given = name, _read_labels(labels), _read_stack(stack_size), vars
        name, labels, stack, vars = (
            b if g is None else g for g, b in zip(given, self._options or (None,) * 4, strict=True)
        )
        if self._options and self._options[1]:
            labels = {**self._options[1], **labels}
        go._options = name, labels, stack, vars
        return go


def _read_labels(labels):
    if labels is None:
        return None
    if not isinstance(labels, Mapping) and not hasattr(labels, "keys"):
        raise TypeError(f"labels must be a mapping, not {type(labels).__name__}")
    labels = dict(labels)
    if not all(isinstance(x, str) for pair in labels.items() for x in pair):
        raise TypeError("labels must map str to str")
    return labels


def _read_stack(n):
    if n is None:
        return None
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError(f"stack_size must be an int of bytes, not {type(n).__name__}")
    if not 0 < n <= sys.maxsize >> 8:  # more is no address space
        raise ValueError("stack_size out of range")
    return n


main = _make(1, "main")
main._thread = threading.main_thread().ident
go = object.__new__(_Go)
go._options = None


def _in_child():
    """A fork's child keeps the goroutine that forked, which is on the main thread now."""
    global _child_of, _id_lock, _grace_lock, _stack_lock, _grace_runs
    _id_lock, _grace_lock, _stack_lock, _grace_runs = threading.RLock(), threading.RLock(), threading.RLock(), False
    me = running()
    for g in list(_live.values()):
        if g is not me:
            g._ended = g._collected = True
            del _live[g._id]
    _ending.clear()
    _child_of = me
    if me is not None:
        me._handle = None
        me._thread = threading.get_ident()


os.register_at_fork(after_in_child=_in_child)


# ---- runtime ----------------------------------------------------------------------------------------
def goroutines():
    """The goroutines that have not ended, main first."""
    return [main, *list(_live.values())]


def goexit():
    """Ends the running goroutine: it unwinds, finally and with do their work, and it returns None to those who
    join it. In the main goroutine it waits until the others have ended, and raises Deadlock then.
    Go: runtime.Goexit."""
    g = running()
    if g is None:
        raise SystemExit
    if g is not main:
        raise _Goexit
    token = ambient.set(None)
    try:
        while _live:
            next(iter(list(_live.values())))._done.recv_ok()
    finally:
        ambient.reset(token)
    error = Deadlock("all goroutines are asleep - deadlock!\n\ngoroutine 1 [main called runtime.Goexit]:\n")
    error.report = str(error)
    raise error


def _set_labels(labels, /):
    """Labels for the running goroutine and those it starts from here on; those it had. A thread has none."""
    if not isinstance(labels, dict):
        raise TypeError("labels must be a dict")
    g = running()
    if g is None:
        return {}
    before, g._labels = g._labels, dict(labels)
    return before
