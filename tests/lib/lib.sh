# Helpers of the test scripts: `. tests/lib/lib.sh` is their first command. tests/run gives them
#   RSPROF   path of the program        TARGETS  folder of the profiled programs
#   BUILD    folder of the products     MODE     rel, dbg, asan or tsan
# and starts them in the root of the tree. What a script starts through start_target and what it
# creates below folder() is gone when it ends, however it ends.
set -u
: "${RSPROF:=build/rsprof}" "${TARGETS:=build/targets}" "${BUILD:=build}" "${MODE:=rel}"

lib_root=$(mktemp -d "${TMPDIR:-/tmp}/rsprof-test.XXXXXX") || exit 1
# A test may go on as another user below its own folder.
chmod 711 "$lib_root"
lib_failures=0

lib_end() {
	local status=$? pid

	trap - EXIT
	# Jobs of this shell that still run or are stopped: no pid that could be somebody else's by now.
	for pid in $(jobs -pr) $(jobs -ps); do
		kill -KILL "$pid" 2>/dev/null
	done
	chmod -R u+rwX "$lib_root" 2>/dev/null
	rm -rf "$lib_root"
	if [ "$status" -eq 0 ] && [ "$lib_failures" -gt 0 ]; then
		status=1
	fi
	exit "$status"
}
trap lib_end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ok NAME, not_ok NAME WHY…, skip NAME REASON…: one result.
ok() {
	printf 'ok %s\n' "$1"
}

not_ok() {
	local name=$1

	shift
	lib_failures=$((lib_failures + 1))
	printf 'not ok %s: %s\n' "$name" "$(printf '%s' "$*" | tr '\n' ' ')"
}

skip() {
	local name=$1

	shift
	printf 'skip %s: %s\n' "$name" "$(printf '%s' "$*" | tr '\n' ' ')"
}

# check NAME COMMAND…: passes where the command succeeds; shows what it said where it does not.
check() {
	local name=$1 said

	shift
	if said=$("$@" 2>&1); then
		ok "$name"
	else
		not_ok "$name" "failed: $*: $said"
		return 1
	fi
}

# check_equal NAME GOT WANT
check_equal() {
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1" "is \"$2\", not \"$3\""
		return 1
	fi
}

# check_between NAME GOT LOW HIGH: decimal numbers; anything else fails.
check_between() {
	if lib_is_number "$2" && awk -v got="$2" -v low="$3" -v high="$4" \
		'BEGIN { exit !(got + 0 >= low + 0 && got + 0 <= high + 0) }'; then
		ok "$1"
	else
		not_ok "$1" "is \"$2\", not within $3..$4"
		return 1
	fi
}

# check_contains NAME TEXT PART: the part is plain text.
check_contains() {
	case $2 in
	*"$3"*)
		ok "$1"
		;;
	*)
		not_ok "$1" "\"$3\" is not in \"$2\""
		return 1
		;;
	esac
}

lib_is_number() {
	[[ $1 =~ ^-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?$ ]]
}

# run COMMAND…: its standard output in $out, its errors in $errors, its exit code in $status.
run() {
	out=$("$@" 2>"$lib_root/errors")
	status=$?
	errors=$(cat "$lib_root/errors")
}

# wait_for SECONDS COMMAND…: asks again until the command succeeds; false at the deadline.
wait_for() {
	local deadline=$((${EPOCHREALTIME%[.,]*} + $1))

	shift
	until "$@" >/dev/null 2>&1; do
		[ "${EPOCHREALTIME%[.,]*}" -lt "$deadline" ] || return 1
		sleep 0.05
	done
}

# start_target COMMAND…: in the background, its pid in $target_pid; redirections are the caller's.
# Not from a subshell: its jobs are not this script's.
start_target() {
	"$@" &
	target_pid=$!
}

# stop_target [PID]: ends what start_target started and waits for it. Who holds the signal back while he works is
# not waited for.
stop_target() {
	local pid=${1:-$target_pid}

	kill -TERM "$pid" 2>/dev/null
	wait_for 1 lib_is_gone "$pid" || { ! lib_holds_back "$pid" && wait_for 5 lib_is_gone "$pid"; } ||
		kill -KILL "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
}

# Whether SIGTERM waits for the process to let it in.
lib_holds_back() {
	local pending

	pending=$(awk '$1 == "ShdPnd:" { print $2 }' "/proc/$1/status" 2>/dev/null)
	((0x${pending:-0} & 0x4000))
}

lib_is_gone() {
	local state

	[ -r "/proc/$1/stat" ] || return 0
	state=$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null)
	[ -z "$state" ] || [ "$state" = Z ]
}

# folder: prints a new empty folder.
folder() {
	mktemp -d "$lib_root/XXXXXX"
}
