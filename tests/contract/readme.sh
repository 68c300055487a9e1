# The README tells of what is there.
. tests/lib/lib.sh

readme=$(cat README.md)
check_contains readme_has_the_demo "$readme" "make demo"
check_contains readme_has_the_check "$readme" "make check"

missing=
for name in $(grep -o -E '`make (MODE=[a-z]+ )?[a-z]+' README.md tests/README.md | sed 's/.* //' | sort -u); do
	grep -q "^$name:.*##" Makefile || missing="$missing $name"
done
check_equal told_targets_exist "$missing" ""

missing=
for room in */ reader/*/; do
	room=${room%/}
	[ "$room" = build ] || [ -z "$(find "$room" -type f -name '*.[ch]' | head -n 1)" ] ||
		grep -q -F "${room##*/}/" README.md || missing="$missing $room"
done
check_equal map_has_every_room "$missing" ""

missing=
for path in $(grep -o -E '\]\([A-Za-z0-9_./-]+\)' README.md | tr -d ']()'); do
	[ -e "$path" ] || missing="$missing $path"
done
check_equal links_lead_somewhere "$missing" ""

check_contains changelog_has_this_version "$(cat CHANGELOG.md)" "## $(cat VERSION)"
