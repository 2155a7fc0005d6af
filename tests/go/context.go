// Steps of contexts, timers and signals.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"reflect"
	"strings"
	"syscall"
	"time"
)

// A scope is a context and what cancels it.
type scope struct {
	context.Context
	cancel func(error)
}

type key int

func (w *world) ctx(name string) context.Context { return get[*scope](w, name).Context }

func (w *world) scope(name string, x context.Context, cancel func(error)) {
	w.declare(name, &scope{x, cancel})
}

// plain makes a CancelFunc one with a cause, which it has none for.
func plain(cancel context.CancelFunc) func(error) { return func(error) { cancel() } }

// merge ends with a or b: the recipe of context.AfterFunc's documentation.
func merge(a, b context.Context) (context.Context, func(error)) {
	x, cancel := context.WithCancelCause(a)
	stop := context.AfterFunc(b, func() { cancel(context.Cause(b)) })
	return x, func(cause error) {
		stop()
		cancel(cause)
	}
}

func why(err error) []string {
	switch {
	case err == nil:
		return word("nil")
	case errors.Is(err, context.DeadlineExceeded):
		return word("deadline")
	case errors.Is(err, context.Canceled):
		return word("canceled")
	default:
		return word(err)
	}
}

func (w *world) timer(s []string) (*time.Timer, *time.Ticker) {
	if t, ok := w.any(s[0]).(*time.Timer); ok {
		return t, nil
	}
	return nil, get[*time.Ticker](w, s[0])
}

// clear stops what would start goroutines in a later scenario.
func (w *world) clear() {
	for _, o := range w.object {
		switch o := o.(type) {
		case *time.Timer:
			o.Stop()
		case *time.Ticker:
			o.Stop()
		case *scope:
			if o.cancel != nil {
				o.cancel(nil)
			}
		case chan os.Signal:
			signal.Stop(o)
			signal.Reset()
		}
	}
}

var signals = map[string]syscall.Signal{
	"USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2, "HUP": syscall.SIGHUP, "WINCH": syscall.SIGWINCH,
}

func nameOf(s os.Signal) string {
	for name, x := range signals {
		if x == s {
			return name
		}
	}
	return s.String()
}

