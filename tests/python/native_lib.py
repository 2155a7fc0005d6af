"""tests/python/native.c, compiled: by cffi as a module, and as a plain shared library for ctypes."""
# SPDX-License-Identifier: Apache-2.0

import ctypes
import importlib.util
import pathlib
import re
import subprocess
import sysconfig

import cffi
from gossamer import native

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


def with_cffi(folder, name="_native_tests"):
    ffi = cffi.FFI()
    ffi.cdef(native.cdef("gossamer.h", "gossamer/buffer.h") + prototypes())
    ffi.set_source(name, f'#include "{SOURCE}"', extra_compile_args=["-O1"], **native.build_options())
    return load(ffi.compile(tmpdir=str(folder)), name)


def with_ctypes(folder):
    options, out = native.build_options(), folder / "native.so"
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[:1]
    include = [f"-I{d}" for d in options["include_dirs"]]
    command = [*compiler, "-shared", "-fPIC", "-O1", *include, str(SOURCE), "-o", str(out), *options["extra_link_args"]]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(out))
