#!/bin/sh
# Installs missing packages, builds, and runs tests. All requested tests run, even after failures; the end of
# the output lists the failed ones. See tests/README.md.
#   scripts/test.sh                  the checks, and each test once: minutes
#   scripts/test.sh --full           everything: every pass below
#   scripts/test.sh --label NAME …   the tests that have all these labels (quick, matrix, slow, peers, disaster, …)
#   scripts/test.sh [--label NAME …] PASS …
#                                    these passes:
#     checks     layers, layout, cppcheck
#     tidy       clang-tidy
#     plain      tests in a plain build
#     thread     tests with threads under ThreadSanitizer
#     address    tests under AddressSanitizer and UndefinedBehaviorSanitizer
#     bench      the benchmarks once with little load, to check that they run
#   KVSERVER_BUILD=FOLDER, KVSERVER_INSTALL=no   as for scripts/run.sh
#   KV_TEST_JOBS=N                               tests run at once, instead of two per processor
set -eu
root="$(dirname "$(dirname "$(readlink -f "$0")")")"
export root
. "$root/scripts/dev/build.sh"

usage() {
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

passes=""
labels=""
is_full=""
while [ $# -gt 0 ]; do
    case "$1" in
    --full) passes="checks plain thread bench address tidy" is_full=yes ;;
    --label)
        [ $# -gt 1 ] || usage
        labels="$labels --label-regex ^$2\$"
        shift
        ;;
    checks | tidy | plain | thread | address | bench) passes="$passes $1" ;;
    *) usage ;;
    esac
    shift
done
if [ -z "$passes$labels" ]; then
    passes="checks plain"
    labels="--label-regex ^quick\$"
fi
passes="${passes:-plain}"

wants() { # pass
    case " $passes " in
    *" $1 "*) return 0 ;;
    esac
    return 1
}

# ---- results ----

now() {
    date +%s
}

# Lines of read-test-log.awk, preceded by the name of their pass.
note() { # pass, fact …
    echo "$*" >>"$results"
}

sum_of() { # passed|failed|skipped, of which pass (all: empty)
    awk -v what="$1" -v pass="${2:-}" '$2 == what && (pass == "" || $1 == pass) { n += $3 } END { print n + 0 }' \
        "$results"
}

# A pass that does not run ctest counts as one test.
note_whole() { # pass, exit code
    if [ "$2" -eq 0 ]; then
        note "$1" passed 1
    else
        note "$1" failed 1
        note "$1" failure "$3"
    fi
}

tell_results() {
    echo
    echo "The ten slowest:"
    awk '$2 == "time" { printf "%8.1f s  %s (%s)\n", $3, $4, $1 }' "$results" | sort -rn | head -10
    if grep -q '^[a-z]* skip ' "$results"; then
        echo
        echo "Skipped:"
        sed -n 's/^\([a-z]*\) skip \(.*\)/\1 \2/p' "$results" | awk '
            { pass = $1; $1 = ""; passes[$0] = passes[$0] (passes[$0] == "" ? "" : ", ") pass }
            END { for (test in passes) print " " test " (" passes[test] ")" }' | sort
    fi
    if [ "$(sum_of failed)" -ne 0 ]; then
        echo
        echo "Failed:"
        sed -n 's/^\([a-z]*\) failure \(.*\)/  \2 (\1)/p' "$results"
    fi
    echo
    printf '%-8s %5d s\n' building "$built"
    sed -n 's/^\([a-z]*\) seconds \(.*\)/\1 \2/p' "$results" | while read -r pass seconds; do
        printf '%-8s %5d s  %5d passed, %d failed, %d skipped\n' "$pass" "$seconds" \
            "$(sum_of passed "$pass")" "$(sum_of failed "$pass")" "$(sum_of skipped "$pass")"
    done
    printf '%-8s %5d s\n' all "$(($(now) - began))"
    echo
    echo "$(sum_of passed) passed, $(sum_of failed) failed, $(sum_of skipped) skipped"
}

# ---- passes ----

