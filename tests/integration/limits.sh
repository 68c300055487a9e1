#!/usr/bin/env bash
# Where a bound of the bpf source bites: unwind tables that find no room in the kernel, waits that cost more
# than they may. What was asked for goes on, and what is missing is said. And a compiler of a hundred megabytes
# of code, from its first instruction.
. tests/lib/lib.sh
. tests/integration/common.bash

if ! has_source bpf; then
	skip limits "no bpf source works here"
	exit 0
fi

# compile NAME PERCENT OPTION… -- COMMAND…
compile() {
	local name=$1 percent=$2

	shift 2
	profile_run "$name" --source bpf -e cpu-clock --cpu-freq 999 "$@" || return
	top "$db"
	figure "$name" "$(of .complete_stacks_pct) % of $(of .total_samples) complete:" "$(meta_of "$db" stack_status)"
	check_between "${name}_samples" "$(of .total_samples)" 50 100000
	check_between "${name}_complete" "$(of .complete_stacks_pct)" "$percent" 100
}

# cc1 has 20 MB of code, more than 1 MiB of tables describe: its stacks come back as copies.
cc1=$(gcc -print-prog-name=cc1)
if [ -x "$cc1" ]; then
	for file in reader/view/*.c reader/store/*.c; do
		gcc -E -P -I. -D_GNU_SOURCE "$file" >"$dir/$(basename "$file" .c).i" 2>/dev/null || rm -f "$dir/$(basename "$file" .c).i"
	done
	largest=$(ls -S "$dir"/*.i | head -n 1)
	often 3 compile full_arena 90 --unwind-memory 1MiB -- "$cc1" -quiet -O3 -o /dev/null "$largest"
	check_between full_arena_counted "$(of .losses.unwind_tables_full)" 1 3
	check_equal full_arena_nothing_lost "$(of '.losses.ring_full // 0')" 0
	run "$RSPROF" top cpu "$db"
	check_contains full_arena_said "$out" "raise --unwind-memory"
	# A stack that is called complete begins where programs do: in _start of cc1 or of the dynamic linker.
	check_between full_arena_roots "$(sql "$db" "WITH RECURSIVE up(stack, node) AS (
		SELECT id, node_id FROM stacks WHERE walk_status = 0 AND node_id IS NOT NULL UNION ALL
		SELECT up.stack, n.parent_id FROM up JOIN nodes n ON n.id = up.node WHERE n.parent_id IS NOT NULL)
		SELECT COUNT(DISTINCT n.frame_id) FROM up JOIN nodes n ON n.id = up.node
		WHERE n.parent_id IS NULL")" 1 2
	often 3 compile roomy_arena 98 -- "$cc1" -quiet -O3 -o /dev/null "$largest"
	check_equal roomy_arena_counted "$(of '.losses.unwind_tables_full // 0')" 0
else
	skip full_arena "gcc's cc1 is not here"
fi

# The compiler itself: rustup's stand-in execs it, and tables are built before the first exec.
rustc=$(rustc --print sysroot 2>/dev/null)/bin/rustc
if [ -x "$rustc" ]; then
	often 3 compile rustc 95 -- "$rustc" --edition 2021 -O -g -o "$dir/deep" tests/targets/deep.rs
else
	skip rustc_complete "rustc is not installed"
fi

# Switches as fast as they can be: watching them all would cost more than a hundredth.
step_down() {
	db=$dir/step.db truth=$dir/step.truth
	rm -f "$db"
	profile_run step -e wait-time --max-overhead 1 -- "$TARGETS/pingpong" 4 now || return
	top_wait "$db"
	figure step_down "$(truth_of rounds) rounds, $(of .losses.waits_unwalked) waits not walked," \
		"$(sql "$db" "SELECT COUNT(*) FROM steps WHERE signal = 'wait' AND timestamp_ms > 0") steps"
	check_between step_counted "$(of '.losses.waits_unwalked // 0')" 1000 1000000000
	check_between step_stored "$(sql "$db" "SELECT COUNT(*) FROM steps WHERE signal = 'wait' AND mode LIKE 'bpf, 1 of %'")" 1 10
	check_equal step_nothing_lost "$(of '.losses.waits_ring_full // 0')" 0
	# Times are whole all the same: both threads wait or run from begin to end.
	check_near step_times "$(($(of .total_wait_ns) + $(of .total_run_ns)))" $((2 * $(truth_of wall_ns))) 5
	run "$RSPROF" top wait "$db"
	check_contains step_said "$out" "1 of "
	check_contains step_hint "$out" "raise --max-overhead"
}
often 3 step_down

# Threads that live shorter than any timer's period: what no sample fell into is told.
unsampled() {
	profile churn -e cpu-clock -- churn 2 || return
	top "$db"
	figure churn "$(of .total_samples) samples of $(truth_of cpu_ns) ns," \
		"$(of .losses.cpu_unsampled_ms) ms told without"
	check_near churn_told "$(of '(.losses.cpu_unsampled_ms // 0) + .total_samples * 1000 / 99')" \
		"$(awk "BEGIN { print $(truth_of cpu_ns) / 1e6 }")" 20
}
often 3 unsampled
