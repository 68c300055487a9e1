#!/usr/bin/env bash
# Programs that make it hard: no DWARF, no symbols, a file that was deleted, other namespaces.
. tests/lib/lib.sh
. tests/integration/common.bash

# short NAME PID [SOURCE]: half a second of it at 999 Hz, in $db.
short() {
	db=$dir/$1.db
	record "$db" -p "$2" --cpu-freq 999 -d 700ms ${3:+--source "$3"} ||
		not_ok "$1_records" "$(cat "$db.err")"
	record_end
	check_equal "$1_exit_code" "$record_status" 0
	check_losses "$1_losses" "$db"
	top "$db" --by function
}

# Symbols without DWARF: functions, no lines, and that is said.
start_running "$TARGETS/nodwarf" 30
short nodwarf "$target_pid"
stop_target
check_between nodwarf_samples "$(of .total_samples)" 70 800
check_between nodwarf_function "$(of_function cpu_pct burn_sixty)" 40 80
check_equal nodwarf_no_line "$(of '[.entries[] | select(.function == "burn_sixty") | .line] | add')" 0
check_equal nodwarf_file "$(of '.entries[0].file')" "[nodwarf]"
run "$RSPROF" top cpu "$db"
check_contains nodwarf_missing_is_said "$(cat "$db.out" "$db.err")$out$errors" "debug info"

# No symbols at all: module and offset, within the text of the file.
start_running "$TARGETS/stripped" 30
short stripped "$target_pid"
stop_target
check_equal stripped_place "$(of '.entries[0].function | test("^stripped\\+0x[0-9a-f]+$")')" true
check_equal stripped_module "$(of '.entries[0].module')" stripped
# burn_sixty is where the same program with symbols has it.
start=$(nm "$TARGETS/nodwarf" | awk '$3 == "burn_sixty" { print $1 }')
size=$(nm -S "$TARGETS/nodwarf" | awk '$4 == "burn_sixty" { print $2 }')
share=0
while read -r place percent; do
	[[ $place == stripped+0x* ]] || continue
	at=$((${place#stripped+}))
	if [ "$at" -ge $((16#$start)) ] && [ "$at" -lt $((16#$start + 16#$size)) ]; then
		share=$(awk "BEGIN { print $share + $percent }")
	fi
done < <(of '.entries[] | "\(.function) \(.cpu_pct)"')
check_between stripped_offsets_are_right "$share" 40 80
run "$RSPROF" top cpu "$db"
check_contains stripped_missing_is_said "$(cat "$db.out" "$db.err")$out$errors" "no line numbers for: stripped (stripped)"

# Asked for and not there: refused.
start_running "$TARGETS/nodwarf" 30
check_refusal require_debug_info 5 "$RSPROF" -p "$target_pid" -q -d 1s --require-debug-info \
	-o "$dir/required.db"
check_absent require_debug_info_no_file "$dir/required.db"
stop_target
check_refusal require_debug_info_run 125 "$RSPROF" run -q --require-debug-info -o "$dir/required.db" -- \
	"$TARGETS/nodwarf" 1
check_absent require_debug_info_run_no_file "$dir/required.db"
start_running "$TARGETS/burn" 30
run "$RSPROF" -p "$target_pid" -q -d 200ms --require-debug-info -o "$dir/has_it.db"
check_equal require_debug_info_met "$status" 0
stop_target

# The executable is deleted, and its place taken by another file.
cp "$TARGETS/burn" "$dir/gone"
start_running "$dir/gone" 30
wait_for 5 grep -q gone "/proc/$target_pid/maps"
rm "$dir/gone"
cp "$TARGETS/reader" "$dir/gone"
for source in $SOURCES; do
	short "${source}_deleted" "$target_pid" "$source"
	check_between "${source}_deleted_function" "$(of_function cpu_pct burn_sixty)" 40 80
	check_equal "${source}_deleted_line" "$(of '[.entries[] | select(.function == "burn_sixty") |
		.file][0] | split("/") | last')" burn.c
	check_between "${source}_deleted_complete" "$(of .complete_stacks_pct)" 97 100
done
stop_target

# A mount and a PID namespace of its own: the program is on a tmpfs that only it can see.
if ! is_root || ! unshare --mount --pid --fork true 2>/dev/null; then
	skip namespaces_function "namespaces cannot be made here"
	exit 0
fi
mkdir "$dir/inside"
start_target unshare --mount --pid --fork --kill-child --propagation private bash -c '
	mount -t tmpfs tmpfs "$1" && cp "$2" "$1/hidden" && exec "$1/hidden" 30' \
	inner "$dir/inside" "$TARGETS/burn" >/dev/null 2>"$dir/unshare.err"
outer=$target_pid
hidden_runs() {
	hidden=$(pgrep -P "$outer" -x hidden)
}
if wait_for 10 hidden_runs && hidden_runs; then
	check_absent namespaces_file_is_not_here "$dir/inside/hidden"
	for source in $SOURCES; do
		name=${source}_namespaces
		short $name "$hidden" "$source"
		check_between ${name}_function "$(of_function cpu_pct burn_sixty)" 40 80
		check_equal ${name}_line "$(of '[.entries[] | select(.function == "burn_sixty") |
			.file][0] | split("/") | last')" burn.c
		check_between ${name}_complete "$(of .complete_stacks_pct)" 97 100
		check_equal ${name}_pid_is_ours \
			"$(sql "$db" "SELECT value FROM meta WHERE key = 'pid'")" "$hidden"
		check_equal ${name}_tid_is_ours "$(top "$db" --by thread; of '.entries[0].function')" \
			"hidden ($hidden)"
	done
else
	not_ok namespaces_function "the inner program did not start"
fi
# unshare passes no signal on.
kill -KILL "${hidden:-$outer}"
stop_target "$outer"
exit 0
