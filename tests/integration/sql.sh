#!/usr/bin/env bash
# The database with plain sqlite3: stable names, documented queries, and the same numbers as `top`; `query`,
# --append and the reading options.
# Mounts of its own: what is mounted here is gone when this ends, however it ends.
if [ -z "${OWN_MOUNTS:-}" ] && [ "$(id -u)" -eq 0 ] && unshare --mount true 2>/dev/null; then
	OWN_MOUNTS=1 exec unshare --mount --propagation private bash "$0"
fi
. tests/lib/lib.sh
. tests/integration/common.bash

db=$dir/one.db
start_running "$TARGETS/burn" 60
burn=$target_pid
record "$db" -p "$burn" --cpu-freq 999 -i 200ms -d 4s || not_ok sql_records "$(cat "$db.err")"
record_end
check_equal sql_exit_code "$record_status" 0

# The file.
check_equal sql_mode "$(stat -c %a "$db")" 600
check_finished sql_finished "$db"
check_losses sql_losses "$db"
mkdir "$dir/read_only"
cp "$db" "$dir/read_only/copy.db"
chmod 444 "$dir/read_only/copy.db"
if [ -n "${OWN_MOUNTS:-}" ] && mkdir "$dir/mounted" &&
	mount -t tmpfs tmpfs "$dir/mounted" 2>/dev/null; then
	cp "$db" "$dir/mounted/copy.db"
	mount -o remount,ro "$dir/mounted"
	check_equal sql_read_only_medium \
		"$("$RSPROF" top cpu "$dir/mounted/copy.db" --json | jq .total_samples)" \
		"$("$RSPROF" top cpu "$db" --json | jq .total_samples)"
	check_equal sql_read_only_medium_sqlite \
		"$(sql "$dir/mounted/copy.db" 'SELECT COUNT(*) > 0 FROM cpu_samples')" 1
	umount "$dir/mounted"
else
	skip sql_read_only_medium "a file system cannot be mounted here"
fi

# Under sudo it belongs to who called.
if is_root; then
	run env SUDO_UID=65534 SUDO_GID=65534 "$RSPROF" -p "$burn" -q -d 200ms -o "$dir/sudo.db"
	check_equal sudo_owner "$(stat -c %u:%g "$dir/sudo.db")" 65534:65534
else
	skip sudo_owner "not root"
fi

# The documented queries, as they stand.
check_equal query_first "$(sql "$db" 'SELECT * FROM cpu_samples LIMIT 10;' | wc -l)" 10
top "$db"
hottest=$(sql "$db" 'SELECT file, line, SUM(count) FROM cpu_samples c JOIN symbols s ON c.addr = s.addr GROUP BY c.addr ORDER BY 3 DESC LIMIT 10;')
check_equal query_hottest_agrees_with_top "$(head -n 1 <<<"$hottest")" \
	"$(of '.entries[0] | "\(.file)|\(.line)|\(.samples)"')"
check_equal query_hottest_three_agree "$(head -n 3 <<<"$hottest" | cut -d'|' -f3 | paste -sd' ')" \
	"$(of '[.entries[:3][].samples] | map(tostring) | join(" ")')"
leaks='SELECT function, file, line, total_alloc_bytes - total_free_bytes AS leaked, total_allocs - total_frees AS leaked_count
  FROM heap_samples WHERE total_allocs > total_frees ORDER BY leaked DESC LIMIT 20;'
check_equal query_leaks_runs "$(sql "$db" "$leaks" 2>&1 | awk -F'|' 'NF != 5 || $4 < 0 || $5 < 1')" ""
address=$(sql "$db" 'SELECT addr FROM cpu_samples GROUP BY addr ORDER BY SUM(count) DESC LIMIT 1')
series=$(sqlite3 -readonly -cmd '.parameter init' -cmd ".parameter set ?1 $address" "$db" \
	'SELECT cp.timestamp_ms, c.count FROM cpu_samples c JOIN checkpoints cp ON c.checkpoint_id = cp.id WHERE c.addr = ? ORDER BY 1;' 2>/dev/null |
	awk -F'|' '{ sum += $2 } END { print sum + 0 }')
check_equal query_series_sums_to_the_row "$series" "$(of '.entries[0].samples')"
check_equal query_meta_version "$(sql "$db" 'SELECT * FROM meta;' | grep -c '^version|1$')" 1

