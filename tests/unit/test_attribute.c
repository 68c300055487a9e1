#include "reader/core/attribute.h"
#include "reader/record/charge.h"
#include "tests/lib/kit.h"

struct line_case {
	const char *function, *file, *path, *module;
	bool is_internal;
};

TEST(library_code_is_internal_and_the_users_is_not)
{
	static const struct line_case cases[] = {
		{"main", "src/main.rs", "/home/me/app/src/main.rs", "/home/me/app/target/app",
		 false},
		{"core::iter::fold", "core/src/iter/mod.rs",
		 "/rustc/abc/library/core/src/iter/mod.rs", "/bin/app", true},
		{"alloc::vec::Vec<T>::push", "[app]", NULL, "/bin/app", true},
		{"<alloc::vec::Vec<T> as core::iter::FromIterator<T>>::from_iter", "[app]", NULL,
		 "/bin/app", true},
		{"<app::Row as core::fmt::Display>::fmt", "src/row.rs", "/a/src/row.rs", "/bin/app",
		 false},
		{"app::main::{{closure}}", "src/main.rs", "/a/src/main.rs", "/bin/app", false},
		{"<hashbrown::map::HashMap<K,V>>::insert", "hashbrown/src/map.rs",
		 "/home/me/.cargo/registry/src/index/hashbrown-0.14.3/src/map.rs", "/bin/app",
		 true},
		{"std::vector<int>::push_back", "c++/12/bits/stl_vector.h",
		 "/usr/include/c++/12/bits/stl_vector.h", "/bin/app", true},
		{"operator new", "[libstdc++.so.6]", NULL, "/lib/libstdc++.so.6", true},
		{"qsort_r", "[libc.so.6]", NULL, "/lib/x86_64-linux-gnu/libc.so.6", true},
		{"qsort", "[libc-2.31.so]", NULL, "/lib/libc-2.31.so", true},
		{"curl_easy", "[libcurl.so.4]", NULL, "/lib/libcurl.so.4", false},
		{"f", "[libc-client.so.2007]", NULL, "/lib/libc-client.so.2007", false},
		{"_dl_fixup", "[ld-linux-x86-64.so.2]", NULL, "/lib64/ld-linux-x86-64.so.2", true},
		{"__vdso_clock_gettime", "[vdso]", NULL, "[vdso]", true},
		{"sqlite3_step", "[libsqlite3.so.0]", NULL, "/lib/libsqlite3.so.0", false},
		{"malloc", "[app]", NULL, "/bin/app", true},
		{"malloc_trim_all", "src/a.c", "/a/src/a.c", "/bin/app", false},
		{"mi_session_start", "src/session.c", "/a/src/session.c", "/bin/app", false},
		{"tc_classify", "src/tc.c", "/a/src/tc.c", "/bin/app", false},
		{"__rust_alloc", "[app]", NULL, "/bin/app", true},
		{"_rjem_malloc", "[app]", NULL, "/bin/app", true},
		{"standard::run", "src/lib.rs", "/a/src/lib.rs", "/bin/app", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct line_case *c = &cases[i];

		if (attribute_is_internal(c->function, c->file, c->path, c->module) !=
		    c->is_internal)
			FAIL("%s in %s: not %d", c->function, c->module, c->is_internal);
	}
}

TEST(roots_are_where_threads_begin)
{
	CHECK(attribute_is_root("_start", "/bin/app"));
	CHECK(attribute_is_root("__libc_start_call_main", "/lib/libc.so.6"));
	CHECK(attribute_is_root("start_thread", "/lib/libc.so.6"));
	CHECK(attribute_is_root("clone", "/lib/libc.so.6"));
	CHECK(!attribute_is_root("clone", "/bin/app"));
	CHECK(!attribute_is_root("main", "/bin/app"));
}

static const struct frame_verdict on_pointer = {.base = FRAME_BASE_POINTER};
static const struct frame_verdict on_stack = {.base = FRAME_BASE_OTHER};
static const struct frame_verdict no_table = {.base = FRAME_BASE_UNKNOWN};
static const struct frame_verdict root = {.base = FRAME_BASE_OTHER, .is_root = true};

static enum stack_status judge(size_t count, struct frame_verdict a, struct frame_verdict b,
			       struct frame_verdict c)
{
	const struct frame_verdict frames[] = {a, b, c};

	return stack_verdict(STACK_FRAME_POINTERS, frames, count);
}

TEST(a_frame_pointer_walk_is_complete_only_where_nothing_can_hide)
{
	CHECK_EQ_I64(judge(3, on_pointer, on_pointer, root), STACK_COMPLETE);
	CHECK_EQ_I64(judge(3, on_stack, on_pointer, root), STACK_HIDDEN_CALLER);
	CHECK_EQ_I64(judge(3, on_pointer, on_stack, root), STACK_HIDDEN_CALLER);
	CHECK_EQ_I64(judge(3, on_pointer, on_pointer, on_pointer), STACK_BROKEN);
	CHECK_EQ_I64(judge(3, on_pointer, no_table, root), STACK_NO_TABLE);
	/* What a walk reads beyond the root is nobody's caller. */
	CHECK_EQ_I64(judge(3, on_pointer, root, on_stack), STACK_COMPLETE);
	CHECK_EQ_I64(stack_verdict(STACK_FRAME_POINTERS, NULL, 0), STACK_BROKEN);
	CHECK_EQ_I64(stack_verdict(STACK_TRUNCATED, &root, 1), STACK_TRUNCATED);
}

TEST(the_first_line_of_the_users_own_is_charged)
{
	const struct source_line lines[] = {
		{"core::slice::sort", "core/src/slice/sort.rs", NULL, 10},
		{"app::order", "src/order.rs", NULL, 20},
		{"app::main", "src/main.rs", NULL, 30},
	};
	struct frame_verdict verdict = frame_verdict_of(lines, 3, FRAME_BASE_POINTER, "/bin/app");

	CHECK_EQ_U64(verdict.user_depth, 1);
	CHECK(!verdict.is_root);
	verdict = frame_verdict_of(lines, 1, FRAME_BASE_POINTER, "/bin/app");
	CHECK_EQ_U64(verdict.user_depth, CHARGE_NO_DEPTH);
}

KIT_MAIN
