// SPDX-License-Identifier: GPL-2.0-or-later

// Very many goroutines at five places; others may come and go meanwhile, and garbage be collected without end.
package main

import (
	"flag"
	"runtime"
	"sync"
	"time"
)

var (
	number = flag.Int("n", 1000, "goroutines that wait")
	churn  = flag.Int("churn", 0, "others, that come and go")
	never  = make(chan int)
	other  = make(chan int)
	lock   sync.Mutex
	group  sync.WaitGroup
)

//go:noinline
func waitToSend() { never <- 1 }

//go:noinline
func waitToReceive() { <-other }

//go:noinline
func waitInSelect() {
	select {
	case <-other:
	case never <- 1:
	}
}

//go:noinline
func waitForLock() {
	lock.Lock()
	lock.Unlock()
}

//go:noinline
func waitForGroup() { group.Wait() }

func comeAndGo(turn chan int) {
	for {
		go func() { turn <- 1 }()
		<-turn
		runtime.Gosched()
	}
}

func main() {
	begin()
	lock.Lock()
	group.Add(1)
	places := []struct {
		Name string `json:"name"`
		Kind string `json:"class"`
		wait func()
	}{{"main.waitToSend", "chan_send", waitToSend}, {"main.waitToReceive", "chan_receive", waitToReceive},
		{"main.waitInSelect", "select", waitInSelect}, {"main.waitForLock", "mutex", waitForLock},
		{"main.waitForGroup", "waitgroup", waitForGroup}}
	for i := 0; i < *number; i++ {
		go places[i%len(places)].wait()
	}
	for i := 0; i < *churn; i++ {
		go comeAndGo(make(chan int))
	}
	time.Sleep(time.Second) // until they wait
	ready("many", "", facts{"groups": places, "each": *number / len(places)})
	answer()
}
