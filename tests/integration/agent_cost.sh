#!/usr/bin/env bash
# What an allocation costs under the agent, in instructions, which no other program on the machine changes.
. tests/lib/lib.sh
. tests/integration/common.bash
. tests/integration/agent.bash

if ! command -v valgrind >/dev/null; then
	skip agent_cost "valgrind is not installed"
	exit 0
fi

# instructions_of DEPTH [VARIABLE=VALUE…]: of a pair of malloc and free; what more pairs take.
instructions_of() {
	local depth=$1 count ir=()

	shift
	for count in 5000 15000; do
		env "$@" valgrind --tool=callgrind --callgrind-out-file="$dir/callgrind" \
			"$TARGETS/heapbench" $count "$depth" 0 now >"$dir/out" 2>&1 || cat "$dir/out" >&2
		ir+=("$(awk '$1 == "summary:" || $1 == "totals:" { print $2; exit }' "$dir/callgrind")")
	done
	awk "BEGIN { printf \"%.0f\", (${ir[1]:-0} - ${ir[0]:-0}) / 10000 }"
}

alone=$(instructions_of 8)
counted=$(instructions_of 8 LD_PRELOAD="$agent")
deep=$(instructions_of 32 LD_PRELOAD="$agent")
dormant=$(instructions_of 8 LD_PRELOAD="$agent" RSPROF_AGENT=dormant)
sampled=$(instructions_of 8 LD_PRELOAD="$agent" RSPROF_HEAP=sampled)
figure cost "instructions a pair: alone $alone, exact $counted, at depth 32 $deep, dormant $dormant, sampled $sampled"
check_between alone "$alone" 100 400
check_between exact "$counted" $((alone + 50)) 700
check_between exact_deep "$deep" $((alone + 50)) 1400
check_between dormant "$dormant" $((alone + 1)) $((alone + 80))
check_between sampled "$sampled" $((alone + 1)) $((alone + 150))
exit 0