# Every documented column, and the laws between the tables.
sql "$db" 'SELECT id, timestamp_ms FROM checkpoints; SELECT checkpoint_id, thread_id, addr, count FROM cpu_samples;
	SELECT checkpoint_id, thread_id, addr, kind, waits, wait_ns, run_ns FROM wait_samples;
	SELECT addr, file, line, function FROM symbols; SELECT key, value FROM meta;
	SELECT addr, function, file, line, live_bytes, total_alloc_bytes, total_free_bytes, total_allocs,
	total_frees, live_blocks, temporary, reallocs, growth_bytes, untracked_bytes, is_estimate
	FROM heap_samples' >"$dir/columns" 2>&1
check_equal sql_columns "$(grep -ci error "$dir/columns")" 0
check_equal sql_one_symbol_an_address \
	"$(sql "$db" 'SELECT COUNT(*) - COUNT(DISTINCT addr) FROM symbols')" 0
check_equal sql_every_address_has_a_symbol "$(sql "$db" \
	'SELECT COUNT(*) FROM cpu_samples c LEFT JOIN symbols s ON c.addr = s.addr WHERE s.addr IS NULL')" 0
# Of the heap: totals are the sums of the changes, and what is live is what the last checkpoint says.
check_equal sql_heap_totals_agree "$(sql "$db" 'SELECT COUNT(*) FROM (SELECT stack_id, SUM(allocs),
	SUM(alloc_bytes), SUM(frees), SUM(free_bytes) FROM heap_changes GROUP BY 1 EXCEPT SELECT stack_id,
	total_allocs, total_alloc_bytes, total_frees, total_free_bytes FROM heap_stacks)')" 0
check_equal sql_heap_live_agrees "$(sql "$db" 'SELECT (SELECT TOTAL(live_bytes) FROM heap_samples) -
	COALESCE((SELECT live_bytes FROM heap_checkpoints ORDER BY checkpoint_id DESC LIMIT 1), 0)')" 0.0
check_equal sql_heap_has_checkpoints "$(sql "$db" 'SELECT COUNT(*) FROM (SELECT checkpoint_id FROM
	heap_changes UNION SELECT checkpoint_id FROM heap_checkpoints EXCEPT SELECT id FROM checkpoints)')" 0
check_equal sql_total_agrees "$(sql "$db" 'SELECT SUM(count) FROM cpu_samples')" "$(of .total_samples)"
check_near sql_checkpoints "$(sql "$db" 'SELECT COUNT(*) FROM checkpoints')" 20 10
check_equal sql_checkpoints_in_order "$(sql "$db" 'SELECT COUNT(*) FROM checkpoints a JOIN checkpoints b
	ON b.id = a.id + 1 WHERE b.timestamp_ms <= a.timestamp_ms')" 0
for key in version pid process_name exe_path start_time checkpoint_interval_ms cpu_freq_hz cpu_source \
	heap_source wait_source; do
	check_equal "meta_$key" "$(sql "$db" "SELECT COUNT(*) FROM meta WHERE key = '$key'")" 1
done
meta() {
	sql "$db" "SELECT value FROM meta WHERE key = '$1'"
}
check_equal meta_pid_is_right "$(meta pid)" "$burn"
check_equal meta_name_is_right "$(meta process_name)" burn
check_equal meta_exe_is_right "$(meta exe_path)" "$(readlink "/proc/$burn/exe")"
check_equal meta_interval_is_right "$(meta checkpoint_interval_ms)" 200
check_equal meta_freq_is_right "$(meta cpu_freq_hz)" 999
check_equal meta_source_is_right "$(meta cpu_source)" "${SOURCES%% *}"
check_near meta_start_is_now "$(date -d "$(meta start_time)" +%s)" "$(date +%s)" 0 60

# query: the same rows, and nothing that writes.
check_equal query_json "$("$RSPROF" query "$db" 'SELECT COUNT(*) AS n FROM checkpoints' --json | jq '.[0].n')" \
	"$(sql "$db" 'SELECT COUNT(*) FROM checkpoints')"
check_equal query_csv "$("$RSPROF" query "$db" "SELECT 'a,b' AS x, NULL AS y, 1.5 AS z" --csv | tr '\n' ';')" \
	'x,y,z;"a,b",,1.5;'
