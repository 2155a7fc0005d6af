// Runs the scenario tables on Go: the oracle. The format is in ../scenarios/README.md.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What a scenario can need; xsync.go adds what comes from golang.org/x.
var has = map[string]bool{
	"cond": true, "context": true, "goexit": true, "ignore": true, "map": true, "once": true, "once_func": true,
	"pool": true, "rwmutex": true, "signal": true, "timer": true,
}

// A flow is what a list of steps gave so far; errorText and value are a body's.
type flow struct {
	mu        sync.Mutex
	out       []string
	errorText string
	value     int
}

func (f *flow) say(words ...string) {
	f.mu.Lock()
	f.out = append(f.out, words...)
	f.mu.Unlock()
}

type goroutine struct {
	id       string
	flow     flow
	mu       sync.Mutex // guards the two
	done     bool
	panicked string
	ended    chan bool
}

// A world is what one scenario declared and started.
type world struct {
	mu     sync.Mutex // guards the maps: a goroutine looks for what was there before it
	object map[string]any
	g      map[string]*goroutine
}

func newWorld() *world { return &world{object: map[string]any{}, g: map[string]*goroutine{}} }

func (w *world) declare(name string, o any) {
	w.mu.Lock()
	w.object[name] = o
	w.mu.Unlock()
}

func (w *world) any(name string) any {
	w.mu.Lock()
	defer w.mu.Unlock()
	o, ok := w.object[name]
	if !ok {
		panic("no object " + name)
	}
	return o
}

func (w *world) goroutine(name string) *goroutine {
	w.mu.Lock()
	defer w.mu.Unlock()
	g, ok := w.g[name]
	if !ok {
		panic("no goroutine " + name)
	}
	return g
}

func get[T any](w *world, name string) T { return w.any(name).(T) }

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic("bad number " + s)
	}
	return n
}

func ms(s string) time.Duration { return time.Duration(number(s)) * time.Millisecond }

// A verb is made with its words after the verb; if body is set the last of words is the rest of the step.
type verb struct {
	words int
	body  bool
	fn    func(w *world, f *flow, s []string) []string
}

var verbs = map[string]verb{}

func word(v ...any) (out []string) {
	for _, x := range v {
		out = append(out, fmt.Sprint(x))
	}
	return
}

func (w *world) step(f *flow, s string) {
	name, rest, _ := strings.Cut(strings.TrimSpace(s), " ")
	v, ok := verbs[name]
	if !ok {
		panic("unknown step " + s)
	}
	words := strings.Fields(rest)
	if v.body {
		words = strings.SplitN(strings.TrimSpace(rest), " ", v.words)
		if len(words) == v.words-1 {
			words = append(words, "")
		}
	}
	if len(words) != v.words {
		panic("not so many words: " + s)
	}
	f.say(v.fn(w, f, words)...)
}

// body makes the steps of a list with & between them.
func (w *world) body(f *flow, list string) {
	for _, s := range strings.Split(list, "&") {
		w.step(f, s)
	}
}

// apart gives a function that makes these steps, what they give being dropped.
func (w *world) apart(list string) func() { return func() { w.body(new(flow), list) } }

var header = regexp.MustCompile(`(?m)^goroutine (\d+)[^\[\n]* \[([^\],]+)`)
var buf = make([]byte, 1<<22) // of the main goroutine

func stack(b []byte, all bool) string { return string(b[:runtime.Stack(b, all)]) }

// states gives the state of every goroutine but the running one, all at one moment.
func states() map[string]string {
	m := map[string]string{}
	for _, x := range header.FindAllStringSubmatch(stack(buf, true), -1)[1:] {
		m[x[1]] = x[2]
	}
	return m
}

func (w *world) run(g *goroutine, list string) {
	defer func() {
		r := recover()
		g.mu.Lock()
		if r != nil {
			g.panicked = fmt.Sprint(r)
		}
		g.done = true
		g.mu.Unlock()
		close(g.ended)
	}()
	for _, s := range strings.Split(list, ";") {
		if later, ok := strings.CutPrefix(strings.TrimSpace(s), "defer "); ok {
			defer w.body(&g.flow, later)
		} else {
			w.step(&g.flow, s)
		}
	}
}

