// Steps of package sync.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"sort"
	"sync"
)

type tryLocker interface {
	sync.Locker
	TryLock() bool
}

func item(v any) string {
	if v == nil {
		return "nil"
	}
	return fmt.Sprint(v)
}

func found(v any, ok bool) []string { return []string{item(v), fmt.Sprint(ok)} }

func init() {
	for name, v := range map[string]verb{
		"mutex":   {1, false, func(w *world, _ *flow, s []string) []string { w.declare(s[0], new(sync.Mutex)); return nil }},
		"rwmutex": {1, false, func(w *world, _ *flow, s []string) []string { w.declare(s[0], new(sync.RWMutex)); return nil }},
		"wg":      {1, false, func(w *world, _ *flow, s []string) []string { w.declare(s[0], new(sync.WaitGroup)); return nil }},
		"once":    {1, false, func(w *world, _ *flow, s []string) []string { w.declare(s[0], new(sync.Once)); return nil }},
		"var":     {1, false, func(w *world, _ *flow, s []string) []string { w.declare(s[0], new(int)); return nil }},
		"cond": {2, false, func(w *world, _ *flow, s []string) []string {
			w.declare(s[0], sync.NewCond(get[sync.Locker](w, s[1])))
			return nil
		}},
		"lock":     {1, false, func(w *world, _ *flow, s []string) []string { get[sync.Locker](w, s[0]).Lock(); return nil }},
		"unlock":   {1, false, func(w *world, _ *flow, s []string) []string { get[sync.Locker](w, s[0]).Unlock(); return nil }},
		"trylock":  {1, false, func(w *world, _ *flow, s []string) []string { return word(get[tryLocker](w, s[0]).TryLock()) }},
		"rlock":    {1, false, func(w *world, _ *flow, s []string) []string { get[*sync.RWMutex](w, s[0]).RLock(); return nil }},
		"runlock":  {1, false, func(w *world, _ *flow, s []string) []string { get[*sync.RWMutex](w, s[0]).RUnlock(); return nil }},
		"tryrlock": {1, false, func(w *world, _ *flow, s []string) []string { return word(get[*sync.RWMutex](w, s[0]).TryRLock()) }},

		"set": {2, false, func(w *world, _ *flow, s []string) []string { *get[*int](w, s[0]) = number(s[1]); return nil }},
		"inc": {1, false, func(w *world, _ *flow, s []string) []string { *get[*int](w, s[0])++; return nil }},
		"get": {1, false, func(w *world, _ *flow, s []string) []string { return word(*get[*int](w, s[0])) }},

		"add": {2, false, func(w *world, _ *flow, s []string) []string {
			get[*sync.WaitGroup](w, s[0]).Add(number(s[1]))
			return nil
		}},
		"done": {1, false, func(w *world, _ *flow, s []string) []string { get[*sync.WaitGroup](w, s[0]).Done(); return nil }},
		"wait": {1, false, func(w *world, _ *flow, s []string) []string { get[*sync.WaitGroup](w, s[0]).Wait(); return nil }},
		"wg_go": {2, true, func(w *world, _ *flow, s []string) []string {
			get[*sync.WaitGroup](w, s[0]).Go(w.apart(s[1]))
			return nil
		}},

		"cond_wait": {1, false, func(w *world, _ *flow, s []string) []string { get[*sync.Cond](w, s[0]).Wait(); return nil }},
		"signal":    {1, false, func(w *world, _ *flow, s []string) []string { get[*sync.Cond](w, s[0]).Signal(); return nil }},
		"broadcast": {1, false, func(w *world, _ *flow, s []string) []string { get[*sync.Cond](w, s[0]).Broadcast(); return nil }},

		"do": {2, true, func(w *world, f *flow, s []string) []string {
			get[*sync.Once](w, s[0]).Do(func() { w.body(f, s[1]) })
			return nil
		}},
		"once_func": {2, true, func(w *world, _ *flow, s []string) []string {
			w.declare(s[0], sync.OnceFunc(w.apart(s[1])))
			return nil
		}},
		"once_value": {2, true, func(w *world, _ *flow, s []string) []string {
			w.declare(s[0], sync.OnceValue(func() int {
				f := new(flow)
				w.body(f, s[1])
				return f.value
			}))
			return nil
		}},
		"call": {1, false, func(w *world, _ *flow, s []string) []string {
			if f, ok := w.any(s[0]).(func() int); ok {
				return word(f())
			}
			get[func()](w, s[0])()
			return nil
		}},

		"pool": {2, false, func(w *world, _ *flow, s []string) []string {
			p := new(sync.Pool)
			if s[1] != "nil" {
				p.New = func() any { return number(s[1]) }
			}
			w.declare(s[0], p)
			return nil
		}},
		"pool_get": {1, false, func(w *world, _ *flow, s []string) []string { return word(item(get[*sync.Pool](w, s[0]).Get())) }},
		"pool_put": {2, false, func(w *world, _ *flow, s []string) []string { get[*sync.Pool](w, s[0]).Put(number(s[1])); return nil }},

		"map":  {1, false, func(w *world, _ *flow, s []string) []string { w.declare(s[0], new(sync.Map)); return nil }},
		"load": {2, false, func(w *world, _ *flow, s []string) []string { return found(get[*sync.Map](w, s[0]).Load(number(s[1]))) }},
		"store": {3, false, func(w *world, _ *flow, s []string) []string {
			get[*sync.Map](w, s[0]).Store(number(s[1]), number(s[2]))
			return nil
		}},
		"load_or_store": {3, false, func(w *world, _ *flow, s []string) []string {
			return found(get[*sync.Map](w, s[0]).LoadOrStore(number(s[1]), number(s[2])))
		}},
		"load_and_delete": {2, false, func(w *world, _ *flow, s []string) []string {
			return found(get[*sync.Map](w, s[0]).LoadAndDelete(number(s[1])))
		}},
		"delete": {2, false, func(w *world, _ *flow, s []string) []string { get[*sync.Map](w, s[0]).Delete(number(s[1])); return nil }},
		"swap": {3, false, func(w *world, _ *flow, s []string) []string {
			return found(get[*sync.Map](w, s[0]).Swap(number(s[1]), number(s[2])))
		}},
		"compare_and_swap": {4, false, func(w *world, _ *flow, s []string) []string {
			return word(get[*sync.Map](w, s[0]).CompareAndSwap(number(s[1]), number(s[2]), number(s[3])))
		}},
		"compare_and_delete": {3, false, func(w *world, _ *flow, s []string) []string {
			return word(get[*sync.Map](w, s[0]).CompareAndDelete(number(s[1]), number(s[2])))
		}},
		"clear": {1, false, func(w *world, _ *flow, s []string) []string { get[*sync.Map](w, s[0]).Clear(); return nil }},
		"pairs": {1, false, func(w *world, _ *flow, s []string) (out []string) {
			keys, pairs := []int{}, map[int]any{}
			get[*sync.Map](w, s[0]).Range(func(k, v any) bool { keys = append(keys, k.(int)); pairs[k.(int)] = v; return true })
			sort.Ints(keys)
			for _, k := range keys {
				out = append(out, fmt.Sprintf("%d=%v", k, pairs[k]))
			}
			return
		}},
		"each": {3, true, func(w *world, f *flow, s []string) []string {
			n := 0
			get[*sync.Map](w, s[1]).Range(func(any, any) bool {
				if s[2] != "" {
					w.body(f, s[2])
				}
				n++
				return n < number(s[0])
			})
			return word(n)
		}},
	} {
		verbs[name] = v
	}
}
