#!/usr/bin/env bash
# rsprof run: the child's status is passed on, its first instruction counts, its output is its own.
. tests/lib/lib.sh
. tests/integration/common.bash

# child CODE NAME OPTION… -- COMMAND…: that exit code, and a finished file in $db.
child() {
	local code=$1 name=$2

	shift 2
	db=$dir/$name.db
	rm -f "$db"
	stolen_before=$(stolen_ns)
	run timeout -k 5 60 "$RSPROF" run -q -o "$db" "$@"
	check_equal "run_${name}_exit_code" "$status" "$code"
}

zero() {
	child 0 zero --cpu-freq 999 -- "$TARGETS/exits" 300 0 0 "two words" ''
	truth=$dir/truth
	printf '%s\n' "$out" >"$truth"
	top "$db" --by function
	# From its first instruction on: loader, libc and all.
	check_samples run_samples "$(of .total_samples)" "$(truth_of cpu_ns)" 5 4
	check_between run_share "$(of_function incl_pct run_burn)" 90 100
}

often 3 zero
check_finished run_zero_finished "$db"
check_equal run_stdout_is_the_childs "$(grep -vE '^(cpu|stalled)_ns ' <<<"$out")" \
	"$(printf 'argument %s\n' 300 0 0 'two words' '')"
check_contains run_summary_is_on_stderr "$errors" run_burn
check_losses run_losses "$db"
check_equal run_process_name "$(sql "$db" "SELECT value FROM meta WHERE key = 'process_name'")" exits
check_equal run_no_frame_of_ours "$(of '[.entries[] | select(.module == "rsprof")] | length')" 0

short() {
	child 0 short --cpu-freq 999 -- "$TARGETS/exits" 50 0
	truth=$dir/truth
	printf '%s\n' "$out" >"$truth"
	top "$db"
	check_samples run_short_samples "$(of .total_samples)" "$(truth_of cpu_ns)" 5 4
}
often 3 short

child 3 three -- "$TARGETS/exits" 10 3
check_finished run_three_finished "$db"
child 255 high -- "$TARGETS/exits" 10 255
child 137 killed -- "$TARGETS/exits" 10 0 9
check_finished run_killed_finished "$db"
child 143 terminated -- "$TARGETS/exits" 10 0 15

# Found by PATH, as a shell would.
child 0 path -- true
child 1 false -- false

# What fails before the program runs has the codes of a shell, a sentence, and no file.
printf 'not a program\n' >"$dir/text"
child 126 not_executable -- "$dir/text"
check_contains run_not_executable_sentence "$errors" "rsprof: "
check_absent run_not_executable_no_file "$db"
child 126 folder -- "$dir"
check_absent run_folder_no_file "$db"
child 127 not_found -- "$dir/nothing_here"
check_contains run_not_found_sentence "$errors" nothing_here
check_absent run_not_found_no_file "$db"
child 127 not_in_path -- rsprof-no-such-program
check_absent run_not_in_path_no_file "$db"
db=$dir/zero.db
run "$RSPROF" run -q -o "$db" -- "$TARGETS/exits" 0 0
check_equal run_output_exists_exit_code "$status" 125
check_contains run_output_exists_sentence "$errors" "rsprof: "
run "$RSPROF" run -q -o "$dir/none/here.db" -- "$TARGETS/exits" 0 0
check_equal run_no_folder_exit_code "$status" 125
check_equal run_no_folder_child_did_not_run "$out" ""
run "$RSPROF" run -q -o "$dir/nothing.db"
check_equal run_no_command_exit_code "$status" 125
check_absent run_no_command_no_file "$dir/nothing.db"

# A signal to rsprof ends the recording, not the command; rsprof then waits for it and has its status.
start_target "$RSPROF" run -q -o "$dir/interrupted.db" -- "$TARGETS/burn" 60 \
	>"$dir/interrupted.out" 2>"$dir/interrupted.err"
record_pid=$target_pid
wait_for 20 grep -q '^recording ' "$dir/interrupted.err" || not_ok run_interrupted_records "it does not"
burner=$(pgrep -P "$record_pid" -x burn)
kill -TERM "$record_pid"
wait_for 20 grep -q '^saved: ' "$dir/interrupted.err" || not_ok run_interrupted_saves "it does not"
check_finished run_interrupted_finished "$dir/interrupted.db"
check run_interrupted_command_lives kill -0 "$burner"
kill -TERM "$burner"
record_end 20
check_equal run_interrupted_exit_code "$record_status" 143
