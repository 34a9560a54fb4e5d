#!/usr/bin/env bash
# Instructions that the matrix kernel executes on AArch64, for each block of 16 rows by 32 columns of weights: unpacked and met by
# one token (decode), and for each token of 128 (prefill, where a block makes 512 multiply-adds a token). Counted exactly, in
# emulation; what they cost in time depends on the processor.
# Wants Debian's g++-aarch64-linux-gnu and qemu-user. Usage: benchmarks/neon_instructions.sh [BUILD], a folder to build in.
set -euo pipefail
cd "$(dirname "$0")/.."

build=${1:-$(mktemp -d)}
[[ $# -gt 0 ]] || trap 'rm -rf "$build"' EXIT

cmake -S . -B "$build" -DFURET_PYTHON=OFF -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
    -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DCMAKE_EXE_LINKER_FLAGS=-static >/dev/null
cmake --build "$build" --target neon_instructions --parallel "${JOBS:-1}" -- --quiet
gcc -O2 -Wall -Wextra -shared -fPIC -o "$build/count.so" benchmarks/neon_instructions_plugin.c

qemu-aarch64 -cpu max -plugin "$build/count.so" "$build/neon_instructions" >"$build/names" 2>"$build/counts"
paste -d ' ' "$build/names" <(paste -d ' ' - - <"$build/counts") | awk '
    BEGIN { printf "%-14s %-8s %6s  %9s  %6s %7s %7s %6s  %s\n", "", "type", "tokens", "of a block", "dot", "vector", "memory", "other", "multiply-adds each" }
    {
        blocks = 2048 / 32 * $3; total = 0
        for (kind = 0; kind < 4; ++kind) { count[kind] = ($(8 + kind) - $(4 + kind)) / blocks; total += count[kind] }
        printf "%-14s %-8s %6d  %9.1f  %6.1f %7.1f %7.1f %6.1f  %.2f\n", $1, $2, $3, total, count[0], count[1], count[2], count[3], 512 / total
    }'
