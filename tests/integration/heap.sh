#!/usr/bin/env bash
# Who holds memory, by uprobes: programs that know their own heap, to the unit; allocators in unusual places;
# programs that fork, exec and load libraries; bounds that bite; what it may cost; and nothing left behind.
. tests/lib/lib.sh
. tests/integration/common.bash

if ! has_source bpf || [ "$("$RSPROF" doctor --json | jq -r '.sources[] | select(.source == "bpf") |
	.heap.answer')" != yes ]; then
	skip heap "no source counts the heap here"
	exit 0
fi

counts="total_allocs total_alloc_bytes total_frees total_free_bytes bytes blocks"

# check_whole NAME: nothing estimated, nothing lost, every stack complete.
check_whole() {
	check_equal "$1_is_exact" "$(of '"\(.mode) \(.is_estimate)"')" "exact false"
	check_equal "$1_losses" "$(of '.losses | to_entries | map(select(.key | startswith("heap_"))) |
		map("\(.key) \(.value)") | join(" ")')" ""
	check_between "$1_complete" "$(of .complete_stacks_pct)" 99 100
}

# exactly NAME FILE KEYS OPTION… -- PROGRAM…: all of it counted, as the program says.
exactly() {
	local name=$1 file=$2 keys=$3

	shift 3
	profile "$name" --heap exact "$@" || return
	top_heap "$db"
	# shellcheck disable=SC2086
	check_sites "$name" "$file" $keys
	check_whole "$name"
}

# ---- eight kinds of sites

exactly sites heapsites.cc "$counts temporary reallocs growth_bytes" -- heapsites 2
check_equal sites_unknown_frees "$(of .unknown_frees)" "$(truth_of unknown_frees)"
check_equal sites_sum "$(of '"\(.live_bytes) \(.live_blocks)"')" "$(awk '
	/\.bytes / { bytes += $2 } /\.blocks / { blocks += $2 } END { print bytes, blocks }' "$truth")"
check_between sites_peak "$(of .peak_bytes)" "$(of .live_bytes)" "$(of .total_alloc_bytes)"
check_near sites_rss "$(of .rss_bytes)" "$(of .live_bytes)" 60 4000000
# An estimate, and most of what this short program does.
check_between sites_cost_pct "$(of .heap_cost_pct)" 0.01 150
# The query of leaks as it is documented.
leaks=$(sql "$db" "SELECT function || ' ' || line || ' ' || (total_alloc_bytes - total_free_bytes) || ' ' ||
	(total_allocs - total_frees) FROM heap_samples WHERE total_allocs > total_frees
	ORDER BY total_alloc_bytes - total_free_bytes DESC LIMIT 20")
check_contains sites_leak_query "$leaks" \
	"leak_some $(line_in heapsites.cc LEAK) $(truth_of LEAK.bytes) $(truth_of LEAK.blocks)"
top_heap "$db" --sort total_allocs
check_equal sites_sort "$(of '.entries[0].function')" churn_some
top_heap "$db" --sort peak_bytes
check_equal sites_sort_peak "$(of '[.entries[].peak_bytes] == ([.entries[].peak_bytes] | sort | reverse)')" true

# ---- Rust

if [ -x "$TARGETS/heap_rust" ]; then
	"$TARGETS/heap_rust_truth" 2 now >"$dir/counted"
	if profile rust --heap exact -- heap_rust 2; then
		truth=$dir/counted
		top_heap "$db"
		check_sites rust heap.rs $counts reallocs
		check_whole rust
		check_equal rust_charged "$(of '[.entries[] | select(.total_allocs > 0 and (.line == 0 or
			(.file | startswith("std/") or startswith("alloc/"))))] |
			map(select(.bytes > 0)) | length')" 0
	fi
	# Its own global allocator: found, or said.
	if profile rust_own --heap exact -- rustalloc 20000; then
		top_heap "$db"
		if [ "$(of_line total_allocs rustalloc.rs BUMPED)" -gt 0 ]; then
			check_sites rust_own rustalloc.rs $counts
		else
			check_contains rust_own_said "$(of '.steps[0].reason')" "global allocator of its own"
		fi
	fi
else
	skip rust "rustc is not installed"
fi

# ---- allocators in unusual places

exactly static heapload.c "$counts temporary" -- heapload_static 5000 100 20000
exactly own heapload.c "$counts temporary" -- heapload_own 5000 100 20000
exactly signal heapsignal.c "$counts" --cpu-freq 999 -- heapsignal 0.3
# Its timer's interrupts come together with those of the samples: while it runs into a probe, often.
top "$db"
figure signal "$(of .total_samples) CPU samples, $(of .complete_stacks_pct) % complete"
check_between signal_cpu_complete "$(of .complete_stacks_pct)" 99 100

