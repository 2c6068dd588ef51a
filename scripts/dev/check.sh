#!/bin/sh
# What can be said of the sources without running them: layers, layout, and two linters.
set -eu
cd "$(dirname "$0")/../.."

scripts/dev/check-layers.sh
sources="$(git ls-files 'core/*.[ch]' 'modules/*.[ch]' 'tests/*.[ch]')"

echo "clang-format"
# shellcheck disable=SC2086 # a list of files
clang-format --dry-run --Werror $sources

echo "cppcheck"
cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
    --error-exitcode=1 --suppressions-list=.cppcheck -D__linux__ -I core -I core/abi core modules

echo "clang-tidy"
[ -f build/compile_commands.json ] ||
    cmake -S . -B build -G Ninja -DKV_TESTS=ON -DKV_WERROR=ON >/dev/null
git ls-files 'core/*.c' 'modules/*.c' |
    xargs -P "$(nproc)" -n 6 clang-tidy --quiet -p build 2>/dev/null
