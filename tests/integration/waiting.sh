#!/usr/bin/env bash
# Time that is waited: how much, of which kind and on which line, beside the CPU's samples; threads that sleep
# all the time; every one of 20,000 distinct stacks.
. tests/lib/lib.sh
. tests/integration/common.bash

if [ -z "$wait_sources" ]; then
	skip waiting_shares "no source of waiting time works here"
	exit 0
fi
# What it may cost is not what is tested here: nothing is left out.
options=(--cpu-freq 999 --max-overhead 100)

# share KEY FILE WORD: of the main thread's wall time, in percent, what is on that line.
share() {
	awk "BEGIN { print 100 * $(of_line "$1" "$2" "$3") / $(truth_of wall_ns) }"
}

# truth_share KEY
truth_share() {
	awk "BEGIN { print 100 * $(truth_of "$1") / $(truth_of wall_ns) }"
}

kind_of_line() {
	of "[.entries[] | select((.file | endswith(\$file)) and .line == $(line_in "$1" "$2")) | .kind] |
		unique | join(\" \")" file "$1"
}

# The sum of a key over all rows; shares and totals are of all threads.
all_of() {
	of "[.entries[].$1] | add // 0"
}

# check_whole NAME THREAD: waiting and running make up its whole time.
check_whole() {
	top_wait "$db" --thread "$2"
	check_near "$1" $(($(all_of wait_ns) + $(all_of run_ns))) "$(of '.duration_ms * 1000000')" 2 20000000
}

# check_parts NAME: of the three parts of waiter's main thread.
check_parts() {
	local name=$1

	check_share "${name}_program_sleeps" "$(truth_share slept_ns)" 40 2
	check_share "${name}_program_waits" "$(truth_share locked_ns)" 30 2
	check_share "${name}_program_computes" "$(truth_share computed_ns)" 30 2
	check_losses "${name}_losses" "$db"
	top_wait "$db" --thread waiter
	figure "$name" "sleeps $(share wait_ns waiter.c SLEEP) %, waits for the lock" \
		"$(share wait_ns waiter.c LOCK) %, runs" \
		"$(awk "BEGIN { print 100 * $(all_of run_ns) / $(truth_of wall_ns) }") %"
	check_share "${name}_sleeps" "$(share wait_ns waiter.c SLEEP)" 40 3
	check_share "${name}_waits_for_lock" "$(share wait_ns waiter.c LOCK)" 30 3
	check_share "${name}_sleeps_as_it_says" "$(share wait_ns waiter.c SLEEP)" "$(truth_share slept_ns)" 3
	check_share "${name}_waits_as_it_says" "$(share wait_ns waiter.c LOCK)" "$(truth_share locked_ns)" 3
	check_share "${name}_runs" \
		"$(awk "BEGIN { print 100 * $(all_of run_ns) / $(truth_of wall_ns) }")" \
		"$(truth_share computed_cpu_ns)" 3
	check_equal "${name}_sleep_kind" "$(kind_of_line waiter.c SLEEP)" sleep
	check_equal "${name}_lock_kind" "$(kind_of_line waiter.c LOCK)" lock
	top_wait "$db" --thread waiter --by function
	# Where others use the CPUs too, a part of it is waiting for one.
	check_share "${name}_computes" "$(awk "BEGIN { print 100 * ($(all_of run_ns) + \
		$(of_function incl_wait_ns compute_part)) / $(truth_of wall_ns) }")" 30 3
	check_share "${name}_sleep_function" \
		"$(awk "BEGIN { print 100 * $(of_function incl_wait_ns sleep_part) / $(truth_of wall_ns) }")" 40 3
	check_share "${name}_lock_function" \
		"$(awk "BEGIN { print 100 * $(of_function incl_wait_ns lock_part) / $(truth_of wall_ns) }")" 30 3
	# The CPU's samples beside it are where it computes.
	top "$db" --thread waiter
	check_samples "${name}_cpu_on_its_line" "$(of_line samples waiter.c COMPUTE)" \
		"$(truth_of computed_cpu_ns)" 8 5
}

attached() {
	profile "${source}_attached" "${options[@]}" --source "$source" -- waiter 2 || return
	check_parts "${source}_attached"
	check_whole "${source}_attached_whole_time" waiter
	check_whole "${source}_holder_whole_time" holder
	# Asleep since before the recording, and still when it ends.
	check_whole "${source}_asleep_throughout" forever
	check_between "${source}_asleep_throughout_does_not_run" "$(all_of run_ns)" 0 1000000
	top_wait "$db"
	check_equal "${source}_run_ns_sums_up" "$(all_of run_ns)" "$(of .total_run_ns)"
	check_equal "${source}_wait_ns_sums_up" "$(all_of wait_ns)" "$(of .total_wait_ns)"
	check_equal "${source}_kinds_sum_up" "$(of '[.kinds[]] | add')" "$(of .total_wait_ns)"
}

started() {
	profile_run "${source}_started" "${options[@]}" --source "$source" -- "$TARGETS/waiter" 1 now
	check_parts "${source}_started"
	top_wait "$db" --thread forever
	check_near "${source}_started_sleeps_on" "$(of_line wait_ns waiter.c FOREVER)" \
		"$(truth_of wall_ns)" 5 30000000
	check_equal "${source}_started_sleep_kind" "$(kind_of_line waiter.c FOREVER)" sleep
}

kinds() {
	local part function kind name=${source}_kinds

	profile $name "${options[@]}" --source "$source" -- waitkinds 10 || return
	check_losses ${name}_losses "$db"
	top_wait "$db" --by function
	for part in 'lock lock wait_for_lock' 'sleep sleep wait_asleep' 'io io wait_for_pipe' \
		'poll poll wait_for_one_of_several' 'child child wait_for_child'; do
		read -r part kind function <<<"$part"
		check_equal "${name}_$part" \
			"$(of '[.entries[] | select(.function == $name) | .kind] | join(" ")' name "$function")" "$kind"
		check_near "${name}_${part}_time" "$(of_function wait_ns "$function")" \
			"$(truth_of "${part}_ns")" 5 10000000
	done
	check_equal ${name}_queue \
		"$(of '[.entries[] | select(.function == "wait_for_cpu") | .kind] | join(" ")')" "run queue"
	# All of its time but what it ran.
	check_near ${name}_queue_time "$(of_function incl_wait_ns wait_for_cpu)" \
		$(($(truth_of queue_ns) - $(truth_of queue_cpu_ns))) 10 20000000
	figure "$name" "$(of '[.entries[] | select(.wait_ns > 50000000) | "\(.function) \(.kind)"] | join(", ")')"
}

# A thread that calls exec gets the first one's number, before anybody is told: what ran is counted once.
thread_execs() {
	local name=${source}_thread_execs

	profile_run "$name" "${options[@]}" --source "$source" -- "$TARGETS/threadexec" 40
	top_wait "$db" --by thread -n 100
	check_near "${name}_ran" "$(all_of run_ns)" "$(truth_of cpu_ns)" 20 20000000
	check_between "${name}_time_of_one" "$(of '[.entries[] | .wait_ns + .run_ns] | max')" 0 \
		"$(of '.duration_ms * 1000000 + 20000000')"
}

# waits_sql EXPRESSION: over the waits on waitstacks' line, by the table behind the views.
waits_sql() {
	sql "$db" "SELECT $1 FROM samples s JOIN events e ON e.id = s.event_id
		JOIN stacks k ON k.id = s.stack_id JOIN symbols y ON y.addr = k.addr
		WHERE e.name = 'wait-time' AND y.function = 'wait_shortly' AND s.kind = 4"
}

# stacks NAME COUNT ROUNDS [OPTION…]
stacks() {
	local name=${source}_$1 complete

	profile "$name" "${options[@]}" "${@:4}" --source "$source" -- waitstacks "$2" "$3" || return
	check_losses "${name}_losses" "$db"
	figure "$name" "$(waits_sql 'COUNT(DISTINCT s.stack_id)') distinct waiting stacks of $2," \
		"$(waits_sql 'SUM(s.count)') waits of $(truth_of voluntary)"
	check_equal "${name}_all_there" "$(waits_sql 'COUNT(DISTINCT s.stack_id)')" "$2"
	check_near "${name}_all_waits" "$(waits_sql 'SUM(s.count)')" "$(truth_of voluntary)" 1
	check_between "${name}_time" "$(waits_sql 'SUM(s.value)')" \
		"$(awk "BEGIN { print $(truth_of voluntary) * 20000 * 0.9 }")" "$(truth_of wall_ns)"
	complete=$(waits_sql 'ROUND(100.0 * SUM(s.count * (k.status = 0)) / SUM(s.count), 3)')
	figure "${name}_complete" "$complete %"
	check_between "${name}_complete" "$complete" 99.9 100
	# The view that any sqlite3 reads says the same.
	check_equal "${name}_view" \
		"$(sql "$db" "SELECT SUM(w.waits), SUM(w.wait_ns) FROM wait_samples w JOIN symbols y USING (addr)
			WHERE y.function = 'wait_shortly' AND w.kind = 'sleep'")" \
		"$(waits_sql 'SUM(s.count)')|$(waits_sql 'SUM(s.value)')"
	top_wait "$db" --by function
	check_near "${name}_top" "$(of_function waits wait_shortly)" "$(truth_of voluntary)" 1
}

for source in $wait_sources; do
	often 3 attached
	often 3 started
	often 3 kinds
	often 3 thread_execs
	often 2 stacks stacks 20000 2
	# Again and again the same ones: still each once.
	often 2 stacks stacks_again 1000 8
	# Samples fall into the programs that see the waits: neither spoils the other's stacks.
	if [ "$source" = bpf ]; then
		often 2 stacks stacks_stressed 5000 3 --cpu-freq 10000
		top "$db"
		check_between bpf_stacks_stressed_cpu_complete "$(of .complete_stacks_pct)" 99 100
		check_between bpf_stacks_stressed_cpu_samples "$(of .total_samples)" 500 1000000
	fi
done

# Not asked for: nothing of it is recorded, and that is said.
if profile no_waits -e cpu-clock -- waiter 0.2; then
	check_refusal waiting_not_recorded 2 "$RSPROF" top wait "$db"
	check_equal waiting_not_recorded_no_rows "$(sql "$db" 'SELECT COUNT(*) FROM wait_samples')" 0
fi
exit 0
