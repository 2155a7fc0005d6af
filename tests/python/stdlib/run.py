#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CPython's own test modules, run inside a goroutine: python run.py [--quick] [MODULE ...]

Of the interpreter that runs this, which needs gossamer and its own `test` package (Debian: libpython3.11-testsuite).
Each module is run twice, side by side, in processes of its own: plainly, and all of it, import and tests, inside
go(...).join(). Every test must come to the same end. Those that do not are listed in differences.txt, each with
its reason; one that is listed and makes no difference any more is an error as well.

    --quick     the selection that is run with the tests of this repository
    --thread    say which differences a threading.Thread makes too (a third run)
    --list      the modules, and exit

A test is named as unittest names it. The last line tells the counts: "N passed, N failed".
"""

import argparse
import contextlib
import fnmatch
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIMIT = 900  # seconds for one module in one way

# Modules, and of some only those classes and tests whose name begins like this: the rest has nothing that a
# goroutine could change, or takes long.
MODULES = {
    "test_thread": [],
    "test_threading": [],
    "test_threadedtempfile": [],
    "test_threading_local": [],
    "test_threadsignals": [],
    "test_queue": [],
    "test_sched": [],
    "test_context": [],
    "test_sqlite3": [],
    "test_socket": [],
    "test_socketserver": [],
    "test_timeout": [],
    "test_select": [],
    "test_selectors": [],
    "test_poll": [],
    "test_epoll": [],
    "test_ssl": [],
    "test_httplib": [],
    "test_urllib2_localnet": [],
    "test_ftplib": [],
    "test_subprocess": [],
    "test_popen": [],
    "test_fork1": [],
    "test_wait3": [],
    "test_signal": [],
    "test_faulthandler": [],
    "test_concurrent_futures": ["ThreadPool", "FutureTests"],
    "test_decimal": [],
    "test_logging": [],
    "test_io": ["CIO", "CBuffered", "CText", "CMisc", "CSignals"],
    "test_fileio": [],
    "test_importlib.test_threaded_import": [],
    "test_importlib.test_locks": [],
    "test_threaded_import": [],
    "test_generators": [],
    "test_coroutines": [],
    "test_asyncgen": [],
    "test_contextlib": [],
    "test_contextlib_async": [],
    "test_exceptions": [],
    "test_exception_group": [],
    "test_traceback": [],
    "test_frame": [],
    "test_with": [],
    "test_gc": [],
    "test_weakref": [],
    "test_sys": [],
    "test_sys_settrace": [],
    "test_sys_setprofile": [],
    "test_ctypes": [],
    "test_hashlib": [],
    "test_zlib": [],
    "test_asyncio.test_tasks": [],
    "test_asyncio.test_runners": [],
    "test_asyncio.test_locks": [],
    "test_asyncio.test_queues": [],
    "test_asyncio.test_events": [],
    "test_asyncio.test_futures": [],
    "test_asyncio.test_threads": [],
    "test_asyncio.test_subprocess": [],
}
QUICK = {
    "test_thread": [],
    "test_threading": ["LockTests", "CRLockTests", "EventTests", "ConditionTests", "SemaphoreTests", "BarrierTests"],
    "test_threading_local": [],
    "test_queue": ["CSimpleQueueTest", "CQueueTest", "CFailingQueueTest"],
    "test_context": [],
    "test_sqlite3": ["MultiprocessTests", "ThreadTests", "ModuleTests", "ConnectionTests", "TraceCallbackTests"],
    "test_socket": ["BasicTCPTest", "BasicUDPTest", "BasicSocketPairTest", "InterruptedRecvTimeoutTest"],
    "test_selectors": ["DefaultSelectorTestCase"],
    "test_subprocess": ["ProcessTestCase.test_communicate", "ProcessTestCase.test_call", "RunFuncTestCase"],
    "test_concurrent_futures": ["ThreadPoolExecutorTest.test_map", "ThreadPoolExecutorTest.test_max_workers"],
    "test_decimal": ["CThreadingTest", "PyThreadingTest", "CContextWithStatement", "CContextFlags"],
    "test_logging": ["HandlerTest", "QueueHandlerTest", "SocketHandlerTest", "ManagerTest", "LogRecordTest"],
    "test_ssl": ["ContextTests", "MemoryBIOTests"],
    "test_importlib.test_locks": [],
    "test_sys_settrace": ["TraceTestCase"],
}
# Not run at all: they hang or fail plainly on some machines, for reasons of the machine.
LEFT_OUT = ["ThreadedVSOCK", "BasicVSOCK"]
RESOURCES = ["cpu", "subprocess", "decimal", "walltime"]  # what regrtest asks for by -u; no network, no large files


# ---- the child: one module in one way ------------------------------------------------------------------------
def flatten(suite):
    for test in suite:
        if hasattr(test, "__iter__"):
            yield from flatten(test)
        else:
            yield test


def short(test_id):
    """test.test_threading.LockTests.test_x -> LockTests.test_x: what a selection is compared with."""
    return ".".join(test_id.split(".")[-2:])


def wanted(test_id, selection):
    if any(short(test_id).startswith(x) for x in LEFT_OUT):
        return False
    return not selection or any(x.startswith(y) for x in (short(test_id), test_id) for y in selection)


def keep(suite, selection):
    """The suite without the tests that are not wanted; class and module fixtures stay in place."""
    import unittest

    kept = unittest.TestSuite()
    for test in suite:
        if hasattr(test, "__iter__"):
            inner = keep(test, selection)
            if inner.countTestCases():
                kept.addTest(inner)
        elif wanted(test.id(), selection):
            kept.addTest(test)
    return kept


def recorder(out):
    """A unittest result that writes one JSON line for each thing that happens."""
    import unittest

    class Recorder(unittest.TestResult):
        def note(self, test, what, text=""):
            out.write(json.dumps([test.id(), what, text]) + "\n")
            out.flush()

        def startTest(self, test):
            super().startTest(test)
            self.note(test, "begin")

        def stopTest(self, test):
            super().stopTest(test)
            self.note(test, "end")

        def addSuccess(self, test):
            self.note(test, "ok")

        def addSkip(self, test, reason):
            self.note(test, "skipped", reason)

        def addError(self, test, err):
            self.note(test, "error", self._exc_info_to_string(err, test))

        def addFailure(self, test, err):
            self.note(test, "failed", self._exc_info_to_string(err, test))

        def addExpectedFailure(self, test, err):
            self.note(test, "failed as expected")

        def addUnexpectedSuccess(self, test):
            self.note(test, "ok against expectation")

        def addSubTest(self, test, subtest, err):
            if err is not None:
                self.note(test, "failed", f"{subtest}\n{self._exc_info_to_string(err, test)}")

    return Recorder()


def run_module(name, selection, out):
    import unittest

    from test import support
    from test.support import os_helper

    support.use_resources = list(RESOURCES)
    support.verbose = 0
    with os_helper.temp_cwd("gossamer_stdlib", quiet=True):
        suite = unittest.defaultTestLoader.loadTestsFromName(f"test.{name}")
        result = recorder(out)
        keep(suite, selection).run(result)
        support.reap_children()


def wait_for(join):
    while True:  # tests of signals also interrupt this
        try:
            return join()
        except KeyboardInterrupt:
            pass


def child(way, name, selection, path):
    import faulthandler
    import threading
    import warnings

    faulthandler.enable(all_threads=True)
    faulthandler.dump_traceback_later(LIMIT - 10, exit=True)
    warnings.simplefilter("default")
    with open(path, "w") as out:
        if way == "goroutine":
            import gossamer

            wait_for(gossamer.go(run_module, name, selection, out).join)
        elif way == "thread":
            errors = []

            def run():
                try:
                    run_module(name, selection, out)
                except BaseException as e:
                    errors.append(e)

            t = threading.Thread(target=run)
            t.start()
            wait_for(t.join)
            if errors:
                raise errors[0]
        else:
            run_module(name, selection, out)


# ---- the parent ------------------------------------------------------------------------------------------------
class Outcome:
    """How one run of a module came out: {test: what became of it}, {test: text}, and how the process ended."""

    def __init__(self, path, code, stderr):
        self.ends, self.texts, self.code, self.stderr = {}, {}, code, stderr
        worst = ["ok", "failed as expected", "ok against expectation", "skipped", "failed", "error"]
        with contextlib.suppress(FileNotFoundError), open(path) as f:
            for line in f:
                test, what, text = json.loads(line)
                if what == "begin":
                    self.ends[test] = "did not end"
                elif what == "end":
                    if self.ends[test] == "did not end":
                        self.ends[test] = "ok"  # all of its subtests were skipped, or it has none
                elif self.ends.get(test) not in worst or worst.index(what) > worst.index(self.ends[test]):
                    self.ends[test], self.texts[test] = what, text


def exists(name):
    try:
        return importlib.util.find_spec(f"test.{name}") is not None
    except ModuleNotFoundError:
        return False


def run_child(way, name, selection):
    with tempfile.TemporaryDirectory() as work:
        path = os.path.join(work, "results")
        command = [sys.executable, str(HERE / "run.py"), "--child", way, name, json.dumps(selection), path]
        with open(os.path.join(work, "stderr"), "w+", errors="replace") as stderr:
            process = subprocess.Popen(
                command,
                cwd=work,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,
            )
            try:
                code = process.wait(LIMIT)
            except subprocess.TimeoutExpired:
                code = "no end"
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)  # and what its tests left behind
            process.wait()
            stderr.seek(0)
            return Outcome(path, code, stderr.read())


def differences(plain, other):
    """{test: (what it came to plainly, what otherwise)}; the process's own end under the name "(process)"."""
    found = {}
    for test in plain.ends.keys() | other.ends.keys():
        a, b = plain.ends.get(test, "not run"), other.ends.get(test, "not run")
        if a != b:
            found[test] = a, b
    if plain.code != other.code:
        found["(process)"] = plain.code, other.code
    return found


