// SPDX-License-Identifier: GPL-2.0-or-later

// A goroutine that runs without end on a thread of its own and notes the gaps in its own time, beside others that wait.
// It says "gaps" since it was last asked: the longest one, and the longest that was not spent waiting for a CPU.
package main

import (
	"flag"
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

var (
	waiting                     = flag.Int("n", 1000, "goroutines that wait")
	longest, longestOwn, rounds int64
	never                       = make(chan int)
)

const smallest = 200 * time.Microsecond

//go:noinline
func waitForEver() { <-never }

// delayNs is how long the thread has waited for a CPU. Without the os package: its files belong to the scheduler.
func delayNs(fd int, text []byte) (delay int64) {
	length, err := syscall.Pread(fd, text, 0)
	must(err)
	field := 0
	for _, character := range text[:length] {
		if character == ' ' {
			field++
		} else if field == 1 {
			delay = delay*10 + int64(character-'0')
		}
	}
	return delay
}

func keep(place *int64, value int64) {
	if value > atomic.LoadInt64(place) {
		atomic.StoreInt64(place, value)
	}
}

func spin() {
	runtime.LockOSThread()
	fd, err := syscall.Open(fmt.Sprintf("/proc/self/task/%d/schedstat", syscall.Gettid()), syscall.O_RDONLY, 0)
	must(err)
	text := make([]byte, 96)
	delay, last := delayNs(fd, text), time.Now()
	for {
		now := time.Now()
		gap := now.Sub(last)
		last = now
		atomic.AddInt64(&rounds, 1)
		if gap < smallest {
			continue
		}
		keep(&longest, int64(gap))
		waited := delayNs(fd, text) - delay
		delay += waited
		keep(&longestOwn, int64(gap)-waited)
		last = time.Now()
	}
}

func main() {
	begin()
	for i := 0; i < *waiting; i++ {
		go waitForEver()
	}
	go spin()
	questions["gaps"] = func() facts {
		return facts{"longest_s": float64(atomic.SwapInt64(&longest, 0)) / 1e9,
			"longest_running_s": float64(atomic.SwapInt64(&longestOwn, 0)) / 1e9,
			"rounds":            atomic.SwapInt64(&rounds, 0)}
	}
	time.Sleep(200 * time.Millisecond)
	ready("spin", "", facts{"waiting": *waiting})
	answer()
}
