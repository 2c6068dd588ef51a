#!/bin/sh
# Runs fuzz targets with libFuzzer, one after the other: scripts/dev/fuzz.sh [SECONDS [TARGET …]],
# by default 60 seconds each, and all targets. Findings are in build/fuzz/found/; inputs that extended the
# coverage stay in build/fuzz/corpus/ for the next run. Once a fault is fixed, add its input to
# tests/fuzz/corpus/<target>/, which every test run replays.
set -eu
cd "$(dirname "$0")/../.."
seconds="${1:-60}"
[ $# -eq 0 ] || shift
folder="$PWD/build/fuzz"

scripts/dev/install-packages.sh
cmake -S . -B "$folder" -G Ninja -DKV_FUZZ=ON -DCMAKE_C_COMPILER=clang >/dev/null
[ $# -gt 0 ] || set -- $(cd tests/fuzz/corpus && ls)
for target; do
    cmake --build "$folder" --target "fuzz_$target" -- --quiet
done

export LSAN_OPTIONS="suppressions=$PWD/tests/support/lsan.supp:print_suppressions=0"
failed=0
for target; do
    mkdir -p "$folder/corpus/$target" "$folder/found"
    echo "fuzz_$target, $seconds s"
    "$folder/tests/fuzz_$target" -max_total_time="$seconds" -verbosity=0 -print_final_stats=1 \
        -artifact_prefix="$folder/found/$target-" "$folder/corpus/$target" \
        "tests/fuzz/corpus/$target" 2>"$folder/$target.log" || {
        failed=1
        tail -40 "$folder/$target.log"
    }
    grep number_of_executed_units "$folder/$target.log" || true
done
exit "$failed"
