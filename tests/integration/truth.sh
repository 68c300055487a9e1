#!/usr/bin/env bash
# The same samples walked by rsprof and by libdw: how far the two agree, on programs that run already.
. tests/lib/lib.sh
. tests/integration/common.bash

# compare NAME SOURCE: the target's samples, as JSON in $json; the target is gone afterwards.
compare() {
	local name=$1 source=$2 duration

	# A machine that is busy with others gives the target less than all of a CPU.
	for duration in 2 6 18; do
		run timeout 60 "$RSPROF" doctor --unwind -p "$target_pid" -d "$duration" --source "$source" --json
		json=$out
		[ "$status" -eq 0 ] && [ "$(of .samples)" -lt 500 ] || break
	done
	# Until it is done it listens to nothing else.
	kill -KILL "$target_pid"
	wait "$target_pid" 2>/dev/null
	if [ "$status" -eq 4 ]; then
		skip "$name" "$errors"
		return 1
	fi
	check_equal "${name}_exit_code" "$status" 0
	echo "# $name: $(of '"\(.samples) samples, \(.identical) identical, \(.ours_longer) ours longer, " +
		"\(.libdw_longer) libdw longer, \(.different) different, \(.unmatched) unmatched, " +
		"\(.sent_back) sent back, complete: ours \(.ours_complete_pct) %, libdw \(.libdw_complete_pct) %"')"
	of '.examples[:2][] | "# \(.kind) at frame \(.frame): ours \(.ours), libdw \(.libdw), after \(.last_common)"'
}

# check_agreement NAME: at 999 Hz, of a CPU that may be shared.
check_agreement() {
	check_between "$1_has_samples" "$(of .samples)" 500 1000000
	check_between "$1_agrees" "$(of '100 * (.identical + .ours_longer) / .samples')" 99.9 100
	check_between "$1_unmatched" "$(of '100 * .unmatched / .samples')" 0 1
	check_between "$1_sent_back" "$(of '100 * .sent_back / .samples')" 0 1
	check_equal "$1_losses" "$(of '.losses | length')" 0
}

# check_complete NAME: both have walked.
check_complete() {
	check_between "$1_complete" "$(of .ours_complete_pct)" 99 100
	check_between "$1_libdw_complete" "$(of .libdw_complete_pct)" 99 100
}

# working PROGRAM ARGUMENT…: a target that has begun its work.
working() {
	if [ ! -x "$TARGETS/$1" ]; then
		skip "${source}_$1" "it was not built"
		return 1
	fi
	start_ready "$1" "$@" || return 1
	kill -USR1 "$target_pid"
}

for source in perf bpf; do
	# Through qsort, sixty deep, and in a handler on the same stack.
	if working noframes 60 && compare "${source}_noframes" "$source"; then
		check_agreement "${source}_noframes"
		check_complete "${source}_noframes"
		check_equal "${source}_is_told" "$(of .source)" "$source"
	fi
	if [ ! -x "$TARGETS/deep" ]; then
		skip "${source}_deep" "there is no rustc"
	elif start_running "$TARGETS/deep" 60 && compare "${source}_deep" "$source"; then
		check_agreement "${source}_deep"
		check_complete "${source}_deep"
	fi
	if working recursion 100 60 && compare "${source}_recursion" "$source"; then
		check_agreement "${source}_recursion"
		check_complete "${source}_recursion"
	fi
	# Its handler has a stack of its own, and a copy holds one: only BPF gets to the other.
	if working sortsig 60 && compare "${source}_sortsig" "$source"; then
		check_agreement "${source}_sortsig"
		[ "$source" != bpf ] ||
			check_between bpf_sortsig_complete "$(of .ours_complete_pct)" 99 100
	fi
	if working realign 60 && compare "${source}_realign" "$source"; then
		check_agreement "${source}_realign"
	fi
done

# What a person reads, and what is refused.
start_running "$TARGETS/sleeper" 30
run timeout 30 "$RSPROF" doctor --unwind -p "$target_pid" -d 200ms --source perf
check_equal sleeper_exit_code "$status" 0
check_contains sleeper_is_told "$out" "unwinding sleeper ($target_pid): 0 samples in 0.2s at 999 Hz"
check_contains sleeper_has_nothing_to_compare "$out" "Nothing to compare"
run timeout 30 "$RSPROF" doctor --unwind -p "$target_pid" -d 200ms --source perf --json
json=$out
check_equal sleeper_keys "$(of '[.samples, .identical, .ours_longer, .libdw_longer, .different,
	.ours_complete_pct, .libdw_complete_pct, .unmatched] | tostring')" "[0,0,0,0,0,null,null,0]"
stop_target
check_refusal no_process 2 "$RSPROF" doctor --unwind
check_refusal gone 3 "$RSPROF" doctor --unwind -p 4194303
exit 0