# Nobody can tell where its malloc is: said, and what the kernel knows is there.
if profile stripped --heap auto -- heapload_stripped 5000 100; then
	check_contains stripped_said "$(cat "$db.err")" "stripped"
	run "$RSPROF" top heap "$db"
	check_contains stripped_said_later "$out" "not counted"
	top_heap "$db"
	check_between stripped_rss "$(of .rss_bytes)" 100000 100000000
	check_equal stripped_no_rows "$(of '.entries | length')" 0
fi

# ---- programs that change

exactly fork heapchange.c "$counts" -- heapchange fork
check_equal fork_child_is_well "$(truth_of child_status)" 0
check_equal fork_child_is_not_counted "$(of_line total_allocs heapchange.c CHILD)" 0

# changes NAME SAID HOW ARGUMENT…: the target says SAID once it has changed, and goes on at a second signal,
# when rsprof has said that it watches what is new.
changes() {
	local name=$1 said=$2

	db=$dir/$name.db
	start_ready "$name" heapchange "${@:3}"
	record "$db" -p "$target_pid" --heap exact || not_ok "${name}_records" "$(cat "$db.err")"
	kill -USR1 "$target_pid"
	wait_for 20 grep -q "^$said" "$truth" || not_ok "${name}_target" "did not change"
	wait_for 5 grep -qE 'Watched from here on|is not counted' "$db.err"
	kill -USR1 "$target_pid"
	wait_for 20 grep -q '^done' "$truth" || not_ok "${name}_target_ends" "it did not"
	kill -INT "$record_pid"
	record_end 30
	check_equal "${name}_exit_code" "$record_status" 0
	stop_target
	top_heap "$db"
	check_whole "$name"
}

changes exec again exec
# What the first program held went with it.
check_sites exec_totals heapchange.c total_allocs total_alloc_bytes
check_equal exec_nothing_is_left "$(of_line bytes heapchange.c BEFORE)" 0
check_equal exec_live "$(of_line bytes heapchange.c AFTER)" "$(truth_of AFTER.bytes)"
changes dlopen opened dlopen "$TARGETS/ownalloc.so"
# A malloc that nobody finds by its name, but who asked the library for it: counted, or said.
if [ "$(of_line total_allocs heapchange.c OTHER)" -gt 0 ]; then
	# shellcheck disable=SC2086
	check_sites dlopen heapchange.c $counts
else
	check_equal dlopen_libc_is_exact "$(site_differences heapchange.c total_allocs bytes blocks |
		grep -v '^OTHER ')" ""
	check_contains dlopen_other_is_said "$(of '[.steps[].reason] | join(" ")') $(cat "$db.err")" ownalloc.so
fi

# The target ends while rsprof attaches: no hang, no crash, no profile that says something wrong.
for delay in 0 0.02 0.05 0.1 0.2 0.3; do
	start_target "$TARGETS/heaprate" 1 >"$dir/exits.truth"
	wait_for 10 grep -q '^ready' "$dir/exits.truth"
	(
		sleep "$delay"
		kill -TERM "$target_pid"
	) &
	rm -f "$dir/exits.db"
	run timeout -k 5 20 "$RSPROF" -p "$target_pid" -q --heap exact -o "$dir/exits.db"
	case $status in
	0 | 3) ok "exits_after_$delay" ;;
	*) not_ok "exits_after_$delay" "status $status: $errors" ;;
	esac
	wait "$!" "$target_pid" 2>/dev/null
done

# ---- bounds

# More blocks than there is room for: totals stay exact, what is live is a least value and says so.
if profile full --heap exact --heap-blocks 100000 -- heapload 150000 16 10; then
	top_heap "$db"
	check_equal full_allocs "$(of_line total_allocs heapload.c HELD)" 150000
	check_equal full_bytes "$(of_line total_alloc_bytes heapload.c HELD)" $((150000 * 16))
	untracked=$(of_line untracked heapload.c HELD)
	check_between full_untracked "$untracked" 49000 51000
	check_equal full_live "$(of_line blocks heapload.c HELD)" $((150000 - untracked))
	check_between full_loss "$(of .losses.heap_blocks_full)" "$untracked" $((untracked + 10))
	check_equal full_live_is_least "$(of .live_is_least)" true
	run "$RSPROF" top heap "$db"
	check_contains full_said "$out" "raise --heap-blocks"
fi
: "${HEAP_BLOCKS:=600000}" # ten million take half a minute
exactly roomy heapload.c "$counts" --heap-blocks $((HEAP_BLOCKS + 100000)) -- heapload "$HEAP_BLOCKS" 16 10

# ---- CPU samples beside the probes, and what they cost

beside() {
	profile beside --heap exact --cpu-freq 999 -- heapload 1000 16 400000 || return
	top "$db"
	figure beside "$(of .total_samples) CPU samples, $(of .complete_stacks_pct) % complete"
	check_between beside_samples "$(of .total_samples)" 300 100000
	check_between beside_cpu_complete "$(of .complete_stacks_pct)" 99 100
	top_heap "$db"
	check_between beside_heap_complete "$(of .complete_stacks_pct)" 99 100
}
often 3 beside

