#!/usr/bin/env bash
# Complete stacks of programs without frame pointers by perf alone, from copies of the stack: through libc, in
# signal handlers, for ordinary users; and what is said where the stack was deeper than the copy of it.
. tests/lib/lib.sh
. tests/integration/common.bash

inclusive() {
	of "[.entries[] | select(.function == \$name) | .incl_samples] | max // 0" name "$1"
}

# Each third under the function that leads to it, which only a walk through libc can see.
check_thirds() {
	local name=$1

	check_samples "${name}_through_qsort" "$(inclusive sort_slowly)" "$(truth_of sorted_ns)" 6 3
	check_samples "${name}_sixty_deep" "$(inclusive go_deep)" "$(truth_of deep_ns)" 6 3
	check_samples "${name}_through_a_signal_handler" "$(inclusive interrupt_itself)" \
		"$(truth_of handled_ns)" 6 3
}

tables() {
	profile tables --cpu-freq 999 --source perf -- noframes 1 || return
	check_losses tables_losses "$db"
	top "$db" --by function
	figure tables "$(of .complete_stacks_pct) % of $(of .total_samples) stacks complete"
	check_between tables_complete "$(of .complete_stacks_pct)" 99 100
	check_thirds tables
	check_near tables_recursion_counts_once "$(inclusive descend)" "$(inclusive go_deep)" 1 2
	check_equal tables_charges_the_comparison \
		"$(of '[.entries[] | select(.samples > 100) | .function] | sort | join(" ")')" \
		"burn_deep compare_slowly handle"
}
often 3 tables

# Along frame pointers, the same program hides callers, and nobody calls such a stack complete.
if profile pointers --cpu-freq 999 --source perf --stack-copy 0 -- noframes 0.5; then
	top "$db"
	check_between pointers_complete "$(of .complete_stacks_pct)" 0 10
	check_near pointers_every_stack_is_judged \
		"$(of '.stack_status | to_entries | map(.value) | add')" "$(of .total_samples)" 0
	check_equal pointers_none_is_left_unjudged "$(of .stack_status.frame_pointers)" 0
fi

# A copy that is too short keeps the innermost frames and says that it is.
short() {
	profile short --cpu-freq 999 --source perf --stack-copy 256 -- noframes 0.5 || return
	top "$db" --by function
	check_between short_truncated "$(of '100 * .stack_status.truncated / .total_samples')" 20 100
	check_samples short_innermost "$(inclusive burn_deep)" "$(truth_of deep_ns)" 6 3
}
few() {
	profile few --cpu-freq 999 --source perf --frames 40 -- noframes 0.5 || return
	top "$db" --by function
	check_samples few_truncated "$(of .stack_status.truncated)" "$(truth_of deep_ns)" 6 3
}
often 3 short
often 3 few

# A copy holds one stack only: of a handler that has one of its own, the rest is missing, and that is said.
profile_run handler --cpu-freq 999 --source perf -- "$TARGETS/sortsig" 0.5 now
top "$db" --by function
check_between handler_stack_is_flagged "$(of '.stack_status | to_entries |
	map(select(.key != "complete") | .value) | add')" "$(of_function samples handler_burn)" 100000
check_between handler_is_not_complete "$(sql "$db" "SELECT TOTAL(t.count * (k.status = 0))
	FROM totals t JOIN stacks k ON k.id = t.stack_id
	WHERE k.addr IN (SELECT addr FROM symbols WHERE function = 'handler_burn')")" 0 3

check_refusal copy_too_large 2 "$RSPROF" -p $$ -q -d 1s --stack-copy 1M -o "$dir/large.db"
check_absent copy_too_large_no_file "$dir/large.db"

# What an ordinary user may do with a process of its own.
ordinary() {
	profile ordinary --cpu-freq 999 -- noframes 1 || return
	top "$db" --by function
	figure ordinary "$(of .complete_stacks_pct) % of $(of .total_samples) stacks complete"
	check_between ordinary_complete "$(of .complete_stacks_pct)" 95 100
	check_near ordinary_through_qsort "$(inclusive sort_slowly)" \
		"$(awk "BEGIN { print $(truth_of sorted_ns) / 1e9 * 999 }")" 12 3
}

# ordinary_run NAME COMMAND…: from its first instruction on.
ordinary_run() {
	local name=ordinary_$1 file=$dir/ordinary_$1.db

	shift
	rm -f "$file"
	run timeout -k 5 60 "${as[@]}" "$RSPROF" run -q --cpu-freq 999 -o "$file" -- "$@"
	check_equal "${name}_exit_code" "$status" 0
	top "$file"
	figure "$name" "$(of .complete_stacks_pct) % of $(of .total_samples) stacks complete"
	check_between "${name}_has_samples" "$(of .total_samples)" 50 1000000
	check_between "${name}_complete" "$(of .complete_stacks_pct)" 95 100
}

programs=(noframes)
[ ! -x "$TARGETS/deep" ] || programs+=(deep)
if ! as_ordinary "${programs[@]}"; then
	skip ordinary_complete "setpriv is not installed"
	exit 0
fi
often 3 ordinary
[ ! -x "$TARGETS/deep" ] || often 2 ordinary_run deep "$TARGETS/deep" 0.3
if [ -x /usr/bin/python3 ]; then
	often 2 ordinary_run python3 /usr/bin/python3 -c \
		'f = lambda n: n if n < 2 else f(n - 1) + f(n - 2); print(f(32))'
fi
if [ -x /usr/bin/sqlite3 ]; then
	often 2 ordinary_run sqlite3 /usr/bin/sqlite3 :memory: \
		"CREATE TABLE t(a, b);
		WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 300000)
			INSERT INTO t SELECT x, (x * 7919) % 100003 FROM c;
		CREATE INDEX i ON t(b); SELECT COUNT(*) FROM t WHERE b > 5;"
fi
exit 0
