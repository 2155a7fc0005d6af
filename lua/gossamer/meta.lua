---@meta gossamer
--- What `require "gossamer"` gives, for editors and documentation. This file is never run.
---
--- Durations and times are seconds (numbers). A timeout `t` may be left out (wait for ever); 0 or
--- less means do not wait; `math.huge` is for ever; NaN is refused. What a program has to expect is
--- `nil` and a word ("closed", "timeout", "canceled", "empty"); misuse is an error.
---
--- Every call that may wait, waits for its goroutine only, wherever it stands: in a comparator, a
--- `string.gsub` function, a metamethod, an iterator, `pcall`, `require`, a coroutine. In a
--- finalizer (`__gc`) it raises "cannot wait in a finalizer" unless it need not wait. Where all
--- goroutines wait, main's call raises "all goroutines are asleep - deadlock!" with a report.
---
--- SPDX-License-Identifier: Apache-2.0

-- luacheck: ignore 212 241

---@class gossamer
---@field null gossamer.null stands for nil in channels, which cannot carry nil
---@field nilchan gossamer.Chan Go's nil channel: send and receive wait for ever; never ready in a select
local gos = {}

---@class gossamer.null

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
---@field anchored integer values in channels, goroutines and timers of this state

--- What the runtime has done and has.
---@return gossamer.stats
function gos.stats() end

--- What happens to the error of a goroutine that nobody joins within a second: "report" (stderr, the
--- default), a function (called in a goroutine of its own), or "crash": at once, unless somebody is
--- joining, all goroutines are shown and the process ends with status 2, as in Go.
---@param policy "report"|"crash"|fun(err: any, traceback: string|nil, g: gossamer.Goroutine)
function gos.on_panic(policy) end

---@class gossamer.Goroutine a goroutine's handle; at the end of a scope (`<close>`) it waits and raises the goroutine's error
local Goroutine = {}

--- Waits for the end. Errors: "a goroutine cannot join itself".
---@param t? number seconds
---@return true|nil ok nil: it failed, or has not ended
---@return any ... its results; or its error (or "timeout", "canceled") and the traceback
function Goroutine:join(t) end

--- A channel that is closed when the goroutine ends.
---@return gossamer.RecvChan
function Goroutine:done() end

--- Ends its wait, or its next one: the call gives nil, "canceled", or raises err if one is given.
---@param err? any
---@return boolean false: it has ended
function Goroutine:interrupt(err) end

---@return integer
function Goroutine:id() end

---@return string|nil
function Goroutine:name() end

---@return "runnable"|"running"|"waiting"|"dead"
---@return string|nil reason in Go's words: "chan receive", "select", ...
function Goroutine:status() end

--- Where it is; of one that failed, where its error was raised.
---@return string|nil
function Goroutine:traceback() end

--- A copy of its labels.
---@return table<string, string>
function Goroutine:labels() end

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
---@param t? number seconds
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
---@param t? number seconds
---@return any v
---@return nil|"closed"|"timeout"|"canceled" why there is no value
function RecvChan:recv(t) end

--- Receives if that is possible at once.
---@return any v
---@return nil|"empty"|"closed" why there is no value
function RecvChan:try_recv() end

---@return integer
function Chan:cap() end

---@return boolean
function Chan:closed() end

--- The same channel, to send to only. Go: `chan<- T`.
---@return gossamer.SendChan
function Chan:sender() end

--- The same channel, to receive from only. Go: `<-chan T`.
---@return gossamer.RecvChan
function Chan:receiver() end

---@class gossamer.Case a case of select; may be used again

---@class gossamer.select
---@field [integer] gossamer.RecvChan|gossamer.Case|false the cases; false: no case
---@field default? true|function chosen when no case is ready; a function is called
---@field timeout? number seconds
---@field ordered? boolean the first ready case wins, instead of any with equal chance

--- Waits until one of the cases can go on, and does exactly that one. Errors: "send on closed
--- channel". Go: `select`.
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

--- Waits. Go: `time.Sleep`.
---@param s number seconds
---@return true|nil
---@return nil|"canceled" why
function gos.sleep(s) end

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

---@param s number seconds
---@return boolean pending
function Timer:reset(s) end

---@class gossamer.Mutex
local Mutex = {}

--- Go: `sync.Mutex`.
---@return gossamer.Mutex
function gos.mutex() end

---@param t? number seconds
---@return true|nil
---@return nil|"timeout"|"canceled" why
function Mutex:lock(t) end

---@return boolean
function Mutex:try_lock() end

--- Any goroutine may do it. Errors: "unlock of unlocked mutex".
function Mutex:unlock() end

--- Locks; `local _ <close> = mu:guard()` unlocks at the end of the scope.
---@param t? number seconds
---@return gossamer.Mutex|nil
---@return nil|"timeout"|"canceled" why
function Mutex:guard(t) end

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
---@param t? number seconds
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

---@class gossamer.isolate_options
---@field [1] function the function; its arguments follow
---@field require? string[] modules that its state requires first
---@field name? string shown in reports
---@field labels? table<string, string> of the goroutine that waits for it

--- Runs `f(...)` in a Lua state of its own, on a thread of its own, at the same time as this state.
--- What it gives is a goroutine of this state that waits for it: `join` returns copies of f's results
--- or `nil, err, traceback`, `interrupt` interrupts f's wait, `<close>` joins.
---
--- The function, its arguments, its results, and whatever goes through a channel that states share are
--- copied: strings, numbers, booleans, `gos.null`, light userdata, tables (cycles and what comes more than
--- once stay so; metatables are NOT copied), Lua functions with their upvalues (shared ones stay
--- shared), C functions by the name a loaded module has for them. An upvalue that holds a module's table
--- is that module in the other state (required there), and the table of globals is that state's.
--- Channels are not copied but shared, and so are what this page says states share. Errors name what
--- cannot be sent: "cannot send msg.items[3].fn: upvalue 'f' is userdata"; also coroutines, other
--- userdata, tables nested more than 200 deep.
---
--- A channel that was sent to another state works as before, but for one thing: from then on its
--- values are copied, those between goroutines of one state too. What is in it at that time must be
--- something that can be sent. Timers' channels stay in their state.
---
--- The new state has the standard libraries, this one's package.path and package.cpath, and globals of
--- its own. It ends when f does: goroutines that f has started and not joined vanish then. An isolate is
--- not tied to the state that started it, but ends with the process, as goroutines do. `os.exit` in it
--- ends the process. A signal handler, such as Ctrl-C's, never runs in it.
--- Errors: "isolate: cannot send ...", "isolate: cannot start a thread: ...".
---@param f function|gossamer.isolate_options
---@param ... any
---@return gossamer.Goroutine
function gos.isolate(f, ...) end

return gos
