#!/usr/bin/env bash
# rsprof doctor agrees with what the machine says and with what recording then does.
. tests/lib/lib.sh
. tests/integration/common.bash

start_running "$TARGETS/burn" 60
burn=$target_pid

run "$RSPROF" doctor
check_equal doctor_exit_code "$status" 0
check_contains doctor_kernel "$out" "kernel $(uname -r)"
check_contains doctor_paranoid "$out" "perf_event_paranoid $(cat /proc/sys/kernel/perf_event_paranoid)"
check_contains doctor_you "$out" "uid $(id -u)"
if compgen -G '/sys/bus/event_source/devices/cpu*' >/dev/null; then
	check_contains doctor_counters "$out" "hardware counters yes"
else
	check_contains doctor_counters "$out" "hardware counters no"
fi
json=$("$RSPROF" doctor -p "$burn" --json)
check_equal doctor_target "$(of '"\(.target.pid) \(.target.process_name) \(.target.uid)"')" "$burn burn $(id -u)"
check_equal doctor_exe "$(of .target.exe_path)" "$(readlink "/proc/$burn/exe")"
check_equal doctor_frame_pointers "$(of .target.frame_pointers)" "frame pointers"
check_equal doctor_limits "$(of '"\(.open_files_soft) \(.open_files_hard)"')" "$(ulimit -Sn) $(ulimit -Hn)"
if may_use_bpf; then
	best=bpf wait=bpf
else
	best=perf wait=
fi
# taken SIGNAL: the sources that $json marks for it.
taken() {
	of "[.sources[] | select(.$1.taken) | .source] | join(\" \")"
}
# cell SOURCE SIGNAL: what $json answers.
cell() {
	of ".sources[] | select(.source == \"$1\") | .$2.answer"
}
check_equal doctor_takes_the_best "$(taken cpu)" $best
check_equal doctor_takes_the_best_for_waits "$(taken wait)" "$wait"
check_equal doctor_takes_the_best_for_the_heap "$(taken heap)" $best
check_equal doctor_others_have_totals "$(cell perf heap), $(cell ptrace heap)" "totals only, totals only"
check_equal doctor_allocator "$(of '.target.heap.allocators | map("\(.kind) in \(.object)") | join(" ")')" \
	"glibc in libc.so.6"
functions=$(of '.target.heap.allocators[0].functions')
check_between doctor_functions "$functions" 6 30
check_between doctor_emulated "$(of '.target.heap.allocators[0].emulated')" 5 "$functions"
check_equal doctor_misses_no_allocator "$(of '.target.heap.missing')" null
check_equal doctor_perf_has_no_waits "$(cell perf wait)" "not in this version"
if may_use_bpf; then
	check_equal doctor_bpf_answers "$(cell bpf cpu) $(cell bpf wait) $(cell bpf heap)" "yes yes yes"
	check_equal doctor_has_no_advice "$(of '.advice | length')" 0
fi
check_equal doctor_finds_the_agents_library "$(of .agent_library)" "$(realpath "$BUILD/librsprof_agent.so")"
check_equal doctor_sees_no_agent "$(of '"\(.target.agent) \(.target.agent_facts) \(.target.agent_refused)"')" \
	"false null null"
check_equal doctor_would_inject "$(of '"\(.target.inject) \(.target.inject_missing)"')" "true null"
check_equal doctor_agent_answers "$(cell agent cpu) $(cell agent wait) $(cell agent heap)" "no never no"
start_running "$TARGETS/heapload_static" 50 100
json=$("$RSPROF" doctor -p "$target_pid" --json)
check_equal doctor_would_not_inject_static "$(of '"\(.target.inject) \(.target.inject_missing)"')" \
	"false the program is statically linked"
stop_target
run "$RSPROF" doctor -p "$burn"
check_contains doctor_marks_what_is_taken "$out" "what rsprof -p $burn would take"
check_contains doctor_names_the_target "$out" "target $burn burn"
check_contains doctor_names_the_allocator "$out" "heap: glibc malloc in libc.so.6, $functions functions"
check_refusal doctor_no_process 3 "$RSPROF" doctor -p 2147483647

if [ -x "$TARGETS/rust" ]; then
	start_running "$TARGETS/rust" 30
	json=$("$RSPROF" doctor -p "$target_pid" --json)
	check_equal doctor_rust "$(of .target.language)" Rust
	check_between doctor_rust_dwarf "$(of .target.dwarf_version)" 4 5
	stop_target
fi
start_running "$TARGETS/stripped" 30
json=$("$RSPROF" doctor -p "$target_pid" --json)
check_equal doctor_stripped_language "$(of '.target.language // "none"')" none
check_equal doctor_stripped_dwarf "$(of '.target.dwarf_version // 0')" 0
stop_target

# For somebody else's process: the command that would allow it, and recording refuses as was told.
if is_root && as_ordinary burn; then
	run "${as[@]}" "$RSPROF" doctor -p "$burn"
	check_equal doctor_refused_exit_code "$status" 0
	check_contains doctor_refused_says_why "$out" "another user"
	check_contains doctor_refused_command "$out" "sudo rsprof -p $burn"
	json=$("${as[@]}" "$RSPROF" doctor -p "$burn" --json)
	check_equal doctor_refused_injects_nothing "$(of .target.inject)" false
	check_equal doctor_refused_takes_nothing \
		"$(taken cpu)$(taken wait)$(taken heap)" ""
	check_refusal doctor_was_right 4 "${as[@]}" "$RSPROF" -p "$burn" -q -d 1s -o "$dir/refused.db"

	# Its own: perf, and what bpf would need.
	start_running "$TARGETS/burn" 30
	json=$("${as[@]}" "$RSPROF" doctor -p "$target_pid" --json)
	check_equal doctor_ordinary_takes_perf "$(taken cpu) $(taken wait) $(taken heap)" "perf  perf"
	check_equal doctor_ordinary_heap "$(cell bpf heap)" no
	check_equal doctor_ordinary_bpf "$(cell bpf cpu) / $(cell bpf wait)" \
		"no: needs CAP_BPF and CAP_PERFMON / no"
	check_contains doctor_ordinary_bpf_advice \
		"$(of '.advice[] | select(.source == "bpf") | .sentence')" CAP_BPF
	run "${as[@]}" "$RSPROF" doctor -p "$target_pid"
	check_contains doctor_ordinary_sudo "$out" "sudo rsprof -p $target_pid"
	check_contains doctor_ordinary_setcap "$out" \
		"cap_bpf,cap_perfmon,cap_sys_ptrace,cap_checkpoint_restore+ep"
	stop_target
else
	skip doctor_refused_command "not root, or setpriv is not installed"
fi
stop_target "$burn"
exit 0
