// SPDX-License-Identifier: GPL-2.0-or-later

// Leak: every round of the agent ends with a word that it is done, on a channel of the agent, which lives. Nobody reads
// it: no garbage collector can know.
package main

import (
	"fmt"
	"time"
)

type agent struct {
	name string
	w    chan int
	done int
}

var agents = map[string]*agent{}

//go:noinline
func (ag *agent) round(number int) {
	time.Sleep(time.Millisecond)
	ag.done += number % 2
	ag.w <- 1 // WAIT:round
}

//go:noinline
func (ag *agent) begin(number int) {
	go ag.round(number) // GO:round
}

func (ag *agent) read() {
	for range ag.w {
	}
}

func main() {
	begin()
	ag := &agent{name: "first", w: make(chan int)}
	agents[ag.name] = ag
	kind, leaf := "leak", "main.(*agent).round"
	if *fixed {
		kind, leaf = "silent", ""
		go ag.read()
	}
	ready(kind, leaf, nil)
	go answer()
	for number := 0; ; number++ {
		restUntilNext()
		agents["first"].begin(number)
		if !*fixed {
			leaked(1)
		}
		if number < 0 {
			fmt.Println(agents)
		}
	}
}
