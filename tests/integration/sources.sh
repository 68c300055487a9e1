#!/usr/bin/env bash
# Which source is taken, by what is allowed and by what is asked for; what is said and kept of it.
. tests/lib/lib.sh
. tests/integration/common.bash

start_running "$TARGETS/burn" 120
burn=$target_pid

# short NAME OPTION…: a third of a second, in $db; what was said in $errors.
short() {
	db=$dir/$1.db
	run timeout -k 5 60 ${as[@]+"${as[@]}"} "$RSPROF" -p "$burn" -q -d 300ms -o "$db" "${@:2}"
	check_equal "$1_exit_code" "$status" 0 || printf '%s\n' "$errors"
	said=$(grep -m 1 ' by ' <<<"$errors")
}

# check_recorded NAME CPU WAIT EVENTS: of $db.
check_recorded() {
	check_equal "$1_sources" "$(meta_of "$db" cpu_source) $(meta_of "$db" wait_source)" "$2 $3"
	check_equal "$1_events" "$(sql "$db" 'SELECT group_concat(name, " ") FROM events')" "$4"
}

# check_samples_there NAME: some of the 30 that a third of a second at 99 Hz has.
check_samples_there() {
	check_between "$1_samples" "$(sql "$db" 'SELECT SUM(count) FROM cpu_samples')" 5 60
}

# Asked for and not there, in this process or this version.
check_refusal forced_ptrace 4 "$RSPROF" -p "$burn" -q -d 1s --source ptrace -o "$dir/ptrace.db"
check_contains forced_ptrace_is_told "$errors" "has no source \"ptrace\""
check_absent forced_ptrace_no_file "$dir/ptrace.db"
check_refusal forced_agent 4 "$RSPROF" -p "$burn" -q -d 1s --source agent -o "$dir/agent.db"
check_contains forced_agent_is_told "$errors" "The source agent cannot be used: no agent is loaded."
check_absent forced_agent_no_file "$dir/agent.db"
check_refusal waits_by_perf 4 "$RSPROF" -p "$burn" -q -d 1s --source perf -e cpu-clock,wait-time \
	-o "$dir/waits.db"
check_contains waits_by_perf_are_told "$errors" "wait-time needs the source bpf"
check_absent waits_by_perf_no_file "$dir/waits.db"
check_refusal overhead_zero 2 "$RSPROF" -p "$burn" -q -d 1s --max-overhead 0 -o "$dir/zero.db"
check_refusal overhead_high 2 "$RSPROF" -p "$burn" -q -d 1s --max-overhead 101 -o "$dir/zero.db"
check_refusal unwind_memory_small 2 "$RSPROF" -p "$burn" -q -d 1s --unwind-memory 64K -o "$dir/zero.db"
check_refusal unwind_memory_large 2 "$RSPROF" -p "$burn" -q -d 1s --unwind-memory 1G -o "$dir/zero.db"
check_absent bounds_no_file "$dir/zero.db"

# Of the heap: only the agent could trace, and perf counts nothing.
check_refusal heap_traced 4 "$RSPROF" -p "$burn" -q -d 1s --heap trace -o "$dir/heap.db"
check_contains heap_traced_is_told "$errors" "Tracing every allocation needs the agent"
check_refusal heap_by_perf 4 "$RSPROF" -p "$burn" -q -d 1s --source perf --heap exact -o "$dir/heap.db"
check_contains heap_by_perf_is_told "$errors" "Counting the heap needs the agent or the source bpf"
check_refusal heap_sampled_by_perf 4 "$RSPROF" -p "$burn" -q -d 1s --source perf --heap sampled \
	-o "$dir/heap.db"
