"""python -m gossamer ps and bench: other processes, of Python, Lua and C, looked at from outside.

A target says "ready" once its goroutines are where they shall be, and then waits to be killed.
"""
# SPDX-License-Identifier: Apache-2.0

import ctypes
import dis
import functools
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading

import gossamer
import pytest
from gossamer._commands import _elf, _goroutines, _memory, _sites, bench
from gossamer._commands import ps as ps_command

CPYTHON = platform.python_implementation() == "CPython"
ROOT = pathlib.Path(__file__).parents[2]
LIMIT = 60
# Where Yama restricts who may look at whom, the targets permit it to anybody; that outlives the exec.
AS = "import ctypes, os, sys; ctypes.CDLL(None).prctl({}, 0, 0, 0); os.execvp(sys.argv[1], sys.argv[1:])"
PERMITS = AS.format("0x59616d61, ctypes.c_long(-1)")
# Likewise: a process without the right to look at others, whoever it runs as.
POWERLESS = AS.format("24, 19")

needs_c_backend = pytest.mark.skipif(not CPYTHON, reason="a target with the C extension")
needs_compiler = pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler")


# ---- targets -----------------------------------------------------------------------------------------------
class Target:
    """A process that is ready; ended with the block."""

    def __init__(self, *command, env=()):
        self.process = subprocess.Popen(
            [sys.executable, "-c", PERMITS, *map(str, command)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **dict(env)},
        )
        self.pid = self.process.pid
        line = self.process.stdout.readline()
        if line != "ready\n":
            self.process.kill()
            raise AssertionError(f"{line!r} instead of 'ready'")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.kill()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


WAITS = "print('ready', flush=True); input()"
SETTLED = """
import sys
from gossamer import *
from gossamer import runtime, sync

def ready(*goroutines):
    while any(g.status != "waiting" for g in goroutines):
        runtime.gosched()
    print("ready", flush=True)
    sys.stdin.read()
"""


def python(source, backend="c"):
    return Target(sys.executable, "-c", SETTLED + textwrap.dedent(source), env={"GOSSAMER_BACKEND": backend})


def compiler(*args):
    subprocess.run(["cc", *map(str, args)], check=True, capture_output=True, text=True)


def linked(library):
    return [library, f"-Wl,-rpath,{os.path.dirname(library)}"]


