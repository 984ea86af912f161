#!/bin/bash
# Fetches Debian's cloud kernel of a suite: `kernel.sh SUITE DIR` leaves DIR/vmlinuz; does nothing when it is there.
# Says on stderr why it could not.
set -euo pipefail
suite=$1 dir=$2
[ -s "$dir/vmlinuz" ] && exit 0
. "$(dirname "$0")/../suite.sh"

work=$dir/apt
trap 'rm -rf "$work"' EXIT
suite_open "$suite" "$work"
image=$({ apt-cache depends linux-image-cloud-amd64 2>/dev/null || true; } |
	sed -n '0,/.*Depends: \(linux-image-[0-9][^ ]*\).*/s//\1/p')
if [ -z "$image" ] || ! suite_unpack "$work" "$image"; then
	echo "no package linux-image-cloud-amd64 of $suite: $(suite_failure "$work")" >&2
	exit 1
fi
mv "$work"/tree/boot/vmlinuz-* "$dir/vmlinuz"
