#!/usr/bin/env bash
# A program that spends its time in read(): as root its samples match user plus system time; as an
# ordinary user the system time that may not be sampled is reported.
. tests/lib/lib.sh
. tests/integration/common.bash

reads() {
	local name=${source}_reader

	profile $name --cpu-freq 999 --source "$source" -- reader 2 || return
	check_losses ${name}_losses "$db"
	top "$db"
	check_samples ${name}_samples "$(of .total_samples)" "$(truth_of cpu_ns)" 5
	check_share ${name}_kernel_share \
		"$(of '100 * ([.entries[].kernel_samples] | add) / .total_samples')" \
		"$(awk "BEGIN { print 100 * $(truth_of system_ns) / $(truth_of cpu_ns) }")" 10
	# Charged to the line that entered the kernel.
	top "$db" --by function
	check_between ${name}_charged_to_its_function "$(of_function incl_pct read_zeroes)" 98 100
	check_equal ${name}_charged_to_its_file "$(of '.entries[0].file | split("/") | last')" reader.c
	check_equal ${name}_has_no_unsampled_time "$(of '.cpu_time_unsampled_ms // 0')" 0
}

if is_root; then
	for source in $SOURCES; do
		often 3 reads
	done
else
	skip reader_samples "not root"
fi

if [ "$(cat /proc/sys/kernel/perf_event_paranoid)" -ne 2 ]; then
	skip ordinary_unsampled "kernel.perf_event_paranoid is not 2"
elif as_ordinary reader; then
	if profile ordinary --cpu-freq 999 -- reader 3; then
		top "$db"
		check_near ordinary_unsampled "$(of '.cpu_time_unsampled_ms // 0')" \
			"$(awk "BEGIN { print $(truth_of system_ns) / 1e6 }")" 10 20
		check_near ordinary_loss_counter "$(of '.losses.system_time_unsampled_ms // 0')" \
			"$(awk "BEGIN { print $(truth_of system_ns) / 1e6 }")" 10 20
		# What is sampled is the user time, or what the tick takes for it.
		check_between ordinary_samples "$(of .total_samples)" 0 \
			"$(awk "BEGIN { print $(truth_of cpu_ns) / 1e9 * 999 * 0.3 }")"
		check_contains ordinary_summary "$(cat "$db.out" "$db.err")" "system time"
		check_equal ordinary_kernel_samples "$(of '[.entries[].kernel_samples] | add // 0')" 0
		check_equal ordinary_meta "$(sql "$db" \
			"SELECT value FROM meta WHERE key = 'cpu_time_unsampled_ms'")" \
			"$(of .cpu_time_unsampled_ms)"
		# The limit of locked memory is met by asking for less.
		limit=$(ulimit -l)
		if [ "$limit" = unlimited ] || [ $((limit + $(nproc) * $(cat \
			/proc/sys/kernel/perf_event_mlock_kb))) -ge 16384 ]; then
			skip ordinary_smaller_ring "16 MiB may be locked here"
		else
			check_contains ordinary_smaller_ring_is_told "$(cat "$db.err")" "locked memory"
			check_between ordinary_smaller_ring "$(sql "$db" \
				"SELECT value FROM meta WHERE key = 'buffer_bytes'")" 4096 16777215
		fi
	fi
else
	skip ordinary_unsampled "setpriv is not installed"
fi
