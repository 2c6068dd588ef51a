#!/bin/sh
# Makes what passes of scripts/test.sh need, one after the other, with what the tests that run meanwhile
# leave of the processors (they mostly wait). Of each pass, FOLDER/<pass>.log has what was said, and
# then FOLDER/<pass>.code how it ended. Expects $root and $build in the environment.
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
