# The manual page: it renders without a warning and tells every option.
. tests/lib/lib.sh

dir=$(folder)
check man_page_is_printed sh -c "$RSPROF man >$dir/rsprof.1"
check_equal man_page_is_ascii "$(LC_ALL=C grep -c '[^ -~	]' "$dir/rsprof.1")" 0

if ! command -v groff >/dev/null; then
	skip man_page_renders "there is no groff"
	exit 0
fi
# -z prints nothing but warnings, of all kinds.
check_equal man_page_has_no_warning "$(groff -man -Tutf8 -ww -z "$dir/rsprof.1" 2>&1)" ""
groff -man -Tutf8 -P-c -P-b -P-u -rLL=200n "$dir/rsprof.1" >"$dir/text"
check_contains man_page_renders "$(cat "$dir/text")" "rsprof - shows where"

missing=
for verb in $("$RSPROF" --help | sed -n '/^Commands:/,/^$/p' | awk '/^  / && $1 != "help" { print $1 }'); do
	part=$(awk -v from="   rsprof $verb" '$0 == from { on = 1; next } /^(   rsprof |[A-Z])/ { on = 0 } on' \
		"$dir/text")
	[ -n "$part" ] || missing="$missing $verb"
	for option in $("$RSPROF" "$verb" --help | sed -n '/^Options:/,$p' | grep -v -e '-h, --help' |
		sed -n -E 's/^  (-.,)? +(--[a-z0-9-]+).*/\2/p'); do
		grep -q -e "$option\\b" <<<"$part" || missing="$missing $verb:$option"
	done
done
check_equal man_page_tells_every_option "$missing" ""
