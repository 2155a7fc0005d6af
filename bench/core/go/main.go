// SPDX-License-Identifier: Apache-2.0

// The core's benchmarks as Go programs: the workloads of ../bench.c under the same names, with the
// same output. What an operation is stands there.
package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// ---- the stopwatch and small things

var (
	started time.Time
	spent   time.Duration
	value   float64 = -1 // set by a workload that does not measure time per operation
)

func start() { started = time.Now() }
func stop()  { spent = time.Since(started) }

func expect(got, wanted int64) {
	if got != wanted {
		fmt.Fprintf(os.Stderr, "bench: got %d instead of %d\n", got, wanted)
		os.Exit(1)
	}
}

func sendEach(c chan<- int64, n int64) {
	for i := int64(0); i < n; i++ {
		c <- i
	}
}

func sendEachAndClose(c chan<- int64, n int64) {
	sendEach(c, n)
	close(c)
}

// ---- goroutines

func yield(n int64) {
	var wg sync.WaitGroup
	wg.Add(2)
	yielder := func() {
		for i := int64(0); i < n/2; i++ {
			runtime.Gosched()
		}
		wg.Done()
	}
	start()
	go yielder()
	go yielder()
	wg.Wait()
	stop()
}

func spawnBatches(n, batch int64) {
	var wg sync.WaitGroup
	done := func() { wg.Done() }
	for ; n > 0; n -= batch {
		wg.Add(int(batch))
		for i := int64(0); i < batch; i++ {
			go done()
		}
		wg.Wait()
	}
}

func spawnJoin(batch int64) func(int64) {
	return func(n int64) {
		spawnBatches(batch, batch)
		start()
		spawnBatches(n, batch)
		stop()
	}
}

// ---- channels

func pingpong(n int64) {
	in, out := make(chan int64), make(chan int64)
	go func() {
		for v := range in {
			out <- v
		}
	}()
	start()
	for i := int64(0); i < n; i++ {
		in <- i
		<-out
	}
	stop()
}

func streamThrough(capacity int) func(int64) {
	return func(n int64) {
		in := make(chan int64, capacity)
		sum := int64(0)
		start()
		go sendEachAndClose(in, n)
		for v := range in {
			sum += v
		}
		stop()
		expect(sum, n*(n-1)/2)
	}
}

func mpmc(k int64) func(int64) {
	return func(n int64) { mpmcOf(k, n) }
}

func mpmcOf(k, n int64) {
	in := make(chan int64, 64)
	var producers, consumers sync.WaitGroup
	producers.Add(int(k))
	consumers.Add(int(k))
	start()
	for i := int64(0); i < k; i++ {
		go func() {
			for range in {
			}
			consumers.Done()
		}()
	}
	for i := int64(0); i < k; i++ {
		go func() {
			sendEach(in, n/k)
			producers.Done()
		}()
	}
	producers.Wait()
	close(in)
	consumers.Wait()
	stop()
}

// ---- select

func makeMany(k, capacity int) []chan int64 {
	many := make([]chan int64, k)
	for i := range many {
		many[i] = make(chan int64, capacity)
	}
	return many
}

func select2Ready(n int64) {
	c := makeMany(2, 1)
	start()
	for i := int64(0); i < n; i++ {
		c[i%2] <- i
		select {
		case <-c[0]:
		case <-c[1]:
		}
	}
	stop()
}

func select4Ready(n int64) {
	c := makeMany(4, 1)
	start()
	for i := int64(0); i < n; i++ {
		c[i%4] <- i
		select {
		case <-c[0]:
		case <-c[1]:
		case <-c[2]:
		case <-c[3]:
		}
	}
	stop()
}

func select2Block(n int64) {
	c := makeMany(2, 0)
	for i := range c {
		go sendEach(c[i], n/2)
	}
	start()
	for i := int64(0); i < n/2*2; i++ {
		select {
		case <-c[0]:
		case <-c[1]:
		}
	}
	stop()
}

