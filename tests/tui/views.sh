#!/usr/bin/env bash
# Every view of a saved profile, at several sizes, with and without colour and Unicode, as golden screens.
. tests/lib/lib.sh
. tests/tui/tui.bash

made=${OBJ:-build/.obj/$MODE}/tests/tui/made_profile
dir=$(folder)
"$made" demo "$dir/my-app.db"
"$made" cpu "$dir/cpu.db"
"$made" empty "$dir/empty.db"

# shown WIDTH HEIGHT [FILE]: the profile, by a name that is the same everywhere.
shown() {
	tui_start "$1" "$2" sh -c 'cd "$1" && exec "$2" view "$3"' sh "$dir" "$PWD/$RSPROF" "${3:-my-app.db}"
}

shown 120 30
golden cpu_120x30
tui_keys 2
golden heap_120x30
tui_keys 3
golden both_120x30
tui_keys 4
golden wait_120x30
tui_keys 1 F
golden flame_120x30
tui_keys Escape o
golden callers_120x30
tui_keys Escape a
golden source_120x30
tui_keys Escape t
golden threads_120x30
tui_keys t '?'
golden help_120x30
tui_keys Escape 2 F
golden heap_flame_120x30
tui_keys Escape 4 F
golden wait_flame_120x30
tui_keys Escape q
tui_end quits 0

shown 80 24
golden cpu_80x24
tui_keys c
golden cpu_chart_80x24
tui_keys c 2
golden heap_80x24
tui_keys 3
golden both_80x24
tui_keys 4
golden wait_80x24
tui_keys '?'
golden help_80x24
tui_keys Escape q
tui_end quits_small 0

shown 200 60
golden cpu_200x60
tui_keys 3
golden both_200x60
tui_keys q

TUI_ENV="LC_ALL=C" shown 120 30
golden cpu_ascii_120x30
tui_keys 2
golden heap_ascii_120x30
tui_keys F
golden flame_ascii_120x30
tui_keys Escape q

TUI_ENV="NO_COLOR=1" shown 120 30
golden cpu_120x30
check_equal no_colour_has_no_colours "$(tui capture-pane -e -p | grep -c $'\033\\[[0-9;]*[34][0-9][;m]')" 0
tui_keys q
tui_end quits_without_colour 0

shown 120 30 cpu.db
golden cpu_alone_120x30
tui_keys 2
golden no_heap_120x30
tui_keys 4
golden no_wait_120x30
tui_keys q

shown 120 30 empty.db
golden empty_120x30
tui_keys F
golden empty_flame_120x30
tui_keys Escape Escape Escape
tui_end escape_quits 0
