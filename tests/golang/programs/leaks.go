// SPDX-License-Identifier: GPL-2.0-or-later

// Leaks of other shapes: timeout (the answer comes when nobody waits for it any more), context (a watcher of a context
// that is never cancelled), lock (an error path that keeps a mutex), waitgroup (an early return without Done), and
// worker (a pool for each client that is never closed).
package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

var clients []interface{} // what stays reachable

//go:noinline
func fetchSlowly(answers chan<- string) {
	time.Sleep(2 * time.Millisecond)
	answers <- "late"
}

func fetchWithTimeout() error {
	answers := make(chan string)
	go fetchSlowly(answers)
	select {
	case <-answers:
		return nil
	case <-time.After(time.Millisecond / 2):
		return errors.New("timeout")
	}
}

//go:noinline
func watchContext(ctx context.Context, changes <-chan string) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-changes:
		}
	}
}

func subscribe() {
	ctx, cancel := context.WithCancel(context.Background())
	changes := make(chan string, 1)
	clients = append(clients, cancel)
	go watchContext(ctx, changes)
}

type account struct {
	lock    sync.Mutex
	balance int
}

func (a *account) withdraw(amount int) error {
	a.lock.Lock()
	if a.balance < amount {
		return errors.New("not enough") // the lock is kept
	}
	a.balance -= amount
	a.lock.Unlock()
	return nil
}

//go:noinline
func (a *account) deposit(amount int) {
	a.lock.Lock()
	a.balance += amount
	a.lock.Unlock()
}

func transfer() {
	a := &account{}
	clients = append(clients, a)
	_ = a.withdraw(1)
	go a.deposit(1)
}

//go:noinline
func waitForAll(group *sync.WaitGroup) {
	group.Wait()
}

func gather() {
	group := &sync.WaitGroup{}
	clients = append(clients, group)
	group.Add(2)
	go func() {
		group.Done()
	}()
	go waitForAll(group)
}

//go:noinline
func takeJobs(jobs <-chan int) {
	for range jobs {
	}
}

func connect() {
	jobs := make(chan int)
	clients = append(clients, jobs)
	go takeJobs(jobs)
	jobs <- 1
}

func main() {
	begin()
	collectAsGoDoes()
	shapes := map[string]struct {
		leaf string
		act  func()
	}{
		"timeout":   {"main.fetchSlowly", func() { _ = fetchWithTimeout() }},
		"context":   {"main.watchContext", subscribe},
		"lock":      {"main.(*account).deposit", transfer},
		"waitgroup": {"main.waitForAll", gather},
		"worker":    {"main.takeJobs", connect},
	}
	chosen, known := shapes[shape]
	if !known {
		must(errors.New("no shape " + shape))
	}
	ready("leak", chosen.leaf, nil)
	go answer()
	for {
		restUntilNext()
		chosen.act()
		leaked(1)
	}
}