# A hundred times as many calls from one moment on: steps down within two seconds, says so, and calls what
# was counted since an estimate. Times are from when the recording said that it began: a little late, so
# that the step is not made faster than it was.
# steps_down NAME MODE OPTION…
steps_down() {
	local name=$1 mode=$2 began jump step

	shift 2
	db=$dir/$name.db
	rm -f "$db"
	start_ready "$name" heaprate 2.5
	record "$db" -p "$target_pid" "$@" || not_ok "${name}_records" "$(cat "$db.err")"
	began=$EPOCHREALTIME
	kill -USR1 "$target_pid"
	sleep 1.2 # at the slow rate, at which it is left alone
	check_equal "${name}_slow_is_exact" "$(grep -c 'rsprof: heap (' "$db.err")" 0
	jump=$(awk "BEGIN { printf \"%.0f\", ($EPOCHREALTIME - $began) * 1000 }")
	kill -USR1 "$target_pid"
	check "${name}_is_said" wait_for 4 grep '^rsprof: heap (' "$db.err"
	wait_for 30 grep -q '^done' "$truth" || not_ok "${name}_target_ends" "it did not"
	kill -INT "$record_pid"
	record_end 30
	check_equal "${name}_exit_code" "$record_status" 0
	stop_target
	top_heap "$db"
	step=$(sql "$db" "SELECT MIN(timestamp_ms) FROM steps WHERE signal = 'heap' AND timestamp_ms > 0")
	figure "$name" "jumped at $jump ms, stepped at $step ms:" "$(grep '^rsprof: heap (' "$db.err")"
	check_between "${name}_within_two_seconds" "$((step - jump))" 0 2000
	check_contains "${name}_mode" " $mode " " $(of .mode | tr " " -) "
	[ "$mode" = off ] || {
		check_equal "${name}_is_an_estimate" "$(of .is_estimate)" true
		check_near "${name}_allocs" "$(of_line total_allocs heaprate.c PAIRS)" \
			"$(truth_of PAIRS.total_allocs)" 10
		check_near "${name}_bytes" "$(of_line total_alloc_bytes heaprate.c PAIRS)" \
			"$(truth_of PAIRS.total_alloc_bytes)" 10
	}
}
often 3 steps_down rate_to_off off

# said_costs DB: of counting each block, and of sampling, in %.
said_costs() {
	[ -f "$1" ] || return
	sql "$1" "SELECT reason FROM steps WHERE signal = 'heap' AND timestamp_ms > 0" |
		sed -n 's/.*cost \([0-9]*\)[0-9.]* % of.*would cost \([0-9]*\)[0-9.]* %.*/\1 \2/p' | head -n 1
}

# What exact and sampled counting cost here is in the reason of the last recording that stepped down
# below sampling: between the two, it samples. What else runs changes both.
to_sampled() {
	local between last=$dir/rate_to_off.db

	[ -n "$(said_costs "$dir/rate_to_sampled.db")" ] && last=$dir/rate_to_sampled.db
	between=$(said_costs "$last" | awk '{ printf "%d", ($1 + $2) / 2 }')
	steps_down rate_to_sampled "sampled allocations-only" --max-overhead "${between:-30}" --heap-sample 4KiB
}
often 3 to_sampled

# ---- nothing is left behind

bpf_objects() {
	cat "/proc/$1"/fdinfo/* 2>/dev/null | awk '/^(prog|map|link)_id:/ { print $1 $2 }' | sort -u
}

objects_are_gone() {
	local object

	for object in $objects; do
		case $object in
		prog_id:*) ! bpftool prog show id "${object#*:}" || return 1 ;;
		map_id:*) ! bpftool map show id "${object#*:}" || return 1 ;;
		link_id:*) ! bpftool link show id "${object#*:}" || return 1 ;;
		esac
	done
}

start_ready detach heaprate 1
kill -USR1 "$target_pid"
text=$(text_sum "$target_pid" libc.so.6)
check detach_text_is_the_files is_unprobed "$target_pid" libc.so.6
for signal in INT KILL; do
	db=$dir/detach_$signal.db
	record "$db" -p "$target_pid" --heap exact || not_ok "detach_${signal}_records" "$(cat "$db.err")"
	check "detach_${signal}_was_probed" wait_for 10 is_probed "$target_pid" libc.so.6
	objects=$(bpf_objects "$record_pid")
	kill "-$signal" "$record_pid"
	record_end 10
	wait_for 10 is_unprobed "$target_pid" libc.so.6
	check_equal "detach_${signal}_text" "$(text_sum "$target_pid" libc.so.6)" "$text"
	if command -v bpftool >/dev/null; then
		check "detach_${signal}_no_object_is_left" wait_for 10 objects_are_gone
	fi
	check "detach_${signal}_target_lives" kill -0 "$target_pid"
done
kill -USR1 "$target_pid"
check detach_target_ends_well wait_for 20 grep -q '^done' "$truth"
stop_target
exit 0
