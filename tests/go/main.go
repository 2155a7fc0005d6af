// Runs the scenario tables on Go: the oracle. The format is in ../scenarios/README.md.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

type goroutine struct {
	id       string
	done     bool
	panicked string
	out      []string
	ended    chan bool
}

// A world is what one scenario declared and started; mu guards the goroutines' results.
type world struct {
	mu sync.Mutex
	ch map[string]chan int
	m  map[string]*sync.Mutex
	wg map[string]*sync.WaitGroup
	g  map[string]*goroutine
}

func newWorld() *world {
	return &world{ch: map[string]chan int{}, m: map[string]*sync.Mutex{}, wg: map[string]*sync.WaitGroup{}, g: map[string]*goroutine{}}
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic("bad number " + s)
	}
	return n
}

func received(v int, ok bool) []string { return []string{fmt.Sprint(v), fmt.Sprint(ok)} }

func limit(ms string) <-chan time.Time {
	return time.After(time.Duration(number(ms)) * time.Millisecond)
}

// A step is made with f, its words after the verb.
var steps = map[string]func(w *world, f []string) []string{
	"send":    func(w *world, f []string) []string { w.ch[f[0]] <- number(f[1]); return nil },
	"recv":    func(w *world, f []string) []string { v, ok := <-w.ch[f[0]]; return received(v, ok) },
	"close":   func(w *world, f []string) []string { close(w.ch[f[0]]); return nil },
	"len":     func(w *world, f []string) []string { return []string{fmt.Sprint(len(w.ch[f[0]]))} },
	"cap":     func(w *world, f []string) []string { return []string{fmt.Sprint(cap(w.ch[f[0]]))} },
	"lock":    func(w *world, f []string) []string { w.m[f[0]].Lock(); return nil },
	"unlock":  func(w *world, f []string) []string { w.m[f[0]].Unlock(); return nil },
	"trylock": func(w *world, f []string) []string { return []string{fmt.Sprint(w.m[f[0]].TryLock())} },
	"add":     func(w *world, f []string) []string { w.wg[f[0]].Add(number(f[1])); return nil },
	"done":    func(w *world, f []string) []string { w.wg[f[0]].Done(); return nil },
	"wait":    func(w *world, f []string) []string { w.wg[f[0]].Wait(); return nil },
	"join":    func(w *world, f []string) []string { <-w.g[f[0]].ended; return nil },
	"gosched": func(w *world, f []string) []string { runtime.Gosched(); return nil },
	"fail":    func(w *world, f []string) []string { panic(strings.Join(f, " ")) },
	"sleep": func(w *world, f []string) []string {
		time.Sleep(time.Duration(number(f[0])) * time.Millisecond)
		return nil
	},
	"range": func(w *world, f []string) (out []string) {
		for v := range w.ch[f[0]] {
			out = append(out, fmt.Sprint(v))
		}
		return
	},
	"try_send": func(w *world, f []string) []string {
		select {
		case w.ch[f[0]] <- number(f[1]):
			return []string{"true"}
		default:
			return []string{"false"}
		}
	},
	"try_recv": func(w *world, f []string) []string {
		select {
		case v, ok := <-w.ch[f[0]]:
			return received(v, ok)
		default:
			return []string{"empty"}
		}
	},
	"send_for": func(w *world, f []string) []string {
		select {
		case w.ch[f[1]] <- number(f[2]):
			return []string{"true"}
		case <-limit(f[0]):
			return []string{"timeout"}
		}
	},
	"recv_for": func(w *world, f []string) []string {
		select {
		case v, ok := <-w.ch[f[1]]:
			return received(v, ok)
		case <-limit(f[0]):
			return []string{"timeout"}
		}
	},
}

func (w *world) step(s string) (out []string) {
	verb, rest, _ := strings.Cut(strings.TrimSpace(s), " ")
	rest = strings.TrimSpace(rest)
	switch verb {
	case "select":
		return w.choose(rest, nil)
	case "select_for":
		ms, cases, _ := strings.Cut(rest, " ")
		return w.choose(cases, limit(ms))
	case "repeat":
		n, again, _ := strings.Cut(rest, " ")
		for i := number(n); i > 0; i-- {
			out = append(out, w.step(again)...)
		}
		return
	}
	if fn := steps[verb]; fn != nil {
		return fn(w, strings.Fields(rest))
	}
	panic("unknown step " + s)
}

func (w *world) selectCase(s string) reflect.SelectCase {
	f := strings.Fields(s)
	if f[0] == "default" {
		return reflect.SelectCase{Dir: reflect.SelectDefault}
	}
	c := reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(w.ch[f[1]])}
	if f[0] == "send" {
		c.Dir, c.Send = reflect.SelectSend, reflect.ValueOf(number(f[2]))
	}
	return c
}

