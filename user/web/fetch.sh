#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Brings uPlot, which draws the page's charts, into a directory: `fetch.sh INTO [DIR]`. From the npm registry, by the version
# and checksum of package-lock.json; with DIR (an unpacked package: dist/ and LICENSE) from there, without any network.
set -u

here=$(cd "$(dirname "$0")" && pwd) || exit 2
into=$1
from=${2:-}
files="dist/uPlot.iife.min.js dist/uPlot.min.css LICENSE"
work=$into/npm

# fail WHAT-AND-WHY
fail() {
	echo "web: $1" >&2
	echo "web: mend that, or give a copy of your own: make UPLOT=DIR, where DIR holds $files" >&2
	rm -rf "$work"
	exit 2
}

mkdir -p "$into" || exit 2
if [ -z "$from" ]; then
	command -v npm >/dev/null || fail "uPlot cannot be fetched: npm is not there (tests/deps.sh installs it)"
	rm -rf "$work"
	mkdir -p "$work" || exit 2
	cp "$here/package.json" "$here/package-lock.json" "$work/" || exit 2
	(cd "$work" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) >"$work/log" 2>&1 </dev/null ||
		fail "uPlot cannot be fetched from the npm registry: $(grep -m 1 -iE 'code|integrity|getaddrinfo|network' "$work/log" | cut -c1-200)"
	from=$work/node_modules/uplot
fi
for file in $files; do
	[ -s "$from/$file" ] || fail "uPlot is not whole: $from/$file is not there"
done
cp "$from/dist/uPlot.iife.min.js" "$into/uPlot.js" && cp "$from/dist/uPlot.min.css" "$into/uPlot.css" &&
	cp "$from/LICENSE" "$into/LICENSE-uPlot" || fail "cannot write into $into"
chmod 644 "$into/uPlot.js" "$into/uPlot.css" "$into/LICENSE-uPlot"
touch "$into/uPlot.js" "$into/uPlot.css" "$into/LICENSE-uPlot" # newer than what they are made from
printf '%s\n' "${2:-}" >"$into/from"
rm -rf "$work"