func select4Block(n int64) {
	c := makeMany(4, 0)
	for i := range c {
		go sendEach(c[i], n/4)
	}
	start()
	for i := int64(0); i < n/4*4; i++ {
		select {
		case <-c[0]:
		case <-c[1]:
		case <-c[2]:
		case <-c[3]:
		}
	}
	stop()
}

func selectMixed(n int64) {
	in, out := make(chan int64), make(chan int64)
	var wg sync.WaitGroup
	both := func(to, from chan int64) {
		for i := int64(0); i < n; i++ {
			select {
			case to <- i:
			case <-from:
			}
		}
	}
	wg.Add(1)
	start()
	go func() {
		both(out, in)
		wg.Done()
	}()
	both(in, out)
	wg.Wait()
	stop()
}

func selectDefault(n int64) {
	in := make(chan int64)
	start()
	for i := int64(0); i < n; i++ {
		select {
		case <-in:
			expect(1, 0)
		default:
		}
	}
	stop()
}

func selectTimeout(n int64) {
	in := make(chan int64)
	start()
	go sendEach(in, n)
	for i := int64(0); i < n; i++ {
		select {
		case <-in:
		case <-time.After(time.Second):
			expect(1, 0)
		}
	}
	stop()
}

// ---- sync

var (
	mu      sync.Mutex
	guarded int64
)

func lockAndAdd(n int64) {
	for i := int64(0); i < n; i++ {
		mu.Lock()
		guarded++
		mu.Unlock()
	}
}

func mutexUncontended(n int64) {
	start()
	lockAndAdd(n)
	stop()
}

func mutex100(n int64) {
	var wg sync.WaitGroup
	wg.Add(100)
	start()
	for i := 0; i < 100; i++ {
		go func() {
			lockAndAdd(n / 100)
			wg.Done()
		}()
	}
	wg.Wait()
	stop()
	expect(guarded, n/100*100)
}

func mutexYield(n int64) {
	var wg sync.WaitGroup
	wg.Add(100)
	start()
	for i := 0; i < 100; i++ {
		go func() {
			for i := int64(0); i < n/100; i++ {
				mu.Lock()
				guarded++
				runtime.Gosched()
				mu.Unlock()
			}
			wg.Done()
		}()
	}
	wg.Wait()
	stop()
	expect(guarded, n/100*100)
}

func spawnChain(n int64) {
	var wg sync.WaitGroup
	wg.Add(1)
	var linksOn func(left int64)
	linksOn = func(left int64) {
		if left > 0 {
			go linksOn(left - 1)
		} else {
			wg.Done()
		}
	}
	start()
	go linksOn(n)
	wg.Wait()
	stop()
}

func closeBroadcast(n int64) {
	const crowd = 10000
	for round := n / crowd; round > 0; round-- {
		c := make(chan int64)
		var ready, woken sync.WaitGroup
		ready.Add(crowd)
		woken.Add(crowd)
		for i := 0; i < crowd; i++ {
			go func() {
				ready.Done()
				<-c
				woken.Done()
			}()
		}
		ready.Wait()
		before := spent
		start()
		close(c)
		woken.Wait()
		stop()
		spent += before
	}
}

