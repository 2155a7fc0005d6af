# SPDX-License-Identifier: Apache-2.0
from types import GenericAlias
from typing import Any, Generic, Self, SupportsFloat, SupportsIndex, TypeVar, final

from typing_extensions import Buffer

from ._gossamer import Error, Goroutine, RecvChan, SendChan

__all__ = [
    "Chan",
    "Elem",
    "Panic",
    "buffer",
    "build_options",
    "cdef",
    "check",
    "float32",
    "float64",
    "get_include",
    "get_library",
    "go",
    "int32",
    "int64",
    "struct",
    "uint32",
    "uint64",
]

_S = TypeVar("_S", contravariant=True)
_R = TypeVar("_R", covariant=True)

@final
class Elem(Generic[_S, _R]):
    @property
    def size(self) -> int: ...
    def __class_getitem__(cls, item: Any, /) -> GenericAlias: ...

int32: Elem[SupportsIndex, int]
uint32: Elem[SupportsIndex, int]
int64: Elem[SupportsIndex, int]
uint64: Elem[SupportsIndex, int]
float32: Elem[SupportsFloat | SupportsIndex, float]
float64: Elem[SupportsFloat | SupportsIndex, float]
buffer: Elem[Buffer, memoryview]

def struct(format: str) -> Elem[tuple[Any, ...] | list[Any], tuple[Any, ...]]: ...

@final
class Chan(SendChan[_S], RecvChan[_R], Generic[_S, _R]):
    def __new__(cls, elem: Elem[_S, _R], cap: SupportsIndex = 0, *, name: str | None = None) -> Self: ...
    @property
    def pointer(self) -> int: ...
    @property
    def elem(self) -> Elem[_S, _R]: ...
    def sender(self) -> SendChan[_S]: ...
    def receiver(self) -> RecvChan[_R]: ...

class Panic(Error): ...

def go(fn: Any, arg: Any = None, *, name: str | None = None, stack_size: int | None = None) -> Goroutine[None]: ...
def get_include() -> str: ...
def get_library() -> str: ...
def build_options(rpath: str | None = None) -> dict[str, list[str]]: ...
def cdef(*headers: str) -> str: ...
def check(lib: Any) -> None: ...
