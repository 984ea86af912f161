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
for source in user/resolver/*.c user/golang/*.c; do
	case $source in */client*.c | */worker.c | */sandbox.c) continue ;; esac
	objs+=("$out/${source%.c}.o")
done
make -s --no-print-directory B=$out SAN=1 "${objs[@]}" || exit 2
cc -std=gnu11 -O1 -g -D_GNU_SOURCE -I. -Iinclude -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-o $out/fuzz_resolver tests/fuzz/fuzz_resolver.c "${objs[@]}" -ldw -lelf -lz -liberty || exit 2

# Files, tables and goroutines of Go programs: what an input reaches is what is tried further.
go_sources=(user/resolver/{module,remote}.c user/golang/*.c)
go_targets=(fuzz_go_image fuzz_go_tables fuzz_goroutines)
for target in "${go_targets[@]}"; do
	clang -std=gnu11 -O1 -g -D_GNU_SOURCE -I. -Iinclude -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined -o $out/$target tests/fuzz/$target.c "${go_sources[@]}" -ldw -lelf -lz || exit 2
done

# Requests to the daemon's endpoints. The generated code of profiles is the ordinary build's.
make -s build/user/render/profile.pb-c.h || exit 2
clang -std=gnu11 -O1 -g -D_GNU_SOURCE -I. -Iinclude -Ibuild -DLM_VERSION='"fuzz"' \
	-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -o $out/fuzz_api tests/fuzz/fuzz_api.c \
	user/api*.c user/render/*.c user/{changes,opts_values,opts_table,snapshot}.c build/user/render/profile.pb-c.c \
	-ljansson -lprotobuf-c -lz -lm || exit 2

# What clients and configuration files say to the daemon.
daemon_targets=(fuzz_yaml fuzz_http)
declare -A daemon_sources=(
	[fuzz_yaml]=user/yaml.c
	[fuzz_http]="$(echo user/http*.c) user/web_config.c user/yaml.c user/log.c"
)
for target in "${daemon_targets[@]}"; do
	clang -std=gnu11 -O1 -g -D_GNU_SOURCE -I. -Iinclude -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined -o $out/$target tests/fuzz/$target.c ${daemon_sources[$target]} \
		-lyaml -lmicrohttpd -lgnutls -lcrypt -lz || exit 2
	mkdir -p $out/$target-inputs
done
printf 'a: 1\nb:\n  - x\n  - "y z"\nc: {d: e}\n' >$out/fuzz_yaml-inputs/plain
printf 'a: &x !!str 1\nb: *x\n--- 2\n' >$out/fuzz_yaml-inputs/refused
host=$'Host: localhost\r\n'
printf ' GET /%%41?s=1&t HTTP/1.1\r\n%sAccept-Encoding: gzip;q=0.5, *\r\nIf-None-Match: "a", W/"b"\r\n\r\n' "$host" \
	>$out/fuzz_http-inputs/get
printf '!GET / HTTP/1.1\r\n%sAuthorization: Basic YTpi\r\n\r\n' "$host" >$out/fuzz_http-inputs/user
printf '"HEAD /?s HTTP/1.1\r\n%s\r\nGET /e HTTP/1.1\r\n\377%s\r\n' "$host" "$host" >$out/fuzz_http-inputs/events
printf ' POST / HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n' "$host" \
	>$out/fuzz_http-inputs/post

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

# The beginnings of what Go's linker writes: sections, a build information, a pclntab, a moduledata. Addresses are those in
# the file.
cat >$out/sample-go.c <<'C'
#define IN(name) __attribute__((used, section(name)))
IN(".go.buildinfo") static const char info[] __attribute__((aligned(16))) =
	"\xff Go buildinf:\x08\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x06go1.24";
IN(".gopclntab") static const unsigned long table[16] = {0x08010000fffffff1, 1, 0, 0, 72, 80, 88, 96, 104};
IN(".go.module") static const unsigned long module[48] = {1, 2, 3};
IN(".noptrdata") static unsigned long data[8] = {1};
int main(void) { return data[0] + module[0] + table[0] + info[0]; }
C
mkdir -p $out/fuzz_go_image-inputs $out/fuzz_go_tables-inputs $out/fuzz_goroutines-inputs
flags=(-O1 -s -nostdlib -Wl,-z,noseparate-code -Wl,-e,main)
cc "${flags[@]}" -static-pie -o $out/fuzz_go_image-inputs/pie $out/sample-go.c
cc "${flags[@]}" -static -o $out/fuzz_go_image-inputs/static $out/sample-go.c

mkdir -p $out/fuzz_api-inputs
requests=('/metrics\napplication/openmetrics-text;version=1.0.0;q=0.5,text/plain;q="0.2",*/*;q=0.1'
	'/api/v1/snapshot?members=1&top=2&min_level=likely' '/api/v1/findings?level=suspect'
	'/api/v1/sites/9f2c41d07be1a3c5?members=2' '/api/v1/history?pid=4711&from=1h'
	'/api/v1/history?site=9f2c41d07be1a3c5&from=2026-11-23T00:00:00.5+01:00&to=1795435200' '/api/v1/events'
	'/api/v1/export?format=collapsed&pid=1234' '/api/v1/export?format=speedscope' '/debug/pprof/threads?debug=1&pid=77'
	'/debug/pprof/goroutines?pid=4711' '/threads?pid=1234' '/goroutines?pid=4713' '/-/ready' /)
