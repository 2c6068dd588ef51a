#!/bin/sh
# The README's first screen, word for word, on a bare Debian 12: a user with sudo copies a checkout there, starts
# scripts/run.sh, sends the requests, and serves the page to two clients. Takes minutes, and needs root; only with
# KV_TEST_DEBIAN=yes. Arguments: the build folder, which keeps the files fetched by debootstrap.
set -eu
build="$1"
here="$(cd "$(dirname "$0")" && pwd)"
checkout="$(dirname "$(dirname "$here")")"
PATH="$PATH:/usr/sbin:/sbin"

skip() {
    echo "skipped: $1"
    exit 77
}

[ "${KV_TEST_DEBIAN:-no}" = yes ] || skip "it takes minutes (KV_TEST_DEBIAN=yes)"
for tool in debootstrap node python3 unshare; do
    command -v "$tool" >/dev/null || skip "there is no $tool"
done
[ "$(id -u)" -eq 0 ] || skip "only root can make a bare Debian"
# shellcheck disable=SC2016 # apt's own variable
mirror="$(apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' 'Component: main' \
    'Created-By: Packages' | head -1)"
[ -n "$mirror" ] || skip "this machine has no sources of Debian 12"

# File systems mounted in there are unmounted with this process, and its port is reserved as long.
if [ "${KV_OWN_MOUNTS:-}" != yes ]; then
    unshare -m true 2>/dev/null || skip "nothing may be mounted here"
    KV_OWN_MOUNTS=yes exec unshare -m "$(dirname "$0")/../support/python/ports.py" "$0" "$@"
fi
folder="$(mktemp -d)"
mount -t tmpfs kvserver "$folder" # packages are unpacked in seconds there
root="$folder/debian"
server=""
end() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    umount "$root/proc" "$folder" 2>/dev/null || true
    rm -rf "$folder" 2>/dev/null || true
}
trap end EXIT

fail() {
    echo "$1" >&2
    tail -n 20 "$folder"/*.log >&2 || true
    exit 1
}

inside() {
    chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive \
        LC_ALL=C.UTF-8 "$@"
}

# Runs a command of the README as a user in the checkout, at this test's own port.
become() { # command
    exec chroot "$root" /usr/bin/setpriv --reuid=ann --regid=ann --init-groups --pdeathsig KILL \
        /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/home/ann USER=ann LC_ALL=C.UTF-8 KVSERVER_PORT="$port" \
        /bin/sh -c "cd ~/kvserver && exec $(echo "$1" | sed "s/3000/$port/g")"
}

try() { # command
    (become "$1")
}

# The code of the README: its n-th block of a language.
block() { # language, n
    awk -v mark="\`\`\`$1" -v n="$2" '
        $0 == "```" { is_in = 0 }
        is_in { print }
        $0 == mark && ++seen == n { is_in = 1 }' "$checkout/README.md"
}

run_in_background() { # command, log
    become "$1" >"$2" 2>&1 &
    server=$!
    i=0
    until grep -q "listening on http://127.0.0.1:$port" "$2"; do
        i=$((i + 1))
        if [ "$i" -gt 6000 ] || ! kill -0 "$server" 2>/dev/null; then fail "the server does not start"; fi
        sleep 0.1
    done
}

# Like Ctrl+C.
interrupt() {
    kill -INT "$server"
    wait "$server" || fail "the server does not end well"
    server=""
}

# ---- a bare Debian, and a user ----
mkdir -p "$build/debootstrap"
debootstrap --variant=minbase --cache-dir="$(cd "$build" && pwd)/debootstrap" bookworm "$root" "$mirror" \
    >"$folder/debootstrap.log" 2>&1 || {
    cat "$folder/debootstrap.log"
    skip "debootstrap fails here (above)"
}
cp -a /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/"
cp /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
mount -t proc proc "$root/proc"
inside apt-get update -qq >"$folder/update.log" 2>&1 || skip "apt-get update fails in the bare Debian"
inside apt-get install -y -qq --no-install-recommends sudo >"$folder/sudo.log" 2>&1 || fail "there is no sudo"
inside useradd --create-home --shell /bin/bash ann
echo "ann ALL=(ALL) NOPASSWD: ALL" >"$root/etc/sudoers.d/ann"
mkdir "$root/home/ann/kvserver"
(cd "$checkout" && tar cf - --exclude './build*' --exclude ./.git --exclude ./data .) | tar xf - -C "$root/home/ann/kvserver"
inside chown -R ann: /home/ann/kvserver
port="$KV_TEST_PORT"

# ---- the first screen ----
[ "$(block sh 1 | wc -l)" -eq 1 ] || fail "the first block of the README is not one line"
began="$(date +%s)"
run_in_background "$(block sh 1)" "$folder/first.log"
echo "from a checkout to a server: $(($(date +%s) - began)) s"
block sh 2 >"$folder/requests"
while IFS= read -r line; do
    wanted="$(echo "$line" | sed -n 's/.*  # //p')"
    got="$(try "$line" 2>>"$folder/requests.log")" || fail "this fails: $line"
    case "$wanted" in
    "" | "$got") ;;
    *) fail "\"$line\" prints \"$got\"" ;;
    esac
done <"$folder/requests"
try "curl -sS -f http://localhost:3000/console/" >"$folder/console" || fail "there is no console"
grep -q "<title>KvServer" "$folder/console" || fail "the console is another page"

# ---- the application ----
interrupt
mkdir "$root/home/ann/kvserver/public"
block html 1 >"$root/home/ann/kvserver/public/index.html"
# shellcheck disable=SC2016 # the quotes are the README's
command="$(sed -n 's/.*`\(KVSERVER_PAGES=[^`]*\)`.*/\1/p' "$checkout/README.md" | head -1)"
run_in_background "env $command" "$folder/second.log"
try "curl -sS -f http://localhost:3000" >"$folder/page" || fail "the page is not served"
cmp "$folder/page" "$root/home/ann/kvserver/public/index.html" || fail "another page is served"
node "$here/newcomer.mjs" "http://localhost:$port" || fail "two clients are not in step"

# ---- a port in use ----
! try "scripts/run.sh" >"$folder/taken" 2>&1 || fail "two servers have one port"
grep -q "KVSERVER_PORT" "$folder/taken" || fail "nothing says how to choose another port: $(cat "$folder/taken")"
interrupt
echo "the first screen of the README does what it says"
