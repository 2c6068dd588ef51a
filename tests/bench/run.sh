#!/bin/sh
# Runs KvServer and its peers side by side and prints a comparison; see tests/bench/README.md. Arguments are
# passed on: `tests/bench/run.sh --rounds 3 --only fan-out`. KV_BENCH_BUILD selects the build folder, whose
# programs are used as they are.
set -eu
cd "$(dirname "$0")/../.."
scripts/dev/install-packages.sh bench
if [ -z "${KV_BENCH_BUILD:-}" ]; then
    cmake -S . -B build/bench-build -G Ninja -DKV_TESTS=ON >/dev/null
    cmake --build build/bench-build -- --quiet
fi
exec python3 tests/bench/run.py "$@"