before=$(sha256sum "$db")
number=0
for statement in "DELETE FROM meta" "DROP TABLE checkpoints" "CREATE TABLE x (y)" \
	"INSERT INTO meta VALUES ('a', 'b')" "ATTACH '$dir/attached.db' AS other" "VACUUM" \
	"VACUUM INTO '$dir/vacuumed.db'" "PRAGMA journal_mode = WAL" "PRAGMA user_version = 5" \
	"SELECT 1; DELETE FROM meta" "REINDEX" "BEGIN IMMEDIATE" "SELECT load_extension('x')" \
	"SELECT * FROM nothing" "SELEC 1" ""; do
	number=$((number + 1))
	check_refusal "query_refused_$number" 2 "$RSPROF" query "$db" "$statement"
done
check_equal query_left_it_alone "$(sha256sum "$db")" "$before"
check_absent query_made_no_file "$dir/attached.db" "$dir/vacuumed.db"

# Reading options.
top "$db" -n 0
all=$(of '.entries | length')
total=$(of .total_samples)
json=$("$RSPROF" top cpu "$db" --json -n 2)
check_equal option_n "$(of '.entries | length')" 2
check_equal option_n_keeps_the_total "$(of .total_samples)" "$total"
top "$db" -t 20
check_equal option_t "$(of '[.entries[] | select(.incl_pct < 20)] | length')" 0
check_between option_t_keeps_some "$(of '.entries | length')" 4 "$((all - 1))"
top "$db" -f BURN_SIXTY
check_equal option_f "$(of '[.entries[].function] | unique | join(" ")')" burn_sixty
top "$db" --sort incl_pct
check_equal option_sort "$(of '[.entries[].incl_pct] | . == (sort | reverse)')" true
top "$db" --sort function --by function
check_equal option_sort_names "$(of '[.entries[].function] | . == sort')" true
top "$db" --thread burn
check_equal option_thread_name "$(of '[.entries[].samples] | add')" "$total"
top "$db" --thread "$burn"
check_equal option_thread_number "$(of '[.entries[].samples] | add')" "$total"
top "$db" --by file
check_between option_by_file "$(of '[.entries[] | select(.file | endswith("burn.c")) | .cpu_pct] | add')" 98 100
top "$db" --by module
check_between option_by_module "$(of '[.entries[] | select(.module == "burn") | .cpu_pct] | add')" 98 100
run "$RSPROF" top cpu "$db" --csv -n 0 --by function
check_equal option_csv_sums_to_the_total "$(awk -F, 'NR > 1 { sum += $6 } END { print sum }' <<<"$out")" "$total"
run "$RSPROF" top cpu "$db"
check_equal option_plain_has_no_colour "$(grep -c $'\033' <<<"$out")" 0
check_contains option_plain_header "$out" "Incl%"

# Windows: what SQL finds in the same checkpoints, and the parts add up to the whole.
samples_in() {
	"$RSPROF" top cpu "$db" --json "$@" | jq .total_samples
}
samples_where() {
	sql "$db" "SELECT SUM(count) FROM cpu_samples s JOIN checkpoints c ON s.checkpoint_id = c.id
		WHERE timestamp_ms $1"
}
# Between two checkpoints, which come every 200 ms.
first=$(samples_in --until 1100ms)
check_equal option_until "$first" "$(samples_where '<= 1100')"
check_equal option_since "$(samples_in --since 1100ms)" "$(samples_where "> $(of .duration_ms) - 1100")"
check_equal option_window "$(samples_in --window 1100ms..2.3s)" "$(samples_where 'BETWEEN 1101 AND 2300')"
check_between option_until_is_a_part "$first" 1 "$((total - 1))"
check_equal option_windows_add_up "$(($(samples_in --window 0..1100ms) + \
	$(samples_in --window 1100ms..3s) + $(samples_in --window 3s..60s)))" "$total"
check_equal option_window_is_until "$(samples_in --window 0..1100ms)" "$first"

