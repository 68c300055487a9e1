# The test kit and the runner themselves: what fails must be seen to fail.
. tests/lib/lib.sh

dir=$(folder)
unset CI V T OBJ

# script NAME LINE…: a test program of ours.
script() {
	printf '%s\n' '#!/bin/sh' "${@:2}" >"$dir/$1"
	chmod +x "$dir/$1"
}

# last PROGRAM…: exit status and closing line of a run of these.
last() {
	local status

	tests/run "$@" >"$dir/output" 2>&1
	status=$?
	echo "$status: $(tail -n 1 "$dir/output")"
}

script good 'echo ok one' 'echo ok two' 'echo skip three: no reason'
script bad 'echo ok one' 'echo "not ok two: because"' 'exit 1'
script bad_but_0 'echo "not ok two: because"'
script crash 'echo ok one' 'kill -SEGV $$'
script silent 'echo something'
script refuses 'exit 1'
script skips 'echo no such thing here' 'exit 77'
script hang 'echo ok one' 'sleep 600'
script stays 'sleep 600 &' "echo \$! >$dir/stays.pid" 'echo ok one'

check_equal passes_and_skips_are_counted "$(last "$dir/good")" "0: 2 passed, 0 failed, 1 skipped"
check_contains skips_are_listed "$(grep -A 1 '^skipped:' "$dir/output")" "three: no reason"
check_equal failure_fails "$(last "$dir/good" "$dir/bad")" "1: 3 passed, 1 failed, 1 skipped"
check_contains failure_is_shown "$(cat "$dir/output")" "not ok two: because"
check_equal failure_fails_at_status_0 "$(last "$dir/bad_but_0")" "1: 0 passed, 1 failed, 0 skipped"
check_equal crash_fails "$(last "$dir/crash")" "1: 1 passed, 1 failed, 0 skipped"
check_equal silence_fails "$(last "$dir/silent")" "1: 0 passed, 1 failed, 0 skipped"
check_equal status_alone_fails "$(last "$dir/refuses")" "1: 0 passed, 1 failed, 0 skipped"
check_equal status_77_skips "$(last "$dir/skips")" "0: 0 passed, 0 failed, 1 skipped"
check_contains status_77_tells_why "$(cat "$dir/output")" "no such thing here"
check_equal missing_program_fails "$(last "$dir/gone")" "1: 0 passed, 1 failed, 0 skipped"
check_equal no_program_fails "$(last)" "1: tests/run: no test to run"
check_equal hang_fails "$(UNIT_SECONDS=1 last "$dir/hang")" "1: 1 passed, 1 failed, 0 skipped"
check_equal leftover_does_not_fail "$(last "$dir/stays")" "0: 1 passed, 0 failed, 0 skipped"
check leftover_is_killed wait_for 5 lib_is_gone "$(cat "$dir/stays.pid")"
echo 'echo ok without_mode' >"$dir/plain.sh"
check_equal scripts_need_no_mode "$(last "$dir/plain.sh")" "0: 1 passed, 0 failed, 0 skipped"

# What failed gets a second run, which counts and is told.
script unsteady "test -e $dir/once && echo ok one || { touch $dir/once; echo 'not ok one: first'; }"
check_equal second_run_counts "$(last "$dir/unsteady")" "0: 1 passed, 0 failed, 0 skipped"
check_contains first_failure_is_shown "$(cat "$dir/output")" "not ok one: first"
check_contains second_run_is_told "$(grep -A 1 '^passed in a second run only:' "$dir/output")" unsteady
last "$dir/good" "$dir/bad" >/dev/null
check_equal twice_failed_is_no_second_pass "$(grep -c 'second run only' "$dir/output")" 0
check_equal good_runs_once "$(grep -c 'good  ' "$dir/output")" 1

printf '# names\nthree\n' >"$dir/required"
export REQUIRED=$dir/required
check_equal required_skip_passes_at_home "$(last "$dir/good")" "0: 2 passed, 0 failed, 1 skipped"
check_equal required_skip_fails_in_ci "$(CI=1 last "$dir/good")" "1: 2 passed, 1 failed, 1 skipped"
printf 'thre\n' >"$dir/required"
check_equal other_skip_passes_in_ci "$(CI=1 last "$dir/good")" "0: 2 passed, 0 failed, 1 skipped"
unset REQUIRED

cat >"$dir/kit.c" <<'END'
#include "tests/lib/kit.h"
#include <stdlib.h>
#include <unistd.h>
TEST(passes) { CHECK_EQ_U64(1, 1); }
TEST(fails) { CHECK_EQ_U64(1 + 1, 3); }
TEST(differs) { CHECK_EQ_STR("a", "b"); }
TEST(is_outside) { CHECK_BETWEEN(1.5, 2, 3); }
TEST(is_skipped) { SKIP("no %s", "reason"); }
TEST(aborts) { abort(); }
TEST(exits) { _exit(3); }
TEST(fails_in_a_child)
{
	if (fork() == 0)
		FAIL("below");
	pause();
}
TEST(leaves_a_folder)
{
	char path[5000];
	snprintf(path, sizeof(path), "%s/deep", kit_folder());
	CHECK(!rmdir(kit_folder()));
	CHECK(!symlink("/", path));
}
KIT_MAIN
END
sed -i 's/^	pause();/	sleep(1);/' "$dir/kit.c"
check kit_compiles "${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -I. -Wall -Wextra -Werror -o "$dir/kit" \
	"$dir/kit.c" tests/lib/kit.c
mkdir "$dir/tmp"
out=$(TMPDIR=$dir/tmp "$dir/kit" | sed "s|$dir/||")
check_equal kit_tells_each_test "$out" 'ok passes
not ok fails: kit.c:5: 1 + 1 is 2, not 3
not ok differs: kit.c:6: "a" is "a", not "b"
not ok is_outside: kit.c:7: 1.5 is 1.5, not within 2..3
skip is_skipped: no reason
not ok aborts: killed by Aborted
not ok exits: ended with status 3
not ok fails_in_a_child: kit.c:14: below
ok leaves_a_folder'
check_equal kit_leaves_nothing "$(ls -A "$dir/tmp")" ""
run "$dir/kit" passes
check_equal kit_runs_one_test "$status:$out" "0:ok passes"
run "$dir/kit" fails passes
check_equal kit_fails_when_a_test_fails "$status" 1
run "$dir/kit" nothing_of_the_kind
check_equal kit_refuses_unknown_names "$status:$out" "1:not ok nothing_of_the_kind: no such test"

# The helpers of scripts.
cat >"$dir/helper.sh" <<'END'
. tests/lib/lib.sh
check_equal same a a
check_equal other a b
check_between within 1.5 1 2
check_between without 3 1 2
check_between no_number "" 0 2
check_between nan nan 0 2
check_contains part abc b
check_contains no_part abc x
check true true
check false false
wait_for 0 false || ok waited
start_target sleep 600
echo "$target_pid" >"$PIDS"
folder >>"$PIDS"
END
out=$(PIDS=$dir/pids bash "$dir/helper.sh" | sed 's/:.*//' | tr '\n' ' ')
check_equal helpers_judge "$out" "ok same not ok other ok within not ok without not ok no_number \
not ok nan ok part not ok no_part ok true not ok false ok waited "
check helper_kills_its_target lib_is_gone "$(head -n 1 "$dir/pids")"
check helper_removes_its_folder test ! -e "$(tail -n 1 "$dir/pids")"
PIDS=/dev/null bash "$dir/helper.sh" >/dev/null 2>&1
check_equal helper_status_tells_failure "$?" 1
