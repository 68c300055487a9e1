#!/usr/bin/env bash
# Every view of a saved profile, at several sizes, with and without colour and Unicode, as golden screens.
. tests/lib/lib.sh
. tests/tui/tui.bash

dir=$(made_folder)

# shown WIDTH HEIGHT [FILE]: the profile, by a name that is the same everywhere.
shown() {
	tui_start "$1" "$2" sh -c 'cd "$1" && exec "$2" view "$3"' sh "$dir" "$PWD/$RSPROF" "${3:-demo.db}"
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
tui_keys Escape j o
golden callers_120x30
tui_keys Escape a
golden source_120x30
tui_keys Escape j a
golden source_missing_120x30
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

# As many colours as the terminal has; the text is the same with all of them and with none.
# has_colours PATTERN: codes of ink or ground on the screen.
has_colours() {
	tui capture-pane -e -p | grep -q -E $'\033\\[([0-9;]*;)?'"$1"
}

# coloured NAME ENVIRONMENT PATTERN ABSENT
coloured() {
	TUI_ENV=$2 shown 120 30
	golden cpu_120x30
	check "$1_colours" wait_for 5 has_colours "$3"
	if has_colours "$4"; then
		not_ok "$1_has_no_others" "$(tui capture-pane -e -p | head -n 5 | cat -v)"
	else
		ok "$1_has_no_others"
	fi
	tui_keys q
	tui_end "$1_quits" 0
}

coloured all "TERM=tmux-256color COLORTERM=truecolor" "[34]8;2;" "[34]8;5;"
coloured two_hundred "TERM=tmux-256color" "[34]8;5;" "[34]8;2;"
coloured eight "TERM=screen" "[349][0-7]m" "[34]8;"
coloured no "NO_COLOR=1" "[17]m" "([349][0-8]|10[0-7])(;|m)"

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
