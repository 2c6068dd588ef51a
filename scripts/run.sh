#!/bin/sh
# Installs missing packages, builds, and starts the server with conf/kvserver.yaml. Arguments are passed on;
# paths in them are relative to the working directory: `scripts/run.sh -c my.yaml`, `scripts/run.sh --export`.
#   KVSERVER_PORT=PORT     another port than 3000
#   KVSERVER_DATA=FOLDER   another data folder than `data` in the checkout
#   KVSERVER_PAGES=FOLDER  the files of an application, served beside the API
#   KVSERVER_BUILD=FOLDER  another build folder than `build` in the checkout
#   KVSERVER_INSTALL=no    install nothing; build with the installed packages
set -eu
root="$(dirname "$(dirname "$(readlink -f "$0")")")"
. "$root/scripts/dev/build.sh"

# Whether the arguments name a configuration, which then determines the data folder.
names_config() {
    for argument; do
        case "$argument" in
        -c* | --co*) return 0 ;;
        esac
    done
    return 1
}

# The checkout's own configuration has its data in the checkout, if that is writable.
choose_data_folder() {
    data="$root/data"
    if [ -e "$data" ]; then
        foreign="$(find "$data" ! -writable -print -quit 2>/dev/null)"
        [ -z "$foreign" ] || {
            say "$foreign belongs to $(stat -c %U "$foreign"), and you cannot write to it;" \
                "KVSERVER_DATA=FOLDER chooses another place for the data"
            exit 1
        }
    elif [ ! -w "$root" ]; then
        KVSERVER_DATA="$(own_folder "${XDG_DATA_HOME:-}" .local/share)"
        mkdir -p -- "$KVSERVER_DATA"
        say "$root cannot be written to; the data is in $KVSERVER_DATA (KVSERVER_DATA=FOLDER chooses another place)"
    fi
}

# Whether a program on this machine listens on a TCP port.
is_taken() { # port
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
        awk -v port="$(printf ':%04X$' "$1")" '$4 == "0A" && $2 ~ port { found = 1 } END { exit !found }'
}

is_port() { # text
    case "$1" in
    *[!0-9]* | 0?* | ??????*) return 1 ;;
    esac
    [ "$1" -le 65535 ]
}

# Checked before the build, which may take minutes.
if [ $# -eq 0 ] && ! is_port "${KVSERVER_PORT:-3000}"; then
    say "KVSERVER_PORT is not a port (0 to 65535): $KVSERVER_PORT"
    exit 1
fi
if [ $# -eq 0 ] && is_taken "${KVSERVER_PORT:-3000}"; then
    say "another program listens on port ${KVSERVER_PORT:-3000}; KVSERVER_PORT=PORT chooses another"
    exit 1
fi
if [ -n "${KVSERVER_DATA:-}" ]; then
    KVSERVER_DATA="$(absolute "$KVSERVER_DATA")"
elif ! names_config "$@"; then
    choose_data_folder
fi
if [ -n "${KVSERVER_PAGES:-}" ]; then
    KVSERVER_PAGES="$(absolute "$KVSERVER_PAGES")"
    export KVSERVER_PAGES
fi
"$root/scripts/dev/install-packages.sh" build
choose_build_folder
exclusively "$build/.build-lock" "building in $build" build_server
[ -z "${KVSERVER_DATA:-}" ] || export KVSERVER_DATA
exec "$build/kvserver" -c "$root/conf/kvserver.yaml" "$@"
