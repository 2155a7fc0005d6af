"""Steps of timers and signals."""
# SPDX-License-Identifier: Apache-2.0

import os
import signal

import gossamer
from gossamer import signal as signals
from words import Failed, Flow, word


def bad_interval(where, call, seconds):
    try:
        return call(seconds)
    except ValueError as e:
        if "interval of a ticker must be positive" not in str(e):
            raise
        raise Failed(f"non-positive interval for {where}") from None


def number(name):
    return signal.Signals["SIG" + name]


class TimeSteps:
    def declare_timer(self, name, timer):
        self.objects[name] = timer
        self.ends.append(timer.stop)

    def do_timer(self, name, ms):
        self.declare_timer(name, gossamer.Timer(int(ms) / 1000))

    def do_ticker(self, name, ms):
        self.declare_timer(name, bad_interval("NewTicker", gossamer.Ticker, int(ms) / 1000))

    def do_after(self, name, ms):
        self.objects[name] = gossamer.after(int(ms) / 1000)

    def run_after_func(self, _out, name, ms, body):
        self.declare_timer(name, gossamer.after_func(int(ms) / 1000, self.body, body, Flow()))

    def do_stop(self, t):
        pending = self.objects[t].stop()
        return None if pending is None else word(pending)

    def do_reset(self, t, ms):
        pending = bad_interval("Ticker.Reset", self.objects[t].reset, int(ms) / 1000)
        return None if pending is None else word(pending)

    def do_sigchan(self, name, cap):
        c = self.objects[name] = gossamer.Chan(int(cap))
        self.ends += [lambda: signals.stop(c), signals.reset]

    def do_notify(self, c, *names):
        signals.notify(self.objects[c], *map(number, names))

    def do_raise(self, name):
        os.kill(os.getpid(), number(name))

    def do_notify_stop(self, c):
        signals.stop(self.objects[c])

    def do_ignore(self, name):
        signals.ignore(number(name))

    def do_reset_signal(self, name):
        signals.reset(number(name))

    def do_ignored(self, name):
        return word(signals.ignored(number(name)))
