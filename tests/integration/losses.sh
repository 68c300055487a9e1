#!/usr/bin/env bash
# What does not reach the database is counted, by cause: what was sampled and what was lost make up the
# target's CPU time. And a stack that is deeper than what is kept is not called complete.
. tests/lib/lib.sh
. tests/integration/common.bash

rate=4000

# CPU time of the target in ns, from the scheduler's own sum.
cpu_ns() {
	awk '{ print $1 }' "/proc/$target_pid/schedstat"
}

has_run() {
	[ "$(cpu_ns)" -gt $((cpu_before + $1)) ]
}

# A ring that is too small, and a reader of it that stands still while the target uses a second of CPU time.
stopped() {
	local name=stopped_$1 cpu_before

	db=$dir/$name.db
	rm -f "$db"
	start_ready "$name" reader 3
	record "$db" -p "$target_pid" --source "$1" --cpu-freq $rate --buffer 64KiB ||
		not_ok "${name}_records" "$(cat "$db.err")"
	cpu_before=$(cpu_ns)
	kill -USR1 "$target_pid"
	wait_for 10 has_run 300000000
	kill -STOP "$record_pid"
	cpu_before=$(cpu_ns)
	wait_for 3 has_run 1000000000
	cpu_before=$(($(cpu_ns) - cpu_before))
	kill -CONT "$record_pid"
	wait_for 60 grep -q '^done' "$truth"
	kill -INT "$record_pid"
	record_end 30
	stop_target
	check_equal "${name}_exit_code" "$record_status" 0
	top "$db"
	if [ "$(of '.losses.system_time_unsampled_ms // 0')" -gt 0 ]; then
		skip "${name}_sums_up" "kernel time may not be sampled by this user"
		return
	fi
	# All that was sampled in that time but what the ring holds. It takes a while until the reader has
	# caught up: more may be lost.
	check_between "${name}_loses" "$(of '.losses.ring_full // 0')" \
		"$(awk "BEGIN { print $cpu_before / 1e9 * $rate * 0.7 - 700 }")" 1000000
	check_samples "${name}_sums_up" "$(of '.total_samples + (.losses.ring_full // 0)')" \
		"$(truth_of cpu_ns)" 5 0 $rate
	# Waits go through the same ring.
	check_losses "${name}_other_losses" "$db" ring_full waits_ring_full waits_unwalked
	run "$RSPROF" top cpu "$db"
	check_contains "${name}_is_said" "$out" "lost"
	check_contains "${name}_hint" "$out$(cat "$db.out")" "--buffer"
	check_contains "${name}_in_the_summary" "$(cat "$db.out")" "ring full"
}

for source in $SOURCES; do
	often 3 stopped "$source"
done

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
