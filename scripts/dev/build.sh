# Sourced by scripts/run.sh, scripts/test.sh and others: chooses the build folder, runs one build of it at a
# time, and shows its progress. All messages go to standard error, as standard output may be an export.
# Expects $root, the checkout.
# shellcheck shell=sh disable=SC2154

say() {
    echo "$(basename "$0"): $*" >&2
}

# Makes a path absolute, relative to the caller's working directory.
absolute() { # path
    case "$1" in
    /*) echo "$1" ;;
    *) echo "$PWD/$1" ;;
    esac
}

# The current user's own folder for this checkout.
own_folder() { # $XDG_CACHE_HOME or the like, its default below the home folder
    echo "${1:-${HOME:-}/$2}/kvserver/$(basename "$root")-$(echo "$root" | cksum | cut -d ' ' -f 1)"
}

# Prints why this user cannot write to the checkout's build folder; nothing if that is possible.
why_not_in_checkout() {
    folder="$root/build"
    if [ -e "$folder" ]; then
        foreign="$(find "$folder" ! -user "$(id -u)" -print -quit 2>/dev/null)"
        if [ -n "$foreign" ]; then
            echo "$foreign belongs to $(stat -c %U "$foreign")"
        elif [ ! -w "$folder" ]; then
            echo "$folder cannot be written to"
        fi
    elif [ ! -w "$root" ]; then
        echo "$root cannot be written to"
    fi
}

# Sets $build: to KVSERVER_BUILD, to `build` in the checkout, or to the user's own folder.
choose_build_folder() {
    if [ -n "${KVSERVER_BUILD:-}" ]; then
        build="$(absolute "$KVSERVER_BUILD")"
    else
        build="$root/build"
        reason="$(why_not_in_checkout)"
        if [ -n "$reason" ]; then
            build="$(own_folder "${XDG_CACHE_HOME:-}" .cache)"
            say "$reason; building in $build instead (KVSERVER_BUILD=FOLDER chooses another)"
        fi
    fi
    mkdir -p -- "$build"
}

# Runs a command while no other script holds the lock; prints a message if it has to wait.
exclusively() { # lock file, activity of the other script, command …
    lock="$1"
    doing="$2"
    shift 2
    (
        flock -n 9 || {
            say "another run is $doing; waiting for it to finish"
            flock 9
        }
        "$@" 9>&-
    ) 9>"$lock"
}

# If the checkout or the build folder was moved, CMake's cache is invalid.
is_moved() { # folder
    [ -e "$1/CMakeCache.txt" ] &&
        ! { grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$1/CMakeCache.txt" &&
            grep -qxF "CMAKE_CACHEFILE_DIR:INTERNAL=$1" "$1/CMakeCache.txt"; }
}

# Prints ccache, if it is installed and can write to its cache.
compiler_cache() { # folder
    echo 'int probe;' >"$1/probe.c"
    if command -v ccache >/dev/null && ccache cc -c "$1/probe.c" -o "$1/probe.o" 2>/dev/null; then
        echo ccache
    fi
    rm -f "$1/probe.c" "$1/probe.o"
}

configure() { # folder, options of cmake …
    folder="$1"
    shift
    mkdir -p "$folder"
    ! is_moved "$folder" || set -- --fresh "$@"
    [ -n "${CMAKE_C_COMPILER_LAUNCHER:-}" ] ||
        set -- "-DCMAKE_C_COMPILER_LAUNCHER=$(compiler_cache "$folder")" "$@"
    cmake -S "$root" -B "$folder" -G Ninja "$@" >"$folder/configure.log" 2>&1 || {
        cat "$folder/configure.log" >&2
        return 1
    }
}

# Shows ninja's progress: on a terminal as a counter, elsewhere as one line at the first step. Errors and
# warnings are passed through.
show_steps() { # folder
    has_begun=""
    while IFS= read -r line; do
        case "$line" in
        "ninja: no work to do." | "-- "* | *"Re-checking globbed"* | *"Re-running CMake"*) ;;
        "["*/*"] "*)
            [ -n "$has_begun" ] || echo "Building in $1 …" >&2
            has_begun=yes
            [ ! -t 2 ] || printf '\r%s] ' "${line%%]*}" >&2
            ;;
        *)
            echo "$line" >&2
            ;;
        esac
    done
    [ -z "$has_begun" ] || [ ! -t 2 ] || printf '\r\033[K' >&2
}

# Builds targets of a configured folder.
compile() { # folder, targets …
    folder="$1"
    shift
    mark="$folder/.build-failed"
    rm -f "$mark"
    { NINJA_STATUS='[%f/%t] ' cmake --build "$folder" --target "$@" 2>&1 || : >"$mark"; } |
        show_steps "$folder"
    [ ! -e "$mark" ]
}

# Builds the server and its modules, without tests, in $build.
build_server() {
    if [ ! -e "$build/build.ninja" ] || is_moved "$build"; then
        configure "$build" -DKV_TESTS=OFF || return 1
    fi
    compile "$build" kvserver kvctl modules/all
}

# ---- builds with tests ----

# The build folder of a pass of scripts/test.sh; passes without a build of their own use the plain one.
folder_of() { # pass
    case "$1" in
    thread | address) echo "$build/$1" ;;
    *) echo "$build" ;;
    esac
}

sanitizer_of() { # pass
    case "$1" in
    thread | address) echo "$1" ;;
    esac
}

configure_and_compile() { # pass
    configure "$(folder_of "$1")" -DKV_TESTS=ON -DKV_WERROR=ON "-DKV_SANITIZE=$(sanitizer_of "$1")" &&
        compile "$(folder_of "$1")" all
}

make_tests() { # pass
    mkdir -p "$(folder_of "$1")"
    exclusively "$(folder_of "$1")/.build-lock" "building in $(folder_of "$1")" configure_and_compile "$1"
}
