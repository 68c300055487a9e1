# The Makefile: what is built anew, and what is refused.
. tests/lib/lib.sh

unset MAKEFLAGS MFLAGS MAKELEVEL CI MODE_FLAGS
tree=$(folder)
mkdir -p "$tree/reader/util" "$tree/reader/store" "$tree/tests/lib" "$tree/agent"
cp Makefile VERSION "$tree"
printf 'SELECT "a\\b";\nSELECT 2;\n' >"$tree/reader/store/text.sql"
cat >"$tree/reader/store/text.c" <<'END'
extern const char text[];
const char text[] =
#include "reader/store/text.inc"
;
END
echo '#define NUMBER 1' >"$tree/reader/util/number.h"
cat >"$tree/reader/main.c" <<'END'
#include <stdio.h>
#include "reader/util/number.h"
extern const char text[];
int main(void)
{
	printf("%d %s %s", NUMBER, RSPROF_VERSION, text);
	return 0;
}
END
echo '__attribute__((visibility("default"))) int rsprof_word = 1;' >"$tree/agent/word.c"
echo '{ global: rsprof_*; local: *; };' >"$tree/agent/exports.map"
build() {
	make -s -C "$tree" -j2 MODE=dbg STATIC=0 LIBRARIES= "$@" >"$tree/output" 2>&1
}

built() {
	find "$tree/build" -name '*.o' -newer "$tree/stamp" -printf '%f\n' | sort | tr '\n' ' '
}

# The clock of files ticks slower than make: what comes later must be seen to be later.
later() {
	touch "$tree/stamp"
	until touch "$tree/probe" && [ "$tree/probe" -nt "$tree/stamp" ]; do
		:
	done
}

build
check_equal first_build_in_parallel "$?:$(cat "$tree/output")" "0:"
check_equal embedded_text_is_the_file "$("$tree/build/dbg/rsprof")" "1 $(cat VERSION) SELECT \"a\\b\";
SELECT 2;"
later
build
check_equal second_build_does_nothing "$(built)" ""
later
echo '#define NUMBER 2' >"$tree/reader/util/number.h"
build
check_equal header_rebuilds_its_users "$(built)" "main.o "
check_contains program_is_new "$("$tree/build/dbg/rsprof")" "2 "
later
echo 'SELECT 3;' >"$tree/reader/store/text.sql"
build
check_equal embedded_file_rebuilds_its_user "$(built)" "text.o "
check_contains embedded_file_is_new "$("$tree/build/dbg/rsprof")" "SELECT 3;"
later
build CFLAGS=-DX
check_equal flags_rebuild_everything "$(built)" "librsprof.o main.o text.o word.o "
check_contains agent_exports_what_it_should "$(nm -D "$tree/build/dbg/librsprof_agent.so")" rsprof_word
later
echo 9.9.9 >"$tree/VERSION"
build CFLAGS=-DX
check_contains version_rebuilds "$("$tree/build/dbg/rsprof")" "9.9.9"

printf '%s\n' 'extern const char text[]; const char text[] = "moved\n";' >"$tree/reader/util/other.c"
rm "$tree/reader/store/text.c"
build
check_contains removed_source_is_forgotten "$("$tree/build/dbg/rsprof")" "moved"

printf 'int unused(void);\nint unused(void)\n{\n\tint x;\n\treturn 0;\n}\n' >"$tree/reader/util/warns.c"
build
check_equal warning_passes_at_home "$?" 0
build CI=1
check_equal warning_fails_in_ci "$?" 2
make -s -C "$tree" MODE=fast >"$tree/output" 2>&1
check_contains unknown_mode_is_refused "$(cat "$tree/output")" 'MODE is rel, dbg, asan or tsan, not "fast"'

wanted="all check demo deps lint bench install uninstall clean"
missing=
help=$(make -s help)
for name in $wanted; do
	grep -q "^  make $name " <<<"$help" || missing="$missing $name"
done
check_equal help_lists_the_targets "$missing" ""
