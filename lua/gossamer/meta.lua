---@meta gossamer
--- What `require "gossamer"` gives, for editors and documentation. This file is never run.
---
--- Durations and times are seconds (numbers). Every call that may wait takes a last argument `t`:
--- seconds, or a context that ends the wait ("timeout" by its deadline, "canceled" otherwise; one
--- that had ended before wins over what could be done at once). It may be left out (wait for ever);
--- 0 or less means do not wait; `math.huge` is for ever; NaN is refused. What a program has to
--- expect is `nil` and a word ("closed", "timeout", "canceled", "empty"); misuse is an error.
---
--- Every call that may wait, waits for its goroutine only, wherever it stands: in a comparator, a
--- `string.gsub` function, a metamethod, an iterator, `pcall`, `require`, a coroutine. In a
--- finalizer (`__gc`) it raises "cannot wait in a finalizer" unless it need not wait. Where all
--- goroutines wait, main's call raises "all goroutines are asleep - deadlock!" with a report.
---
--- SPDX-License-Identifier: Apache-2.0

-- luacheck: ignore 212 241

---@alias gossamer.t number|gossamer.Context seconds, or a context

---@class gossamer
---@field atomic gossamer.atomic
---@field _VERSION string of the library
---@field null gossamer.null stands for nil in channels, which cannot carry nil
---@field nilchan gossamer.Chan Go's nil channel: send and receive wait for ever; never ready in a select
---@field net gossamer.net sockets, names and pipes
---@field file gossamer.filesystem files and directories
---@field process gossamer.processes other programs
---@field patterns gossamer.patterns streams, pools, queues, breakers
local gos = {}

---@class gossamer.null

-- ---- goroutines ------------------------------------------------------------------------------------

---@class gossamer.options
---@field [1] function the function; its arguments follow
---@field name? string shown in reports
---@field labels? table<string, string> added to those of the starting goroutine
---@field stack? integer bytes of address space for the C stack (512 KiB)

--- Starts `f(...)` as a goroutine. Errors: "not enough memory for a goroutine". Go: `go f(...)`.
---@param f function|gossamer.options
---@param ... any
---@return gossamer.Goroutine
function gos.go(f, ...) end

--- Ends the running goroutine. Its to-be-closed variables are closed; no pcall catches it. In main:
--- waits until no goroutine is left, then raises a deadlock. Go: `runtime.Goexit`.
function gos.goexit() end

--- The running goroutine's number. Numbers are never used twice.
---@return integer
function gos.goid() end

--- Lets other goroutines run. Go: `runtime.Gosched`.
function gos.gosched() end

--- Goroutines that have not ended, in the whole process. Go: `runtime.NumGoroutine`.
---@return integer
function gos.num_goroutine() end

--- CPUs this process may use, affinity and cgroup quota respected. Go: `runtime.NumCPU`.
---@return integer
function gos.num_cpu() end

--- Threads that may run C goroutines at once; n > 0 sets it. Goroutines of one Lua state always
--- share one thread. Go: `runtime.GOMAXPROCS`.
---@param n? integer
---@return integer before
function gos.gomaxprocs(n) end

--- The traceback of the running goroutine, or of all. Go: `runtime.Stack`.
---@param all? boolean
---@return string
function gos.stack(all) end

--- This state's goroutines that have not ended, main included.
---@return gossamer.Goroutine[]
function gos.goroutines() end

---@class gossamer.stats
---@field goroutines integer
---@field threads integer
---@field idle_threads integer
---@field procs integer
---@field created integer
---@field switches_out integer
---@field steals integer
---@field handoffs integer
---@field parks integer
---@field wakes integer
---@field stacks integer
---@field stack_bytes integer address space of the stacks
---@field max_threads integer at most so many
---@field idle_procs integer
---@field spinning integer threads that look for work
---@field runqueue integer C goroutines in the global queue
---@field timers integer pending, of C goroutines
---@field frozen integer C goroutines whose stacks are frozen
---@field frozen_bytes integer what is kept of those stacks
---@field thawed integer
---@field trapped integer of these, because somebody else touched the stack
---@field anchored integer values in channels, goroutines and timers of this state

--- The state's goroutines stay on its one thread anyway; these exist for programs that say so.
--- Go: `runtime.LockOSThread`.
function gos.lock_os_thread() end

--- Undoes `lock_os_thread()`. Go: `runtime.UnlockOSThread`.
function gos.unlock_os_thread() end

--- Goroutines that are left over: those of this state that wait, once all others have had time to end,
--- but for main, the caller, and those in known. Waits for nothing but other goroutines' turns. Go:
--- `goleak.Find`.
---@param known? gossamer.Goroutine[] what `goroutines()` gave before
---@return gossamer.Goroutine[]
function gos.leaks(known) end

--- What the runtime has done and has.
---@return gossamer.stats
function gos.stats() end

--- From now on SIGQUIT (Ctrl-\) prints every goroutine of the process, with what it waits for and where it was
--- started, and ends the process with status 2, as in Go. Also: GOSSAMER_SIGQUIT=1 in the environment.
function gos.dump_on_sigquit() end

--- What happens to the error of a goroutine that nobody joins within a second: "report" (stderr, the
--- default), a function (called in a goroutine of its own), or "crash": at once, unless somebody is
--- joining, all goroutines are shown and the process ends with status 2, as in Go.
---@param policy "report"|"crash"|fun(err: any, traceback: string|nil, g: gossamer.Goroutine)
function gos.on_panic(policy) end

---@class gossamer.Goroutine a goroutine's handle; at the end of a scope (`<close>`) it waits and raises the goroutine's error
local Goroutine = {}

--- Waits for the end. Errors: "a goroutine cannot join itself".
---@param t? gossamer.t
---@return true|nil ok nil: it failed, or has not ended
---@return any ... its results; or its error (or "timeout", "canceled") and the traceback
function Goroutine:join(t) end

--- A channel that is closed when the goroutine ends; always the same one.
---@return gossamer.RecvChan
function Goroutine:done() end

--- Ends its wait, or its next one: the call gives nil, "canceled", or raises err if one is given. An operation on a file
--- that would be that next wait is not done.
---@param err? any
---@return boolean false: it has ended
function Goroutine:interrupt(err) end

--- Its number, which is never used twice.
---@return integer
function Goroutine:id() end

--- What it was called in `go{...}`.
---@return string|nil
function Goroutine:name() end

--- What it does, and if it waits, for what.
---@return "runnable"|"running"|"waiting"|"dead"
---@return string|nil reason in Go's words: "chan receive", "select", ...
function Goroutine:status() end

--- Where it is; of one that failed, where its error was raised.
---@return string|nil
function Goroutine:traceback() end

--- A copy of its labels.
---@return table<string, string>
function Goroutine:labels() end

-- ---- channels --------------------------------------------------------------------------------------

---@class gossamer.SendChan a channel to send to; `#ch` is the number of values inside
local SendChan = {}

---@class gossamer.RecvChan a channel to receive from; `for v in ch do` receives until it is closed
local RecvChan = {}

---@class gossamer.Chan: gossamer.SendChan, gossamer.RecvChan a channel; at the end of a scope (`<close>`) it is closed
local Chan = {}

--- A channel of any values but nil. Errors: "negative capacity". Go: `make(chan T, cap)`.
---@param cap? integer 0: unbuffered
---@param name? string
---@return gossamer.Chan
function gos.chan(cap, name) end

--- Waits until a receiver or the buffer takes v. A value that was not sent stays the caller's.
--- Errors: "send on closed channel"; nil (use gos.null). Go: `ch <- v`.
---@param v any
---@param t? gossamer.t
---@return true|nil
---@return nil|"timeout"|"canceled" why
function SendChan:send(v, t) end

--- Sends if that is possible at once. Errors: "send on closed channel".
---@param v any
---@return boolean
function SendChan:try_send(v) end