func cpu() int64 { // nanoseconds this process has used
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

func sleepers(n int64) {
	before := cpu()
	start()
	for round := 0; round < 10; round++ {
		var wg sync.WaitGroup
		wg.Add(int(n))
		for i := int64(0); i < n; i++ {
			go func() {
				time.Sleep(time.Duration(i%100+1) * time.Millisecond)
				wg.Done()
			}()
		}
		wg.Wait()
	}
	stop()
	value = float64(cpu()-before) / (10 * float64(n))
}

func rwmutex9010(n int64) { // 100 goroutines, nine reads for every write
	var mu sync.RWMutex
	var wg sync.WaitGroup
	var guarded int64
	readsAndWrites := func() {
		var seen int64
		for i := int64(0); i < n/100; i++ {
			if i%10 == 9 {
				mu.Lock()
				guarded++
				mu.Unlock()
			} else {
				mu.RLock()
				seen += guarded
				mu.RUnlock()
			}
		}
		if seen < 0 {
			panic("overflow")
		}
		wg.Done()
	}
	wg.Add(100)
	start()
	for i := 0; i < 100; i++ {
		go readsAndWrites()
	}
	wg.Wait()
	stop()
	expect(guarded, n/100/10*100)
}

func pool100(n int64) { // an operation is a get and a put
	pool := sync.Pool{New: func() any { return new([1024]byte) }}
	var wg sync.WaitGroup
	wg.Add(100)
	start()
	for i := 0; i < 100; i++ {
		go func() {
			for i := int64(0); i < n/100; i++ {
				buffer := pool.Get().(*[1024]byte)
				buffer[0]++
				pool.Put(buffer)
			}
			wg.Done()
		}()
	}
	wg.Wait()
	stop()
}

func map9010(n int64) { // 100 goroutines, nine loads for every store, 1,024 keys
	const keys = 1024
	var m sync.Map
	var wg sync.WaitGroup
	boxed := make([]any, keys+1)
	for i := int64(1); i <= keys; i++ {
		boxed[i] = i
		m.Store(boxed[i], boxed[i])
	}
	wg.Add(100)
	start()
	for i := 0; i < 100; i++ {
		go func() {
			var sum int64
			for i := int64(0); i < n/100; i++ {
				key := boxed[i*7%keys+1]
				if i%10 == 9 {
					m.Store(key, key)
				} else {
					v, _ := m.Load(key)
					sum += v.(int64)
				}
			}
			if sum < 0 {
				panic("overflow")
			}
			wg.Done()
		}()
	}
	wg.Wait()
	stop()
}

func waitgroup(n int64) {
	var wg sync.WaitGroup
	wg.Add(1)
	start()
	for i := int64(0); i < n; i++ {
		wg.Add(1)
		wg.Done()
	}
	stop()
}

// ---- context

const tree = 10000

func contextTree(n int64) {
	contexts := make([]context.Context, tree)
	start()
	for round := n / tree; round > 0; round-- {
		root, cancel := context.WithCancel(context.Background())
		for i := range contexts {
			parent := root
			if i >= 100 {
				parent = contexts[i/100-1]
			}
			contexts[i], _ = context.WithCancel(parent)
		}
		cancel()
		for _, c := range contexts {
			if c.Err() != context.Canceled {
				expect(0, 1)
			}
		}
	}
	stop()
}

// ---- small programs

const ring = 503

func threadring(n int64) {
	out := make(chan int64)
	c := makeMany(ring, 0)
	for i := range c {
		go func(from <-chan int64, to chan<- int64, id int64) {
			for v := <-from; v > 0; v = <-from {
				to <- v - 1
			}
			out <- id
		}(c[i], c[(i+1)%ring], int64(i))
	}
	start()
	c[0] <- n
	expect(<-out, n%ring)
	stop()
}

func sieve(n int64) {
	numbers := func(c chan<- int64) {
		for i := int64(2); ; i++ {
			c <- i
		}
	}
	filter := func(from <-chan int64, to chan<- int64, prime int64) {
		for v := range from {
			if v%prime != 0 {
				to <- v
			}
		}
	}
	c := make(chan int64)
	start()
	go numbers(c)
	for i := int64(0); i < n; i++ {
		to := make(chan int64)
		go filter(c, to, <-c)
		c = to
	}
	stop()
}

func skynetNode(up chan<- int64, first, size int64) {
	if size == 1 {
		up <- first
		return
	}
	c := make(chan int64)
	sum := int64(0)
	for i := int64(0); i < 10; i++ {
		go skynetNode(c, first+i*(size/10), size/10)
	}
	for i := 0; i < 10; i++ {
		sum += <-c
	}
	up <- sum
}

func skynet(n int64) {
	c := make(chan int64)
	start()
	go skynetNode(c, 0, n)
	expect(<-c, n*(n-1)/2)
	stop()
}

func fanout(n int64) {
	in, out := make(chan int64), make(chan int64)
	sum := int64(0)
	for i := 0; i < 100; i++ {
		go func() {
			for v := range in {
				out <- v + 1
			}
		}()
	}
	start()
	go sendEach(in, n)
	for i := int64(0); i < n; i++ {
		sum += <-out
	}
	stop()
	expect(sum, n*(n+1)/2)
}

func pipeline100(n int64) {
	each, sum := n/101, int64(0)
	in := make(chan int64)
	c := in
	for i := 0; i < 100; i++ {
		to := make(chan int64)
		go func(from <-chan int64, to chan<- int64) {
			for v := range from {
				to <- v + 1
			}
			close(to)
		}(c, to)
		c = to
	}
	start()
	go sendEachAndClose(in, each)
	for v := range c {
		sum += v
	}
	stop()
	expect(sum, each*(each-1)/2+each*100)
}

// ---- time, memory, threads

func timerCreateStop(n int64) {
	start()
	for i := int64(0); i < n; i++ {
		t := time.NewTimer(time.Hour + time.Duration(i))
		if !t.Stop() {
			expect(0, 1)
		}
	}
	stop()
}

// Kilobytes in memory, page tables included.
func memory() int64 {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		panic(err)
	}
	defer f.Close()
	sum := int64(0)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if words[0] == "VmRSS:" || words[0] == "VmPTE:" {
			kb, _ := strconv.ParseInt(words[1], 10, 64)
			sum += kb
		}
	}
	return sum
}

