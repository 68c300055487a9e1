#!/usr/bin/env bash
# Events that are counted one by one: page faults on the right lines, context switches; what this machine
# cannot count is refused.
. tests/lib/lib.sh
. tests/integration/common.bash

line_of() {
	grep -n "// $1\$" tests/targets/faults.c | cut -d: -f1
}

of_line() {
	of "[.entries[] | select((.file | endswith(\"faults.c\")) and .line == $(line_of "$1")) |
		.samples] | add // 0"
}

if is_root || [ "$(cat /proc/sys/kernel/perf_event_paranoid)" -le 1 ]; then
	# 60 pages in each burst stay below the kernel's limit a tick.
	if profile faults -e page-faults -- faults 12000 60; then
		touched=$(truth_of touched)
		top "$db" --event page-faults
		check_near faults_samples "$(of .total_samples)" "$touched" 2
		check_near faults_two_of_three "$(of_line TWO)" "$((touched * 2 / 3))" 2
		check_near faults_one_of_three "$(of_line ONE)" "$((touched / 3))" 2
		check_equal faults_event_is_named "$(of .event)" page-faults
		check_losses faults_losses "$db"
		# The first pages of printf() and the like are faults too, with libc's broken stacks.
		check_between faults_complete "$(of .complete_stacks_pct)" 98 100
		check_equal faults_are_no_cpu_samples "$(sql "$db" 'SELECT COUNT(*) FROM cpu_samples')" 0
	fi

	# As fast as it can: what the kernel holds back is counted as lost, by cause.
	if profile fast_faults -e page-faults -- faults 60000; then
		top "$db" --event page-faults
		check_near fast_faults_samples_and_losses \
			"$(of '.total_samples + (.losses.events_unsampled // 0) + (.losses.ring_full // 0)')" \
			"$(truth_of touched)" 2
		check_losses fast_faults_other_losses "$db" events_unsampled throttled ring_full
	fi

	if profile switches -e context-switches -- sleeper 2000; then
		top "$db" --event context-switches
		check_near switches_samples "$(of .total_samples)" "$(truth_of slept)" 2
		check_losses switches_losses "$db"
		# The switch happens inside libc, and is charged to the line that sleeps.
		check_near switches_on_their_line "$(of_function samples sleep_once)" "$(truth_of slept)" 2
	fi

	# Two at once: each with its own counts.
	if profile both -e cpu-clock,page-faults --cpu-freq 999 -- faults 6000 60; then
		top "$db" --event page-faults
		check_near both_faults "$(of .total_samples)" "$(truth_of touched)" 2
		top "$db" --event cpu-clock
		check_equal both_cpu_is_the_default "$(of .total_samples)" \
			"$("$RSPROF" top cpu "$db" --json | jq .total_samples)"
		check_equal both_cpu_samples "$(sql "$db" 'SELECT SUM(count) FROM cpu_samples')" \
			"$(of .total_samples)"
		check_between both_cpu "$(of .total_samples)" 1 900
	fi
else
	skip faults_samples "kernel events may not be sampled by this user"
fi

if profile task -e task-clock --cpu-freq 999 -- renamer 0.5; then
	top "$db"
	check_samples task_clock_samples "$(of .total_samples)" \
		"$(($(truth_of early_ns) + $(truth_of late_ns)))" 5
fi

# Hardware counters: refused with a sentence where there are none.
start_running "$TARGETS/burn" 30
if compgen -G '/sys/bus/event_source/devices/cpu*' >/dev/null; then
	skip no_counter "this machine has hardware counters"
else
	for event in cpu-cycles instructions cache-misses; do
		check_refusal "no_counter_${event/-/_}" 2 \
			"$RSPROF" -p "$target_pid" -q -d 1s -e "$event" -o "$dir/$event.db"
		check_contains "no_counter_${event/-/_}_named" "$errors" "$event"
		check_contains "no_counter_${event/-/_}_lists_what_can" "$errors" cpu-clock
		check_absent "no_counter_${event/-/_}_no_file" "$dir/$event.db"
	done
	check_refusal no_counter_among_others 2 \
		"$RSPROF" -p "$target_pid" -q -d 1s -e cpu-clock,cpu-cycles -o "$dir/mixed.db"
	check_absent no_counter_among_others_no_file "$dir/mixed.db"
fi
check_refusal unknown_event 2 "$RSPROF" -p "$target_pid" -q -d 1s -e cpu-clocks -o "$dir/unknown.db"
check_contains unknown_event_named "$errors" cpu-clocks
check_contains unknown_event_lists "$errors" page-faults
check_absent unknown_event_no_file "$dir/unknown.db"
