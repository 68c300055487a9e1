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

# kill -9 of rsprof in the middle: every checkpoint but the last.
db=$dir/killed.db
begin=$EPOCHREALTIME
record "$db" -p "$burn" --cpu-freq 999 -i 100ms || not_ok killed_records "$(cat "$db.err")"
wait_for 20 has_checkpoints "$db" 10
# Meanwhile it can be read, by its owner only.
check_equal recording_journal_mode "$(sql "$db" 'PRAGMA journal_mode')" wal
check_equal recording_mode "$(stat -c %a "$db" "$db-wal" | sort -u)" 600
top "$db" --by function
check_share recording_share "$(of_function incl_pct burn_sixty)" 60 15
wait_for 20 has_checkpoints "$db" 20
kill -KILL "$record_pid"
elapsed_ms=$(awk "BEGIN { print ($EPOCHREALTIME - $begin) * 1000 }")
record_end
check_equal killed_status "$record_status" 137
count=$(checkpoints "$db")
last_ms=$(sql "$db" 'SELECT MAX(timestamp_ms) FROM checkpoints')
check_equal killed_integrity "$(sql "$db" 'PRAGMA integrity_check')" ok
# It began after $begin and was killed before $elapsed_ms: the recording was at most that long, and
# checkpoints come every 100 ms.
check_between killed_checkpoints "$count" 20 "$(awk "BEGIN { print $elapsed_ms / 100 + 1 }")"
check_near killed_no_checkpoint_missing "$last_ms" "$((count * 100))" 2 60
check_equal killed_ids_go_on "$(sql "$db" 'SELECT MAX(id) - MIN(id) + 1 = COUNT(*) FROM checkpoints')" 1
top "$db" --by function
# How much of a CPU the target had is not known; more than the whole it cannot be.
check_between killed_samples "$(of .total_samples)" "$((last_ms / 5))" "$((last_ms * 102 / 100))"
check_equal killed_samples_agree "$(sql "$db" 'SELECT SUM(count) FROM cpu_samples')" "$(of .total_samples)"
check_share killed_share "$(of_function incl_pct burn_sixty)" 60 10
run "$RSPROF" list -d "$dir"
check_contains killed_is_listed "$out" killed.db
check killed_target_lives kill -0 "$burn"
# The same file again is refused; what is in it stays.
check_refusal killed_not_overwritten 6 "$RSPROF" -p "$burn" -q -d 1s -o "$db"
check_equal killed_still_whole "$(checkpoints "$db")" "$count"

# SIGINT and SIGTERM: clean ends.
for signal in INT TERM; do
	db=$dir/$signal.db
	record "$db" -p "$burn" --cpu-freq 499 || not_ok "${signal}_records" "$(cat "$db.err")"
	wait_for 10 has_checkpoints "$db" 1
	kill "-$signal" "$record_pid"
	record_end 10
	check_equal "${signal}_exit_code" "$record_status" 0
	check_finished "${signal}_finished" "$db"
	check_losses "${signal}_losses" "$db"
	check_contains "${signal}_summary" "$(cat "$db.out")" burn_sixty
done

# SIGQUIT: at once; what was committed can be read.
db=$dir/QUIT.db
record "$db" -p "$burn" --cpu-freq 499 -i 100ms || not_ok QUIT_records "$(cat "$db.err")"
wait_for 10 has_checkpoints "$db" 3
begin=$EPOCHREALTIME
kill -QUIT "$record_pid"
record_end 10
check_between QUIT_is_at_once "$(awk "BEGIN { print $EPOCHREALTIME - $begin }")" 0 1
check_equal QUIT_is_not_success "$([ "$record_status" -ne 0 ] && echo failed)" failed
check_between QUIT_checkpoints_stay "$(checkpoints "$db")" 3 1000
top "$db" --by function
check_share QUIT_share "$(of_function incl_pct burn_sixty)" 60 15

# -d: as long as was asked for.
db=$dir/duration.db
record "$db" -p "$burn" -d 1500ms || not_ok duration_records "$(cat "$db.err")"
record_end 10
check_equal duration_exit_code "$record_status" 0
top "$db"
check_near duration_is_kept "$(of .duration_ms)" 1500 5

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
start_target "$TARGETS/burn" 2 >"$dir/exits.truth"
db=$dir/target_exits.db
record "$db" -p "$target_pid" --cpu-freq 999 || not_ok target_exits_records "$(cat "$db.err")"
record_end 15
check_equal target_exits_exit_code "$record_status" 0
check_finished target_exits_finished "$db"
check_losses target_exits_losses "$db"
# Attaching takes the first part of it.
check_between target_exits_samples "$(of .total_samples)" \
	"$(awk "BEGIN { print $(truth_of cpu_ns "$dir/exits.truth") / 1e9 * 999 * 0.7 }")" \
	"$(awk "BEGIN { print $(truth_of cpu_ns "$dir/exits.truth") / 1e9 * 999 * 1.02 }")"
