#!/usr/bin/env bash
# Complete stacks without frame pointers, over whole recordings from the first instruction on: through libc,
# signal handlers on stacks of their own, recursion, code written at run time, stacks aligned anew, a thousand
# mappings, libraries that come and go. With every source that works here.
. tests/lib/lib.sh
. tests/integration/common.bash

# Share of the samples that are charged to a function, by the status of their stacks.
complete_of() {
	sql "$db" "SELECT ROUND(100.0 * TOTAL(t.count * (k.status = 0)) / SUM(t.count), 2)
		FROM totals t JOIN stacks k ON k.id = t.stack_id
		WHERE k.addr IN (SELECT addr FROM symbols WHERE function = '$1')"
}

# The depth of the stack with the most samples.
depth_of_hottest() {
	sql "$db" "WITH RECURSIVE
		hottest(id) AS (SELECT k.node_id FROM totals t JOIN stacks k ON k.id = t.stack_id
			ORDER BY t.count DESC LIMIT 1),
		up(id) AS (SELECT id FROM hottest
			UNION ALL SELECT n.parent_id FROM up JOIN nodes n ON n.id = up.id
			WHERE n.parent_id IS NOT NULL)
		SELECT COUNT(*) FROM up"
}

# check_complete NAME LEAST: at least that share, of at least 50 samples.
check_complete() {
	figure "$1" "$(of .complete_stacks_pct) % of $(of .total_samples) stacks complete;" \
		"$(of '.stack_status | to_entries | map(select(.value > 0) | "\(.key) \(.value)") | join(", ")')"
	check_between "${1}_has_samples" "$(of .total_samples)" 50 1000000
	check_between "${1}_complete" "$(of .complete_stacks_pct)" "$2" 100
}

# status_share STATUS
status_share() {
	of "10000 * .stack_status.$1 / .total_samples | round / 100"
}

# case_complete NAME LEAST COMMAND…
case_complete() {
	profile_run "$1" --cpu-freq 999 --source "$source" -- "${@:3}"
	check_losses "$1_losses" "$db"
	top "$db" --by function
	check_complete "$1" "$2"
}

sorting() {
	case_complete "${source}_sortsig" 99 "$TARGETS/sortsig" 1.5 now
	check_between "${source}_sortsig_handler_complete" "$(complete_of handler_burn)" 99 100
	figure "${source}_sortsig_handler" "$(complete_of handler_burn) % complete," \
		"$(of_function samples handler_burn) samples"
	check_samples "${source}_sortsig_handler_samples" "$(of_function incl_samples on_signal)" \
		"$(truth_of handled_ns)" 8 5
	# Through the code that the signal interrupted.
	check_between "${source}_sortsig_through_the_sort" "$(of_function incl_pct sort_items)" 98 100
	check_between "${source}_sortsig_from_start" "$(of_function incl_pct _start)" 98 100
	check_between "${source}_sortsig_handler_share" "$(of_function incl_pct on_signal)" 5 80
}

deep() {
	case_complete "${source}_deep" 99 "$TARGETS/deep" 0.5
	check_samples "${source}_deep_descend" \
		"$(of '[.entries[] | select(.function | test("(^|::)descend$")) | .incl_samples] | add // 0')" \
		"$(truth_of deep_ns)" 6 3
	check_samples "${source}_deep_in_threads" "$(of '[.entries[] |
		select(.function | test("(^|::)work_thread$")) | .incl_samples] | add // 0')" \
		$(($(truth_of deep_ns) + $(truth_of closure_ns) + $(truth_of trait_ns))) 6 3
	check_samples "${source}_deep_trait_object" \
		"$(of '[.entries[] | select(.function | test("Spinner.*turn$")) | .incl_samples] | add // 0')" \
		"$(truth_of trait_ns)" 6 3
	check_equal "${source}_deep_threads" \
		"$(top "$db" --by thread; of '[.entries[].function | split(" ")[0]] | sort | join(" ")')" \
		"deep deep0 deep1 deep2"
}

debian() {
	if [ -x /usr/bin/python3 ]; then
		case_complete "${source}_python3" 99 /usr/bin/python3 -c \
			'f = lambda n: n if n < 2 else f(n - 1) + f(n - 2); f(33)
import json, re; d = [{"key%d" % i: [i, str(i)]} for i in range(20000)]
s = json.dumps(d, indent=1); json.loads(s); len(re.findall(r"key\d+", s)); sorted(s.split())'
	else
		skip "${source}_python3_complete" "there is no /usr/bin/python3"
	fi
	if [ -x /usr/bin/sqlite3 ]; then
		case_complete "${source}_sqlite3" 99 /usr/bin/sqlite3 :memory: \
			"CREATE TABLE t(a, b);
			WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 900000)
				INSERT INTO t SELECT x, (x * 7919) % 100003 FROM c;
			CREATE INDEX i ON t(b); SELECT COUNT(*) FROM t WHERE b > 5;"
	else
		skip "${source}_sqlite3_complete" "there is no /usr/bin/sqlite3"
	fi
}

