#!/usr/bin/env bash
# Annotated source: each line has what the program says of it, inlined helpers in their own file; a source that
# was moved, changed or replaced by something else; and what is said where a place is not one.
. tests/lib/lib.sh
. tests/integration/common.bash
: "${CC:=gcc}"

root=$PWD
rsprof=$(realpath "$RSPROF")
source=$dir/app/src/annotated.c

# The program is built from a copy of its source.
build() {
	rm -rf "$dir/app"
	mkdir -p "$dir/app/src"
	cp tests/targets/annotated.c tests/targets/annotated.h "$dir/app/src/"
	touch -d '2020-01-01' "$dir/app/src/"*
	(cd "$dir/app" && $CC -std=gnu11 -D_GNU_SOURCE -O2 -g -fno-omit-frame-pointer -I"$root" \
		-o "$dir/annotated" src/annotated.c)
}

# annotate OPERAND OPTION…: the document, in $json.
annotate() {
	json=$("$rsprof" annotate "$db" "$@" --json 2>"$dir/annotate.err")
}

# at KEY FILE WORD: what a line of the document has.
at() {
	of ".lines[] | select(.line == $(line_in "$2" "$3")) | .$1"
}

# said NAME STATUS PART COMMAND…: the exit code, and a part of what was said on either output.
said() {
	local name=$1 want=$2 part=$3

	shift 3
	run timeout -k 5 30 "$@"
	check_equal "${name}_status" "$status" "$want"
	check_contains "${name}_words" "$out$errors" "$part"
}

# ---- numbers

one_recording() {
	local total

	profile_run annotated --cpu-freq 499 -- "$dir/annotated" 1.5
	total=$(($(truth_of hot_ns) + $(truth_of warm_ns) + $(truth_of own_ns)))

	annotate src/annotated.c
	check_equal file "$(of '"\(.file) \(.source) \(.source_path)"')" \
		"src/annotated.c unchanged $source"
	check_share hot_inclusive "$(at incl_pct annotated.c HOT)" \
		"$(awk "BEGIN { print $(truth_of hot_ns) * 100 / $total }")" 8
	check_share warm_inclusive "$(at incl_pct annotated.c WARM)" \
		"$(awk "BEGIN { print $(truth_of warm_ns) * 100 / $total }")" 8
	check_share own_self "$(at cpu_pct annotated.c OWN)" \
		"$(awk "BEGIN { print $(truth_of own_ns) * 100 / $total }")" 8
	# The helper's time is not its callers' own.
	check_between hot_self "$(at cpu_pct annotated.c HOT)" 0 3
	annotate annotated.h
	check_share spun_self "$(at cpu_pct annotated.h SPUN)" \
		"$(awk "BEGIN { print 100 - $(truth_of own_ns) * 100 / $total }")" 8
	annotate annotated.c --no-inline
	check_share hot_without_inlining "$(at cpu_pct annotated.c HOT)" \
		"$(awk "BEGIN { print $(truth_of hot_ns) * 100 / $total }")" 8
}

build || not_ok annotated_builds "it does not"
often 3 one_recording

annotate annotated.c
check_equal text "$(at text annotated.c OWN)" $'\tCHURN(ROUNDS * 2); // OWN'
check_equal kept_live "$(at live_bytes annotated.c KEPT)" "$(truth_of kept_bytes)"
check_equal kept_total "$(at total_alloc_bytes annotated.c KEPT)" "$(truth_of kept_bytes)"
check_equal freed_live "$(at live_bytes annotated.c FREED)" 0
check_equal freed_total "$(at total_alloc_bytes annotated.c FREED)" "$(truth_of freed_bytes)"
if [ -n "$wait_sources" ]; then
	check_near slept "$(at wait_ns annotated.c SLEPT)" "$(truth_of slept_ns)" 10
else
	skip slept "no source tells of waits here"
fi
# The same numbers as the ranked tables have.
top "$db"
own_samples=$(of_line samples annotated.c OWN)
annotate annotated.c
check_equal agrees_with_top "$(at samples annotated.c OWN)" "$own_samples"
run "$rsprof" annotate "$db" annotated.c --csv
check_equal csv_agrees "$(awk -F, -v line="$(line_in annotated.c OWN)" '$3 == line { print $5 }' <<<"$out")" "$own_samples"
annotate annotated.c --thread annotated
check_equal thread_samples "$(at samples annotated.c OWN)" "$own_samples"
check_equal thread_has_no_heap "$(at "live_bytes // empty" annotated.c KEPT)" ""

# ---- places

