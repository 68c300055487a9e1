#!/usr/bin/env bash
# The target by name: exact before substring, several, none. And by words that are neither.
. tests/lib/lib.sh
. tests/integration/common.bash

# Names that nothing else on the machine has.
unique=rt$$
cp "$TARGETS/burn" "$dir/${unique}a"
cp "$TARGETS/burn" "$dir/${unique}ab"
cp "$TARGETS/burn" "$dir/${unique}abc-long-name-beyond-comm"

start_running "$dir/${unique}a" 60
first=$target_pid
start_running "$dir/${unique}ab" 60
second=$target_pid
wait_for 5 grep -q "${unique}ab" "/proc/$second/comm"

pid_in() {
	sql "$1" "SELECT value FROM meta WHERE key = 'pid'"
}

run "$RSPROF" -P "${unique}a" -q -d 200ms -o "$dir/exact.db"
check_equal name_exact_exit_code "$status" 0
check_equal name_exact_wins_over_substring "$(pid_in "$dir/exact.db")" "$first"

run "$RSPROF" attach "${unique}ab" -q -d 200ms -o "$dir/second.db"
check_equal name_attach_exit_code "$status" 0
check_equal name_attach "$(pid_in "$dir/second.db")" "$second"

run "$RSPROF" -P "$unique" -q -d 200ms -o "$dir/several.db"
check_equal name_several_exit_code "$status" 2
check_contains name_several_sentence "$errors" "rsprof: "
check_contains name_several_lists_the_first "$errors" "$first"
check_contains name_several_lists_the_second "$errors" "$second"
check_absent name_several_no_file "$dir/several.db"

stop_target "$first"
run "$RSPROF" -P "$unique" -q -d 200ms -o "$dir/substring.db"
check_equal name_substring_exit_code "$status" 0
check_equal name_substring "$(pid_in "$dir/substring.db")" "$second"

check_refusal name_none 3 "$RSPROF" -P "${unique}-nothing" -q -d 200ms -o "$dir/none.db"
check_contains name_none_is_told "$errors" "${unique}-nothing"
check_absent name_none_no_file "$dir/none.db"
# Case counts.
check_refusal name_case 3 "$RSPROF" -P "RT$$" -q -d 200ms -o "$dir/case.db"

# argv[0]'s base name, longer than comm may be.
start_running "$dir/${unique}abc-long-name-beyond-comm" 60
wait_for 5 grep -q "${unique}abc" "/proc/$target_pid/comm"
run "$RSPROF" -P "${unique}abc-long-name-beyond-comm" -q -d 200ms -o "$dir/long.db"
check_equal name_beyond_comm_exit_code "$status" 0
check_equal name_beyond_comm "$(pid_in "$dir/long.db")" "$target_pid"

# Where the output goes without -o: named for the process, in the folder of the environment.
mkdir "$dir/profiles"
run env RSPROF_OUTPUT_DIR="$dir/profiles" "$RSPROF" -p "$second" -q -d 200ms
check_equal default_output_exit_code "$status" 0
name=$(ls "$dir/profiles")
check_equal default_output_name "$(sed -E 's/[0-9]{12}/TIME/' <<<"$name")" "rsprof.${unique}ab.TIME.db"
check_contains default_output_is_told "$out" "$name"
run "$RSPROF" list -d "$dir/profiles"
check_contains list_file "$out" "$name"
check_contains list_process "$out" "${unique}ab"
check_contains list_pid "$out" "$second"
# rsprof without -q and without a terminal: records all the same, and says so.
run env RSPROF_OUTPUT_DIR="$dir/profiles" "$RSPROF" -p "$second" -d 200ms -o "$dir/plain.db"
check_equal no_terminal_exit_code "$status" 0
check_contains no_terminal_is_told "$errors" "-q"
stop_target "$target_pid"
stop_target "$second"
exit 0