func memoryParked(n int64) {
	in := make(chan int64)
	var began, ended sync.WaitGroup
	began.Add(int(n))
	ended.Add(int(n))
	before := memory()
	start()
	for i := int64(0); i < n; i++ {
		go func() {
			began.Done()
			<-in
			ended.Done()
		}()
	}
	began.Wait()
	stop()
	value = float64(memory()-before) * 1024 / float64(n)
	sendEach(in, n)
	ended.Wait()
}

func lateBesideSpinners(n int64) {
	var enough int32
	late := make([]int64, n)
	for i := runtime.GOMAXPROCS(0); i > 0; i-- {
		go func() {
			for atomic.LoadInt32(&enough) == 0 {
			}
		}()
	}
	start()
	for i := range late {
		due := time.Now().Add(time.Millisecond)
		time.Sleep(time.Millisecond)
		late[i] = int64(time.Since(due))
	}
	stop()
	atomic.StoreInt32(&enough, 1)
	sort.Slice(late, func(i, j int) bool { return late[i] < late[j] })
	value = float64(late[n/2])
}

func blocking100(n int64) {
	var wg sync.WaitGroup
	wg.Add(int(n))
	start()
	for i := int64(0); i < n; i++ {
		go func() {
			syscall.Nanosleep(&syscall.Timespec{Nsec: 10000000}, nil)
			wg.Done()
		}()
	}
	wg.Wait()
	stop()
	value = float64(spent)
}

// ---- sockets

func echoOne(c net.Conn) {
	buf := make([]byte, 512)
	for {
		n, err := c.Read(buf)
		if err != nil {
			break
		}
		if _, err = c.Write(buf[:n]); err != nil {
			break
		}
	}
	c.Close()
}

func echo(connections int) func(int64) {
	return func(n int64) {
		must := func(err error) {
			if err != nil {
				panic(err)
			}
		}
		var most syscall.Rlimit
		must(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &most))
		most.Cur = most.Max
		syscall.Setrlimit(syscall.RLIMIT_NOFILE, &most)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(err)
		self, err := os.Executable()
		must(err)
		port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
		client := exec.Command(filepath.Join(filepath.Dir(self), "echo_client"), port,
			strconv.Itoa(connections), strconv.FormatInt(n, 10))
		client.Stderr = os.Stderr
		must(client.Start())
		control, err := l.Accept()
		must(err)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go echoOne(c)
			}
		}()
		c := make([]byte, 1)
		turn := func(f func([]byte) (int, error)) {
			_, err := f(c)
			must(err)
		}
		turn(control.Read)
		start()
		from := cpu()
		turn(control.Write)
		turn(control.Read)
		value = float64(cpu()-from) / float64(n)
		stop()
		turn(control.Write)
	}
}

// ---- the table

type workload struct {
	name string
	run  func(int64)
	n    int64
	unit string
}

