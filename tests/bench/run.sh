#!/bin/sh
# Runs KvServer and its peers side by side and prints how they compare; see tests/bench/README.md.
# Arguments are passed on: `tests/bench/run.sh --rounds 3 --only fan-out`.
set -eu
cd "$(dirname "$0")/../.."
scripts/dev/install-packages.sh bench
cmake -S . -B build/bench-build -G Ninja -DKV_TESTS=ON >/dev/null
cmake --build build/bench-build -- --quiet
exec python3 tests/bench/run.py "$@"
