#!/bin/sh
# Instructions per request, by the place of execution. callgrind counts them, so the figure does not depend on
# the load of the machine:
#   tests/bench/instructions.sh [--store STORE] [--against BUILD] [--access TOKEN]
#       [--more YAML] [--tls on] [KIND[:IN_FLIGHT] …]
# KIND is http-get, http-post, ws-get or ws-set; each of 16 connections has IN_FLIGHT requests in flight (default:
# 1). Two runs of different length are compared, so that starting and stopping do not count. --against also
# measures the build in that folder, and prints the ratio. KV_BENCH_BUILD selects the build folder, whose programs
# are used as they are. With --access, the server of this build has access rules, and each HTTP request has the same
# token; the other build (by default, this one once more) has none. TOKEN is static, jwt (a JSON Web Token of 220 bytes),
# or long-jwt (one of 870 bytes, as identity providers issue them). --more adds lines to the configuration. With
# --tls, both builds are measured over TLS 1.3; instructions of encryption are the libraries'.
set -eu
[ -n "${KV_TEST_PORT:-}" ] || exec "$(dirname "$0")/../support/python/ports.py" "$0" "$@"
store=memory
against=
access=
more=
tls=
while [ $# -gt 0 ]; do
    case "$1" in
    --store) store="$2" ;;
    --against) against="$(cd "$2" && pwd)" ;;
    --access) access="$2" ;;
    --more) more="$2" ;;
    --tls) tls="$2" ;;
    *) break ;;
    esac
    shift 2
done

cd "$(dirname "$0")/../.."
scripts/dev/install-packages.sh bench
build="${KV_BENCH_BUILD:-}"
if [ -z "$build" ]; then
    build="$PWD/build/bench-build"
    cmake -S . -B "$build" -G Ninja -DKV_TESTS=ON >/dev/null
    cmake --build "$build" -- --quiet
fi
mkdir -p build
folder="$(mktemp -d "$PWD/build/instructions-XXXXXX")" # on a disk, which durable stores need
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$folder"' EXIT
port="$KV_TEST_PORT"

scheme=http
at_port=
if [ -n "$tls" ]; then
    scheme=https
    at_port=", tls: {cert: $folder/tls.pem, key: $folder/tls.pem}"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
        -keyout "$folder/tls.key" -out "$folder/tls.pem" 2>"$folder/log"
    cat "$folder/tls.key" >>"$folder/tls.pem"
fi

secret=a-secret-of-this-benchmark-which-is-long-enough
claims='"sub": "ann", "jti": "3f2a8c0e-5b7d-4c1e-9a46-0d2f8b1c7e55", "name": "Ann"'
case "$access" in
"" | static | jwt) ;;
long-jwt) claims="$claims, \"scope\": \"$(printf 'scope-%.0s' $(seq 80))\"" ;;
*) echo "instructions.sh: --access takes static, jwt or long-jwt" >&2 && exit 2 ;;
esac
[ -n "$against" ] || [ -z "$access" ] || against="$build"

print_rules() { # the rules; keys begin with `key:`
    case "$access" in
    static) printf '{name: bench, read: [""], write: [""], sha256: %s}' \
        "$(printf %s "$token" | sha256sum | cut -d' ' -f1)" ;;
    *) printf '{issuer: bench, secret: %s, grants: {read: ["key:"], write: ["key:"]}}' "$secret" ;;
    esac
}

configure() { # build
    printf 'listen: [{port: %s%s}]\nthreads: 1\nmodules: %s\nlog: {level: error}\n%s\n' \
        "$port" "$at_port" "$1/modules" "$more"
    case "$store" in
    memory | simple) printf 'storage: {module: %s}\n' "$store" ;;
    *) printf 'storage: {module: %s, %s: {path: %s}}\n' "$store" "$store" "$folder/data" ;;
    esac
    [ -z "$KV_BENCH_TOKEN" ] ||
        printf 'access: {anonymous: {write: [""]}, %s: [%s]}\n' "$([ "$access" = static ] && echo tokens || echo jwt)" \
            "$(print_rules)"
}

