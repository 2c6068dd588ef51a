#!/bin/sh
# Installs the Debian 12 packages needed for building and running (`build`), also for the tests (no
# argument), also for the benchmarks (`bench`), or for building and scripts/examples/cluster (`cluster`).
# Lists missing packages before it installs them, and does nothing if there are none. With
# KVSERVER_INSTALL=no it installs nothing: it fails, with a list, if a required package is missing. With
# KVSERVER_INSTALL=yes it does not ask on a terminal.
set -eu
set="${1:-test}"

# If an optional package is missing, a sink is not built.
required="build-essential cmake libcurl4-openssl-dev libh2o-dev-common libh2o-evloop-dev libjansson-dev
liblmdb-dev liblua5.4-dev librocksdb-dev libssl-dev libxxhash-dev libyaml-dev ninja-build pkg-config
zlib1g-dev"
optional="curl libhiredis-dev libmosquitto-dev libnats-dev librdkafka-dev"
if [ "$set" = cluster ]; then
    required="$required haproxy redis-server"
elif [ "$set" != build ]; then
    required="$required clang clang-format clang-tidy cppcheck libclang-rt-14-dev libcmocka-dev"
    optional="$optional chromium chromium-driver debootstrap fish haproxy lintian mandoc mosquitto nats-server nginx-light node-react-dom
node-ws nodejs prometheus python3-jsonschema python3-websockets python3-yaml redis-server zsh"
fi
if [ "$set" = bench ]; then
    required="$required openssl python3 redis-server redis-tools util-linux valgrind webdis"
fi

# Prints the packages that are not installed.
missing_of() { # packages …
    for package; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            printf ' %s' "$package"
    done
}

fail() {
    echo "$1; install these as root and try again:" >&2
    echo "  apt-get install --no-install-recommends$missing" >&2
    exit 1
}

# Whether the user agrees; without a terminal, agreement is assumed.
is_agreed() {
    [ -z "${KVSERVER_INSTALL:-}" ] && [ -t 0 ] && [ -t 2 ] || return 0
    printf 'Install them with apt-get now? [Y/n] ' >&2
    read -r answer || return 1
    case "$answer" in
    [nN]*) return 1 ;;
    esac
}

if ! command -v dpkg-query >/dev/null; then
    echo "This is not Debian: nothing is installed; these packages, or their equivalents, are needed:" \
        $required >&2
    exit 0
fi

# shellcheck disable=SC2086 # lists are meant to be split
missing="$(missing_of $required $optional)"
[ -n "$missing" ] || exit 0
# shellcheck disable=SC2086
missing_required="$(missing_of $required)"

echo "These Debian packages are needed and not installed:$missing" >&2
if [ "${KVSERVER_INSTALL:-}" = no ] || ! is_agreed; then
    [ -z "$missing_required" ] || fail "They are not installed, as you wish"
    echo "Going on without them: sinks that need them are left out (until the build folder is made anew)." >&2
    exit 0
fi
command -v apt-get >/dev/null || fail "There is no apt-get"
sudo=""
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "You are not root, and there is no sudo"
    sudo=sudo
fi

# One installation at a time on this machine. The output of apt is shown only if it fails.
echo "Installing them with ${sudo:+sudo }apt-get (KVSERVER_INSTALL=no refuses) …" >&2
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive sh -c '
    mkdir -p /run/lock && exec 9>/run/lock/kvserver-packages && flock 9 &&
        apt-get update -qq &&
        apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=600 "$@"
' sh $missing >"$log" 2>&1 </dev/null || {
    tail -20 "$log" >&2
    fail "apt-get failed (above)"
}
