#!/usr/bin/env bash
# The agent's CPU timers: samples of each thread against its own clock, whatever the rate and however short it
# lives; and a program under them behaves as it does without.
. tests/lib/lib.sh

agent=$PWD/$BUILD/librsprof_agent.so
dir=$(folder)
truth=$dir/truth

# A command at a rate, with the agent and its timers.
at_99=(env RSPROF_CPU_FREQ=99 LD_PRELOAD="$agent")
at_999=(env RSPROF_CPU_FREQ=999 LD_PRELOAD="$agent")

# lingering COMMAND…: until it says that it is done. What it says is in $truth, of its memory in $told.
lingering() {
	start_target "$@" >"$truth"
	wait_for 60 grep -q '^done' "$truth"
	told=$("$TARGETS/agentdump" "$target_pid")
}

# told KEY
told() {
	awk -v key="$1" '$1 == key { print $2 }' <<<"$told"
}

# threads_off HZ: "N threads", before it those whose samples are not within 3 % or 1.5 of what they used.
threads_off() {
	awk -v rate="$1" '
		NR == FNR { if ($1 == "tid") samples[$2] = $3; next }
		$1 == "thread" {
			want = $3 / 1e9 * rate
			got = samples[$2] + 0
			off = got > want ? got - want : want - got
			if (off > 1.5 && off > want * 0.03)
				printf "thread %d has %d samples, %.1f expected; ", $2, got, want
			threads++
		}
		END { printf "%d threads\n", threads }' <(printf '%s\n' "$told") "$truth"
}

check_sums() {
	check_equal "$1_lanes_and_sites_agree" "$(told lane_samples) $(told site_samples)" \
		"$(told event_samples) $(told event_samples)"
	check_equal "$1_nothing_lost" "$(awk '/^lost_/ { sum += $2 } END { print sum + 0 }' <<<"$told")" 0
}

# Four threads of different shares, two of which sleep in between.
for rate in 99 999; do
	lingering env RSPROF_CPU_FREQ=$rate LD_PRELOAD="$agent" "$TARGETS/agentcpu" shares $((rate < 500 ? 3 : 1))
	check_equal "cpu_shares_$rate" "$(threads_off $rate)" "4 threads"
	check_sums "cpu_shares_$rate"
	stop_target
done

# Threads without an allocation, of both interfaces.
lingering "${at_999[@]}" "$TARGETS/agentcpu" quiet 1
check_equal cpu_quiet_threads "$(threads_off 999)" "2 threads"
check_sums cpu_quiet
stop_target

# Shorter than a period and a tick: in sum they are what they used. No timer is left of them.
lingering "${at_99[@]}" "$TARGETS/agentcpu" short 200 5
expected=$(awk '$1 == "all" { print $2 / 1e9 * 99 }' "$truth")
check_between cpu_short_threads_99 "$(told event_samples)" "$(awk "BEGIN { print $expected - 28 }")" \
	"$(awk "BEGIN { print $expected + 28 }")"
stop_target
lingering "${at_999[@]}" "$TARGETS/agentcpu" short 200 5
expected=$(awk '$1 == "all" { print $2 / 1e9 * 999 }' "$truth")
check_between cpu_short_threads_999 "$(told event_samples)" "$(awk "BEGIN { print $expected * 0.97 }")" \
	"$(awk "BEGIN { print $expected * 1.03 + 10 }")"
check_equal cpu_short_threads_leave_no_timer "$(grep -c '^ID:' "/proc/$target_pid/timers")" 1
check_sums cpu_short
stop_target

# All signals blocked for the whole of its work: the weight of one signal is all of it.
lingering "${at_999[@]}" "$TARGETS/agentsig" blocked 0.5
check_equal cpu_blocked_thread "$(threads_off 999)" "1 threads"
stop_target

# A child that never allocates begins by its first sample; it has a memory of its own.
start_target "${at_999[@]}" "$TARGETS/agentsig" forks 0.5 >"$truth"
wait_for 60 grep -q '^child' "$truth"
child=$(awk '{ print $2 }' "$truth")
told=$("$TARGETS/agentdump" "$child")
sed -i 's/^child/thread/' "$truth"
check_equal cpu_forked_child "$(threads_off 999)" "1 threads"
check_equal cpu_forked_child_is_told "$(told pid) $(told is_forked)" "$child 1"
kill -USR1 "$target_pid"
wait_for 10 lib_is_gone "$target_pid" || stop_target

# No room for signals that wait: the threads without a timer are counted, and the program runs.
without_room() {
	ulimit -i 0
	exec "${at_999[@]}" "$TARGETS/agentcpu" shares 0.5
}
lingering without_room
check_equal cpu_timers_refused_are_counted "$(told lost_timers) $(told event_samples)" "5 0"
stop_target

# same NAME ARGUMENT…: with the agent, agentsig says and ends the same as without.
same() {
	local name=$1 plain plain_status

	shift
	run timeout 60 "$TARGETS/agentsig" "$@"
	plain=$out plain_status=$status
	run "${at_999[@]}" timeout 60 "$TARGETS/agentsig" "$@"
	check_equal "cpu_same_$name" "$out:$errors:$status" "$plain::$plain_status"
}

same view view
same flags flags
same default default
same resethand reset
same ignored ignored
same jumps jumps 1000
same waits waits 60
same execs execs 100
same creates creates
run "${at_999[@]}" "$TARGETS/agentsig" default
check_equal cpu_default_is_death_by_the_signal "$status" 155
run "${at_999[@]}" "$TARGETS/agentsig" calls 2
check_equal cpu_no_call_is_interrupted "$out" "interrupted 0 0 0 0"

# ITIMER_PROF's own rate is that of the kernel's ticks, which do not find a thread as often as it runs where
# others do, too. Ours would be ten times as many.
run "${at_999[@]}" "$TARGETS/agentsig" itimer 1
check_between cpu_itimer_signals "$(awk '$1 == "signals" { print $2 }' <<<"$out")" 70 140
check_equal cpu_itimer_gets_none_of_ours "$(awk '$1 == "strange" { print $2 }' <<<"$out")" 0

# From outside, where the program has set nothing: it ends, as without the agent.
start_target "${at_999[@]}" "$TARGETS/agentcpu" shares 20 >/dev/null
wait_for 10 grep -q '^ID:' "/proc/$target_pid/timers"
kill -PROF "$target_pid"
wait "$target_pid" 2>/dev/null
check_equal cpu_signal_from_outside_ends_it "$?" 155

# Off and dormant: no timer, no handler.
start_target env RSPROF_AGENT=dormant RSPROF_CPU_FREQ=999 LD_PRELOAD="$agent" "$TARGETS/agentcpu" shares 0.2 >"$truth"
wait_for 60 grep -q '^done' "$truth"
check_equal cpu_dormant_has_no_timer "$(cat "/proc/$target_pid/timers")" ""
stop_target
