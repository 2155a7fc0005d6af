"""Go's golang.org/x/sync/singleflight: what many ask for at once is done once."""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from ._gossamer import Canceled, Chan, RecvChan, _Goexit, background, go, goexit
from ._map import Map

__all__ = ["Group", "Result"]

_T = TypeVar("_T")
if TYPE_CHECKING:
    from typing import ParamSpec  # Python 3.10

    _P = ParamSpec("_P")


@dataclass(frozen=True)
class Result(Generic[_T]):
    """What do_chan() sends. Go: singleflight.Result."""

    value: _T | None
    error: BaseException | None
    shared: bool  # others got it as well


class _Call:
    """A call that runs, or has run."""

    __slots__ = ("done", "error", "followers", "left", "value")

    def __init__(self) -> None:
        self.done: Chan[None] = Chan()
        self.followers = 0
        self.value: Any = None
        self.error: BaseException | None = None
        self.left = False  # by goexit()


class Group:
    """Group()

    Calls with equal keys that come while one of them runs share its result. Go: singleflight.Group.
    """

    __slots__ = ("__weakref__", "_calls")

    def __init__(self) -> None:
        self._calls: Map[Hashable, _Call] = Map()

    def _run(self, key: Hashable, call: _Call, fn: Callable[..., Any], a: Any, k: Any) -> None:
        try:
            call.value = fn(*a, **k)
        except _Goexit:
            call.left, call.error = True, Canceled("the function left by goexit()")
        except BaseException as error:
            call.error = error
        finally:
            self._calls.compare_and_delete(key, call)  # not another one: after forget() there may be one
            call.done.close()

    def _join(self, key: Hashable) -> tuple[_Call, bool]:
        call, follows = self._calls.load_or_store(key, _Call())
        call.followers += follows
        return call, follows

    def do(self, key: Hashable, fn: Callable[_P, _T], /, *a: _P.args, **k: _P.kwargs) -> tuple[_T, bool]:
        """(fn(*a, **k), shared). While a call with an equal key runs, waits for its result instead, or
        raises its exception; shared says whether several callers got it. If fn leaves by goexit(), so do all
        who wait for it. Go: Group.Do."""
        call, follows = self._join(key)
        if follows:
            call.done.recv_ok()
        else:
            self._run(key, call, fn, a, k)
        if call.left:
            goexit()
        if call.error is None:
            return cast(_T, call.value), call.followers > 0
        try:
            raise call.error
        finally:
            del call  # the exception's traceback holds this frame

    def do_chan(
        self, key: Hashable, fn: Callable[_P, _T], /, *a: _P.args, **k: _P.kwargs
    ) -> RecvChan[Result[_T]]:
        """The same in a goroutine of its own: a channel that gives one Result, also when the caller's context
        ends meanwhile. After goexit() its error is Canceled, where Go's channel never gives anything.
        Go: Group.DoChan."""
        out: Chan[Result[_T]] = Chan(1)
        call, follows = self._join(key)

        def work() -> None:  # gives one even when the ambient context has ended: only fn obeys that
            if follows:
                call.done.recv_ok(ctx=background())
            else:
                self._run(key, call, fn, a, k)
            out.try_send(Result(call.value, call.error, call.followers > 0))

        go(work)
        return out.receiver()

    def forget(self, key: Hashable) -> None:
        """The next call with this key runs its fn, even while another still runs. Go: Group.Forget."""
        self._calls.delete(key)

    def __reduce_ex__(self, protocol: Any, /) -> Any:
        raise TypeError("a singleflight.Group belongs to this process and cannot be copied or pickled")
