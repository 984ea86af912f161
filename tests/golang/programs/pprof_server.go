// SPDX-License-Identifier: GPL-2.0-or-later

// Beside another program: net/http/pprof, as servers have it. The question "listen" makes it listen and says where.
package main

import (
	"net"
	"net/http"
	_ "net/http/pprof"
)

func init() {
	questions["listen"] = func() facts {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		must(err)
		go func() { must(http.Serve(listener, nil)) }()
		return facts{"address": listener.Addr().String()}
	}
}
