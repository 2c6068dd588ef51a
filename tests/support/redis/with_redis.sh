#!/bin/sh
# with_redis.sh COMMAND [ARGUMENT]...: runs the command beside a new redis-server (or the program
# KV_TEST_REDIS_PROGRAM), which listens only on a socket. The socket's path replaces each `@redis` in the
# arguments and in KV_TEST_STORE_OPTIONS, and is in KV_TEST_REDIS. Exits like the command; with 77 if there is
# no redis-server of version 7 or later.
set -u

program=${KV_TEST_REDIS_PROGRAM:-redis-server} # or a valkey-server
version=$("$program" --version 2>/dev/null | sed -n 's/.* v=\([0-9]*\)\..*/\1/p')
if [ "${version:-0}" -lt 7 ]; then
    echo "skipped: there is no $program of version 7 or later"
    exit 77
fi

folder=$(mktemp -d /tmp/kv-redis-XXXXXX)
KV_TEST_REDIS=$folder/redis.sock
export KV_TEST_REDIS
# Neither the server nor the command outlives this script, even if it is killed.
setpriv --pdeathsig KILL "$program" --port 0 --unixsocket "$KV_TEST_REDIS" --dir "$folder" --save '' --appendonly no \
    --logfile "$folder/log" &
server=$!
# A Redis that cannot save refuses to end by itself.
trap 'kill -KILL "$server" 2>/dev/null; wait "$server" 2>/dev/null; rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM

until [ -S "$KV_TEST_REDIS" ]; do
    if ! kill -0 "$server" 2>/dev/null; then
        cat "$folder/log"
        exit 1
    fi
    sleep 0.05
done

with_socket() {
    printf '%s' "$1" | sed "s|@redis|$KV_TEST_REDIS|g"
}

for argument; do
    shift
    set -- "$@" "$(with_socket "$argument")"
done
KV_TEST_STORE_OPTIONS=$(with_socket "${KV_TEST_STORE_OPTIONS:-}")
export KV_TEST_STORE_OPTIONS
# In the background, as traps have to wait for a command in the foreground. A shell gives such a command /dev/null as
# its standard input, so it gets this script's by another descriptor. The command and the processes that it starts
# ignore SIGINT; if that ends this script, the command is killed.
exec 9<&0
setpriv --pdeathsig KILL "$@" <&9 9<&- &
wait "$!"