run "$RSPROF" run -q --heap trace -o "$dir/heap.db" -- "$TARGETS/heapload_static" 1
check_equal heap_traced_never_runs "$status" 125
check_contains heap_traced_static_is_told "$errors" "heapload_static is statically linked"
for bound in "--heap all" "--heap-sample 1023" "--heap-sample 4097K" "--heap-blocks 1023" \
	"--heap-blocks 67108865" "--heap-stacks 63" "--heap-stacks 1048577"; do
	# shellcheck disable=SC2086 # two words
	check_refusal "heap_bound_${bound//[- ]/_}" 2 "$RSPROF" -p "$burn" -q -d 1s $bound -o "$dir/heap.db"
done
check_absent heap_refusals_no_file "$dir/heap.db"

short perf --source perf
check_recorded perf perf off cpu-clock
check_samples_there perf
check_equal perf_is_said "$said" \
	"rsprof: cpu by perf (asked for by --source); waiting is not recorded"
check_equal perf_reason "$(meta_of "$db" cpu_source_reason)" "asked for by --source"
check_contains perf_wait_reason "$(meta_of "$db" wait_source_reason)" "perf records no waiting"
check_contains perf_heap_is_said "$errors" \
	"rsprof: heap: totals from /proc only: perf counts no allocations"
check_equal perf_heap "$(meta_of "$db" heap_source) $(meta_of "$db" heap_mode)" "totals off"
check_equal perf_heap_reason "$(meta_of "$db" heap_source_reason)" "perf counts no allocations"
json=$("$RSPROF" top cpu "$db" --json)
check_equal perf_in_json "$(of '"\(.source.cpu) \(.source.wait)"')" "perf off"

