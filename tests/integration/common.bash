# What the integration tests share; sourced after tests/lib/lib.sh. No test by itself.
#
# A recording here begins before its target works and ends after the work is done (target.h), so that
# the target's own count is the truth for the whole recording.

dir=$(folder)
# Programs and files of tests that go on as another user.
chmod 755 "$dir"
as=() # what goes before the target and rsprof: as_ordinary sets it
truth=/dev/null # what the target says of itself: start_ready sets it

is_root() {
	[ "$(id -u)" -eq 0 ]
}

# Sources that can sample CPU time here, the default one first: those of doctor, or what SOURCES says.
: "${SOURCES:=$("$RSPROF" doctor --json |
	jq -r '[.sources[] | select(.cpu.answer == "yes")] | sort_by(.cpu.taken | not) |
		map(.source) | join(" ")')}"

# has_source NAME
has_source() {
	[[ " $SOURCES " == *" $1 "* ]]
}

# Without a source that this kernel and user allow, its tests are not run; skip them by name.
wait_sources=$("$RSPROF" doctor --json |
	jq -r '[.sources[] | select(.wait.answer == "yes") | .source] | join(" ")')

# Target and rsprof as an ordinary user from here on: both are copied to where that user can read them.
as_ordinary() {
	local program

	is_root || return 0
	command -v setpriv >/dev/null || return 1
	# Folders above a test's own may be closed to other users.
	dir=$(env -u TMPDIR mktemp -d -t rsprof-test.XXXXXX) || return 1
	ordinary_root=$dir
	trap 'end_ordinary $?; lib_end' EXIT
	chmod 755 "$dir"
	mkdir "$dir/programs" "$dir/ordinary"
	chown 65534:65534 "$dir/ordinary"
	for program in "$@"; do
		cp "$TARGETS/$program" "$dir/programs/"
	done
	cp "$RSPROF" "$dir/programs/rsprof"
	chmod 755 "$dir"/programs/*
	TARGETS=$dir/programs RSPROF=$dir/programs/rsprof dir=$dir/ordinary
	as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
}

end_ordinary() {
	rm -rf "$ordinary_root"
	return "$1"
}

# record FILE OPTION…: rsprof in the background; true once it says that it records. Its pid is in
# $record_pid, what it says in FILE.out and FILE.err.
record() {
	local before=${target_pid:-}

	record_file=$1
	shift
	: >"$record_file.err"
	stolen_before=$(stolen_ns)
	start_target ${as[@]+"${as[@]}"} "$RSPROF" "$@" -q -o "$record_file" \
		>"$record_file.out" 2>>"$record_file.err"
	record_pid=$target_pid target_pid=$before
	wait_for 30 record_is_settled
	grep -q '^recording ' "$record_file.err"
}

record_is_settled() {
	grep -q '^recording ' "$record_file.err" || lib_is_gone "$record_pid"
}

# record_end [SECONDS]: waits for the recording's end; its exit code in $record_status (124: it hung).
record_end() {
	if ! wait_for "${1:-60}" lib_is_gone "$record_pid"; then
		kill -KILL "$record_pid"
		wait "$record_pid" 2>/dev/null
		record_status=124
		return 1
	fi
	wait "$record_pid" 2>/dev/null
	record_status=$?
}

# start_running PROGRAM ARGUMENT…: a target that has begun: before its exec it is still this shell.
start_running() {
	start_target ${as[@]+"${as[@]}"} "$@" >/dev/null
	wait_for 10 test "/proc/$target_pid/exe" -ef "$1"
}

# start_ready NAME PROGRAM ARGUMENT…: a target that is ready for its signal; what it prints is in $truth.
start_ready() {
	truth=$dir/$1.truth
	shift
	start_target ${as[@]+"${as[@]}"} "$TARGETS/$1" "${@:2}" >"$truth"
	wait_for 20 grep -q '^ready' "$truth"
}

# profile NAME OPTION… -- PROGRAM ARGUMENT…: the whole cycle. Database in $db, truth in $truth, exit code in
# $record_status.
profile() {
	local name=$1 options=()

	shift
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	db=$dir/$name.db
	rm -f "$db"
	start_ready "$name" "$@"
	if ! record "$db" -p "$target_pid" ${options[@]+"${options[@]}"}; then
		not_ok "${name}_records" "$(cat "$db.err")"
		stop_target
		return 1
	fi
	kill -USR1 "$target_pid"
	wait_for 60 grep -q '^done' "$truth" || not_ok "${name}_target_ends" "it did not"
	kill -INT "$record_pid"
	record_end 30
	check_equal "${name}_exit_code" "$record_status" 0
	stop_target
}

# profile_run NAME OPTION… -- COMMAND…: as profile, for a command that is started and ends by itself: its
# first instructions are in it too. What it prints is in $truth.
profile_run() {
	local name=$1

	shift
	db=$dir/$name.db truth=$dir/$name.truth
	rm -f "$db"
	stolen_before=$(stolen_ns)
	run timeout -k 5 60 "$RSPROF" run -q -o "$db" "$@"
	printf '%s\n' "$out" >"$truth"
	check_equal "${name}_exit_code" "$status" 0
}

# truth_of KEY [FILE]: what the target says of itself.
truth_of() {
	awk -v key="$1" '$1 == key { print $2 }' "${2:-$truth}"
}

# top FILE OPTION…: every row as JSON, in $json.
top() {
	json=$("$RSPROF" top cpu "$@" --json -n 1000000 2>"$dir/top.err")
}

# top_wait FILE OPTION…: the same of waiting time.
top_wait() {
	json=$("$RSPROF" top wait "$@" --json -n 1000000 2>"$dir/top.err")
}

# of EXPRESSION [NAME VALUE]…: a jq expression on $json, with strings.
of() {
	local expression=$1 arguments=()

	shift
	while [ $# -gt 1 ]; do
		arguments+=(--arg "$1" "$2")
		shift 2
	done
	jq -r ${arguments[@]+"${arguments[@]}"} "$expression" <<<"$json" 2>&1
}

# of_function KEY NAME: the sum of a key over the rows of a function.
of_function() {
	of "[.entries[] | select(.function == \$name) | .$1] | add // 0" name "$2"
}

# figure NAME VALUE…: what a test measured, for who reads the log; no judgement.
figure() {
	printf '# %s: %s\n' "$1" "${*:2}"
}

# line_in FILE WORD: the line of a target that ends with the comment WORD.
line_in() {
	grep -n "// $2\$" "tests/targets/$1" | cut -d: -f1
}

# of_line KEY FILE WORD: the sum of a key over the rows of that line.
of_line() {
	of "[.entries[] | select((.file | endswith(\$file)) and .line == $(line_in "$2" "$3")) | .$1] |
		add // 0" file "$2"
}

# often TIMES COMMAND…: until it succeeds; what the last one printed and its status count. For what other
# programs on the machine may disturb: COMMAND makes a recording and judges it. A profiler that is wrong is
# wrong every time.
often() {
	local times=$1 attempt failures=$lib_failures result

	shift
	for ((attempt = 1; attempt <= times; attempt++)); do
		lib_failures=$failures
		"$@" >"$dir/often" 2>&1
		result=$lib_failures
		[ "$result" -gt "$failures" ] || break
		[ "$attempt" -eq "$times" ] || sed 's/^/# disturbed? /' "$dir/often"
	done
	cat "$dir/often"
	[ "$result" -eq "$failures" ]
}

# check_losses NAME FILE [CAUSE…]: every loss counter is 0, but for the causes that are explained where
# this is called. Addresses outside every mapping are always: code without frame pointers (libc) keeps
# other things in the register that the walk follows. A switch that the kernel did not tell is made good at
# the thread's next one, and a record that comes late is only put into a later checkpoint. What CPU time was
# not sampled is judged by check_samples, which knows what the machine took.
check_losses() {
	local name=$1 file=$2 allowed

	shift 2
	allowed=" address_unknown switches_missed late_records cpu_unsampled_ms $* "
	top "$file"
	check_equal "$name" "$(of '.losses | to_entries[] |
		select((.value | type) == "number" and .value > 0) |
		select(.key as $key | $allowed | contains(" " + $key + " ") | not) |
		"\(.key) \(.value)"' allowed "$allowed")" ""
}

# check_share NAME GOT WANT POINTS
check_share() {
	check_between "$1" "$2" "$(awk "BEGIN { print $3 - $4 }")" "$(awk "BEGIN { print $3 + $4 }")"
}

# check_near NAME GOT WANT PERCENT [LEAST]: within PERCENT of WANT, or within LEAST of it.
check_near() {
	local room

	room=$(awk -v want="$3" -v percent="$4" -v least="${5:-0}" 'BEGIN {
		room = want * percent / 100; print (room > least ? room : least) }')
	check_share "$1" "$2" "$3" "$room"
}

# Time that the machine below this one took from all CPUs since boot. CPU time stands still in it while the
# timer that samples goes on: a recording may hold that much more.
stolen_ns() {
	awk '$1 == "cpu" { printf "%.0f", $9 * 1e7 }' /proc/stat
}

# check_samples NAME GOT NS PERCENT [LEAST [RATE]]: samples of that much CPU time, within PERCENT or LEAST
# of them. What the target says it was stalled (target.h) may be missing on top of that (of a target that says
# nothing: what was stolen), and what was stolen since the recording began may have been sampled all the same.
check_samples() {
	check_between "$1" "$2" $(awk -v ns="$3" -v percent="$4" -v least="${5:-0}" -v rate="${6:-999}" \
		-v stolen=$(($(stolen_ns) - ${stolen_before:-$(stolen_ns)})) \
		-v stalled="$(awk '$1 == "stalled_ns" { sum += $2 } END { print sum }' "$truth")" 'BEGIN {
			if (stalled == "")
				stalled = stolen
			want = ns / 1e9 * rate
			room = want * percent / 100
			if (room < least)
				room = least
			print want - room - stalled / 1e9 * rate, want + room + stolen / 1e9 * rate }')
}

# may_use_bpf [CAPABILITIES]: is the BPF source allowed to somebody with these (hexadecimal; default: to us)?
# CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN. By the kernel's word, not by rsprof's.
may_use_bpf() {
	local capabilities=$((16#${1:-$(awk '$1 == "CapEff:" { print $2 }' /proc/self/status)}))

	[ -r /sys/kernel/btf/vmlinux ] &&
		(((capabilities >> 21 & 1) || ((capabilities >> 38 & 1) && (capabilities >> 39 & 1))))
}

# meta_of FILE KEY
meta_of() {
	sql "$1" "SELECT value FROM meta WHERE key = '$2'"
}

# sql FILE STATEMENT: through plain sqlite3.
sql() {
	sqlite3 -readonly "$1" "$2" 2>&1
}

# check_refusal NAME CODE COMMAND…: ends at once with that exit code and says why in one sentence and a
# remedy. Errors are in $errors.
check_refusal() {
	local name=$1 code=$2

	shift 2
	run timeout -k 5 30 "$@"
	check_equal "${name}_exit_code" "$status" "$code"
	if [[ $errors == "rsprof: "* ]] && [ "$(wc -l <<<"$errors")" -le 2 ] && [ -z "$out" ] &&
		! grep -qE 'AddressSanitizer|runtime error' <<<"$errors"; then
		ok "${name}_sentence"
	else
		not_ok "${name}_sentence" "stderr \"$errors\" stdout \"$out\""
	fi
}

# check_absent NAME FILE…: none of these is there, nor what SQLite puts beside a database.
check_absent() {
	local name=$1 file found=

	shift
	for file in "$@"; do
		found+=$(ls -d "$file" "$file"-wal "$file"-shm "$file"-journal 2>/dev/null)
	done
	check_equal "$name" "$found" ""
}

# check_finished NAME FILE: ended cleanly: journal_mode=DELETE, no file beside it, whole.
check_finished() {
	check_equal "$1" "$(sql "$2" 'PRAGMA journal_mode; PRAGMA integrity_check;' | tr '\n' ' ')" \
		"delete ok "
	check_absent "$1_alone" "$2-wal" "$2-shm" "$2-journal"
}

# top_heap FILE OPTION…: every row of who holds memory as JSON, in $json.
top_heap() {
	json=$("$RSPROF" top heap "$@" --json -n 1000000 2>"$dir/top.err")
}

# site_differences FILE KEY…: where rows of $json and the truth (heap_truth.h) say something else about a
# line of tests/targets/FILE that ends with the comment SITE: "SITE KEY is GOT, not WANT", a line each.
site_differences() {
	local file=$1

	shift
	{
		grep -n '// [A-Z_]*$' "tests/targets/$file" | sed 's|:.*// | |; s/^/line /'
		jq -r --arg file "$file" --args '.entries[] | select(.file | endswith($file)) | . as $row |
			$ARGS.positional[] | "row \($row.line) \(.) \($row[.])"' "$@" <<<"$json"
		cat "$truth"
	} | awk -v keys="$*" '
		$1 == "line" { line[$3] = $2; next }
		$1 == "row" { got[$2, $3] += $4; next }
		$1 == "site" { sites[++count] = $2; next }
		{ want[$1] = $2 }
		END {
			split(keys, key, " ")
			if (!count)
				print "the target names no site"
			for (i = 1; i <= count; i++)
				for (k = 1; k in key; k++) {
					g = got[line[sites[i]], key[k]] + 0
					w = want[sites[i] "." key[k]] + 0
					if (g != w)
						printf "%s %s is %d, not %d\n", sites[i], key[k], g, w
				}
		}'
}

