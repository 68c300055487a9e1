#!/usr/bin/env bash
# Names from foreign programs change nothing outside of their cells.
. tests/lib/lib.sh
. tests/tui/tui.bash

dir=$(made_folder)

for size in "120 30" "80 24"; do
	name=${size/ /x}
	# shellcheck disable=SC2086
	tui_start $size sh -c 'cd "$1" && exec "$2" view hostile.db' sh "$dir" "$PWD/$RSPROF"
	golden "hostile_$name"
	check_equal "title_is_untouched_$name" "$(tui display -p "#{pane_title}" | grep -c title)" 0
	tui_keys 3
	golden "hostile_both_$name"
	tui_keys 1 F
	golden "hostile_flame_$name"
	tui_keys Escape o
	golden "hostile_callers_$name"
	tui_keys Escape a
	golden "hostile_source_$name"
	tui_keys Escape q
	tui_end "quits_$name" 0
done
