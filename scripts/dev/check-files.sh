#!/bin/sh
# Fails if source files have circular dependencies, or if the top level contains unexpected files. A .c file
# and its header count as one; an #include is a dependency. As each file declares its functions in its own
# header (the second check), #includes show all dependencies.
set -eu
cd "$(dirname "$0")/../.."
failed=0
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

find core modules -name '*.[ch]' | sort >"$work/files"

# `<file> <included file>`, without extensions.
xargs grep -HoE '^#include "[^"]+"' <"$work/files" | sed -E 's/:#include "(.*)"/ \1/' |
    while read -r file included; do
        if [ -e "core/$included" ]; then
            target="core/$included"
        else
            target="$(realpath -m --relative-to=. "$(dirname "$file")/$included")"
        fi
        [ "${file%.[ch]}" = "${target%.[ch]}" ] || echo "${file%.[ch]} ${target%.[ch]}"
    done >"$work/uses"
if ! tsort "$work/uses" >/dev/null 2>"$work/circles"; then
    echo "files: these include each other in a circle:" >&2
    sed -n 's/^tsort: \(core\|modules\)/    \1/p' "$work/circles" >&2
    failed=1
fi

# `<function> <file>` for declarations in headers and definitions in .c files, except static functions.
# A statement at the outermost level ends with `;` (a declaration) or `{` (a definition).
functions() { # its ending
    xargs awk -v wanted="$1" '
        FNR == 1 { depth = 0; statement = ""; in_comment = 0; in_macro = 0 }
        in_macro || /^#/ { in_macro = /\\$/; next }
        {
            line = $0
            gsub(/"([^"\\]|\\.)*"|\047([^\047\\]|\\.)*\047/, "", line)
            gsub(/\/\*[^*]*(\*[^*\/][^*]*)*\*\//, "", line)
            if (in_comment) {
                if (!sub(/^.*\*\//, "", line)) next
                in_comment = 0
            }
            if (sub(/\/\*.*$/, "", line)) in_comment = 1
            n = length(line)
            for (i = 1; i <= n; i++) {
                c = substr(line, i, 1)
                if (depth == 0 && (c == ";" || c == "{")) {
                    if (c == wanted && statement !~ /(^|[ \t])(static|typedef)[ \t]|=/ &&
                        match(statement, /[a-z_][a-z0-9_]*\(/))
                        print substr(statement, RSTART, RLENGTH - 1), FILENAME
                    statement = ""
                }
                if (c == "{") depth++
                else if (c == "}") { depth--; statement = "" }
                else if (depth == 0 && c != ";") statement = statement c
            }
            statement = statement " "
        }'
}
grep '\.h$' "$work/files" | grep -v '^core/abi/' | functions ';' | sort >"$work/declared"
grep '\.c$' "$work/files" | functions '{' | sort >"$work/defined"
join "$work/declared" "$work/defined" | sed 's/\.[ch]\( \|$\)/\1/g' | awk '$2 != $3' >"$work/strays"
while read -r function header source; do
    # Modules are programs of their own, and may use the same names.
    case "$header $source" in modules/*) [ "$(dirname "$header")" = "$(dirname "$source")" ] || continue ;; esac
    echo "files: $header.h declares $function(), which $source.c defines" >&2
    failed=1
done <"$work/strays"

# Servers started here leave files, which `git add` would include.
if git rev-parse --git-dir >/dev/null 2>&1; then
    git ls-files | sed 's|/.*||' | sort -u |
        grep -vxE '\..*|CHANGELOG\.md|CMakeLists\.txt|LICENSE|README\.md|conf|core|modules|scripts|tests' >"$work/strangers" || true
    while read -r name; do
        echo "files: $name does not belong at the top level" >&2
        failed=1
    done <"$work/strangers"
fi

[ "$failed" -eq 0 ] && echo "files: no circles, no strangers at the top level"
exit "$failed"
