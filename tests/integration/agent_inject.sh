#!/usr/bin/env bash
# rsprof -p PID --inject: the agent in a process that was started without it.
. tests/lib/lib.sh
dir=$(folder)
chmod 755 "$dir"

# start NAME ARGUMENT…: an injectee that is ready; its words are in $said.
start() {
	local name=$1

	shift
	said=$dir/said
	: >"$said"
	start_target "$TARGETS/$name" "$@" >"$said" </dev/null
	wait_for 10 grep -q ready "$said"
}

# tell_end: ends the work; the exit code is in $status.
tell_end() {
	kill -USR1 "$target_pid"
	wait "$target_pid"
	status=$?
}

has_no_agent() {
	! grep -q rsprof "/proc/$target_pid/maps"
}

start injectee load 4
run "$RSPROF" -p "$target_pid" --inject -q -d 1s -o "$dir/load.db"
check_equal recording_with_inject_succeeds "$status" 0 || printf '# %s\n' "$errors"
check_equal the_agent_is_there "$(grep -c 'r-xp.*librsprof_agent.so' "/proc/$target_pid/maps")" 1
run "$RSPROF" query --csv "$dir/load.db" \
	"SELECT value FROM meta WHERE key = 'heap_source'"
check_equal the_heap_is_the_agents "$(tail -1 <<<"$out")" agent
run "$RSPROF" query --csv "$dir/load.db" "SELECT SUM(total_allocs) FROM heap_samples"
check_between allocations_are_counted "$(tail -1 <<<"$out")" 10000 1000000000000
# A second recording finds it there.
run "$RSPROF" -p "$target_pid" --inject -q -d 1s -o "$dir/again.db"
check_equal a_second_time_is_nothing_new "$status" 0
tell_end
check_equal the_target_ends_as_it_should "$status" 7
check_contains its_results_are_right "$(cat "$said")" "errors 0"

# It confines itself after: the agent's system calls would be its death.
start agentedge confine late
run "$RSPROF" -p "$target_pid" --inject -q -d 300ms -o "$dir/confined.db"
check_equal a_recording_before_it_confines_itself_succeeds "$status" 0 || printf '# %s\n' "$errors"
tell_end
check_equal a_target_that_confines_itself_ends_as_it_should "$status $(tail -n 1 "$said")" "0 fine"

start injectee_static load 1
run "$RSPROF" -p "$target_pid" --inject -q -d 1s -o "$dir/static.db"
check_equal a_static_program_is_refused "$status" 1
check_contains a_static_program_is_refused_by_name "$errors" "no dynamic loader"
check_equal a_refusal_records_nothing "$(ls "$dir"/static.db 2>/dev/null)" ""
tell_end
check_equal the_static_program_ends_as_it_should "$status" 7

if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
	start injectee load 1
	cp "$RSPROF" "$dir/rsprof"
	[ ! -e "$BUILD/librsprof_agent.so" ] || cp "$BUILD/librsprof_agent.so" "$dir/"
	chmod 755 "$dir"/rsprof "$dir"/*.so
	mkdir -m 777 "$dir/other"
	run setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$dir/rsprof" -p "$target_pid" --inject -q -d 1s -o "$dir/other/x.db"
	check_equal another_users_process_is_refused "$status" 4
	check another_users_process_has_no_agent has_no_agent
	tell_end
	check_equal another_users_process_ends_as_it_should "$status" 7
else
	skip another_users_process_is_refused "only root can become another user"
fi
