#!/bin/sh
# Installs missing packages, builds, and runs a Redis Cluster (three masters with a replica each), two
# KvServers on it, and HAProxy in front of them, until it is interrupted. Everything listens on loopback only.
# `run.sh kvserver-1` (or -2; or redis-1 to -6), with the same variables, brings back that one alone.
#   KVSERVER_PORT=3000     the port of HAProxy; the KvServers have the next two
#   REDIS_PORT=7001        the first of the six ports of Redis; each node has the port 10000 above its own, too
#   KVSERVER_DATA=FOLDER   another place for the data than `data` in this folder
#   KVSERVER_PROGRAM=FILE  the server, already built
# shellcheck disable=SC2317 # functions are called by their names
set -eu
example="$(dirname "$(readlink -f "$0")")"
root="$(dirname "$(dirname "$(dirname "$example")")")"
. "$root/scripts/dev/build.sh"

port="${KVSERVER_PORT:-3000}"
redis_port="${REDIS_PORT:-7001}"
nodes="1 2 3 4 5 6"
data="$(absolute "${KVSERVER_DATA:-$example/data}")"
started=""

redis_port_of() { # node
    echo $((redis_port + $1 - 1))
}

# ---- starting and ending ----

# Locks the name for the next process that is started: it inherits the descriptor, and so holds the lock as long
# as it lives. Only its own number is written to the file of the name.
claim() { # name
    exec 9>>"$data/$1.lock"
    flock -w 1 9 || {
        say "$1 is running already, with its data in $data"
        exit 1
    }
}

# Each has a session of its own, so that Ctrl-C reaches this script only, which ends them in order.
start() { # name, command …
    name="$1"
    shift
    claim "$name"
    setsid "$@" </dev/null >"$data/$name.log" 2>&1 &
    echo "$!" >"$data/$name.pid"
    exec 9>&-
    started="$name $started"
}

is_running() { # name
    ! flock -n "$data/$1.lock" true
}

# Waits for the end of a process that may have been brought back, and so is no child of this script.
end() { # name
    n_left=600
    ! is_running "$1" || kill "$(cat "$data/$1.pid")" || :
    while is_running "$1"; do
        n_left=$((n_left - 1))
        if [ "$n_left" -eq 0 ]; then
            say "$1 does not end, and is killed"
            kill -9 "$(cat "$data/$1.pid")" || :
            break
        fi
        sleep 0.1
    done
    rm -f "$data/$1.pid"
}

# The process started last ends first: the KvServers need Redis until their end.
end_all() {
    trap '' INT TERM
    for name in $started; do
        end "$name"
    done
}

await() { # name, command …
    name="$1"
    shift
    n_left=300
    until "$@" >/dev/null 2>&1; do
        n_left=$((n_left - 1))
        if [ "$n_left" -eq 0 ] || ! is_running "$name"; then
            say "$name does not start; its log:"
            tail -5 "$data/$name.log" >&2
            exit 1
        fi
        sleep 0.1
    done
}

# ---- Redis ----

write_redis_conf() { # node
    folder="$data/redis-$1"
    mkdir -p "$folder"
    cat >"$folder/redis.conf" <<END
bind 127.0.0.1
port $(redis_port_of "$1")
dir "$folder"
appendonly yes
save ""
maxmemory-policy noeviction
cluster-enabled yes
cluster-node-timeout 2000
cluster-require-full-coverage no
repl-diskless-sync-delay 0
END
}

ask_node() { # node, word …
    node="$1"
    shift
    redis-cli -h 127.0.0.1 -p "$(redis_port_of "$node")" "$@"
}

is_whole() { # node
    ask_node "$1" CLUSTER INFO | grep -q 'cluster_state:ok'
}

# Whether the node is a master, or a replica that is in sync with its master.
is_in_step() { # node
    ask_node "$1" INFO replication | grep -Eq 'role:master|master_link_status:up'
}

is_answering() { # node
    ask_node "$1" PING | grep -q PONG
}

