#!/bin/sh
# scripts/run.sh on a fresh checkout: two at once, from another folder, and as another user without write
# permission. Arguments: the build folder, which is not used.
set -eu
root="$(cd "$(dirname "$0")/../.." && pwd)"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
checkout="$folder/checkout"
export KVSERVER_INSTALL=no
unset KVSERVER_BUILD KVSERVER_DATA KVSERVER_PAGES # of whoever runs the tests

fail() {
    echo "$1" >&2
    cat "$folder"/*.out "$folder"/*.err >&2
    exit 1
}

expect() { # file of the folder, the text that is in it
    grep -qF "$2" "$folder/$1" || fail "$1 does not have: $2"
}

mkdir "$checkout"
(cd "$root" && tar cf - --exclude ./build --exclude ./.git --exclude ./data .) | tar xf - -C "$checkout"
chmod -R go+rX "$folder"

# A port that is none is refused before anything is built.
for port in abc 70000 123456 08 -1; do
    ! KVSERVER_PORT="$port" "$checkout/scripts/run.sh" >"$folder/port.out" 2>"$folder/port.err" || fail "the port $port is taken for one"
    [ "$(cat "$folder/port.err")" = "run.sh: KVSERVER_PORT is not a port (0 to 65535): $port" ] || fail "another message for the port $port"
done
[ ! -e "$checkout/build" ] || fail "something was built for a port that is none"

# Two at once: the second one waits for the build, and the output is only the program's.
setpriv --pdeathsig KILL "$checkout/scripts/run.sh" --version >"$folder/first.out" 2>"$folder/first.err" &
first=$!
until [ -e "$checkout/build/.build-lock" ]; do
    kill -0 "$first" 2>/dev/null || fail "the first run ended early"
    sleep 0.1
done
"$checkout/scripts/run.sh" --version >"$folder/second.out" 2>"$folder/second.err" ||
    fail "the second run failed"
wait "$first" || fail "the first run failed"
for run in first second; do
    [ "$(wc -l <"$folder/$run.out")" -eq 1 ] || fail "more than the program's line in $run.out"
    expect "$run.out" "kvserver "
done
cat "$folder/first.err" "$folder/second.err" >"$folder/both.err"
expect both.err "Building in $checkout/build"
expect both.err "waiting for it to finish"

# A relative path starts at the working directory, and an existing build is reused.
printf 'storage: {module: memory}\n' >"$folder/mine.yaml"
(cd "$folder" && "$checkout/scripts/run.sh" -c mine.yaml --check-config >third.out 2>third.err) ||
    fail "a relative -c failed"
expect third.out "mine.yaml: the configuration is valid"
[ ! -s "$folder/third.err" ] || fail "something was said although nothing was to be done"

# Another user, without write permission for the checkout, builds in a folder of their own.
[ "$(id -u)" -eq 0 ] || exit 0
mkdir "$folder/home"
chown 65534:65534 "$folder/home"
chmod 755 "$folder"
setpriv --reuid=65534 --regid=65534 --clear-groups env HOME="$folder/home" XDG_CACHE_HOME= \
    "$checkout/scripts/run.sh" --version >"$folder/other.out" 2>"$folder/other.err" ||
    fail "another user's run failed"
expect other.out "kvserver "
expect other.err "building in $folder/home/.cache/kvserver/"
expect other.err "the data is in $folder/home/.local/share/kvserver/"
