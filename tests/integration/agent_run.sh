#!/usr/bin/env bash
# The agent as a source: who is taken for what, and what is said of it; that a command does not notice it;
# commands and processes that it cannot serve.
. tests/lib/lib.sh
. tests/integration/common.bash

agent=$(realpath "$BUILD/librsprof_agent.so")
if [ ! -r "$agent" ]; then
	skip agent_run "the agent is not built"
	exit 0
fi
counts="total_allocs total_alloc_bytes total_frees total_free_bytes bytes blocks"
unset RSPROF_CPU_FREQ RSPROF_HEAP RSPROF_AGENT RSPROF_SHM_FD LD_PRELOAD
if may_use_bpf; then
	cpu="cpu and wait by bpf" cpu_source=bpf rest=
else
	cpu="cpu by perf (bpf: " cpu_source=perf rest="; waiting is not recorded"
fi

# child CODE NAME OPTION… -- COMMAND…: rsprof run; that exit code, a finished file in $db, what was said first
# of the sources in $said.
child() {
	local code=$1 name=$2

	shift 2
	db=$dir/$name.db truth=$dir/$name.truth
	rm -f "$db"
	run timeout -k 5 60 ${as[@]+"${as[@]}"} "$RSPROF" run -q -o "$db" "$@"
	printf '%s\n' "$out" >"$truth"
	check_equal "${name}_exit_code" "$status" "$code" || printf '%s\n' "$errors"
	said=$(grep -m 1 ' by ' <<<"$errors")
}

# check_heap NAME SOURCE MODE
check_heap() {
	check_equal "$1_heap" "$(meta_of "$db" heap_source) $(meta_of "$db" heap_mode)" "$2 $3"
}

# check_sources NAME CPU HEAP
check_sources() {
	check_equal "$1_sources" "$(meta_of "$db" cpu_source) $(meta_of "$db" heap_source)" "$2 $3"
}

# check_exact NAME: of heapload.
check_exact() {
	top_heap "$db"
	# shellcheck disable=SC2086
	check_sites "$1" heapload.c $counts temporary
	check_equal "$1_losses" "$(of '.losses | to_entries | map(select(.key | startswith("heap_"))) |
		map("\(.key) \(.value)") | join(" ")')" ""
}

# ---- a command

child 0 plain -- "$TARGETS/heapload" 5000 100 20000 now
check_contains plain_is_said "$said" "rsprof: $cpu"
check_contains plain_heap_is_said "$said" ", heap by agent (exact)$rest"
check_sources plain $cpu_source agent
check_heap plain agent exact
check_equal plain_nothing_to_explain "$(meta_of "$db" heap_agent_reason)" ""
check_exact plain
check_equal plain_in_json "$(of '"\(.source.heap) \(.mode) \(.is_estimate)"')" "agent exact false"
run "$RSPROF" top heap "$db"
check_contains plain_in_text "$out" "heap: agent, exact"
check_contains plain_lost_nothing "$out" "lost: 0"
check_finished plain_finished "$db"

child 0 sampled --heap sampled --heap-sample 4K -- "$TARGETS/heapload" 5000 1000 20000 now
check_contains sampled_is_said "$said" "heap by agent (sampled)"
check_heap sampled agent sampled
top_heap "$db"
check_near sampled_held "$(of_line total_alloc_bytes heapload.c HELD)" 5000000 20
check_equal sampled_is_estimate "$(of .is_estimate)" true

child 0 traced --heap trace -- "$TARGETS/heapload" 5000 100 20000 now
check_contains traced_is_said "$said" "heap by agent (trace)"
check_heap traced agent trace
check_exact traced
check_equal traced_peak_is_exact "$(of .peak_resolution_ms)" 0
check_between traced_peak "$(of .peak_bytes)" 500500 600000

child 0 no_heap --heap off -- sh -c 'echo "preload=$LD_PRELOAD"'
check_equal no_heap_no_agent "$out" "preload="
check_heap no_heap off off

# Asked for by name: without the agent.
child 0 by_perf --source perf -- sh -c 'echo "preload=$LD_PRELOAD"'
check_equal by_perf_no_agent "$out" "preload="
check_sources by_perf perf totals
if may_use_bpf; then
	child 0 by_bpf --source bpf --heap exact -- "$TARGETS/heapload" 500 100 1000 now
	check_contains by_bpf_is_said "$said" "heap by bpf (exact)"
	check_sources by_bpf bpf bpf
fi

