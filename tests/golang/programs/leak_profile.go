// SPDX-License-Identifier: GPL-2.0-or-later

// Beside another program: the question "leaks" has Go's own search for leaks run, from 1.27 on, and tells all stacks, in
// which leaked goroutines are marked.
package main

import (
	"runtime/pprof"
	"strings"
)

func init() {
	questions["leaks"] = func() facts {
		var text strings.Builder
		must(pprof.Lookup("goroutineleak").WriteTo(&text, 2))
		return facts{"text": text.String()}
	}
}
