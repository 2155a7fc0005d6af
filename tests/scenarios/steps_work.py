"""Steps of errgroup, semaphore, singleflight and rate."""
# SPDX-License-Identifier: Apache-2.0

import contextvars
import math

from gossamer import errgroup, rate, semaphore, singleflight
from words import Caused, Failed, done, item, obeying, word


def per_second(text):
    return rate.inf if text == "inf" else float(text)


class WorkSteps:
    def do_group(self, name, parent):
        self.objects[name] = errgroup.Group(parent=self.objects[parent])

    def do_group_ctx(self, name, g):
        self.objects[name] = self.objects[g].ctx

    def apart(self, body):
        """The body where no context is the ambient one: the table knows none, but a group's goroutines
        obey the group's."""
        return lambda: contextvars.Context().run(self.outcome(body))

    def run_group_go(self, _out, g, body):
        self.objects[g].go(self.apart(body))

    def run_group_try_go(self, out, g, body):
        out += word(self.objects[g].try_go(self.apart(body)))

    def do_group_limit(self, g, n):
        try:
            self.objects[g].set_limit(int(n))
        except RuntimeError:
            raise Failed("errgroup: modify limit while goroutines in the group are still active") from None

    def do_group_wait(self, g):
        try:
            self.objects[g].wait()
        except Caused as e:
            return item(e)
        return ["nil"]

    def do_sem(self, name, n):
        self.objects[name] = semaphore.Weighted(int(n))

    def do_acquire(self, s, n):
        self.objects[s].acquire(int(n))

    def do_try_acquire(self, s, n):
        return word(self.objects[s].try_acquire(int(n)))

    def do_acquire_ctx(self, x, s, n):
        return obeying(done, self.objects[s].acquire, int(n), ctx=self.objects[x])

    def do_release(self, s, n):
        try:
            self.objects[s].release(int(n))
        except RuntimeError as e:
            if str(e) != "more released than is held":
                raise
            raise Failed("semaphore: released more than held") from None

    def do_flight(self, name):
        self.objects[name] = singleflight.Group()

    def run_flight_do(self, out, f, k, body):
        value, shared = self.objects[f].do(k, self.outcome(body))
        out += [*item(value), "nil", *word(shared)]

    def run_flight_err(self, out, f, k, body):
        try:
            self.objects[f].do(k, self.outcome(body))
        except Caused as e:
            out += item(e)
        else:
            out.append("nil")

    def run_flight_go(self, _out, name, f, k, body):
        self.objects[name] = self.objects[f].do_chan(k, self.outcome(body))

    def do_result(self, c):
        r = self.objects[c].recv()
        return [*item(r.value), *item(r.error), *word(r.shared)]

    def do_flight_forget(self, f, k):
        self.objects[f].forget(k)

    def do_limiter(self, name, limit, burst):
        self.objects[name] = rate.Limiter(per_second(limit), int(burst))

    def do_allow(self, name, n):
        return word(self.objects[name].allow(int(n)))

    def do_reserve(self, name, limiter, n):
        r = self.objects[name] = self.objects[limiter].reserve(int(n))
        return word(r.ok)

    def do_delay(self, r):
        d = self.objects[r].delay()
        return ["forever" if d == math.inf else "some" if d > 0 else "none"]

    def do_give_back(self, r):
        self.objects[r].cancel()

    def do_tokens(self, name):
        return [str(round(self.objects[name].tokens))]

    def do_limit(self, name):
        return [f"{self.objects[name].limit:g}"]

    def do_burst(self, name):
        return [str(self.objects[name].burst)]

    def do_set_limit(self, name, limit):
        self.objects[name].set_limit(per_second(limit))

    def do_set_burst(self, name, burst):
        self.objects[name].set_burst(int(burst))

    def do_limiter_wait(self, x, name, n):
        try:
            return obeying(done, self.objects[name].wait, int(n), ctx=self.objects[x])
        except TimeoutError:
            return ["deadline"]
        except ValueError as e:
            if "more than the limiter's burst" not in str(e):
                raise
            return ["burst"]