by_agent() {
	child 0 by_agent --source agent --cpu-freq 999 -- "$TARGETS/exits" 300 0
	check_equal by_agent_is_said "$said" \
		"rsprof: cpu by agent (asked for by --source), heap by agent (exact); waiting is not recorded"
	check_sources by_agent agent agent
	top "$db"
	check_samples by_agent_samples "$(of .total_samples)" "$(truth_of cpu_ns)" 5 4
}
often 3 by_agent

# What is run becomes another program at once, which ends before anybody can look for it.
becomes() {
	local name=$1

	shift
	child 0 "$name" --heap exact "$@"
	check_exact "$name"
	check_equal "${name}_is_told" "$(sql "$db" "SELECT COUNT(*) > 0 FROM steps WHERE signal = 'heap' AND
		reason = 'The program has loaded the agent.'")" 1
}
for source in auto agent; do
	for round in 1 2 3; do
		becomes "becomes_${source}_$round" --source $source -- env SOME=thing "$TARGETS/heapload" 500 100 3000 now
		becomes "shell_becomes_${source}_$round" --source $source -- \
			sh -c "true; exec env SOME=thing $TARGETS/heapload 500 100 3000 now"
	done
done
# Its children are not it, and have none of its descriptors.
child 0 childs -- sh -c 'ls -l /proc/self/fd | grep -c rsprof-agent; true'
check_equal childs_own_alone "$out" 1

# The agent cannot serve it, and probes come while it runs: from when on it was counted is said, or that it
# was not.
if may_use_bpf; then
	child 0 static --heap exact -- "$TARGETS/heapload_static" 500 100 2000 now
	check_sources static bpf bpf
	run "$RSPROF" top heap "$db"
	check_equal static_says_from_when "$(grep -cE "What it allocated before is not counted|nothing of its heap was counted" \
		<<<"$out$errors")" 1
fi

# Neither bpf nor perf: the agent's timers.
no_others() {
	child 0 no_others --cpu-freq 999 -- "$TARGETS/exits" 300 0
	check_contains no_others_is_said "$said" "rsprof: cpu by agent (bpf: "
	check_contains no_others_says_perf_too "$said" "; perf: "
	check_sources no_others agent agent
	check_contains no_others_reason "$(meta_of "$db" cpu_source_reason)" "perf: "
	top "$db"
	check_samples no_others_samples "$(of .total_samples)" "$(truth_of cpu_ns)" 5 4
}
as=("$TARGETS/noperf")
if "${as[@]}" true 2>/dev/null; then
	often 3 no_others
	child 0 timers_alone --heap off -- "$TARGETS/exits" 20 0
	check_sources timers_alone agent off
	child 125 refused_bpf --source bpf -- "$TARGETS/exits" 20 0
else
	skip no_others_sources "no seccomp filters here"
fi
as=()

# ---- the command does not notice

printf 'one\ntwo\n' >"$dir/input"
child 5 streams -- sh -c 'cat; echo wrong >&2; exit 5' <"$dir/input"
check_equal streams_stdout "$out" "$(cat "$dir/input")"
check_contains streams_stderr "$errors" wrong
child 143 signalled -- sh -c 'kill -TERM $$'
child 127 not_found -- rsprof-no-such-program
check_contains not_found_is_told "$errors" "rsprof-no-such-program"
check_absent not_found_no_file "$db"
# Started as a program, so that the shell's own are not among them.
list='for fd in /proc/self/fd/*; do [ "${fd##*/}" -ge 900 ] || echo "${fd##*/}"; done'
child 0 descriptors -- bash -c "$list"
check_equal descriptors_are_the_same "$out" "$(bash -c "$list")"
child 0 few_descriptors -- bash -c 'ulimit -n 64; exec "$@"' bash "$TARGETS/exits" 1 0
child 0 environment -- env
check_equal environment_else_is_the_same \
	"$(grep -vE '^(LD_PRELOAD|RSPROF_[A-Z_]*|_|SHLVL)=' <<<"$out" | sort)" \
	"$(env | grep -vE '^(LD_PRELOAD|RSPROF_[A-Z_]*|_|SHLVL)=' | sort)"
check_equal environment_preload "$(sed -n 's/^LD_PRELOAD=//p' <<<"$out")" "$agent"
if [ "$MODE" = asan ]; then
	skip environment_keeps_preloads "AddressSanitizer ends a program that has others preloaded"
