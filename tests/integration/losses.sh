#!/usr/bin/env bash
# What does not reach the database is counted, by cause: what was sampled and what was lost make up the
# target's CPU time. And a stack that is deeper than what is kept is not called complete.
. tests/lib/lib.sh
. tests/integration/common.bash

# A ring that is too small, and a reader of it that stands still for a second.
db=$dir/stopped.db
start_ready stopped reader 3
record "$db" -p "$target_pid" --cpu-freq 4000 --buffer 64KiB || not_ok stopped_records "$(cat "$db.err")"
kill -USR1 "$target_pid"
wait_for 10 test "$(awk '{ print $1 }' "/proc/$target_pid/schedstat")" -gt 0
sleep 0.5
kill -STOP "$record_pid"
sleep 1
kill -CONT "$record_pid"
wait_for 60 grep -q '^done' "$truth"
kill -INT "$record_pid"
record_end 30
stop_target
check_equal stopped_exit_code "$record_status" 0
top "$db"
rate=4000
if [ "$(of '.losses.system_time_unsampled_ms // 0')" -gt 0 ]; then
	skip stopped_sums_up "kernel time may not be sampled by this user"
else
	check_between stopped_loses "$(of '.losses.ring_full // 0')" 1000 6000
	check_samples stopped_sums_up "$(of '.total_samples + (.losses.ring_full // 0)')" \
		"$(truth_of cpu_ns)" 5 0 $rate
	check_losses stopped_other_losses "$db" ring_full
	run "$RSPROF" top cpu "$db"
	check_contains stopped_is_said "$out" "lost"
	check_contains stopped_hint "$out$(cat "$db.out")" "--buffer"
	check_contains stopped_in_the_summary "$(cat "$db.out")" "ring full"
fi

# Cut at ten frames of more than forty.
db=$dir/cut.db
start_running "$TARGETS/burn" 30
record "$db" -p "$target_pid" --cpu-freq 999 --frames 10 -d 1s || not_ok cut_records "$(cat "$db.err")"
record_end
stop_target
check_equal cut_exit_code "$record_status" 0
top "$db" --by function
check_between cut_is_told "$(of '100 * .stack_status.truncated / .total_samples')" 97 100
check_between cut_is_not_complete "$(of .complete_stacks_pct)" 0 3
# The innermost are kept.
check_share cut_leaf_stays "$(of_function cpu_pct burn_sixty)" 60 15
check_between cut_main_is_gone "$(of_function incl_pct main)" 0 3
