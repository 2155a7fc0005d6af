"""Signals reach the main goroutine, also while it waits."""
# SPDX-License-Identifier: Apache-2.0

import pytest

WAITS = {
    "recv": "Chan().recv()",
    "send": "Chan().send(1)",
    "select": "select(recv(Chan()))",
    "sleep": "sleep(1000)",
    "join": "go(sleep, 1000).join()",
    "mutex": "mu.lock()",
    "waitgroup": "wg.wait()",
    "timeout": "Chan().recv(timeout=1000)",
    "time.sleep": "time.sleep(1000)",
    "python": "spin()",
}
OTHERS = {
    "nobody": "",
    "parked": "go(Chan().recv)",
    "blocked": "go(time.sleep, 1000); go(time.sleep, 1000)",
    "spinning": "go(spin)",
    "chatting": "a, b = Chan(), Chan(); go(chat, a, b); go(chat, b, a); go(a.send, 1)",
}

PROLOGUE = """
import os, signal, threading, time
from gossamer import *
def spin():
    while True: pass
def chat(a, b):
    while True: b.send(a.recv())
mu = Mutex(); mu.lock(); wg = WaitGroup(); wg.add(1)
keep = after(1000)  # no deadlock here
"""


@pytest.mark.parametrize("others", OTHERS)
@pytest.mark.parametrize("wait", WAITS)
def test_ctrl_c(program, wait, others):
    r = program(
        f"""{PROLOGUE}
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import os, signal, sys, time; time.sleep(0.3); os.kill(int(sys.argv[1]), signal.SIGINT)", str(os.getpid())])
{OTHERS[others]}
try:
    {WAITS[wait]}
except KeyboardInterrupt:
    print("interrupted", threading.current_thread() is threading.main_thread())
print(go(lambda: 5).join())
""",
        timeout=60,
    )
    assert r.out == "interrupted True\n5\n" and r.code == 0, r


def test_handler_runs_and_the_wait_goes_on(program):
    r = program(
        f"""{PROLOGUE}
ch, seen = Chan(), []
signal.signal(signal.SIGUSR1, lambda *a: seen.append(threading.current_thread() is threading.main_thread()))
def kill():
    for _ in range(5):
        sleep(0.02)
        os.kill(os.getpid(), signal.SIGUSR1)
        while len(seen) <= _: sleep(0.001)
    ch.send("value")
go(kill)
print(ch.recv(timeout=60), seen)
"""
    )
    assert r.out == "value [True, True, True, True, True]\n" and r.code == 0, r


def test_handler_may_use_channels(program):
    r = program(
        f"""{PROLOGUE}
ch, done = Chan(3), Chan()
signal.signal(signal.SIGUSR1, lambda *a: (ch.send(1), sleep(0.001), ch.send(go(lambda: 2).join())))
go(lambda: (os.kill(os.getpid(), signal.SIGUSR1), ch.recv(), ch.recv(), done.send("ok")))
print(done.recv())
"""
    )
    assert r.out == "ok\n", r


def test_handler_that_raises_keeps_the_value(program):
    r = program(
        f"""{PROLOGUE}
class Stop(Exception): pass
def handler(*a): raise Stop
signal.signal(signal.SIGALRM, handler)
ch = Chan()
signal.setitimer(signal.ITIMER_REAL, 0.05)
try: ch.send("x")
except Stop: print("stopped")
print(ch.try_recv("nothing"))
"""
    )
    assert r.out == "stopped\nnothing\n", r


def test_other_goroutines_do_not_run_handlers(program):
    r = program(
        f"""{PROLOGUE}
seen = []
signal.signal(signal.SIGUSR1, lambda *a: seen.append(threading.get_ident()))
def noisy():
    for _ in range(20):
        os.kill(os.getpid(), signal.SIGUSR1)
        for _ in range(1000): pass
gs = [go(noisy) for _ in range(3)]
for g in gs: g.join()
while not seen: sleep(0.001)
print(set(seen) == {{threading.main_thread().ident}})
try:
    go(signal.signal, signal.SIGUSR1, signal.SIG_DFL).join()
except ValueError: print("main only")
signal.signal(signal.SIGUSR1, signal.SIG_DFL)
"""
    )
    assert r.out == "True\nmain only\n", r


def test_ctrl_c_when_a_thread_used_it_first(program):
    r = program(
        f"""{PROLOGUE.replace("mu = Mutex(); mu.lock(); wg = WaitGroup(); wg.add(1)", "").replace("keep = after(1000)", "")}
t = threading.Thread(target=lambda: go(len, "").join()); t.start(); t.join()
ch = Chan()
threading.Thread(target=lambda: (time.sleep(0.2), os.kill(os.getpid(), signal.SIGINT)), daemon=True).start()
try: ch.recv()
except KeyboardInterrupt: print("interrupted")
""",
        timeout=30,
    )
    assert r.out == "interrupted\n" and r.code == 0, r
