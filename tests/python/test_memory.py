"""Numbers and limits: 100,000 goroutines; too little memory or threads; leaks."""
# SPDX-License-Identifier: Apache-2.0

import gc

import pytest
from gossamer import Chan, go, runtime

SET_LIMIT = """
import resource
def limit(name, value):
    resource.setrlimit(name, (value, resource.getrlimit(name)[1]))
"""


def test_100_000_parked_and_woken(program):
    r = program(
        """
        from gossamer import *
        n = 100_000
        ch, out = Chan(), Chan()
        gs = [go(ch.recv) for _ in range(n)]
        while runtime.num_goroutine() < n or gs[-1].status != "waiting": runtime.gosched()
        assert all(g.wait_reason == "chan receive" for g in gs[::997])
        for i in range(n): ch.send(i)
        print(sum(g.join() for g in gs) == n * (n - 1) // 2, runtime.num_goroutine())
        """,
        timeout=110,
    )
    assert r.out == "True 1\n" and r.code == 0, r


def test_100_000_woken_by_close(program):
    r = program(
        """
        from gossamer import *
        ch = Chan()
        gs = [go(ch.recv_ok) for _ in range(100_000)]
        runtime.gosched()
        ch.close()
        print(all(g.join() == (None, False) for g in gs))
        """,
        timeout=110,
    )
    assert r.out == "True\n" and r.code == 0, r


def test_address_space_limit(program):
    r = program(
        f"""{SET_LIMIT}
from gossamer import *
ch = Chan()
go(ch.send, 1); ch.recv()
limit(resource.RLIMIT_AS, 2 << 30)
gs = []
try:
    while len(gs) < 1_000_000: gs.append(go(ch.recv_ok))
except MemoryError as e:
    print("MemoryError", str(e)[:20])
runtime.gosched()
limit(resource.RLIMIT_AS, 3 << 30)  # the interpreter itself needs some to go on
ch.close()
failed = 0
for g in gs:
    try: assert g.join() == (None, False)
    except MemoryError: failed += 1
print(len(gs) > 50, failed)
del gs
print(go(lambda: 5).join())
""",
        timeout=60,
    )
    assert r.code == 0 and r.out.startswith("MemoryError starting a goroutine"), r
    assert r.out.endswith("5\n"), r


def test_start_without_memory(program):
    """Found while main goes to sleep: what that runs (finalizers) waits until somebody may wait."""
    pytest.importorskip("_testcapi")
    r = program(
        """
        import sys
        from _testcapi import set_nomemory
        from gossamer import *
        class Waits:
            def __init__(self, name): self.name = name
            def __call__(self): pass
            def __del__(self):
                runtime.gosched()
                print(self.name, "is let go")
        sys.unraisablehook = lambda u: print("unraisable:", u.exc_value, u.object.name)
        ch, wg, group = Chan(), sync.WaitGroup(), errgroup.Group()
        wg.add(1)
        def use_stacks():
            go(ch.recv_ok)
            runtime.gosched()
        def lack():
            set_nomemory(0, 1)  # the next allocation: the thread state of what starts
            runtime.gosched()
        use_stacks()
        g = go(Waits("go"))
        lack()
        for i in range(2):
            try: g.join()
            except MemoryError as e: print(e, g.exception() is not e)
        g = wg.go(Waits("wg"))
        lack()
        wg.done()
        wg.wait()
        print(g.status, type(g.exception()).__name__)
        del g
        group.go(Waits("group"))
        lack()
        try: group.wait()
        except MemoryError as e: print("group:", e)
        ctx = context.with_cancel()
        context.after_func(ctx, Waits("context"))
        ctx.cancel()
        lack()
        use_stacks()
        t = after_func(0, Waits("timer"))
        lack()
        del t
        ch.close()
        print(go(lambda: 5).join())
        """,
    )
    what = "could not start: no memory for its stack"
    assert r.code == 0 and r.err == "", r
    assert r.out.splitlines() == [
        "go is let go",
        f"the goroutine {what} True",
        f"the goroutine {what} True",
        "wg is let go",
        "dead MemoryError",
        "group is let go",
        f"group: the goroutine {what}",
        f"unraisable: the goroutine of after_func() {what} context",
        "context is let go",
        f"unraisable: the goroutine of after_func() {what} timer",
        "timer is let go",
        "5",
    ]