else
	run env LD_PRELOAD="$TARGETS/heapinfo.so" "$RSPROF" run -q -o "$dir/others.db" -- env
	check_equal environment_keeps_preloads "$(sed -n 's/^LD_PRELOAD=//p' <<<"$out")" \
		"$agent:$TARGETS/heapinfo.so"
fi

# A script is what its interpreter is.
printf '#!/bin/sh\nexec "%s" 5000 100 5000000 now\n' "$(realpath "$TARGETS/heapload")" >"$dir/script"
chmod +x "$dir/script"
# It becomes another program, whose allocations count from its first one on.
child 0 script -- "$dir/script"
check_heap script agent exact
check_exact script

# Children are not recorded: their agents sleep, and nobody wakes them.
start_target "$RSPROF" run -q -o "$dir/children.db" -- sh -c 'sleep 60 & wait' >"$dir/children.out" 2>&1
runner=$target_pid
wait_for 20 pgrep -P "$(pgrep -P "$runner" -x sh)" -x sleep
sleeper=$(pgrep -P "$(pgrep -P "$runner" -x sh)" -x sleep)
json=$("$RSPROF" doctor -p "$sleeper" --json)
check_equal children_are_dormant "$(of '.target.agent_facts.state')" dormant
kill -TERM "$sleeper"
record_pid=$runner
record_end 30
check_equal children_exit_code "$record_status" 0

# Killed: what it had done is there.
start_target "$RSPROF" run -q -i 100ms -o "$dir/killed.db" -- "$TARGETS/heapload" 5000 100 1000000000000 now \
	>"$dir/killed.out" 2>"$dir/killed.err"
runner=$target_pid db=$dir/killed.db
held() {
	[ "$(sql "$db" 'SELECT COUNT(*) FROM checkpoints')" -ge 3 ]
}
wait_for 30 held
kill -KILL "$(pgrep -P "$runner" -x heapload)"
record_pid=$runner
record_end 30
check_equal killed_exit_code "$record_status" 137
check_finished killed_finished "$db"
top_heap "$db"
check_equal killed_held "$(of_line total_allocs heapload.c HELD) $(of_line bytes heapload.c HELD)" "5000 500000"
# It allocates, then counts, then frees: one block may be between the two.
check_between killed_pairs "$(($(of_line total_allocs heapload.c PAIRED) -
	$(of_line total_frees heapload.c PAIRED)))" 0 1

# ---- commands that the agent cannot serve

# check_without NAME WHY: the heap by bpf where that is allowed, and why.
check_without() {
	check_contains "$1_is_said" "$errors" "$2"
	check_contains "$1_reason" "$(meta_of "$db" heap_agent_reason)" "$2"
	if may_use_bpf; then
		check_heap "$1" bpf exact
	else
		check_heap "$1" totals off
	fi
}

child 0 static -- "$TARGETS/heapload_static" 500 100 1000 now
check_without static "heapload_static is statically linked"
child 0 own -- "$TARGETS/heapload_own" 500 100 1000 now
check_without own "has an allocator of its own, whose calls go past the agent"
child 125 own_forced --source agent --heap exact -- "$TARGETS/heapload_own" 500 100 1000 now
check_contains own_forced_is_told "$errors" "The agent cannot count the heap: "
child 125 static_forced --source agent -- "$TARGETS/heapload_static" 500 100 1000 now
check_contains static_forced_is_told "$errors" "The source agent cannot be used: "
child 125 static_traced --heap trace -- "$TARGETS/heapload_static" 500 100 1000 now
check_contains static_traced_is_told "$errors" "Tracing every allocation needs the agent: "
check_absent static_traced_no_file "$db"
if is_root; then
	cp "$TARGETS/heapload" "$dir/setuid"
	chown 65534 "$dir/setuid"
	chmod 4755 "$dir/setuid"
	child 0 setuid -- "$dir/setuid" 500 100 1000 now
	check_contains setuid_is_said "$errors" "runs with rights of its own (setuid)"
	check_equal setuid_preload "$(meta_of "$db" heap_agent_reason | grep -c setuid)" 1
fi

