"""Steps of gossamer.sync."""
# SPDX-License-Identifier: Apache-2.0

import gossamer
from gossamer import sync
from words import Failed, Flow, found, item, word


def counted(call, *args):
    try:
        call(*args)
    except Exception as e:
        if "negative WaitGroup counter" not in str(e):
            raise
        raise Failed("sync: negative WaitGroup counter") from None


class SyncSteps:
    def do_mutex(self, name):
        self.objects[name] = gossamer.Mutex()

    def do_rwmutex(self, name):
        self.objects[name] = sync.RWMutex()

    def do_lock(self, m):
        self.objects[m].lock()

    def do_unlock(self, m):
        self.objects[m].unlock()

    def do_trylock(self, m):
        return word(self.objects[m].try_lock())

    def do_rlock(self, r):
        self.objects[r].rlock()

    def do_runlock(self, r):
        self.objects[r].runlock()

    def do_tryrlock(self, r):
        return word(self.objects[r].try_rlock())

    def do_cond(self, name, lock):
        self.objects[name] = sync.Cond(self.objects[lock])

    def do_cond_wait(self, k):
        self.objects[k].wait()

    def do_signal(self, k):
        self.objects[k].signal()

    def do_broadcast(self, k):
        self.objects[k].broadcast()

    def do_wg(self, name):
        self.objects[name] = gossamer.WaitGroup()

    def do_add(self, w, n):
        counted(self.objects[w].add, int(n))

    def do_done(self, w):
        counted(self.objects[w].done)

    def do_wait(self, w):
        self.objects[w].wait()

    def run_wg_go(self, _out, w, body):
        self.objects[w].go(self.body, body, Flow())

    def do_once(self, name):
        self.objects[name] = gossamer.Once()

    def run_do(self, out, o, body):
        self.objects[o].do(lambda: self.body(body, out))

    def run_once_func(self, _out, name, body):
        self.objects[name] = sync.once_func(lambda: self.body(body, Flow()))

    def run_once_value(self, _out, name, body):
        self.objects[name] = sync.once_value(self.outcome(body))

    def do_call(self, f):
        value = self.objects[f]()
        return [] if value is None else item(value)

    def do_pool(self, name, v):
        self.objects[name] = sync.Pool(lambda: None if v == "nil" else int(v))

    def do_pool_get(self, p):
        return item(self.objects[p].get())

    def do_pool_put(self, p, v):
        self.objects[p].put(int(v))

    def do_map(self, name):
        self.objects[name] = sync.Map()

    def do_load(self, m, k):
        return found(*self.objects[m].load(int(k)))

    def do_store(self, m, k, v):
        self.objects[m].store(int(k), int(v))

    def do_load_or_store(self, m, k, v):
        return found(*self.objects[m].load_or_store(int(k), int(v)))

    def do_load_and_delete(self, m, k):
        return found(*self.objects[m].load_and_delete(int(k)))

    def do_delete(self, m, k):
        self.objects[m].delete(int(k))

    def do_swap(self, m, k, v):
        return found(*self.objects[m].swap(int(k), int(v)))

    def do_compare_and_swap(self, m, k, old, new):
        return word(self.objects[m].compare_and_swap(int(k), int(old), int(new)))

    def do_compare_and_delete(self, m, k, old):
        return word(self.objects[m].compare_and_delete(int(k), int(old)))

    def do_clear(self, m):
        self.objects[m].clear()

    def do_pairs(self, m):
        return [f"{k}={v}" for k, v in sorted(self.objects[m].items())]

    def run_each(self, out, n, m, body):
        seen = 0

        def one(_k, _v):
            nonlocal seen
            if body:
                self.body(body, out)
            seen += 1
            return seen < int(n)

        self.objects[m].range(one)
        out.append(str(seen))

    def do_var(self, name):
        self.objects[name] = [0]

    def do_set(self, n, v):
        self.objects[n][0] = int(v)

    def do_inc(self, n):
        self.objects[n][0] += 1

    def do_get(self, n):
        return [str(self.objects[n][0])]