PARKED = r"""
#include <gossamer.h>
#include <stdio.h>
#include <string.h>

static gos_chan *c;
static gos_mutex m;
static void receives(void *arg) {
  gos_set_name("reader");
  gos_set_label("tenant", "blue");
  gos_chan_recv(c, arg);
}
static void sleeps(void *arg) {
  (void)arg;
  gos_lock_os_thread();
  gos_sleep(3600000000000);
}
static void locks(void *arg) {
  (void)arg;
  gos_mutex_lock(&m);
}
static int parked(const gos_info *i, void *n) { return *(int *)n += i->wait_reason != NULL, 0; }

int main(void) {
  int n = 0;
  gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = 1});
  c = gos_chan_make(0, 0);
  gos_mutex_lock(&m);
  gos_go(receives, NULL);
  gos_go(sleeps, NULL);
  gos_go(locks, NULL);
  while (n < 3) gos_gosched(), n = 0, gos_foreach(parked, &n);
  FREEZE
  puts("ready");
  fflush(stdout);
  getchar();
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("commands")


def c_program(path, library, *options, freeze=""):
    path.with_suffix(".c").write_text(PARKED.replace("FREEZE", freeze))
    compiler("-O1", *options, f"-I{gossamer.get_include()}", path.with_suffix(".c"), "-o", path, *linked(str(library)))
    return path


@pytest.fixture(scope="module")
def parked_c(folder):
    return c_program(folder / "parked", gossamer.get_library())


@pytest.fixture(scope="module")
def lua(folder):
    """The environment for lua5.4 with this tree's module, which shares the package's library."""
    if not shutil.which("lua5.4"):
        pytest.skip("there is no lua5.4")
    found = subprocess.run(["pkg-config", "--cflags", "lua5.4"], check=False, capture_output=True, text=True)
    if found.returncode:
        pytest.skip("Lua's headers are not there")
    source = ROOT / "bindings" / "lua"
    (folder / "lua" / "gossamer").mkdir(parents=True)
    compiler(
        "-shared", "-fPIC", "-O0", "-D_GNU_SOURCE", "-ftls-model=initial-exec", *found.stdout.split(),
        f"-I{gossamer.get_include()}", *source.glob("*.c"), "-o", folder / "lua/gossamer/native.so",
        *linked(gossamer.get_library()),
    )  # fmt: skip
    here = ROOT / "lua"
    return {"LUA_PATH": f"{here}/?.lua;{here}/?/init.lua;;", "LUA_CPATH": f"{folder}/lua/?.so;;"}


# ---- the command -------------------------------------------------------------------------------------------
def command(*args, before=()):
    done = subprocess.run(
        [*before, sys.executable, "-m", "gossamer", *map(str, args)],
        capture_output=True, text=True, check=False, timeout=LIMIT,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done


def ps(pid, *options):
    done = command("ps", pid, *options)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def rows(pid, *options):
    """The lines below the head, without the padding."""
    return [re.sub(r"  +", "  ", line.strip()) for line in ps(pid, *options).splitlines()[1:]]


def refused(*args, before=()):
    done = command(*args, before=before)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("python -m gossamer: ")
    return done.stderr.removeprefix("python -m gossamer: ").rstrip("\n")


def misused(*args):
    done = command(*args)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


def test_help():
    done = command("--help")
    assert done.returncode == 0
    assert "list the goroutines of a running process" in done.stdout
    assert "beside asyncio" in " ".join(done.stdout.split())
    for name in ("ps", "bench"):
        assert command(name, "--help").returncode == 0


def test_usage():
    assert "COMMAND" in misused()
    assert "invalid choice: 'nothing'" in misused("nothing")
    assert "PID" in misused("ps")
    for bad in ("x", "0", "+1", "1.5", "²", str(1 << 31)):
        assert f"not a process's number: {bad!r}" in misused("ps", bad)
    assert "not allowed with" in misused("ps", "--json", "--fold", "1")


# ---- Python ---------------------------------------------------------------------------------------------------
@needs_c_backend
def test_python():
    with python("""
        ch, m = Chan(), sync.Mutex()
        m.lock()
        def worker():
            ch.recv()
        class Größe:
            def start(self):
                return go.using(name="reader", labels={"tenant": "blue", "a": "b"})(worker)
        def child():
            with runtime.lock_os_thread():
                sleep(3600)
        def parent():
            g = go(child)
            m.lock()
        g = Größe().start()
        h = go.using(labels={"x": "y"})(
            parent)
        ready(g, h, *runtime.goroutines()[1:])
    """) as target:  # fmt: skip
        head, *_ = ps(target.pid).splitlines()
        assert head.split() == ["ID", "NAME", "STATE", "LABELS", "CREATED"]
        assert rows(target.pid) == [
            "1  (main)  running  -  -",
            '2  reader  chan receive  a:"b", tenant:"blue"  by 1 at <string>:18 in Größe.start',
            '3  -  sync.Mutex.Lock  x:"y"  by 1 at <string>:26 in <module>',
            '4  -  sleep, locked to thread  x:"y"  by 3 at <string>:23 in parent',
        ]


@needs_c_backend
def test_json():
    with python("""
        ch = Chan()
        g = go.using(name="reader", labels={"tenant": "blue"})(ch.recv)
        ready(g)
    """) as target:  # fmt: skip
        told = json.loads(ps(target.pid, "--json"))
    assert told["pid"] == target.pid
    main, reader = told["goroutines"]
    assert main["main"]
    assert main["status"] == "running"
    assert main["wait_reason"] is None
    assert reader.pop("waited") >= 0
    assert reader == {
        "id": 2, "name": "reader", "status": "waiting", "wait_reason": "chan receive", "main": False, "locked": False,
        "frozen": False, "language": "Python", "creator": 1, "created": "<string>:13 in <module>",
        "labels": {"tenant": "blue"}, "thread": None,
    }  # fmt: skip


@needs_c_backend
def test_main_waits_and_timers():
    """What a timer and a context start has a place, too; main's wait is one like others'."""
    with python("""
        from gossamer import context
        ch = Chan()
        after_func(0.0, ch.recv)
        ctx = context.with_cancel()
        context.after_func(ctx, ch.recv)
        ctx.cancel()
        def tell():
            def settled():
                return all(g.status == "waiting" for g in runtime.goroutines() if g.name != "tells")
            while runtime.num_goroutine() < 4 or not settled():
                runtime.gosched()
            print("ready", flush=True)
            sys.stdin.read()
        go.using(name="tells")(tell)
        ch.recv()
    """) as target:  # fmt: skip
        told = rows(target.pid)
    assert told[0] == "1  (main)  chan receive  -  -"
    sites = [g.rpartition(" at ")[2] for g in told[1:]]
    assert sorted(sites) == ["<string>:14 in <module>", "<string>:16 in <module>", "<string>:25 in <module>"]


@needs_c_backend
def test_names_from_anywhere(tmp_path):
    """Paths, functions and names with letters of any width; what a terminal would obey is spelled out."""
    script = tmp_path / "päth λ 𝄞.py"
    named = 'ch = Chan()\ng = go.using(name="a\\x1b[31m\\nb")(ch.recv)\nready(g)\n'
    script.write_text(SETTLED + named, encoding="utf-8")
    with Target(sys.executable, script, env={"GOSSAMER_BACKEND": "c"}) as target:
        assert rows(target.pid)[1] == f"2  a\\x1b[31m\\nb  chan receive  -  by 1 at {script}:12 in <module>"


@needs_c_backend
def test_threads():
    """A thread of the program is there while it waits in a call."""
    with python("""
        import threading
        ch = Chan()
        t = threading.Thread(target=ch.recv, daemon=True)
        t.start()
        while t.native_id is None:
            pass
        print(t.native_id, file=sys.stderr)
        ready()
    """) as target:  # fmt: skip
        while not (found := [r for r in rows(target.pid) if r.startswith("-")]):
            pass  # until it has come there
    assert len(found) == 1
    assert re.fullmatch(r"-  -  chan receive, thread \d+  -  -", found[0])


@needs_c_backend
def test_fold():
    with python("""
        ch = Chan()
        gs = []
        for _ in range(1000): gs.append(go(ch.recv))
        gs.append(go(sleep, 3600))
        ready(*gs)
    """) as target:  # fmt: skip
        assert len(rows(target.pid)) == 1002
        head, *_ = ps(target.pid, "--fold").splitlines()
        assert head.split() == ["COUNT", "NAME", "STATE", "LABELS", "CREATED"]
        assert rows(target.pid, "--fold") == [
            "1000  -  chan receive  -  by 1 at <string>:14 in <module>",
            "1  (main)  running  -  -",
            "1  -  sleep  -  by 1 at <string>:15 in <module>",
        ]


def test_state_in_words():
    g = functools.partial(
        _goroutines.Goroutine, 7, "", "waiting", "chan receive", main=False, language="C", creator=0, created=""
    )
    state = ps_command._state
    assert state(g(59.0, locked=False, frozen=False), 59.0) == "chan receive"
    assert state(g(725.0, locked=False, frozen=False), 725.0) == "chan receive, 12 minutes"
    assert state(g(60.0, locked=True, frozen=True), 60.0) == "chan receive, 1 minutes, locked to thread, frozen"
    old, young = g(725.0, locked=False, frozen=False), g(1.0, locked=False, frozen=False)
    assert ps_command._folded([young, old, young])[1][:3] == ["3", "", "chan receive, 12 minutes"]


@needs_c_backend
def test_busy():
    """Goroutines that come and go while they are read: whatever is told of one is true of that one."""
    with python("""
        def ends(d):
            sleep(d)
        def spawns(n):
            while True:
                name = str(n)
                go.using(name=name, labels={"n": name, "x": "y" * (n % 50)})(ends, n % 3 * 1e-4).join()
                n += 4
        for n in range(4):
            go.using(name="spawns")(spawns, n)
        while runtime.stats().created < 100:
            runtime.gosched()
        print("ready", flush=True)
        sleep(3600)
    """) as target:  # fmt: skip
        names = set()
        for _ in range(300):
            found = _goroutines.goroutines(target.pid)
            assert [g.id for g in found] == sorted({g.id for g in found})
            assert found[0].main
            for g in found[1:]:
                if g.name == "spawns":
                    assert (g.created, g.creator, g.labels) == ("<string>:20 in <module>", 1, {})
                    continue
                assert g.created == "<string>:17 in spawns"
                assert 2 <= g.creator <= 5
                names.add(g.name)
                if len(g.labels) == 2:  # it has begun
                    assert g.labels == {"n": g.name, "x": "y" * (int(g.name) % 50)}
        assert len(names) > 10
        for _ in range(5):
            assert len(rows(target.pid)) >= 5


@pytest.mark.skipif(not CPYTHON, reason="CPython's tables")
def test_lines():
    """The reader of CPython's tables of lines agrees with CPython."""

    def codes(code):
        yield code
        for c in code.co_consts:
            if hasattr(c, "co_code"):
                yield from codes(c)

    n = 0
    for module in (dis, json, subprocess, threading, textwrap):
        source = pathlib.Path(module.__file__).read_text(encoding="utf-8")
        for code in codes(compile(source, module.__file__, "exec")):
            for lo, hi, line in code.co_lines():
                if line is not None:
                    for lasti in (lo, hi - 2):
                        assert _sites.python_line(code.co_linetable, code.co_firstlineno, lasti) == line
                        n += 1
    assert n > 5000


