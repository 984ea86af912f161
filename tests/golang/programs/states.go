// SPDX-License-Identifier: GPL-2.0-or-later

// Goroutines in every state that waits, reached in every way that calls are compiled: inlined, through closures,
// methods, generic functions, deferred and while panicking. They stand still; main answers on stdin.
package main

import (
	"context"
	"flag"
	"net"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"syscall"
	"time"
)

var (
	deep = flag.Int("deep", 110, "calls of the deepest recursion: Go prints 100 frames, leakmon 128")

	never    = make(chan int)
	unheard  = make(chan int)
	full     = make(chan string, 2)
	nothing  chan int
	lock     sync.Mutex
	readLock sync.RWMutex // held by a reader
	lockedRW sync.RWMutex // held by a writer
	group    sync.WaitGroup
	once     sync.Once
	cond     = sync.NewCond(&sync.Mutex{})
	started  sync.WaitGroup
	sink     int
)

// start runs each in a goroutine of its own, created here.
func start(functions ...func()) {
	for _, function := range functions {
		started.Add(1)
		go function() // GO:start
	}
}

// --- states

func chanSend()     { started.Done(); unheard <- 1 }
func chanSendFull() { started.Done(); full <- "third" }
func chanReceive()  { started.Done(); sink += <-never }

func chanRange() {
	started.Done()
	for value := range never {
		sink += value
	}
}

func chanSendNil()    { started.Done(); nothing <- 1 }
func chanReceiveNil() { started.Done(); <-nothing }

func selectTwo() {
	started.Done()
	select {
	case value := <-never:
		sink += value
	case full <- "none":
	}
}

func selectMany() {
	started.Done()
	timer := time.NewTimer(time.Hour)
	select {
	case <-never:
	case <-timer.C:
	case <-nothing:
	case <-context.Background().Done():
	}
}

func selectNone() { started.Done(); select {} }

func mutexLock() {
	started.Done()
	lock.Lock()
	sink++
	lock.Unlock()
}

func rwRead() {
	started.Done()
	lockedRW.RLock()
	sink++
	lockedRW.RUnlock()
}

func rwWriteBehindReader() {
	started.Done()
	readLock.Lock()
	sink++
	readLock.Unlock()
}

func rwWriteBehindWriter() {
	started.Done()
	lockedRW.Lock()
	sink++
	lockedRW.Unlock()
}

func condWait() {
	cond.L.Lock()
	started.Done()
	cond.Wait()
	cond.L.Unlock()
}

func groupWait() { started.Done(); group.Wait(); sink++ }

func onceHolder() { once.Do(func() { started.Done(); <-never }) }
func onceWait() {
	started.Done()
	once.Do(func() {})
	sink++
}

func sleeps() { started.Done(); time.Sleep(24 * time.Hour); sink++ }

func readPipe() {
	reader, _, err := os.Pipe()
	must(err)
	started.Done()
	_, err = reader.Read(make([]byte, 1))
	must(err)
}

func accept() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	started.Add(1)
	go func() { // GO:dial
		connection, err := net.Dial("tcp", listener.Addr().String())
		must(err)
		started.Done()
		_, err = connection.Read(make([]byte, 16))
		must(err)
	}()
	first, err := listener.Accept()
	must(err)
	started.Done()
	_, err = listener.Accept()
	must(err)
	first.Close()
}

func inSyscall() {
	var pipe [2]int
	must(syscall.Pipe(pipe[:]))
	started.Done()
	_, err := syscall.Read(pipe[0], make([]byte, 8))
	must(err)
}

func lockedToThread() {
	runtime.LockOSThread()
	started.Done()
	<-never
}

func lockedSleeper() {
	runtime.LockOSThread()
	started.Done()
	time.Sleep(24 * time.Hour)
}

func labelled() {
	pprof.Do(context.Background(), pprof.Labels("job", "states", "part", "seven"), func(context.Context) {
		started.Done()
		<-never
	})
}

// --- ways

func innermost(from chan int) int { return <-from }
func inner(from chan int) int     { return innermost(from) + 1 }
func middle(from chan int) int    { return inner(from) * 2 }

func inlined() {
	started.Done()
	sink += middle(never)
}

//go:noinline
func keptCall(from chan int) int { return middle(from) + 3 }

