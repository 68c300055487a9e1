#!/usr/bin/env bash
# The screens over a recording: rows move, pause holds, every way to end leaves a complete file and a sane
# terminal.
. tests/lib/lib.sh
. tests/tui/tui.bash

dir=$(folder)
burn=$TARGETS/burn

# sql FILE SQL
sql() {
	sqlite3 -readonly -batch -bail "$1" "$2" 2>&1
}

# record FILE [OPTION…]: what burns, under the screens. Its shell's terminal is told before and after.
record() {
	local file=$1

	shift
	start_target "$burn" 120 >/dev/null
	rm -f "$dir/before" "$dir/after"
	tui_start 120 30 sh -c 'stty -a >"$1/before"; shift; "$@"; status=$?; stty -a >"$0/after"; exit $status' \
		"$dir" "$dir" "$RSPROF" -p "$target_pid" -o "$file" "$@"
	tui_shows "${file##*/}_records" "RECORDING"
}

# rsprof_pid: of the rsprof that records the target, not of what it started.
rsprof_pid() {
	pgrep -o -f "^$RSPROF -p $target_pid "
}

# check_file NAME FILE: ended cleanly, whole, with samples.
check_file() {
	check_equal "$1_is_finished" "$(sql "$2" 'SELECT MIN(is_finished) FROM recordings')" 1
	check_equal "$1_is_whole" "$(sql "$2" 'PRAGMA integrity_check')" ok
	check_between "$1_has_samples" "$(sql "$2" 'SELECT SUM(count) FROM totals')" 20 1000000
	check_equal "$1_is_one_file" "$(cd "${2%/*}" && echo "${2##*/}"*)" "${2##*/}"
}

check_terminal() {
	wait_for "$tui_seconds" test -s "$dir/after"
	check_equal "$1_terminal_is_as_before" "$(cmp "$dir/before" "$dir/after" 2>&1)" ""
	check_equal "$1_screen_is_the_usual_one" "$(tui display -p '#{alternate_on}')" 0
	check_equal "$1_cursor_is_visible" "$(tui display -p '#{cursor_flag}')" 1
	check_equal "$1_mouse_is_free" "$(tui display -p '#{mouse_any_flag}')" 0
}

# samples: the number in the header.
samples() {
	tui_screen | grep -o '[0-9,]* samples' | head -n 1 | tr -cd 0-9
}

has_more_samples() {
	local now

	now=$(samples)
	[ -n "$now" ] && [ "$now" -gt "$1" ]
}

checkpoints() {
	sql "$1" 'SELECT COUNT(*) FROM checkpoints'
}

has_more_checkpoints() {
	[ "$(checkpoints "$1")" -gt "$2" ]
}

# ---- rows, pause, quitting

record "$dir/quit.db"
tui_shows rows_come "burn_sixty"
tui_shows location_is_told "burn.c:"
check samples_grow wait_for 20 has_more_samples "$(samples)"
tui_keys p
tui_shows pause_is_told "PAUSED"
held=$(tui_screen | tail -n +3)
count=$(checkpoints "$dir/quit.db")
check recording_goes_on wait_for 20 has_more_checkpoints "$dir/quit.db" "$((count + 1))"
check_equal pause_holds "$(tui_screen | tail -n +3)" "$held"
tui_keys p
tui_lacks pause_ends "PAUSED"
tui_keys j F
tui_shows live_flame_graph "descend_even"
tui_keys Escape q
tui_end quit 0
check_terminal quit
tui_shows place_is_told "saved: $dir/quit.db"
check_file quit "$dir/quit.db"
check target_goes_on kill -0 "$target_pid"
stop_target

# ---- the target dies under it

record "$dir/killed.db"
tui_shows killed_rows_come "burn_sixty"
kill -KILL "$target_pid"
wait "$target_pid" 2>/dev/null
tui_shows end_is_told "ENDED"
tui_shows end_says_how "the profile is saved"
tui_keys 2
tui_lacks killed_can_be_left "Top CPU"
tui_keys 1 F
tui_shows killed_can_be_browsed "descend_even"
check_equal killed_is_finished_at_once "$(sql "$dir/killed.db" 'SELECT MIN(is_finished) FROM recordings')" 1
tui_keys Escape q
tui_end killed 0
check_terminal killed
check_file killed "$dir/killed.db"

