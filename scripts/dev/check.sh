#!/bin/sh
# Static checks of the sources. `quick`: layers, layout, cppcheck; `tidy`: clang-tidy, which takes minutes;
# without an argument: both.
set -eu
root="$(dirname "$(dirname "$(dirname "$(readlink -f "$0")")")")"
. "$root/scripts/dev/build.sh"
cd "$root"
what="${1:-all}"
failed=""

check() { # command …
    basename "$1" .sh
    "$@" || failed=yes
}

if [ "$what" != tidy ]; then
    check scripts/dev/check-layers.sh
    # shellcheck disable=SC2046 # a list of files
    check clang-format --dry-run --Werror $(find core modules tests -name '*.[ch]')
    check cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
        --error-exitcode=1 --suppressions-list=.cppcheck -D__linux__ -I core -I core/abi core modules
fi
if [ "$what" != quick ]; then
    [ -n "${build:-}" ] || choose_build_folder
    [ -f "$build/compile_commands.json" ] || configure "$build" -DKV_TESTS=ON -DKV_WERROR=ON
    echo clang-tidy
    find core modules -name '*.c' -print0 |
        xargs -0 -P "$(nproc)" -n 6 clang-tidy --quiet -p "$build" 2>/dev/null || failed=yes
fi
[ -z "$failed" ]
