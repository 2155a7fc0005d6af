"""Steps of contexts."""
# SPDX-License-Identifier: Apache-2.0

import time

import gossamer
from gossamer import context
from words import Caused, Flow, done, item, obeying, received, sent, why, word


class ContextSteps:
    def declare_context(self, name, ctx):
        self.objects[name] = ctx
        self.ends.append(ctx.cancel)

    def do_background(self, name):
        self.objects[name] = context.background()

    def do_with_cancel(self, name, parent):
        self.declare_context(name, context.with_cancel(self.objects[parent]))

    def do_with_timeout(self, name, parent, ms):
        self.declare_context(name, context.with_timeout(int(ms) / 1000, self.objects[parent]))

    def do_with_deadline(self, name, parent, ms):
        self.declare_context(name, context.with_deadline(time.monotonic() + int(ms) / 1000, self.objects[parent]))

    def do_with_value(self, name, parent, k, v):
        self.objects[name] = context.with_value(int(k), int(v), self.objects[parent])

    def do_without_cancel(self, name, parent):
        self.objects[name] = context.without_cancel(self.objects[parent])

    def do_merge(self, name, a, b):
        self.declare_context(name, context.merge(self.objects[a], self.objects[b]))

    def do_done_of(self, name, x):
        self.objects[name] = self.objects[x].done

    def do_cancel(self, x):
        self.objects[x].cancel()

    def do_cancel_cause(self, x, n):
        self.objects[x].cancel(Caused(n))

    def do_err(self, x):
        return why(self.objects[x].err())

    def do_cause(self, x):
        return why(self.objects[x].cause())

    def do_value(self, x, k):
        return item(self.objects[x].value(int(k)))

    def do_has_deadline(self, x):
        return word(self.objects[x].deadline is not None)

    def do_same_deadline(self, x, y):
        return word(self.objects[x].deadline == self.objects[y].deadline)

    def run_on_end(self, _out, name, x, body):
        self.objects[name] = context.after_func(self.objects[x], lambda: self.body(body, Flow()))
        self.ends.insert(0, self.objects[name])

    def do_stop_on_end(self, s):
        return word(self.objects[s]())

    def do_send_ctx(self, x, c, v):
        return obeying(done, sent, self.objects[c].send, int(v), ctx=self.objects[x])

    def do_recv_ctx(self, x, c):
        return obeying(lambda got: received(*got), self.source(c).recv_ok, ctx=self.objects[x])

    def run_select_ctx(self, out, x, cases):
        out += obeying(lambda words: words, self.choose, cases, ctx=self.objects[x])

    def do_sleep_ctx(self, x, ms):
        return obeying(done, gossamer.sleep, int(ms) / 1000, ctx=self.objects[x])

    def do_join_ctx(self, x, name):
        return obeying(done, self.runners[name].handle.join, ctx=self.objects[x])
