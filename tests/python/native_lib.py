"""tests/python/native.c, compiled once: by cffi as a module, and as a plain shared library for ctypes."""
# SPDX-License-Identifier: Apache-2.0

import ctypes
import functools
import importlib.util
import pathlib
import re
import subprocess
import sysconfig
import tempfile

import cffi
from gossamer import native

# The wrappers of a module of cffi are many: no time is spent on making them good.
QUICK = ["-O0", "-g0"]
MODULE = "_native_tests"

_folder = tempfile.TemporaryDirectory(prefix="gossamer-native-")
FOLDER = pathlib.Path(_folder.name)
SOURCE = pathlib.Path(__file__).with_name("native.c")


def prototypes():
    """Of the functions that are not static."""
    found = re.findall(r"^(?:void|int) \w+\((?:void \*arg|void)\)(?= \{)", SOURCE.read_text(), re.MULTILINE)
    assert len(found) > 20
    return "".join(f"{p};\n" for p in found)


def load(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.cache
def with_cffi():
    ffi = cffi.FFI()
    ffi.cdef(native.cdef("gossamer.h", "gossamer/buffer.h") + prototypes())
    ffi.set_source(MODULE, f'#include "{SOURCE}"', extra_compile_args=QUICK, **native.build_options())
    return load(ffi.compile(tmpdir=str(FOLDER)), MODULE)


@functools.cache
def with_ctypes():
    options, out = native.build_options(), FOLDER / "native.so"
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[:1]
    include = [f"-I{d}" for d in options["include_dirs"]]
    command = [*compiler, "-shared", "-fPIC", "-O1", *include, str(SOURCE), "-o", str(out), *options["extra_link_args"]]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(out))
