#!/usr/bin/env bash
# 60, 30 and 10 % below 40 nested calls: shares by function, at 99 Hz over 20 s and at 999 Hz over 5 s.
. tests/lib/lib.sh
. tests/integration/common.bash

# CPU time of a process in ns, from the scheduler's own sum.
cpu_ns() {
	awk '{ print $1 }' "/proc/$1/task/$1/schedstat"
}

# start RATE SECONDS: a target and a recording of it, both running on return.
start() {
	start_running "$TARGETS/burn" $(($2 + 30))
	eval "burn_$1=$target_pid"
	record "$dir/$1.db" -p "$target_pid" --cpu-freq "$1" -d "${2}s" ||
		not_ok "shares_$1_records" "$(cat "$dir/$1.db.err")"
	eval "rec_$1=$record_pid cpu_$1=$(cpu_ns "$target_pid") stolen_$1=$stolen_before"
}

# finish RATE: when its recording is over, that is checked.
finish() {
	local rate=$1 file=$dir/$1.db name pid cpu begin

	eval "record_pid=\$rec_$rate pid=\$burn_$rate begin=\$cpu_$rate stolen_before=\$stolen_$rate"
	record_end 60
	cpu=$(($(cpu_ns "$pid") - begin))
	stop_target "$pid"
	check_equal "shares_${rate}_exit_code" "$record_status" 0
	check_finished "shares_${rate}_finished" "$file"
	check_losses "shares_${rate}_losses" "$file"
	top "$file" --by function
	# The two ends are read by another process: a tenth of a second of it may be missing.
	check_samples "shares_${rate}_samples" "$(of .total_samples)" "$cpu" 3 \
		"$(awk "BEGIN { print $rate / 10 + 2 }")" "$rate"
	check_between "shares_${rate}_complete" "$(of .complete_stacks_pct)" 98 100
	for name in sixty thirty ten; do
		case $name in
		sixty) share=60 ;;
		thirty) share=30 ;;
		ten) share=10 ;;
		esac
		check_share "shares_${rate}_${name}_inclusive" "$(of_function incl_pct burn_$name)" $share 3
		check_share "shares_${rate}_${name}_self" "$(of_function cpu_pct burn_$name)" $share 3
	done
	check_between "shares_${rate}_main_inclusive" "$(of_function incl_pct main)" 97 100
	# Twenty times on each stack, counted once.
	check_between "shares_${rate}_recursion_counted_once" \
		"$(of_function incl_pct descend_even)" 97 100
	check_between "shares_${rate}_recursion_self" "$(of_function cpu_pct descend_even)" 0 3
	check_equal "shares_${rate}_self_sums_to_all" "$(of '[.entries[].samples] | add')" \
		"$(of .total_samples)"
	check_equal "shares_${rate}_sorted" "$(of '[.entries[].samples] | . == (sort | reverse)')" true
}

# At the same time, on two CPUs.
start 99 20
start 999 5
finish 999
finish 99

# By line: each on its own, and the file's name and line number are the source's.
top "$dir/999.db"
line=$(grep -n 'APART static void burn_sixty' tests/targets/burn.c | cut -d: -f1)
check_equal shares_hottest_line "$(of '.entries[0] | "\(.file | split("/") | last):\(.line)"')" \
	"burn.c:$((line + 2))"
check_share shares_hottest_line_share "$(of '.entries[0].cpu_pct')" 60 3

# The table says the same.
run "$RSPROF" top cpu "$dir/999.db" --by function -n 1
check_contains shares_table_names_the_hottest "$out" burn_sixty
run "$RSPROF" top cpu "$dir/999.db" --by function --csv -n 1
check_equal shares_csv_header "$(head -n 1 <<<"$out" | cut -d, -f1-4)" cpu_pct,file,line,function
check_share shares_csv_value "$(sed -n 2p <<<"$out" | cut -d, -f1)" 60 3

# The summary at the end: ten rows at most, samples, losses, share of complete stacks, file.
summary=$(cat "$dir/99.db.out")
check_contains shares_summary_rows "$summary" burn_sixty
check_contains shares_summary_file "$summary" 99.db
check_contains shares_summary_complete "$summary" complete
check_contains shares_summary_losses "$summary" lost