# ---- the other backend, and the other languages ---------------------------------------------------------------
@pytest.mark.skipif(gossamer.backend != "cffi" and not CPYTHON, reason="no cffi")
def test_threads_of_the_other_backend():
    pytest.importorskip("_cffi_backend")
    with python("ready(go.using(name='reader', labels={'a': 'b'})(Chan().recv))", backend="cffi") as target:
        while not (found := [r for r in rows(target.pid) if "reader" in r and "chan receive" in r]):
            pass  # until it has come there
    assert re.fullmatch(r'-  reader  chan receive, thread \d+  a:"b"  -', found[0])


def test_lua(lua, folder):
    script = folder / "parked.lua"
    script.write_text(
        textwrap.dedent("""
            local gos = require "gossamer"
            local ch, m = gos.chan(), gos.mutex()
            m:lock()
            local gs = {
              gos.go{ function() ch:recv() end, name = "reader", labels = { tenant = "blue" } },
              gos.go(function() gos.sleep(3600) end),
              gos.go(function() m:lock() end),
            }
            for _, g in ipairs(gs) do
              while g:status() ~= "waiting" do gos.gosched() end
            end
            print("ready") io.stdout:flush()
            io.read()
        """)
    )
    with Target("lua5.4", script, env=lua) as target:
        name = str(script) if len(str(script)) < 59 else "..." + str(script)[-56:]  # LUA_IDSIZE
        assert rows(target.pid) == [
            "1  (main)  running  -  -",
            f'2  reader  chan receive  tenant:"blue"  by 1 at {name}:6',
            f"3  -  sleep  -  by 1 at {name}:7",
            f"4  -  sync.Mutex.Lock  -  by 1 at {name}:8",
        ]
        told = json.loads(ps(target.pid, "--json"))["goroutines"]
        assert {g["language"] for g in told} == {"lua"}


