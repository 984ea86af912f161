#!/bin/bash
# Fetches a Go toolchain of Debian: `toolchain.sh 1.24 DIR` leaves a whole GOROOT in DIR (DIR/bin/go); does nothing when
# it is there. Says on stderr why it could not.
set -euo pipefail
version=$1 dir=$2
[ -x "$dir/bin/go" ] && exit 0
. "$(dirname "$0")/../suite.sh"

# Of the suites that have a version the oldest: their packages change least.
case $version in
1.15) suites=bullseye ;;
1.19) suites=bookworm ;;
1.21 | 1.22 | 1.23) suites=bookworm-backports ;;
1.24) suites=trixie ;;
1.25 | 1.26 | 1.27) suites="trixie-backports sid" ;;
*)
	echo "no suite is known to have Go $version" >&2
	exit 1
	;;
esac

# What compiles a program, without the documentation and Go's own tests: those of the runtime stay, for their programs.
assemble() {
	local tree=$1 to=$2 part
	mkdir -p "$to"
	for part in "$tree/usr/share/go-$version" "$tree/usr/lib/go-$version"; do
		find "$part" -maxdepth 1 -type l -delete # to the other part, by paths of the system
		find "$part/pkg" -maxdepth 1 -type l -delete 2>/dev/null || true
		cp -al "$part/." "$to/"
	done
	rm -rf "$to/test" "$to/api" "$to/doc" "$to/misc"
}

work=$dir.apt
mkdir -p "$(dirname "$dir")"
trap 'rm -rf "$work" "$dir.new"' EXIT
for suite in $suites; do
	suite_open "$suite" "$work"
	suite_unpack "$work" "golang-$version-go" "golang-$version-src" && break
done
if ! [ -x "$work/tree/usr/lib/go-$version/bin/go" ]; then
	echo "no packages golang-$version-go and golang-$version-src of $suite: $(suite_failure "$work")" >&2
	exit 1
fi
rm -rf "$dir.new" "$dir"
assemble "$work/tree" "$dir.new"
mv "$dir.new" "$dir"
