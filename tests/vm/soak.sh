#!/bin/bash
# A day of leakmon's daemon in an emulated machine whose clock runs ahead whenever it is idle: `soak.sh` for 24 hours,
# `soak.sh quick` for 24 of 10 minutes, with a horizon to suit. The console is kept as build/vm/soak.log, soak_judge.py reads it.
set -euo pipefail
cd "$(dirname "$0")/../.."
export LC_ALL=C

dir=build/vm
case ${1:-day} in
day) name=soak options="soak_hour_s=3600 soak_horizon_s=1800 soak_churn_s=15" timeout_s=28800 ;;
quick) name=soak-quick options="soak_hour_s=600 soak_horizon_s=600 soak_churn_s=30" timeout_s=3600 ;;
*)
	echo "usage: tests/vm/soak.sh [day|quick]" >&2
	exit 64
	;;
esac
console=$dir/$name.log work=$dir/$name.run
child=
trap '[ -z "$child" ] || kill "$child" 2>/dev/null || true; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
rm -rf "$work"
mkdir -p "$work/root/test"

skip() {
	echo "skip  soak: $*"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
}

export PATH=$PATH:/usr/sbin:/sbin
for tool in qemu-system-x86_64 busybox cpio bpftool; do
	command -v "$tool" >/dev/null || skip "$tool is not installed (tests/deps.sh test)"
done
reason=$(tests/vm/kernel.sh bookworm "$dir/bookworm" 2>&1) || skip "6.1: $reason"

gcc -O2 -g -fomit-frame-pointer -pthread -D_GNU_SOURCE -o "$work/root/test/soakers" tests/vm/soakers.c
tests/vm/pack.sh tests/vm/soak-init "$work/root" "$work/initrd"

# One instruction is one nanosecond, and a machine with nothing to do goes on to its next timer at once (icount).
# Its boot may panic by itself, as in run.sh.
for boot in 1 2 3; do
	begun=$SECONDS code=0
	timeout "$timeout_s" qemu-system-x86_64 -accel tcg -icount shift=0,sleep=off -rtc clock=vm -cpu max -m 1024 -smp 1 \
		-net none -vga none -nographic -no-reboot -kernel "$dir/bookworm/vmlinuz" -initrd "$work/initrd" \
		-append "console=ttyS0 panic=-1 quiet $options ${SOAK_OPTIONS:-}" >"$console" 2>&1 </dev/null &
	child=$!
	wait $child || code=$?
	child=
	echo "soak: QEMU exit $code, $((SECONDS - begun)) s of real time"
	grep -aq '^@@@ begin' "$console" && break
	echo "soak: boot $boot did not begin: $(grep -m 1 -aoE 'Kernel panic.*|BUG:.*|Oops:.*' "$console" || true)"
done
tests/vm/soak_judge.py "$console"
