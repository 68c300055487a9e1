#!/usr/bin/env bash
# Every refusal: its exit code, one sentence and a remedy, and no file that was never begun.
# Mounts of its own: what is mounted here is gone when this ends, however it ends.
if [ -z "${OWN_MOUNTS:-}" ] && [ "$(id -u)" -eq 0 ] && unshare --mount true 2>/dev/null; then
	OWN_MOUNTS=1 exec unshare --mount --propagation private bash "$0"
fi
. tests/lib/lib.sh
. tests/integration/common.bash

start_running "$TARGETS/burn" 120
burn=$target_pid

# Options out of range, of the wrong shape, unknown.
number=0
refused() {
	number=$((number + 1))
	check_refusal "$1" 2 "$RSPROF" -q -o "$dir/refused$number.db" "${@:2}"
	check_absent "$1_no_file" "$dir/refused$number.db"
}
refused freq_zero -p "$burn" -d 1s --cpu-freq 0
refused freq_high -p "$burn" -d 1s --cpu-freq 10001
refused freq_words -p "$burn" -d 1s --cpu-freq fast
refused freq_negative -p "$burn" -d 1s --cpu-freq -1
refused freq_huge -p "$burn" -d 1s --cpu-freq 99999999999999999999999
refused frames_zero -p "$burn" -d 1s --frames 0
refused frames_high -p "$burn" -d 1s --frames 512
refused interval_zero -p "$burn" -d 1s -i 0
refused interval_words -p "$burn" -d 1s -i soon
refused duration_zero -p "$burn" -d 0
refused duration_negative -p "$burn" -d -5s
refused duration_unit -p "$burn" -d 5x
refused buffer_words -p "$burn" -d 1s --buffer lots
refused pid_zero -p 0 -d 1s
refused pid_negative -p -5 -d 1s
refused pid_words -p init -d 1s
refused pid_huge -p 99999999999 -d 1s
refused pid_missing -d 1s
refused option_unknown -p "$burn" -d 1s --colour
refused option_value_missing -p "$burn" -d
refused source_unknown -p "$burn" -d 1s --source magic
refused event_empty -p "$burn" -d 1s -e ''
refused event_comma -p "$burn" -d 1s -e cpu-clock,
refused pid_and_name -p "$burn" -P burn -d 1s
check_refusal freq_environment 2 env RSPROF_CPU_FREQ=never "$RSPROF" -p "$burn" -q -d 1s \
	-o "$dir/environment.db"
check_absent freq_environment_no_file "$dir/environment.db"
check_refusal command_unknown 2 "$RSPROF" burn

# Processes that are none.
pid_max=$(cat /proc/sys/kernel/pid_max)
unused=$((pid_max - 7))
while [ -e "/proc/$unused" ]; do
	unused=$((unused - 1))
done
check_refusal no_process 3 "$RSPROF" -p "$unused" -q -d 1s -o "$dir/no_process.db"
check_absent no_process_no_file "$dir/no_process.db"
check_refusal pid_beyond 3 "$RSPROF" -p 2147483647 -q -d 1s -o "$dir/beyond.db"
if [ -e /proc/2/stat ] && [ "$(cat /proc/2/comm)" = kthreadd ]; then
	check_refusal kernel_thread 2 "$RSPROF" -p 2 -q -d 1s -o "$dir/kernel_thread.db"
	check_contains kernel_thread_is_told "$errors" "kernel thread"
	check_absent kernel_thread_no_file "$dir/kernel_thread.db"
else
	skip kernel_thread "no kernel threads are visible here"
fi
start_target "$TARGETS/zombie" >"$dir/zombie"
wait_for 5 grep -q '^zombie' "$dir/zombie"
run "$RSPROF" -p "$(truth_of zombie "$dir/zombie")" -q -d 1s -o "$dir/zombie.db"
check_contains zombie_is_told "$errors" "rsprof: "
check_equal zombie_exit_code "$([ "$status" -eq 2 ] || [ "$status" -eq 3 ]; echo $?)" 0
check_absent zombie_no_file "$dir/zombie.db"
stop_target

