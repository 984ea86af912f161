// SPDX-License-Identifier: GPL-2.0-or-later

// In the place of generic.go, for Go before 1.18.
package main

func startGeneric() {}
