/* The names of allocating functions, and what is where in a call of them. Private to this room. */
#ifndef RSPROF_TARGET_ALLOCATOR_NAMES_H
#define RSPROF_TARGET_ALLOCATOR_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum name_family {
	NAME_MALLOC,   /* what the dynamic linker's order decides on */
	NAME_EXTENDED, /* jemalloc's own, beside malloc */
	NAME_OPERATOR, /* C++ new and delete */
	NAME_JEMALLOC, /* under jemalloc's prefixes */
	NAME_MIMALLOC,
	NAME_TCMALLOC,
	NAME_RUST,
	NAME_KERNEL, /* memory from the kernel */
	NAME_MARK,   /* tells who made the file, or what it uses; is not probed */
};

struct allocator_name {
	const char *text;
	uint8_t family; /* enum name_family */
	uint8_t call;	/* enum allocator_call; 0: NAME_MARK */
	uint8_t size_argument, pointer_argument;
	bool may_throw;
};

extern const struct allocator_name allocator_names[];
extern const size_t allocator_name_count;

#endif