# A process that ends while it is attached to: recorded or gone, never a crash, a hang or half a file.
# race I: what is wrong; "raced" where it came to its end.
race() {
	local i=$1 racer status errors

	"$TARGETS/exits" $((i % 12)) 0 >/dev/null &
	racer=$!
	errors=$(timeout -k 5 20 "$RSPROF" -p "$racer" -q -d 2s -o "$dir/race$i.db" 2>&1 >/dev/null)
	status=$?
	wait "$racer"
	case $status in
	0) [ "$(sql "$dir/race$i.db" 'PRAGMA journal_mode')" = delete ] || echo "$i: no file" ;;
	3)
		[ ! -e "$dir/race$i.db" ] || echo "$i: a file was left"
		[[ $errors == *"rsprof: "* ]] || echo "$i: said \"$errors\""
		;;
	*) echo "$i: exit code $status, \"$errors\"" ;;
	esac
	echo raced
}

# several COUNT FUNCTION: FUNCTION 1 to FUNCTION COUNT, some at a time; what they print is in $said. Most of it is
# waiting for the kernel.
several() {
	local i pids=()

	for ((i = 1; i <= $1; i++)); do
		"$2" "$i" >"$dir/several$i" 2>&1 &
		pids+=($!)
		if [ ${#pids[@]} -eq 5 ] || [ "$i" -eq "$1" ]; then
			wait "${pids[@]}"
			pids=()
		fi
	done
	said=$(cat "$dir"/several*)
	rm -f "$dir"/several*
}

several 25 race
check_equal ending_while_attached "$(grep -c '^raced$' <<<"$said") races $(grep -v '^raced$' <<<"$said")" "25 races "

# Output.
check_refusal no_folder 1 "$RSPROF" -p "$burn" -q -d 1s -o "$dir/none/here.db"
check_contains no_folder_is_told "$errors" "none"
touch "$dir/is_a_file"
check_refusal folder_is_a_file 1 "$RSPROF" -p "$burn" -q -d 1s -o "$dir/is_a_file/here.db"
echo precious >"$dir/exists.db"
check_refusal output_exists 6 "$RSPROF" -p "$burn" -q -d 1s -o "$dir/exists.db"
check_equal output_exists_is_kept "$(cat "$dir/exists.db")" precious
check_refusal output_is_folder 6 "$RSPROF" -p "$burn" -q -d 1s -o "$dir"
ln -s "$dir/nowhere" "$dir/link.db"
run timeout -k 5 30 "$RSPROF" -p "$burn" -q -d 200ms -o "$dir/link.db"
check_equal output_dangling_link_is_not_followed "$([ -e "$dir/nowhere" ] && [ "$status" -ne 0 ]; echo $?)" 1

# Interrupted while it starts: either a recording that was finished, or no file.
# interrupt I: what is wrong; "interrupted" where it came to its end.
interrupt() {
	local i=$1 rsprof_pid status

	"$RSPROF" -p "$burn" -q -d 3s -o "$dir/interrupted$i.db" >/dev/null 2>"$dir/interrupted$i.err" &
	rsprof_pid=$!
	sleep "$(printf '0.0%02d' $((i * 3)))"
	kill -INT "$rsprof_pid" 2>/dev/null
	wait_for 20 lib_is_gone "$rsprof_pid" || { kill -KILL "$rsprof_pid"; echo "$i: hung"; }
	wait "$rsprof_pid"
	status=$?
	if [ -e "$dir/interrupted$i.db" ]; then
		[ "$(sql "$dir/interrupted$i.db" 'PRAGMA journal_mode')" = delete ] && [ "$status" -eq 0 ] ||
			echo "$i: exit code $status and an unfinished file"
	elif [ "$status" -eq 0 ]; then
		echo "$i: exit code 0 without a file"
	fi
	[ -z "$(find "$dir" -name "interrupted$i.db-*")" ] || echo "$i: left a journal"
	echo interrupted
}

several 15 interrupt
check_equal interrupted_at_start "$(grep -c '^interrupted$' <<<"$said") times $(grep -v '^interrupted$' <<<"$said")" \
	"15 times "

# Disk full: it stops loudly, what was committed can be read, the target goes on.
mkdir "$dir/small"
if [ -n "${OWN_MOUNTS:-}" ] && mount -t tmpfs -o size=1m tmpfs "$dir/small" 2>/dev/null; then
	db=$dir/small/full.db
	start_target "$TARGETS/threads64" 60 >"$dir/full.truth"
	full_target=$target_pid
	wait_for 10 grep -q ready "$dir/full.truth"
	start_target "$RSPROF" -p "$full_target" -q -d 60s -i 20ms --cpu-freq 5000 -o "$db" \
		>"$dir/full.out" 2>"$dir/full.err"
	record_pid=$target_pid
	wait_for 20 grep -q '^recording ' "$dir/full.err"
	kill -USR1 "$full_target"
	record_end 60
	check_equal disk_full_exit_code "$record_status" 6
	check_contains disk_full_is_told "$(cat "$dir/full.err")" full
	check disk_full_target_lives kill -0 "$full_target"
	check_between disk_full_checkpoints_stay "$(sql "$db" 'SELECT COUNT(*) FROM checkpoints')" 5 3000
	run "$RSPROF" top cpu "$db" --json
	check_equal disk_full_is_readable "$status" 0
	check_between disk_full_samples_stay "$(jq .total_samples <<<"$out")" 1 10000000
	# It ends by itself only when its minute is over.
	kill -KILL "$full_target"
	stop_target "$full_target"
	# No room at all: refused, and nothing is left.
	rm -f "$dir"/small/*
	dd if=/dev/zero of="$dir/small/filler" bs=4k 2>/dev/null
	check_refusal disk_already_full 6 "$RSPROF" -p "$burn" -q -d 1s -o "$dir/small/none.db"
	check_absent disk_already_full_no_file "$dir/small/none.db"
	umount "$dir/small"
else
	skip disk_full_exit_code "a small file system cannot be mounted here"
fi

# Databases that are none, to everything that reads.
good=$dir/good.db
"$RSPROF" -p "$burn" -q -d 500ms --cpu-freq 499 -o "$good" >/dev/null 2>&1
size=$(stat -c %s "$good")
head -c $((size / 2)) "$good" >"$dir/half.db"
head -c 100 "$good" >"$dir/header.db"
head -c 5000 "$good" >"$dir/odd.db"
: >"$dir/empty.db"
printf 'name,value\na,1\n' >"$dir/text.db"
sqlite3 "$dir/other.db" 'CREATE TABLE meta (key, value); INSERT INTO meta VALUES ("version", "1")'
cp "$good" "$dir/newer.db"
sqlite3 "$dir/newer.db" "UPDATE meta SET value = '99' WHERE key = 'version'; PRAGMA user_version = 99"
for kind in half header odd empty text other newer missing; do
	check_refusal "database_${kind}_top" 6 "$RSPROF" top cpu "$dir/$kind.db"
	check_refusal "database_${kind}_query" 6 "$RSPROF" query "$dir/$kind.db" 'SELECT * FROM meta'
	check_contains "database_${kind}_is_named" "$errors" "$kind.db"
done
check_refusal database_newer_top 6 "$RSPROF" top cpu "$dir/newer.db"
check_contains database_newer_says_upgrade "${errors,,}" upgrade
check_refusal database_is_folder 6 "$RSPROF" top cpu "$dir"
# Bytes overwritten in the middle: refused or read, never a crash.
broken=
for i in $(seq 1 12); do
	cp "$good" "$dir/bytes.db"
	printf '\377\377\377\377\377\377\377\377\377\377\377\377' |
		dd of="$dir/bytes.db" bs=1 seek=$((size * i / 13)) conv=notrunc 2>/dev/null
	run timeout -k 5 20 "$RSPROF" top cpu "$dir/bytes.db" --json
	case $status in
	0) jq -e .entries <<<"$out" >/dev/null || broken+="$i: not JSON " ;;
	6) [[ $errors == "rsprof: "* ]] || broken+="$i: \"$errors\" " ;;
	*) broken+="$i: exit code $status \"$errors\" " ;;
	esac
done
check_equal database_overwritten "$broken" ""
# A folder of them: each is listed, the bad ones with why, or passed over; never a crash.
run timeout -k 5 30 "$RSPROF" list -d "$dir"
check_equal list_among_bad_exit_code "$status" 0
check_contains list_among_bad "$out" good.db
check_refusal list_no_folder 1 "$RSPROF" list -d "$dir/nothing"
# Locked by another program.
if command -v python3 >/dev/null; then
	start_target python3 -c '
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(60)' "$good" >"$dir/locked"
	wait_for 10 grep -q locked "$dir/locked"
	check_refusal database_locked 6 "$RSPROF" top cpu "$good"
	stop_target
fi

# Reading options.
for option in '--by colour' '--sort colour' '-t 101' '-n many' '--window 5..1' '--window soon' \
	'--event page-faults' '--thread nobody' '--since soon' '--json --csv'; do
	# shellcheck disable=SC2086
	check_refusal "top${option// /_}" 2 "$RSPROF" top cpu "$good" $option
done
check_refusal top_kind 2 "$RSPROF" top gpu "$good"
for option in '--by thread' '--by colour' '--thread burn' '--event cpu-clock' '--sort cpu_pct' \
	'--json --csv' '--window 5..1'; do
	# shellcheck disable=SC2086
	check_refusal "top_heap${option// /_}" 2 "$RSPROF" top heap "$good" $option
done
"$RSPROF" -p "$burn" -q -d 300ms --heap off -o "$dir/no_heap.db" >/dev/null 2>&1
check_refusal top_heap_not_recorded 2 "$RSPROF" top heap "$dir/no_heap.db"
check_contains top_heap_says_why "$errors" "asked for by --heap off"
check_contains top_heap_says_what_to_type "$errors" "--heap auto"
if [[ " $SOURCES " == *" perf "* ]]; then
	"$RSPROF" -p "$burn" -q -d 300ms --source perf -o "$dir/totals.db" >/dev/null 2>&1
	run "$RSPROF" top heap "$dir/totals.db"
	check_equal top_heap_of_totals "$status" 0
	check_contains top_heap_of_totals_says_why "$out" "not counted by line: perf counts no allocations"
	check_between top_heap_of_totals_has_memory \
		"$("$RSPROF" top heap "$dir/totals.db" --json | jq '.rss_max_bytes // 0')" 100000 1000000000
else
	skip top_heap_of_totals "no source perf"
fi
check_refusal top_no_file 2 "$RSPROF" top cpu

# An ordinary user on somebody else's process, and where it may not write.
if is_root && as_ordinary; then
	check_refusal not_permitted 4 "${as[@]}" "$RSPROF" -p "$burn" -q -d 1s -o "$dir/denied.db"
	check_absent not_permitted_no_file "$dir/denied.db"
	start_target "${as[@]}" sleep 60
	wait_for 5 grep -q sleep "/proc/$target_pid/comm"
	check_refusal not_writable 1 "${as[@]}" "$RSPROF" -p "$target_pid" -q -d 1s -o "${TARGETS}/here.db"
	check_absent not_writable_no_file "$TARGETS/here.db"
	stop_target
else
	skip not_permitted "not root, or setpriv is not installed"
fi
exit 0