# ---- its time is up

record "$dir/timed.db" -d 2s
tui_shows time_is_up "ENDED"
tui_keys q
tui_end timed 0
check_terminal timed
check_file timed "$dir/timed.db"
stop_target

# ---- signals

record "$dir/term.db"
tui_shows term_rows_come "burn_sixty"
kill -TERM "$(rsprof_pid)"
tui_end term 0
check_terminal term
check_file term "$dir/term.db"
stop_target

# Stopped and gone on with, as a shell does it.
start_target "$burn" 120 >/dev/null
tui_start 120 30 env "PS1=shell: " bash --norc --noprofile -i
tui_shows shell_is_there "shell:"
tui_keys "$RSPROF -p $target_pid -o $dir/stop.db" Enter
tui_shows stop_rows_come "burn_sixty"
tui_keys C-z
tui_shows stops "Stopped"
check_equal stopped_screen_is_the_usual_one "$(tui display -p '#{alternate_on}')" 0
tui_keys fg Enter
tui_shows goes_on_after_a_stop "burn_sixty"
check samples_grow_after_a_stop wait_for 20 has_more_samples "$(samples)"
tui_keys q
tui_shows stop_ends "saved: $dir/stop.db"
check_equal screen_after_a_stop_is_the_usual_one "$(tui display -p '#{alternate_on}')" 0
check_file stop "$dir/stop.db"
stop_target

# A crash puts the terminal back as it was.
record "$dir/crash.db"
tui_shows crash_rows_come "burn_sixty"
kill -SEGV "$(rsprof_pid)"
# A sanitizer tells of it and exits.
case $MODE in
asan | tsan) tui_end crash 1 ;;
*) tui_end crash 139 ;;
esac
check_terminal crash
check crash_target_goes_on kill -0 "$target_pid"
check_between crash_leaves_what_was_committed "$(sql "$dir/crash.db" 'SELECT SUM(count) FROM totals')" 1 1000000
stop_target

# The terminal is gone: nobody is left to tell, and the file is saved.
record "$dir/gone.db"
tui_shows gone_rows_come "burn_sixty"
pid=$(rsprof_pid)
tui kill-server
check gone_ends wait_for 20 lib_is_gone "$pid"
check_file gone "$dir/gone.db"
stop_target

# ---- another rsprof watches the file

start_target "$burn" 120 >/dev/null
burn_pid=$target_pid
start_target "$RSPROF" -p "$burn_pid" -q -o "$dir/watched.db" >/dev/null 2>&1
recorder=$target_pid
check watched_begins wait_for 20 has_more_checkpoints "$dir/watched.db" 1
tui_start 120 30 "$RSPROF" view "$dir/watched.db"
tui_shows watched_is_followed "FOLLOWING"
check watched_grows wait_for 20 has_more_samples "$(samples)"
kill -INT "$recorder"
wait "$recorder"
tui_shows watched_is_saved "SAVED"
tui_keys q
tui_end watched 0
check_file watched "$dir/watched.db"
stop_target "$burn_pid"

# ---- rsprof run: the command's own words come after the screens

tui_start 120 30 "$RSPROF" run -o "$dir/run.db" -- "$TARGETS/exits" 1500 3
tui_shows run_ends "ENDED"
tui_lacks run_keeps_the_output "cpu_ns"
tui_keys q
tui_end run_has_the_commands_status 3
tui_shows run_shows_the_output "cpu_ns"
check_equal run_is_finished "$(sql "$dir/run.db" 'SELECT MIN(is_finished) FROM recordings')" 1

# Left before the command is over: it goes on, and has the terminal's output again.
tui_start 120 30 "$RSPROF" run -o "$dir/left.db" -- sh -c 'echo begun; while [ ! -e "$0" ]; do sleep 0.1; done; echo over' "$dir/go"
tui_shows left_is_recorded "RECORDING"
tui_keys q
tui_shows left_goes_on "sh goes on"
tui_shows left_shows_what_was_kept "begun"
touch "$dir/go"
tui_end left_waits_for_the_command 0
tui_shows left_shows_what_comes "over"
