#!/bin/sh
# What is run on each kernel, in the guests (busybox) and on this machine: `checks.sh` with leakmon, bpftool
# and both blockers in PATH. Prints "@@@ NAME" lines and what belongs to each; judge.py reads them, nothing is judged here.
tmp=$(mktemp -d) || exit 2
blockers=
trap 'kill $blockers 2>/dev/null; rm -rf "$tmp"' EXIT

section() {
	echo "@@@ $1"
	cat
}

# run NAME COMMAND…: its output, standard error and exit code.
run() {
	name=$1
	shift
	timeout 60 "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	code=$?
	section "$name stdout" <"$tmp/out"
	section "$name stderr" <"$tmp/err"
	echo $code | section "$name exit"
}

# The BPF objects of the whole machine, "KIND ID" each. What bpftool says of one that just goes is no result.
objects() {
	for kind in prog map link; do
		bpftool $kind list 2>/dev/null | sed -n "s/^\([0-9][0-9]*\):.*/$kind \1/p"
	done
}

# The objects once they are those of before: the kernel frees them a little later. Else as they are after 10 s.
settled() {
	for _ in $(seq 50); do
		objects >"$tmp/now"
		cmp -s "$tmp/before" "$tmp/now" && break
		sleep 0.2
	done
	cat "$tmp/now"
}

uname -r | section kernel
run doctor leakmon doctor
objects >"$tmp/before"
section "objects before" <"$tmp/before"
for link in static dynamic; do
	[ -z "$blockers" ] || kill $blockers
	blockers-$link >/dev/null </dev/null &
	blockers=$!
	sleep 2
	run "$link" leakmon -v snapshot -p $blockers -j --min-blocked 0.5s
done
settled | section "objects after"
run plain leakmon snapshot -p $blockers

# more KIND: there are more of it now than before.
more() {
	[ "$(grep -c "^$1" "$tmp/now")" -gt "$(grep -c "^$1" "$tmp/before")" ]
}

# While it watches there are objects, or the comparison would say nothing; killed, it leaves none either.
leakmon -p $blockers -j 1 >/dev/null 2>&1 </dev/null &
watch=$!
for _ in $(seq 50); do
	objects >"$tmp/now"
	# each kind is listed on its own while leakmon loads, so that links may be there and their programs not yet
	[ ! -d /proc/$watch ] || { more prog && more link; } && break
	sleep 0.2
done
section "objects meanwhile" <"$tmp/now"
kill -9 $watch 2>/dev/null
settled | section "objects killed"
ls /sys/kernel/tracing 2>/dev/null | section tracefs
section end </dev/null
