#!/bin/sh
# A module that is built outside of the tree, with only the installed files, passes its contract suite and
# works in a server: tests/install/out_of_tree.sh <build folder>.
set -eu
[ -n "${KV_TEST_PORT:-}" ] || exec "$(dirname "$0")/../support/python/ports.py" "$0" "$@"
build="$1"
here="$(cd "$(dirname "$0")" && pwd)"
folder="$(mktemp -d)"
server=""
trap '[ -z "$server" ] || kill "$server"; rm -rf "$folder"' EXIT
cmake --install "$build" --prefix "$folder/usr" >"$folder/log"
export PKG_CONFIG_PATH="$(dirname "$(find "$folder/usr" -name kvserver.pc)")"

compile() { # name, source
    # shellcheck disable=SC2046
    cc -std=gnu11 -D_GNU_SOURCE -Wall -Werror -O2 -fPIC -shared -fvisibility=hidden -Wl,-z,defs \
        $(pkg-config --cflags kvserver) -o "$folder/$1.so" "$2"
}

cd "$folder"
cp "$here/mine.c" mine.c
cp "$here/../../modules/store/simple/simple.c" simple.c
compile mine mine.c
compile simple simple.c
contracts="$(pkg-config --variable=contractdir kvserver)"
"$contracts/ttl_contract" "$folder/mine.so" "factor: 2"
"$contracts/store_contract" "$folder/simple.so"
cp mine.so "$(pkg-config --variable=moduledir kvserver)/ttl/"

# The installed server finds its modules, and the one beside them.
port="$KV_TEST_PORT"
printf 'listen: [{port: %s}]\nttl: [{module: mine, options: {factor: 3}}]\n' "$port" >conf.yaml
setpriv --pdeathsig KILL usr/bin/kvserver -c conf.yaml 2>server.log &
server=$!
i=0
until curl -sf "http://127.0.0.1:$port/readyz" >ready; do
    i=$((i + 1))
    if [ "$i" -gt 300 ]; then
        cat server.log
        exit 1
    fi
    sleep 0.1
done
curl -sSf -X POST "http://127.0.0.1:$port/storage/k" -d '{"value": 1, "ttl": "100s"}'
left="$(curl -sSf -D - -o value "http://127.0.0.1:$port/storage/k" |
    sed -n 's/^[Kk][Vv]-[Tt][Tt][Ll]: \([0-9]*\).*/\1/p')"
[ "$left" -gt 200000 ] && [ "$left" -le 300000 ]
kill "$server"
wait "$server"
server=""
echo "a module from outside of the tree works"