--- Wakes all receivers; values inside can still be received. Errors: "close of nil channel".
---@return boolean true for the call that closed it
function SendChan:close() end

--- Waits for a value. Go: `v, ok := <-ch`.
---@param t? gossamer.t
---@return any v
---@return nil|"closed"|"timeout"|"canceled" why there is no value
function RecvChan:recv(t) end

--- Receives if that is possible at once.
---@return any v
---@return nil|"empty"|"closed" why there is no value
function RecvChan:try_recv() end

--- How many values it has room for.
---@return integer
function Chan:cap() end

--- Whether it has been closed; there may be values inside.
---@return boolean
function Chan:closed() end

--- The same channel, to send to only. Go: `chan<- T`.
---@return gossamer.SendChan
function Chan:sender() end

--- The same channel, to receive from only. Go: `<-chan T`.
---@return gossamer.RecvChan
function Chan:receiver() end

-- ---- select ----------------------------------------------------------------------------------------

---@class gossamer.Case a case of select; may be used again

---@class gossamer.select
---@field [integer] gossamer.RecvChan|gossamer.Case|false the cases; false: no case
---@field default? true|function chosen when no case is ready; a function is called
---@field timeout? number seconds
---@field ctx? gossamer.Context ends the wait
---@field ordered? boolean the first ready case wins, instead of any with equal chance

--- Waits until one of the cases can go on, and does exactly that one. Errors: "send on closed
--- channel", "unknown option '...'". Go: `select`.
---@param cases gossamer.select
---@return integer|"default"|"timeout"|"canceled" i the position of the case
---@return any v what was received; true for a send
---@return nil|"closed" err
function gos.select(cases) end

--- A case that receives.
---@param ch gossamer.RecvChan
---@param fn? fun(v: any, err: "closed"|nil) called when the case was chosen
---@return gossamer.Case
function gos.recv(ch, fn) end

--- A case that sends.
---@param ch gossamer.SendChan
---@param v any
---@param fn? fun(v: true) called when the case was chosen
---@return gossamer.Case
function gos.send(ch, v, fn) end

-- ---- time ------------------------------------------------------------------------------------------

--- Waits, unless t ends it early. Go: `time.Sleep`.
---@param s number seconds
---@param t? gossamer.t
---@return true|nil
---@return nil|"timeout"|"canceled" why
function gos.sleep(s, t) end

--- Seconds of a clock that never goes back; its zero means nothing.
---@return number
function gos.now() end

--- A channel that gives the time once, s from now. Go: `time.After`.
---@param s number seconds
---@return gossamer.RecvChan
function gos.after(s) end

--- A channel that gives the time every s. A slow receiver misses ticks. Errors: "non-positive
--- interval". Go: `time.Tick`.
---@param s number seconds
---@return gossamer.RecvChan
function gos.tick(s) end

---@class gossamer.Timer at the end of a scope (`<close>`) it is stopped
---@field C gossamer.RecvChan gives the time; of after_func: nil
local Timer = {}

--- A timer that fires once, through its channel. Go: `time.NewTimer`.
---@param s number seconds
---@return gossamer.Timer
function gos.timer(s) end

--- A timer that fires every s until it is stopped. Errors: "non-positive interval". Go: `time.NewTicker`.
---@param s number seconds
---@return gossamer.Timer
function gos.ticker(s) end

--- Calls `f(...)` in a goroutine of its own, s from now. Go: `time.AfterFunc`.
---@param s number seconds
---@param f function
---@param ... any
---@return gossamer.Timer
function gos.after_func(s, f, ...) end

--- No stale time is received afterwards.
---@return boolean pending false: it had fired, or was stopped
function Timer:stop() end

--- It fires s from now. No stale time is received afterwards.
---@param s number seconds
---@return boolean pending
function Timer:reset(s) end

-- ---- contexts --------------------------------------------------------------------------------------

---@class gossamer.Context what may be given up together; at the end of a scope (`<close>`) it is cancelled
local Context = {}

--- Never ends, has no values. Go: `context.Background`.
---@return gossamer.Context
function gos.background() end

--- Ends when its parent does, or by `cancel()`. Go: `context.WithCancelCause`.
---@param parent? gossamer.Context the background
---@return gossamer.Context
function gos.with_cancel(parent) end

--- Ends s from now at the latest. Go: `context.WithTimeoutCause`.
---@param s number seconds
---@param parent? gossamer.Context
---@param cause? any what `cause()` gives if it is this that ends it
---@return gossamer.Context
function gos.with_timeout(s, parent, cause) end

--- Ends at the time t at the latest. Go: `context.WithDeadlineCause`.
---@param t number seconds on the clock of `now()`
---@param parent? gossamer.Context
---@param cause? any
---@return gossamer.Context
function gos.with_deadline(t, parent, cause) end

--- The same context with a value more. It cannot be cancelled by itself. Keys are compared as by
--- `rawequal`. Values belong to the Lua state in which they were given. Go: `context.WithValue`.
---@param k any not nil
---@param v any
---@param parent? gossamer.Context
---@return gossamer.Context
function gos.with_value(k, v, parent) end

--- For cleaning up: ends s after its parent has ended, with the parent's error and cause.
---@param s number seconds
---@param parent? gossamer.Context
---@return gossamer.Context
function gos.with_grace(s, parent) end

--- The parent's values without its end. Go: `context.WithoutCancel`.
---@param parent? gossamer.Context
---@return gossamer.Context
function gos.without_cancel(parent) end

--- Ends when one of the two does, with its error and cause; values of a, then of b. Errors: more than
--- 64 merged into one another.
---@param a gossamer.Context
---@param b gossamer.Context
---@return gossamer.Context
function gos.merge(a, b) end

--- A channel that is closed when it has ended; the nil channel for one that never ends. Go: `ctx.Done()`.
---@return gossamer.RecvChan
function Context:done() end

--- nil until it has ended. Go: `ctx.Err()`.
---@return nil|"canceled"|"deadline exceeded"
function Context:err() end

--- nil until it has ended; then what was given to the `cancel()` or deadline that ended it, or its
--- error. Of notify_context: "signal: NAME". Go: `context.Cause`.
---@return any
function Context:cause() end

--- The value of the nearest key, or nil. Go: `ctx.Value()`.
---@param k any
---@return any
function Context:value(k) end

--- When it will end at the latest, on the clock of `now()`; nil: no deadline. Go: `ctx.Deadline()`.
---@return number|nil
function Context:deadline() end

--- Ends it and all below it; the first cause stays. Nothing happens to one that cannot be cancelled
--- (background, with_value, without_cancel). Go: `CancelCauseFunc`.
---@param cause? any
function Context:cancel(cause) end

--- Calls `f(...)` in a goroutine of its own once the context has ended. Go: `context.AfterFunc`.
---@param f function
---@param ... any
---@return fun(): boolean stop true: f will not run
function Context:after_func(f, ...) end

-- ---- locks and what is shared ----------------------------------------------------------------------

---@class gossamer.Mutex
local Mutex = {}

--- Go: `sync.Mutex`.
---@return gossamer.Mutex
function gos.mutex() end

--- Locks it.
---@param t? gossamer.t
---@return true|nil
---@return nil|"timeout"|"canceled" why
function Mutex:lock(t) end

--- Locks it if that is possible at once.
---@return boolean
function Mutex:try_lock() end

--- Any goroutine may do it. Errors: "unlock of unlocked mutex".
function Mutex:unlock() end

--- Locks; `local _ <close> = mu:guard()` unlocks at the end of the scope.
---@param t? gossamer.t
---@return gossamer.Mutex|nil
---@return nil|"timeout"|"canceled" why
function Mutex:guard(t) end

---@class gossamer.RWMutex many readers or one writer; `<close>` of a `guard()` unlocks it
local RWMutex = {}

---@class gossamer.RLocker an RWMutex as a lock for reading; `<close>` of a `rguard()` unlocks it
local RLocker = {}