func (w *world) spawn(name, list string) {
	g := &goroutine{ended: make(chan bool)}
	w.mu.Lock()
	w.g[name] = g
	w.mu.Unlock()
	ready := make(chan bool)
	go func() {
		g.id = header.FindStringSubmatch(stack(make([]byte, 256), false))[1]
		close(ready)
		w.run(g, list)
	}()
	<-ready
}

func (w *world) state(name string, now map[string]string) string {
	g := w.goroutine(name)
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.done && g.panicked != "":
		return "panic " + g.panicked
	case g.done:
		return strings.TrimSpace("done " + strings.Join(g.flow.out, " "))
	}
	return "parked " + now[g.id]
}

// busy tells of a goroutine that runs, or waits for the runtime's garbage collector only.
var busy = regexp.MustCompile(`^(running|runnable|preempted|semacquire)$|GC`)

// settle waits until no goroutine runs, also those that have no name.
func settle() map[string]string {
again:
	for {
		now := states()
		for _, state := range now {
			if busy.MatchString(state) {
				time.Sleep(50 * time.Microsecond)
				continue again
			}
		}
		return now
	}
}

func (w *world) panics(s string) (got string) {
	defer func() {
		if r := recover(); r != nil {
			got = fmt.Sprint(r)
		}
	}()
	w.step(new(flow), s)
	return "no panic"
}

// line makes one line of a scenario; what it gave and what the table says.
func (w *world) line(s string) (got, want string) {
	first, rest, _ := strings.Cut(s, " ")
	name, more, _ := strings.Cut(rest, " ")
	switch first {
	case "go":
		w.spawn(name, more)
	case "settle":
		settle()
	case "is":
		got = w.state(name, settle())
		if more == "parked" && strings.HasPrefix(got, "parked ") {
			got = more
		}
		return got, more
	case "panics":
		message, step, _ := strings.Cut(rest, "|")
		return w.panics(step), strings.TrimSpace(message)
	default:
		step, want, _ := strings.Cut(s, " =")
		f := new(flow)
		w.step(f, step)
		return strings.Join(f.out, " "), strings.TrimSpace(want)
	}
	return
}

type verdict int

const (
	none verdict = iota
	good
	bad
	missing
)

// A tally counts the scenarios by verdict.
type tally struct {
	n     [missing + 1]int
	names []string // of the missing ones
}

func (t *tally) file(path string) {
	f, err := os.Open(path)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	var w *world
	var is verdict
	var name string
	end := func() {
		t.n[is]++
		if is == missing {
			t.names = append(t.names, name)
		}
		if w != nil {
			w.clear()
		}
	}
	in := bufio.NewScanner(f)
	for n := 1; in.Scan(); n++ {
		s := strings.TrimSpace(in.Text())
		first, rest, _ := strings.Cut(s, " ")
		switch {
		case s == "" || s[0] == '#':
		case first == "scenario":
			end()
			w, is, name = newWorld(), good, rest
		case first == "needs":
			for _, need := range strings.Fields(rest) {
				if !has[need] {
					is = missing
				}
			}
		case is == missing:
		default:
			if got, want := w.line(s); got != want {
				is = bad
				fmt.Printf("%s:%d: %s\n  want %q\n  got  %q\n", path, n, s, want, got)
			}
		}
	}
	end()
}

func main() {
	files := os.Args[1:]
	if len(files) == 0 {
		files, _ = filepath.Glob("../scenarios/*.scn")
	}
	var t tally
	for _, path := range files {
		t.file(path)
	}
	if len(t.names) > 0 {
		fmt.Println("go: not there yet:", strings.Join(t.names, " "))
	}
	fmt.Printf("go (%s): %d passed, %d failed, %d not there yet\n", runtime.Version(), t.n[good], t.n[bad], t.n[missing])
	if t.n[bad] > 0 || t.n[good] == 0 {
		os.Exit(1)
	}
}
