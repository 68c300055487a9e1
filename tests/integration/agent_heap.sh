#!/usr/bin/env bash
# Who holds memory, by the agent: programs that know their own heap, to the unit, from their first instruction,
# however late rsprof comes; threads, ends, other stacks, children and libraries; other allocators; the modes;
# what a killed target leaves; and bounds in which the target runs on.
. tests/lib/lib.sh
. tests/integration/common.bash
. tests/integration/agent.bash

if [ "$(uname -m)" != x86_64 ]; then
	skip agent_heap "the agent is for x86-64"
	exit 0
fi

# ---- started by rsprof, and attached late

# exactly NAME FILE KEYS OPTION… -- PROGRAM…: `rsprof run` has all of it.
exactly() {
	local name=$1 file=$2 keys=$3

	shift 3
	profile_run "$name" --heap exact "$@"
	top_heap "$db"
	# shellcheck disable=SC2086
	check_sites "$name" "$file" $keys
	check_whole "$name"
}

# look_exactly NAME FILE KEYS PROGRAM ARGUMENT…: the agent alone has all of it.
look_exactly() {
	local name=$1 file=$2 keys=$3 program=$TARGETS/$4

	shift 4
	look "$name" "$program" -- env LD_PRELOAD="$agent" "$program" "$@"
	# shellcheck disable=SC2086
	check_sites "$name" "$file" $keys
	check_looked "$name"
}

# late NAME FILE KEYS PROGRAM ARGUMENT…: rsprof comes when all is done, and has all of it since the start.
late() {
	local name=$1 file=$2 keys=$3

	shift 3
	db=$dir/$name.db
	start_preloaded "$name" "$@"
	works || not_ok "${name}_target_ends" "it did not"
	if record "$db" -p "$target_pid" --heap exact; then
		kill -INT "$record_pid"
		record_end 30
		check_equal "${name}_exit_code" "$record_status" 0
		top_heap "$db"
		# shellcheck disable=SC2086
		check_sites "$name" "$file" $keys
		check_whole "$name"
	else
		not_ok "${name}_records" "$(cat "$db.err")"
	fi
	stop_target
}

look_exactly sites_alone heapsites.cc "$alone_counts" heapsites 2 now
check_equal sites_alone_unknown_frees "$(looked_at unknown_frees)" 0
exactly sites heapsites.cc "$alone_counts" -- "$TARGETS/heapsites" 2 now
check_equal sites_unknown_frees "$(of .unknown_frees)" 0
check_between sites_peak "$(of .peak_bytes)" "$(of .live_bytes)" "$(of .total_alloc_bytes)"
late late heapsites.cc "$alone_counts" heapsites 2
check_equal late_unknown_frees "$(of .unknown_frees)" 0

if [ -x "$TARGETS/heap_rust" ]; then
	"$TARGETS/heap_rust_truth" 2 now >"$dir/counted"
	profile_run rust --heap exact -- "$TARGETS/heap_rust" 2 now
	truth=$dir/counted
	top_heap "$db"
	# shellcheck disable=SC2086
	check_sites rust heap.rs $counts reallocs
	check_whole rust
else
	skip rust "rustc is not installed"
fi

# ---- threads

exactly threads agentways.c "$counts reallocs growth_bytes" -- "$TARGETS/agentways" threads 64 100 now
exactly short agentways.c "$counts" -- "$TARGETS/agentways" short 2000 100 now
check_equal short_calls "$(truth_of BRIEF.total_allocs)" 200000
late late_threads agentways.c "$counts reallocs growth_bytes" agentways threads 64 20
if [ "$("$TARGETS/agentways" alive 10000 now | awk '$1 == "threads" { print $2 }')" = 10000 ]; then
	look_exactly alive agentways.c "$counts" agentways alive 10000 now
else
	skip alive "this machine does not allow 10,000 threads"
fi

# Lanes of threads that ended without libc's knowing are found again, and what has none is exact, too.
look_exactly gone agentways.c "$counts" agentways gone 1000 50 now
check_equal gone_calls "$(truth_of BRIEF.total_allocs)" 50000
check_between gone_lanes_found_again "$(looked_at events)" 700 1001 # beginnings of threads that had a lane
look_exactly crowd agentways.c "$counts" agentways crowd 300 10000 now
check_equal crowd_calls "$(truth_of BRIEF.total_allocs)" 3000000
exactly crowd_run agentways.c "$counts" -- "$TARGETS/agentways" crowd 300 1000 now

