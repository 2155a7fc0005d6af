"""Runs the scenario tables on the gossamer package: driver.py [FILE.scn...].

The format, and how the table's words map to Python, are in README.md.
"""
# SPDX-License-Identifier: Apache-2.0

import pathlib
import sys
import time

import gossamer
from gossamer.runtime import gosched


class Failed(Exception):
    """A step that is a panic in Go; its text is Go's message."""


class Runner:
    """A goroutine of a scenario: what its steps gave, and how it ended."""

    def __init__(self, world, steps):
        self.world, self.steps = world, steps
        self.out, self.failed, self.ended = [], None, False
        self.handle = gossamer.go(self.run)

    def run(self):
        try:
            for step in self.steps.split(";"):
                self.world.step(step, self.out)
        except Failed as e:
            self.failed = str(e)
        except Exception as e:  # of a kind the table has no words for: fails whatever is expected
            self.failed = f"{type(e).__name__}: {e}"
        finally:
            self.ended = True

    def quiet(self):
        return self.ended or self.handle.status == "waiting"

    def state(self):
        if self.failed is not None:
            return f"panic {self.failed}"
        if self.ended:
            return " ".join(["done", *self.out])
        return f"parked {self.handle.wait_reason or self.handle.status}"


def received(value, ok):
    return [str(value if ok else 0), "true" if ok else "false"]


def sent(send, *args, **kwargs):
    try:
        return send(*args, **kwargs)
    except gossamer.ChanClosed:
        raise Failed("send on closed channel") from None


def word(ok):
    return ["true" if ok else "false"]


class World:
    """The objects and goroutines of one scenario."""

    def __init__(self):
        self.objects, self.runners = {}, {}
        self.progress = 0  # steps begun and finished: settle() compares it

    # ---- steps: what each gives, as words ---------------------------------
    def do_send(self, c, v):
        sent(self.objects[c].send, int(v))

    def do_try_send(self, c, v):
        return word(sent(self.objects[c].try_send, int(v)))

    def do_send_for(self, ms, c, v):
        try:
            sent(self.objects[c].send, int(v), timeout=int(ms) / 1000)
        except TimeoutError:
            return ["timeout"]
        return ["true"]

    def do_recv(self, c):
        return received(*self.objects[c].recv_ok())

    def do_try_recv(self, c):
        try:
            return received(self.objects[c].try_recv(), True)
        except gossamer.WouldBlock:
            return ["empty"]
        except gossamer.ChanClosed:
            return received(0, False)

    def do_recv_for(self, ms, c):
        try:
            return received(*self.objects[c].recv_ok(timeout=int(ms) / 1000))
        except TimeoutError:
            return ["timeout"]

    def do_close(self, c):
        try:
            if not self.objects[c].close():
                raise Failed("close of closed channel")
        except (gossamer.Error, ValueError) as e:
            if str(e) != "close of nil channel":
                raise
            raise Failed(str(e)) from None

    def do_range(self, c):
        out = []
        for v in self.objects[c]:
            out.append(str(v))
            self.progress += 1
        return out

    def do_len(self, c):
        return [str(len(self.objects[c]))]

    def do_cap(self, c):
        return [str(self.objects[c].cap)]

    def do_lock(self, m):
        self.objects[m].lock()

    def do_unlock(self, m):
        self.objects[m].unlock()

    def do_trylock(self, m):
        return word(self.objects[m].try_lock())

    def do_add(self, w, n):
        try:
            self.objects[w].add(int(n))
        except Exception as e:
            if "negative WaitGroup counter" not in str(e):
                raise
            raise Failed("sync: negative WaitGroup counter") from None

    def do_done(self, w):
        try:
            self.objects[w].done()
        except Exception as e:
            if "negative WaitGroup counter" not in str(e):
                raise
            raise Failed("sync: negative WaitGroup counter") from None

    def do_wait(self, w):
        self.objects[w].wait()

    def do_join(self, name):
        self.runners[name].handle.join()

    def do_sleep(self, ms):
        gossamer.sleep(int(ms) / 1000)

    def do_gosched(self):
        gosched()

    def case(self, text):
        f = text.split()
        if f[0] == "default":
            return gossamer.default
        ch = self.objects[f[1]]
        return gossamer.recv(ch) if f[0] == "recv" else gossamer.send(ch, int(f[2]))

    def choose(self, cases, **limit):
        texts = cases.split(",") if cases else []
        made = [self.case(t) for t in texts]
        won = sent(gossamer.select, *made, **limit)
        if won is None:
            return ["timeout"]
        at = next(i for i, c in enumerate(made) if c is won)
        return [str(at), *(received(won.value, won.ok) if texts[at].split()[0] == "recv" else [])]

    def step(self, text, out):
        verb, _, rest = text.strip().partition(" ")
        self.progress += 1
        if verb == "repeat":
            n, _, again = rest.partition(" ")
            for _ in range(int(n)):
                self.step(again, out)
        elif verb == "select":
            out += self.choose(rest)
        elif verb == "select_for":
            ms, _, cases = rest.partition(" ")
            out += self.choose(cases, timeout=int(ms) / 1000)
        elif verb == "fail":
            raise Failed(rest)
        else:
            out += getattr(self, "do_" + verb)(*rest.split()) or []
        self.progress += 1

    # ---- looking ------------------------------------------------------------
    def settled(self):
        """All were seen waiting while no step began or ended, and none wakes another before its
        own step ends: so all were waiting at one moment, and will stay so."""
        before = self.progress
        return all(r.quiet() for r in self.runners.values()) and self.progress == before

    def settle(self):
        end = time.monotonic() + 20
        while not self.settled():
            if time.monotonic() > end:
                raise AssertionError("does not settle")
            gosched()

    def end(self):
        """Ends what still waits."""
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
            self.step(text, [])
        except Failed as e:
            return str(e)
        return "no panic"

    def line(self, text):
        """Makes one line; gives what came out and what the table says."""
        verb, _, rest = text.partition(" ")
        name, _, more = rest.partition(" ")
        if verb == "chan":
            self.objects[name] = gossamer.Chan(int(more))
        elif verb == "nilchan":
            self.objects[name] = gossamer.nil_chan
        elif verb == "mutex":
            self.objects[name] = gossamer.Mutex()
        elif verb == "wg":
            self.objects[name] = gossamer.WaitGroup()
        elif verb == "go":
            self.runners[name] = Runner(self, more)
        elif verb == "settle":
            self.settle()
        elif verb == "is":
            self.settle()
            return self.runners[name].state(), more
        elif verb == "panics":
            message, _, step = rest.partition("|")
            return self.panics(step), message.strip()
        else:
            step, _, want = text.partition(" =")
            out = []
            self.step(step, out)
            return " ".join(out), want.strip()
        return "", ""


def scenarios(path):
    """The scenarios of a file: lists of (line number, text)."""
    found = []
    for number, raw in enumerate(path.read_text().splitlines(), 1):
        text = raw.strip()
        if text.startswith("scenario "):
            found.append([])
        elif text and not text.startswith("#"):
            found[-1].append((number, text))
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
    results = []
    for path in [pathlib.Path(a) for a in args] or sorted(here.glob("*.scn")):
        results += [passes(path, lines) for lines in scenarios(path)]
    bad = results.count(False)
    print(f"python {sys.version.split()[0]}: {len(results) - bad} passed, {bad} failed")
    return 1 if bad or not results else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
