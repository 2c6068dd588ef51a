#!/bin/sh
# Installs what is missing, builds, and starts the server with conf/kvserver.yaml. Arguments are
# passed on: `scripts/run.sh --check-config`, `scripts/run.sh -c my.yaml`.
set -eu
cd "$(dirname "$0")/.."

scripts/dev/install-packages.sh build
[ -f build/build.ninja ] || cmake -S . -B build -G Ninja -DKV_TESTS=OFF >build.log 2>&1 ||
    { cat build.log >&2; exit 1; }
rm -f build.log
cmake --build build -- --quiet kvserver all
exec build/kvserver -c conf/kvserver.yaml "$@"
