#!/bin/bash
# Installs what leakmon needs on Debian 12: `deps.sh` to build it, `deps.sh test` to test and measure it too, `deps.sh servers`
# also the servers that the corpus watches. No service is started: they are wanted as programs.
# Does nothing when all is there; else needs root. Set APT_OPTIONS to pass options to apt-get.
set -u

build="gcc make pkg-config libc6-dev clang bpftool libbpf-dev libelf-dev libdw-dev libjansson-dev libiberty-dev
       uthash-dev libseccomp-dev zlib1g-dev libprotobuf-c-dev protobuf-c-compiler libmicrohttpd-dev libsqlite3-dev
       libyaml-dev libcrypt-dev libgnutls28-dev"
# unit · check · fuzz (libFuzzer) · integration (C++, musl, addr2line, strip, setpriv, unshare, Java) · vm · bench ·
# metrics (promtool, and a Prometheus that scrapes) · page (a browser, driven from outside) · deploy (amtool, an
# Alertmanager; systemd-analyze)
test="libcmocka-dev clang-format libclang-rt-dev python3 g++ musl-tools binutils util-linux qemu-system-x86 busybox-static cpio
      linux-perf libbpf-tools openjdk-17-jdk-headless prometheus prometheus-alertmanager openssl curl chromium
      chromium-driver libcap2-bin systemd python3-yaml libseccomp2"
# Where Debian has it apart, the program without its service.
servers="nginx apache2-bin mariadb-server-core redis-tools libtomcat10-java tomcat10-common etcd-server caddy stress-ng"

# It fetches the page's charts; another one than Debian's will do.
command -v npm >/dev/null || build+=" npm"

case ${1:-build} in
build) wanted=$build ;;
test | servers)
	wanted="$build $test"
	command -v rustc >/dev/null || wanted+=" rustc"
	[ "$1" = servers ] && wanted+=" $servers"
	[ "$1" = servers ] && ! command -v node >/dev/null && wanted+=" nodejs"
	;;
*)
	echo "usage: tests/deps.sh [build|test|servers]" >&2
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
policy=/usr/sbin/policy-rc.d # asked before a service is started; another's is left as it is
if [ "${1:-build}" != build ] && [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy
else
	policy=
fi
trap 'rm -f "$log" $policy' EXIT
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
