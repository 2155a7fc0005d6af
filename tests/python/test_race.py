"""python -m gossamer run: races show, and the same seed gives the same schedule again."""
# SPDX-License-Identifier: Apache-2.0

import subprocess
import sys
import textwrap

import gossamer
import pytest
from conftest import LIMIT, Result
from gossamer import Chan, _race, go, recv, runtime, select

pytestmark = pytest.mark.skipif(gossamer.backend != "c", reason="goroutines are threads")


@pytest.fixture
def run(tmp_path):
    """run(source or None, *arguments of run): the script it.py under python -m gossamer run."""

    def start(source, *args, **kwargs):
        if source is not None:
            (tmp_path / "it.py").write_text(textwrap.dedent(source))
        command = [sys.executable, "-m", "gossamer", "run", *args]
        done = subprocess.run(
            command, capture_output=True, check=False, text=True, timeout=LIMIT / 2, cwd=tmp_path, **kwargs
        )
        return Result(done)

    return start


# ---- what it finds -----------------------------------------------------------------------------------
def lost_update():
    counter = 0

    def work():
        nonlocal counter
        for _ in range(10):
            counter += 1

    for g in [go(work) for _ in range(2)]:
        g.join()
    return counter != 20


def check_then_act():
    known, made = {}, []

    def get(key):
        if key not in known:
            made.append(key)
            known[key] = object()

    for g in [go(get, 1) for _ in range(3)]:
        g.join()
    return len(made) != 1


def far_apart():
    state = {"a": 0, "b": 0}

    def transfer():
        state["a"] += 1
        for i in range(10):
            str(i)
        state["b"] += 1

    def read():
        return state["a"], state["b"]

    w = go(transfer)
    a, b = go(read).join()
    w.join()
    return a != b


def of_seeds(n, race, **options):
    found = []
    for seed in range(n):
        with _race.seeded(seed, **options):
            if race():
                found.append(seed)
    return found


@pytest.mark.parametrize(("race", "least"), [(lost_update, 30), (check_then_act, 10), (far_apart, 1)])
def test_races_show(race, least):
    assert not race()  # as they are: nobody waits in between
    found = of_seeds(60, race)
    assert len(found) >= least
    assert of_seeds(60, race) == found
    assert not race()


def test_what_is_locked_does_not_show():
    mu, counter = gossamer.Mutex(), 0

    def work():
        nonlocal counter
        for _ in range(10):
            with mu:
                counter += 1

    for seed in range(20):
        with _race.seeded(seed):
            for g in [go(work) for _ in range(3)]:
                g.join()
    assert counter == 600


def schedule():
    out, a, b = [], Chan(40), Chan(40)
    for i in range(40):
        a.send(i)
        b.send(i)

    def work(name):
        for i in range(20):
            out.append((name, i))

    def chooses():
        for _ in range(40):
            case = select(recv(a), recv(b))
            out.append("a" if case.chan is a else "b")

    for g in [go(work, "x"), go(work, "y"), go(chooses)]:
        g.join()
    return out


def test_the_same_seed_the_same_schedule():
    def of(seed, **options):
        with _race.seeded(seed, **options):
            return schedule()

    first = [of(seed) for seed in range(8)]
    assert [of(seed) for seed in range(8)] == first
    assert len({tuple(s) for s in first}) == 8
    assert of(1, every=2) != of(1, every=200)


def test_generators_classes_exceptions_finalizers():
    def numbers(n):
        for i in range(n):
            try:
                yield i
            finally:
                str(i)

    class Thing:
        gone = 0

        def __del__(self):
            Thing.gone += 1

    def work():
        class Inner(Thing):
            total = sum(x for x in numbers(10) if x % 2)

        it = Inner()
        it.it = it  # for the collector
        try:
            [1][len(list(numbers(3)))]
        except IndexError:
            return [f"{i}" for i in numbers(4)] + [Inner.total]

    want = [work() for _ in range(6)]
    for seed in range(10):
        with _race.seeded(seed, every=2):
            assert [g.join() for g in [go(work) for _ in range(6)]] == want


def test_own_code_only():
    watched, everything = _race._watched(False), _race._watched(True)
    assert watched(__file__) and watched("it.py") and watched("<string>") and not watched("<frozen runpy>")
    assert not watched(subprocess.__file__) and not watched(pytest.__file__) and not watched(runtime.__file__)
    assert everything(subprocess.__file__) and everything(pytest.__file__) and not everything(runtime.__file__)


def test_one_at_a_time():
    with _race.seeded(1), pytest.raises(_race.Unavailable), _race.seeded(2):
        pass
    with pytest.raises(ValueError, match="every"), _race.seeded(1, every=0x7FFFFFFF):
        pass
    with _race.seeded(3):  # nothing stayed behind
        assert go(lambda: 3).join() == 3


