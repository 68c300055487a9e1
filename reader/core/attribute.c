/* The rules of attribution, as data. A line is internal when any rule fits; rules look at one thing
 * each, so that one can be read, tested and changed by itself. */
#include "reader/core/attribute.h"

#include <stddef.h>
#include <string.h>

#include "reader/util/str.h"

enum rule_subject {
	SUBJECT_FILE,	  /* prefix of the shortened source path */
	SUBJECT_PATH,	  /* part of the full source path */
	SUBJECT_FUNCTION, /* prefix of the function, leading '<' and "impl " skipped */
	SUBJECT_EXACT,	  /* the whole function */
	SUBJECT_MODULE,	  /* prefix of the module's file name, where a '.' or '-' follows */
	SUBJECT_MODULE_EXACT,
};

struct rule {
	enum rule_subject subject;
	const char *pattern;
};

static const struct rule internal_rules[] = {
	/* Rust's own library, by source and, where a binary has no lines, by name. */
	{SUBJECT_FILE, "std/src/"},
	{SUBJECT_FILE, "core/src/"},
	{SUBJECT_FILE, "alloc/src/"},
	{SUBJECT_FILE, "panic_unwind/src/"},
	{SUBJECT_FILE, "proc_macro/src/"},
	{SUBJECT_PATH, "/library/std/src/"},
	{SUBJECT_PATH, "/library/core/src/"},
	{SUBJECT_PATH, "/library/alloc/src/"},
	{SUBJECT_PATH, "/library/stdarch/"},
	{SUBJECT_PATH, "/library/backtrace/"},
	{SUBJECT_PATH, "/vendor/compiler_builtins"},
	{SUBJECT_PATH, "/compiler_builtins-"},
	{SUBJECT_PATH, "/hashbrown-"}, /* std's own tables; as a crate it stands behind std too */
	{SUBJECT_FUNCTION, "std::"},
	{SUBJECT_FUNCTION, "core::"},
	{SUBJECT_FUNCTION, "alloc::"},
	{SUBJECT_FUNCTION, "compiler_builtins::"},
	{SUBJECT_FUNCTION, "__rust_"},
	{SUBJECT_FUNCTION, "__rdl_"},
	{SUBJECT_FUNCTION, "__rg_"},
	{SUBJECT_EXACT, "rust_begin_unwind"},
	{SUBJECT_EXACT, "rust_eh_personality"},
	{SUBJECT_EXACT, "__rustc::__rust_alloc"},
	/* C++'s library: templates are in headers, the rest in its shared object. */
	{SUBJECT_PATH, "/include/c++/"},
	{SUBJECT_FUNCTION, "__gnu_cxx::"},
	{SUBJECT_FUNCTION, "__cxxabiv1::"},
	{SUBJECT_FUNCTION, "operator new"},
	{SUBJECT_FUNCTION, "operator delete"},
	{SUBJECT_MODULE, "libstdc++"},
	{SUBJECT_MODULE, "libc++"},
	{SUBJECT_MODULE, "libc++abi"},
	{SUBJECT_MODULE, "libgcc_s"},
	/* libc, the loader, and what the kernel maps. */
	{SUBJECT_MODULE, "libc"},
	{SUBJECT_MODULE, "libm"},
	{SUBJECT_MODULE, "libpthread"},
	{SUBJECT_MODULE, "librt"},
	{SUBJECT_MODULE, "libdl"},
	{SUBJECT_MODULE, "ld"},
	{SUBJECT_MODULE, "ld-linux"},
	{SUBJECT_MODULE, "ld-musl"},
	{SUBJECT_MODULE_EXACT, "[vdso]"},
	{SUBJECT_MODULE_EXACT, "[vsyscall]"},
	/* Allocators, shared or linked in. */
	{SUBJECT_MODULE, "libjemalloc"},
	{SUBJECT_MODULE, "libtcmalloc"},
	{SUBJECT_MODULE, "libtcmalloc_minimal"},
	{SUBJECT_MODULE, "libmimalloc"},
	{SUBJECT_MODULE, "librsprof_agent"},
	{SUBJECT_FUNCTION, "_rjem_"},
	{SUBJECT_FUNCTION, "_mi_"},
	{SUBJECT_PATH, "/jemalloc/src/"},
	{SUBJECT_PATH, "/mimalloc/src/"},
	/* By whole name: je_, mi_ and tc_ begin many an honest function. */
	{SUBJECT_EXACT, "je_malloc"},
	{SUBJECT_EXACT, "je_calloc"},
	{SUBJECT_EXACT, "je_realloc"},
	{SUBJECT_EXACT, "je_free"},
	{SUBJECT_EXACT, "je_mallocx"},
	{SUBJECT_EXACT, "je_rallocx"},
	{SUBJECT_EXACT, "je_sdallocx"},
	{SUBJECT_EXACT, "mi_malloc"},
	{SUBJECT_EXACT, "mi_calloc"},
	{SUBJECT_EXACT, "mi_realloc"},
	{SUBJECT_EXACT, "mi_free"},
	{SUBJECT_EXACT, "mi_malloc_aligned"},
	{SUBJECT_EXACT, "tc_malloc"},
	{SUBJECT_EXACT, "tc_calloc"},
	{SUBJECT_EXACT, "tc_realloc"},
	{SUBJECT_EXACT, "tc_free"},
	{SUBJECT_EXACT, "tc_new"},
	{SUBJECT_EXACT, "tc_delete"},
	{SUBJECT_EXACT, "malloc"},
	{SUBJECT_EXACT, "calloc"},
	{SUBJECT_EXACT, "realloc"},
	{SUBJECT_EXACT, "free"},
	/* Start-up code that the linker adds to every program. */
	{SUBJECT_EXACT, "_start"},
	{SUBJECT_EXACT, "__libc_start_main"},
	{SUBJECT_EXACT, "__libc_start_call_main"},
	{SUBJECT_EXACT, "__libc_csu_init"},
};

