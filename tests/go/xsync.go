//go:build !plain

// Steps of golang.org/x/sync and golang.org/x/time. With -tags plain, where these cannot be had, the
// scenarios that need them are not there.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
)

type group struct {
	*errgroup.Group
	ctx context.Context
}

// outcome gives what the steps of a body say they return.
func (w *world) outcome(list string) func() (any, error) {
	return func() (any, error) {
		f := new(flow)
		w.body(f, list)
		if f.errorText != "" {
			return given(f.value), errors.New(f.errorText)
		}
		return given(f.value), nil
	}
}

func given(v int) any {
	if v == 0 {
		return nil
	}
	return v
}

func (w *world) erring(list string) func() error {
	return func() error {
		_, err := w.outcome(list)()
		return err
	}
}

func landed(v any, err error, shared bool) []string {
	return append(append(word(item(v)), why(err)...), word(shared)...)
}

func perSecond(s string) rate.Limit {
	if s == "inf" {
		return rate.Inf
	}
	r, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic(err)
	}
	return rate.Limit(r)
}

func waited(err error, x context.Context) []string {
	switch {
	case err == nil:
		return word(true)
	case strings.Contains(err.Error(), "exceeds limiter's burst"):
		return word("burst")
	case strings.Contains(err.Error(), "would exceed context deadline"):
		return word("deadline")
	default:
		return ended(x)
	}
}

func delay(r *rate.Reservation) string {
	switch d := r.Delay(); {
	case d == 0:
		return "none"
	case d > 100*365*24*time.Hour:
		return "forever"
	default:
		return "some"
	}
}

func init() {
	for _, name := range []string{"errgroup", "semaphore", "singleflight", "value_and_error", "limiter"} {
		has[name] = true
	}
	for name, v := range map[string]verb{
		"group": {2, false, func(w *world, _ *flow, s []string) []string {
			g, x := errgroup.WithContext(w.ctx(s[1]))
			w.declare(s[0], &group{g, x})
			return nil
		}},
		"group_ctx":    {2, false, func(w *world, _ *flow, s []string) []string { w.scope(s[0], get[*group](w, s[1]).ctx, nil); return nil }},
		"group_go":     {2, true, func(w *world, _ *flow, s []string) []string { get[*group](w, s[0]).Go(w.erring(s[1])); return nil }},
		"group_try_go": {2, true, func(w *world, _ *flow, s []string) []string { return word(get[*group](w, s[0]).TryGo(w.erring(s[1]))) }},
		"group_limit": {2, false, func(w *world, _ *flow, s []string) []string {
			defer func() {
				if r := recover(); r != nil { // the number is not looked at
					panic("errgroup: modify limit while goroutines in the group are still active")
				}
			}()
			get[*group](w, s[0]).SetLimit(number(s[1]))
			return nil
		}},
		"group_wait": {1, false, func(w *world, _ *flow, s []string) []string { return why(get[*group](w, s[0]).Wait()) }},

		"sem": {2, false, func(w *world, _ *flow, s []string) []string {
			w.declare(s[0], semaphore.NewWeighted(int64(number(s[1]))))
			return nil
		}},
		"acquire": {2, false, func(w *world, _ *flow, s []string) []string {
			get[*semaphore.Weighted](w, s[0]).Acquire(context.Background(), int64(number(s[1])))
			return nil
		}},
		"try_acquire": {2, false, func(w *world, _ *flow, s []string) []string {
			return word(get[*semaphore.Weighted](w, s[0]).TryAcquire(int64(number(s[1]))))
		}},
		"acquire_ctx": {3, false, func(w *world, _ *flow, s []string) []string {
			x := w.ctx(s[0])
			if get[*semaphore.Weighted](w, s[1]).Acquire(x, int64(number(s[2]))) != nil {
				return ended(x)
			}
			return word(true)
		}},
		"release": {2, false, func(w *world, _ *flow, s []string) []string {
			get[*semaphore.Weighted](w, s[0]).Release(int64(number(s[1])))
			return nil
		}},

		"flight": {1, false, func(w *world, _ *flow, s []string) []string { w.declare(s[0], new(singleflight.Group)); return nil }},
		"flight_do": {3, true, func(w *world, _ *flow, s []string) []string {
			return landed(get[*singleflight.Group](w, s[0]).Do(s[1], w.outcome(s[2])))
		}},
		"flight_err": {3, true, func(w *world, _ *flow, s []string) []string {
			_, err, _ := get[*singleflight.Group](w, s[0]).Do(s[1], w.outcome(s[2]))
			return why(err)
		}},
		"flight_go": {4, true, func(w *world, _ *flow, s []string) []string {
			w.declare(s[0], get[*singleflight.Group](w, s[1]).DoChan(s[2], w.outcome(s[3])))
			return nil
		}},
		"result": {1, false, func(w *world, _ *flow, s []string) []string {
			r := <-get[<-chan singleflight.Result](w, s[0])
			return landed(r.Val, r.Err, r.Shared)
		}},
		"flight_forget": {2, false, func(w *world, _ *flow, s []string) []string {
			get[*singleflight.Group](w, s[0]).Forget(s[1])
			return nil
		}},

		"limiter": {3, false, func(w *world, _ *flow, s []string) []string {
			w.declare(s[0], rate.NewLimiter(perSecond(s[1]), number(s[2])))
			return nil
		}},
		"allow": {2, false, func(w *world, _ *flow, s []string) []string {
			return word(get[*rate.Limiter](w, s[0]).AllowN(time.Now(), number(s[1])))
		}},
		"reserve": {3, false, func(w *world, _ *flow, s []string) []string {
			r := get[*rate.Limiter](w, s[1]).ReserveN(time.Now(), number(s[2]))
			w.declare(s[0], r)
			return word(r.OK())
		}},
		"delay":     {1, false, func(w *world, _ *flow, s []string) []string { return word(delay(get[*rate.Reservation](w, s[0]))) }},
		"give_back": {1, false, func(w *world, _ *flow, s []string) []string { get[*rate.Reservation](w, s[0]).Cancel(); return nil }},
		"tokens": {1, false, func(w *world, _ *flow, s []string) []string {
			return word(int(math.Round(get[*rate.Limiter](w, s[0]).Tokens())))
		}},
		"limit": {1, false, func(w *world, _ *flow, s []string) []string {
			l := get[*rate.Limiter](w, s[0]).Limit()
			if l == rate.Inf {
				return word("inf")
			}
			return word(strconv.FormatFloat(float64(l), 'g', 6, 64))
		}},
		"burst": {1, false, func(w *world, _ *flow, s []string) []string { return word(get[*rate.Limiter](w, s[0]).Burst()) }},
		"set_limit": {2, false, func(w *world, _ *flow, s []string) []string {
			get[*rate.Limiter](w, s[0]).SetLimit(perSecond(s[1]))
			return nil
		}},
		"set_burst": {2, false, func(w *world, _ *flow, s []string) []string {
			get[*rate.Limiter](w, s[0]).SetBurst(number(s[1]))
			return nil
		}},
		"limiter_wait": {3, false, func(w *world, _ *flow, s []string) []string {
			x := w.ctx(s[0])
			return waited(get[*rate.Limiter](w, s[1]).WaitN(x, number(s[2])), x)
		}},
	} {
		verbs[name] = v
	}
}
