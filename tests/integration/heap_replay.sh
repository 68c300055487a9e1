#!/usr/bin/env bash
# A heap out of a file of events: the same numbers in the database, in the views and in a file saved anew.
. tests/lib/lib.sh
. tests/integration/common.bash

# Two stacks allocate; one frees all of it a second later.
cat >"$dir/heap.events" <<'EOF'
rsprof-events 1
events cpu-clock
frequency 99
heap exact
mmap 1000000000 9 9 400000 10000 0 8:1 77 x /bin/nothing
heap-stack 1001000000 9 9 aa complete 400100 400201
heap-stack 1001000000 9 9 bb complete 400300 400201
heap-counts 1500000000 9 0 aa 10 1000 4 400 0 0 1 0 0 0
heap-counts 1500000000 9 0 bb 2 5000 0 0 0 0 0 0 0 0
heap-state 1500000000 9 0 counted 3 1 4096 0 0 2 -8192 16 30400
sample 1600000000 9 9 0 1 complete user 400100 400201
heap-counts 2500000000 9 0 aa 0 0 6 600 0 0 0 0 0 0
heap-state 2500000000 9 0 counted 3 1 4096 0 0 2 -8192 22 41800
EOF
grep -v '^heap' "$dir/heap.events" >"$dir/plain.events"

db=$dir/heap.db
run "$RSPROF" attach --replay "$dir/heap.events" -q -o "$db" --save-events "$dir/again.events"
check_equal heap_is_replayed "$status" 0 || printf '%s\n' "$errors"
check_equal heap_is_saved_as_it_was "$(cmp "$dir/heap.events" "$dir/again.events" 2>&1)" ""
check_contains heap_progress "$errors" "heap 5.0 KB live"
check_contains heap_in_the_summary "$out" "nothing+0x300"
check_contains heap_cost_in_the_summary "$out" "heap probes: 22 hits x 1.9 "
check_equal heap_facts "$(for key in heap_source heap_mode heap_hits heap_cost_ns heap_complete_stacks_pct; do
	meta_of "$db" $key
done | tr '\n' ' ')" "replay exact 22 41800 100.00 "
check_equal heap_totals "$(sql "$db" "SELECT SUM(total_allocs) || ' ' || SUM(total_alloc_bytes) || ' ' ||
	SUM(total_frees) || ' ' || SUM(total_free_bytes) || ' ' || SUM(live_bytes) FROM heap_samples")" \
	"12 6000 10 1000 5000"
json=$("$RSPROF" top heap "$db" --json)
check_equal heap_live_in_json "$(of '.live_bytes')" 5000
check_equal heap_peak_in_json "$(of '.peak_bytes')" 5600

db=$dir/off.db
run "$RSPROF" attach --replay "$dir/heap.events" -q --heap off -o "$db"
check_equal unwanted_heap_exit_code "$status" 0
check_equal unwanted_heap_facts "$(meta_of "$db" heap_source) $(meta_of "$db" heap_mode)" "off off"
check_equal unwanted_heap_is_left_out "$(sql "$db" 'SELECT COUNT(*) FROM heap_samples')" 0

db=$dir/plain.db
run "$RSPROF" attach --replay "$dir/plain.events" -q -o "$db"
check_equal no_heap_exit_code "$status" 0
check_equal no_heap_facts "$(meta_of "$db" heap_source): $(meta_of "$db" heap_source_reason)" \
	"off: the file has no heap"
check_refusal no_heap_to_be_had 2 "$RSPROF" attach --replay "$dir/plain.events" -q --heap exact \
	-o "$dir/none.db"
check_contains no_heap_to_be_had_is_told "$errors" "plain.events has no heap."
check_absent no_heap_to_be_had_no_file "$dir/none.db"
