#!/bin/sh
# The installed configurations are valid in place, and the one with all features starts from any working
# directory: tests/install/everything.sh <build folder>.
set -eu
[ -n "${KV_TEST_PORT:-}" ] || exec "$(dirname "$0")/../support/python/ports.py" "$0" "$@"
build="$1"
folder="$(mktemp -d)"
server=""
trap '[ -z "$server" ] || kill "$server"; rm -rf "$folder"' EXIT
DESTDIR="$folder" cmake --install "$build" --prefix /usr >"$folder/log"
export TMPDIR="$folder" KVSERVER_DATA="$folder/data"
program="$folder/usr/bin/kvserver"
conf="$folder/usr/share/kvserver/conf"
cd /

if ! "$program" -c "$conf/everything.yaml" --check-config 2>"$folder/faults"; then
    cat "$folder/faults"
    if grep -q "left out of the build" "$folder/faults"; then
        echo "skipped: not everything is built here"
        exit 77
    fi
    exit 1
fi
"$program" -c "$conf/kvserver.yaml" --check-config

KVSERVER_PORT="$KV_TEST_PORT"
export KVSERVER_PORT
setpriv --pdeathsig KILL "$program" -c "$conf/everything.yaml" 2>"$folder/server.log" &
server=$!
i=0
until curl -sf "http://127.0.0.1:$KVSERVER_PORT/readyz" >"$folder/ready"; do
    i=$((i + 1))
    if [ "$i" -gt 300 ] || ! kill -0 "$server"; then
        cat "$folder/server.log"
        exit 1
    fi
    sleep 0.1
done
# An installed hook works.
curl -sSf -X POST "http://127.0.0.1:$KVSERVER_PORT/storage/user/1" -d '{"value": {"email": " Ann@EXAMPLE.org"}}'
curl -sSf "http://127.0.0.1:$KVSERVER_PORT/storage/user/1" | grep -q '"ann@example.org"'
kill "$server"
until grep -q "waiting up to" "$folder/server.log"; do
    kill -0 "$server" || break
    sleep 0.1
done
kill "$server" || true # its peers are not there: nothing is to be waited for
wait "$server"
server=""
echo "what is installed starts"