def covers(versions, version=sys.version_info[:2]):
    """3.12, 3.12-, -3.12, 3.11-3.13"""
    first, dash, last = versions.partition("-")
    low = tuple(map(int, first.split("."))) if first else (0,)
    high = tuple(map(int, last.split("."))) if last else (99,) if dash else low
    return low <= version <= high


def read_listed(path=HERE / "differences.txt"):
    """{test: why} for this version of Python; a test may be a pattern."""
    listed = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            versions, test, why = line.split(None, 2)
            applies = covers(versions)
        except ValueError:
            sys.exit(f"{path}:{number}: not VERSIONS TEST WHY")
        if applies:
            listed[test] = why
    return listed


def is_of(test, entry):
    return fnmatch.fnmatchcase(test, entry)


class Report:
    """What running one module has shown."""

    def __init__(self, name, selection, listed, thread=False):
        began = time.monotonic()
        self.name = name
        ways = ["plain", "goroutine", "thread"][: 3 if thread else 2]
        with ThreadPoolExecutor() as pool:  # side by side: they sleep much
            self.plain, self.goroutine, *rest = pool.map(lambda way: run_child(way, name, selection), ways)
        found = differences(self.plain, self.goroutine)
        self.as_thread = {test for other in rest for test in differences(self.plain, other)}
        self.found = found
        self.unlisted = {t: ends for t, ends in found.items() if not any(is_of(self.key(t), x) for x in listed)}
        seen = {self.key(t) for t, end in self.plain.ends.items() if end != "skipped"} | {f"{name}:(process)"}
        differ = {self.key(t) for t in found}
        self.stale = sorted(
            x for x in listed if any(is_of(t, x) for t in seen) and not any(is_of(t, x) for t in differ)
        )
        self.seconds = time.monotonic() - began
        self.empty = not self.plain.ends

    def key(self, test):
        """How a test is written in differences.txt."""
        if test == "(process)":
            return f"{self.name}:(process)"
        if " (" in test:  # setUpModule (test.test_x)
            what, where = test.rstrip(")").split(" (")
            return f"{where.removeprefix('test.')}:{what}"
        return test.removeprefix("test.")

    def ok(self):
        return not self.unlisted and not self.stale and not self.empty

    def lines(self):
        n = len(self.plain.ends)
        same = n - len([t for t in self.found if t in self.plain.ends])
        yield f"{self.name}: {n} tests, {same} the same, {len(self.found)} differ, {self.seconds:.0f} s"
        if self.empty:
            yield f"  NO TESTS RAN; exit status {self.plain.code}\n{self.plain.stderr[-3000:]}"
        for test, (a, b) in sorted(self.unlisted.items()):
            yield f"  DIFFERS {self.key(test)}: {a}; in a goroutine {b}" + (
                " (so in a thread)" if test in self.as_thread else ""
            )
            text = self.goroutine.texts.get(test) or self.plain.texts.get(test) or ""
            if b in ("did not end", "not run") or test == "(process)":
                text += self.goroutine.stderr[-6000:]
            yield from (f"    | {line}" for line in text.splitlines())
        for test in self.stale:
            yield f"  STALE {test}: listed in differences.txt, but it makes no difference"


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("modules", nargs="*")
    p.add_argument("--quick", action="store_true")
    p.add_argument("--thread", action="store_true")
    p.add_argument("--list", action="store_true")
    p.add_argument("-k", action="append", default=[], help="only classes and tests that begin so")
    args = p.parse_args()
    table = QUICK if args.quick else MODULES
    if args.list:
        print(*table, sep="\n")
        return
    if not exists("test_queue"):
        sys.exit(f"{sys.executable} has no test package (Debian: apt-get install libpython3.11-testsuite)")
    listed = read_listed()
    failed = passed = differ = 0
    for name in args.modules or table:
        if not exists(name):
            print(f"{name}: not in this version")
            continue
        report = Report(name, args.k or table.get(name, []), listed, args.thread)
        print(*report.lines(), sep="\n", flush=True)
        differ += len(report.found)
        failed += len(report.unlisted) + len(report.stale) + report.empty
        passed += len(report.plain.ends.keys() & report.goroutine.ends.keys() - report.unlisted.keys())
    print(f"Python {sys.version.split()[0]}: {differ} tests differ")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], sys.argv[3], json.loads(sys.argv[4]), sys.argv[5])
    else:
        main()
