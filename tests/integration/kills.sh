#!/usr/bin/env bash
# However a recording ends: rsprof or the target is killed, the target exits, signals stop rsprof. What was
# committed stays, and the target is never harmed.
. tests/lib/lib.sh
. tests/integration/common.bash

checkpoints() {
	sql "$1" 'SELECT COUNT(*) FROM checkpoints'
}

has_checkpoints() {
	[ "$(checkpoints "$1")" -ge "$2" ]
}

start_running "$TARGETS/burn" 60
burn=$target_pid

# The kernel's numbers of the BPF programs and maps that a process has open.
bpf_objects() {
	cat "/proc/$1"/fdinfo/* 2>/dev/null | awk '/^(prog|map)_id:/ { print $1 $2 }' | sort -u
}

# None of $objects is in the kernel any more.
objects_are_gone() {
	local object

	for object in $objects; do
		case $object in
		prog_id:*) ! bpftool prog show id "${object#*:}" || return 1 ;;
		map_id:*) ! bpftool map show id "${object#*:}" || return 1 ;;
		esac
	done
}

# kill -9 of rsprof in the middle: every checkpoint but the last.
killed() {
	local source=$1 name=$1_killed begin elapsed_ms count last_ms objects

	db=$dir/$name.db
	rm -f "$db"*
	begin=$EPOCHREALTIME
	record "$db" -p "$burn" --cpu-freq 999 -i 100ms --source "$source" ||
		not_ok ${name}_records "$(cat "$db.err")"
	wait_for 20 has_checkpoints "$db" 10
	# Meanwhile it can be read, by its owner only.
	check_equal ${source}_recording_journal_mode "$(sql "$db" 'PRAGMA journal_mode')" wal
	check_equal ${source}_recording_mode "$(stat -c %a "$db" "$db-wal" | sort -u)" 600
	top "$db" --by function
	check_share ${source}_recording_share "$(of_function incl_pct burn_sixty)" 60 15
	wait_for 20 has_checkpoints "$db" 20
	objects=$(bpf_objects "$record_pid")
	kill -KILL "$record_pid"
	elapsed_ms=$(awk "BEGIN { print ($EPOCHREALTIME - $begin) * 1000 }")
	record_end
	check_equal ${name}_status "$record_status" 137
	count=$(checkpoints "$db")
	last_ms=$(sql "$db" 'SELECT MAX(timestamp_ms) FROM checkpoints')
	check_equal ${name}_integrity "$(sql "$db" 'PRAGMA integrity_check')" ok
	# It began after $begin and was killed before $elapsed_ms: the recording was at most that long, and
	# checkpoints come every 100 ms.
	check_between ${name}_checkpoints "$count" 20 "$(awk "BEGIN { print $elapsed_ms / 100 + 1 }")"
	check_near ${name}_no_checkpoint_missing "$last_ms" "$((count * 100))" 2 60
	check_equal ${name}_ids_go_on \
		"$(sql "$db" 'SELECT MAX(id) - MIN(id) + 1 = COUNT(*) FROM checkpoints')" 1
	top "$db" --by function
	# How much of a CPU the target had is not known; more than the whole it cannot be.
	check_between ${name}_samples "$(of .total_samples)" "$((last_ms / 10))" "$((last_ms * 102 / 100))"
	check_equal ${name}_samples_agree "$(sql "$db" 'SELECT SUM(count) FROM cpu_samples')" \
		"$(of .total_samples)"
	check_share ${name}_share "$(of_function incl_pct burn_sixty)" 60 10
	run "$RSPROF" list -d "$dir"
	check_contains ${name}_is_listed "$out" $name.db
	check ${name}_target_lives kill -0 "$burn"
	# The same file again is refused; what is in it stays.
	check_refusal ${name}_not_overwritten 6 "$RSPROF" -p "$burn" -q -d 1s -o "$db"
	check_equal ${name}_still_whole "$(checkpoints "$db")" "$count"
	if [ "$source" = bpf ] && is_root && command -v bpftool >/dev/null; then
		check_between ${name}_programs_were_there "$(grep -c prog_id <<<"$objects")" 1 100
		figure ${name} "$(wc -l <<<"$objects") BPF programs and maps were open"
		wait_for 10 objects_are_gone
		check ${name}_no_program_is_left objects_are_gone
	fi
}

for source in $SOURCES; do
	often 3 killed "$source"
done

# SIGINT and SIGTERM: clean ends.
for source in $SOURCES; do
	for signal in INT TERM; do
		name=${source}_$signal
		db=$dir/$name.db
		record "$db" -p "$burn" --cpu-freq 499 --source "$source" ||
			not_ok "${name}_records" "$(cat "$db.err")"
		wait_for 10 has_checkpoints "$db" 1
		objects=$(bpf_objects "$record_pid")
		kill "-$signal" "$record_pid"
		record_end 10
		check_equal "${name}_exit_code" "$record_status" 0
		check_finished "${name}_finished" "$db"
		check_losses "${name}_losses" "$db"
		check_contains "${name}_summary" "$(cat "$db.out")" burn_sixty
		if [ "$source" = bpf ] && is_root && command -v bpftool >/dev/null; then
			wait_for 10 objects_are_gone
			check "${name}_no_program_is_left" objects_are_gone
		fi
	done
done

# SIGQUIT: at once; what was committed can be read.
db=$dir/QUIT.db
record "$db" -p "$burn" --cpu-freq 499 -i 100ms || not_ok QUIT_records "$(cat "$db.err")"
wait_for 10 has_checkpoints "$db" 3
kill -QUIT "$record_pid"
record_end 10
check_equal QUIT_ends "$([ "$record_status" -ne 124 ] && echo ended)" ended
check_equal QUIT_is_not_success "$([ "$record_status" -ne 0 ] && echo failed)" failed
check_between QUIT_checkpoints_stay "$(checkpoints "$db")" 3 1000
top "$db" --by function
check_share QUIT_share "$(of_function incl_pct burn_sixty)" 60 15

# -d: as long as was asked for.
duration() {
	db=$dir/duration.db
	rm -f "$db"
	record "$db" -p "$burn" -d 1500ms || not_ok duration_records "$(cat "$db.err")"
	record_end 20
	check_equal duration_exit_code "$record_status" 0
	top "$db"
	check_near duration_is_kept "$(of .duration_ms)" 1500 5
}
often 3 duration

# kill -9 of the target: a clean end.
db=$dir/target_killed.db
record "$db" -p "$burn" --cpu-freq 999 || not_ok target_killed_records "$(cat "$db.err")"
wait_for 10 has_checkpoints "$db" 1
kill -KILL "$burn"
wait "$burn" 2>/dev/null
record_end 10
check_equal target_killed_exit_code "$record_status" 0
check_finished target_killed_finished "$db"
check_losses target_killed_losses "$db"
check_share target_killed_share "$(of_function cpu_pct burn_sixty)" 60 15

# The target exits: all of its last second is there.
target_exits() {
	local name=${source}_target_exits

	db=$dir/$name.db
	rm -f "$db"
	start_target "$TARGETS/burn" 1.5 >"$dir/$name.truth"
	record "$db" -p "$target_pid" --cpu-freq 999 --source "$source" ||
		not_ok "${name}_records" "$(cat "$db.err")"
	record_end 15
	check_equal "${name}_exit_code" "$record_status" 0
	check_finished "${name}_finished" "$db"
	check_losses "${name}_losses" "$db"
	# Attaching takes the first part of it; what was stolen may have been sampled all the same.
	check_between "${name}_samples" "$(of .total_samples)" \
		$(awk -v ns="$(truth_of cpu_ns "$dir/$name.truth")" \
			-v stolen=$(($(stolen_ns) - stolen_before)) \
			'BEGIN { print ns / 1e9 * 999 * 0.6, (ns * 1.02 + stolen) / 1e9 * 999 }')
}
for source in $SOURCES; do
	often 3 target_exits
done
exit 0
