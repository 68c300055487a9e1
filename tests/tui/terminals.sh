#!/usr/bin/env bash
# Where there is no terminal for the screens, one line says why, and the recording or the table is there all the
# same.
. tests/lib/lib.sh
. tests/tui/tui.bash

dir=$(made_folder)

# table NAME WHY: what came to be on a screen that could not be used.
table() {
	tui_end "$1" 0
	tui_shows "$1_says_why" "$2"
	tui_shows "$1_shows_the_table" "parse_header"
}

TUI_ENV="TERM=dumb" tui_start 120 30 "$RSPROF" view "$dir/demo.db"
table dumb dumb
TUI_ENV="TERM=no-such-terminal" tui_start 120 30 "$RSPROF" view "$dir/demo.db"
table unknown no-such-terminal
tui_start 120 30 env -u TERM "$RSPROF" view "$dir/demo.db"
table unset TERM

run "$RSPROF" view "$dir/demo.db" </dev/null
check_equal piped_exit_code "$status" 0
check_contains piped_says_why "$errors" "rsprof: "
check_equal piped_is_top "$out" "$("$RSPROF" top cpu "$dir/demo.db")"

start_target "$TARGETS/burn" 60 >/dev/null
run "$RSPROF" -p "$target_pid" -d 1s -o "$dir/piped.db" </dev/null
check_equal recording_without_terminal "$status" 0
check_contains recording_says_why "$errors" "as with -q"
check_contains recording_shows_rows "$out" burn_sixty
stop_target

for bad in "$dir" "$dir/none.db" /dev/null; do
	run "$RSPROF" view "$bad"
	check_equal "refused_${bad##*/}" "$status" 6
done
printf 'SQLite format 3\0 and then nothing' >"$dir/broken.db"
run "$RSPROF" view "$dir/broken.db"
check_equal broken_exit_code "$status" 6
check_equal broken_is_one_sentence "$(printf '%s\n' "$errors" | grep -c '^rsprof: ')" 1
(cd "$(folder)" && RSPROF_OUTPUT_DIR=. "$OLDPWD/$RSPROF" view) >"$dir/out" 2>&1
check_between nothing_to_view "$?" 1 6
run "$RSPROF" view "$dir/demo.db" more
check_equal too_many_operands "$status" 2