await_server() {
    until curl -skf "$scheme://127.0.0.1:$port/readyz" >"$folder/ready"; do
        kill -0 "$server" || { server=; cat "$folder/log"; exit 1; }
        sleep 0.1
    done
}

count() { # build, kind, seconds, requests in flight: prints the answers, and the totals of each object
    rm -rf "$folder/data"
    configure "$1" >"$folder/kvserver.yaml"
    setpriv --pdeathsig KILL valgrind --tool=callgrind --callgrind-out-file="$folder/out" --log-file="$folder/log" \
        "$1/kvserver" -c "$folder/kvserver.yaml" &
    server=$!
    await_server
    "$build/bench/kv_load" fill "$port" keys=10000 depth=16 ${tls:+tls=1} >"$folder/fill"
    "$build/bench/kv_load" "$2" "$port" keys=10000 connections=16 depth="$4" seconds="$3" \
        ${tls:+tls=1} >"$folder/load"
    kill "$server"
    wait "$server" || true
    server=
    python3 - "$folder/out" "$folder/load" <<'END'
import json, re, subprocess, sys
out = subprocess.run(["callgrind_annotate", "--threshold=100", "--show=Ir", sys.argv[1]],
                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                     check=True).stdout
totals = {}
for line in out.splitlines():
    found = re.match(r"\s*([\d,]+)\s.*\[([^\]]*)\]$", line)
    if found:
        name = found.group(2).rsplit("/", 1)[-1]
        totals[name] = totals.get(name, 0) + int(found.group(1).replace(",", ""))
load = json.load(open(sys.argv[2]))
print(json.dumps({"answers": load["answers"], "totals": totals}))
END
}

count_twice() { # build, kind, requests in flight, name: leaves $folder/NAME-short and $folder/NAME-long
    count "$1" "$2" 2 "$3" >"$folder/$4-short"
    count "$1" "$2" 8 "$3" >"$folder/$4-long"
}

mint() { # prints the token
    export KV_BENCH_TOKEN=mint
    configure "$build" >"$folder/kvserver.yaml"
    "$build/kvserver" -c "$folder/kvserver.yaml" --mint-token "{$claims}"
}

token=
case "$access" in
static) token=a-static-token-of-this-benchmark ;;
*jwt) token="$(mint)" ;;
esac

[ $# -gt 0 ] || set -- http-get http-get:16 http-post http-post:16 ws-get:16 ws-set:16
for load; do
    kind="${load%:*}"
    case "$load" in *:*) depth="${load#*:}" ;; *) depth=1 ;; esac
    export KV_BENCH_TOKEN="$token"
    count_twice "$build" "$kind" "$depth" this
    export KV_BENCH_TOKEN=
    [ -z "$against" ] || count_twice "$against" "$kind" "$depth" other
    python3 - "$load" "$folder" "${against:+other}" <<'END'
import json, sys
load, folder, other = sys.argv[1:]

def costs(build):
    short, long = (json.load(open(f"{folder}/{build}-{length}")) for length in ("short", "long"))
    n = long["answers"] - short["answers"]
    return {name: (total - short["totals"].get(name, 0)) / n for name, total in long["totals"].items()}

def own(each):
    programs = ("kvserver", "memory.so", "simple.so", "rocksdb.so", "lmdb.so", "fixed.so")
    return sum(value for name, value in each.items() if name in programs)

each = costs("this")
total = sum(each.values())
print(f"{load}: {own(each):.0f} instructions of our own, {total:.0f} with the libraries")
if other:
    before = costs(other)
    print(f"    the other build: {own(before):.0f} and {sum(before.values()):.0f}; "
          f"ratio {own(each) / own(before):.3f} and {total / sum(before.values()):.3f}")
for name, value in sorted(each.items(), key=lambda item: -item[1])[:6]:
    print(f"    {value:8.0f}  {name}")
END
done