func init() {
	for name, v := range map[string]verb{
		"background": {1, false, func(w *world, _ *flow, s []string) []string {
			w.scope(s[0], context.Background(), nil)
			return nil
		}},
		"with_cancel": {2, false, func(w *world, _ *flow, s []string) []string {
			x, cancel := context.WithCancelCause(w.ctx(s[1]))
			w.scope(s[0], x, cancel)
			return nil
		}},
		"with_timeout": {3, false, func(w *world, _ *flow, s []string) []string {
			x, cancel := context.WithTimeout(w.ctx(s[1]), ms(s[2]))
			w.scope(s[0], x, plain(cancel))
			return nil
		}},
		"with_deadline": {3, false, func(w *world, _ *flow, s []string) []string {
			x, cancel := context.WithDeadline(w.ctx(s[1]), time.Now().Add(ms(s[2])))
			w.scope(s[0], x, plain(cancel))
			return nil
		}},
		"with_value": {4, false, func(w *world, _ *flow, s []string) []string {
			w.scope(s[0], context.WithValue(w.ctx(s[1]), key(number(s[2])), number(s[3])), nil)
			return nil
		}},
		"without_cancel": {2, false, func(w *world, _ *flow, s []string) []string {
			w.scope(s[0], context.WithoutCancel(w.ctx(s[1])), nil)
			return nil
		}},
		"merge": {3, false, func(w *world, _ *flow, s []string) []string {
			x, cancel := merge(w.ctx(s[1]), w.ctx(s[2]))
			w.scope(s[0], x, cancel)
			return nil
		}},
		"done_of": {2, false, func(w *world, _ *flow, s []string) []string { w.declare(s[0], w.ctx(s[1]).Done()); return nil }},
		"cancel":  {1, false, func(w *world, _ *flow, s []string) []string { get[*scope](w, s[0]).cancel(nil); return nil }},
		"cancel_cause": {2, false, func(w *world, _ *flow, s []string) []string {
			get[*scope](w, s[0]).cancel(errors.New(s[1]))
			return nil
		}},
		"err":   {1, false, func(w *world, _ *flow, s []string) []string { return why(w.ctx(s[0]).Err()) }},
		"cause": {1, false, func(w *world, _ *flow, s []string) []string { return why(context.Cause(w.ctx(s[0]))) }},
		"value": {2, false, func(w *world, _ *flow, s []string) []string { return word(item(w.ctx(s[0]).Value(key(number(s[1]))))) }},
		"has_deadline": {1, false, func(w *world, _ *flow, s []string) []string {
			_, ok := w.ctx(s[0]).Deadline()
			return word(ok)
		}},
		"same_deadline": {2, false, func(w *world, _ *flow, s []string) []string {
			a, ok := w.ctx(s[0]).Deadline()
			b, too := w.ctx(s[1]).Deadline()
			return word(ok && too && a.Equal(b))
		}},
		"on_end": {3, true, func(w *world, _ *flow, s []string) []string {
			w.declare(s[0], context.AfterFunc(w.ctx(s[1]), w.apart(s[2])))
			return nil
		}},
		"stop_on_end": {1, false, func(w *world, _ *flow, s []string) []string { return word(get[func() bool](w, s[0])()) }},

		// A context that had ended before wins over what could be done at once.
		"send_ctx": {3, false, func(w *world, _ *flow, s []string) []string {
			x := w.ctx(s[0])
			if out := ended(x); out != nil {
				return out
			}
			select {
			case w.ch(s[1]) <- number(s[2]):
				return word(true)
			case <-x.Done():
				return ended(x)
			}
		}},
		"recv_ctx": {2, false, func(w *world, _ *flow, s []string) []string {
			x := w.ctx(s[0])
			if out := ended(x); out != nil {
				return out
			}
			i, v, ok := reflect.Select([]reflect.SelectCase{receiveFrom(w.source(s[1])), receiveFrom(x.Done())})
			if i == 1 {
				return ended(x)
			}
			return gotValue(v, ok)
		}},
		"select_ctx": {2, true, func(w *world, _ *flow, s []string) []string {
			x := w.ctx(s[0])
			if out := ended(x); out != nil {
				return out
			}
			cases := w.cases(s[1])
			out := choose(append(cases, receiveFrom(x.Done())), len(cases), "")
			if out[0] == "" {
				return ended(x)
			}
			return out
		}},
		"sleep_ctx": {2, false, func(w *world, _ *flow, s []string) []string {
			x := w.ctx(s[0])
			select {
			case <-time.After(ms(s[1])):
				return word(true)
			case <-x.Done():
				return ended(x)
			}
		}},
		"join_ctx": {2, false, func(w *world, _ *flow, s []string) []string {
			x := w.ctx(s[0])
			select {
			case <-w.goroutine(s[1]).ended:
				return word(true)
			case <-x.Done():
				return ended(x)
			}
		}},

		"timer":  {2, false, func(w *world, _ *flow, s []string) []string { w.declare(s[0], time.NewTimer(ms(s[1]))); return nil }},
		"ticker": {2, false, func(w *world, _ *flow, s []string) []string { w.declare(s[0], time.NewTicker(ms(s[1]))); return nil }},
		"after":  {2, false, func(w *world, _ *flow, s []string) []string { w.declare(s[0], time.After(ms(s[1]))); return nil }},
		"after_func": {3, true, func(w *world, _ *flow, s []string) []string {
			w.declare(s[0], time.AfterFunc(ms(s[1]), w.apart(s[2])))
			return nil
		}},
		"stop": {1, false, func(w *world, _ *flow, s []string) []string {
			t, ticker := w.timer(s)
			if t != nil {
				return word(t.Stop())
			}
			ticker.Stop()
			return nil
		}},
		"reset": {2, false, func(w *world, _ *flow, s []string) []string {
			t, ticker := w.timer(s)
			if t != nil {
				return word(t.Reset(ms(s[1])))
			}
			ticker.Reset(ms(s[1]))
			return nil
		}},

		"sigchan": {2, false, func(w *world, _ *flow, s []string) []string {
			w.declare(s[0], make(chan os.Signal, number(s[1])))
			return nil
		}},
		"notify": {2, true, func(w *world, _ *flow, s []string) []string {
			var all []os.Signal
			for _, name := range strings.Fields(s[1]) {
				all = append(all, signals[name])
			}
			signal.Notify(get[chan os.Signal](w, s[0]), all...)
			return nil
		}},
		"raise": {1, false, func(_ *world, _ *flow, s []string) []string {
			syscall.Kill(syscall.Getpid(), signals[s[0]])
			return nil
		}},
		"notify_stop":  {1, false, func(w *world, _ *flow, s []string) []string { signal.Stop(get[chan os.Signal](w, s[0])); return nil }},
		"ignore":       {1, false, func(_ *world, _ *flow, s []string) []string { signal.Ignore(signals[s[0]]); return nil }},
		"reset_signal": {1, false, func(_ *world, _ *flow, s []string) []string { signal.Reset(signals[s[0]]); return nil }},
		"ignored":      {1, false, func(_ *world, _ *flow, s []string) []string { return word(signal.Ignored(signals[s[0]])) }},
	} {
		verbs[name] = v
	}
}