C_ROWS = [
    r"1  \(main\)  running  -  -",
    r'2  reader  chan receive  tenant:"blue"  by 1 at SITE',
    r"3  -  sleep, locked to thread  -  by 1 at SITE",
    r"4  -  sync\.Mutex\.Lock  -  by 1 at SITE",
]


def matches(told, site, expected=tuple(C_ROWS)):
    assert len(told) == len(expected), told
    for line, pattern in zip(told, expected):
        assert re.fullmatch(pattern.replace("SITE", site), line), line


@needs_compiler
def test_c(parked_c, folder):
    with Target(parked_c) as target:
        matches(rows(target.pid), r"main\+0x[0-9a-f]+")
    stripped = folder / "stripped"
    include, library = f"-I{gossamer.get_include()}", linked(gossamer.get_library())
    compiler("-O1", "-s", include, folder / "parked.c", "-o", stripped, *library)
    with Target(stripped) as target:
        matches(rows(target.pid), r"stripped\+0x[0-9a-f]+")


@needs_compiler
def test_replaced_and_stripped_library(folder):
    """An upgrade has removed the file that the process runs, and strip what a shared library can do without."""
    library = folder / "private" / "libgossamer.so.0"
    library.parent.mkdir()
    shutil.copy(gossamer.get_library(), library)
    subprocess.run(["strip", library], check=True)
    with Target(c_program(folder / "private" / "program", library)) as target:
        matches(rows(target.pid), r"main\+0x[0-9a-f]+")
        for gone in (library, folder / "private" / "program"):
            gone.unlink()
            gone.write_bytes(b"another")
        matches(rows(target.pid), r"(main|program)\+0x[0-9a-f]+")