/* Where the stack of a thread begins; the walk can go no further. */
static const struct {
	const char *name;
	bool only_in_libc; /* a plain word that a program may use for a function of its own */
} root_functions[] = {
	{"_start", false},
	{"_start_c", false},
	{"_dl_start_user", false},
	{"__libc_start_main", false},
	{"__libc_start_main_impl", false},
	{"__libc_start_call_main", false},
	{"__clone", false},
	{"__clone3", false},
	{"__clone_internal", false},
	{"__GI___clone", false},
	{"clone3", false},
	{"start_thread", false},
	{"clone", true},
	{"thread_start", true},
	{"start", true},
};

static bool module_fits(const char *module, const char *pattern)
{
	const char *slash = strrchr(module, '/');
	const char *name = slash ? slash + 1 : module;
	const char *rest = name + strlen(pattern);

	if (!str_starts(name, pattern))
		return false;
	/* libc.so.6, libc-2.31.so and ld-linux-x86-64.so.2 fit; libcurl.so.4 and libc-client.so are
	 * somebody else's. */
	if (*rest == '-' && rest[1] && strchr("xa0123456789", rest[1]))
		return strstr(rest, ".so") != NULL;
	return str_starts(rest, ".so");
}

static bool function_fits(const char *function, const char *pattern)
{
	/* <alloc::vec::Vec<T> as core::…>::from_iter and <&mut std::…>::next are std's; a user's
	 * type that implements std's trait is the user's. */
	while (*function == '<' || *function == '&')
		function++;
	if (str_starts(function, "mut "))
		function += 4;
	return str_starts(function, pattern);
}

static bool rule_fits(const struct rule *rule, const char *function, const char *file,
		      const char *path, const char *module)
{
	switch (rule->subject) {
	case SUBJECT_FILE:
		return str_starts(file, rule->pattern);
	case SUBJECT_PATH:
		return path && strstr(path, rule->pattern);
	case SUBJECT_FUNCTION:
		return function_fits(function, rule->pattern);
	case SUBJECT_EXACT:
		return strcmp(function, rule->pattern) == 0;
	case SUBJECT_MODULE:
		return module_fits(module, rule->pattern);
	case SUBJECT_MODULE_EXACT:
		return strcmp(module, rule->pattern) == 0;
	}
	return false;
}

bool attribute_is_internal(const char *function, const char *file, const char *path,
			   const char *module)
{
	for (size_t i = 0; i < sizeof(internal_rules) / sizeof(*internal_rules); i++) {
		if (rule_fits(&internal_rules[i], function, file, path, module))
			return true;
	}
	return false;
}

bool attribute_is_root(const char *function, const char *module)
{
	for (size_t i = 0; i < sizeof(root_functions) / sizeof(*root_functions); i++) {
		if (strcmp(function, root_functions[i].name) == 0)
			return !root_functions[i].only_in_libc || module_fits(module, "libc") ||
			       module_fits(module, "libpthread") || module_fits(module, "ld-musl");
	}
	return false;
}
