// Steps of channels, select and a goroutine's life.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"
	"time"
)

// source gives what receives: a channel of any kind, a timer's or a ticker's.
func (w *world) source(name string) any {
	switch o := w.any(name).(type) {
	case *time.Timer:
		return o.C
	case *time.Ticker:
		return o.C
	default:
		return o
	}
}

func (w *world) ch(name string) chan int { return get[chan int](w, name) }

func received(v any, ok bool) []string {
	if !ok {
		return []string{"0", "false"}
	}
	switch v := v.(type) {
	case time.Time:
		return []string{"tick", "true"}
	case os.Signal:
		return []string{nameOf(v), "true"}
	default:
		return []string{fmt.Sprint(v), "true"}
	}
}

// choose makes a select of what reflect made; late has the words of the case at n and more.
func choose(cases []reflect.SelectCase, n int, late string) []string {
	i, v, ok := reflect.Select(cases)
	if i >= n {
		return []string{late}
	}
	out := word(i)
	if cases[i].Dir == reflect.SelectRecv {
		out = append(out, received(v.Interface(), ok)...)
	}
	return out
}

func receiveFrom(c any) reflect.SelectCase {
	return reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(c)}
}

func (w *world) cases(list string) (cases []reflect.SelectCase) {
	for _, s := range strings.Split(list, ",") {
		f := strings.Fields(s)
		switch f[0] {
		case "default":
			cases = append(cases, reflect.SelectCase{Dir: reflect.SelectDefault})
		case "recv":
			cases = append(cases, receiveFrom(w.source(f[1])))
		case "send":
			cases = append(cases, reflect.SelectCase{
				Dir: reflect.SelectSend, Chan: reflect.ValueOf(w.ch(f[1])), Send: reflect.ValueOf(number(f[2])),
			})
		default:
			panic("no case " + s)
		}
	}
	return
}

// limited makes a select of one case and of what limits it; words are what it gives then.
func (w *world) limited(c reflect.SelectCase, limit any, words string, got func(v reflect.Value, ok bool) []string) []string {
	i, v, ok := reflect.Select([]reflect.SelectCase{c, receiveFrom(limit)})
	if i == 1 {
		return []string{words}
	}
	return got(v, ok)
}

func gotValue(v reflect.Value, ok bool) []string { return received(v.Interface(), ok) }
func gotTrue(reflect.Value, bool) []string       { return word(true) }

func (w *world) recv(name string) []string {
	switch c := w.source(name).(type) {
	case chan int:
		v, ok := <-c
		return received(v, ok)
	case <-chan time.Time:
		v, ok := <-c
		return received(v, ok)
	case <-chan struct{}:
		v, ok := <-c
		return received(v, ok)
	case chan os.Signal:
		v, ok := <-c
		return received(v, ok)
	default:
		panic("no channel " + name)
	}
}

// ended gives the words of a context that has ended, or nothing.
func ended(x context.Context) []string {
	switch x.Err() {
	case nil:
		return nil
	case context.DeadlineExceeded:
		return word("deadline")
	default:
		return word("canceled")
	}
}

