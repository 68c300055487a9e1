#!/usr/bin/env bash
# The agent leaves the program as it is: errno around every call of the family, with handlers that allocate on
# top of it, too; descriptors, output, status; and nothing stays behind.
. tests/lib/lib.sh
. tests/integration/common.bash
. tests/integration/agent.bash

# What has a name where everybody may put files, and any file may be of: made since, by somebody else perhaps.
named() {
	find /dev/shm /tmp -maxdepth 1 -name '*rsprof*' ! -name 'rsprof-test.*' 2>/dev/null | sort
}

before=$(named)

# same NAME LINES PROGRAM: output, errors and status are those without the agent.
same() {
	local name=$1 program=$TARGETS/$3 plain

	plain=$("$program" 2>&1)
	plain+=" status $?"
	out=$(env LD_PRELOAD="$agent" ${preload_with:-} "$program" 2>&1)
	out+=" status $?"
	check_equal "$name" "$(diff <(echo "$plain") <(echo "$out"))" ""
	check_between "${name}_lines" "$(grep -c ', errno ' <<<"$out")" "$2" 5000
}

same errno 600 agentsafe
same errno_own 300 agentsafe_own
for preload_with in RSPROF_AGENT=dormant RSPROF_AGENT=off RSPROF_HEAP=sampled RSPROF_HEAP=trace RSPROF_HEAP=off \
	"RSPROF_HEAP=exact RSPROF_CPU_FREQ=999"; do
	name=${preload_with##*=}
	same "errno_${name//999/timers}" 600 agentsafe
done
preload_with=

# Nothing is asked of malloc on the agent's own behalf, whoever it is.
look quiet /bin/true -- env LD_PRELOAD="$agent:$PWD/$TARGETS/agentcount.so" AGENTCOUNT="$dir/behind" /bin/true
read -r quiet_allocs _ quiet_frees _ < <(od -An -v -t u8 -w32 "$dir/behind")
check_equal nothing_is_allocated "$quiet_allocs $quiet_frees" "$(looked_at total_allocs) $(looked_at total_frees)"

# Not known words in its variables, and a descriptor that is none of ours.
for preload_with in RSPROF_AGENT=what RSPROF_HEAP=what RSPROF_CPU_FREQ=what RSPROF_SHM_FD=1 RSPROF_SHM_FD=77 \
	RSPROF_SHM_FD=what RSPROF_HEAP_SAMPLE=-1; do
	same "odd_$(tr -c 'A-Za-z0-9\n' _ <<<"${preload_with#RSPROF_}")" 600 agentsafe
done
preload_with=

# interrupted NAME VARIABLE…: handlers allocate and free on top of each call; errno and totals stay right. What
# is temporary depends on where a handler came in.
interrupted() {
	local name=$1

	shift
	look "$name" "$TARGETS/agentsafe_own" -- env LD_PRELOAD="$agent" "$@" "$TARGETS/agentsafe_own" 0.7
	check_equal "${name}_status" "$(looked_at status)" 0
	check_equal "${name}_differs" "$(grep '^differs' "$truth")" ""
	check_equal "${name}_errno_in_handler" "$(truth_of errno_changes)" 0
	check_between "${name}_signals" "$(truth_of signals)" 100 100000
	check_between "${name}_frees_in_handler" "$(truth_of freed_in_handler)" 100 1000000
	# shellcheck disable=SC2086
	check_sites "$name" agentsafe.c $counts reallocs growth_bytes
	check_equal "${name}_unknown_frees" "$(looked_at unknown_frees)" 0
}

interrupted handlers RSPROF_HEAP=exact
check_looked handlers
interrupted handlers_timers RSPROF_HEAP=exact RSPROF_CPU_FREQ=999
interrupted handlers_trace RSPROF_HEAP=trace

# The family, called by the names that libc has.
look family "$TARGETS/agentsafe" -- env LD_PRELOAD="$agent" "$TARGETS/agentsafe"
# shellcheck disable=SC2086
check_sites family agentsafe.c $alone_counts
check_looked family
check_equal family_unknown_frees "$(looked_at unknown_frees)" 0

# One line where it is asked for, and none of its own otherwise.
out=$(LD_PRELOAD="$agent" "$TARGETS/heapload" 10 10 10 now 2>&1 >/dev/null)
check_equal says_nothing "$out" ""
out=$(ulimit -v 30000 && RSPROF_VERBOSE=1 LD_PRELOAD="$agent" exec "$TARGETS/heapload" 10 10 10 now 2>&1 >/dev/null)
check_equal verbose_lines "$(grep -c . <<<"$out")" 1
check_contains verbose_line "$out" rsprof

# A program that closes all descriptors, and one that uses the agent's number.
out=$(LD_PRELOAD="$agent" bash -c '
	for fd in /proc/$BASHPID/fd/*; do fd=${fd##*/}; [ "$fd" -lt 3 ] || eval "exec $fd>&-"; done
	x=$(seq 1000 | sort -n | tail -n 1); (exit 3); echo "$x $?"' 2>&1)
check_equal closed_descriptors "$out $?" "1000 3 0"

look closed "$TARGETS/agentways" -- env LD_PRELOAD="$agent" "$TARGETS/agentways" closed 1000 now
# shellcheck disable=SC2086
check_sites closed agentways.c $counts
check_looked closed
check_equal closed_numbers "$(truth_of descriptors) $(truth_of next) $(truth_of child_status)" "3 3 $((4 << 8))"

# A thousand children, each with memory of its own for a moment.
look children "$TARGETS/agentways" -- env LD_PRELOAD="$agent" "$TARGETS/agentways" children 1000 now
# shellcheck disable=SC2086
check_sites children agentways.c $counts
check_looked children
check_equal children_are_well "$(truth_of well) $(truth_of more_descriptors)" "1000 0"

# What programs do that leaves little room for a library inside them.
for what in "confine strict" "confine filter" "confine call" vfork child signalfd "limit as 60" "limit as 100" \
	"limit as 1000" "limit data 60" "limit data 100" "limit data 1000" "altstack 2048" "altstack 4096" "altstack 8192" \
	"altstack 65536" "unload $TARGETS/plug_a.so"; do
	name=${what%%/*}
	name=edge_$(tr ' ' _ <<<"${name% }")
	# shellcheck disable=SC2086
	out=$(RSPROF_CPU_FREQ=999 LD_PRELOAD="$agent" timeout -k 5 60 "$TARGETS/agentedge" $what 2>&1)
	check_equal "$name" "$out $?" "fine 0"
done

# Neither a question nor a child that shares the memory ends the agent.
start_target env LD_PRELOAD="$agent" "$TARGETS/agentedge" asks >"$dir/asks"
wait_for 20 grep -q . "$dir/asks"
look_at asks "$TARGETS/agentedge" "$target_pid"
check_equal edge_asks_are_no_wishes "$(cat "$dir/asks") $(looked_at state) $(looked_at reason)" "ready 1 0"
stop_target

# What reads its signals from a descriptor has no timers any more, which is counted.
look signalfd "$TARGETS/agentedge" -- env RSPROF_CPU_FREQ=999 LD_PRELOAD="$agent" "$TARGETS/agentedge" signalfd
check_equal edge_signalfd_is_counted "$(looked_at status) $(looked_at lost_timers)" "0 1"

# Threads that cannot bear a signal have no timer, which is counted, whenever they began.
for what in "small before" "small after" "small hidden" "clone none" "clone zeros" "clone shared"; do
	name=thread_${what/ /_}
	# shellcheck disable=SC2086
	look "$name" "$TARGETS/agentthread" -- env RSPROF_CPU_FREQ=999 LD_PRELOAD="$agent" "$TARGETS/agentthread" $what
	check_equal "$name" "$(head -n 1 "$truth") $(looked_at status) $(looked_at lost_timers)" "fine 0 1"
done

out=$(RSPROF_CPU_FREQ=999 LD_PRELOAD="$agent" timeout -k 5 60 "$TARGETS/agentthread" ends 50 2>&1)
check_equal thread_ends_leave_no_timer "$out $?" "fine 0"

# A shell whose parts allow themselves less and less.
script='(ulimit -v 100000; x=$(seq 20000); y=$x$x; echo ${#y}; (ulimit -v 50000; seq 10 | sort -n); (echo ${#x}))
	ulimit -v 200000; x=$(seq 20000); echo ${#x}; ulimit -v'
check_equal edge_limits_in_a_shell "$(LD_PRELOAD="$agent" bash -c "$script" 2>&1)" "$(bash -c "$script" 2>&1)"

check_equal nothing_is_left "$(named)" "$before"
exit 0