def test_huge_stack_and_channel(program):
    r = program(
        f"""{SET_LIMIT}
from gossamer import *
limit(resource.RLIMIT_AS, 1 << 30)
for call in (lambda: go.using(stack_size=8 << 30)(len, ""), lambda: Chan(1 << 40), lambda: Chan(1 << 28)):
    try: call()
    except (MemoryError, ValueError) as e: print(type(e).__name__)
print(go(lambda: 5).join())
""",
        timeout=60,
    )
    assert r.code == 0 and r.out.endswith("5\n") and len(r.out.split()) == 4, r


def test_thread_limit(program):
    """No further thread to be had: blocking calls then wait for one another, but all end."""
    r = program(
        """
        import os, resource, time
        from gossamer import *
        os.setuid(65534) if os.getuid() == 0 else None
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
        def f(i):
            time.sleep(0.05)
            return i
        gs = [go(f, i) for i in range(10)]
        print(sum(g.join() for g in gs))
        ch = Chan()
        go(ch.send, 1)
        print(ch.recv())
        """,
        timeout=60,
    )
    assert r.code == 0 and r.out == "45\n1\n", r


def test_descriptors_are_not_used_up():
    import os

    before = len(os.listdir("/proc/self/fd"))
    for _ in range(200):
        go(len, "").join()
        Chan(1).send(1)
    assert len(os.listdir("/proc/self/fd")) == before


def test_deep_c_recursion_is_an_exception_not_a_crash(program):
    r = program(
        """
        import sys, json, copy, functools, pickle
        from gossamer import *
        size = 4 << 20 if sys.version_info < (3, 12) else None  # 3.11 counts no C recursion
        class SK:
            def __init__(self, n): self.n = n
            def __lt__(self, o): return sorted([SK(self.n + 1), SK(self.n + 1)])
        class GA:
            def __getattr__(self, n): return getattr(self, n + "x")
        def nested(n):
            l = []
            for _ in range(n): l = [l]
            return l
        def red(n): return functools.reduce(lambda a, b: red(n + 1), [1, 2, 3])
        cases = [lambda: sorted([SK(0), SK(0)]), lambda: GA().x, lambda: repr(nested(100000)), lambda: red(0),
                 lambda: nested(100000) == nested(100000), lambda: copy.deepcopy(nested(5000)),
                 lambda: json.dumps(nested(20000)), lambda: json.loads("[" * 100000 + "]" * 100000),
                 lambda: pickle.dumps(nested(20000)), lambda: compile("(" * 150 + "1" + ")" * 150, "x", "eval"),
                 lambda: compile("-" * 3000 + "1", "x", "eval"), lambda: compile("f(" * 90 + "1" + ")" * 90, "x", "eval")]
        def attempt(f):
            try: f()
            except (RecursionError, MemoryError, SyntaxError): pass
        for f in cases: go.using(stack_size=size)(attempt, f).join()
        print("alive")
        """,
        timeout=60,
    )
    assert r.out == "alive\n" and r.code == 0, r


def test_objects_do_not_grow():
    def round():
        ch = Chan(2)
        gs = [go(ch.send, i) for i in range(5)]
        for _ in gs:
            ch.recv()
        for g in gs:
            g.join()
        with pytest.raises(TimeoutError):
            ch.recv(timeout=0)
        runtime.stack(all=True)

    for _ in range(50):
        round()
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(200):
        round()
    gc.collect()
    assert len(gc.get_objects()) - before < 50


def test_memory_does_not_grow(program):
    r = program(
        """
        import gc, os
        from gossamer import *
        def rss():
            gc.collect()
            return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE")
        def rounds(n):
            for _ in range(n):
                ch = Chan(3)
                gs = [go(lambda: select(recv(ch), timeout=10)) for _ in range(20)]
                for i in range(20): ch.send(i)
                for g in gs: g.join()
                Timer(100).stop(); after(50); after_func(100, len).stop()
        rounds(300)
        before = rss()
        rounds(1500)
        print(rss() - before)
        """,
        timeout=60,
    )
    assert r.code == 0 and int(r.out) < 2 << 20, r


def test_the_collector_sees_only_what_may_refer_back(settle):
    ch = Chan()
    parked = go(ch.recv)
    settle(parked)
    assert not gc.is_tracked(parked)
    ch.send([])
    parked.join()
    assert gc.is_tracked(parked)

    kept, done = [], go(lambda: None)
    done.join()
    assert not gc.is_tracked(done)
    kept.append(go(lambda: kept))  # reused memory: a cycle through the result
    assert kept[0].join() is kept and gc.is_tracked(kept[0])
    failed = go(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        failed.join()
    assert gc.is_tracked(failed)
    del failed
