#!/usr/bin/env bash
# Events that are counted one by one: page faults on the right lines, context switches; what this machine
# cannot count is refused.
. tests/lib/lib.sh
. tests/integration/common.bash

# 60 pages in each burst stay below the kernel's limit a tick.
faults() {
	local name=$1_faults touched

	profile $name -e page-faults --source "$1" -- faults 12000 60 || return
	touched=$(truth_of touched)
	check_losses ${name}_losses "$db"
	top "$db" --event page-faults
	check_near ${name}_samples "$(of .total_samples)" "$touched" 2
	check_near ${name}_two_of_three "$(of_line samples faults.c TWO)" "$((touched * 2 / 3))" 2
	check_near ${name}_one_of_three "$(of_line samples faults.c ONE)" "$((touched / 3))" 2
	check_equal ${name}_event_is_named "$(of .event)" page-faults
	# The first pages of printf() and the like are faults too.
	check_between ${name}_complete "$(of .complete_stacks_pct)" 98 100
	check_equal ${name}_are_no_cpu_samples "$(sql "$db" 'SELECT COUNT(*) FROM cpu_samples')" 0
}

# As fast as it can: what the kernel holds back is counted as lost, by cause.
fast_faults() {
	local name=$1_fast_faults

	profile $name -e page-faults --source "$1" -- faults 60000 || return
	check_losses ${name}_other_losses "$db" events_unsampled throttled ring_full
	top "$db" --event page-faults
	check_near ${name}_samples_and_losses \
		"$(of '.total_samples + (.losses.events_unsampled // 0) + (.losses.ring_full // 0)')" \
		"$(truth_of touched)" 2
}

switches() {
	local name=$1_switches

	profile $name -e context-switches --source "$1" -- sleeper 2000 || return
	check_losses ${name}_losses "$db"
	top "$db" --event context-switches
	# Those of a thread that others made way for count too.
	check_between ${name}_samples "$(of .total_samples)" "$(($(truth_of slept) * 98 / 100))" \
		"$(($(truth_of slept) * 102 / 100 + $(truth_of involuntary)))"
	# The switch happens inside libc, and is charged to the line that sleeps.
	check_near ${name}_on_their_line "$(of_function samples sleep_once)" "$(truth_of slept)" 2
	check_between ${name}_complete "$(of .complete_stacks_pct)" 99 100
}

# Two at once: each with its own counts.
both() {
	local name=$1_both

	profile $name -e cpu-clock,page-faults --cpu-freq 999 --source "$1" -- faults 6000 60 || return
	top "$db" --event page-faults
	check_near ${name}_faults "$(of .total_samples)" "$(truth_of touched)" 2
	top "$db" --event cpu-clock
	check_equal ${name}_cpu_is_the_default "$(of .total_samples)" \
		"$("$RSPROF" top cpu "$db" --json | jq .total_samples)"
	check_equal ${name}_cpu_samples "$(sql "$db" 'SELECT SUM(count) FROM cpu_samples')" \
		"$(of .total_samples)"
	check_between ${name}_cpu "$(of .total_samples)" 1 "$(of .duration_ms)"
}

task_clock() {
	local name=$1_task_clock

	profile $name -e task-clock --cpu-freq 999 --source "$1" -- renamer 0.3 || return
	top "$db"
	check_samples ${name}_samples "$(of .total_samples)" \
		"$(($(truth_of early_ns) + $(truth_of late_ns)))" 5 3
}

for source in $SOURCES; do
	if is_root || [ "$(cat /proc/sys/kernel/perf_event_paranoid)" -le 1 ]; then
		often 3 faults "$source"
		often 3 fast_faults "$source"
		often 3 switches "$source"
		often 3 both "$source"
	else
		skip "${source}_faults_samples" "kernel events may not be sampled by this user"
	fi
	often 3 task_clock "$source"
done

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
