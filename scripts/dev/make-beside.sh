#!/bin/sh
# Builds the targets of later passes of scripts/test.sh, one pass after the other, in the processor time that
# the running tests leave (they mostly wait). For each pass, FOLDER/<pass>.log has the output, and
# FOLDER/<pass>.code the exit code, written last. Expects $root and $build in the environment.
#   make-beside.sh FOLDER PASS …
set -eu
. "$root/scripts/dev/build.sh"
renice -n 19 $$ >/dev/null
scratch="$1"
shift
for pass; do
    case "$pass" in
    tidy) "$root/scripts/dev/check.sh" tidy ;;
    *) make_tests "$pass" ;;
    esac >"$scratch/$pass.log" 2>&1 && code=0 || code=$?
    echo "$code" >"$scratch/$pass.code"
done
