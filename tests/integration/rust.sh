#!/usr/bin/env bash
# A Rust program: the hot line is the inlined helper's own, names are demangled in both manglings, and LLD's
# split segments and GNU ld's one resolve to the same lines.
. tests/lib/lib.sh
. tests/integration/common.bash

if [ ! -x "$TARGETS/rust" ]; then
	skip rust_hot_line "rustc is not installed"
	exit 0
fi
hot=$(grep -n '// HOT' tests/targets/inline.rs | cut -d: -f1)

# one_build BUILD: one recording of it.
one_build() {
	local build=$1

	rm -f "$dir/$build.db"
	start_running "$TARGETS/$build" 20
	record "$dir/$build.db" -p "$target_pid" --cpu-freq 499 -d 1500ms ||
		not_ok "${build}_records" "$(cat "$dir/$build.db.err")"
	record_end
	stop_target
	check_equal "${build}_exit_code" "$record_status" 0
	check_losses "${build}_losses" "$dir/$build.db"

	top "$dir/$build.db"
	check_between "${build}_samples" "$(of .total_samples)" 150 900
	check_equal "${build}_hot_line" "$(of '.entries[0] | "\(.file | split("/") | last):\(.line)"')" \
		"inline.rs:$hot"
	check_equal "${build}_hot_function" "$(of '.entries[0].function | split("::") | last')" mix
	# The helper is in two functions: its line has the samples of both.
	check_between "${build}_hot_share" \
		"$(of "[.entries[] | select(.line == $hot) | .cpu_pct] | add // 0")" 90 100
	top "$dir/$build.db" --by function --no-inline
	check_share "${build}_trait_object" \
		"$(of '[.entries[] | select(.function | test("Spinner.*turn$")) | .cpu_pct] | add // 0')" 67 8
	check_share "${build}_closure" \
		"$(of '[.entries[] | select(.function | test("main.*closure")) | .cpu_pct] | add // 0')" 33 8
	top "$dir/$build.db" --by function
	check_between "${build}_main_inclusive" \
		"$(of '[.entries[] | select(.function | test("inline::main$")) | .incl_pct] | add // 0')" 95 100
	check_equal "${build}_demangled" "$(of '[.entries[].function |
		select(test("^_R|_ZN|17h[0-9a-f]{16}|::h[0-9a-f]{16}$|\\[[0-9a-f]{16}\\]"))] | join(" ")')" ""
}

for build in rust rust_v0 rust_lld; do
	if [ ! -x "$TARGETS/$build" ]; then
		skip "${build}_hot_line" "ld.lld is not installed"
		continue
	fi
	often 3 one_build $build
done

# The same lines of the user's own, whatever the linker.
lines_of() {
	top "$dir/$1.db" --sort incl_pct -t 5
	of '[.entries[] | select(.file | endswith("inline.rs")) | "\(.function):\(.line)"] | sort | join(" ")'
}
if [ -s "$dir/rust_lld.db" ]; then
	check_equal rust_linkers_agree "$(lines_of rust_lld)" "$(lines_of rust)"
	check "rust_lld_segments_are_split" bash -c \
		"readelf -lW '$TARGETS/rust_lld' | awk '\$1 == \"LOAD\" && \$2 != \$3 { n++ } END { exit !n }'"
fi
