#!/bin/bash
# leakmon on other kernels: boots Debian's in QEMU (its own emulation, no KVM), runs checks.sh there and on this machine,
# and has judge.py compare. Kernels are kept in build/vm; a run's consoles too, until the next run.
set -euo pipefail
cd "$(dirname "$0")/../.."
export LC_ALL=C

# version:suite:what is expected of it
kernels=(6.1:bookworm:works 6.12:trixie:works 5.10:bullseye:refuses)
boot_timeout_s=180
dir=build/vm
work=$dir/run
results=$dir/results
child=
trap '[ -z "$child" ] || kill "$child" 2>/dev/null || true; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
rm -rf "$work"
mkdir -p "$work/root/test"
: >"$results"

result() {
	echo "$*" | tee -a "$results"
}

# Runs a command so that it ends when this script does.
attended() {
	"$@" &
	child=$!
	local code=0
	wait "$child" || code=$?
	child=
	return $code
}

# Prints how the tests ended, and ends.
finish() {
	local passed failed skipped
	passed=$(grep -c '^ok ' "$results") || true
	failed=$(grep -c '^FAIL ' "$results") || true
	skipped=$(grep -c '^skip ' "$results") || true
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ]
	exit
}

bpftool=$(PATH=$PATH:/usr/sbin:/sbin command -v bpftool) || true
for tool in qemu-system-x86_64 busybox cpio "${bpftool:-bpftool}"; do
	command -v "$tool" >/dev/null && continue
	for kernel in "${kernels[@]}"; do
		result "skip  ${kernel%%:*}: $tool is not installed (tests/deps.sh test)"
	done
	finish
done

for link in static dynamic; do
	gcc -O2 -g -fomit-frame-pointer -pthread $([ $link = dynamic ] || echo -static) -o "$work/root/test/blockers-$link" \
		tests/vm/blockers.c
done
cp tests/vm/checks.sh "$work/root/test/"
tests/vm/pack.sh tests/vm/init "$work/root" "$work/initrd"

echo "this machine, $(uname -r)"
PATH=$PWD/$work/root/test:$PATH attended sh tests/vm/checks.sh >"$dir/host.log" 2>&1 </dev/null || true

for kernel in "${kernels[@]}"; do
	IFS=: read -r version suite expected <<<"$kernel"
	console=$dir/$version.log
	if ! reason=$(tests/vm/kernel.sh "$suite" "$dir/$suite" 2>&1); then
		result "skip  $version: $reason"
		continue
	fi
	# An emulated machine may panic in its own boot (seen with 6.12, 1.3 s after its start): that says nothing of
	# leakmon, so it is booted again. One that has reached the checks is never repeated.
	for boot in 1 2 3; do
		begun=$SECONDS code=0
		attended timeout "$boot_timeout_s" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -m 1024 -smp 2 \
			-nographic -no-reboot -kernel "$dir/$suite/vmlinuz" -initrd "$work/initrd" \
			-append "console=ttyS0 panic=-1 quiet" >"$console" 2>&1 </dev/null || code=$?
		echo "$version ($suite), QEMU exit $code, $((SECONDS - begun)) s"
		grep -q '^@@@ ' "$console" && break
		echo "$version: boot $boot did not reach the checks:" \
			"$(grep -m 1 -aoE 'Kernel panic.*|BUG:.*|Oops:.*' "$console" || echo 'no word of the kernel why')"
	done
	tests/vm/judge.py "$version" "$expected" "$console" "$dir/host.log" | tee -a "$results" ||
		result "FAIL  $version: judge.py failed"
done
finish
