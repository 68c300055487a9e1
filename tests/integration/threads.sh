#!/usr/bin/env bash
# Samples by thread against each thread's own CPU time: 64 threads, half of them started after attach, user
# and system time; a thread that changes its name; 1,000 threads with few descriptors.
. tests/lib/lib.sh
. tests/integration/common.bash

# The threads' names and numbers with their samples, from `top --by thread`: "TID SAMPLES" lines.
by_tid() {
	top "$1" --by thread
	of '.entries[] | "\(.function | capture("\\((?<tid>[0-9]+)\\)$").tid) \(.samples)"'
}

# judge_threads FILE SECONDS: "64 threads", with those before it that are not within the larger of 5 % and 3
# samples. Where the machine needed longer than it would have alone, that band is as much wider: threads that
# are switched more often lose more parts of periods (perf record then says the same).
judge_threads() {
	by_tid "$1" |
		awk -v truth="$truth" -v seconds="$2" -v cpus="$cpus" '
			function sum_of_cpu_seconds(line, field, sum) {
				while ((getline line < truth) > 0) {
					if (split(line, field, " ") == 7 && field[1] == "thread")
						sum += field[4] / 1e9
				}
				close(truth)
				return sum
			}
			BEGIN {
				wider = seconds / (sum_of_cpu_seconds() / cpus + 0.1)
				wider = wider < 1 ? 1 : wider > 3 ? 3 : wider
			}
			{ samples[$1] += $2 }
			END {
				while ((getline line < truth) > 0) {
					if (split(line, field, " ") != 7 || field[1] != "thread")
						continue
					want = field[4] / 1e9 * 999
					room = (want * 0.05 > 3 ? want * 0.05 : 3) * wider
					stalled = field[7] / 1e9 * 999
					got = samples[field[2]] + 0
					threads++
					if (got < want - room - stalled || got > want + room)
						printf "%s has %d samples, %.1f expected; ", field[3], got, want
				}
				printf "%d threads\n", threads
			}'
}

# each_thread SECONDS: a recording of the 64 threads, which use that much of every CPU.
each_thread() {
	local name=${source}_threads begin seconds

	db=$dir/$name.db
	rm -f "$db"
	start_ready $name threads64 "$(awk "BEGIN { print $1 * $cpus }")"
	record "$db" -p "$target_pid" --cpu-freq 999 --source "$source" ||
		not_ok ${name}_records "$(cat "$db.err")"
	begin=$EPOCHREALTIME
	kill -USR1 "$target_pid"
	# The target ends by itself, and the recording with it.
	wait_for 120 lib_is_gone "$target_pid"
	seconds=$(awk "BEGIN { print $EPOCHREALTIME - $begin }")
	record_end 60
	stop_target
	check_equal ${name}_exit_code "$record_status" 0
	check_equal ${name}_each_within_5_percent "$(judge_threads "$db" "$seconds")" "64 threads"
	check_losses ${name}_losses "$db"
	check_samples ${name}_all_together "$(of .total_samples)" \
		"$(awk '$1 == "thread" { sum += $4 } END { print sum }' "$truth")" 3
	# libc's read() has no frame of its own, which is no obstacle to unwind tables.
	check_between ${name}_complete "$(of .complete_stacks_pct)" 99 100
	top "$db" --thread w01
	check_between ${name}_reader_in_kernel \
		"$(of '100 * ([.entries[].kernel_samples] | add) / ([.entries[].samples] | add)')" 70 100
	top "$db" --thread w02
	check_between ${name}_burner_in_user \
		"$(of '100 * ([.entries[].kernel_samples] | add) / ([.entries[].samples] | add)')" 0 15
}

cpus=$(nproc)
[ "$cpus" -le 16 ] || cpus=16
if is_root || [ "$(cat /proc/sys/kernel/perf_event_paranoid)" -le 1 ]; then
	length=9.5
	for source in $SOURCES; do
		often 3 each_thread $length
	done
else
	skip threads_each_within_5_percent "kernel time may not be sampled by this user"
fi

renamed() {
	local name=${source}_renamer early

	profile $name --cpu-freq 999 --source "$source" -- renamer 0.5 || return
	top "$db" --thread early
	check_samples ${name}_early "$(of '[.entries[].samples] | add // 0')" "$(truth_of early_ns)" 5 3
	top "$db" --thread late
	check_samples ${name}_late "$(of '[.entries[].samples] | add // 0')" "$(truth_of late_ns)" 5 3
	top "$db" --by thread
	check_equal ${name}_two_rows_of_one_thread \
		"$(of '[.entries[].function | select(test("^(early|late) ")) |
			capture("\\((?<tid>[0-9]+)\\)").tid] | "\(length) \(unique | length)"')" "2 1"
	check_losses ${name}_losses "$db"
}

# Descriptors for all: none is left out.
many() {
	local name=${source}_many options=()

	# The rings hold what a thousand threads copy at once.
	[ "$source" != perf ] || options=(--stack-copy 1024)
	profile $name --cpu-freq 999 --source "$source" ${options[@]+"${options[@]}"} -- \
		manythreads 1000 6 || return
	check_losses ${name}_losses "$db"
	# 6 ms each: a thread loses the part of a period that it ends with on each CPU.
	check_samples ${name}_samples "$(of .total_samples)" "$(truth_of cpu_ns)" 35
}

for source in $SOURCES; do
	often 3 renamed
	if [ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -ge $((1100 * $(nproc))) ]; then
		often 3 many
	else
		skip "${source}_many_losses" "the limit of open files is too low for 1,000 threads"
	fi
done

# Descriptors for a few: the others are counted and said, and the recording works.
few_record() {
	ulimit -n 256
	exec "$RSPROF" -p "$many" -q --cpu-freq 999 --source perf -o "$db"
}

few() {
	db=$dir/few.db
	rm -f "$db"
	start_ready few manythreads 1000 6
	many=$target_pid
	start_target few_record >"$db.out" 2>"$db.err"
	record_pid=$target_pid
	wait_for 30 grep -q '^recording ' "$db.err" || not_ok few_records "$(cat "$db.err")"
	kill -USR1 "$many"
	wait_for 60 grep -q '^done' "$truth"
	stop_target "$many"
	record_end 30
	check_equal few_exit_code "$record_status" 0
	top "$db"
	check_between few_not_opened_counted "$(of '.losses.threads_not_opened // 0')" 745 1000
	check_contains few_not_opened_said "$(cat "$db.out" "$db.err")" "open files"
	check_near few_the_others_sampled "$(of .total_samples)" \
		"$(of '(1001 - (.losses.threads_not_opened // 0)) * 6')" 40 12
}

! has_source perf || often 3 few
exit 0