--- A writer that waits keeps new readers out. Go: `sync.RWMutex`.
---@return gossamer.RWMutex
function gos.rwmutex() end

--- Locks for writing.
---@param t? gossamer.t
---@return true|nil
---@return nil|"timeout"|"canceled" why
function RWMutex:lock(t) end

--- Locks for writing if that is possible at once.
---@return boolean
function RWMutex:try_lock() end

--- Any goroutine may do it. Errors: "unlock of unlocked RWMutex".
function RWMutex:unlock() end

--- Locks for reading.
---@param t? gossamer.t
---@return true|nil
---@return nil|"timeout"|"canceled" why
function RWMutex:rlock(t) end

--- Locks for reading if that is possible at once.
---@return boolean
function RWMutex:try_rlock() end

--- Any goroutine may do it. Errors: "runlock of unlocked RWMutex".
function RWMutex:runlock() end

--- Locks for writing; `local _ <close> = rw:guard()` unlocks at the end of the scope.
---@param t? gossamer.t
---@return gossamer.RWMutex|nil
---@return nil|"timeout"|"canceled" why
function RWMutex:guard(t) end

--- Locks for reading; `local _ <close> = rw:rguard()` unlocks at the end of the scope.
---@param t? gossamer.t
---@return gossamer.RLocker|nil
---@return nil|"timeout"|"canceled" why
function RWMutex:rguard(t) end

--- The same mutex as a lock for reading. Go: `RLocker`.
---@return gossamer.RLocker
function RWMutex:reader() end

--- Locks for reading.
---@param t? gossamer.t
---@return true|nil
---@return nil|"timeout"|"canceled" why
function RLocker:lock(t) end

--- Locks for reading if that is possible at once.
---@return boolean
function RLocker:try_lock() end

--- Unlocks for reading.
function RLocker:unlock() end

--- As `rguard()`.
---@param t? gossamer.t
---@return gossamer.RLocker|nil
---@return nil|"timeout"|"canceled" why
function RLocker:guard(t) end

---@class gossamer.Cond
---@field L gossamer.Mutex|gossamer.RWMutex|gossamer.RLocker its lock
local Cond = {}

--- Go: `sync.NewCond`.
---@param mu? gossamer.Mutex|gossamer.RWMutex|gossamer.RLocker a mutex of its own, if left out
---@return gossamer.Cond
function gos.cond(mu) end

--- Unlocks, waits for a signal, and locks again, whatever happened. Stand in a loop that looks at what
--- is waited for: a handler of a signal of the system may end the wait as well. Errors: "wait without
--- holding the lock".
---@param t? gossamer.t
---@return true|nil
---@return nil|"timeout"|"canceled" why
function Cond:wait(t) end

--- Wakes the one that has waited longest. The lock may be held, but need not be.
function Cond:signal() end

--- Wakes all that wait now.
function Cond:broadcast() end

---@class gossamer.WaitGroup
local WaitGroup = {}

--- Go: `sync.WaitGroup`.
---@return gossamer.WaitGroup
function gos.waitgroup() end

--- Errors: "negative WaitGroup counter"; then nothing has changed.
---@param n? integer 1
function WaitGroup:add(n) end

--- `add(-1)`.
function WaitGroup:done() end

--- Waits until the counter is 0.
---@param t? gossamer.t
---@return true|nil
---@return nil|"timeout"|"canceled" why
function WaitGroup:wait(t) end

--- Starts `f(...)` as a goroutine, counted until its end, whatever that is. Go: `WaitGroup.Go`.
---@param f function
---@param ... any
---@return gossamer.Goroutine
function WaitGroup:go(f, ...) end

---@class gossamer.Once
local Once = {}

--- Go: `sync.Once`.
---@return gossamer.Once
function gos.once() end

--- The first call runs f; others wait for its end. It counts as run even if it raises an error.
---@param f function
function Once:do_(f) end

--- A function that calls f at its first call only. f's error is raised by every call. Go: `sync.OnceFunc`.
---@param f function
---@return fun()
function gos.once_func(f) end

--- The same, giving f's results at every call. Go: `sync.OnceValue`.
---@generic T
---@param f fun(): T
---@return fun(): T
function gos.once_value(f) end

--- `local _ <close> = gos.defer(f, ...)` calls `f(...)` at the end of the scope. Go: `defer`.
---@param f function
---@param ... any
---@return table
function gos.defer(f, ...) end

---@class gossamer.Pool
local Pool = {}

--- Things that are made again more dearly than kept. Go: `sync.Pool`.
---@param new? fun(): any makes one when there is none; without it get() gives nil
---@return gossamer.Pool
function gos.pool(new) end

--- Any item that was put, or a new one.
---@return any
function Pool:get() end

--- The item may be given to anybody, or dropped. Errors: nil.
---@param item any
function Pool:put(item) end

---@class gossamer.Map a table whose operations are one step each; `#m` is the number of its keys
local Map = {}

--- Of this Lua state. Keys are anything but nil and NaN, values anything but nil (use gos.null). Go:
--- `sync.Map`.
---@return gossamer.Map
function gos.map() end

--- The value of a key.
---@param k any
---@return any v nil: there is none
---@return boolean found
function Map:load(k) end

--- Sets the value of a key.
---@param k any
---@param v any
function Map:store(k, v) end

--- The value that is there, or v, which is stored then.
---@param k any
---@param v any
---@return any actual
---@return boolean loaded true: it was there
function Map:load_or_store(k, v) end

--- Takes the value out.
---@param k any
---@return any v
---@return boolean found
function Map:load_and_delete(k) end

--- Deletes the key.
---@param k any
---@return boolean deleted false: there was none
function Map:delete(k) end

--- Stores v; gives what was there before.
---@param k any
---@param v any
---@return any old
---@return boolean found
function Map:swap(k, v) end

--- Replaces the value if it is old, as by `rawequal`.
---@param k any
---@param old any
---@param v any
---@return boolean swapped
function Map:compare_and_swap(k, old, v) end

--- Deletes the key if its value is old, as by `rawequal`.
---@param k any
---@param old any
---@return boolean deleted
function Map:compare_and_delete(k, old) end

--- Calls f for every key until it returns false; f may wait and do anything with the map. No key comes
--- twice; one that stays throughout comes.
---@param f fun(k: any, v: any): boolean|nil
function Map:range(f) end

--- Deletes all.
function Map:clear() end

---@class gossamer.atomic
gos.atomic = {}

---@class gossamer.AtomicInt an integer of 64 bits that Lua states may share; it wraps around
local AtomicInt = {}

---@class gossamer.AtomicBool a boolean that Lua states may share
local AtomicBool = {}

--- Go: `atomic.Int64`.
---@param n? integer 0
---@return gossamer.AtomicInt
function gos.atomic.int(n) end

--- Go: `atomic.Bool`.
---@param b? boolean false
---@return gossamer.AtomicBool
function gos.atomic.bool(b) end

--- Its value.
---@return integer
function AtomicInt:load() end

--- Sets it.
---@param n integer
function AtomicInt:store(n) end

--- Adds d.
---@param d? integer 1
---@return integer after
function AtomicInt:add(d) end

--- Sets it.
---@param n integer
---@return integer before
function AtomicInt:swap(n) end

--- Sets it to n if it is old.
---@param old integer
---@param n integer
---@return boolean swapped
function AtomicInt:cas(old, n) end

--- Clears the bits that are not in mask.
---@param mask integer
---@return integer before
function AtomicInt:and_(mask) end

--- Sets the bits in mask.
---@param mask integer
---@return integer before
function AtomicInt:or_(mask) end

--- Its value.
---@return boolean
function AtomicBool:load() end

--- Sets it.
---@param b boolean
function AtomicBool:store(b) end

--- Sets it.
---@param b boolean
---@return boolean before
function AtomicBool:swap(b) end

--- Sets it to b if it is old.
---@param old boolean
---@param b boolean
---@return boolean swapped
function AtomicBool:cas(old, b) end

