// SPDX-License-Identifier: GPL-2.0-or-later

// What the Go programs of the tests share: options, time in units of the horizon, random numbers from a seed, the log
// of what is true, and answers on stdin. The log is that of tests/corpus/programs/corpus.h: one JSON object a line.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

var (
	shape   string // the first word, if it is no option
	scale   = flag.Float64("scale", 1800, "seconds of a horizon")
	rate    = flag.Float64("rate", 15, "arrivals in a horizon")
	arrival = flag.String("arrival", "steady", "steady, bursts, irregular or accelerating")
	seed    = flag.Int64("seed", 1, "of random numbers")
	fixed   = flag.Bool("fixed", false, "without the bug")
	collect = flag.Duration("gc", 0, "collect garbage that often")
	path    = flag.String("log", "", "where the truth goes, instead of stdout")

	begun     = time.Now()
	logFile   = os.Stdout
	logLock   sync.Mutex
	random    *rand.Rand
	burst     int
	questions = map[string]func() map[string]interface{}{"count": count, "gc": gc, "stacks": stacks}
)

type facts = map[string]interface{}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "truth:", err)
		os.Exit(1)
	}
}

// begin reads the options.
func begin() {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		shape = os.Args[1]
		os.Args = append(os.Args[:1], os.Args[2:]...)
	}
	flag.Parse()
	random = rand.New(rand.NewSource(*seed))
	if shape == "fixed" {
		*fixed = true
	}
	if *path != "" {
		file, err := os.OpenFile(*path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		must(err)
		logFile = file
	}
}

func boottime() float64 {
	const clockBoottime = 7
	var now syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockBoottime, uintptr(unsafe.Pointer(&now)), 0)
	return float64(now.Sec) + float64(now.Nsec)/1e9
}

func say(event string, rest facts) {
	entry := facts{"t": boottime(), "event": event}
	for name, value := range rest {
		entry[name] = value
	}
	line, err := json.Marshal(entry)
	must(err)
	logLock.Lock()
	defer logLock.Unlock()
	_, err = logFile.Write(append(line, '\n'))
	must(err)
}

// leaked says that so many goroutines have just begun to wait for ever.
func leaked(number int) {
	for ; number > 0; number-- {
		say("leak", facts{"tid": 0})
	}
}

// ready says what is true of the program, and that it stands. From here on it answers questions on stdin.
func ready(kind, leaf string, rest facts) {
	pid := os.Getpid()
	truth := facts{"kind": kind, "leaf": nil, "pid": pid, "tids": []int{}}
	if leaf != "" {
		truth["leaf"] = leaf
	}
	say("truth", truth)
	for name, value := range rest {
		truth[name] = value
	}
	truth["pids"] = []int{pid}
	if *collect > 0 {
		go collectOften()
	}
	say("ready", truth)
}

// collectAsGoDoes makes time as fast for the garbage collector as for the rest: Go collects at least every two minutes.
func collectAsGoDoes() {
	if *collect == 0 {
		*collect = horizons(120.0 / 1800)
	}
}

func collectOften() {
	for {
		time.Sleep(*collect)
		runtime.GC()
	}
}

// answer answers questions until the end of stdin; then the program ends, if somebody could have asked.
func answer() {
	status, err := os.Stdin.Stat()
	asked := err == nil && status.Mode()&os.ModeNamedPipe != 0
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if tell, known := questions[lines.Text()]; known {
			say("answer", tell())
		}
	}
	if asked {
		os.Exit(0)
	}
	for {
		time.Sleep(time.Hour)
	}
}

func count() facts {
	return facts{"goroutines": runtime.NumGoroutine()}
}

// stacks is what Go prints at GOTRACEBACK=all: without frames of the runtime, and of wrappers.
func stacks() facts {
	text := make([]byte, 1<<20)
	return facts{"text": string(text[:runtime.Stack(text, true)])}
}

func gc() facts {
	var memory runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	return facts{"gc_count": memory.NumGC, "heap_bytes": memory.HeapAlloc}
}

func horizons(number float64) time.Duration {
	return time.Duration(number * *scale * float64(time.Second))
}

func rest(number float64) {
	time.Sleep(horizons(number))
}

// restUntilNext rests until the next of rate arrivals a horizon, as -arrival says.
func restUntilNext() {
	gap := 1 / *rate
	switch *arrival {
	case "irregular":
		gap *= random.ExpFloat64()
	case "accelerating":
		gap /= 0.5 + time.Since(begun).Seconds() / *scale
	case "bursts":
		if burst > 0 {
			burst--
			gap *= 0.02
		} else {
			burst = 2 + random.Intn(3)
			gap *= float64(burst+1) * (0.8 + 0.4*random.Float64())
		}
	default:
		gap *= 0.8 + 0.4*random.Float64()
	}
	rest(gap)
}
