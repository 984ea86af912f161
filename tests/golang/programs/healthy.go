// SPDX-License-Identifier: GPL-2.0-or-later

// No leaks: what healthy programs do with goroutines, one shape a run. Times are in horizons, loads in rate a horizon.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

func work() {
	rest(random01() / 2000)
}

var randomLock sync.Mutex

func random01() float64 {
	randomLock.Lock()
	defer randomLock.Unlock()
	return random.Float64()
}

// A fixed number of workers on one channel of jobs.
func pool() {
	jobs := make(chan int)
	for i := 0; i < 300; i++ {
		go func() {
			for range jobs {
				work()
			}
		}()
	}
	for i := 0; ; i++ {
		restUntilNext()
		jobs <- i
	}
}

// A pool that starts a worker where none is idle, and lets it go when it has been idle for a while.
func elastic() {
	jobs := make(chan int)
	for i := 0; ; i++ {
		restUntilNext()
		select {
		case jobs <- i:
		default:
			go elasticWorker(jobs)
		}
	}
}

func elasticWorker(jobs <-chan int) {
	for {
		work()
		select {
		case <-jobs:
		case <-time.After(horizons(0.05)):
			return
		}
	}
}

// A server and its clients, which keep their connections and come and go.
func web() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	server := &http.Server{IdleTimeout: horizons(0.05), Handler: http.HandlerFunc(
		func(answer http.ResponseWriter, _ *http.Request) {
			work()
			fmt.Fprintln(answer, "hello")
		})}
	go func() { must(server.Serve(listener)) }()
	for {
		restUntilNext()
		go client("http://" + listener.Addr().String())
	}
}

func client(url string) {
	transport := &http.Transport{IdleConnTimeout: horizons(0.05)}
	client := http.Client{Transport: transport}
	for ends := time.Now().Add(horizons(random01() * 0.2)); time.Now().Before(ends); rest(random01() / 100) {
		answer, err := client.Get(url)
		if err != nil {
			continue
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
	}
	transport.CloseIdleConnections()
}

// A fixed number of tickers.
func tickers() {
	for i := 0; i < 40; i++ {
		go func(i int) {
			for range time.Tick(horizons(0.001 * float64(1+i))) {
			}
		}(i)
	}
	select {}
}

// Parts of a request in parallel, that all end.
func fanout() {
	for {
		restUntilNext()
		go func() {
			var group sync.WaitGroup
			failed := make(chan error, 8)
			for i := 0; i < 8; i++ {
				group.Add(1)
				go func() {
					defer group.Done()
					work()
					failed <- errors.New("none")
				}()
			}
			group.Wait()
		}()
	}
}

// Functions that run later, and buffers that are used again.
func later() {
	buffers := sync.Pool{New: func() interface{} { return make([]byte, 4096) }}
	for {
		restUntilNext()
		time.AfterFunc(horizons(0.02*random01()), func() {
			buffer := buffers.Get()
			work()
			buffers.Put(buffer)
		})
	}
}

// Contexts of contexts: each is cancelled, or its time ends.
func contexts() {
	root, cancel := context.WithCancel(context.Background())
	defer cancel()
	for {
		restUntilNext()
		request, done := context.WithTimeout(root, horizons(0.01*random01()))
		for i := 0; i < 3; i++ {
			part, partDone := context.WithCancel(request)
			go func() {
				<-part.Done()
				partDone()
			}()
		}
		if random01() < 0.5 {
			done()
		} else {
			time.AfterFunc(horizons(0.02), done)
		}
	}
}

// Now and then very many at once, that end.
func bursts() {
	for {
		rest(0.1)
		var group sync.WaitGroup
		gate := make(chan bool)
		for i := 0; i < 2000; i++ {
			group.Add(1)
			go func() {
				defer group.Done()
				<-gate
			}()
		}
		rest(0.02)
		close(gate)
		group.Wait()
	}
}

// Listeners of one broadcast, that come and go.
func broadcast() {
	var lock sync.Mutex
	changed := sync.NewCond(&lock)
	go func() {
		for {
			rest(0.005)
			changed.Broadcast()
		}
	}()
	for {
		restUntilNext()
		go func() {
			lock.Lock()
			defer lock.Unlock()
			for ends := time.Now().Add(horizons(0.1 * random01())); time.Now().Before(ends); {
				changed.Wait()
			}
		}()
	}
}

func main() {
	begin()
	collectAsGoDoes()
	shapes := map[string]func(){"pool": pool, "elastic": elastic, "web": web, "tickers": tickers, "fanout": fanout,
		"later": later, "contexts": contexts, "bursts": bursts, "broadcast": broadcast}
	run, known := shapes[shape]
	if !known {
		must(errors.New("no shape " + shape))
	}
	ready("silent", "", nil)
	go answer()
	run()
}
