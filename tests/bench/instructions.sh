#!/bin/sh
# Instructions that a request costs, by where they are executed (callgrind counts them, so the figure
# does not depend on the machine's mood): tests/bench/instructions.sh [KIND[:IN_FLIGHT] …], where KIND is
# http-get, http-post, ws-get or ws-set, and each of 16 connections has so many requests in flight (1).
# Two runs of different length are compared, so that starting and stopping do not count.
set -eu
cd "$(dirname "$0")/../.."
scripts/dev/install-packages.sh bench
build=build/bench-build
cmake -S . -B "$build" -G Ninja -DKV_TESTS=ON >/dev/null
cmake --build "$build" -- --quiet
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
port=3791
printf 'listen: [{port: %s}]\nthreads: 1\nmodules: %s\nlog: {level: error}\n' \
    "$port" "$PWD/$build/modules" >"$folder/kvserver.yaml"

count() { # kind, seconds, requests in flight: leaves the totals of each object in $folder/totals, prints the requests
    valgrind --tool=callgrind --callgrind-out-file="$folder/out" --log-file="$folder/log" \
        "$build/kvserver" -c "$folder/kvserver.yaml" &
    server=$!
    until curl -sf "http://127.0.0.1:$port/readyz" >"$folder/ready"; do sleep 0.1; done
    "$build/bench/kv_load" fill "$port" keys=10000 depth=16 >"$folder/fill"
    "$build/bench/kv_load" "$1" "$port" keys=10000 connections=16 depth="$3" seconds="$2" >"$folder/load"
    kill "$server"
    wait "$server" || true
    python3 - "$folder/out" "$folder/load" <<'EOF'
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
EOF
}

[ $# -gt 0 ] || set -- http-get http-get:16 http-post http-post:16 ws-get:16 ws-set:16
for load; do
    kind="${load%:*}"
    case "$load" in *:*) depth="${load#*:}" ;; *) depth=1 ;; esac
    count "$kind" 2 "$depth" >"$folder/short"
    count "$kind" 8 "$depth" >"$folder/long"
    python3 - "$load" "$folder/short" "$folder/long" <<'EOF'
import json, sys
short, long = (json.load(open(path)) for path in sys.argv[2:])
n = long["answers"] - short["answers"]
each = {name: (total - short["totals"].get(name, 0)) / n for name, total in long["totals"].items()}
own = sum(value for name, value in each.items() if name in ("kvserver", "memory.so", "fixed.so"))
print(f"{sys.argv[1]}: {own:.0f} instructions of our own, {sum(each.values()):.0f} with the libraries")
for name, value in sorted(each.items(), key=lambda item: -item[1])[:6]:
    print(f"    {value:8.0f}  {name}")
EOF
done
