#!/bin/sh
# The Debian package. Arguments: the complete build folder, and one of these:
#   look     builds the package; lintian, mandoc and systemd-analyze check it, its man pages and its unit
#   install  installs it into a bare Debian (minutes), runs it as the unit would, uses it, installs it again over a
#            changed configuration, removes and purges it
set -eu
build="$1"
step="$2"
PATH="$PATH:/usr/sbin:/sbin"

skip() {
    echo "skipped: $1"
    exit 77
}

need() { # tools …
    for tool; do
        command -v "$tool" >/dev/null || skip "there is no $tool"
    done
}

need cpack dpkg-deb dpkg-shlibdeps
if [ "$step" = install ]; then
    need debootstrap python3 setpriv unshare curl
    [ "$(id -u)" -eq 0 ] || skip "only root can make a bare Debian"
    # shellcheck disable=SC2016 # apt's own variable
    mirror="$(apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' 'Component: main' \
        'Created-By: Packages' | head -1)"
    [ -n "$mirror" ] || skip "this machine has no sources of Debian 12"
    curl -sfI -m 20 "${mirror%/}/dists/bookworm/Release" >/dev/null || skip "the mirror $mirror cannot be reached"
fi

# File systems mounted in there are unmounted with this process, and its port is reserved as long.
if [ "$step" = install ] && [ "${KV_OWN_MOUNTS:-}" != yes ]; then
    unshare -m true 2>/dev/null || skip "nothing may be mounted here"
    KV_OWN_MOUNTS=yes exec unshare -m "$(dirname "$0")/../support/python/ports.py" "$0" "$@"
fi
folder="$(mktemp -d)"
[ "$step" = look ] || mount -t tmpfs kvserver "$folder" # packages are unpacked in seconds there
root="$folder/debian"
server=""
end() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    if [ "$step" = install ]; then umount "$root/proc" "$folder" 2>/dev/null || true; fi
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

expect() { # what it is, the text that it has to be, command …
    what="$1" wanted="$2"
    shift 2
    got="$(inside "$@" 2>&1)" || fail "$what: $got"
    [ "$got" = "$wanted" ] || fail "$what: \"$got\", not \"$wanted\""
}

# ---- the package ----
(cd "$build" && cpack -G DEB -B "$folder/deb") >"$folder/cpack.log" 2>&1 || fail "cpack fails"
package="$(ls "$folder"/deb/*.deb)"