if may_use_bpf; then
	short auto
	check_recorded auto bpf bpf "cpu-clock wait-time"
	check_samples_there auto
	check_equal auto_is_said "$said" "rsprof: cpu and wait by bpf, heap by bpf (exact)"
	check_equal auto_heap "$(meta_of "$db" heap_source) $(meta_of "$db" heap_mode)" "bpf exact"
	check_equal auto_heap_bounds "$(meta_of "$db" heap_sample_bytes) $(meta_of "$db" heap_blocks_max) \
$(meta_of "$db" heap_stacks_max)" "524288 1048576 65536"
	check_between auto_heap_before "$(meta_of "$db" heap_anonymous_bytes_at_attach)" 4096 100000000
	json=$("$RSPROF" top cpu "$db" --json)
	check_equal auto_in_json "$(of '"\(.source.cpu) \(.source.wait)"')" "bpf bpf"

	short only_cpu -e cpu-clock
	check_recorded only_cpu bpf off cpu-clock
	check_equal only_cpu_is_said "$said" "rsprof: cpu by bpf, heap by bpf (exact)"
	check_equal only_cpu_wait_reason "$(meta_of "$db" wait_source_reason)" "not asked for by --event"

	short only_wait -e wait-time
	check_recorded only_wait off bpf wait-time
	check_equal only_wait_is_said "$said" "rsprof: wait by bpf, heap by bpf (exact)"

	short no_heap --heap off
	check_recorded no_heap bpf bpf "cpu-clock wait-time"
	check_equal no_heap_is_said "$said" "rsprof: cpu and wait by bpf"
	check_equal no_heap_is_not_missed "$(grep -c "totals from /proc" <<<"$errors")" 0
	check_equal no_heap_facts "$(meta_of "$db" heap_source): $(meta_of "$db" heap_source_reason)" \
		"off: asked for by --heap off"

	short sampled_heap --heap sampled --heap-sample 64K
	check_equal sampled_heap_is_said "$said" "rsprof: cpu and wait by bpf, heap by bpf (sampled)"
	check_equal sampled_heap_facts "$(meta_of "$db" heap_mode) $(meta_of "$db" heap_sample_bytes)" \
		"sampled 65536"

	short forced --source bpf --stack-copy 0 --unwind-memory 4MiB --max-overhead 50
	check_recorded forced bpf bpf "cpu-clock wait-time"
	check_samples_there forced
	check_contains forced_is_said "$said" "cpu and wait by bpf (asked for by --source)"

	# No memory may be locked: newer kernels do not count maps as such. Older ones say so.
	db=$dir/memlock.db
	run timeout -k 5 60 prlimit --memlock=0:0 "$RSPROF" -p "$burn" -q -d 300ms -o "$db"
	check_equal memlock_exit_code "$status" 0
	if [ "$(meta_of "$db" cpu_source)" = bpf ]; then
		ok memlock_is_no_matter_or_told
	else
		check_contains memlock_is_no_matter_or_told "$(meta_of "$db" cpu_source_reason)" lock
	fi
	check_samples_there memlock

	# Allowed, and then it does not open: bpf needs more descriptors than perf. The first limit at which
	# anything is recorded.
	db=$dir/few_files.db
	for files in $(seq 12 2 400); do
		rm -f "$db" "$dir/few_files.events"
		run timeout -k 5 60 prlimit --nofile="$files:$files" "$RSPROF" -p "$burn" -q -d 300ms \
			-o "$db" --save-events "$dir/few_files.events"
		[ "$status" -ne 0 ] || break
	done
	check_recorded few_files perf off cpu-clock
	check_samples_there few_files
	check_contains few_files_reason "$(meta_of "$db" cpu_source_reason)" "bpf: "
	check_contains few_files_is_said "$errors" "rsprof: cpu by perf (bpf: "
	check_contains few_files_events_are_saved "$(sed -n 2p "$dir/few_files.events")" "events cpu-clock"
	run timeout -k 5 60 prlimit --nofile="$files:$files" "$RSPROF" -p "$burn" -q -d 300ms \
		--source bpf -o "$dir/few_forced.db"
	check_between few_files_forced_is_refused "$status" 1 4
	check_absent few_files_forced_no_file "$dir/few_forced.db"

	# All capabilities, but only within a user namespace, as in a container without root.
	if unshare --user --map-root-user true 2>/dev/null &&
		[ "$(cat /proc/sys/kernel/perf_event_paranoid)" -le 2 ]; then
		db=$dir/namespace.db
		run timeout -k 5 60 unshare --user --map-root-user "$RSPROF" run -q -d 1s -o "$db" -- \
			"$TARGETS/burn" 1
		check_equal namespace_exit_code "$status" 0
		check_recorded namespace perf off cpu-clock
		check_contains namespace_is_said "$errors" "rsprof: cpu by perf (bpf: "
		run timeout -k 5 60 unshare --user --map-root-user "$RSPROF" run -q --source bpf \
			-o "$dir/namespace_forced.db" -- "$TARGETS/burn" 1
		check_equal namespace_forced_exit_code "$status" 125
		check_absent namespace_forced_no_file "$dir/namespace_forced.db"
	else
		skip namespace_exit_code "no user namespaces, or no perf events in them"
	fi

	# Without the kernel's BTF. The mount is the inner shell's alone.
	if unshare --mount --propagation private mount -t tmpfs none /sys/kernel/btf 2>/dev/null; then
		without_btf=(unshare --mount --propagation private sh -c
			'mount -t tmpfs none /sys/kernel/btf && exec "$@"' sh)
		check_refusal no_btf_forced 4 "${without_btf[@]}" "$RSPROF" -p "$burn" -q -d 1s \
			--source bpf -o "$dir/no_btf.db"
		check_contains no_btf_forced_is_told "$errors" BTF
		check_absent no_btf_forced_no_file "$dir/no_btf.db"
		check_refusal no_btf_waits 4 "${without_btf[@]}" "$RSPROF" -p "$burn" -q -d 1s \
			-e wait-time -o "$dir/no_btf.db"
		check_contains no_btf_waits_are_told "$errors" BTF
		as=("${without_btf[@]}")
		short no_btf
		as=()
		check_recorded no_btf perf off cpu-clock
		check_samples_there no_btf
		check_contains no_btf_is_said "$said" "cpu by perf (bpf: no BTF in this kernel)"
		check_contains no_btf_heap_is_said "$errors" \
			"heap: totals from /proc only: no agent is loaded; bpf: no BTF in this kernel"
		check_refusal no_btf_heap 4 "${without_btf[@]}" "$RSPROF" -p "$burn" -q -d 1s \
			--heap exact -o "$dir/no_btf_heap.db"
		check_contains no_btf_heap_is_told "$errors" BTF
		check_absent no_btf_heap_no_file "$dir/no_btf_heap.db"
		check_contains no_btf_reason "$(meta_of "$db" cpu_source_reason)" BTF
		json=$("${without_btf[@]}" "$RSPROF" doctor -p "$burn" --json)
		check_equal no_btf_doctor \
			"$(of '.sources[] | select(.source == "bpf") | .cpu.answer')" "no: no BTF in this kernel"
	else
		skip no_btf_forced "no mounts of our own"
	fi
