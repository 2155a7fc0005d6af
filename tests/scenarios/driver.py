"""Runs the scenario tables on the gossamer package: driver.py [FILE.scn...].

The format, and how the table's words map to Python, are in README.md.
"""
# SPDX-License-Identifier: Apache-2.0

import contextlib
import pathlib
import sys
import time

import gossamer
from gossamer.runtime import goid, goroutines, gosched

# What a scenario can need, but for the things that every language has.
HAS = {"once", "timer"}


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


def received(value, ok):
    """The words of a receive. Only the channel of a timer gives a float."""
    if not ok:
        return ["0", "false"]
    return ["tick" if isinstance(value, float) else str(value), "true"]


def sent(send, *args, **kwargs):
    try:
        return send(*args, **kwargs)
    except gossamer.ChanClosed:
        raise Failed("send on closed channel") from None


def bad_interval(where, call, seconds):
    try:
        return call(seconds)
    except ValueError as e:
        if "interval of a ticker must be positive" not in str(e):
            raise
        raise Failed(f"non-positive interval for {where}") from None


def word(ok):
    return ["true" if ok else "false"]


class World:
    """The objects and goroutines of one scenario."""

    def __init__(self):
        self.objects, self.runners = {}, {}
        self.progress = 0  # steps begun and finished: settle() compares it

    def source(self, name):
        """What receives: a channel, or that of a timer."""
        o = self.objects[name]
        return o.C if isinstance(o, (gossamer.Timer, gossamer.Ticker)) else o

    # ---- declarations ------------------------------------------------------
    def do_chan(self, name, cap):
        self.objects[name] = gossamer.Chan(int(cap))

    do_chanchan = do_chan

    def do_nilchan(self, name):
        self.objects[name] = gossamer.nil_chan

    def do_mutex(self, name):
        self.objects[name] = gossamer.Mutex()

    def do_wg(self, name):
        self.objects[name] = gossamer.WaitGroup()

    def do_once(self, name):
        self.objects[name] = gossamer.Once()

    def do_var(self, name):
        self.objects[name] = [0]

    def do_timer(self, name, ms):
        self.objects[name] = gossamer.Timer(int(ms) / 1000)

    def do_ticker(self, name, ms):
        self.objects[name] = bad_interval("NewTicker", gossamer.Ticker, int(ms) / 1000)

    def do_after(self, name, ms):
        self.objects[name] = gossamer.after(int(ms) / 1000)

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
        return received(*self.source(c).recv_ok())

    def do_try_recv(self, c):
        try:
            return received(self.source(c).try_recv(), True)
        except gossamer.WouldBlock:
            return ["empty"]
        except gossamer.ChanClosed:
            return received(0, False)

    def do_recv_for(self, ms, c):
        try:
            return received(*self.source(c).recv_ok(timeout=int(ms) / 1000))
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
        return [str(v) for v in self.values(c)]

    def values(self, c):
        for v in self.objects[c]:
            self.progress += 1
            yield v

    def do_sum(self, c):
        return [str(sum(self.values(c)))]

    def do_sum_of(self, n, c):
        return [str(sum(self.objects[c].recv() for _ in range(int(n))))]

    def do_sum_into(self, r, c):
        self.objects[r].send(sum(self.values(c)))

    def do_count(self, c, first, last):
        for v in range(int(first), int(last) + 1):
            sent(self.objects[c].send, v)
            self.progress += 1

    def do_filter(self, a, b, prime):
        for v in self.values(a):
            if v % int(prime):
                self.objects[b].send(v)
        self.objects[b].close()

    def do_send_chan(self, cc, c):
        self.objects[cc].send(self.objects[c])

    def do_take(self, name, cc):
        self.objects[name] = self.objects[cc].recv()

    def do_len(self, c):
        return [str(len(self.source(c)))]

    def do_cap(self, c):
        return [str(self.source(c).cap)]

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

    def do_set(self, n, v):
        self.objects[n][0] = int(v)

    def do_inc(self, n):
        self.objects[n][0] += 1

    def do_get(self, n):
        return [str(self.objects[n][0])]

    def do_stop(self, t):
        pending = self.objects[t].stop()
        return None if pending is None else word(pending)

    def do_reset(self, t, ms):
        pending = bad_interval("Ticker.Reset", self.objects[t].reset, int(ms) / 1000)
        return None if pending is None else word(pending)

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
        ch = self.source(f[1])
        return gossamer.recv(ch) if f[0] == "recv" else gossamer.send(ch, int(f[2]))

    def choose(self, cases, **limit):
        texts = cases.split(",") if cases else []
        made = [self.case(t) for t in texts]
        won = sent(gossamer.select, *made, **limit)
        if won is None:
            return ["timeout"]
        at = next(i for i, c in enumerate(made) if c is won)
        return [str(at), *(received(won.value, won.ok) if texts[at].split()[0] == "recv" else [])]

    def body(self, steps, out):
        for step in steps.split("&"):
            self.step(step, out)

    def step(self, text, out):
        verb, _, rest = text.strip().partition(" ")
        self.progress += 1
        if verb == "repeat":
            n, _, again = rest.partition(" ")
            for _ in range(int(n)):
                self.body(again, out)
        elif verb == "select":
            out += self.choose(rest)
        elif verb == "select_for":
            ms, _, cases = rest.partition(" ")
            out += self.choose(cases, timeout=int(ms) / 1000)
        elif verb == "fail":
            raise Failed(rest)
        elif verb == "do":
            once, _, body = rest.partition(" ")
            self.objects[once].do(lambda: self.body(body, out))
        elif verb == "wg_go":
            group, _, body = rest.partition(" ")
            self.objects[group].go(self.body, body, [])
        elif verb == "after_func":
            name, ms, body = rest.split(" ", 2)
            self.objects[name] = gossamer.after_func(int(ms) / 1000, self.body, body, [])
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
        for o in self.objects.values():
            if isinstance(o, (gossamer.Timer, gossamer.Ticker)):
                o.stop()
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
            out = []
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