look() {
    if command -v lintian >/dev/null; then
        lintian --allow-root --fail-on error,warning "$package" >"$folder/lintian.log" 2>&1 || fail "lintian complains"
    else
        echo "without lintian: the package was not looked at by it"
    fi
    for page in "$build"/man/*.gz; do
        ! command -v mandoc >/dev/null || gzip -dc "$page" | mandoc -Tlint -W warning || fail "$page has faults"
    done
    if command -v systemd-analyze >/dev/null; then
        systemd-analyze security --offline=true --threshold=20 "$(dirname "$0")/../../conf/systemd/kvserver.service" \
            >"$folder/unit.log" 2>&1 || fail "the unit is more exposed than it should be"
        sed -n 's/^.*Overall exposure/the unit: overall exposure/p' "$folder/unit.log"
    fi
    echo "the package is as it should be"
}

if [ "$step" = look ]; then
    look
    exit 0
fi

# ---- a bare Debian ----
mkdir -p "$build/debootstrap"
debootstrap --variant=minbase --cache-dir="$(cd "$build" && pwd)/debootstrap" bookworm "$root" "$mirror" \
    >"$folder/debootstrap.log" 2>&1 || {
    cat "$folder/debootstrap.log"
    skip "debootstrap fails here (above)"
}
cp -a /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/"
cp /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
mount -t proc proc "$root/proc"
cp "$package" "$root/kvserver.deb"
inside apt-get update -qq >"$folder/update.log" 2>&1 || skip "apt-get update fails in the bare Debian"
inside apt-get install -y --no-install-recommends /kvserver.deb >"$folder/install.log" 2>&1 || fail "it cannot be installed"

# ---- the installed files ----
# shellcheck disable=SC2016 # the shell in there is meant
expect "the user" "kvserver /usr/sbin/nologin" sh -c \
    'getent passwd kvserver | { IFS=: read -r name _ _ _ _ _ shell; echo "$name $shell"; }'
expect "the data folder" "kvserver 750" stat -c '%U %a' /var/lib/kvserver
expect "the configuration" "root kvserver 640" stat -c '%U %G %a' /etc/kvserver/kvserver.yaml
expect "the folder of the socket" "kvserver 755" stat -c '%U %a' /run/kvserver
expect "the configuration is checked" "/etc/kvserver/kvserver.yaml: the configuration is valid" \
    setpriv --reuid=kvserver --regid=kvserver --clear-groups \
    kvserver -c /etc/kvserver/kvserver.yaml --check-config
inside test -L /etc/systemd/system/multi-user.target.wants/kvserver.service || fail "the unit is not enabled"
inside test -s /usr/share/bash-completion/completions/kvctl || fail "there is no completion"

# ---- used, as the unit runs it ----
port="$KV_TEST_PORT"
sed -i "s/port: 3000/port: $port/" "$root/etc/kvserver/kvserver.yaml"
start_line="$(sed -n 's/^ExecStart=//p' "$root/lib/systemd/system/kvserver.service")"
# shellcheck disable=SC2086 # a command and its arguments
chroot "$root" setpriv --reuid=kvserver --regid=kvserver --clear-groups --no-new-privs --bounding-set=-all \
    --pdeathsig KILL $start_line 2>"$folder/server.log" &
server=$!
ctl() {
    inside env KVSERVER_URL=unix:/run/kvserver/kvserver.sock kvctl "$@"
}
i=0
until ctl ping >"$folder/ping.log" 2>&1; do
    i=$((i + 1))
    if [ "$i" -gt 300 ] || ! kill -0 "$server"; then fail "the server does not start"; fi
    sleep 0.1
done
ctl set greeting '{"text": "hello"}' --ttl 10m || fail "set fails"
[ "$(ctl get greeting)" = '{"text": "hello"}' ] || fail "get fails"
[ "$(ctl incr visits)" = 1 ] || fail "incr fails"
[ "$(inside env KVSERVER_URL="http://127.0.0.1:$port" kvctl ls)" = "greeting
visits" ] || fail "ls fails over TCP"
kill "$server"
wait "$server" || fail "the server does not end well"
server=""

# ---- upgraded, removed, purged ----
inside dpkg -i --force-confold /kvserver.deb >"$folder/again.log" 2>&1 || fail "it cannot be installed again"
grep -q "port: $port" "$root/etc/kvserver/kvserver.yaml" || fail "the changed configuration is lost"
expect "its data" "kvserver 750" stat -c '%U %a' /var/lib/kvserver
inside test -d /var/lib/kvserver/data || fail "the data is lost"
inside dpkg --remove kvserver >"$folder/remove.log" 2>&1 || fail "it cannot be removed"
inside test -d /var/lib/kvserver/data || fail "removing it has deleted the data"
inside test -e /etc/kvserver/kvserver.yaml || fail "removing it has deleted the configuration"
inside test ! -e /usr/bin/kvserver || fail "removing it has left the program"
inside dpkg --purge kvserver >"$folder/purge.log" 2>&1 || fail "it cannot be purged"
left="$(inside sh -c 'ls -d /etc/kvserver /var/lib/kvserver /var/log/kvserver /usr/share/kvserver /usr/lib/kvserver \
    /etc/logrotate.d/kvserver /etc/systemd/system/*.wants/kvserver.service 2>/dev/null' || true)"
[ -z "$left" ] || fail "purging it has left: $left"
echo "the package installs, serves, upgrades, and goes"
