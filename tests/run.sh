#!/bin/bash
# Every test, part by part. A part that fails does not keep the others from running. The last line sums up all parts.
set -u
cd "$(dirname "$0")/.." || exit 2

passed=0 failed=0 skipped=0 parts_failed=()
log=$(mktemp) errors=$(mktemp) || exit 2
trap 'rm -f "$log" "$errors"' EXIT

# Adds what a part printed to the sums: cmocka's blocks, and plain "N passed, N failed, N skipped" lines. A plain
# line that is the sum of a part is its last one. A part that failed without a failed test counts as one.
count() {
	local name=$1 status=$2 p f s
	read -r p f s < <(awk '
		/^\[  PASSED  \] [0-9]+ test/ { p += $4 }
		/^\[  FAILED  \] [0-9]+ test/ { f += $4 }
		/^\[  SKIPPED \] [0-9]+ test/ { s += $4 }
		/^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$/ { pp = $1; ff = $3; ss = (NF > 4) ? $5 : 0 }
		END { print p + pp, f + ff, s + ss }' "$log")
	if [ "$status" != 0 ]; then
		parts_failed+=("$name")
		[ "$f" = 0 ] && f=1
	fi
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

part() {
	local name=$1 begun=$SECONDS status
	shift
	echo "== $name"
	"$@" </dev/null 2>&1 | tee "$log"
	status=${PIPESTATUS[0]}
	count "$name" "$status"
	echo "== $name: $([ "$status" = 0 ] && echo ok || echo "FAILED (exit $status)"), $((SECONDS - begun)) s"
	return "$status"
}

# Runs each unit test of a build, also after one that fails.
unit() {
	local status=0 test
	for test in "$1"/tests/unit/test_*; do
		[ -x "$test" ] && [ -f "tests/unit/${test##*/}.c" ] || continue
		echo "$test"
		"$test" 2>"$errors" || status=1
		cat "$errors" # apart, as cmocka's lines on both streams would run into each other
	done
	return $status
}

make() {
	command make --no-print-directory -j"$(nproc)" "$@"
}

if part build make all unit-tests; then
	part unit unit build
	part "sanitizer build" make SAN=1 all unit-tests && part "unit, with sanitizers" unit build/san
	part integration make integration
	part page make page-tests
	part deploy make deploy
	part "corpus, 60 times as fast" make corpus-quick
	# real Go bugs; that goroutines are those of the programs' own dumps is a part of integration (test_go.py)
	part goker make goker-quick
	part vm make vm
	# 4 hours of the daemon: some 3 minutes where a CPU is free
	part soak make soak-quick
fi

[ ${#parts_failed[@]} = 0 ] || printf 'failed: %s\n' "${parts_failed[@]}"
echo "$passed passed, $failed failed, $skipped skipped"
[ ${#parts_failed[@]} = 0 ] && [ "$failed" = 0 ]
