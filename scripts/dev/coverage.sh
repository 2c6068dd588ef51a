#!/bin/sh
# Which lines of the server and its modules the quick tests run: a report as pages in
# build/coverage/report, and its sum on standard output. It needs the Debian package gcovr.
#   scripts/dev/coverage.sh                    the tests with the label quick
#   scripts/dev/coverage.sh -L unit            those that these options of ctest select
#   KVSERVER_BUILD=FOLDER, KV_TEST_JOBS=N      as of scripts/test.sh
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

# Counts are updated by atomics, as loops and workers run the same lines at once.
configure "$build" -DKV_TESTS=ON -DCMAKE_BUILD_TYPE=Debug \
    "-DCMAKE_C_FLAGS=--coverage -fprofile-update=atomic"
compile "$build" all
find "$build" -name '*.gcda' -delete
code=0
ctest --test-dir "$build" --output-on-failure --parallel "${KV_TEST_JOBS:-$((2 * $(nproc)))}" "$@" || code=$?

# A process that is killed leaves no counts, and one that is killed while it writes them leaves a file
# that cannot be read.
mkdir -p "$report"
gcovr --root "$root" --filter "$root/core/" --filter "$root/modules/" --object-directory "$build" \
    --exclude-directories ".*/CMakeFiles/[0-9].*" --gcov-ignore-parse-errors \
    --exclude-unreachable-branches --exclude-throw-branches \
    -j "$(nproc)" --print-summary --html-details "$report/index.html" "$build" |
    grep -E '^(lines|functions|branches):'
say "the report: $report/index.html"
exit "$code"