func inlinedBehindCall() {
	started.Done()
	sink += keptCall(never)
}

func closures() {
	value := 3
	func() {
		defer func() { sink += value }()
		func(more int) {
			value += more
			started.Done()
			value += <-never
		}(4)
	}()
}

type holder struct{ from chan int }

func (h holder) byValue()    { started.Done(); <-h.from }
func (h *holder) byPointer() { started.Done(); <-h.from }

type waiter interface{ wait(number int) int }

type impatient struct{ holder }

func (i *impatient) wait(number int) int { started.Done(); return number + <-i.from }

//go:noinline
func throughInterface(w waiter) int { return w.wait(4) + 1 }

func deferred() {
	defer func() {
		started.Done()
		<-never
	}()
	sink++
}

func deferredTwice() {
	defer deferredWait(1)
	defer func() { sink++ }()
	sink++
}

//go:noinline
func deferredWait(number int) {
	started.Done()
	sink += number + <-never
}

func panicking() {
	defer func() {
		_ = recover()
	}()
	defer func() {
		started.Done()
		<-never
	}()
	panic("on purpose")
}

func dividing() {
	zero := sink - sink
	defer func() {
		started.Done()
		<-never
	}()
	sink = 1 / zero
}

func afterRecover() {
	func() {
		defer func() { _ = recover() }()
		var none *holder
		sink += cap(none.from)
	}()
	started.Done()
	<-never
}

//go:noinline
func recurse(left int) int {
	if left == 0 {
		started.Done()
		return <-never
	}
	return recurse(left-1) + 1
}

func recursion()     { sink += recurse(40) }
func deepRecursion() { sink += recurse(*deep) }

// The line of a call that spans several.
func longCall() {
	started.Done()
	sink += addUp(
		1,
		<-never,
		3)
}

//go:noinline
func addUp(a, b, c int) int { return a + b + c }

//go:noinline
func bigFrame() int {
	var room [100000]byte
	started.Done()
	index := <-never
	room[index] = 1
	return int(room[index/2])
}

func grandparent() {
	go func() { // GO:parent
		go func() { // GO:child
			go namedChild(1, "two", []int{3}) // GO:grandchild
			started.Done()
			<-never
		}()
		<-never
	}()
	started.Done()
	select {}
}

//go:noinline
func namedChild(number int, text string, list []int) {
	started.Done()
	sink += number + len(text) + len(list) + <-never
}

func init() {
	started.Add(1)
	go func() { // GO:init
		started.Done()
		<-never
	}()
}

func startWays() {
	h := &holder{never}
	start(inlined, inlinedBehindCall, closures, h.byValue, h.byPointer, deferred, deferredTwice, panicking, dividing,
		afterRecover, recursion, deepRecursion, longCall, func() { sink += bigFrame() },
		func() { sink += throughInterface(&impatient{holder{never}}) })
	started.Add(6)
	go h.byValue()   // GO:value
	go h.byPointer() // GO:pointer
	go throughInterface(&impatient{*h})
	go waiter(&impatient{*h}).wait(2)
	time.AfterFunc(time.Millisecond, func() {
		started.Done()
		<-never
	})
	for i := 0; i < 1; i++ {
		defer func() { go recursion() }()
	}
	started.Add(2) // by grandparent
	start(grandparent)
	startGeneric()
}

func main() {
	begin()
	lock.Lock()
	readLock.RLock()
	lockedRW.Lock()
	group.Add(1)
	full <- "first"
	full <- "second"
	start(chanSend, chanSendFull, chanReceive, chanReceive, chanRange, chanSendNil, chanReceiveNil, selectTwo, selectMany,
		selectNone, mutexLock, rwRead, rwWriteBehindReader, rwWriteBehindWriter, condWait, groupWait, sleeps, readPipe,
		accept, inSyscall, lockedToThread, lockedSleeper, labelled, onceHolder)
	time.Sleep(10 * time.Millisecond) // onceHolder comes first
	start(onceWait)
	startWays()
	started.Wait()
	time.Sleep(200 * time.Millisecond) // each is at its next step, at which it waits
	ready("states", "", facts{"goroutines": runtime.NumGoroutine(), "version": runtime.Version()})
	answer()
}