# More frames than are kept: the innermost are, and the stack is not called complete.
cut() {
	local name=$1 depth=$2 frames=$3

	profile_run "$name" --cpu-freq 999 --source "$source" --frames "$frames" -- \
		"$TARGETS/recursion" "$depth" 1.5 now
	top "$db" --by function
	figure "$name" "$(status_share truncated) % truncated, $(depth_of_hottest) frames"
	# Its start is sampled, too: on a busy machine its milliseconds are many.
	check_between "${name}_truncated" "$(status_share truncated)" 94 100
	check_between "${name}_not_complete" "$(of .complete_stacks_pct)" 0 6
	check_equal "${name}_frames" "$(depth_of_hottest)" "$frames"
	check_between "${name}_keeps_the_innermost" "$(of_function cpu_pct bottom_burn)" 94 100
	check_between "${name}_loses_main" "$(of_function incl_pct main)" 0 6
}

recursion() {
	profile_run "${source}_recursion" --cpu-freq 999 --source "$source" --frames 511 -- \
		"$TARGETS/recursion" 300 0.5 now
	top "$db" --by function
	check_complete "${source}_recursion" 99
	check_between "${source}_recursion_depth" "$(depth_of_hottest)" 304 310
	cut "${source}_recursion_300" 300 127
	cut "${source}_recursion_1000" 1000 511
}

jit() {
	if [ "$(uname -m)" != x86_64 ]; then
		skip "${source}_jit_used_frame_pointers" "the program writes x86-64 code"
		return
	fi
	profile_run "${source}_jit" --cpu-freq 999 --source "$source" -- "$TARGETS/jit" frames 1.5 now
	top "$db" --by function
	figure "${source}_jit" "$(status_share used_frame_pointers) % to the root by frame pointers"
	check_between "${source}_jit_used_frame_pointers" "$(status_share used_frame_pointers)" 95 100
	check_between "${source}_jit_is_not_called_complete" "$(of .complete_stacks_pct)" 0 5
	# And back to the tables.
	check_between "${source}_jit_caller" "$(of_function incl_pct call_jit)" 95 100
	check_between "${source}_jit_main" "$(of_function incl_pct main)" 95 100

	profile_run "${source}_jit_bare" --cpu-freq 999 --source "$source" -- "$TARGETS/jit" bare 1.5 now
	top "$db" --by function
	figure "${source}_jit_bare" "$(status_share no_table) % stop, flagged"
	check_between "${source}_jit_bare_stops" \
		"$(of '100 * (.stack_status.complete + .stack_status.used_frame_pointers) / .total_samples')" 0 5
	check_between "${source}_jit_bare_has_no_table" "$(status_share no_table)" 95 100
	check_between "${source}_jit_bare_invents_no_caller" "$(of_function incl_pct main)" 0 5
}

# Conditions on f.vaddr for the code of FUNCTION whose frame is known by r10.
r10_code() {
	readelf -sW "$TARGETS/realign" --debug-dump=frames-interp 2>/dev/null | awk -v name="$1" '
		$8 == name && $4 == "FUNC" { function_at = $2 }
		/ FDE / { inside = index($0, "pc=" function_at "..") > 0 && function_at != ""; from = ""; next }
		inside && length($1) == 16 && $1 ~ /^[0-9a-f]+$/ {
			if (from != "")
				printf "f.vaddr >= 0x%s AND f.vaddr < 0x%s OR ", from, $1
			from = $2 ~ /^r10/ ? $1 : ""
		}
		END { print "0" }'
}