# Waits, replayed: exact numbers in SQL, in top and in the summary.
cat >"$dir/waits.events" <<'EVENTS'
rsprof-events 1
events cpu-clock wait-time
frequency 99
mmap 1000000000 10 10 400000 10000 0 8:1 99 x /usr/bin/shop
comm 1000000000 10 10 name shop
comm 1000000000 10 11 name clerk
sample 1100000000 10 10 0 1 complete user 401000 402000
sample 1200000000 10 10 0 1 complete kernel 401000 402000
wait 1300000000 10 10 1 sleep 300000000 1 100000000 complete 401100 402000
wait 1400000000 10 11 1 lock 200000000 2 50000000 complete 401200 402000
wait 1500000000 10 11 1 run-queue 50000000 5 1000000 complete 401200 402000
wait 2500000000 10 11 1 lock 1000000000 1 2000000 broken 401200
wait 2600000000 10 10 1 io 40000000 4 3000000 empty
wait 2700000000 10 10 1 poll 10000000 0 0 complete 401300 402000
wait 2800000000 10 12 1 - 0 0 77000000 empty
sample 3100000000 10 10 0 1 complete user 401000 402000
EVENTS
waits=$dir/waits.db
run "$RSPROF" -q --replay "$dir/waits.events" --save-events "$dir/waits.saved" -o "$waits"
check_equal waits_exit_code "$status" 0
check_equal waits_save_what_was_replayed "$(diff "$dir/waits.events" "$dir/waits.saved")" ""
check_equal waits_summary_has_both_tables "$(grep -c '^ *\(CPU%\|Wait%\)  *Incl%' <<<"$out")" 2
check_contains waits_summary_numbers "$out" "waited 1.60s, ran 233ms"
check_equal waits_columns "$(sql "$waits" 'SELECT checkpoint_id, thread_id, kind, waits, wait_ns, run_ns
	FROM wait_samples w JOIN symbols s ON w.addr = s.addr ORDER BY checkpoint_id, wait_ns' | tr '\n' ' ')" \
	"$(printf '%s ' '1|2|run queue|5|50000000|1000000' '1|2|lock|2|200000000|50000000' \
		'1|1|sleep|1|300000000|100000000' '2|3||0|0|77000000' '2|1|poll|0|10000000|0' \
		'2|1|io|4|40000000|3000000' '2|2|lock|1|1000000000|2000000')"
check_equal waits_have_no_heap "$(sql "$waits" "$leaks SELECT * FROM heap_checkpoints;
	SELECT * FROM meta WHERE key IN ('heap_live_bytes', 'heap_peak_ms', 'peak_resolution_ms')")" ""
check_equal waits_are_no_cpu_samples "$(sql "$waits" 'SELECT SUM(count) FROM cpu_samples')" 3
check_equal waits_are_no_samples_in_list "$("$RSPROF" list -d "$dir" --json |
	jq '.[] | select(.file == "waits.db").samples')" 3
json=$("$RSPROF" top wait "$waits" --json -n 0)
check_equal waits_totals "$(of '"\(.total_samples) \(.total_wait_ns) \(.total_run_ns) \(.kinds | tojson)"')" \
	'13 1600000000 233000000 {"run queue":50000000,"lock":1200000000,"sleep":300000000,"io":40000000,"poll":10000000}'
check_equal waits_rows "$(of '[.entries[] | select(.wait_ns > 0) | "\(.wait_ns / 1000000) \(.waits) \(.kind)"] | join(", ")')" \
	"1250 8 lock, 300 1 sleep, 40 4 io, 10 0 poll"
check_equal waits_agree_with_sql "$(of '[.entries[].wait_ns] | add')" \
	"$(sql "$waits" 'SELECT SUM(wait_ns) FROM wait_samples')"
# One that goes on counts as one: 9 of 14.
check_equal waits_complete "$(of .complete_stacks_pct)" 64.2857
json=$("$RSPROF" top wait "$waits" --json --by thread --sort run_ns)
check_equal waits_by_thread "$(of '[.entries[] | "\(.function) \(.wait_ns / 1000000) \(.run_ns / 1000000)"] | join(", ")')" \
	"shop (10) 350 103,  (12) 0 77, clerk (11) 1250 53"
