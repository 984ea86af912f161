#!/bin/bash
# Packs a guest's first file system: `pack.sh INIT ROOT INITRD`, with what ROOT/test already holds, leakmon, bpftool, busybox and
# every library that the programs in ROOT/test link, at the paths where they are here.
set -euo pipefail
init=$1 root=$2 initrd=$3
export PATH=$PATH:/usr/sbin:/sbin

mkdir -p "$root"/{bin,test}
cp build/leakmon "$(command -v bpftool)" "$root/test/"
cp "$(command -v busybox)" "$root/bin/busybox"
for program in "$root"/test/*; do
	ldd "$program" 2>/dev/null | grep -oE '/[^ ]+' || true # scripts and static programs have none
done | sort -u | xargs cp -L --parents -t "$root"
install -m 755 "$init" "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet) | gzip -1 >"$initrd"
