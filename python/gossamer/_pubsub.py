"""Senders that never wait: values go where there is room (gossamer.patterns)."""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Hashable, Iterator
from threading import Lock  # a Mutex would obey a context that has ended
from typing import Any, Generic, TypeVar

from . import atomic
from ._gossamer import Chan, ChanClosed, Context, RecvChan
from ._late import Closing

_T = TypeVar("_T")
_NONE: Any = object()


class _Receiving(Closing, Generic[_T]):
    """The receiving side of a channel of its own."""

    def __init__(self, cap: int) -> None:
        if cap < 1:
            raise ValueError("it needs room for a value")
        self._ch: Chan[_T] = Chan(cap)
        self._dropped = atomic.Int()

    def recv(self, timeout: float | None = None, *, ctx: Context | None = None) -> _T:
        """As a channel's."""
        return self._ch.recv(timeout, ctx=ctx)

    def receiver(self) -> RecvChan[_T]:
        """The channel itself, for select()."""
        return self._ch.receiver()

    @property
    def dropped(self) -> int:
        """How many values were lost because there was no room."""
        return self._dropped.load()

    @property
    def closed(self) -> bool:
        return self._ch.closed

    def close(self) -> bool:
        """What is there can still be received. True for the call that closed it."""
        return self._ch.close()

    def __iter__(self) -> Iterator[_T]:
        return iter(self._ch)

    def __len__(self) -> int:
        return len(self._ch)

    def __bool__(self) -> bool:
        return True


class Ring(_Receiving[_T]):
    """A channel with room for n values whose send() never waits: where there is no room the oldest value goes."""

    def __init__(self, n: int) -> None:
        super().__init__(n)

    @property
    def cap(self) -> int:
        return self._ch.cap

    def send(self, v: _T) -> bool:
        """False: an older value went for it. ChanClosed as a channel's."""
        whole = True
        while not self._ch.try_send(v):
            if self._ch.try_recv(_NONE) is not _NONE:
                self._dropped.add(1)
                whole = False
        return whole


class Subscription(_Receiving[_T]):
    """What is published about a topic, until it is closed. When it is full, what comes is dropped."""

    def __init__(self, owner: PubSub, topic: Hashable, cap: int) -> None:
        super().__init__(cap)
        self._owner, self.topic = owner, topic

    def close(self) -> bool:
        self._owner._forget(self)
        return super().close()

    def _offer(self, v: _T) -> bool:
        try:
            if self._ch.try_send(v):
                return True
        except ChanClosed:
            return False
        self._dropped.add(1)
        return False


class PubSub(Closing):
    """Values by topic, to everybody who has subscribed. publish() never waits."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._topics: dict[Hashable, list[Subscription[Any]]] = {}
        self._closed = False

    def subscribe(self, topic: Hashable, cap: int = 16) -> Subscription[Any]:
        """cap: how many values it may be behind."""
        s: Subscription[Any] = Subscription(self, topic, cap)
        with self._lock:
            if self._closed:
                raise ChanClosed("the PubSub is closed")
            self._topics.setdefault(topic, []).append(s)
        return s

    def publish(self, topic: Hashable, v: object) -> int:
        """How many have got it: those who had room."""
        with self._lock:
            if self._closed:
                raise ChanClosed("the PubSub is closed")
            subscribers = list(self._topics.get(topic, ()))
        return sum(s._offer(v) for s in subscribers)

    def _forget(self, s: Subscription[Any]) -> None:
        with self._lock:
            others = [o for o in self._topics.get(s.topic, ()) if o is not s]
            if others:
                self._topics[s.topic] = others
            else:
                self._topics.pop(s.topic, None)

    def close(self) -> None:
        """Of all subscriptions; what is there can still be received."""
        with self._lock:
            self._closed = True
            subscribers = [s for of_topic in self._topics.values() for s in of_topic]
        for s in subscribers:
            s.close()
