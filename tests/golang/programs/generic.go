// SPDX-License-Identifier: GPL-2.0-or-later

// Generic functions and methods of states.go, for Go 1.18 and later.
package main

type pair[K comparable, V any] struct {
	key   K
	value V
	from  chan V
}

//go:noinline
func receive[V any](from chan V) V {
	started.Done()
	return <-from
}

//go:noinline
func (p *pair[K, V]) fill() {
	started.Done()
	p.value = <-p.from
}

func each[V any](values []V, do func(V)) {
	for _, value := range values {
		do(value)
	}
}

func startGeneric() {
	ints := &pair[string, int]{"key", 1, never}
	texts := &pair[int, string]{1, "text", make(chan string)}
	start(ints.fill, texts.fill, func() { receive(never) }, func() { receive(make(chan map[string][]int)) },
		func() {
			each([]int{1, 2}, func(value int) {
				started.Done()
				sink += value + <-never
			})
		})
	started.Add(1)
	go receive(never) // GO:generic
}