# ---- ways out, other stacks, beginnings and ends

look_exactly longjmp agentways.c "$alone_counts" agentways longjmp 2000 now
look_exactly coroutine agentways.c "$alone_counts" agentways coroutine 300 now
look_exactly ends agentways.c "$counts" agentways ends 30 now
look_exactly vfork agentways.c "$alone_counts" agentways vfork 30 now
check_equal vfork_children_are_well "$(truth_of child_status)" ""
exactly ends_run agentways.c "$counts" -- "$TARGETS/agentways" ends 30 now
exactly dlopen agentplug.c "$alone_counts" -- "$TARGETS/agentways" dlopen "$TARGETS/agentplug_a.so" \
	"$TARGETS/agentplug_b.so" 20 now
check_between dlopen_in_the_same_place "$(truth_of reused)" 10 39
exactly unload agentplug.c "$alone_counts" -- "$TARGETS/agentways" unload "$TARGETS/agentplug_a.so" \
	"$TARGETS/agentplug_b.so" 20 now
check_between unload_in_the_same_place "$(truth_of reused)" 10 39
look_exactly throw agentthrow.cc "total_allocs total_frees blocks" agentthrow 300 now
grep -v THROWN "$truth" >"$dir/throw"
truth=$dir/throw
check_sites throw_bytes agentthrow.cc total_alloc_bytes total_free_bytes bytes

# Handlers that allocate, on top of an allocation often; with an allocator that allows it.
look_exactly signal heapsignal.c "$counts" heapsignal 0.3 now
exactly signal_run heapsignal.c "$counts" -- "$TARGETS/heapsignal" 0.3 now
look_exactly jump agentjump.c "$alone_counts" agentjump 200 now
check_between jump_torn "$(of_line total_allocs agentjump.c TORN)" "$(truth_of TORN.done)" \
	"$(truth_of TORN.begun)"

# ---- fork and exec

# The child is a process of its own, with what it inherited known.
start_preloaded fork agentways fork "$dir/child"
kill -USR1 "$target_pid"
if wait_for 20 grep -q '^done' "$dir/child"; then
	child=$(truth_of child) parent_truth=$truth
	look_at fork_child "$TARGETS/agentways" "$child"
	check_equal fork_child_inherited "$(looked_at inherited_frees) $(looked_at inherited_free_bytes)" \
		"$(truth_of INHERITED.total_frees "$dir/child") $(truth_of INHERITED.total_free_bytes "$dir/child")"
	check_equal fork_child_unknown "$(looked_at unknown_frees)" 0
	check_equal fork_child_is_forked "$(looked_at is_forked)" 1
	grep -v INHERITED "$dir/child" >"$dir/child.sites"
	truth=$dir/child.sites
	# shellcheck disable=SC2086
	check_sites fork_child agentways.c $alone_counts
	db=$dir/fork_child.db
	if record "$db" -p "$child" --heap exact; then
		kill -INT "$record_pid"
		record_end 30
		top_heap "$db"
		# shellcheck disable=SC2086
		check_sites fork_child_recorded agentways.c $alone_counts
		check_whole fork_child_recorded
	else
		not_ok fork_child_records "$(cat "$db.err")"
	fi
	truth=$parent_truth
	kill -TERM "$child"
	wait_for 20 grep -q '^done' "$truth"
	check_equal fork_child_is_well "$(truth_of child_status)" 0
	look_at fork "$TARGETS/agentways" "$target_pid"
	# shellcheck disable=SC2086
	check_sites fork agentways.c $alone_counts
	check_equal fork_parent_unknown "$(looked_at unknown_frees) $(looked_at inherited_frees)" "0 0"
else
	not_ok fork_child "it did not end its work"
fi
stop_target

# What is run may exec something else.
exactly exec heapload.c "$alone_counts" -- env SOME=thing "$TARGETS/heapload" 500 100 3000 now
exactly exec_shell heapload.c "$alone_counts" -- sh -c "true; exec $TARGETS/heapload 500 100 3000 now"

# ---- other allocators

