#!/usr/bin/env bash
# The agent in a program: by header and archive in C and C++, preloaded by the same program, both at once, and by
# the crate in Rust. Without RSPROF_ENABLE, or the crate's feature, there is nothing of it.
. tests/lib/lib.sh

agent=$PWD/$BUILD/librsprof_agent.so
archive=$PWD/$BUILD/librsprof.a
dir=$(folder)
truth=$dir/truth
: "${CC:=gcc}" "${CXX:=g++}"

# begin COMMAND…: until it is done. What it says is in $truth, of its memory in $told.
begin() {
	start_target "$@" >"$truth"
	wait_for 60 grep -q '^done' "$truth"
	told=$("$TARGETS/agentdump" "$target_pid" 2>&1)
}

told() {
	awk -v key="$1" '$1 == key { print $2 }' <<<"$told"
}

said() {
	awk -v key="$1" '$1 == key { print $2 }' "$truth"
}

# check_linked NAME IS_LINKED: after begin agentlinked.
check_linked() {
	local pairs kept pool pool_bytes begin end

	pairs=$(said pairs) kept=$(said kept) pool=$(said pool) pool_bytes=$(said pool_bytes)
	check_equal "$1_is_linked" "$(told is_linked)" "$2"
	# One more is stdout's buffer; one of the pool's replaced itself; half of what is kept went in a pause.
	check_equal "$1_counts" "$(told allocs) $(told frees) $(told temporary)" \
		"$((pairs + kept + pool + 2)) $((pairs + kept / 2 + pool / 2 + 1)) $pairs"
	check_equal "$1_pool_sites" "$("$TARGETS/agentdump" "$target_pid" sites |
		awk -v bytes="$pool_bytes" '$1 == "site" && $5 % bytes == 0 && $4 > 0 && $5 / $4 == bytes {
			allocs += $4; frees += $6 } END { print allocs + 0, frees + 0 }')" \
		"$((pool + 1)) $((pool / 2 + 1))"
	# Its end is not seen by a tick.
	check_between "$1_cpu" "$(told event_samples)" \
		"$(awk -v ns="$(said cpu_ns)" 'BEGIN { print ns / 1e9 * 999 * 0.97 - 5 }')" \
		"$(awk -v ns="$(said cpu_ns)" 'BEGIN { print ns / 1e9 * 999 * 1.03 + 5 }')"
	check_equal "$1_marks" "$("$TARGETS/agentdump" "$target_pid" events | grep '^mark')" \
		"mark here it begins
mark here it ends"
	begin=$(told allocs)
	kill -USR1 "$target_pid"
	wait_for 10 grep -q '^stopped' "$truth"
	told=$("$TARGETS/agentdump" "$target_pid")
	end=$(told allocs)
	# OFF, by rsprof_stop.
	check_equal "$1_stops" "$(told state) $(told reason) $end" "4 3 $begin"
	stop_target
}

begin "$TARGETS/agentlinked"
check_linked linked 1
begin env LD_PRELOAD="$agent" "$TARGETS/agentlinked_weak"
check_linked weak_preloaded 0
begin "$TARGETS/agentlinked_weak"
check_contains weak_alone "$told" "no agent's memory"
stop_target
begin "$TARGETS/agentlinked_off"
check_contains off_has_no_agent "$told" "no agent's memory"
stop_target
check_equal off_has_no_symbol "$(nm "$TARGETS/agentlinked_off" | grep -i rsprof)" ""
# Of two agents the preloaded one counts, once.
begin env LD_PRELOAD="$agent" "$TARGETS/agentlinked"
check_linked linked_and_preloaded 0

# By rsprof, which preloads another one: its malloc is the agent's, not an allocator of its own.
start_target "$RSPROF" run -q -o "$dir/run.db" -- "$TARGETS/agentlinked" >"$dir/run.truth" 2>"$dir/run.err"
wait_for 60 grep -q '^done' "$dir/run.truth"
kill -USR1 "$(pgrep -P "$target_pid" -x agentlinked)"
wait_for 20 grep -q '^stopped' "$dir/run.truth"
kill -TERM "$(pgrep -P "$target_pid" -x agentlinked)"
wait_for 20 lib_is_gone "$target_pid" || kill -KILL "$target_pid"
wait "$target_pid"
check_equal run_linked_exit_code "$?" 0
run "$RSPROF" top heap "$dir/run.db" --json
check_equal run_linked_source "$(jq -r .source.heap <<<"$out")" agent
check_between run_linked_allocs "$(jq .total_allocs <<<"$out")" 1000 1000000

