#!/usr/bin/env bash
# The kernel tests cross-compiled for AArch64 and run in emulation: on a processor with everything qemu has, on one with the dot
# product extension and no more, and on one without, which must fall back to the portable kernels. All must agree bit for bit.
# Wants Debian's g++-aarch64-linux-gnu and qemu-user.
# Usage: tests/native/neon.sh [BUILD], a folder to build in; a new one, thrown away, if none is given. JOBS compilers at once.
set -euo pipefail
cd "$(dirname "$0")/../.."

build=${1:-$(mktemp -d)}
[[ $# -gt 0 ]] || trap 'rm -rf "$build"' EXIT

cmake -S . -B "$build" -DFURET_PYTHON=OFF -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
    -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DCMAKE_EXE_LINKER_FLAGS=-static >/dev/null
cmake --build "$build" --target kernel_tests --parallel "${JOBS:-1}" -- --quiet

qemu-aarch64 -cpu max "$build/kernel_tests" --quick --best neon-i8mm
qemu-aarch64 -cpu cortex-a76 "$build/kernel_tests" --quick --best neon-dotprod
qemu-aarch64 -cpu cortex-a72 "$build/kernel_tests" --quick --best portable
