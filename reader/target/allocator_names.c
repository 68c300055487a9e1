#include "reader/target/allocator_names.h"

#include "reader/target/allocator.h"

/* Where the arguments are: the size's, for two factors the second one's; the pointer's. */
#define ALLOC(name, family, size)                                                                  \
	{                                                                                          \
		name, family, ALLOCATOR_ALLOC, size, 0, false                                      \
	}
#define THROWING(name, family, size)                                                               \
	{                                                                                          \
		name, family, ALLOCATOR_ALLOC, size, 0, true                                       \
	}
#define CALLOC(name, family, size)                                                                 \
	{                                                                                          \
		name, family, ALLOCATOR_CALLOC, size, 0, false                                     \
	}
#define REALLOC(name, family, size, pointer)                                                       \
	{                                                                                          \
		name, family, ALLOCATOR_REALLOC, size, pointer, false                              \
	}
#define REALLOCARRAY(name, family, size, pointer)                                                  \
	{                                                                                          \
		name, family, ALLOCATOR_REALLOCARRAY, size, pointer, false                         \
	}
#define POSIX_MEMALIGN(name, family)                                                               \
	{                                                                                          \
		name, family, ALLOCATOR_POSIX_MEMALIGN, 2, 0, false                                \
	}
#define FREE(name, family)                                                                         \
	{                                                                                          \
		name, family, ALLOCATOR_FREE, 0, 0, false                                          \
	}
#define MARK(name)                                                                                 \
	{                                                                                          \
		name, NAME_MARK, 0, 0, 0, false                                                    \
	}

/* As jemalloc's configure names them behind a prefix. */
#define JEMALLOC_NAMES(prefix)                                                                     \
	ALLOC(prefix "malloc", NAME_JEMALLOC, 0), CALLOC(prefix "calloc", NAME_JEMALLOC, 1),       \
		REALLOC(prefix "realloc", NAME_JEMALLOC, 1, 0),                                    \
		FREE(prefix "free", NAME_JEMALLOC), FREE(prefix "free_sized", NAME_JEMALLOC),      \
		FREE(prefix "free_aligned_sized", NAME_JEMALLOC),                                  \
		POSIX_MEMALIGN(prefix "posix_memalign", NAME_JEMALLOC),                            \
		ALLOC(prefix "aligned_alloc", NAME_JEMALLOC, 1),                                   \
		ALLOC(prefix "memalign", NAME_JEMALLOC, 1),                                        \
		ALLOC(prefix "valloc", NAME_JEMALLOC, 0),                                          \
		ALLOC(prefix "pvalloc", NAME_JEMALLOC, 0),                                         \
		ALLOC(prefix "mallocx", NAME_JEMALLOC, 0),                                         \
		REALLOC(prefix "rallocx", NAME_JEMALLOC, 1, 0),                                    \
		FREE(prefix "sdallocx", NAME_JEMALLOC), FREE(prefix "dallocx", NAME_JEMALLOC)

/* mimalloc has each of these for a heap that is the first argument, too. */
#define MIMALLOC_NAMES(prefix, first)                                                              \
	ALLOC(prefix "malloc", NAME_MIMALLOC, first),                                              \
		ALLOC(prefix "zalloc", NAME_MIMALLOC, first),                                      \
		ALLOC(prefix "malloc_small", NAME_MIMALLOC, first),                                \
		ALLOC(prefix "malloc_aligned", NAME_MIMALLOC, first),                              \
		ALLOC(prefix "zalloc_aligned", NAME_MIMALLOC, first),                              \
		ALLOC(prefix "malloc_aligned_at", NAME_MIMALLOC, first),                           \
		ALLOC(prefix "zalloc_aligned_at", NAME_MIMALLOC, first),                           \
		CALLOC(prefix "calloc", NAME_MIMALLOC, first + 1),                                 \
		CALLOC(prefix "mallocn", NAME_MIMALLOC, first + 1),                                \
		CALLOC(prefix "calloc_aligned", NAME_MIMALLOC, first + 1),                         \
		CALLOC(prefix "calloc_aligned_at", NAME_MIMALLOC, first + 1),                      \
		REALLOC(prefix "realloc", NAME_MIMALLOC, first + 1, first),                        \
		REALLOC(prefix "rezalloc", NAME_MIMALLOC, first + 1, first),                       \
		REALLOC(prefix "reallocf", NAME_MIMALLOC, first + 1, first),                       \
		REALLOC(prefix "realloc_aligned", NAME_MIMALLOC, first + 1, first),                \
		REALLOC(prefix "rezalloc_aligned", NAME_MIMALLOC, first + 1, first),               \
		REALLOC(prefix "realloc_aligned_at", NAME_MIMALLOC, first + 1, first),             \
		REALLOC(prefix "rezalloc_aligned_at", NAME_MIMALLOC, first + 1, first),            \
		REALLOCARRAY(prefix "reallocn", NAME_MIMALLOC, first + 2, first),                  \
		REALLOCARRAY(prefix "recalloc", NAME_MIMALLOC, first + 2, first),                  \
		REALLOCARRAY(prefix "recalloc_aligned", NAME_MIMALLOC, first + 2, first),          \
		REALLOCARRAY(prefix "recalloc_aligned_at", NAME_MIMALLOC, first + 2, first)