own=$(line_in annotated.c OWN)
annotate "annotated.c:$own" -n 1
check_equal place_lines "$(of '[.lines[].line] | map(tostring) | join(" ")')" "$((own - 1)) $own $((own + 1))"
annotate turn_own -n 0
check_equal function "$(of '"\(.function) \([.lines[].line] | index('"$own"') != null)"')" "turn_own true"
run "$rsprof" annotate "$db" "annotated.c:$own"
check place_is_marked grep -qE "(>|▌) +$own  " <<<"$out"
said unknown 2 'Did you mean turn_own?' "$rsprof" annotate "$db" turn_owm
said several 2 'functions match "turn_"' "$rsprof" annotate "$db" turn_
said no_such_line 2 'and no line 5000' "$rsprof" annotate "$db" annotated.c:5000
said no_place 2 'annotate needs a place' "$rsprof" annotate "$db"
said no_profile 2 'annotate needs a profile' "$rsprof" annotate
said too_many 2 'one too many' "$rsprof" annotate "$db" a b
said both_forms 2 'cannot both' "$rsprof" annotate "$db" annotated.c --json --csv
said no_folder 2 'cannot be entered' "$rsprof" annotate "$db" annotated.c --source "$dir/none"
said no_event 2 'no event "cycles"' "$rsprof" annotate "$db" annotated.c --event cycles
said wait_event 2 'event' "$rsprof" annotate "$db" annotated.c --event wait-time
said no_thread 2 'no thread "zebra"' "$rsprof" annotate "$db" annotated.c --thread zebra
said bad_window 2 'window' "$rsprof" annotate "$db" annotated.c --window x..y
"$rsprof" top cpu "$dir/none.db" >/dev/null 2>&1
said absent_profile $? '' "$rsprof" annotate "$dir/none.db" annotated.c

# ---- the source elsewhere, and changed

# state OPTION…: of the source, and where it was read.
state() {
	annotate annotated.c "$@"
	of '"\(.source) \(.source_path)"'
}

touch "$source"
check_equal changed "$(state)" "changed $source"
said changed_is_said 0 'warning: it was written after the recording began' "$rsprof" annotate "$db" annotated.c
touch -d '2020-01-01' "$source"
mv "$dir/app" "$dir/moved"
check_equal missing "$(state)" "missing null"
check_equal missing_numbers "$(at samples annotated.c OWN)" "$own_samples"
said missing_is_said 0 "source not found: say where it is with --source DIR; tried $source" \
	"$rsprof" annotate "$db" annotated.c
check_equal moved_below_source "$(state --source "$dir/moved")" "unchanged $dir/moved/src/annotated.c"
check_equal moved_flat "$(state --source / --source "$dir/moved/src")" "unchanged $dir/moved/src/annotated.c"
check_equal moved_below_variable "$(RSPROF_SOURCE_PATH=/proc:$dir/moved state)" \
	"unchanged $dir/moved/src/annotated.c"
check_equal moved_below_here "$(cd "$dir/moved" && "$rsprof" annotate "$db" annotated.c --json |
	jq -r '"\(.source) \(.source_path)"')" "unchanged src/annotated.c"

# ---- something else in its place

# refused NAME WORDS: whatever is there now is not read, nothing waits, and the numbers are shown.
refused() {
	said "$1" 0 "$2" "$rsprof" annotate "$db" annotated.c
	check_contains "$1_numbers" "$out" " $own"
	rm -rf "$source"
}

mkdir -p "$dir/app/src"
mkfifo "$source"
refused fifo "is a FIFO"
ln -s /dev/zero "$source"
refused device "is a device"
ln -s /dev/tty "$source"
refused terminal "is a device"
mkdir "$source"
refused folder "is a folder"
cp "$dir/annotated" "$source"
refused binary "is a binary file"
truncate -s 40000000 "$source"
refused large "is larger than"
ln -s "$source" "$source"
refused loop "source not found"

# Escape sequences, bytes that are not UTF-8, a line of 20 MB, no newline at the end.
{
	for ((i = 1; i < own; i++)); do
		printf 'a\033[2J\033]0;title\007\302\233b\377\n'
	done
	head -c 20000000 /dev/zero | tr '\0' x
} >"$source"
run timeout -k 5 30 "$rsprof" annotate "$db" "annotated.c:$own"
check_equal hostile_status "$status" 0
check_equal hostile_is_clean "$(printf '%s' "$out" | LC_ALL=C tr -d '\n\40-\176\200-\377' | wc -c)" 0
check_contains hostile_is_shown "$out" 'a?[2J?]0;title'
check_between hostile_is_short "${#out}" 100 20000
run timeout -k 5 30 "$rsprof" annotate "$db" "annotated.c:$own" --json
check_equal hostile_json "$(jq -r '.lines | length > 5' <<<"$out")" true
rm -f "$source"

# ---- Rust

if [ -x "$TARGETS/rust" ]; then
	one_rust() {
		profile_run rust --cpu-freq 499 -- "$TARGETS/rust" 1.5
		annotate inline.rs
		check_between rust_hot_line "$(at cpu_pct inline.rs HOT)" 90 100
		check_contains rust_text "$(at text inline.rs HOT)" 'for _ in 0..rounds'
		annotate mix
		check_contains rust_function "$(of .function)" mix
		# A method of a trait, by the end of its name.
		annotate turn
		check_between rust_method "$(of '[.lines[].incl_pct] | max')" 50 80
	}
	often 3 one_rust
else
	skip rust_hot_line "rustc is not installed"
fi
