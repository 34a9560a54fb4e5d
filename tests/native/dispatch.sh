#!/usr/bin/env bash
# The kernel tests as they are shipped: on this machine, and where qemu's user emulation is installed, on x86-64 processors
# that must fall back to AVX2 and to the portable kernels.
# Usage: tests/native/dispatch.sh [BUILD], a folder to build in; a new one, thrown away, if none is given. JOBS compilers at once.
set -euo pipefail
cd "$(dirname "$0")/../.."

build=${1:-$(mktemp -d)}
[[ $# -gt 0 ]] || trap 'rm -rf "$build"' EXIT

cmake -S . -B "$build" -DFURET_PYTHON=OFF >/dev/null
cmake --build "$build" --target kernel_tests --parallel "${JOBS:-1}" -- --quiet
"$build/kernel_tests"

if [[ $(uname -m) == x86_64 ]] && command -v qemu-x86_64 >/dev/null; then
    # A warning about features that qemu leaves out of its Haswell says nothing about ours.
    qemu-x86_64 -cpu Haswell "$build/kernel_tests" --quick --best avx2 2> >(grep -v 'TCG doesn.t support' >&2)
    qemu-x86_64 -cpu Nehalem "$build/kernel_tests" --quick --best portable 2> >(grep -v 'TCG doesn.t support' >&2)
fi
