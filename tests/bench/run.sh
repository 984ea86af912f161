#!/bin/bash
# Builds what the bench needs and runs it: `tests/bench/run.sh [--quick]`. Nothing of it is a test.
set -euo pipefail
cd "$(dirname "$0")/../.."

out=build/bench
mkdir -p "$out"
clang -target bpf -mcpu=v3 -O2 -g -Iinclude -Ibpf -c -o "$out/empty.bpf.o" tests/bench/empty.bpf.c
cc -O2 -o "$out/attach" tests/bench/attach.c -lbpf
cc -O2 -pthread -o "$out/threads" tests/bench/threads.c
make -s --no-print-directory "$out/verdicts"
exec python3 tests/bench/bench.py "$@"
