#!/usr/bin/env bash
# Complete stacks of programs without frame pointers: through libc, in signal handlers, in Debian's own
# binaries, and for ordinary users; and what is said where the stack was deeper than the copy of it.
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

if profile tables --cpu-freq 999 -- noframes 1; then
	top "$db" --by function
	check_between tables_complete "$(of .complete_stacks_pct)" 99 100
	check_thirds tables
	check_near tables_recursion_counts_once "$(inclusive descend)" "$(inclusive go_deep)" 1 2
	check_equal tables_charges_the_comparison \
		"$(of '[.entries[] | select(.samples > 100) | .function] | sort | join(" ")')" \
		"burn_deep compare_slowly handle"
	check_losses tables_losses "$db"
fi

# The first instruction on: loader and start-up too.
run timeout 60 "$RSPROF" run -q --cpu-freq 999 -o "$dir/start.db" -- "$TARGETS/noframes" 1 now
check_equal start_exit_code "$status" 0
top "$dir/start.db"
check_between start_complete "$(of .complete_stacks_pct)" 99 100

# Along frame pointers, the same program hides callers, and nobody calls such a stack complete.
if profile pointers --cpu-freq 999 --stack-copy 0 -- noframes 0.5; then
	top "$db"
	check_between pointers_complete "$(of .complete_stacks_pct)" 0 10
	check_near pointers_every_stack_is_judged \
		"$(of '.stack_status | to_entries | map(.value) | add')" "$(of .total_samples)" 0
	check_equal pointers_none_is_left_unjudged "$(of .stack_status.frame_pointers)" 0
fi

# A copy that is too short keeps the innermost frames and says that it is.
if profile short --cpu-freq 999 --stack-copy 256 -- noframes 0.5; then
	top "$db" --by function
	check_between short_truncated "$(of '100 * .stack_status.truncated / .total_samples')" 20 100
	check_samples short_innermost "$(inclusive burn_deep)" "$(truth_of deep_ns)" 6 3
fi
if profile few --cpu-freq 999 --frames 40 -- noframes 0.5; then
	top "$db" --by function
	check_samples few_truncated "$(of .stack_status.truncated)" "$(truth_of deep_ns)" 6 3
fi

check_refusal copy_too_large 2 "$RSPROF" -p $$ -q -d 1s --stack-copy 1M -o "$dir/large.db"
check_absent copy_too_large_no_file "$dir/large.db"

# Built by Debian, without frame pointers.
if command -v sqlite3 >/dev/null; then
	run timeout 60 "$RSPROF" run -q --cpu-freq 999 -o "$dir/sqlite.db" -- sqlite3 :memory: \
		"CREATE TABLE t(a, b);
		WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 300000)
			INSERT INTO t SELECT x, (x * 7919) % 100003 FROM c;
		CREATE INDEX i ON t(b); SELECT COUNT(*) FROM t WHERE b > 5;"
	check_equal debian_sqlite_exit_code "$status" 0
	top "$dir/sqlite.db" --by function
	check_between debian_sqlite_complete "$(of .complete_stacks_pct)" 99 100
	check_between debian_sqlite_has_samples "$(of .total_samples)" 50 100000
fi
if [ -x /usr/bin/python3 ]; then
	run timeout 60 "$RSPROF" run -q --cpu-freq 999 -o "$dir/python.db" -- /usr/bin/python3 -c \
		'f = lambda n: n if n < 2 else f(n - 1) + f(n - 2); print(f(33))'
	check_equal debian_python_exit_code "$status" 0
	top "$dir/python.db" --by function
	check_between debian_python_complete "$(of .complete_stacks_pct)" 97 100
else
	skip debian_python_complete "there is no /usr/bin/python3"
fi

# What an ordinary user may do with a process of its own.
if as_ordinary noframes && profile ordinary --cpu-freq 999 -- noframes 1; then
	top "$db" --by function
	check_between ordinary_complete "$(of .complete_stacks_pct)" 95 100
	check_near ordinary_through_qsort "$(inclusive sort_slowly)" \
		"$(awk "BEGIN { print $(truth_of sorted_ns) / 1e9 * 999 }")" 12 3
fi
exit 0
