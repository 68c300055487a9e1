#!/usr/bin/env bash
# 60, 30 and 10 % below 40 nested calls: shares by function, at 99 Hz over 20 s by the source that is the
# default, and at 999 Hz over some seconds by each.
. tests/lib/lib.sh
. tests/integration/common.bash

# CPU time of a process in ns, from the scheduler's own sum.
cpu_ns() {
	awk '{ print $1 }' "/proc/$1/task/$1/schedstat"
}

# start RATE SECONDS [SOURCE]: a target and a recording of it, both running on return.
start() {
	local name=${3:-default}_$1 options=()

	[ $# -lt 3 ] || options=(--source "$3")
	start_running "$TARGETS/burn" $(($2 + 30))
	eval "burn_$name=$target_pid"
	rm -f "$dir/$name.db"
	record "$dir/$name.db" -p "$target_pid" --cpu-freq "$1" -d "${2}s" ${options[@]+"${options[@]}"} ||
		not_ok "shares_${name}_records" "$(cat "$dir/$name.db.err")"
	eval "rec_$name=$record_pid cpu_$name=$(cpu_ns "$target_pid") stolen_$name=$stolen_before"
}

# finish RATE SECONDS [SOURCE]: when its recording is over, that is checked.
finish() {
	local name=${3:-default}_$1 rate=$1 file pid cpu begin room

	file=$dir/$name.db
	eval "record_pid=\$rec_$name pid=\$burn_$name begin=\$cpu_$name stolen_before=\$stolen_$name"
	record_end 60
	cpu=$(($(cpu_ns "$pid") - begin))
	stop_target "$pid"
	check_equal "shares_${name}_exit_code" "$record_status" 0
	check_finished "shares_${name}_finished" "$file"
	check_losses "shares_${name}_losses" "$file"
	top "$file" --by function
	figure "shares_$name" "$(of_function cpu_pct burn_sixty), $(of_function cpu_pct burn_thirty)," \
		"$(of_function cpu_pct burn_ten) % of $(of .total_samples) samples"
	# The two ends are read by another process: a tenth of a second of it may be missing.
	check_samples "shares_${name}_samples" "$(of .total_samples)" "$cpu" 3 \
		"$(awk "BEGIN { print $rate / 10 + 2 }")" "$rate"
	check_between "shares_${name}_complete" "$(of .complete_stacks_pct)" 98 100
	# Three points, and wider by chance where others left the target less of a CPU.
	room=$(awk "BEGIN { print 3 * sqrt($rate * $2 / ($(of .total_samples) + 1)) }")
	room=$(awk "BEGIN { print ($room > 3 ? $room : 3) }")
	check_shares sixty 60
	check_shares thirty 30
	check_shares ten 10
	check_between "shares_${name}_main_inclusive" "$(of_function incl_pct main)" 97 100
	# Twenty times on each stack, counted once.
	check_between "shares_${name}_recursion_counted_once" \
		"$(of_function incl_pct descend_even)" 97 100
	check_between "shares_${name}_recursion_self" "$(of_function cpu_pct descend_even)" 0 3
	check_equal "shares_${name}_self_sums_to_all" "$(of '[.entries[].samples] | add')" \
		"$(of .total_samples)"
	check_equal "shares_${name}_sorted" "$(of '[.entries[].samples] | . == (sort | reverse)')" true
}

check_shares() {
	check_share "shares_${name}_$1_inclusive" "$(of_function incl_pct "burn_$1")" "$2" "$room"
	check_share "shares_${name}_$1_self" "$(of_function cpu_pct "burn_$1")" "$2" "$room"
}

# By line: each on its own, and the file's name and line number are the source's.
check_lines() {
	local name=$1_999 line

	top "$dir/$name.db"
	line=$(grep -n 'APART static void burn_sixty' tests/targets/burn.c | cut -d: -f1)
	check_equal "shares_${name}_hottest_line" \
		"$(of '.entries[0] | "\(.file | split("/") | last):\(.line)"')" "burn.c:$((line + 2))"
	check_share "shares_${name}_hottest_line_share" "$(of '.entries[0].cpu_pct')" 60 5
}

at_999() {
	start 999 4 "$1"
	finish 999 4 "$1"
	check_lines "$1"
}

# Meanwhile the long one, on another CPU.
start 99 20
for source in $SOURCES; do
	often 2 at_999 "$source"
done
finish 99 20

# The table says the same.
db=$dir/${SOURCES%% *}_999.db
run "$RSPROF" top cpu "$db" --by function -n 1
check_contains shares_table_names_the_hottest "$out" burn_sixty
run "$RSPROF" top cpu "$db" --by function --csv -n 1
check_equal shares_csv_header "$(head -n 1 <<<"$out" | cut -d, -f1-4)" cpu_pct,file,line,function
check_share shares_csv_value "$(sed -n 2p <<<"$out" | cut -d, -f1)" 60 5

# The summary at the end: ten rows at most, samples, losses, share of complete stacks, file.
summary=$(cat "$dir/default_99.db.out")
check_contains shares_summary_rows "$summary" burn_sixty
check_contains shares_summary_file "$summary" 99.db
check_contains shares_summary_complete "$summary" complete
check_contains shares_summary_losses "$summary" lost