-- ---- errgroup, semaphore, singleflight, limiter ----------------------------------------------------

---@class gossamer.errgroup
---@field limit? integer at most so many run at once
---@field errors? "first"|"all" what wait() gives: the first error (the default), or a table of all
---@field parent? gossamer.Context

---@class gossamer.ErrGroup goroutines that work on one thing; at the end of a scope (`<close>`) it waits and raises the error
local ErrGroup = {}

--- The first error ends its context. Go: `errgroup.WithContext`.
---@param options? gossamer.errgroup
---@return gossamer.ErrGroup
function gos.errgroup(options) end

--- Starts `f(...)` as a goroutine of the group; waits while as many run as the limit allows. An error
--- raised by f, or returned after nil, is one of the group's: nothing reports it but `wait()`.
---@param f function
---@param ... any
---@return gossamer.Goroutine|nil
---@return nil|"canceled" why by `interrupt()`, where there is a limit
function ErrGroup:go(f, ...) end

--- The same, but nil instead of waiting.
---@param f function
---@param ... any
---@return gossamer.Goroutine|nil
function ErrGroup:try_go(f, ...) end

--- At most n at once; below 0: no limit. Errors: while goroutines of it run.
---@param n integer
function ErrGroup:set_limit(n) end

--- Waits until all have ended, then cancels the context.
---@param t? gossamer.t
---@return true|nil
---@return any err the error, or the table of errors; or "timeout", "canceled": not all have ended
function ErrGroup:wait(t) end

--- Ends with the first error, which is its cause, or with `wait()`.
---@return gossamer.Context
function ErrGroup:ctx() end

---@class gossamer.Semaphore
local Semaphore = {}

--- Of n units, to be had in the order of the calls. Go: `semaphore.NewWeighted`.
---@param n integer
---@return gossamer.Semaphore
function gos.semaphore(n) end

--- Takes n. More than there are is never to be had: it waits until it is given up.
---@param n? integer 1
---@param t? gossamer.t
---@return true|nil
---@return nil|"timeout"|"canceled" why
function Semaphore:acquire(n, t) end

--- Takes n if that is possible at once, and nobody waits.
---@param n? integer 1
---@return boolean
function Semaphore:try_acquire(n) end

--- Gives n back. Errors: "released more than held"; then nothing has changed.
---@param n? integer 1
function Semaphore:release(n) end

---@class gossamer.flight_result
---@field val any
---@field err any nil: there was no error
---@field shared boolean others got it as well

---@class gossamer.SingleFlight
local SingleFlight = {}

--- What many ask for at once is done once. Go: `singleflight.Group`.
---@return gossamer.SingleFlight
function gos.singleflight() end

--- Calls f, or waits for the call of the same key that is running. An error raised by f, or returned
--- after nil, is everybody's.
---@param key any not nil
---@param f fun(): any, any
---@param t? gossamer.t for the wait for another's call; f is not run under a context that had ended before
---@return any v
---@return any shared true: others got it as well; or the error, or "timeout", "canceled"
function SingleFlight:do_(key, f, t) end

--- The same, f in a goroutine of its own: a channel that will give the result.
---@param key any
---@param f fun(): any, any
---@return gossamer.RecvChan
function SingleFlight:do_chan(key, f) end

--- The next call of the key runs its function, even if another still runs.
---@param key any
function SingleFlight:forget(key) end

---@class gossamer.Limiter
local Limiter = {}

---@class gossamer.Reservation
local Reservation = {}

--- A bucket of tokens, full at first. Go: `rate.NewLimiter`.
---@param rate number events a second; `math.huge`: no limit
---@param burst integer at most so many at once
---@return gossamer.Limiter
function gos.limiter(rate, burst) end

--- May n events happen now? Then they have.
---@param n? integer 1
---@return boolean
function Limiter:allow(n) end

--- Waits until n events may happen. "timeout" at once if t would end before. Errors: n is more than
--- the burst.
---@param n? integer 1
---@param t? gossamer.t
---@return true|nil
---@return nil|"timeout"|"canceled" why
function Limiter:wait(n, t) end

--- Takes n for a time to come, however late that is.
---@param n? integer 1
---@return gossamer.Reservation
function Limiter:reserve(n) end

--- Events a second.
---@return number
function Limiter:limit() end

--- Events at once.
---@return integer
function Limiter:burst() end

--- What is in the bucket; negative: promised to reservations.
---@return number
function Limiter:tokens() end

--- Changes the rate.
---@param rate number
function Limiter:set_limit(rate) end

--- Changes the burst.
---@param burst integer
function Limiter:set_burst(burst) end

--- false: never, it is more than the burst.
---@return boolean
function Reservation:ok() end

--- How long to wait before it may happen.
---@return number s seconds; `math.huge`: never
function Reservation:delay() end

--- It will not happen: gives back what no later reservation has built upon.
function Reservation:cancel() end

-- ---- signals ---------------------------------------------------------------------------------------

--- Sends the names of these signals ("INT", "TERM", ...; others as numbers) to ch, which misses what it
--- has no room for; none: all that can be caught. Errors: one cannot be caught. Go: `signal.Notify`.
---@param ch gossamer.SendChan
---@param ... string|integer
function gos.notify(ch, ...) end

--- ch gets no more signals; those that came before are in it. Go: `signal.Stop`.
---@param ch gossamer.SendChan
function gos.stop(ch) end

--- A context that ends with the first of these signals. Its end gives the signals back. Go:
--- `signal.NotifyContext`.
---@param ... string|integer|gossamer.Context the parent, if given, comes first
---@return gossamer.Context
function gos.notify_context(...) end

-- ---- blocking calls, file descriptors -------------------------------------------------------------

--- Runs a C function without upvalues in another thread, in a Lua state of its own, while only this
--- goroutine waits: `gos.blocking(os.execute, "make")`. Arguments and results are nil, booleans, numbers,
--- strings and light userdata; its error is raised. Errors: "a C function is needed", "cannot go to another thread".
---@param f function
---@param ... nil|boolean|number|string|lightuserdata
---@return any ... its results; or nil, "canceled": it goes on alone
function gos.blocking(f, ...) end

--- Whatever has a file descriptor; objects of LuaSocket too.
---@alias gossamer.fd integer|file*|gossamer.Stream|gossamer.Listener|gossamer.Packet|{getfd: fun(self): integer}

--- Waits until the file descriptor is ready to be read ("r") or written ("w"), whoever made it.
---@param fd gossamer.fd
---@param mode "r"|"w"|"rw"
---@param t? gossamer.t
---@return "r"|"w"|"rw"|nil ready
---@return nil|"closed"|"timeout"|"canceled"|string why
---@return string|nil code "EBADF" and the like
function gos.wait_fd(fd, mode, t) end

--- A case that is ready when fd can be read, or its end has been reached. What a stream has already read
--- ahead is not seen: look at `buffered()` first. Its value is true; or nil, "closed".
---@param fd gossamer.fd
---@param fn? fun(v: true|nil, err: "closed"|nil)
---@return gossamer.Case
function gos.readable(fd, fn) end

--- The same for writing.
---@param fd gossamer.fd
---@param fn? fun(v: true|nil, err: "closed"|nil)
---@return gossamer.Case
function gos.writable(fd, fn) end

--- From here on, in all states of the process, unmodified code that blocks in `os.execute`, `io.popen`, reads
--- and writes of pipes and terminals by the io library, and in LuaSocket waits for its goroutine only. Changes
--- the tables through which the interpreter and Lua modules call the C library; modules loaded later too. What
--- it cannot see: files on disks, and C libraries that a module uses. An interruption of such a call is put off
--- until the goroutine's next wait. Errors: "hook: not supported here: ...", when a self-test fails.
---@return true
function gos.hook() end

--- Undoes it; calls that wait come to their end.
---@return boolean before was it in force?
function gos.unhook() end