json=$("$RSPROF" top wait "$waits" --json --until 1s)
check_equal waits_in_a_window "$(of '"\(.total_wait_ns) \(.total_run_ns)"')" "550000000 151000000"
check_equal waits_csv "$("$RSPROF" top wait "$waits" --csv -n 1 | tail -n 1)" \
	"78.1250,[shop],0,shop+0x1200,78.1250,1250000000,1250000000,53000000,8,lock,shop,0,50000000,1200000000,0,0,0,0,0"
top "$waits"
check_equal waits_leave_top_cpu_alone "$(of '"\(.total_samples) \([.entries[].samples] | add)"')" "3 3"
check_refusal waits_take_no_event 2 "$RSPROF" top wait "$waits" --event wait-time
check_refusal waits_are_no_event_of_top_cpu 2 "$RSPROF" top cpu "$waits" --event wait-time
check_refusal waits_sort_by_their_own_keys 2 "$RSPROF" top wait "$waits" --sort cpu_pct
run "$RSPROF" -q --replay "$dir/waits.events" -e cpu-clock -o "$dir/cpu_only.db"
check_refusal waits_not_recorded 2 "$RSPROF" top wait "$dir/cpu_only.db"
check_contains waits_not_recorded_says_what_was "$errors" "It holds cpu-clock; type: rsprof top cpu "
run "$RSPROF" -q --replay "$dir/waits.events" -e wait-time -o "$dir/waits_only.db"
check_contains waits_only_summary "$out" "next: rsprof top wait "
check_equal waits_only_summary_has_one_table "$(grep -c '^ *\(CPU%\|Wait%\)  *Incl%' <<<"$out")" 1
check_refusal waits_only_have_no_cpu 2 "$RSPROF" top cpu "$dir/waits_only.db"
check_contains waits_only_says_what_was "$errors" "It holds wait-time; type: rsprof top wait "
check_equal waits_only_total "$("$RSPROF" top wait "$dir/waits_only.db" --json | jq .total_wait_ns)" 1600000000

# --append: a second recording in the same file.
cp "$db" "$dir/appended.db"
last_id=$(sql "$db" 'SELECT MAX(id) FROM checkpoints')
run "$RSPROF" -p "$burn" -q -d 1s -i 200ms --cpu-freq 999 --append -o "$dir/appended.db"
check_equal append_exit_code "$status" 0
check_finished append_finished "$dir/appended.db"
check_equal append_ids_go_on "$(sql "$dir/appended.db" \
	'SELECT MIN(id), COUNT(*) = MAX(id) - MIN(id) + 1 FROM checkpoints WHERE id > '"$last_id")" \
	"$((last_id + 1))|1"
check_equal append_two_recordings "$(sql "$dir/appended.db" 'SELECT COUNT(*) FROM recordings')" 2
top "$dir/appended.db"
check_equal append_samples_add_up "$(of .total_samples)" "$((total + $(sql "$dir/appended.db" \
	"SELECT SUM(count) FROM cpu_samples WHERE checkpoint_id > $last_id")))"
check_between append_samples_are_there "$(($(of .total_samples) - total))" 100 1100
check_share append_share "$(top "$dir/appended.db" --by function; of_function incl_pct burn_sixty)" 60 5
check_equal append_one_symbol_an_address \
	"$(sql "$dir/appended.db" 'SELECT COUNT(*) - COUNT(DISTINCT addr) FROM symbols')" 0
# The newest of that process name, where no file is named.
mkdir "$dir/newest"
for _ in 1 2; do
	run env RSPROF_OUTPUT_DIR="$dir/newest" "$RSPROF" -p "$burn" -q -d 300ms -a
	check_equal append_newest_exit_code "$status" 0
done
check_equal append_newest_one_file "$(find "$dir/newest" -type f | wc -l)" 1
check_equal append_newest_two_recordings "$(sql "$dir"/newest/*.db 'SELECT COUNT(*) FROM recordings')" 2
stop_target "$burn"
# Another build of the executable.
start_running "$TARGETS/forker" 1
before=$(sqlite3 -readonly "$dir/appended.db" .dump | sha256sum)
check_refusal append_other_program 6 "$RSPROF" -p "$target_pid" -q -d 1s --append -o "$dir/appended.db"
check_equal append_other_program_left_it_alone "$(sqlite3 -readonly "$dir/appended.db" .dump | sha256sum)" \
	"$before"
check_finished append_other_program_finished "$dir/appended.db"
stop_target
exit 0