start_redis() {
    addresses=""
    for node in $nodes; do
        write_redis_conf "$node"
        start "redis-$node" redis-server "$data/redis-$node/redis.conf"
        addresses="$addresses 127.0.0.1:$(redis_port_of "$node")"
    done
    for node in $nodes; do
        await "redis-$node" is_answering "$node"
    done
    if [ ! -e "$data/cluster-is-made" ]; then
        # shellcheck disable=SC2086 # the list is meant to be split
        redis-cli --cluster create $addresses --cluster-replicas 1 --cluster-yes >"$data/cluster.log" 2>&1 || {
            tail -5 "$data/cluster.log" >&2
            say "the cluster cannot be made; remove $data and try again"
            exit 1
        }
        : >"$data/cluster-is-made"
    fi
    for node in $nodes; do
        await "redis-$node" is_whole "$node"
        await "redis-$node" is_in_step "$node"
    done
}

# ---- KvServer and HAProxy ----

is_ready() { # number of the KvServer
    grep -q ' ready after' "$data/kvserver-$1.log"
}

start_kvserver() { # number
    KVSERVER_PORT="$((port + $1))" start "kvserver-$1" "$program" -c "$example/kvserver.yaml"
    await "kvserver-$1" is_ready "$1"
}

start_haproxy() {
    KVSERVER_PORT="$port" KVSERVER_1="$((port + 1))" KVSERVER_2="$((port + 2))" \
        start haproxy haproxy -db -f "$example/haproxy.cfg"
    sleep 0.3 # it says nothing when it listens, and ends at once where it cannot
    await haproxy is_running haproxy
}

find_program() {
    program="${KVSERVER_PROGRAM:-}"
    [ -z "$program" ] || return 0
    "$root/scripts/dev/install-packages.sh" cluster
    choose_build_folder
    exclusively "$build/.build-lock" "building in $build" build_server
    program="$build/kvserver"
}

# In place of this script, so that its number is that of the process.
bring_back() { # name
    [ -e "$data/haproxy.pid" ] || {
        say "nothing is running with its data in $data"
        exit 1
    }
    claim "$1"
    echo "$$" >"$data/$1.pid"
    case "$1" in
    redis-*) exec redis-server "$data/$1/redis.conf" ;;
    kvserver-*) KVSERVER_PORT="$((port + ${1#kvserver-}))" exec "$program" -c "$example/kvserver.yaml" ;;
    esac
}

# ---- startup ----

# The nodes know each other by their ports.
data="$data/at-$redis_port"
mkdir -p "$data"
find_program
for name in redis-server redis-cli haproxy; do
    [ -n "$(PATH="$PATH:/usr/sbin" command -v "$name")" ] || {
        say "$name is missing; on Debian: apt-get install redis-server haproxy"
        exit 1
    }
done
PATH="$PATH:/usr/sbin"
REDIS_1="$(redis_port_of 1)"
REDIS_2="$(redis_port_of 2)"
REDIS_3="$(redis_port_of 3)"
export REDIS_1 REDIS_2 REDIS_3
case "${1:-}" in
'') ;;
kvserver-[12] | redis-[1-6]) bring_back "$1" ;;
*)
    say "usage: $0 [kvserver-1 | kvserver-2 | redis-1 … redis-6]"
    exit 2
    ;;
esac
exec 8>"$data/lock"
flock -n 8 || {
    say "it is running already, with its data in $data"
    exit 1
}
trap end_all EXIT
trap 'exit 0' INT TERM

start_redis
start_kvserver 1
start_kvserver 2
start_haproxy
cat <<END
ready: http://localhost:$port (HAProxy), http://localhost:$((port + 1)) and http://localhost:$((port + 2)) (KvServers)
The logs and the numbers of the processes are in $data. Ctrl-C ends all of them.
END
while is_running haproxy; do
    wait "$(cat "$data/haproxy.pid")" || :
done
say "HAProxy has ended; its log:"
tail -5 "$data/haproxy.log" >&2
exit 1