@needs_compiler
def test_frozen(folder):
    freeze = 'int e; while ((e = gos_freeze(0)) == 0) gos_gosched(); if (e < 0) puts("unfrozen");'
    try:
        target = Target(c_program(folder / "frozen", gossamer.get_library(), freeze=freeze))
    except AssertionError as e:
        if "unfrozen" not in str(e):
            raise
        pytest.skip("this kernel cannot freeze stacks")
    with target:
        states = [row.split("  ")[2] for row in rows(target.pid)]
    assert "chan receive, frozen" in states
    assert states[0] == "running"


# ---- refusals ------------------------------------------------------------------------------------------------------
def test_no_such_process():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    assert refused("ps", ended.pid) == f"process {ended.pid} has no memory: it has ended, or is the kernel's"
    ended.wait()
    assert refused("ps", ended.pid) == f"there is no process {ended.pid}"


def test_it_ends_meanwhile():
    with Target(sys.executable, "-c", WAITS) as target, _memory.Memory(target.pid) as memory:
        assert memory.alive()
        at = memory.mappings[0].lo
        assert len(memory.read(at, 8)) == 8
        target.process.kill()
        target.process.wait()
        assert not memory.alive()
        with pytest.raises(_memory.Changed):
            memory.read(at, 8)


def test_memory_that_is_not_there():
    with _memory.Memory(os.getpid()) as memory:
        for at in (0, 1 << 47, (1 << 64) - 8, 1 << 70):
            with pytest.raises(_memory.Changed):
                memory.read(at, 8)
        buffer = ctypes.create_string_buffer(b"x" * 100 + b"\0")
        assert memory.text(ctypes.addressof(buffer), 200) == b"x" * 100
        with pytest.raises(_memory.Changed):
            memory.text(ctypes.addressof(buffer), 50)


def test_without_gossamer():
    with Target(sys.executable, "-c", WAITS) as target:
        assert refused("ps", target.pid) == f"process {target.pid} has no gossamer: no libgossamer.so is loaded there"


@needs_c_backend
def test_not_used_yet():
    with Target(sys.executable, "-c", "import gossamer; " + WAITS, env={"GOSSAMER_BACKEND": "c"}) as target:
        reason = "has no goroutines: gossamer is loaded there, and was not used yet"
        assert refused("ps", target.pid) == f"process {target.pid} {reason}"


def test_not_permitted():
    with Target(sys.executable, "-c", "import ctypes; ctypes.CDLL(None).prctl(4, 0); " + WAITS) as target:
        said = refused("ps", target.pid, before=(sys.executable, "-c", POWERLESS))
    assert said.startswith(f"not permitted to read process {target.pid}: it takes root, or its user")
    assert "ptrace" in said.lower()


@pytest.mark.parametrize(
    ("scope", "advice"),
    [("0", "--cap-add=SYS_PTRACE"), ("1", "is 0: try sudo"), ("2", "is 0: try sudo"), ("3", "until the machine restarts")],
)
def test_advice(monkeypatch, scope, advice):
    monkeypatch.setattr(_memory, "_scope", lambda: scope)
    assert advice in _memory._forbidden(7)


LOADS = "import ctypes, sys; ctypes.CDLL(sys.argv[1]); " + WAITS


def loads(library):
    return Target(sys.executable, "-c", LOADS, library)


@needs_compiler
def test_other_versions(folder):
    """A library from before the table, and one whose table is another."""
    old, new = folder / "old" / "libgossamer.so.0", folder / "new" / "libgossamer-1234.so.9"
    table = 'const struct { char name[24]; unsigned long v; } gos_debug_layout[2] = {{"g.id", 8}};'
    for path, text in ((old, "int gos_dump;"), (new, table)):
        path.parent.mkdir()
        path.with_suffix(".c").write_text(text)
        compiler("-shared", "-fPIC", path.with_suffix(".c"), "-o", path)
    with loads(old) as target:
        assert refused("ps", target.pid) == (
            f"{old} of process {target.pid} is too old to tell of its goroutines: it has no gos_debug_layout"
        )
    with loads(new) as target:
        said = refused("ps", target.pid)
    version = rf"the libgossamer of process {target.pid} is another version: its layout lacks '\w+(\.\w+)?'"
    assert re.fullmatch(version, said)


MAPS = """
import mmap, sys
with open(sys.argv[1], "rb") as f:
    m = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
print("ready", flush=True)
input()
"""