mkdir "$dir/alone" "$dir/with blank"
cp "$RSPROF" "$dir/alone/rsprof"
cp "$RSPROF" "$agent" "$dir/with blank/"
program=$RSPROF
RSPROF=$dir/alone/rsprof
child 0 missing -- "$TARGETS/heapload" 500 100 1000 now
check_without missing "librsprof_agent.so was not found"
run env RSPROF_AGENT_LIB="$agent" "$RSPROF" run -q -o "$dir/named.db" -- "$TARGETS/heapload" 500 100 1000 now
check_equal named_heap "$(meta_of "$dir/named.db" heap_source)" agent
mkdir "$dir/lib" "$dir/bin"
cp "$program" "$dir/bin/"
cp "$agent" "$dir/lib/"
RSPROF=$dir/bin/rsprof
child 0 installed -- "$TARGETS/heapload" 500 100 1000 now
check_heap installed agent exact
RSPROF="$dir/with blank/rsprof"
child 0 blank -- "$TARGETS/heapload" 500 100 1000 now
check_without blank "LD_PRELOAD takes no path with blanks"
RSPROF=$program

# ---- a running process

# start_with ASSIGNMENT… -- PROGRAM ARGUMENT…: with the agent, ready for its signal; what it prints is in $truth.
start_with() {
	local settings=()

	while [ "$1" != -- ]; do
		settings+=("$1")
		shift
	done
	shift
	truth=$dir/$1.truth
	start_target ${as[@]+"${as[@]}"} env LD_PRELOAD="$agent" ${settings[@]+"${settings[@]}"} \
		"$TARGETS/$1" "${@:2}" >"$truth"
	wait_for 20 grep -q '^ready' "$truth"
}

# attach NAME OPTION…: a third of a second, in $db; what was said of the sources in $said.
attach() {
	db=$dir/$1.db
	rm -f "$db"
	run timeout -k 5 60 ${as[@]+"${as[@]}"} "$RSPROF" -p "$target_pid" -q -d 300ms -o "$db" "${@:2}"
	check_equal "$1_exit_code" "$status" 0 || printf '%s\n' "$errors"
	said=$(grep -m 1 ' by ' <<<"$errors")
}

# Two readers at once see the same, and a third one later what is left.
start_with -- heapload 5000 100 20000
loaded=$target_pid
json=$("$RSPROF" doctor -p "$loaded" --json)
check_equal doctor_sees_it "$(of '"\(.target.agent) \(.target.agent_facts.state) \(.target.agent_facts.heap)"')" \
	"true on exact"
check_equal doctor_names_its_version "$(of .target.agent_facts.version)" "$(cat VERSION)"
check_contains doctor_names_its_allocator "$(of .target.agent_facts.allocator)" libc.so.6
check_equal doctor_takes_it "$(of '[.sources[] | select(.heap.taken) | .source] | join(" ")')" agent
record "$dir/first.db" -p "$loaded"
first=$record_pid
record "$dir/second.db" -p "$loaded" --source agent --heap exact
second=$record_pid
kill -USR1 "$loaded"
wait_for 60 grep -q '^done' "$truth"
for reader in first second; do
	record_pid=${!reader}
	kill -INT "$record_pid"
	record_end 30
	check_equal "${reader}_exit_code" "$record_status" 0
	db=$dir/$reader.db
	check_heap $reader agent exact
	check_exact $reader
done
check_sources second off agent
db=$dir/first.db
check_sources first $cpu_source agent
target_pid=$loaded
attach later
check_heap later agent exact
top_heap "$db"
check_equal later_sees_what_lives "$(of_line bytes heapload.c HELD)" 500000
check_equal later_knows_what_was_before "$(meta_of "$db" heap_anonymous_bytes_at_attach)" 0

# Asked for another mode than it runs in.
attach other_mode --heap sampled
check_contains other_mode_is_said "$errors" \
	"The agent in $loaded counts exactly; RSPROF_HEAP=sampled when it is started changes that."
check_heap other_mode agent exact
check_contains other_mode_is_noted "$(meta_of "$db" notes)" "counts exactly"
attach heap_off --heap off
check_heap heap_off off off
attach only_perf --source perf
check_sources only_perf perf totals
check_refusal waits_by_agent 4 "$RSPROF" -p "$loaded" -q -d 1s --source agent -e wait-time -o "$dir/none.db"
check_refusal clock_without_timers 4 "$RSPROF" -p "$loaded" -q -d 1s --source agent -e cpu-clock -o "$dir/none.db"
check_absent refusals_no_file "$dir/none.db"

