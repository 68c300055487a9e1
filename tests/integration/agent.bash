# What the tests of the agent share; sourced after common.bash. No test by itself.

agent=$PWD/$BUILD/librsprof_agent.so
counts="total_allocs total_alloc_bytes total_frees total_free_bytes bytes blocks"
alone_counts="$counts temporary reallocs growth_bytes" # where a thread's own order of calls is known

# look NAME PROGRAM OPTION… -- COMMAND…: the command under the agent, with nothing of rsprof's: what it prints
# is in $truth, what its memory says in $looked, and its sites in $json, as top_heap has them. PROGRAM is where
# the sites are.
look() {
	local name=$1 program=$2

	shift 2
	truth=$dir/$name.truth looked=$dir/$name.looked
	timeout -k 5 60 "$TARGETS/agentlook" "$program" "$@" >"$truth" 2>"$dir/$name.errors"
	# What the command prints comes first.
	sed -n '/^status /,$p' "$truth" >"$looked"
	sites_of_look "$program"
}

# look_at NAME PROGRAM PID: the same of a process that runs.
look_at() {
	looked=$dir/$1.looked
	"$TARGETS/agentlook" "$2" "$3" >"$looked"
	sites_of_look "$2"
}

sites_of_look() {
	awk '$1 == "at" { print $2 }' "$looked" | sort -u >"$dir/addresses"
	json=$({
		paste -d ' ' "$dir/addresses" <(addr2line -e "$1" <"$dir/addresses" | sed 's/ (.*//') |
			sed 's/^/line /'
		grep '^at ' "$looked"
	} | awk '
		$1 == "line" { file[$2] = $3; line[$2] = $3; sub(/:[^:]*$/, "", file[$2]); sub(/.*:/, "", line[$2]); next }
		{ row[$2] = row[$2] sprintf(", \"%s\": %s", $3, $4) }
		END {
			printf "{\"entries\": ["
			for (address in row)
				printf "%s{\"file\": \"%s\", \"line\": %d%s}", n++ ? ", " : "", file[address],
					line[address], row[address]
			print "]}"
		}')
}

# looked_at KEY
looked_at() {
	awk -v key="$1" '$1 == key { print $2 }' "$looked"
}

# check_looked NAME [STATUS]: it ended as it should, and nothing was lost.
check_looked() {
	check_equal "$1_status" "$(looked_at status)" "${2:-0}"
	check_equal "$1_lost" "$(awk '($1 ~ /^lost_/ || $1 == "dropped") && $2 > 0 ||
		$1 ~ /^(untold_site|bad_stack)/' "$looked")" ""
	check_between "$1_complete" "$(looked_at status_0_pct)" 99 100
}

# start_preloaded NAME PROGRAM ARGUMENT…: as start_ready, with the agent in it from its first instruction.
# VARIABLE=VALUE words for its environment come from $preload_with.
start_preloaded() {
	# shellcheck disable=SC2206
	as=(env LD_PRELOAD="$agent" ${preload_with:-})
	start_ready "$@"
	as=()
}

# works: the target does its work; true once it is done.
works() {
	kill -USR1 "$target_pid"
	wait_for 60 grep -q '^done' "$truth"
}

# check_whole NAME: by the agent, nothing estimated, nothing lost, every stack complete.
check_whole() {
	check_equal "$1_is_exact" "$(of '"\(.mode) \(.is_estimate)"')" "${2:-exact} false"
	check_equal "$1_by" "$(meta_of "$db" heap_source)" agent
	check_equal "$1_losses" "$(of '.losses | to_entries | map(select(.key | startswith("heap_"))) |
		map("\(.key) \(.value)") | join(" ")')" ""
	check_between "$1_complete" "$(of .complete_stacks_pct)" 99 100
}
