"""C functions as goroutines, and channels that they share with Python's.

    squares = native.Chan(native.int64)
    native.go(lib.square, (numbers, squares))       # void square(void *), from cffi, ctypes or an address
    for n in squares: ...

A native goroutine runs on threads of the runtime's own and never has the GIL: C works while Python does. Its
function is compiled against gossamer.h; get_include(), get_library() and build_options() say how.
"""
# SPDX-License-Identifier: Apache-2.0

import operator
import os
import re
import sys
from typing import Any

from ._gossamer import Goroutine, _abi, _native_go, _native_struct
from ._gossamer import _native_buffer as buffer
from ._gossamer import _native_float32 as float32
from ._gossamer import _native_float64 as float64
from ._gossamer import _native_int32 as int32
from ._gossamer import _native_int64 as int64
from ._gossamer import _native_uint32 as uint32
from ._gossamer import _native_uint64 as uint64
from ._gossamer import _NativeChan as Chan
from ._gossamer import _NativeElem as Elem
from ._gossamer import _NativePanic as Panic
from ._installed import get_include, get_library

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

_STACK = 256 * 1024


def struct(format: str) -> "Elem[Any, Any]":
    """Elements that are C structs, tuples in Python; format as in the struct module, whose struct.error is raised.

    '@' (or nothing) lays the fields out as C does, but for the end: '0q' there pads as an int64_t member would."""
    return _native_struct(format)


# ---- goroutines ------------------------------------------------------------------------------------------


def _of_ctypes(x: Any) -> int | None:
    """The address that an object of ctypes stands for; None: it is none."""
    if "_ctypes" not in sys.modules:
        return None
    import ctypes

    functions = ctypes._CFuncPtr
    pointers = (ctypes._Pointer, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_wchar_p, functions)
    if isinstance(x, pointers) or type(x).__name__ == "CArgObject":
        return ctypes.cast(x, ctypes.c_void_p).value or 0
    return None


def _of_cffi(x: Any) -> int | None:
    backend: Any = sys.modules.get("_cffi_backend")
    if backend is None:
        return None
    lib = getattr(x, "__self__", None)
    if isinstance(lib, backend.Lib):  # lib.function, as API mode makes it
        check(lib)
        x = backend.FFI().addressof(lib, x.__name__)
    if isinstance(x, backend.FFI.CData):
        return int(backend.FFI().cast("uintptr_t", x))
    return None


def _address(x: Any) -> Any:
    """The address that a function or a pointer of ctypes or cffi stands for; x itself, if it is neither."""
    for of in (_of_ctypes, _of_cffi):
        address = of(x)
        if address is not None:
            return address
    return x


def go(fn: Any, arg: Any = None, *, name: str | None = None, stack_size: int | None = None) -> Goroutine[None]:
    """Starts fn(arg), void (*fn)(void *), as a goroutine without the GIL, and returns its Goroutine.

    fn: a function of cffi (lib.f or a function pointer) or of ctypes, or its address. arg: None; an int; a native.Chan,
    which C gets as gos_chan *; a Context, as gos_ctx * (NULL: never ends); a pointer of ctypes or cffi; what has bytes
    of its own (an array, a structure of ctypes, bytes, ...), as their address; or a tuple of such words and pointers,
    as the address of an array of them. All of it is kept alive, and where it is, until the goroutine has ended.

    join() gives None, or raises Panic if it called gos_panic(). interrupt() ends its current wait, or its next one,
    with GOS_CANCELED; no context does, unless C is given it. stack_size: bytes of C stack (256 KiB). No memory raises
    MemoryError, before fn has begun. Go: go fn(arg)."""
    address = _address(fn)
    if not isinstance(address, int) or isinstance(address, bool):
        raise TypeError(f"a native goroutine needs a C function, not {type(fn).__name__}")
    word = tuple(map(_address, arg)) if type(arg) is tuple else _address(arg)
    if name is None:
        name = getattr(fn, "__name__", "native")
    stack = _STACK if stack_size is None else operator.index(stack_size)
    return _native_go(fn, address, arg, word, name, stack, sys._getframe(1))


# ---- building against it ----------------------------------------------------------------------------------


def build_options(rpath: str | None = None) -> dict[str, list[str]]:
    """What a build of C code needs: keyword arguments of setuptools.Extension and of cffi's set_source(). rpath: where
    the linker looks for the library when the code is loaded before gossamer is; by default where it is now."""
    library = get_library()
    rpath = os.path.dirname(library) if rpath is None else rpath
    return {"include_dirs": [get_include()], "extra_link_args": [library, f"-Wl,-rpath,{rpath}"]}


def cdef(*headers: str) -> str:
    """The declarations of gossamer.h, or of the headers named ("gossamer.h", "gossamer/buffer.h", "gossamer/net.h"),
    as cffi's ffi.cdef() takes them. Those of gossamer.h have GOS_ABI, GOS_FOREVER and GOS_NOW too. The source given to
    set_source() includes the same headers."""
    return "\n".join(map(_declarations, headers or ("gossamer.h",)))


def _declarations(header: str) -> str:
    with open(os.path.join(get_include(), header), encoding="utf-8") as f:
        text = f.read()
    parts = re.findall(r"^/\* cdef: begin \*/\n(.*?)^/\* cdef: end \*/\n", text, re.DOTALL | re.MULTILINE)
    if not parts:
        raise ValueError(f"{header} has no declarations for cffi")
    if header == "gossamer.h":
        parts.append(f"#define GOS_ABI {_abi}\n#define GOS_FOREVER {2**63 - 1}\n#define GOS_NOW 0\n")
    return "".join(parts)


def check(lib: Any) -> None:
    """ImportError, unless lib, a module's lib of cffi whose declarations are from cdef(), was compiled for the
    libgossamer that this process runs. go() does it where it can."""
    abi = getattr(lib, "GOS_ABI", _abi)
    if abi != _abi:
        raise ImportError(f"{lib} was compiled for ABI {abi} of libgossamer, this one has {_abi}: compile it again")
