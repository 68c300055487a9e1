# Who includes whom, and whether headers stand alone: of this tree, and of one with planted mistakes.
. tests/lib/lib.sh

check layers_are_kept tests/lib/lint.sh layers
check headers_compile_alone tests/lib/lint.sh headers

tree=$(folder)
mkdir -p "$tree"/reader/{util,core,tui,store,source,record} "$tree"/include/rsprof "$tree"/{shm,agent,bpf,tests}

# plant PATH LINE…: a file of a tree that has this one alone beside the well-formed ones.
plant() {
	local path=$1

	shift
	rm -rf "${tree:?}"/reader/*/* "$tree"/reader/*.[ch] "$tree"/{shm,agent,bpf,include/rsprof}/*
	mkdir -p "$tree"/reader/attic
	echo '#include <stddef.h>' >"$tree/reader/util/good.h"
	echo '#include "reader/util/good.h"' >"$tree/reader/core/good.h"
	echo '#include "reader/util/good.h"' >"$tree/reader/tui/good.h"
	echo '#include "reader/core/good.h"' >"$tree/reader/record/good.h"
	echo '#include "reader/record/good.h"' >"$tree/reader/cmd_good.c"
	echo '#include "reader/tui/good.h"' >"$tree/reader/top.h"
	printf 'int x;\n' >"$tree/reader/store/good.sql"
	echo '#include "reader/store/good.inc"' >"$tree/reader/store/good.c"
	touch "$tree/bpf/shared.h" "$tree/bpf/inner.h" "$tree/tests/kit.h" "$tree/shm/ring.h"
	[ -z "$path" ] || printf '%s\n' "$@" >"$tree/$path"
}

plant ''
check well_formed_tree_passes tests/lib/lint.sh layers "$tree"

# refused NAME PATH LINE: the line in that file is named as the one mistake.
refused() {
	local said

	plant "$2" "$3"
	if said=$(tests/lib/lint.sh layers "$tree" 2>&1); then
		not_ok "$1" "$2 with $3 passed"
	elif [ "$(wc -l <<<"$said")" -ne 1 ] || [[ $said != "$2:1: "* ]]; then
		not_ok "$1" "$said"
	else
		ok "$1"
	fi
}

refused util_includes_nothing_above reader/util/bad.c '#include "reader/core/good.h"'
refused core_includes_no_terminal reader/core/bad.h '#  include "reader/tui/good.h"'
refused tui_includes_no_core reader/tui/bad.c '#include "reader/core/good.h"'
refused record_includes_no_terminal reader/record/bad.c '#include "reader/tui/good.h"'
refused rooms_do_not_include_verbs reader/core/bad.c '#include "reader/top.h"'
refused agent_includes_no_reader agent/bad.c '#include "reader/util/good.h"'
refused public_headers_stand_alone include/rsprof/bad.h '#include "shm/ring.h"'
refused source_sees_one_file_of_bpf reader/source/bad.c '#include "bpf/inner.h"'
refused product_includes_no_tests reader/core/bad.c '#include "tests/kit.h"'
refused paths_are_from_the_root reader/core/bad.c '#include "good.h"'
refused paths_exist reader/core/bad.c '#include "reader/util/gone.h"'
refused rooms_are_in_the_table reader/attic/bad.c '#include "reader/util/good.h"'
plant reader/source/fine.c '#include "bpf/shared.h"'
check source_may_share_with_bpf tests/lib/lint.sh layers "$tree"

# headers_refused NAME PATH LINE
headers_refused() {
	local said

	plant "$2" "$3"
	if said=$(tests/lib/lint.sh headers "$tree" 2>&1); then
		not_ok "$1" "$2 with $3 passed"
	else
		check_contains "$1" "$said" "$2 does not compile alone"
	fi
}

headers_refused header_that_needs_another reader/core/bad.h 'size_t count(void);'
headers_refused public_header_is_strict_c include/rsprof/bad.h 'static inline int f(void) { return ({ 1; }); }'
headers_refused public_header_is_cpp include/rsprof/bad.h 'struct s { int class; };'
plant include/rsprof/fine.h '#include <stdint.h>'
check public_header_that_is_fine tests/lib/lint.sh headers "$tree"
