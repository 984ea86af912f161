#!/bin/bash
# Fetches Debian's cloud kernel of a suite: `kernel.sh SUITE DIR` leaves DIR/vmlinuz; does nothing when it is there.
# A private apt directory keeps the system's own lists as they are: its sources are the machine's with another suite,
# and the signatures are checked with the keys of debian-archive-keyring. Says on stderr why it could not.
set -euo pipefail
suite=$1 dir=$2
[ -s "$dir/vmlinuz" ] && exit 0

work=$dir/apt
rm -rf "$work"
mkdir -p "$work"/{sources,keys,lists/partial,cache/archives/partial,tree}
trap 'rm -rf "$work"' EXIT
work=$(cd "$work" && pwd)
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
	[ -f "$file" ] && grep -qw "$codename" "$file" || continue
	sed -E "/^Signed-By:/d; s/signed-by=[^] ]*//; s/\b$codename\b/$suite/g" "$file" >"$work/sources/${file##*/}"
done
for key in /usr/share/keyrings/debian-archive-*.gpg; do
	case $key in *removed-keys*) ;; *) cp "$key" "$work/keys/" ;; esac
done
cat >"$work/apt.conf" <<CONF
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$work/sources";
Dir::Etc::trusted "/dev/null";
Dir::Etc::trustedparts "$work/keys";
Dir::State::lists "$work/lists";
Dir::State::status "/dev/null";
Dir::Cache "$work/cache";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
CONF
export APT_CONFIG=$work/apt.conf

# Not every suite of the machine exists for the other release: the download tells.
apt-get -q ${APT_OPTIONS:-} update >"$work/log" 2>&1 </dev/null || true
image=$({ apt-cache depends linux-image-cloud-amd64 2>/dev/null || true; } |
	sed -n '0,/.*Depends: \(linux-image-[0-9][^ ]*\).*/s//\1/p')
if [ -z "$image" ] || ! (cd "$work" && apt-get -q ${APT_OPTIONS:-} download "$image" >>log 2>&1 </dev/null); then
	echo "no package linux-image-cloud-amd64 of $suite: $(grep -E '^(E|W|Err)[: ]' "$work/log" | tail -n 1)" >&2
	exit 1
fi
dpkg -x "$work"/linux-image-*.deb "$work/tree"
mv "$work"/tree/boot/vmlinuz-* "$work/vmlinuz"
mv "$work/vmlinuz" "$dir/vmlinuz"
