#!/bin/sh
# Measures the lines of the server and its modules that the quick tests execute: writes an HTML report to
# build/coverage/report, and its totals to standard output. It needs the Debian package gcovr.
#   scripts/dev/coverage.sh                    the tests with the label quick
#   scripts/dev/coverage.sh -L unit            the tests selected by these options of ctest
#   KVSERVER_BUILD=FOLDER, KV_TEST_JOBS=N      as for scripts/test.sh
set -eu
root="$(dirname "$(dirname "$(dirname "$(readlink -f "$0")")")")"
. "$root/scripts/dev/build.sh"
command -v gcovr >/dev/null || {
    say "gcovr is missing: apt-get install gcovr"
    exit 1
}
choose_build_folder
build="$build/coverage"
report="$build/report"
[ $# -ne 0 ] || set -- -L '^quick$'

# Counters are atomic, as loops and workers execute the same lines concurrently.
configure "$build" -DKV_TESTS=ON -DCMAKE_BUILD_TYPE=Debug \
    "-DCMAKE_C_FLAGS=--coverage -fprofile-update=atomic"
compile "$build" all
find "$build" -name '*.gcda' -delete
code=0
ctest --test-dir "$build" --output-on-failure --parallel "${KV_TEST_JOBS:-$((2 * $(nproc)))}" "$@" || code=$?

# A killed process leaves no counts, and one killed while it writes them leaves an unreadable file.
mkdir -p "$report"
gcovr --root "$root" --filter "$root/core/" --filter "$root/modules/" --object-directory "$build" \
    --exclude-directories ".*/CMakeFiles/[0-9].*" --gcov-ignore-parse-errors \
    --exclude-unreachable-branches --exclude-throw-branches \
    -j "$(nproc)" --print-summary --html-details "$report/index.html" "$build" |
    grep -E '^(lines|functions|branches):'
say "the report: $report/index.html"
exit "$code"