--- Lets others run when a goroutine of this state computes for longer than a time slice; off at first. A
--- goroutine may then lose the thread between any two instructions of Lua code, though never inside a C
--- function: what several goroutines change needs a mutex. Code in coroutines and goroutines with a hook of
--- their own (`debug.sethook`) are left alone. Uses the signal SIGURG, as Go does.
---@param slice? boolean|number true: 0.01 seconds; nil: only asks
---@return false|number before seconds
function gos.preempt(slice) end

--- Calls `f(...)`; the goroutine is not preempted meanwhile, whatever f calls.
---@param f function
---@param ... any
---@return any ... f's results
function gos.no_preempt(f, ...) end

-- ---- streams ---------------------------------------------------------------------------------------
-- What the system refuses is nil, a message and a code ("ECONNREFUSED", "ENOHOST" for an unknown host).

---@class gossamer.Stream a connection, a pipe or a file; at the end of a scope (`<close>`) it is closed
local Stream = {}

--- What there is, at least a byte. Go: `io.Reader`.
---@param n? integer at most this many bytes (65,536)
---@param t? gossamer.t
---@return string|nil
---@return nil|"eof"|"closed"|"timeout"|"canceled"|string why
---@return string|nil code
function Stream:read(n, t) end

--- n bytes. If they do not come, those that did are still to be read. Go: `io.ReadFull`.
---@param n integer
---@param t? gossamer.t
---@return string|nil
---@return nil|"eof"|"unexpected eof"|"closed"|"timeout"|"canceled"|string why
---@return string|nil code
function Stream:read_exactly(n, t) end

--- A line without its end ("\n" or "\r\n"); the last one may have none.
---@param t? gossamer.t
---@param max? integer a line of more bytes than this, without its end, is "line too long" and stays to be read
---@return string|nil
---@return nil|"eof"|"line too long"|"closed"|"timeout"|"canceled"|string why
---@return string|nil code
function Stream:read_line(t, max) end

--- All until the end. Go: `io.ReadAll`.
---@param t? gossamer.t
---@return string|nil
---@return nil|"closed"|"timeout"|"canceled"|string why what has come by then is still to be read
---@return string|nil code
function Stream:read_all(t) end

--- `for line in stream:lines() do` until the end; anything else that ends it is an error.
---@return fun(): string|nil
function Stream:lines() end

--- Bytes read ahead.
---@return integer
function Stream:buffered() end

--- Writes all; other goroutines' writes do not come in between. SIGPIPE is never raised.
---@param data string|gossamer.Buffer
---@param t? gossamer.t
---@return integer|nil n
---@return nil|"closed"|"timeout"|"canceled"|string why
---@return string|nil code "EPIPE", ...
---@return integer|nil written of what failed: how many bytes have gone
function Stream:write(data, t) end

--- Ends the waits for it with nil, "closed".
---@return boolean true for the call that closed it
function Stream:close() end

--- Has it been closed, by us?
---@return boolean
function Stream:closed() end

--- Its file descriptor, which stays the stream's. Errors: "the stream is closed".
---@return integer
function Stream:fd() end

--- When the calls made from now on give up ("timeout"), besides their own t; once it has passed they do nothing, not even
--- what could be done at once. Go: `SetDeadline`.
---@param t? number seconds from now; nil: never
---@param which? "r"|"w"|"rw" reading, writing or both
function Stream:set_deadline(t, which) end

--- As `read`, into the buffer's first bytes: at least a byte, at most what it has room for.
---@param b gossamer.Buffer
---@param t? gossamer.t
---@return integer|nil n
---@return nil|"eof"|"closed"|"timeout"|"canceled"|string why
---@return string|nil code
function Stream:read_into(b, t) end

---@class gossamer.Conn: gossamer.Stream a connection
local Conn = {}

--- No more reads. Go: `CloseRead`.
---@return true|nil
---@return string|nil why
---@return string|nil code
function Conn:close_read() end

--- No more writes: the other side reads the end. Go: `CloseWrite`.
---@return true|nil
---@return string|nil why
---@return string|nil code
function Conn:close_write() end

--- "host:port", or a path.
---@return string|nil
---@return string|nil why
---@return string|nil code
function Conn:local_addr() end

--- Where the other side is.
---@return string|nil address of the other side
---@return string|nil why
---@return string|nil code
function Conn:peer_addr() end

---@alias gossamer.option "nodelay"|"keepalive"|"broadcast"|"reuseaddr"|"reuseport"|"send_buffer"|"receive_buffer"

--- An option's value.
---@param name gossamer.option
---@return boolean|integer|nil value bytes for the buffers
---@return string|nil why
---@return string|nil code
function Conn:option(name) end

--- Sets an option.
---@param name gossamer.option
---@param value boolean|integer
---@return true|nil
---@return string|nil why
---@return string|nil code
function Conn:set_option(name, value) end

--- An open file, read and written by other threads; reading and writing share one position.
---@class gossamer.File: gossamer.Stream
local File = {}

--- Moves the position, and gives it.
---@param whence? "set"|"cur"|"end"
---@param offset? integer
---@return integer|nil
---@return string|nil why
---@return string|nil code
function File:seek(whence, offset) end

--- Waits until all is on the disk. Go: `File.Sync`.
---@param t? gossamer.t
---@return true|nil
---@return string|nil why
---@return string|nil code
function File:sync(t) end

--- Makes the file that long, with zeros at its end where it was shorter.
---@param size integer
---@param t? gossamer.t
---@return true|nil
---@return string|nil why
---@return string|nil code
function File:truncate(size, t) end

--- What the system knows of it.
---@return gossamer.stat|nil
---@return string|nil why
---@return string|nil code
function File:stat() end

-- ---- gos.net ----------------------------------------------------------------------------------------

---@class gossamer.net
local net = {}

---@alias gossamer.network "tcp"|"tcp4"|"tcp6"|"udp"|"udp4"|"udp6"|"unix"|"unixgram"|"unixpacket"

--- A connected socket. Addresses are "host:port", "[::1]:port", a path or "@name". Go: `net.Dial`.
---@param network gossamer.network
---@param address string
---@param t? gossamer.t
---@return gossamer.Conn|gossamer.Packet|nil a Packet for datagrams
---@return nil|"timeout"|"canceled"|string why "dial tcp host:80: Connection refused", ...
---@return string|nil code "ECONNREFUSED", "ENOHOST", ...
function net.dial(network, address, t) end

--- A socket that listens; for "udp" and "unixgram" one that is bound. Go: `net.Listen`, `net.ListenPacket`.
---@param network gossamer.network
---@param address string the port may be 0: see local_addr
---@param backlog? integer
---@return gossamer.Listener|gossamer.Packet|nil
---@return string|nil why
---@return string|nil code "EADDRINUSE", ...
function net.listen(network, address, backlog) end

--- The addresses of a host. Go: `net.LookupHost`.
---@param host string
---@param t? gossamer.t
---@param network? gossamer.network "tcp4" or "tcp6": those of one kind
---@return string[]|nil
---@return nil|"timeout"|"canceled"|string why
---@return string|nil code "ENOHOST"; "EAGAIN": the resolver does not answer
function net.lookup(host, t, network) end

--- A pipe: an end to read from, and one to write to.
---@return gossamer.Stream|nil r
---@return gossamer.Stream|string w
---@return string|nil code
function net.pipe() end

--- Two connected Unix sockets.
---@param network? "unix"|"unixgram"|"unixpacket"
---@return gossamer.Conn|gossamer.Packet|nil a
---@return gossamer.Conn|gossamer.Packet|string b
---@return string|nil code
function net.socketpair(network) end

---@class gossamer.Listener `for conn in listener do` accepts until it is closed; `<close>` closes it
local Listener = {}

--- The next connection.
---@param t? gossamer.t
---@return gossamer.Conn|gossamer.Packet|nil
---@return nil|"closed"|"timeout"|"canceled"|string why
---@return string|nil code "EMFILE", ...
function Listener:accept(t) end