func (w *world) choose(list string, late <-chan time.Time) []string {
	if list == "" {
		select {}
	}
	var cases []reflect.SelectCase
	for _, s := range strings.Split(list, ",") {
		cases = append(cases, w.selectCase(s))
	}
	n := len(cases)
	if late != nil {
		cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(late)})
	}
	i, v, ok := reflect.Select(cases)
	if i == n {
		return []string{"timeout"}
	}
	out := []string{fmt.Sprint(i)}
	if cases[i].Dir == reflect.SelectRecv {
		out = append(out, received(int(v.Int()), ok)...)
	}
	return out
}

var header = regexp.MustCompile(`(?m)^goroutine (\d+)[^\[\n]* \[([^\],]+)`)

func stack(all bool) string {
	buf := make([]byte, 1<<22)
	return string(buf[:runtime.Stack(buf, all)])
}

// states gives every goroutine's state, all at one moment.
func states() map[string]string {
	m := map[string]string{}
	for _, x := range header.FindAllStringSubmatch(stack(true), -1) {
		m[x[1]] = x[2]
	}
	return m
}

func (w *world) run(g *goroutine, list string) {
	defer func() {
		r := recover()
		w.mu.Lock()
		if r != nil {
			g.panicked = fmt.Sprint(r)
		}
		g.done = true
		w.mu.Unlock()
		close(g.ended)
	}()
	for _, s := range strings.Split(list, ";") {
		out := w.step(s)
		w.mu.Lock()
		g.out = append(g.out, out...)
		w.mu.Unlock()
	}
}

func (w *world) spawn(name, list string) {
	g := &goroutine{ended: make(chan bool)}
	w.g[name] = g
	ready := make(chan bool)
	go func() {
		g.id = header.FindStringSubmatch(stack(false))[1]
		close(ready)
		w.run(g, list)
	}()
	<-ready
}

func (w *world) state(name string, now map[string]string) string {
	g := w.g[name]
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case g.done && g.panicked != "":
		return "panic " + g.panicked
	case g.done:
		return strings.TrimSpace("done " + strings.Join(g.out, " "))
	}
	return "parked " + now[g.id]
}

func (w *world) settled(now map[string]string) bool {
	for name := range w.g {
		switch w.state(name, now) {
		case "parked running", "parked runnable", "parked ":
			return false
		}
	}
	return true
}

func (w *world) settle() map[string]string {
	for {
		if now := states(); w.settled(now) {
			return now
		}
		time.Sleep(100 * time.Microsecond)
	}
}

func (w *world) panics(s string) (got string) {
	defer func() {
		if r := recover(); r != nil {
			got = fmt.Sprint(r)
		}
	}()
	w.step(s)
	return "no panic"
}

// line makes one line of a scenario; what it gave and what the table says.
func (w *world) line(s string) (got, want string) {
	verb, rest, _ := strings.Cut(s, " ")
	name, more, _ := strings.Cut(rest, " ")
	switch verb {
	case "chan":
		w.ch[name] = make(chan int, number(more))
	case "nilchan":
		w.ch[name] = nil
	case "mutex":
		w.m[name] = new(sync.Mutex)
	case "wg":
		w.wg[name] = new(sync.WaitGroup)
	case "go":
		w.spawn(name, more)
	case "settle":
		w.settle()
	case "is":
		return w.state(name, w.settle()), more
	case "panics":
		message, step, _ := strings.Cut(rest, "|")
		return w.panics(step), strings.TrimSpace(message)
	default:
		step, want, _ := strings.Cut(s, " =")
		return strings.Join(w.step(step), " "), strings.TrimSpace(want)
	}
	return
}

// file runs one table; the scenarios that passed and failed.
func file(path string) (passed, failed int) {
	f, err := os.Open(path)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	var w *world
	bad := true
	end := func() {
		if w != nil && !bad {
			passed++
		} else if w != nil {
			failed++
		}
	}
	in := bufio.NewScanner(f)
	for n := 1; in.Scan(); n++ {
		s := strings.TrimSpace(in.Text())
		if s == "" || s[0] == '#' {
			continue
		}
		if strings.HasPrefix(s, "scenario ") {
			end()
			w, bad = newWorld(), false
		} else if got, want := w.line(s); got != want {
			bad = true
			fmt.Printf("%s:%d: %s\n  want %q\n  got  %q\n", path, n, s, want, got)
		}
	}
	end()
	return
}

func main() {
	files := os.Args[1:]
	if len(files) == 0 {
		files, _ = filepath.Glob("../scenarios/*.scn")
	}
	passed, failed := 0, 0
	for _, path := range files {
		p, f := file(path)
		passed, failed = passed+p, failed+f
	}
	fmt.Printf("go (%s): %d passed, %d failed\n", runtime.Version(), passed, failed)
	if failed > 0 || passed == 0 {
		os.Exit(1)
	}
}
