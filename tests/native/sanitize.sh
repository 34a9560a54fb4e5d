#!/usr/bin/env bash
# The kernel tests under AddressSanitizer and UndefinedBehaviorSanitizer: everything that this machine's CPU can run.
# Usage: tests/native/sanitize.sh [BUILD], a folder to build in; a new one, thrown away, if none is given. JOBS compilers at once.
set -euo pipefail
cd "$(dirname "$0")/../.."

build=${1:-$(mktemp -d)}
[[ $# -gt 0 ]] || trap 'rm -rf "$build"' EXIT

cmake -S . -B "$build" -DFURET_PYTHON=OFF -DFURET_SANITIZE=ON >/dev/null
cmake --build "$build" --target kernel_tests --parallel "${JOBS:-1}" -- --quiet
"$build/kernel_tests" --quick
