"""Steps of channels and select."""
# SPDX-License-Identifier: Apache-2.0

import gossamer
from words import Failed, received, sent, word


class ChanSteps:
    def source(self, name):
        """What receives: a channel, or that of a timer."""
        o = self.objects[name]
        return o.C if isinstance(o, (gossamer.Timer, gossamer.Ticker)) else o

    def do_chan(self, name, cap):
        self.objects[name] = gossamer.Chan(int(cap))

    do_chanchan = do_chan

    def do_nilchan(self, name):
        self.objects[name] = gossamer.nil_chan

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

    def values(self, c):
        for v in self.objects[c]:
            self.progress += 1
            yield v

    def do_range(self, c):
        return [str(v) for v in self.values(c)]

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

    def run_select(self, out, cases):
        out += self.choose(cases)

    def run_select_for(self, out, ms, cases):
        out += self.choose(cases, timeout=int(ms) / 1000)
