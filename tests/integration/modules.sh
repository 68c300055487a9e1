#!/usr/bin/env bash
# Modules come and go while it is recorded: dlopen and dlclose at the same addresses, exec, fork.
. tests/lib/lib.sh
. tests/integration/common.bash

# Module of all rows of a function.
modules_of() {
	of '[.entries[] | select(.function == $name) | .module] | unique | join(" ")' name "$1"
}

# Each library is at the addresses of the one before it.
plugins() {
	local name=${source}_plugins

	profile $name --cpu-freq 999 --source "$source" -- plugin 1.5 "$TARGETS" || return
	top "$db" --by function
	check_samples ${name}_a "$(of_function incl_samples plug_a_burn)" "$(truth_of a_ns)" 5
	check_samples ${name}_b "$(of_function incl_samples plug_b_burn)" "$(truth_of b_ns)" 5
	check_equal ${name}_a_module "$(modules_of plug_a_burn)" plug_a.so
	check_equal ${name}_b_module "$(modules_of plug_b_burn)" plug_b.so
	check_between ${name}_caller "$(of_function incl_pct burn_in)" 95 100
	check_between ${name}_complete "$(of .complete_stacks_pct)" 98 100
	check_losses ${name}_losses "$db"
}

# What it becomes is profiled on, under its own functions.
execs() {
	local name=${source}_exec

	db=$dir/$name.db
	rm -f "$db"
	start_ready $name execer 1 "$TARGETS/execee"
	record "$db" -p "$target_pid" --cpu-freq 999 --source "$source" ||
		not_ok ${name}_records "$(cat "$db.err")"
	kill -USR1 "$target_pid"
	wait_for 30 grep -q '^done' "$truth"
	kill -INT "$record_pid"
	record_end 30
	stop_target
	check_equal ${name}_exit_code "$record_status" 0
	top "$db" --by function
	check_samples ${name}_before "$(of_function incl_samples before_exec_burn)" "$(truth_of before_ns)" 5
	check_samples ${name}_after "$(of_function incl_samples after_exec_burn)" "$(truth_of after_ns)" 5
	check_equal ${name}_before_module "$(modules_of before_exec_burn)" execer
	check_equal ${name}_after_module "$(modules_of after_exec_burn)" execee
	check_equal ${name}_names_are_right "$(of '[.entries[] | select(.incl_pct > 5) | .function] |
		unique | map(select(startswith("_") | not)) | join(" ")')" \
		"after_exec_burn before_exec_burn main"
	# The first instructions of the new program included.
	check_between ${name}_complete "$(of .complete_stacks_pct)" 98 100
	check_losses ${name}_losses "$db"
	top "$db" --by thread
	check_equal ${name}_comms "$(of '[.entries[].function | split(" ")[0]] | sort | join(" ")')" \
		"execee execer"
}

# Children of the target are not the target.
forks() {
	local name=${source}_forks

	profile $name --cpu-freq 999 --source "$source" -- forker 1.5 || return
	top "$db" --by function
	check_equal ${name}_no_child "$(of_function incl_samples child_burn)" 0
	check_samples ${name}_parent "$(of .total_samples)" "$(truth_of parent_ns)" 5
	check_between ${name}_parent_share "$(of_function incl_pct parent_burn)" 90 100
	check_between ${name}_children_did_burn "$(truth_of children)" 3 1000
	check_between ${name}_complete "$(of .complete_stacks_pct)" 98 100
	check_losses ${name}_losses "$db"
	check_equal ${name}_one_process "$(top "$db" --by thread; of '.entries | length')" 1
}

for source in $SOURCES; do
	often 3 plugins
	often 3 execs
	often 3 forks
done
exit 0
