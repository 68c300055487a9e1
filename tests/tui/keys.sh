#!/usr/bin/env bash
# What the keys do on a saved profile: selection, sorting, filter, chart, range, zoom, resizing, the end.
. tests/lib/lib.sh
. tests/tui/tui.bash

dir=$(made_folder)

shown() {
	tui_start "$1" "$2" sh -c 'cd "$1" && exec "$2" view demo.db' sh "$dir" "$PWD/$RSPROF"
}

shown 120 30
tui_shows begins_with_cpu "parse_header"
tui_keys j j
golden moved_down
tui_keys k G
golden moved_to_the_last
tui_keys g
tui_keys s
golden sorted_by_the_next_column
tui_keys S
golden sorted_the_other_way
tui_keys S s s s s s
tui_keys / p a r s e r
golden filter_being_typed
tui_keys Enter
golden filtered
tui_keys Escape
tui_shows filter_is_cleared "app::worker::flush"
tui_keys / n o s u c h Enter
golden nothing_matches
tui_keys Escape
tui_shows filter_is_cleared_again "app::worker::flush"

tui_keys z
golden chart_not_from_zero
tui_keys z Tab
golden chart_is_focused
tui_keys Left Left Left Left Left Left '['
golden range_is_begun
tui_keys Left Left Left Left Left Left ']'
golden range
tui_keys F
golden range_in_the_flame_graph
tui_keys Escape Escape
tui_shows range_is_cleared "2m00s"
tui_keys + +
golden chart_zoomed
tui_keys - - -
tui_keys Tab p
golden paused
tui_keys p
tui_lacks goes_on "PAUSED"

tui_keys F Down Down Right
golden flame_moved
tui_keys Enter
golden flame_zoomed
tui_keys Escape / p a r s e Enter
golden flame_search
tui_keys Escape Escape

tui resize-window -x 80 -y 24
tui_shows narrower "parse_header"
golden resized_80x24
tui resize-window -x 60 -y 20
tui_shows too_small "Terminal too small: 60x20, rsprof needs 80x24."
tui resize-window -x 200 -y 60
golden resized_200x60
tui resize-window -x 120 -y 30
golden resized_back
tui_keys q
tui_end quits 0