---@class gossamer.Packet a socket of datagrams; `<close>` closes it
local Packet = {}

--- One datagram; what is longer than n is lost.
---@param n? integer (65,536)
---@param t? gossamer.t
---@return string|nil
---@return nil|"closed"|"timeout"|"canceled"|string why
---@return string|nil code
function Packet:read(n, t) end

--- The same, and where it came from. Go: `ReadFrom`.
---@param n? integer
---@param t? gossamer.t
---@return string|nil
---@return string|"closed"|"timeout"|"canceled" from or why
---@return string|nil code
function Packet:read_from(n, t) end

--- Sends one to the other end of a connected socket.
---@param data string|gossamer.Buffer
---@param t? gossamer.t
---@return integer|nil n
---@return nil|"closed"|"timeout"|"canceled"|string why
---@return string|nil code
function Packet:write(data, t) end

--- Sends one to that address. Go: `WriteTo`.
---@param data string|gossamer.Buffer
---@param address string
---@param t? gossamer.t
---@return integer|nil n
---@return nil|"closed"|"timeout"|"canceled"|string why
---@return string|nil code
function Packet:write_to(data, address, t) end

-- ---- gos.file ---------------------------------------------------------------------------------------

---@class gossamer.filesystem
local file = {}

--- All of a file.
---@param path string
---@param t? gossamer.t
---@return string|nil
---@return nil|"timeout"|"canceled"|string why
---@return string|nil code
function file.read(path, t) end

--- Makes a file of data, in place of one that is there.
---@param path string
---@param data string|gossamer.Buffer
---@param t? gossamer.t
---@return integer|nil n
---@return nil|"timeout"|"canceled"|string why
---@return string|nil code
function file.write(path, data, t) end

--- `for line in gos.file.lines(path) do`: the file is closed at the loop's end. Errors: that of opening it.
---@param path string
---@return fun(): string|nil
---@return gossamer.File
---@return nil
---@return gossamer.File
function file.lines(path) end

---@class gossamer.stat
---@field type "file"|"directory"|"link"|"fifo"|"socket"|"char"|"block"|"unknown"
---@field size integer bytes
---@field mode integer permission bits
---@field uid integer
---@field gid integer
---@field inode integer
---@field device integer
---@field links integer
---@field accessed number seconds since 1970
---@field modified number seconds since 1970
---@field changed number seconds since 1970

--- Opens a file; a FIFO or a terminal is a stream that the poller waits for.
---@param path string
---@param mode? string as for io.open; "wx": not one that exists
---@param t? gossamer.t
---@return gossamer.File|nil
---@return nil|"timeout"|"canceled"|string why "path: No such file or directory", ...
---@return string|nil code "ENOENT", ...
function file.open(path, mode, t) end

--- What the system knows of a path; links are followed.
---@param path string
---@param t? gossamer.t
---@return gossamer.stat|nil
---@return nil|"timeout"|"canceled"|string why
---@return string|nil code
function file.stat(path, t) end

--- The same of a link itself.
---@param path string
---@param t? gossamer.t
---@return gossamer.stat|nil
---@return nil|"timeout"|"canceled"|string why
---@return string|nil code
function file.lstat(path, t) end

--- The names in a directory, in no order.
---@param path string
---@param t? gossamer.t
---@return string[]|nil
---@return nil|"timeout"|"canceled"|string why
---@return string|nil code
function file.list(path, t) end

--- Removes a file or an empty directory.
---@param path string
---@param t? gossamer.t
---@return true|nil
---@return nil|"timeout"|"canceled"|string why
---@return string|nil code
function file.remove(path, t) end

--- Renames, over what is there.
---@param from string
---@param to string
---@param t? gossamer.t
---@return true|nil
---@return nil|"timeout"|"canceled"|string why
---@return string|nil code
function file.rename(from, to, t) end

--- Makes a directory. Errors: it exists.
---@param path string
---@param t? gossamer.t
---@return true|nil
---@return nil|"timeout"|"canceled"|string why
---@return string|nil code
function file.mkdir(path, t) end

-- ---- gos.process ------------------------------------------------------------------------------------

---@class gossamer.processes
local process = {}

---@class gossamer.spawn
---@field [integer] string|number the program (looked for in PATH) and its arguments
---@field stdin? "inherit"|"pipe"|"null"|gossamer.fd
---@field stdout? "inherit"|"pipe"|"null"|gossamer.fd
---@field stderr? "inherit"|"pipe"|"null"|"stdout"|gossamer.fd
---@field env? table<string, string|number> all of its environment; nil: this process's
---@field cwd? string

--- Starts a program. It gets its three standard file descriptors and no other; no zombie is left, whether
--- anybody waits or not. Go: `os/exec`.
---@param options gossamer.spawn
---@return gossamer.Process|nil
---@return string|nil why "spawn prog: No such file or directory", ...
---@return string|nil code
function process.spawn(options) end

---@class gossamer.run: gossamer.spawn
---@field input? string|gossamer.Buffer for the program's stdin

---@class gossamer.finished
---@field status integer exit status, or the number of the signal
---@field how "exit"|"signal"
---@field stdout? string
---@field stderr? string

--- Runs a program to its end and collects what it writes; killed when t is over. Go: `Cmd.Output`.
---@param options gossamer.run
---@param t? gossamer.t
---@return gossamer.finished|nil
---@return nil|"timeout"|"canceled"|string why
---@return string|nil code
function process.run(options, t) end

---@class gossamer.Process at the end of a scope (`<close>`) it is killed, if it still runs, and waited for
local Process = {}

--- Waits for its end, any number of times.
---@param t? gossamer.t
---@return integer|nil status exit status, or the number of the signal
---@return "exit"|"signal"|"timeout"|"canceled"|string how or why not
---@return string|nil code "ECHILD": its status went to somebody else
function Process:wait(t) end

--- Sends a signal.
---@param signal? string|integer "TERM"
---@return boolean|nil sent false: it has ended
---@return string|nil why
---@return string|nil code
function Process:kill(signal) end

--- Its number.
---@return integer
function Process:pid() end

--- A channel that is closed when it has ended.
---@return gossamer.RecvChan
function Process:done() end

--- Our end of a pipe that was asked for.
---@return gossamer.Stream|nil
function Process:stdin() end

--- Our end of a pipe that was asked for.
---@return gossamer.Stream|nil
function Process:stdout() end

--- Our end of a pipe that was asked for.
---@return gossamer.Stream|nil
function Process:stderr() end

-- ---- gos.patterns -----------------------------------------------------------------------------------

---@class gossamer.patterns what programs with goroutines are often made of; loaded when it is first asked for
---@field skip gossamer.skip a function of a stage returns it to leave the value out
local patterns = {}

---@class gossamer.skip

---@class gossamer.Item a value on its way through stages, with the error that it met
---@field value any
---@field err any nil: none so far

---@class gossamer.stream
---@field ctx? gossamer.Context ends the stream
---@field go? fun(f: function) starts its goroutines, as of an errgroup: `function(f) grp:go(f) end`

--- A stream of what a list holds, or what an iterator gives until it gives nil. A stream's channel is closed when its
--- input or its context has ended, or its goroutines have, by an error say. Its goroutines wait until somebody receives:
--- who leaves a stream early ends its context.
---@param source table|fun(): any
---@param options? gossamer.stream
---@return gossamer.RecvChan
function patterns.generate(source, options) end

--- A stream of `f(v)` for each v of ch: n goroutines call f, and where that is more than one, results come in any order.
--- What is `skip` is left out. An error that f raises, or returns after nil, ends the goroutine as an error. Of an
--- item, f gets the value; its error goes on in the item, which passes the stages that follow untouched.
---@param f fun(v: any): any, any
---@param ch gossamer.RecvChan
---@param n? integer 1
---@param options? gossamer.stream
---@return gossamer.RecvChan
function patterns.stage(f, ch, n, options) end