# ---- the command ------------------------------------------------------------------------------------------
def test_it_runs_as_python_would(run, tmp_path):
    r = run(
        """
        import sys, gossamer, pathlib
        print(__name__, __file__, sys.argv, sys.modules["__main__"].__dict__ is globals(), __package__ or "-")
        print(pathlib.Path(sys.path[0]).samefile(pathlib.Path(__file__).parent))
        print(sys.gettrace())
        sys.exit(7)
        """,
        "--race-seed",
        "5",
        "it.py",
        "--race-seed",
        "-x",
    )
    assert r.code == 7 and r.out == "__main__ it.py ['it.py', '--race-seed', '-x'] True -\nTrue\nNone\n", r
    assert r.err == "race seed 5: python -m gossamer run --race-seed 5 it.py --race-seed -x\n", r
    r = run("import sys; print(sys.argv[1:], __spec__.name)", "--race-seed", "5", "-m", "it", "-c", "x")
    assert (r.code, r.out, r.err) == (0, "['-c', 'x'] it\n", ""), r
    r = run(None, "--race-seed", "5", "-c", "import sys; print(sys.argv, __name__)", "-m")
    assert (r.code, r.out, r.err) == (0, "['-c', '-m'] __main__\n", ""), r


def test_a_failure_says_how_to_repeat_it(run):
    source = """
        from gossamer import go
        def boom(): raise ValueError("mine")
        def f(): go(boom).join()
        f()
        """
    r = run(source, "--race-seed", "5", "--every", "3", "--all", "it.py", "a b")
    assert r.code == 1 and "ValueError: mine" in r.err, r
    assert "runpy" not in r.err and "gossamer" not in r.err.partition("race seed")[0], r
    assert r.err.endswith("\nrace seed 5: python -m gossamer run --race-seed 5 --every 3 --all it.py 'a b'\n"), r


def test_syntax_errors_and_deadlocks(run):
    r = run("def", "--race-seed", "5", "it.py")
    assert r.code == 1 and r.err.startswith('  File "') and "SyntaxError" in r.err, r
    r = run("from gossamer import *; Chan().recv()", "--race-seed", "5", "it.py")
    assert r.code == 1 and "Deadlock" in r.err and "race seed 5: " in r.err, r


def test_a_seed_is_picked(run):
    r = run("", "it.py")
    assert r.code == 0 and r.err.startswith("race seed ") and r.err.count("\n") == 1, r


SETS = """
    from gossamer import go, runtime, sync
    m = sync.Map()
    for x in {"a", "b", "c", "d", "e", "f", "g"}: m.store(x, 1)
    out = []
    def work(x):
        for i in range(10): out.append(f"{x}{i}")
    for g in [go(work, x) for x in m.keys()]: g.join()
    print(*out, runtime.gomaxprocs())
    """


def test_processes_replay(run):
    outs = [run(SETS, "--race-seed", seed, "it.py") for seed in ("8", "8", "8", "9")]
    assert all(r.code == 0 and r.out.endswith(" 1\n") for r in outs), outs
    assert outs[0].out == outs[1].out == outs[2].out != outs[3].out, outs


COUNTER = """
    from gossamer import go
    counter = 0
    def work():
        global counter
        for _ in range(20): counter += 1
    for g in [go(work), go(work)]: g.join()
    assert counter == 40
    """


def test_tries(run):
    r = run(COUNTER, "--tries", "20", "it.py")
    assert r.code == 1 and "AssertionError" in r.out, r
    seed = int(r.err.split()[2])
    assert f"race seed {seed}: python -m gossamer run --race-seed {seed} it.py" in r.out, r
    assert r.err == f"race: seed {seed} failed (exit status 1) after {seed} that passed\n", r
    assert run(None, "--race-seed", str(seed), "it.py").code == 1
    r = run("print(1)", "--race-seed", "3", "--tries", "2", "it.py")
    assert (r.code, r.out, r.err) == (0, "", "race: seeds 3 to 4 passed\n"), r
    r = run("import os; os.kill(os.getpid(), 9)", "--tries", "2", "it.py")
    assert r.code == 1 and "seed 0 failed (signal 9)" in r.err, r


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((), "what shall be run?"),
        (("nowhere.py",), "can't open file 'nowhere.py'"),
        (("--race-seed", "x", "it.py"), "a seed is 0"),
        (("--race-seed", "-1", "it.py"), "a seed is 0"),
        (("--every", "0", "it.py"), "must be 1"),
    ],
)
def test_usage_errors(run, args, says):
    r = run("", *args)
    assert r.code == 2 and says in r.err, r


def test_the_other_backend_refuses(run):
    pytest.importorskip("gossamer._cdef")
    import os

    r = run("print(1)", "it.py", env={**os.environ, "GOSSAMER_BACKEND": "cffi"})
    assert r.code == 1 and r.out == "" and r.err.startswith("python -m gossamer: the 'cffi' backend runs"), r


def test_other_tracers(run):
    source = """
        import sys
        from gossamer import _race
        sys.settrace(lambda *a: None)
        try:
            with _race.seeded(1): print("beside it")
        except _race.Unavailable as e: print(e)
        """
    r = subprocess.run([sys.executable, "-c", textwrap.dedent(source)], capture_output=True, text=True, check=True)
    assert ("beside it" if sys.version_info >= (3, 12) else "needs sys.settrace()") in r.stdout, r


def test_blocked_goroutines_do_not_stop_the_others(run):
    r = run(
        """
        import threading
        from gossamer import go, sleep
        lock = threading.Lock()
        lock.acquire()
        g = go(lock.acquire)
        while g.status != "dead":
            sleep(0)
            if lock.locked() and g.status == "running": lock.release()
        print("done")
        """,
        "--race-seed",
        "1",
        "it.py",
    )
    assert (r.code, r.out) == (0, "done\n"), r
