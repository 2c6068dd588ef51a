#!/bin/sh
# Makes a release of the current commit: scripts/dev/release.sh 1.2.3. It sets the version and the date in all
# files that contain them, puts the changes under `Unreleased` in CHANGELOG.md under this version, commits
# that, and makes a signed or (--unsigned) an annotated tag, v1.2.3, whose text is that part of the changelog.
# It pushes nothing. core/web/docs/releasing.md describes the steps before and after.
set -eu
cd "$(dirname "$(dirname "$(dirname "$(readlink -f "$0")")")")"

fail() {
    echo "release.sh: $*" >&2
    exit 1
}

sign=--sign
[ "${1:-}" != --unsigned ] || {
    sign=--annotate
    shift
}
[ $# -eq 1 ] || fail "usage: scripts/dev/release.sh [--unsigned] VERSION"
version="$1"
echo "$version" | grep -qxE '[0-9]+\.[0-9]+\.[0-9]+' || fail "$version is no version: three numbers are expected, 1.2.3"
[ -z "$(git status --porcelain)" ] || fail "there are changes that are not committed"
! git rev-parse -q --verify "refs/tags/v$version" >/dev/null || fail "there is a tag v$version already"
notes="$(awk '/^## / { on = $0 == "## Unreleased"; next } on' CHANGELOG.md | sed '/./,$!d')"
[ -n "$notes" ] || fail "CHANGELOG.md has nothing under \`## Unreleased\`"

day="$(date -u +%F)"
in_words="$(LC_ALL=C date -u +'%B %-d, %Y')"
sed -i "s/^project(kvserver VERSION [0-9.]*/project(kvserver VERSION $version/" CMakeLists.txt
sed -i "s/^  \"version\": \"[0-9.]*\"/  \"version\": \"$version\"/" core/web/client/package.json
sed -i "s/^## Unreleased\$/## $version, $day/" CHANGELOG.md
sed -i "1s/^\.Dd .*/.Dd $in_words/" conf/man/kvserver.8 conf/man/kvctl.1
sed -i "s|\${pages}/kvserver.yaml.5 \"[^\"]*\"|\${pages}/kvserver.yaml.5 \"$in_words\"|
        s|  [A-Z][a-z][a-z], [0-9]* [A-Z][a-z][a-z] [0-9]* 00:00:00 +0000|  $(LC_ALL=C date -u +'%a, %d %b %Y') 00:00:00 +0000|" \
    conf/CMakeLists.txt
git commit -qam "Release $version"
printf 'KvServer %s\n\n%s\n' "$version" "$notes" | git tag "$sign" --cleanup=whitespace -F - "v$version"
git show --stat --format='%h %s' HEAD
echo "tagged v$version; to publish it: git push origin HEAD v$version"