else
	skip auto_sources "BPF is not allowed to this user"
fi
stop_target "$burn"

# An ordinary user, and one with some of root's capabilities, on a process of its own.
if ! is_root || ! as_ordinary burn; then
	skip ordinary_sources "not root, or setpriv is not installed"
	exit 0
fi
ordinary=("${as[@]}")
start_running "$TARGETS/burn" 120
burn=$target_pid

# with CAPABILITY…: rsprof runs with these from here on.
with() {
	local list

	list=$(printf ',+%s' "$@")
	as=("${ordinary[@]}" --inh-caps "${list#,}" --ambient-caps "${list#,}")
	setpriv --inh-caps "${list#,}" --ambient-caps "${list#,}" true 2>/dev/null
}

# check_without_bpf NAME MISSING: what this user gets.
check_without_bpf() {
	short "$1"
	check_recorded "$1" perf off cpu-clock
	check_samples_there "$1"
	check_equal "$1_is_said" "$said" "rsprof: cpu by perf (bpf: $2); waiting is not recorded"
	check_equal "$1_reason" "$(meta_of "$db" cpu_source_reason)" "bpf: $2"
	check_equal "$1_wait_reason" "$(meta_of "$db" wait_source_reason)" "bpf: $2"
	check_refusal "$1_forced" 4 "${as[@]}" "$RSPROF" -p "$burn" -q -d 1s --source bpf \
		-o "$dir/forced_$1.db"
	check_contains "$1_forced_is_told" "$errors" "${2##* }"
	check_absent "$1_forced_no_file" "$dir/forced_$1.db"
	check_refusal "$1_waits" 4 "${as[@]}" "$RSPROF" -p "$burn" -q -d 1s -e wait-time \
		-o "$dir/waits_$1.db"
	check_contains "$1_waits_are_told" "$errors" "$2"
}

if [ "$(cat /proc/sys/kernel/perf_event_paranoid)" -gt 2 ]; then
	skip ordinary_sources "perf events are root's alone here"
elif [ ! -r /sys/kernel/btf/vmlinux ]; then
	skip ordinary_sources "no BTF in this kernel"
else
	check_without_bpf ordinary "needs CAP_BPF and CAP_PERFMON"
	run "${as[@]}" "$RSPROF" run -q --source bpf -o "$dir/run.db" -- "$TARGETS/burn" 1
	check_equal ordinary_run_exit_code "$status" 125
	check_contains ordinary_run_is_told "$errors" CAP_BPF
	if with bpf; then
		check_without_bpf only_bpf "needs CAP_PERFMON"
	else
		skip only_bpf_sources "CAP_BPF cannot be given here"
	fi
	if with perfmon; then
		check_without_bpf only_perfmon "needs CAP_BPF"
	else
		skip only_perfmon_sources "CAP_PERFMON cannot be given here"
	fi
	# These two are all it takes for a process of one's own.
	if with bpf perfmon && may_use_bpf; then
		short two_capabilities
		check_recorded two_capabilities bpf bpf "cpu-clock wait-time"
		check_samples_there two_capabilities
	else
		skip two_capabilities_sources "CAP_BPF and CAP_PERFMON cannot be given here"
	fi
fi
stop_target "$burn"
exit 0
