#!/bin/sh
# Installs what is missing, builds, and runs all tests: the style checks, every test in a plain
# build, every test under AddressSanitizer and UndefinedBehaviorSanitizer, the threaded ones under
# ThreadSanitizer, and the benchmarks once with little load, to see that they run.
# `scripts/test.sh checks|plain|thread|bench|address` runs one of these.
set -eu
cd "$(dirname "$0")/.."
what="${1:-all}"
jobs="$(nproc)"

scripts/dev/install-packages.sh

build() { # folder, sanitizer
    cmake -S . -B "$1" -G Ninja -DKV_TESTS=ON -DKV_WERROR=ON -DKV_SANITIZE="$2" >/dev/null
    cmake --build "$1" -- --quiet
}

run() { # folder, arguments of ctest
    folder="$1"
    shift
    ctest --test-dir "$folder" --output-on-failure --parallel "$jobs" "$@"
}

if [ "$what" = all ] || [ "$what" = checks ]; then
    scripts/dev/check.sh
fi
if [ "$what" = all ] || [ "$what" = plain ]; then
    build build ""
    run build
fi
if [ "$what" = all ] || [ "$what" = thread ]; then
    build build/thread thread
    run build/thread --label-regex threads
fi
if [ "$what" = all ] || [ "$what" = bench ]; then
    build build ""
    KV_BENCH_BUILD="$PWD/build" tests/bench/run.sh --smoke
fi
if [ "$what" = all ] || [ "$what" = address ]; then
    build build/address address
    run build/address
fi