for i in "${!requests[@]}"; do
	printf "\\x$((i % 5 + 1))${requests[i]}" >$out/fuzz_api-inputs/$i
done

# Debug information of a unit "runtime" with the structs that are wanted; what C cannot name is named afterwards.
cat >$out/runtime <<'C'
typedef unsigned long word;
struct runtime_stack { word lo, hi; };
struct runtime_gobuf { word sp, pc; };
struct runtime_maybeTraceablePtr { word vp, vu; };
struct runtime_waitq { word first, last; };
struct runtime_g { struct runtime_stack stack; word m; struct runtime_gobuf sched; word syscallsp, syscallpc, atomicstatus, goid,
	waitsince, waitreason, trackingSeq, lockedm, parentGoid, gopc, startpc, waiting, labels; } g;
struct runtime_sudog { word g, next; struct runtime_maybeTraceablePtr elem, c; word waitlink; } sudog;
struct runtime_hchan { word qcount, dataqsiz, elemsize, closed, timer, elemtype; struct runtime_waitq recvq, sendq; } hchan;
struct runtime_moduledata { word text, data, bss; } moduledata;
int main(void) { return g.m + sudog.g + hchan.qcount + moduledata.text; }
C
debug=$out/fuzz_go_image-inputs/debug
(cd $out && cc -x c -O1 -g -gz=none -nostdlib -static -Wl,-z,noseparate-code -Wl,-e,main,--build-id=none -o runtime.elf runtime)
sed 's/runtime_/runtime./g' $out/runtime.elf >$debug-none
for form in zlib zlib-gnu; do
	objcopy --compress-debug-sections=$form $debug-none $debug-$form
done

status=0
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=1024
samples=($out/sample-5 $out/sample-4 $out/sample-stripped $out/sample-debug-frame)
libfuzzer_targets=("${go_targets[@]}" fuzz_api "${daemon_targets[@]}")
share=$((seconds / (${#samples[@]} + ${#libfuzzer_targets[@]})))
for sample in "${samples[@]}"; do
	$out/fuzz_resolver "$sample" "$seed" $share 2>$out/errors || {
		status=1
		grep -E '^ *#[0-9]|ERROR|runtime error' $out/errors | head -n 30
	}
done
# what fails is kept in a file, which reproduces it as the program's only argument
for target in "${libfuzzer_targets[@]}"; do
	max_len=400
	[ $target = fuzz_go_image ] && max_len=8192
	$out/$target -seed="$seed" -max_total_time=$share -max_len=$max_len -timeout=5 -artifact_prefix=$out/$target- \
		$out/$target-inputs >$out/errors 2>&1 || {
		status=1
		grep -E '^ *#[0-9]+ 0x|ERROR|runtime error|Test unit written' $out/errors | head -n 30
	}
	echo "$target: $(grep -oE 'Done [0-9]+ runs' $out/errors || echo failed)"
done
exit $status
