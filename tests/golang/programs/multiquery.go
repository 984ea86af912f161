// SPDX-License-Identifier: GPL-2.0-or-later

// Leak: asks three replicas at once and takes the first answer. The channel has no room for the others: whoever comes
// late waits for ever to send, each pair on a channel of its own that nobody holds any more.
package main

import "time"

const replicas = 3

var capacity = 0

func ask(replica int) int {
	time.Sleep(time.Duration(replica) * time.Millisecond)
	return replica
}

//go:noinline
func multiQuery() int {
	answers := make(chan int, capacity)
	for replica := 0; replica < replicas; replica++ {
		go func(replica int) { // GO:multiQuery
			answers <- ask(replica) // WAIT:multiQuery
		}(replica)
	}
	return <-answers
}

func main() {
	begin()
	kind, leaf := "leak", "main.multiQuery.func1"
	if *fixed {
		capacity, kind, leaf = replicas, "silent", ""
	}
	ready(kind, leaf, nil)
	go answer()
	for {
		restUntilNext()
		multiQuery()
		if !*fixed {
			leaked(replicas - 1)
		}
	}
}