#define OPERATOR_NEW(name, tcmalloc, array, tcmalloc_array)                                        \
	THROWING(name, NAME_OPERATOR, 0), THROWING(array, NAME_OPERATOR, 0),                       \
		THROWING(tcmalloc, NAME_TCMALLOC, 0), THROWING(tcmalloc_array, NAME_TCMALLOC, 0)
#define OPERATOR_NEW_NOTHROW(name, tcmalloc, array, tcmalloc_array)                                \
	ALLOC(name, NAME_OPERATOR, 0), ALLOC(array, NAME_OPERATOR, 0),                             \
		ALLOC(tcmalloc, NAME_TCMALLOC, 0), ALLOC(tcmalloc_array, NAME_TCMALLOC, 0)
#define OPERATOR_DELETE(what, tcmalloc)                                                            \
	FREE("_ZdlPv" what, NAME_OPERATOR), FREE("_ZdaPv" what, NAME_OPERATOR),                    \
		FREE("tc_delete" tcmalloc, NAME_TCMALLOC),                                         \
		FREE("tc_deletearray" tcmalloc, NAME_TCMALLOC)

const struct allocator_name allocator_names[] = {
	/* Where one function has several names, it is called by the first of these. */
	ALLOC("malloc", NAME_MALLOC, 0),
	CALLOC("calloc", NAME_MALLOC, 1),
	REALLOC("realloc", NAME_MALLOC, 1, 0),
	REALLOCARRAY("reallocarray", NAME_MALLOC, 2, 0),
	FREE("free", NAME_MALLOC),
	FREE("cfree", NAME_MALLOC),
	FREE("free_sized", NAME_MALLOC),
	FREE("free_aligned_sized", NAME_MALLOC),
	POSIX_MEMALIGN("posix_memalign", NAME_MALLOC),
	ALLOC("aligned_alloc", NAME_MALLOC, 1),
	ALLOC("memalign", NAME_MALLOC, 1),
	ALLOC("valloc", NAME_MALLOC, 0),
	ALLOC("pvalloc", NAME_MALLOC, 0),

	ALLOC("mallocx", NAME_EXTENDED, 0),
	REALLOC("rallocx", NAME_EXTENDED, 1, 0),
	FREE("sdallocx", NAME_EXTENDED),
	FREE("dallocx", NAME_EXTENDED),

	OPERATOR_NEW("_Znwm", "tc_new", "_Znam", "tc_newarray"),
	OPERATOR_NEW("_ZnwmSt11align_val_t", "tc_new_aligned", "_ZnamSt11align_val_t",
		     "tc_newarray_aligned"),
	OPERATOR_NEW_NOTHROW("_ZnwmRKSt9nothrow_t", "tc_new_nothrow", "_ZnamRKSt9nothrow_t",
			     "tc_newarray_nothrow"),
	OPERATOR_NEW_NOTHROW("_ZnwmSt11align_val_tRKSt9nothrow_t", "tc_new_aligned_nothrow",
			     "_ZnamSt11align_val_tRKSt9nothrow_t", "tc_newarray_aligned_nothrow"),
	OPERATOR_DELETE("", ""),
	OPERATOR_DELETE("m", "_sized"),
	OPERATOR_DELETE("RKSt9nothrow_t", "_nothrow"),
	OPERATOR_DELETE("St11align_val_t", "_aligned"),
	OPERATOR_DELETE("mSt11align_val_t", "_sized_aligned"),
	OPERATOR_DELETE("St11align_val_tRKSt9nothrow_t", "_aligned_nothrow"),

	JEMALLOC_NAMES("_rjem_"),
	JEMALLOC_NAMES("je_"),

	MIMALLOC_NAMES("mi_", 0),
	MIMALLOC_NAMES("mi_heap_", 1),
	ALLOC("mi_zalloc_small", NAME_MIMALLOC, 0),
	REALLOCARRAY("mi_reallocarray", NAME_MIMALLOC, 2, 0),
	POSIX_MEMALIGN("mi_posix_memalign", NAME_MIMALLOC),
	ALLOC("mi_memalign", NAME_MIMALLOC, 1),
	ALLOC("mi_aligned_alloc", NAME_MIMALLOC, 1),
	ALLOC("mi_valloc", NAME_MIMALLOC, 0),
	ALLOC("mi_pvalloc", NAME_MIMALLOC, 0),
	FREE("mi_free", NAME_MIMALLOC),
	FREE("mi_cfree", NAME_MIMALLOC),
	FREE("mi_free_size", NAME_MIMALLOC),
	FREE("mi_free_aligned", NAME_MIMALLOC),
	FREE("mi_free_size_aligned", NAME_MIMALLOC),
	THROWING("mi_new", NAME_MIMALLOC, 0),
	THROWING("mi_new_aligned", NAME_MIMALLOC, 0),
	ALLOC("mi_new_nothrow", NAME_MIMALLOC, 0),
	ALLOC("mi_new_aligned_nothrow", NAME_MIMALLOC, 0),
	{"mi_new_n", NAME_MIMALLOC, ALLOCATOR_CALLOC, 1, 0, true},
	{"mi_new_realloc", NAME_MIMALLOC, ALLOCATOR_REALLOC, 1, 0, true},
	{"mi_new_reallocn", NAME_MIMALLOC, ALLOCATOR_REALLOCARRAY, 2, 0, true},
	THROWING("mi_heap_alloc_new", NAME_MIMALLOC, 1),
	{"mi_heap_alloc_new_n", NAME_MIMALLOC, ALLOCATOR_CALLOC, 2, 0, true},

	ALLOC("tc_malloc", NAME_TCMALLOC, 0),
	ALLOC("tc_malloc_skip_new_handler", NAME_TCMALLOC, 0),
	CALLOC("tc_calloc", NAME_TCMALLOC, 1),
	REALLOC("tc_realloc", NAME_TCMALLOC, 1, 0),
	FREE("tc_free", NAME_TCMALLOC),
	FREE("tc_free_sized", NAME_TCMALLOC),
	FREE("tc_cfree", NAME_TCMALLOC),
	POSIX_MEMALIGN("tc_posix_memalign", NAME_TCMALLOC),
	ALLOC("tc_memalign", NAME_TCMALLOC, 1),
	ALLOC("tc_valloc", NAME_TCMALLOC, 0),
	ALLOC("tc_pvalloc", NAME_TCMALLOC, 0),

	ALLOC("__rust_alloc", NAME_RUST, 0),
	FREE("__rust_dealloc", NAME_RUST),
	REALLOC("__rust_realloc", NAME_RUST, 3, 0),
	ALLOC("__rust_alloc_zeroed", NAME_RUST, 0),

	{"mmap", NAME_KERNEL, ALLOCATOR_MMAP, 1, 0, false},
	{"mmap64", NAME_KERNEL, ALLOCATOR_MMAP, 1, 0, false},
	{"munmap", NAME_KERNEL, ALLOCATOR_MUNMAP, 1, 0, false},
	{"sbrk", NAME_KERNEL, ALLOCATOR_SBRK, 0, 0, false},

	MARK("mallctl"),
	MARK("__libc_malloc"),
	MARK("__libc_malloc_impl"),
	MARK("__malloc_donate"),
	MARK("__libc_start_main"),
	MARK("__rdl_alloc"),
	MARK("__rg_alloc"),
};

const size_t allocator_name_count = sizeof(allocator_names) / sizeof(allocator_names[0]);
