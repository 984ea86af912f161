#!/bin/bash
# Installs what leakmon needs on Debian 12: `deps.sh` to build it, `deps.sh test` to test and measure it too.
# Does nothing when all is there; else needs root. Set APT_OPTIONS to pass options to apt-get.
set -u

build="gcc make pkg-config libc6-dev clang bpftool libbpf-dev libelf-dev libdw-dev libjansson-dev libiberty-dev
       uthash-dev libseccomp-dev zlib1g-dev"
# unit · check · integration (C++, musl, addr2line, strip, setpriv, unshare, Java) · vm · bench
test="libcmocka-dev clang-format python3 g++ musl-tools binutils util-linux qemu-system-x86 busybox-static cpio
      linux-perf libbpf-tools openjdk-17-jdk-headless"

case ${1:-build} in
build) wanted=$build ;;
test)
	wanted="$build $test"
	command -v rustc >/dev/null || wanted+=" rustc"
	;;
*)
	echo "usage: tests/deps.sh [build|test]" >&2
	exit 64
	;;
esac

# The packages of the list that are not installed.
missing() {
	comm -23 <(printf '%s\n' $wanted | sort -u) \
		<(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null | sed -n 's/^installed //p' | sort -u)
}

if ! command -v dpkg-query >/dev/null; then
	echo "deps: this is no Debian: install yourself what stands for" $wanted >&2
	exit 0
fi
packages=$(missing)
[ -z "$packages" ] && exit 0
if [ "$(id -u)" != 0 ]; then
	echo "deps: missing:" $packages >&2
	echo "deps: run this as root: apt-get install" $packages >&2
	exit 2
fi

echo "deps: installing" $packages
log=$(mktemp) || exit 2
trap 'rm -f "$log"' EXIT
apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
		${APT_OPTIONS:-} "$@" </dev/null >>"$log" 2>&1
}
apt update || true # an old list may still do: install tells
if ! apt install --no-install-recommends $packages; then
	echo "deps: could not install:" $(missing) >&2
	grep -E '^(E|W|Err)[: ]' "$log" | sort -u | tail -n 8 >&2
	echo "deps: mend the package sources (/etc/apt) or the network, then run: apt-get install" $packages >&2
	exit 2
fi