# check_sites NAME FILE KEY…: a result for each site: rsprof and the target say the same, to the unit.
check_sites() {
	local name=$1 file=$2 differences site sites

	shift 2
	differences=$(site_differences "$file" "$@")
	sites=$(awk '$1 == "site" { print $2 }' "$truth")
	[ -n "$sites" ] || not_ok "$name" "$differences"
	for site in $sites; do
		check_equal "${name}_$site" "$(grep "^$site " <<<"$differences")" ""
	done
}

# text_sum PID PART [FILE]: the code that a process has mapped from files with PART in their path, as one sum;
# with FILE set, the same bytes as the files have them. Only whole pages: what is behind a file's end, only
# memory has.
text_sum() {
	local pid=$1 part=$2 from=${3:-} range access offset path start count whole

	while read -r range access offset _ _ path; do
		[[ $access == *x* && $path == /*"$part"* ]] || continue
		start=$((16#${range%-*} / 4096)) count=$((16#${range#*-} / 4096 - start))
		whole=$(($(stat -L -c %s "/proc/$pid/root$path") / 4096 - 16#$offset / 4096))
		[ "$count" -le "$whole" ] || count=$whole
		if [ -n "$from" ]; then
			dd if="/proc/$pid/root$path" bs=4096 skip=$((16#$offset / 4096)) count=$count status=none
		else
			dd if="/proc/$pid/mem" bs=4096 skip=$start count=$count status=none
		fi
	done <"/proc/$pid/maps" | sha256sum
}

# is_probed PID PART: is its code in memory another than in the file?
is_probed() {
	[ "$(text_sum "$1" "$2")" != "$(text_sum "$1" "$2" file)" ]
}

is_unprobed() {
	! is_probed "$@"
}