# Who starts the program has the last word on the rate; 0 is the program's to say.
begin env RSPROF_CPU_FREQ=99 "$TARGETS/agentlinked"
check_between environment_sets_the_rate "$(told event_samples)" 40 60
stop_target

# ---- what is visible of the archive

sed -n '/^global:/,/^local:/p' agent/exports.map | grep -o '[_a-z][_a-z0-9]*;' | tr -d ';' | sort >"$dir/exports"
nm -g --defined-only "$archive" | awk 'NF == 3 && $3 !~ /^rsprof_/ { print $3 }' | sort >"$dir/names"
check archive_has_hooks grep -qx malloc "$dir/names"
check_equal archive_has_no_names_but_exports "$(comm -23 "$dir/names" "$dir/exports")" ""

# ---- the header

cat >"$dir/user.c" <<'END'
#include <rsprof/rsprof.h>
#include <stdlib.h>

RSPROF_PROFILER();

int work(const char *name, unsigned char *memory, size_t bytes);
int work(const char *name, unsigned char *memory, size_t bytes)
{
	int sum = 0;

	rsprof_start();
	rsprof_mark(name);
	rsprof_cpu(199);
	rsprof_report_alloc(memory, bytes);
	for (size_t i = 0; i < bytes; i++)
		sum += memory[i];
	rsprof_report_free(memory);
	rsprof_pause();
	rsprof_resume();
	rsprof_stop();
	return sum;
}

int main(void)
{
	unsigned char memory[16] = {0};

	return work("x", memory, sizeof(memory));
}
END
cp "$dir/user.c" "$dir/user.cc"
grep -v 'rsprof_\|RSPROF_\|rsprof/' "$dir/user.c" >"$dir/without.c"

strict="-Iinclude -Wall -Wextra -Wshadow -Wmissing-declarations -Werror -pedantic-errors"
for define in '' -DRSPROF_ENABLE '-DRSPROF_ENABLE -DRSPROF_WEAK'; do
	name=$(tr -d ' ' <<<"header${define//-D/_}" | tr A-Z a-z)
	check "${name}_c11" $CC -std=c11 $strict $define -c -o "$dir/user.o" "$dir/user.c"
	check "${name}_cpp17" $CXX -std=c++17 $strict $define -c -o "$dir/user_cc.o" "$dir/user.cc"
done
for level in 0 2; do
	$CC -std=c11 -Iinclude -O$level -c -o "$dir/user.o" "$dir/user.c"
	$CC -std=c11 -O$level -c -o "$dir/without.o" "$dir/without.c"
	check_equal "disabled_is_nothing_O$level" "$(nm "$dir/user.o"; objdump -d "$dir/user.o" | tail -n +4)" \
		"$(nm "$dir/without.o"; objdump -d "$dir/without.o" | tail -n +4)"
done
check enabled_cpp_links $CXX -std=c++17 -Iinclude -DRSPROF_ENABLE -o "$dir/user" "$dir/user.cc" "$archive"
check enabled_cpp_runs "$dir/user"
check enabled_shared_links $CC -std=c11 -Iinclude -DRSPROF_ENABLE -o "$dir/user_so" "$dir/user.c" "$agent"
check enabled_shared_runs env LD_LIBRARY_PATH="$PWD/$BUILD" "$dir/user_so"
if $CC -std=c11 -Iinclude -DRSPROF_ENABLE -o "$dir/missing" "$dir/user.c" 2>"$dir/said"; then
	not_ok missing_agent_is_a_link_error "it linked"
else
	check_contains missing_agent_is_a_link_error "$(cat "$dir/said")" "undefined reference to \`rsprof_start'"
fi

