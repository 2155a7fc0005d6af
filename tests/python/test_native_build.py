"""What a build of C code against gossamer needs, and the page that shows one."""
# SPDX-License-Identifier: Apache-2.0

import ctypes
import os
import pathlib
import re
import subprocess
import sys
import types

import cffi
import gossamer
import native_lib
import pytest
from gossamer import native

PAGE = pathlib.Path(__file__).parents[2] / "docs/python/native.md"


def test_where_things_are():
    assert pathlib.Path(gossamer.get_include(), "gossamer.h").is_file()
    assert pathlib.Path(gossamer.get_include(), "gossamer/buffer.h").is_file()
    library = gossamer.get_library()
    assert os.path.isabs(library)
    # The one that is loaded already, not another one.
    lib = ctypes.CDLL(library)
    mapped = {line.split()[-1] for line in pathlib.Path("/proc/self/maps").read_text().splitlines() if ".so" in line}
    assert len({p for p in mapped if "libgossamer" in p}) == 1
    assert lib.gos_abi_version() == native._abi


def test_build_options():
    options = native.build_options()
    assert options["include_dirs"] == [gossamer.get_include()]
    assert gossamer.get_library() in options["extra_link_args"]
    assert any(a.startswith("-Wl,-rpath,") for a in options["extra_link_args"])
    assert "-Wl,-rpath,$ORIGIN/../gossamer" in native.build_options("$ORIGIN/../gossamer")["extra_link_args"]


@pytest.mark.parametrize("headers", [(), ("gossamer.h", "gossamer/buffer.h"), ("gossamer.h", "gossamer/net.h"), ("gossamer.h", "gossamer/host.h")])
def test_cffi_parses_the_headers_unchanged(headers):
    text = native.cdef(*headers)
    for name in headers or ("gossamer.h",):
        header = pathlib.Path(gossamer.get_include(), name).read_text()
        body = header.split("/* cdef: begin */\n")[1].split("/* cdef: end */")[0]
        assert body in text
    ffi = cffi.FFI()
    ffi.cdef(text)
    assert ffi.sizeof("gos_case") == 32
    assert ffi.typeof("gos_chan *")


def test_declarations_without_marks(tmp_path):
    header = tmp_path / "other.h"
    header.write_text("int other(void);\n")
    with pytest.raises(ValueError, match="no declarations"):
        native.cdef(str(header))
    with pytest.raises(FileNotFoundError):
        native.cdef("what.h")


def test_cffi_finds_the_functions_without_a_compiler():
    ffi = cffi.FFI()
    ffi.cdef(native.cdef("gossamer.h", "gossamer/buffer.h"))
    lib = ffi.dlopen(gossamer.get_library())
    ch = native.Chan(native.int64, 1)
    c = ffi.cast("gos_chan *", ch.pointer)
    assert lib.gos_chan_send_dl(c, ffi.new("int64_t *", 5), lib.GOS_NOW) == lib.GOS_OK
    assert lib.gos_chan_send_dl(c, ffi.new("int64_t *", 6), lib.GOS_NOW) == lib.GOS_WOULDBLOCK
    assert ch.recv() == 5
    assert lib.GOS_FOREVER == 2**63 - 1
    assert lib.gos_abi_version() == lib.GOS_ABI


def test_cffi_module():
    built = native_lib.with_cffi()
    ffi, lib = built.ffi, built.lib
    ch = native.Chan(native.int32, 2)
    c = ffi.cast("gos_chan *", ch.pointer)
    assert (lib.gos_chan_cap(c), lib.gos_chan_len(c)) == (2, 0)
    assert lib.gos_chan_send(c, ffi.new("int32_t *", 9)) == lib.GOS_OK
    assert ch.recv() == 9
    native.check(lib)
    # It works as well when it is loaded before gossamer, or without it.
    out = subprocess.run(
        [sys.executable, "-c", f"from {native_lib.MODULE} import lib; import gossamer; print(lib.gos_abi_version())"],
        cwd=native_lib.FOLDER, capture_output=True, check=True, text=True,
    )  # fmt: skip
    assert out.stdout == f"{native._abi}\n"


def test_another_abi_is_refused():
    other = types.SimpleNamespace(GOS_ABI=native._abi + 1)
    with pytest.raises(ImportError, match="compile it again"):
        native.check(other)
    native.check(types.SimpleNamespace())


def blocks():
    """(first line's file name, text) of the page's blocks: '# name' or '// name'."""
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE):
        name = re.match(r"(?:#|//) ([\w.]+)\n", text)
        yield language, name and name[1], text


def test_the_page(tmp_path):
    files = {name: text for _, name, text in blocks() if name}
    assert set(files) == {"words.c", "build_words.py", "words.py"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    for program in ("build_words.py", "words.py"):
        done = subprocess.run(
            [sys.executable, program],
            cwd=tmp_path, env=os.environ | {"CFLAGS": " ".join(native_lib.QUICK)},
            capture_output=True, check=False, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert done.stdout == next(text for language, _, text in blocks() if language == "text")