realign() {
	local code

	case_complete "${source}_realign" 99 "$TARGETS/realign" 0.7 now
	check_between "${source}_realign_main" "$(of_function incl_pct main)" 98 100
	check_between "${source}_realign_recursion" "$(of_function incl_pct aligned_descend)" 95 100
	code=$(r10_code aligned_leaf)
	check_contains "${source}_realign_has_such_code" "$code" vaddr
	code=$(sql "$db" "SELECT SUM(t.count) || ' of which ' || SUM(t.count * (k.status = 0))
		FROM totals t JOIN stacks k ON k.id = t.stack_id JOIN nodes n ON n.id = k.node_id
		JOIN frames f ON f.id = n.frame_id JOIN modules m ON m.id = f.module_id
		WHERE m.name = 'realign' AND ($code)")
	figure "${source}_realign_prologue" "$code complete"
	check_between "${source}_realign_prologue_samples" "${code%% *}" 5 100000
	check_equal "${source}_realign_prologue_complete" "${code##* }" "${code%% *}"
}

has_mappings() {
	[ "$(grep -c plug_a "/proc/$target_pid/maps")" -gt 1000 ]
}

mappings() {
	local name=${source}_maps1000

	case_complete $name 99 "$TARGETS/maps1000" 0.5 "$TARGETS/bare/plug_a.so" now
	check_equal ${name}_mappings "$(truth_of mappings)" 1000
	check_between ${name}_last "$(of_function cpu_pct plug_a_burn)" 90 100
	check_between ${name}_caller "$(of_function incl_pct burn_in)" 90 100
	check_equal ${name}_module "$(of '[.entries[] | select(.function == "plug_a_burn") | .module] |
		unique | join(" ")')" plug_a.so
	# All there already.
	start_target "$TARGETS/maps1000" 30 "$TARGETS/bare/plug_a.so" now >/dev/null
	wait_for 10 has_mappings || not_ok ${name}_attached_maps "it does not"
	db=$dir/$name.attached.db
	record "$db" -p "$target_pid" --source "$source" --cpu-freq 999 -d 500ms ||
		not_ok ${name}_attached_records "$(cat "$db.err")"
	record_end 30
	stop_target
	check_equal ${name}_attached_exit_code "$record_status" 0
	top "$db" --by function
	check_complete ${name}_attached 99
	check_between ${name}_attached_caller "$(of_function incl_pct burn_in)" 97 100
}

# Each library burns for 20 ms from its dlopen on, and is closed.
libraries() {
	profile "${source}_plugins" --cpu-freq 999 --source "$source" -- \
		plugin_noframes 1.5 "$TARGETS/bare" || return
	top "$db" --by function
	figure "${source}_plugins" "$(complete_of plug_a_burn) and $(complete_of plug_b_burn) %" \
		"complete within 20 ms of dlopen, $(truth_of turns) turns"
	check_complete "${source}_plugins" 99
	check_samples "${source}_plugins_a" "$(of_function incl_samples plug_a_burn)" "$(truth_of a_ns)" 5 3
	check_samples "${source}_plugins_b" "$(of_function incl_samples plug_b_burn)" "$(truth_of b_ns)" 5 3
	check_between "${source}_plugins_caller" "$(of_function incl_pct burn_in)" 95 100
	check_losses "${source}_plugins_losses" "$db"
}

# Two recordings of one target, each as good as one alone.
two_at_once() {
	local first=$1 second=$2 name=$1_beside_$2 cpu_before cpu pids i file

	start_running "$TARGETS/noframes" 8 now
	record "$dir/$name.0.db" -p "$target_pid" --source "$first" --cpu-freq 999 -d 1s ||
		not_ok "${name}_0_records" "$(cat "$dir/$name.0.db.err")"
	pids=("$record_pid")
	record "$dir/$name.1.db" -p "$target_pid" --source "$second" --cpu-freq 499 -d 1s ||
		not_ok "${name}_1_records" "$(cat "$dir/$name.1.db.err")"
	pids+=("$record_pid")
	for i in 0 1; do
		file=$dir/$name.$i.db record_pid=${pids[i]}
		record_end 20
		check_equal "${name}_${i}_exit_code" "$record_status" 0
		check_losses "${name}_${i}_losses" "$file"
		top "$file" --by function
		# Two threads on CPUs that others use too.
		check_between "${name}_${i}_samples" "$(of .total_samples)" $((200 - i * 100)) \
			$((2300 - i * 1150))
		check_between "${name}_${i}_complete" "$(of .complete_stacks_pct)" 99 100
	done
	stop_target
}

if [ -z "$SOURCES" ]; then
	skip complete_everything "no source works here"
	exit 0
fi
for source in $SOURCES; do
	# A copy of the stack holds the handler's only.
	[ "$source" = perf ] || often 2 sorting
	if [ -x "$TARGETS/deep" ]; then
		often 3 deep
	else
		skip "${source}_deep_complete" "rustc is not installed"
	fi
	debian
	recursion
	jit
	realign
	mappings
	often 3 libraries
	two_at_once "$source" "$source"
done
! has_source bpf || ! has_source perf || two_at_once bpf perf
has_source bpf || skip bpf_sortsig_complete "BPF is not allowed here"
exit 0