# ---- Rust

if ! command -v cargo >/dev/null; then
	skip rust_crate "cargo is not installed"
	exit 0
fi
# A copy, as cargo writes beside its sources.
mkdir -p "$dir/tree/agent" "$dir/tree/tests/targets"
cp -r agent/rust "$dir/tree/agent/"
cp -r tests/targets/agentrust "$dir/tree/tests/targets/"
export RSPROF_LIB_DIR=$PWD/$BUILD

# crate NAME OPTION…: builds the program; its path in $built.
crate() {
	built=$dir/$1/release/agentrust
	check "rust_$1_builds" env -u MAKEFLAGS -u MFLAGS cargo build --offline --release -q --target-dir "$dir/$1" \
		--manifest-path "$dir/tree/tests/targets/agentrust/Cargo.toml" "${@:2}"
}

crate profiling --features profiling
mkfifo "$dir/input"
exec 9<>"$dir/input"
# check_crate NAME IS_LINKED COMMAND…
check_crate() {
	local boxes pool cpu

	# What a script starts in the background has no input of its own.
	start_target bash -c 'exec "$@" <"$0"' "$dir/input" "${@:3}" >"$truth"
	wait_for 60 grep -q '^done' "$truth"
	told=$("$TARGETS/agentdump" "$target_pid" 2>&1)
	sites=$("$TARGETS/agentdump" "$target_pid" sites)
	boxes=$(said boxes) pool=$(said pool)
	check_equal "$1_is_linked" "$(told is_linked)" "$2"
	# Once, though malloc is hooked below Rust's allocator.
	check_equal "$1_boxes" "$(awk -v bytes="$(said box_bytes)" \
		'$4 > 0 && $5 / $4 == bytes { sum += $4 } END { print sum + 0 }' <<<"$sites")" "$boxes"
	check_equal "$1_pool" "$(awk -v bytes="$(said pool_bytes)" \
		'$4 > 0 && $5 / $4 == bytes { sum += $4; frees += $6 } END { print sum + 0, frees + 0 }' \
		<<<"$sites")" "$pool 1"
	check_equal "$1_frequency" "$(told cpu_frequency)" 199
	# In hundredths of a second.
	cpu=$(awk '{ print ($14 + $15) / 100 * 199 }' "/proc/$target_pid/stat")
	check_between "$1_samples" "$(told event_samples)" "$(awk "BEGIN { print $cpu * 0.9 - 6 }")" \
		"$(awk "BEGIN { print $cpu * 1.1 + 6 }")"
	check_equal "$1_mark" "$("$TARGETS/agentdump" "$target_pid" events | grep '^mark')" "mark pool"
	echo >&9
	wait_for 20 lib_is_gone "$target_pid" || kill -KILL "$target_pid"
	wait "$target_pid"
	check_equal "$1_exit_code" "$?" 0
}
check_crate rust 1 "$built"
check_crate rust_preloaded 0 env LD_PRELOAD="$agent" "$built"

# Off, the program is the one that has no word of it: the same symbols, as many instructions of each kind.
shape() {
	nm -C "$1" | sed 's/^[0-9a-f ]* //; s/::h[0-9a-f]\{16\}//; s/GCC_except_table.*/table/; s/\.llvm\..*//
		s/\.[0-9a-f]\{5,\}//; s/anon\..*/anon/' | sort
	# Where functions lie is by chance: the instructions of all together.
	objdump -d --no-show-raw-insn "$1" | awk '/^ *[0-9a-f]+:/ { count[$2]++ }
		END { for (name in count) print name, count[name] }' | sort
}
crate off
off=$built
crate bare --features bare
check_equal rust_off_has_no_symbol "$(nm "$off" | grep -i rsprof)" ""
check rust_off_is_the_bare_program cmp <(shape "$off") <(shape "$built")
RSPROF_LIB_DIR=$dir run env -u MAKEFLAGS cargo build --offline -q --target-dir "$dir/none" --features profiling \
	--manifest-path "$dir/tree/tests/targets/agentrust/Cargo.toml"
check_contains rust_names_what_is_missing "$errors" "librsprof.a is not there"