var workloads = []workload{
	{"yield", yield, 5000000, "ns"},
	{"spawn_join_1k", spawnJoin(1000), 2000000, "ns"},
	{"spawn_join_100k", spawnJoin(100000), 1000000, "ns"},
	{"spawn_chain", spawnChain, 2000000, "ns"},
	{"pingpong", pingpong, 1000000, "ns"},
	{"stream", streamThrough(0), 3000000, "ns"},
	{"spsc_1", streamThrough(1), 3000000, "ns"},
	{"spsc_64", streamThrough(64), 10000000, "ns"},
	{"spsc_1024", streamThrough(1024), 10000000, "ns"},
	{"mpmc_4x4", mpmc(4), 4000000, "ns"},
	{"mpmc_100x100", mpmc(100), 4000000, "ns"},
	{"close_broadcast", closeBroadcast, 200000, "ns"},
	{"select2_ready", select2Ready, 5000000, "ns"},
	{"select4_ready", select4Ready, 5000000, "ns"},
	{"select2_block", select2Block, 2000000, "ns"},
	{"select4_block", select4Block, 2000000, "ns"},
	{"select_mixed", selectMixed, 1000000, "ns"},
	{"select_default", selectDefault, 50000000, "ns"},
	{"select_timeout", selectTimeout, 1000000, "ns"},
	{"mutex_uncontended", mutexUncontended, 50000000, "ns"},
	{"mutex_100", mutex100, 5000000, "ns"},
	{"mutex_yield", mutexYield, 1000000, "ns"},
	{"rwmutex_90_10", rwmutex9010, 10000000, "ns"},
	{"pool_100", pool100, 10000000, "ns"},
	{"map_90_10", map9010, 10000000, "ns"},
	{"waitgroup", waitgroup, 50000000, "ns"},
	{"context_tree", contextTree, 1000000, "ns"},
	{"threadring", threadring, 1000000, "ns"},
	{"sieve", sieve, 2000, "ns"},
	{"skynet", skynet, 1000000, "ns"},
	{"fanout", fanout, 1000000, "ns"},
	{"pipeline_100", pipeline100, 2020000, "ns"},
	{"timer_create_stop", timerCreateStop, 2000000, "ns"},
	{"sleepers_100k", sleepers, 100000, "ns of CPU"},
	{"memory_100k", memoryParked, 100000, "bytes"},
	{"memory_1m", memoryParked, 1000000, "bytes"},
	{"late_beside_spinners", lateBesideSpinners, 100, "ns"},
	{"blocking_100", blocking100, 100, "ns in all"},
	{"echo_100", echo(100), 300000, "ns of CPU"},
	{"echo_1000", echo(1000), 300000, "ns of CPU"},
	{"echo_10k", echo(10000), 300000, "ns of CPU"},
}

func run(w workload) {
	ended := make(chan struct{})
	go func() {
		w.run(w.n)
		close(ended)
	}()
	<-ended
	if value < 0 {
		value = float64(spent) / float64(w.n)
	}
	fmt.Printf("%s %.2f %d %s\n", w.name, value, w.n, w.unit)
	os.Exit(0) // whatever is still parked or running
}

// All of them, each in a fresh process.
func runAll() {
	status := 0
	for _, w := range workloads {
		cmd := exec.Command(os.Args[0], w.name)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if cmd.Run() != nil {
			fmt.Fprintf(os.Stderr, "bench: %s failed\n", w.name)
			status = 1
		}
	}
	os.Exit(status)
}

func main() {
	if len(os.Args) < 2 {
		runAll()
	}
	if os.Args[1] == "--list" {
		for _, w := range workloads {
			fmt.Println(w.name)
		}
		return
	}
	for _, w := range workloads {
		if w.name != os.Args[1] {
			continue
		}
		if len(os.Args) > 2 {
			w.n, _ = strconv.ParseInt(os.Args[2], 10, 64)
		}
		if w.n > 0 {
			run(w)
		}
	}
	fmt.Fprintln(os.Stderr, "usage: bench [--list | NAME [N]]")
	os.Exit(2)
}
