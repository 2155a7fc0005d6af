"""Runs the scenario tables on the gossamer package: driver.py [FILE.scn...].

The format, and how the table's words map to Python, are in README.md; what the steps do is in steps_*.py.
"""
# SPDX-License-Identifier: Apache-2.0

import contextlib
import pathlib
import sys
import time

import gossamer
from gossamer.runtime import goexit, goid, goroutines, gosched
from steps_chan import ChanSteps
from steps_ctx import ContextSteps
from steps_sync import SyncSteps
from steps_time import TimeSteps
from steps_work import WorkSteps
from words import Caused, Failed, Flow

# What a scenario can need, but for the things that every language has.
HAS = set(
    "cond context errgroup goexit ignore limiter map once once_func pool rwmutex semaphore signal singleflight"
    " timer".split()
)
# Verbs whose last word is the rest of the step, and how many words come before it.
WITH_BODY = {
    "after_func": 2,
    "do": 1,
    "each": 2,
    "fail": 0,
    "flight_do": 2,
    "flight_err": 2,
    "flight_go": 3,
    "group_go": 1,
    "group_try_go": 1,
    "on_end": 2,
    "once_func": 1,
    "once_value": 1,
    "repeat": 1,
    "select": 0,
    "select_ctx": 1,
    "select_for": 1,
    "wg_go": 1,
}


class Runner:
    """A goroutine of a scenario: what its steps gave, and how it ended."""

    def __init__(self, world, steps):
        self.world, self.steps = world, steps
        self.out, self.failed, self.ended = Flow(), None, False
        self.handle = gossamer.go(self.run)

    def run(self):
        try:
            with contextlib.ExitStack() as deferred:
                for step in self.steps.split(";"):
                    verb, _, rest = step.strip().partition(" ")
                    if verb == "defer":
                        deferred.callback(self.world.body, rest, self.out)
                    else:
                        self.world.step(step, self.out)
        except Failed as e:
            self.failed = str(e)
        except Exception as e:  # of a kind the table has no words for: fails whatever is expected
            self.failed = f"{type(e).__name__}: {e}"
        finally:
            self.ended = True

    def state(self):
        if self.failed is not None:
            return f"panic {self.failed}"
        if self.ended:
            return " ".join(["done", *self.out])
        return f"parked {self.handle.wait_reason or self.handle.status}"


class World(ChanSteps, SyncSteps, ContextSteps, TimeSteps, WorkSteps):
    """The objects and goroutines of one scenario."""

    def __init__(self):
        self.objects, self.runners = {}, {}
        self.progress = 0  # steps begun and finished: settle() compares it
        self.ends = []  # called at the end, before the goroutines are: so that no more of them start

    # ---- a goroutine's life -------------------------------------------------
    def do_join(self, name):
        self.runners[name].handle.join()

    def do_sleep(self, ms):
        gossamer.sleep(int(ms) / 1000)

    def do_gosched(self):
        gosched()

    def do_goexit(self):
        goexit()

    def run_fail(self, _out, message):
        raise Failed(message)

    def run_repeat(self, out, n, body):
        for _ in range(int(n)):
            self.body(body, out)

    # ---- making steps -------------------------------------------------------
    def body(self, steps, out):
        for step in steps.split("&"):
            self.step(step, out)

    def outcome(self, body):
        """A function that returns, or raises, what the body says."""

        def run():
            flow = Flow()
            self.body(body, flow)
            if flow.error is not None:
                raise Caused(flow.error)
            return flow.value

        return run

    def step(self, text, out):
        verb, _, rest = text.strip().partition(" ")
        self.progress += 1
        if verb == "give":
            out.value = int(rest)
        elif verb == "error":
            out.error = int(rest)
        elif verb in WITH_BODY:
            words = [*rest.split(" ", WITH_BODY[verb]), ""]
            getattr(self, "run_" + verb)(out, *words[: WITH_BODY[verb] + 1])
        else:
            out += getattr(self, "do_" + verb)(*rest.split()) or []
        self.progress += 1

    # ---- looking ------------------------------------------------------------
    def settled(self):
        """All were seen waiting while no step began or ended, and none wakes another before its
        own step ends: so all were waiting at one moment, and will stay so."""
        before, me = self.progress, goid()
        waiting = all(g.status != "running" and g.status != "runnable" for g in goroutines() if g.id != me)
        return waiting and self.progress == before

    def settle(self):
        end = time.monotonic() + 20
        while not self.settled():
            if time.monotonic() > end:
                raise AssertionError("does not settle")
            gosched()

    def end(self):
        """Ends what still waits."""
        for end in self.ends:
            end()
        for r in self.runners.values():
            while not r.ended:
                r.handle.interrupt()
                gosched()
            try:
                r.handle.join()
            except gossamer.Canceled:
                pass

    # ---- lines ----------------------------------------------------------------
    def panics(self, text):
        try:
            self.step(text, Flow())
        except Failed as e:
            return str(e)
        return "no panic"

    def line(self, text):
        """Makes one line; gives what came out and what the table says."""
        verb, _, rest = text.partition(" ")
        name, _, more = rest.partition(" ")
        if verb == "go":
            self.runners[name] = Runner(self, more)
        elif verb == "settle":
            self.settle()
        elif verb == "is":
            self.settle()
            state = self.runners[name].state()
            return more if more == "parked" and state.startswith("parked ") else state, more
        elif verb == "panics":
            message, _, step = rest.partition("|")
            return self.panics(step), message.strip()
        else:
            step, _, want = text.partition(" =")
            out = Flow()
            self.step(step, out)
            return " ".join(out), want.strip()
        return "", ""


def scenarios(path):
    """The scenarios of a file: names, what they need, and lists of (line number, text)."""
    found = []
    for number, raw in enumerate(path.read_text().splitlines(), 1):
        verb, _, rest = raw.strip().partition(" ")
        if verb == "scenario":
            found.append((rest, set(), []))
        elif verb == "needs":
            found[-1][1].update(rest.split())
        elif verb and not verb.startswith("#"):
            found[-1][2].append((number, raw.strip()))
    return found


def passes(path, lines):
    world, good = World(), True
    for number, text in lines:
        try:
            got, want = world.line(text)
        except Exception as e:
            got, want = f"{type(e).__name__}: {e}", "no exception"
        if got != want:
            good = False
            print(f"{path}:{number}: {text}\n  want {want!r}\n  got  {got!r}")
    world.end()
    return good


def main(args):
    here = pathlib.Path(__file__).parent
    results, missing = [], []
    for path in [pathlib.Path(a) for a in args] or sorted(here.glob("*.scn")):
        for name, needs, lines in scenarios(path):
            if needs <= HAS:
                results.append(passes(path, lines))
            else:
                missing.append(name)
    if missing:
        print("python: not there yet:", *missing)
    bad = results.count(False)
    version = sys.version.split()[0]
    print(f"python {version}: {len(results) - bad} passed, {bad} failed, {len(missing)} not there yet")
    return 1 if bad or not results else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