--- A value for stages in which errors go with the value instead of ending the goroutine.
---@param value any
---@param err? any
---@return gossamer.Item
function patterns.item(value, err) end

--- n stages that share ch, each with a channel of its own.
---@param ch gossamer.RecvChan
---@param n integer
---@param f fun(v: any): any, any
---@param options? gossamer.stream
---@return gossamer.RecvChan[]
function patterns.fan_out(ch, n, f, options) end

--- A stream of all that comes from several channels: `merge(a, b, ...)` or `merge{ a, b, ... }`, and options.
---@param ch gossamer.RecvChan|gossamer.RecvChan[]
---@param ... gossamer.RecvChan|gossamer.stream
---@return gossamer.RecvChan
function patterns.merge(ch, ...) end

--- n channels, each of which gets every value: in whatever order they are ready, before the next is taken.
---@param ch gossamer.RecvChan
---@param n? integer 2
---@param options? gossamer.stream
---@return gossamer.RecvChan ... n of them
function patterns.tee(ch, n, options) end

--- A stream of what comes from the channels that come from a channel, one after the other.
---@param channels gossamer.RecvChan of channels
---@param options? gossamer.stream
---@return gossamer.RecvChan
function patterns.bridge(channels, options) end

---@class gossamer.Queue receives as a channel does: `for v in q do`, `#q`; at the end of a scope (`<close>`) it is closed
local Queue = {}

--- Waits for a value.
---@param t? gossamer.t
---@return any v
---@return nil|"closed"|"timeout"|"canceled" why there is no value
function Queue:recv(t) end

--- Receives if that is possible at once.
---@return any v
---@return nil|"empty"|"closed" why there is no value
function Queue:try_recv() end

--- Its channel, for select.
---@return gossamer.RecvChan
function Queue:receiver() end

--- How many values it has room for.
---@return integer
function Queue:cap() end

--- Whether it has been closed; there may be values inside.
---@return boolean
function Queue:closed() end

--- How many values have been dropped.
---@return integer
function Queue:dropped() end

---@class gossamer.Ring: gossamer.Queue the last values
local Ring = {}

--- A channel with room for n values that drops the oldest one when it is full.
---@param n integer
---@return gossamer.Ring
function patterns.ring(n) end

--- Never waits. Errors: "send on closed ring"; nil (use gos.null).
---@param v any
---@return true
function Ring:send(v) end

--- What is inside can still be received.
---@return boolean true for the call that closed it
function Ring:close() end

---@class gossamer.PubSub messages by topic; at the end of a scope (`<close>`) it is closed
local PubSub = {}

---@class gossamer.Subscription: gossamer.Queue the messages of a topic
local Subscription = {}

--- Messages to all who have subscribed to their topic.
---@return gossamer.PubSub
function patterns.pubsub() end

--- A subscription gets what is published from now on; it drops what it has no room for.
---@param topic any not nil
---@param cap? integer room for so many (16)
---@return gossamer.Subscription|nil
---@return nil|"closed" why
function PubSub:subscribe(topic, cap) end

--- Never waits.
---@param topic any not nil
---@param v any not nil (use gos.null)
---@return integer|nil got so many subscriptions have it
---@return nil|"closed" why
function PubSub:publish(topic, v) end

--- Closes all subscriptions.
---@return boolean true for the call that closed it
function PubSub:close() end

--- What it was subscribed to.
---@return any
function Subscription:topic() end

--- Gets no more; what is inside can still be received.
---@return boolean true for the call that closed it
function Subscription:close() end

---@class gossamer.Jobs functions that wait for their turn; `<close>` closes it, and drains it unless an error leaves the scope
local Jobs = {}

---@class gossamer.drain
---@field drain? boolean false: those that run are interrupted, and those that wait do not begin (true)

--- Takes no more, and waits for the end of those that it has. With `drain = false` its context ends at once; a function
--- whose wait is interrupted is expected to return. Not for one of its own functions to call.
---@param options? gossamer.drain
---@return true|nil
---@return nil|"canceled" why by `interrupt()`: not all have ended
function Jobs:close(options) end

--- Ends when what runs should give up.
---@return gossamer.Context
function Jobs:ctx() end

---@class gossamer.worker_pool
---@field queue? integer so many may wait for their turn before `submit` waits (any number)
---@field retry? integer further calls of a function that failed (0)
---@field ctx? gossamer.Context ends it: those that wait do not begin

---@class gossamer.WorkerPool: gossamer.Jobs
local WorkerPool = {}

--- Runs at most n functions at a time, in the order in which they come.
---@param n integer
---@param options? gossamer.worker_pool
---@return gossamer.WorkerPool
function patterns.pool(n, options) end

--- A goroutine that calls `f(...)` when its turn has come; its `join` gives f's results, or `true, nil, "canceled"` where
--- the pool's end came first. f has failed when it raises an error or returns one after nil; it is not called again after
--- "canceled".
---@param f function
---@param ... any
---@return gossamer.Goroutine|nil
---@return nil|"closed"|"canceled"|"timeout" why the pool takes no more; "timeout": by its context's deadline
function WorkerPool:submit(f, ...) end

---@class gossamer.job_queue
---@field handlers table<any, function> for each kind of job
---@field workers? integer so many run at a time (4)
---@field cap? integer so many may wait (100)
---@field ctx? gossamer.Context ends it: those that wait do not begin

---@class gossamer.job
---@field [1] any its kind; the arguments follow
---@field priority? number higher ones come first (0)
---@field n? integer how many, where an argument may be nil: as `table.pack` counts, the kind too

---@class gossamer.JobQueue: gossamer.Jobs
local JobQueue = {}

--- Runs jobs by their kind: higher priorities first, else in the order in which they come.
---@param options gossamer.job_queue
---@return gossamer.JobQueue
function patterns.job_queue(options) end

--- A goroutine that calls the kind's handler with the arguments when its turn has come. Never waits. Errors: there is no
--- handler for it.
---@param job any|gossamer.job its kind, or all of it
---@param ... any the arguments that follow a kind
---@return gossamer.Goroutine|nil
---@return nil|"full"|"closed"|"canceled"|"timeout" why
function JobQueue:submit(job, ...) end

---@class gossamer.ResourcePool at the end of a scope (`<close>`) it is closed
local ResourcePool = {}

--- Lends what is in the list.
---@param list any[]
---@return gossamer.ResourcePool
function patterns.resource_pool(list) end

--- Waits until one is free.
---@param t? gossamer.t
---@return any item
---@return nil|"closed"|"timeout"|"canceled" why
function ResourcePool:acquire(t) end

--- Gives one if there is one.
---@return any item
---@return nil|"empty"|"closed" why
function ResourcePool:try_acquire() end

--- Gives it back. Errors: it is not lent.
---@param item any
function ResourcePool:release(item) end

--- Lends no more; wakes those who wait.
---@return boolean true for the call that closed it
function ResourcePool:close() end

---@class gossamer.conn_pool
---@field connect fun(t: gossamer.t|nil): any, any makes a connection, or gives nil and an error; t: what is left for it
---@field close? fun(conn: any) closes one
---@field size? integer at most so many at a time (10)
---@field max_idle? number seconds without use after which one is closed
---@field max_age? number seconds after which one is closed when it comes back

---@class gossamer.ConnPool at the end of a scope (`<close>`) it is closed
local ConnPool = {}

--- Lends connections, and makes them when they are needed. Old ones are closed when the pool is used.
---@param options gossamer.conn_pool
---@return gossamer.ConnPool
function patterns.conn_pool(options) end

--- The connection used last, or a new one; waits while `size` are lent.
---@param t? gossamer.t
---@return any conn
---@return any why "closed", "timeout", "canceled", or connect's error
function ConnPool:get(t) end

--- Gives it back. Errors: it is not lent.
---@param conn any
---@param broken? any true: it is closed and not lent again
function ConnPool:put(conn, broken) end