# Another version, a damaged header: gone on without it, or refused; the target is well either way.
memory=/proc/$loaded/fd/$(find "/proc/$loaded/fd" -lname '*memfd:rsprof-agent*' -printf '%f\n' | head -n 1)
# patch OFFSET BYTES
patch_memory() {
	printf "$2" | dd of="$memory" bs=1 seek="$1" conv=notrunc status=none
}
# check_left_out NAME WORDS
check_left_out() {
	attach "$1"
	check_contains "$1_is_said" "$errors" "$2"
	check_contains "$1_reason" "$(meta_of "$db" heap_agent_reason)" "$2"
	check_equal "$1_is_left_out" "$(meta_of "$db" heap_source | grep -c agent)" 0
	run timeout -k 5 30 "$RSPROF" -p "$loaded" -q -d 1s --source agent -o "$dir/none.db"
	check_between "$1_forced_exit_code" "$status" 1 4
	check_contains "$1_forced_is_told" "$errors" "$2"
	check_absent "$1_forced_no_file" "$dir/none.db"
	json=$("$RSPROF" doctor -p "$loaded" --json)
	check_contains "$1_doctor" "$(of .target.agent_refused)" "$2"
}
patch_memory 8 '\x63\x00'
check_left_out other_version 99
patch_memory 8 '\x01\x00'
patch_memory 0 'X'
check_left_out damaged "agent"
patch_memory 0 'R'
attach healed
check_heap healed agent exact
check healed_target_lives kill -0 "$loaded"
stop_target "$loaded"

start_with RSPROF_HEAP=off -- heapload 50 100
attach counts_nothing
check_contains counts_nothing_is_said "$errors" "the agent was told not to count the heap"
stop_target

start_with RSPROF_AGENT=dormant -- heapload 5000 100 20000
json=$("$RSPROF" doctor -p "$target_pid" --json)
check_equal dormant_is_told "$(of .target.agent_facts.state)" dormant
loaded=$target_pid
record "$dir/woken.db" -p "$loaded"
target_pid=$loaded db=$dir/woken.db
kill -USR1 "$loaded"
wait_for 60 grep -q '^done' "$truth"
kill -INT "$record_pid"
record_end 30
check_heap woken agent exact
check_exact woken
check_between woken_knows_not_what_was_before "$(meta_of "$db" heap_anonymous_bytes_at_attach)" 4096 100000000
stop_target "$loaded"

# With timers, where nobody else may sample.
start_with RSPROF_CPU_FREQ=199 -- heapload 50 100
as=("$TARGETS/noperf")
if "${as[@]}" true 2>/dev/null; then
	attach timers
	check_contains timers_are_said "$said" "cpu by agent (bpf: "
	check_sources timers agent agent
	check_equal timers_frequency "$(meta_of "$db" cpu_freq_hz)" 199
	as=()
	stop_target
	start_with -- heapload 50 100
	as=("$TARGETS/noperf")
	attach no_timers
	check_contains no_timers_are_said "$errors" "heap by agent (exact); CPU and waiting are not recorded (bpf: "
	check_sources no_timers off agent
else
	skip timers_sources "no seccomp filters here"
fi
as=()
stop_target

# Put into a process that has none.
start_ready heapload heapload 5000 100 20000
loaded=$target_pid
check_equal inject_not_unasked "$(grep -c rsprof_agent "/proc/$loaded/maps")" 0
if record "$dir/injected.db" -p "$loaded" --inject; then
	target_pid=$loaded db=$dir/injected.db
	kill -USR1 "$loaded"
	wait_for 60 grep -q '^done' "$truth"
	kill -INT "$record_pid"
	record_end 30
	check_heap injected agent exact
	check_exact injected
	check_between injected_knows_not_what_was_before \
		"$(meta_of "$db" heap_anonymous_bytes_at_attach)" 4096 100000000
	attach injected_again --inject
	check_heap injected_again agent exact
else
	not_ok injected_records "$(cat "$dir/injected.db.err")"
fi
stop_target "$loaded"
start_running "$TARGETS/heapload_static" 50 100
check_refusal inject_static 1 "$RSPROF" -p "$target_pid" -q -d 1s --inject -o "$dir/none.db"
check_absent inject_static_no_file "$dir/none.db"
stop_target

# ---- an ordinary user

if ! is_root || ! as_ordinary heapload; then
	skip ordinary_sources "not root, or setpriv is not installed"
	exit 0
fi
cp "$agent" "$(dirname "$RSPROF")/"
agent=$(dirname "$RSPROF")/librsprof_agent.so
child 0 ordinary --heap exact -- "$TARGETS/heapload" 5000 100 20000 now
check_contains ordinary_is_said "$said" "heap by agent (exact); waiting is not recorded"
check_heap ordinary agent exact
check_exact ordinary
start_with -- heapload 5000 100 20000
attach ordinary_attach --heap exact
check_heap ordinary_attach agent exact
stop_target
exit 0