func init() {
	for name, v := range map[string]verb{
		"chan": {2, false, func(w *world, _ *flow, s []string) []string {
			w.declare(s[0], make(chan int, number(s[1])))
			return nil
		}},
		"nilchan": {1, false, func(w *world, _ *flow, s []string) []string { w.declare(s[0], (chan int)(nil)); return nil }},
		"chanchan": {2, false, func(w *world, _ *flow, s []string) []string {
			w.declare(s[0], make(chan chan int, number(s[1])))
			return nil
		}},
		"send_chan": {2, false, func(w *world, _ *flow, s []string) []string {
			get[chan chan int](w, s[0]) <- w.ch(s[1])
			return nil
		}},
		"take": {2, false, func(w *world, _ *flow, s []string) []string {
			w.declare(s[0], <-get[chan chan int](w, s[1]))
			return nil
		}},
		"send":  {2, false, func(w *world, _ *flow, s []string) []string { w.ch(s[0]) <- number(s[1]); return nil }},
		"recv":  {1, false, func(w *world, _ *flow, s []string) []string { return w.recv(s[0]) }},
		"close": {1, false, func(w *world, _ *flow, s []string) []string { close(w.ch(s[0])); return nil }},
		"len":   {1, false, func(w *world, _ *flow, s []string) []string { return word(reflect.ValueOf(w.source(s[0])).Len()) }},
		"cap":   {1, false, func(w *world, _ *flow, s []string) []string { return word(reflect.ValueOf(w.source(s[0])).Cap()) }},
		"range": {1, false, func(w *world, _ *flow, s []string) (out []string) {
			for v := range w.ch(s[0]) {
				out = append(out, word(v)...)
			}
			return
		}},
		"sum": {1, false, func(w *world, _ *flow, s []string) []string {
			sum := 0
			for v := range w.ch(s[0]) {
				sum += v
			}
			return word(sum)
		}},
		"sum_of": {2, false, func(w *world, _ *flow, s []string) []string {
			sum := 0
			for n := number(s[0]); n > 0; n-- {
				v, ok := <-w.ch(s[1])
				if !ok {
					break
				}
				sum += v
			}
			return word(sum)
		}},
		"sum_into": {2, false, func(w *world, _ *flow, s []string) []string {
			sum := 0
			for v := range w.ch(s[1]) {
				sum += v
			}
			w.ch(s[0]) <- sum
			return nil
		}},
		"count": {3, false, func(w *world, _ *flow, s []string) []string {
			c := w.ch(s[0])
			for v, to := number(s[1]), number(s[2]); v <= to; v++ {
				c <- v
			}
			return nil
		}},
		"filter": {3, false, func(w *world, _ *flow, s []string) []string {
			to, prime := w.ch(s[1]), number(s[2])
			for v := range w.ch(s[0]) {
				if v%prime != 0 {
					to <- v
				}
			}
			close(to)
			return nil
		}},
		"try_send": {2, false, func(w *world, _ *flow, s []string) []string {
			select {
			case w.ch(s[0]) <- number(s[1]):
				return word(true)
			default:
				return word(false)
			}
		}},
		"try_recv": {1, false, func(w *world, _ *flow, s []string) []string {
			i, v, ok := reflect.Select([]reflect.SelectCase{receiveFrom(w.source(s[0])), {Dir: reflect.SelectDefault}})
			if i == 1 {
				return word("empty")
			}
			return gotValue(v, ok)
		}},
		"send_for": {3, false, func(w *world, _ *flow, s []string) []string {
			return w.limited(w.cases("send " + s[1] + " " + s[2])[0], time.After(ms(s[0])), "timeout", gotTrue)
		}},
		"recv_for": {2, false, func(w *world, _ *flow, s []string) []string {
			return w.limited(receiveFrom(w.source(s[1])), time.After(ms(s[0])), "timeout", gotValue)
		}},
		"select": {1, true, func(w *world, _ *flow, s []string) []string {
			if s[0] == "" {
				select {}
			}
			cases := w.cases(s[0])
			return choose(cases, len(cases), "")
		}},
		"select_for": {2, true, func(w *world, _ *flow, s []string) []string {
			cases := w.cases(s[1])
			return choose(append(cases, receiveFrom(time.After(ms(s[0])))), len(cases), "timeout")
		}},
		"join":    {1, false, func(w *world, _ *flow, s []string) []string { <-w.goroutine(s[0]).ended; return nil }},
		"gosched": {0, false, func(*world, *flow, []string) []string { runtime.Gosched(); return nil }},
		"goexit":  {0, false, func(*world, *flow, []string) []string { runtime.Goexit(); return nil }},
		"sleep":   {1, false, func(_ *world, _ *flow, s []string) []string { time.Sleep(ms(s[0])); return nil }},
		"fail":    {1, true, func(_ *world, _ *flow, s []string) []string { panic(s[0]) }},
		"error":   {1, false, func(_ *world, f *flow, s []string) []string { f.errorText = s[0]; return nil }},
		"give":    {1, false, func(_ *world, f *flow, s []string) []string { f.value = number(s[0]); return nil }},
		"repeat": {2, true, func(w *world, f *flow, s []string) []string {
			for n := number(s[0]); n > 0; n-- {
				w.body(f, s[1])
			}
			return nil
		}},
	} {
		verbs[name] = v
	}
}