# other NAME LIBRARY PRELOAD: exact, or said; never a silent nothing.
for library in libjemalloc.so.2 libtcmalloc_minimal.so.4 libmimalloc.so.2; do
	name=${library%%.*}
	name=${name#lib}
	keys=$alone_counts
	# mimalloc's realloc to nothing gives another block, so that it frees none that is temporary.
	[ "$name" != mimalloc ] || keys="$counts reallocs growth_bytes"
	path=$(ldconfig -p | awk -v name="$library" '$1 == name { print $NF; exit }')
	if [ -z "$path" ]; then
		skip "$name" "$library is not here"
		continue
	fi
	look "$name" "$TARGETS/heapsites" -- env LD_PRELOAD="$agent:$path" "$TARGETS/heapsites" 2 now
	# shellcheck disable=SC2086
	check_sites "$name" heapsites.cc $keys
	check_looked "$name"
	check_contains "${name}_is_named" "$(looked_at allocator)" "${library%%.so*}"
	look "${name}_first" "$TARGETS/heapsites" -- env LD_PRELOAD="$path:$agent" "$TARGETS/heapsites" 2 now
	if [ "$(looked_at reason)" = 1 ]; then
		ok "${name}_first_is_said"
	else
		# shellcheck disable=SC2086
		check_sites "${name}_first" heapsites.cc $keys
		check_looked "${name}_first"
	fi
done

# An allocator in the executable: no hook is ever called.
look own "$TARGETS/heapload_own" -- env LD_PRELOAD="$agent" "$TARGETS/heapload_own" 500 100 2000 now
check_equal own_status "$(looked_at status)" 0
check_equal own_is_said "$(looked_at reason)" 1
for program in heapload_own heapload_static; do
	run timeout -k 5 60 "$RSPROF" run -q --heap exact -o "$dir/$program.db" -- "$TARGETS/$program" 500 100 2000 now
	printf '%s\n' "$out" >"$dir/$program.truth"
	truth=$dir/$program.truth
	top_heap "$dir/$program.db"
	held=$(of_line total_allocs heapload.c HELD)
	if [ "${held:-0}" -gt 0 ]; then
		# shellcheck disable=SC2086
		check_sites "$program" heapload.c $alone_counts
	else
		check "${program}_is_said" grep -E 'not counted by the agent|agent cannot count' <<<"$errors"
	fi
done

# ---- modes

preload_with=RSPROF_AGENT=dormant
db=$dir/dormant.db
start_preloaded dormant heapload 5000 100 20000
look_at dormant "$TARGETS/heapload" "$target_pid"
check_equal dormant_sleeps "$(looked_at state) $(looked_at total_allocs)" "2 0"
if record "$db" -p "$target_pid" --heap exact; then
	works || not_ok dormant_target_ends "it did not"
	kill -INT "$record_pid"
	record_end 30
	top_heap "$db"
	# shellcheck disable=SC2086
	check_sites dormant heapload.c $alone_counts
	check_whole dormant
else
	not_ok dormant_records "$(cat "$db.err")"
fi
stop_target
preload_with=

# By 64 KiB: some 3,800 samples of one line, 300 of the other; five standard deviations.
profile_run sampled --heap sampled --heap-sample 64KiB -- "$TARGETS/heapload" 20000 1000 1000000 now
top_heap "$db"
check_equal sampled_is_an_estimate "$(of '"\(.mode) \(.is_estimate)"')" "sampled true"
check_near sampled_bytes "$(of_line total_alloc_bytes heapload.c PAIRED)" "$(truth_of PAIRED.total_alloc_bytes)" 9
check_near sampled_allocs "$(of_line total_allocs heapload.c PAIRED)" "$(truth_of PAIRED.total_allocs)" 16
check_near sampled_free_bytes "$(of_line total_free_bytes heapload.c PAIRED)" "$(truth_of PAIRED.total_free_bytes)" 9
check_near sampled_live "$(of_line bytes heapload.c HELD)" "$(truth_of HELD.bytes)" 30
check_equal sampled_live_pairs "$(of_line bytes heapload.c PAIRED)" 0

# Each event, with the peak between two looks.
profile_run trace --heap trace -- "$TARGETS/heapsites" 2 now
top_heap "$db"
# shellcheck disable=SC2086
check_sites trace heapsites.cc $alone_counts
check_whole trace trace
profile_run trace_peak --heap trace -- "$TARGETS/agentways" peak 20000 now
top_heap "$db"
# shellcheck disable=SC2086
check_sites trace_peak agentways.c $counts peak_bytes
check_whole trace_peak trace

# ---- readers come and go, beside each other

db=$dir/readers.db
start_preloaded readers heaprate 1
kill -USR1 "$target_pid"
if record "$dir/killed.db" -p "$target_pid" --heap exact; then
	killed=$record_pid
	record "$dir/other.db" -p "$target_pid" --heap exact
	other=$record_pid
	kill -KILL "$killed"
	kill -USR1 "$target_pid"
	wait_for 30 grep -q '^done' "$truth" || not_ok readers_target_ends "it did not"
	kill -INT "$other"
	record_pid=$other record_end 30
	top_heap "$dir/other.db"
	# shellcheck disable=SC2086
	check_sites readers_beside heaprate.c $alone_counts
	if record "$db" -p "$target_pid" --heap exact; then
		kill -INT "$record_pid"
		record_end 30
		top_heap "$db"
		# shellcheck disable=SC2086
		check_sites readers_again heaprate.c $alone_counts
		check_whole readers_again
	else
		not_ok readers_again "$(cat "$db.err")"
	fi
else
	not_ok readers_record "$(cat "$dir/killed.db.err")"
fi
stop_target

# ---- kill -9

# not_within KEY VALUE: not between what had been done and what had been begun.
not_within() {
	awk -v key="$1" -v value="$2" '
		$2 == key { word[$1] = $3 }
		END { if (value < word["done"] || value > word["begun"])
			printf "%s is %d, done %d, begun %d; ", key, value, word["done"], word["begun"] }' "$dir/said"
}

# judge_killed: of what $json holds.
judge_killed() {
	local key value

	"$TARGETS/agentprogress" "$dir/progress" >"$dir/said"
	while read -r key value; do
		not_within "$key" "$value"
	done < <(jq -r --argjson lines "[$started, $changed]" '
		[.entries[] | select((.file | endswith("agentprogress.c")) and (.line | IN($lines[])))] as $rows |
		"total_allocs", "total_alloc_bytes", "total_frees", "total_free_bytes" |
		. as $key | "\($key) \([$rows[][$key]] | add // 0)"' <<<"$json")
}

started=$(line_in agentprogress.c STARTED) changed=$(line_in agentprogress.c CHANGED)
killed=""
sum=0
for ((round = 0; round < 20; round++)); do
	rm -f "$dir/progress"
	look killed "$TARGETS/agentprogress" -k $((round * 7 % 41)) -- env LD_PRELOAD="$agent" \
		"$TARGETS/agentprogress" "$dir/progress" 3
	[ "$(looked_at status)" = 137 ] || killed+="status $(looked_at status); "
	killed+=$(judge_killed)
	sum=$((sum + $(awk '$1 == "done" && $2 == "total_allocs" { print $3 }' "$dir/said")))
done
check_equal killed_20_times "$killed" ""
check_between killed_at_work "$sum" 100000 1000000000000
rm -f "$dir/progress"
start_target "$RSPROF" run -q --heap exact -o "$dir/killed_run.db" -- "$TARGETS/agentprogress" \
	"$dir/progress" 3 >"$dir/killed_run.out" 2>"$dir/killed_run.err"
if wait_for 20 test -s "$dir/killed_run.out"; then
	sleep 0.2
	kill -KILL "$(pgrep -P "$target_pid" -x agentprogress)"
fi
wait "$target_pid"
check_equal killed_run_status "$?" 137
top_heap "$dir/killed_run.db"
check_equal killed_run "$(judge_killed)" ""
check_between killed_run_at_work "$(of_line total_allocs agentprogress.c STARTED)" 1000 1000000000

# ---- bounds

# limited NAME ULIMIT…: the same output and status as without the agent, whatever the agent makes of it.
limited() {
	local name=$1 plain

	shift
	plain=$(ulimit "$@" && exec "$TARGETS/heapsites" 1 now 2>&1)
	plain+=" $?"
	out=$(ulimit "$@" && LD_PRELOAD="$agent" exec "$TARGETS/heapsites" 1 now 2>&1)
	check_equal "limited_$name" "$out $?" "$plain"
}

limited address_space -v 100000
limited small_address_space -v 40000
limited file_size -f 0
limited some_file_size -f 1000
limited descriptors -n 4
limited more_descriptors -n 6
limited data -d 1000
limited locked -l 0
exit 0