# Shows the output of the pass's build beside the tests. Returns: its exit code.
await_made() { # pass
    while [ ! -e "$scratch/$1.code" ]; do
        kill -0 "$beside" 2>/dev/null || [ -e "$scratch/$1.code" ] || return 1
        sleep 0.5
    done
    cat "$scratch/$1.log" >&2
    return "$(cat "$scratch/$1.code")"
}

run_tests() { # pass
    folder="$(folder_of "$1")"
    of_pass="$labels"
    [ "$1" != thread ] || of_pass="$of_pass --label-regex ^threads\$"
    # shellcheck disable=SC2086 # a list of options
    ctest --test-dir "$folder" --output-on-failure --no-tests=error --parallel "$jobs" $of_pass 2>&1 |
        tee "$folder/ctest.log"
    awk -f "$root/scripts/dev/read-test-log.awk" "$folder/ctest.log" \
        "$folder/Testing/Temporary/LastTest.log" >"$scratch/facts"
    sed "s/^/$1 /" "$scratch/facts" >>"$results"
    if grep -q '^No tests were found' "$folder/ctest.log"; then
        note_whole "$1" 1 "no test has these labels"
    elif ! grep -q '^Total Test time' "$folder/ctest.log"; then
        note_whole "$1" 1 "ctest did not come to its end"
    fi
}

run_pass() { # pass
    echo
    echo "== $1"
    why="see above"
    case "$1" in
    checks) "$root/scripts/dev/check.sh" quick && code=0 || code=$? ;;
    bench) KV_BENCH_BUILD="$build" "$root/tests/bench/run.sh" --smoke && code=0 || code=$? ;;
    tidy) await_made tidy && code=0 || code=$? ;;
    *)
        await_made "$1" && run_tests "$1" && return
        code=1 why="it does not build"
        ;;
    esac
    note_whole "$1" "$code" "$why"
}

# Debian 12 has Valkey only in its backports. If these cannot be reached, its tests are skipped.
find_valkey() {
    here="$build/valkey/usr/bin"
    ! command -v valkey-server >/dev/null || return 0
    if [ ! -x "$here/valkey-server" ] && { [ "${KVSERVER_INSTALL:-}" = no ] ||
        ! timeout 60 "$root/tests/support/redis/get_valkey.sh" "$build/valkey" >"$build/valkey.log" 2>&1; }; then
        return 0
    fi
    PATH="$here:$PATH"
    export PATH
}

# The wanted ones of these passes, in this order.
of_wanted() { # passes …
    for pass; do
        ! wants "$pass" || printf '%s ' "$pass"
    done
}

# The first tests wait for the plain build, and tidy and bench use it. Later passes are built beside the
# tests.
make_all() {
    if [ -n "$(of_wanted plain bench tidy)" ]; then
        make_tests plain && code=0 || code=$?
        : >"$scratch/plain.log"
        echo "$code" >"$scratch/plain.code"
    fi
    # shellcheck disable=SC2046 # a list of passes
    timeout 3h "$root/scripts/dev/make-beside.sh" "$scratch" $(of_wanted thread address tidy) &
    beside=$!
    trap 'kill "$beside" 2>/dev/null || true' EXIT
    trap 'exit 130' INT TERM
}

run_all() {
    rm -rf "$scratch"
    mkdir "$scratch"
    : >"$results"
    [ -z "$is_full" ] || find_valkey
    make_all
    built=$(($(now) - began))
    for pass in $passes; do
        start="$(now)"
        run_pass "$pass"
        note "$pass" seconds "$(($(now) - start))"
    done
    tell_results
    [ "$(sum_of failed)" -eq 0 ] && [ "$(sum_of passed)" -ne 0 ]
}

"$root/scripts/dev/install-packages.sh"
choose_build_folder
export build
began="$(now)"
jobs="${KV_TEST_JOBS:-$((2 * $(nproc)))}"
scratch="$build/test-run"
results="$scratch/results"
exclusively "$build/.test-lock" "running tests in $build" run_all