--- Closes those that are idle; the others when they are put.
---@return boolean true for the call that closed it
function ConnPool:close() end

---@class gossamer.RoundRobin
local RoundRobin = {}

--- One after the other, and again from the first.
---@param list any[]
---@return gossamer.RoundRobin
function patterns.round_robin(list) end

--- The next one.
---@return any
function RoundRobin:next() end

---@class gossamer.Weighted
local Weighted = {}

--- Items that so many may use at once as their weight says.
---@param list {[1]: any, [2]: integer}[] pairs of an item and its weight
---@return gossamer.Weighted
function patterns.weighted(list) end

--- The item of which the largest part is free; waits while all are full.
---@param t? gossamer.t
---@return any item
---@return nil|"timeout"|"canceled" why
function Weighted:acquire(t) end

--- Ends a use. Errors: it is not acquired.
---@param item any
function Weighted:release(item) end

---@class gossamer.TokenBucket
local TokenBucket = {}

--- A bucket that holds burst tokens, full at first, and gets rate more a second.
---@param rate number
---@param burst integer
---@return gossamer.TokenBucket
function patterns.token_bucket(rate, burst) end

--- Waits for n tokens, and takes them. "timeout" at once if t would end before. Errors: more than the bucket holds.
---@param n? integer 1
---@param t? gossamer.t
---@return true|nil
---@return nil|"timeout"|"canceled" why
function TokenBucket:take(n, t) end

--- Takes n tokens if they are there.
---@param n? integer 1
---@return boolean
function TokenBucket:try_take(n) end

---@class gossamer.breaker
---@field threshold? integer failures in a row that open it (5)
---@field timeout? number seconds until an open one is tried (30)
---@field trials? integer so many calls are let through at once then (1)

---@class gossamer.Breaker
local Breaker = {}

--- Keeps calls from something that fails. Closed it lets them through; after failures in a row it is open, and lets none;
--- when its time is up it is half-open, and lets a few try: the first success closes it, a failure opens it again.
---@param options? gossamer.breaker
---@return gossamer.Breaker
function patterns.breaker(options) end

--- Calls `f(...)`. A failure is an error that f raises, which is raised on, or returns after nil; but nil and "canceled" say
--- nothing about what f calls, and do not count.
---@param f function
---@param ... any
---@return any ... f's results; nil and "open": it was not called
function Breaker:call(f, ...) end

--- Whether it lets calls through.
---@return "closed"|"open"|"half-open"
function Breaker:state() end

---@class gossamer.health_checker
---@field checks table<any, fun(ctx: gossamer.Context): any, any> by name; ctx ends when the time is up
---@field interval? number seconds from one run of `start()` to the next (30)
---@field timeout? number seconds after which a check has failed (5)

---@class gossamer.health
---@field ok boolean
---@field error any
---@field seconds number that it has taken

---@class gossamer.HealthChecker at the end of a scope (`<close>`) it is stopped
local HealthChecker = {}

--- Named functions that tell how something is. A check fails when it raises an error, returns one after nil, returns
--- false, or takes too long; one that hangs has failed, and is not started again, until it returns.
---@param options gossamer.health_checker
---@return gossamer.HealthChecker
function patterns.health_checker(options) end

--- Runs all checks at once, and waits for them.
---@return table<any, gossamer.health> results by name
function HealthChecker:run() end

--- Runs them now and at every interval, in a goroutine.
---@return boolean started false: it was
function HealthChecker:start() end

--- Ends what `start()` began; the contexts of its checks end.
---@return boolean stopped false: it had not been started
function HealthChecker:stop() end

--- The last results.
---@return table<any, gossamer.health> results by name; empty before the first run
function HealthChecker:status() end

-- ---- isolates --------------------------------------------------------------------------------------

---@class gossamer.isolate_options
---@field [1] function the function; its arguments follow
---@field require? string[] modules that its state requires first
---@field name? string shown in reports
---@field labels? table<string, string> of the goroutine that waits for it
---@field memory? integer bytes that its Lua state may use; see below

--- Runs `f(...)` in a Lua state of its own, on a thread of its own, at the same time as this state.
--- What it gives is a goroutine of this state that waits for it: `join` returns copies of f's results
--- or `nil, err, traceback`, `interrupt` interrupts f's wait, `<close>` joins.
---
--- The function, its arguments, its results, and whatever goes through a channel that states share are
--- copied: strings, numbers, booleans, `gos.null`, light userdata, tables (cycles and what comes more than
--- once stay so; metatables are NOT copied), Lua functions with their upvalues (shared ones stay
--- shared), C functions by the name a loaded module has for them. An upvalue that holds a module's table
--- is that module in the other state (required there), and the table of globals is that state's.
--- Channels, buffers, mutexes, wait groups, atomics and contexts (without their values and Lua causes) are not
--- copied but shared. What cannot be sent is named: "cannot send msg.items[3].fn: upvalue 'f' is
--- userdata"; so are coroutines, other userdata, tables nested more than 200 deep.
---
--- A channel that was sent to another state works as before, but for one thing: from then on its
--- values are copied, those between goroutines of one state too. What is in it at that time must be
--- something that can be sent. Timers' channels stay in their state.
---
--- The new state has the standard libraries, this one's package.path and package.cpath, and globals of
--- its own. It ends when f does: goroutines that f has started and not joined vanish then. An isolate is
--- not tied to the state that started it, but ends with the process, as goroutines do. `os.exit` in it
--- ends the process. A signal handler, such as Ctrl-C's, never runs in it.
---
--- With `memory=` an allocation beyond that is "not enough memory" in that state, an error of f's unless f catches it,
--- and harms nobody else. Stacks of goroutines in C, buffers and messages on their way do not count. A state
--- with gossamer and nothing else has some 100,000 bytes.
---
--- Errors: "isolate: cannot send ...", "isolate: cannot start a thread: ...".
---@param f function|gossamer.isolate_options
---@param ... any
---@return gossamer.Goroutine
function gos.isolate(f, ...) end

-- ---- buffers ---------------------------------------------------------------------------------------

--- Who gets a buffer of another state, from a channel say, has the same bytes, not a copy. `#b` is their number,
--- `a == b` compares them, `tostring(b)` is a string of them.
---@class gossamer.Buffer bytes that Lua states share
local Buffer = {}

--- A buffer of n zeros, or with the bytes of a string. Its size never changes; its memory lives as long as any
--- state refers to it or to a slice of it. Positions count from 1, from the end if negative.
---
--- Nothing in a buffer is synchronised: a state that reads bytes while another writes them may see any mixture
--- of both. Hand the buffer over (send it and write no more), or agree by a mutex, a wait group or an atomic.
--- Goroutines of one state only take turns where they wait. Errors: "not enough memory for a buffer of n bytes".
---@param from integer|string
---@return gossamer.Buffer
function gos.buffer(from) end

--- A part of it as a string, cut to what there is. As `string.sub`.
---@param i integer
---@param j? integer -1
---@return string
function Buffer:sub(i, j) end

--- All of it as a string.
---@return string
function Buffer:tostring() end

--- Puts bytes at a position. Errors: they do not fit; then nothing has changed.
---@param pos integer
---@param data string|gossamer.Buffer
---@return integer next the position after them
function Buffer:set(pos, data) end

--- Puts values there, as `string.pack` writes them. Alignment counts from pos. Errors: those of string.pack;
--- they do not fit.
---@param pos integer
---@param fmt string
---@param ... any
---@return integer next the position after them
function Buffer:pack(pos, fmt, ...) end

--- Reads values there, as `string.unpack` does. Alignment counts from pos. Errors: those of string.unpack.
---@param pos integer
---@param fmt string
---@return any ... the values, and the position after them
function Buffer:unpack(pos, fmt) end

--- The bytes from i to j as a buffer of their own: the same memory, not a copy. Errors: they are not all inside.
---@param i integer
---@param j? integer -1
---@return gossamer.Buffer
function Buffer:slice(i, j) end

return gos