@pytest.mark.parametrize("kind", [b"\x01\x01", b"\x02\x02"])
def test_other_machines(tmp_path, kind):
    library = tmp_path / "libgossamer.so.0"
    library.write_bytes(b"\x7fELF" + kind + bytes(4090))
    with Target(sys.executable, "-c", MAPS, library) as target:
        said = refused("ps", target.pid)
    assert said.startswith(f"{library} of process {target.pid} is a program of 32 bits, or big-endian")


def test_emulated(monkeypatch):
    monkeypatch.setattr(_goroutines, "_own_machine", lambda pid: 243)
    with loads(gossamer.get_library()) as target, pytest.raises(_memory.Refused, match="is an emulator that runs"):
        _goroutines.goroutines(target.pid)


@pytest.mark.parametrize("junk", [b"", b"junk", b"\x7fELF\x02\x01" + b"\xff" * 4090, b"\x7fELF\x02\x01" + bytes(4090)])
def test_damaged_libraries(tmp_path, junk):
    library = tmp_path / "libgossamer.so.0"
    library.write_bytes(junk.ljust(4096, b"\0"))
    with Target(sys.executable, "-c", MAPS, library) as target:
        assert "has no gossamer" in refused("ps", target.pid)
    with _memory.Memory(os.getpid()) as memory:
        inode = library.stat().st_ino
        assert _elf.names(os.getpid(), _memory.Mapping(0, 4096, 0, inode, str(library))) == []
        assert memory.mapping(0) is None


def test_nobody_reads(parked_c):
    """A pipe that is closed: no word about it."""
    r, w = os.pipe()
    os.close(r)
    with Target(parked_c) as target:
        done = subprocess.run(
            [sys.executable, "-m", "gossamer", "ps", str(target.pid)],
            stdout=w, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    os.close(w)
    assert (done.returncode, done.stderr) == (0, "")


@needs_compiler
def test_the_target_goes_on(parked_c):
    """It is not stopped, and its goroutines are not disturbed: it ends as it would have."""
    with Target(parked_c) as target:
        for _ in range(20):
            _goroutines.goroutines(target.pid)
        assert pathlib.Path(f"/proc/{target.pid}/status").read_text().partition("TracerPid:\t")[2].startswith("0\n")
        target.process.stdin.write("\n")
        target.process.stdin.flush()
        assert target.process.wait(LIMIT) != -signal.SIGKILL


# ---- bench -----------------------------------------------------------------------------------------------------------
NAMES = ["yield", "spawn_join", "stream", "buffered", "pingpong", "select_2", "mutex"]
LINE = r"(\w+) +\S.*\S +[\d.,]+ +[\d.,]+ +[\d.e+-]+"


def test_bench():
    done = command("bench", "--rounds", "1")
    assert (done.returncode, done.stderr) == (0, "")
    versions, head, *lines = done.stdout.splitlines()
    assert versions == (
        f"gossamer {gossamer.__version__}, backend {gossamer.backend}; {platform.python_implementation()} "
        f"{platform.python_version()}, {platform.machine()}, {os.cpu_count()} CPUs"
    )
    assert head.split() == ["ns", "per", "operation", "gossamer", "asyncio", "ratio"]
    assert [re.fullmatch(LINE, line)[1] for line in lines] == NAMES


def test_bench_of_one():
    done = command("bench", "--rounds=2", "--only", "pingpong")
    assert (done.returncode, done.stderr) == (0, "")
    assert [re.fullmatch(LINE, line)[1] for line in done.stdout.splitlines()[2:]] == ["pingpong"]


def test_bench_is_misused():
    assert "invalid choice: 'nothing'" in misused("bench", "--only", "nothing")
    for bad in ("0", "-1", "x", "²"):
        assert f"not a positive number: {bad!r}" in misused("bench", f"--rounds={bad}")


def test_bench_names_are_those_of_the_page():
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    for work in bench.WORK:
        assert f"| {work.name} | ns |" in page


@pytest.mark.parametrize("work", bench.WORK, ids=lambda work: work.name)
def test_work_does_what_it_says(work):
    """It takes time, and leaves nothing behind."""
    before = gossamer.runtime.num_goroutine()
    ours, theirs = bench.measure(work._replace(ours=lambda n: work.ours(1000), theirs=lambda n: work.theirs(1000)), 1)
    assert ours > 0
    assert theirs > 0
    while gossamer.runtime.num_goroutine() > before:
        gossamer.runtime.gosched()
