#!/bin/sh
# Installs what building and testing need, on Debian 12; does nothing where all is there.
set -eu

packages="build-essential cmake libcurl4-openssl-dev libh2o-dev-common libh2o-evloop-dev libhiredis-dev
libjansson-dev liblmdb-dev liblua5.4-dev libmosquitto-dev libnats-dev librdkafka-dev librocksdb-dev
libssl-dev libxxhash-dev libyaml-dev ninja-build pkg-config"
if [ "${1:-}" != build ]; then
    packages="$packages clang clang-format clang-tidy cppcheck curl libclang-rt-14-dev libcmocka-dev
mosquitto nats-server redis-server"
fi

if [ "${1:-}" = bench ]; then
    packages="$packages python3 redis-tools util-linux valgrind webdis"
fi

missing=""
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
        missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "These packages are missing, and there is no apt-get to install them:$missing" >&2
    exit 1
fi
sudo=""
if [ "$(id -u)" -ne 0 ]; then
    sudo=sudo
    command -v sudo >/dev/null || {
        echo "These packages are missing; install them as root:$missing" >&2
        exit 1
    }
fi
echo "Installing:$missing"
$sudo apt-get update -qq
# shellcheck disable=SC2086 # the list is meant to be split
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing \
    >/dev/null
