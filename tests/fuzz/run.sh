#!/bin/bash
# Broken files for what parses files that are not trusted, with sanitizers, for FUZZ_SECONDS (60) in all. SEED sets where it
# begins; each failure prints the seed that reproduces it.
set -u
cd "$(dirname "$0")/../.." || exit 2

out=build/fuzz
seconds=${FUZZ_SECONDS:-60}
seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
mkdir -p $out

objs=()
for source in user/resolver/*.c; do
	case $source in */client*.c | */worker.c | */sandbox.c) continue ;; esac
	objs+=("$out/${source%.c}.o")
done
make -s --no-print-directory B=$out SAN=1 "${objs[@]}" || exit 2
cc -std=gnu11 -O1 -g -D_GNU_SOURCE -I. -Iinclude -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-o $out/fuzz_resolver tests/fuzz/fuzz_resolver.c "${objs[@]}" -ldw -lelf -liberty || exit 2

# The tables of Go programs: what an input reaches is what is tried further.
go_sources=(user/resolver/{module,remote}.c user/golang/{binary,image,layout,lines,memory,names,step,tables,values}.c)
clang -std=gnu11 -O1 -g -D_GNU_SOURCE -I. -Iinclude -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=undefined -o $out/fuzz_go_tables tests/fuzz/fuzz_go_tables.c "${go_sources[@]}" -ldw -lelf ||
	exit 2

# Small files, so that a change hits something: with all tables, stripped, in an older format, without call-frame tables.
cat >$out/sample.c <<'C'
#include <stdio.h>
static inline int inner(int n) { return printf("%d", n) + n; }
__attribute__((noinline)) int outer(int n) { return inner(n) * 2; }
int main(int argc, char **argv) { return outer(argc) + (argv != 0); }
C
cc -O2 -g -o $out/sample-5 $out/sample.c
cc -O2 -gdwarf-4 -gz -o $out/sample-4 $out/sample.c
cc -O2 -s -o $out/sample-stripped $out/sample.c
cc -O2 -g -fno-asynchronous-unwind-tables -o $out/sample-debug-frame $out/sample.c

status=0
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=1024
samples=($out/sample-5 $out/sample-4 $out/sample-stripped $out/sample-debug-frame)
share=$((seconds / (${#samples[@]} + 1)))
for sample in "${samples[@]}"; do
	$out/fuzz_resolver "$sample" "$seed" $share 2>$out/errors || {
		status=1
		grep -E '^ *#[0-9]|ERROR|runtime error' $out/errors | head -n 30
	}
done
# what fails is kept in a file, which reproduces it as the program's only argument
mkdir -p $out/go_tables
$out/fuzz_go_tables -seed="$seed" -max_total_time=$share -max_len=400 -timeout=5 -artifact_prefix=$out/go_tables- \
	$out/go_tables >$out/errors 2>&1 || {
	status=1
	grep -E '^ *#[0-9]+ 0x|ERROR|runtime error|Test unit written' $out/errors | head -n 30
}
echo "fuzz_go_tables: $(grep -oE 'Done [0-9]+ runs' $out/errors || echo failed)"
exit $status
