#!/bin/sh
# Fails if a folder includes a forbidden header, or if files have circular dependencies (check-files.sh).
# The layers, from the bottom up:
#   abi <- base <- wire, conf, loop, module; wire <- jwt <- access; access, loop <- keyspace; wire, loop <- net;
#   net, keyspace <- events, ws, admin; loop <- pages; events, admin, pages, web <- http;
#   keyspace, wire <- protocol <- events, http, ws, script; keyspace <- sink; all <- daemon; access <- kvctl
set -eu
cd "$(dirname "$0")/../.."
failed=0

complain() {
    echo "layers: $1" >&2
    failed=1
}

# may <folder> <folders that it may include>
may() {
    folder="$1"
    allowed=" $2 $folder "
    for file in core/"$folder"/*.[ch]; do
        [ -e "$file" ] || continue
        for used in $(sed -n 's/^#include "\([a-z_]*\)\/.*/\1/p' "$file" | sort -u); do
            case "$allowed" in
            *" $used "*) ;;
            *) complain "$file includes $used/, and core/$folder may include only: $2" ;;
            esac
        done
    done
}

# only <header> <folders>: no other folder may include it
only() {
    for file in $(grep -rlE "^#include <$1>" core modules --include='*.[ch]' || true); do
        case " $2 " in
        *" $(dirname "$file") "*) ;;
        *) complain "$file includes <$1>, which only these may: $2" ;;
        esac
    done
}

may base ""
may web ""
may wire "base"
may jwt "base wire"
may conf "base"
may loop "base"
may module "base"
may pages "base loop"
may access "base wire jwt"
may keyspace "base wire access loop"
may protocol "base wire access loop keyspace"
may net "base wire loop"
may events "base wire access loop keyspace protocol net"
may admin "base wire access loop keyspace net"
may http "base web pages wire access loop keyspace protocol net events admin"
may ws "base wire access loop keyspace protocol net"
may sink "base wire access loop keyspace"
may script "base wire access loop keyspace protocol"
may daemon "base wire access jwt conf module loop pages net keyspace protocol events admin http ws sink script"
may kvctl "base wire access"

only 'yaml.h' "core/conf"
only 'dlfcn.h' "core/module"
only 'lua.*' "core/script"
only 'lauxlib.h' "core/script"
only 'h2o.*' "core/loop core/net core/http"
only 'openssl/ssl.h' "core/net modules/redis_client"
only 'zlib.h' "core/wire"
only 'xxhash.h' "core/base modules/store/durable modules/store/lmdb"
only 'lmdb.h' "modules/store/lmdb"
only 'rocksdb/.*' "modules/store/rocksdb"
only 'nats/.*' "modules/sink/nats"
only 'librdkafka/.*' "modules/sink/kafka"
only 'mosquitto.h' "modules/sink/mqtt"
only 'curl/.*' "core/jwt core/kvctl modules/sink/webhook"
only 'jansson.h' "core/jwt core/kvctl"

# Code above core/net uses no descriptors: bytes go through channels, which may be encrypted.
if grep -nE '^#include <(sys/(socket|uio|ioctl)\.h|netinet/.*|netdb\.h|unistd\.h)>' core/http/*.[ch] core/ws/*.[ch] ||
    grep -nE '\b(send|sendmsg|recv|recvmsg|read|write|writev|readv|close|shutdown|dup|h2o_socket_(get_fd|write|close))\(' \
        core/http/*.[ch] core/ws/*.[ch]; then
    complain "only core/net may touch a descriptor (above)"
fi

# The ABI includes nothing else, and modules include no other part of the server.
for file in core/abi/kvserver/*.h $(find modules -name '*.[ch]'); do
    for used in $(sed -n 's/^#include "\(.*\)"/\1/p' "$file"); do
        [ -e "$(dirname "$file")/$used" ] || complain "$file includes \"$used\""
    done
done

# The core names no module, except in the daemon's defaults ("memory" is also a controller of cgroups).
names="$(find modules -mindepth 2 -maxdepth 2 -type d -printf '%f|' | sed 's/|$//')"
if grep -rnE "\"($names)\"" core --include='*.[ch]' | grep -vE '^core/daemon/(schema\.[ch]|machine_memory\.c)'; then
    complain "the core names a module (above)"
fi

scripts/dev/check-files.sh || failed=1

[ "$failed" -eq 0 ] && echo "layers: as they should be"
exit "$failed"
