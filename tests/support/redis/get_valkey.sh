#!/bin/sh
# get_valkey.sh FOLDER: fetches Debian's Valkey from the backports and unpacks it into the folder, with
# valkey-server in FOLDER/usr/bin. Installs nothing, and does not change the machine's package sources.
set -eu
folder=$(mkdir -p "$1" && cd "$1" && pwd)
apt=$(mktemp -d /tmp/kv-apt-XXXXXX)
trap 'rm -rf "$apt"' EXIT
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm-backports main" \
    >"$apt/sources"
for option in Etc::sourcelist="$apt/sources" Etc::sourceparts=/dev/null State::lists="$apt/lists" Cache="$apt/cache"; do
    set -- "$@" -o "Dir::$option"
done
shift
apt-get "$@" -qq update
cd "$apt"
apt-get "$@" -qq download valkey-server valkey-tools 2>/dev/null
for package in ./*.deb; do
    dpkg -x "$package" "$folder"
done
"$folder/usr/bin/valkey-server" --version
