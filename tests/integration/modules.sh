#!/usr/bin/env bash
# Modules come and go while it is recorded: dlopen and dlclose at the same addresses, exec, fork.
. tests/lib/lib.sh
. tests/integration/common.bash

# Module of all rows of a function.
modules_of() {
	of '[.entries[] | select(.function == $name) | .module] | unique | join(" ")' name "$1"
}

if profile plugins --cpu-freq 999 -- plugin 2 "$TARGETS"; then
	top "$db" --by function
	check_samples plugins_a "$(of_function incl_samples plug_a_burn)" \
		"$(truth_of a_ns)" 5
	check_samples plugins_b "$(of_function incl_samples plug_b_burn)" \
		"$(truth_of b_ns)" 5
	check_equal plugins_a_module "$(modules_of plug_a_burn)" plug_a.so
	check_equal plugins_b_module "$(modules_of plug_b_burn)" plug_b.so
	check_between plugins_caller "$(of_function incl_pct burn_in)" 95 100
	check_losses plugins_losses "$db"
fi

# What it becomes is profiled on, under its own functions.
db=$dir/exec.db
start_ready exec execer 1 "$TARGETS/execee"
record "$db" -p "$target_pid" --cpu-freq 999 || not_ok exec_records "$(cat "$db.err")"
kill -USR1 "$target_pid"
wait_for 30 grep -q '^done' "$truth"
kill -INT "$record_pid"
record_end 30
stop_target
check_equal exec_exit_code "$record_status" 0
top "$db" --by function
check_samples exec_before "$(of_function incl_samples before_exec_burn)" \
	"$(truth_of before_ns)" 5
check_samples exec_after "$(of_function incl_samples after_exec_burn)" \
	"$(truth_of after_ns)" 5
check_equal exec_before_module "$(modules_of before_exec_burn)" execer
check_equal exec_after_module "$(modules_of after_exec_burn)" execee
check_equal exec_names_are_right "$(of '[.entries[] | select(.incl_pct > 5) | .function] | unique |
	map(select(startswith("_") | not)) | join(" ")')" "after_exec_burn before_exec_burn main"
check_losses exec_losses "$db"
top "$db" --by thread
check_equal exec_comms "$(of '[.entries[].function | split(" ")[0]] | sort | join(" ")')" "execee execer"

# Children of the target are not the target.
if profile forks --cpu-freq 999 -- forker 2; then
	top "$db" --by function
	check_equal forks_no_child "$(of_function incl_samples child_burn)" 0
	check_samples forks_parent "$(of .total_samples)" "$(truth_of parent_ns)" 5
	check_between forks_parent_share "$(of_function incl_pct parent_burn)" 90 100
	check_between forks_children_did_burn "$(truth_of children)" 3 1000
	check_losses forks_losses "$db"
	check_equal forks_one_process "$(top "$db" --by thread; of '.entries | length')" 1
fi
