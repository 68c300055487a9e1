/* Who serves the target's memory: the functions of its allocators, in the files that are mapped.
 *
 * Layers are objects with an allocator. The first one is the malloc family of the object that the
 * dynamic linker's order picks. Beside it stand bundled allocators under names of their own
 * (`_rjem_malloc`, `mi_malloc` …) wherever they are mapped, since they get their memory from the
 * kernel. Rust's `__rust_alloc` family is taken only where there is nothing below it. Functions
 * that only hand on to another one of the list are left out: it is the other one that is probed. */
#ifndef RSPROF_TARGET_ALLOCATOR_H
#define RSPROF_TARGET_ALLOCATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reader/target/probe_point.h"
#include "reader/target/target.h"
#include "reader/util/arena.h"
#include "reader/util/err.h"
#include "reader/util/vec.h"

/* Same numbers as enum bpf_heap_call. */
enum allocator_call {
	ALLOCATOR_ALLOC = 1,	      /* p = f(…, size, …) */
	ALLOCATOR_CALLOC = 2,	      /* p = f(count, size) */
	ALLOCATOR_REALLOC = 3,	      /* p = f(old, …, size) */
	ALLOCATOR_REALLOCARRAY = 4,   /* p = f(old, count, size) */
	ALLOCATOR_POSIX_MEMALIGN = 5, /* f(&p, alignment, size) is 0 */
	ALLOCATOR_FREE = 6,	      /* f(…, p, …) */
	ALLOCATOR_MMAP = 7,
	ALLOCATOR_MUNMAP = 8,
	ALLOCATOR_SBRK = 9,
};

struct allocator_function {
	const char *name; /* as the object has it */
	enum allocator_call call;
	uint8_t size_argument; /* 0..5; for CALLOC and REALLOCARRAY the second factor's */
	uint8_t pointer_argument;
	bool may_throw; /* C++ operator new: an exception may pass through it, which a return probe
			 * would turn into the program's end. Its return must not be probed */
	uint32_t layer;
	uint64_t vaddr, size; /* in the object; size 0: not known */
};

enum {
	ALLOCATOR_LAYERS_MAX = 8, /* HEAP_LAYERS_MAX */
	ALLOCATOR_FUNCTIONS_MAX = 256,
};

struct allocator_layer {
	/* "glibc", "jemalloc", "mimalloc", "tcmalloc", "musl", "malloc" (a program's own), "Rust";
	 * or "libc": only mmap, munmap and sbrk of a C library whose malloc does not serve. */
	const char *kind;
	const char *object; /* base name of the file: "libc.so.6" */
	int fd;		    /* of the file, open for reading; the list's */
	uint64_t bias;	    /* absolute address - bias is the ELF address */
	/* Absolute: where calls that it makes to itself come from. Of a library its executable
	 * mappings; of the executable, where others' code stands beside it, from its first function
	 * to its last. */
	uint64_t text_start, text_end;
	/* Of the mapping: what it is recognised by. The device is major << 32 | minor. */
	uint64_t device, inode;
};

/* Zero-initialised is empty. Strings live in the arena. */
struct allocator_list {
	struct arena arena;
	VEC(struct allocator_layer) layers;
	VEC(struct allocator_function) functions; /* no address twice in a layer */
	/* Where no layer was found: what was looked for and where, a sentence. Where one was that
	 * cannot be probed whole (stripped, unreadable), that. NULL: nothing to say. */
	const char *missing;
};

/* What was found in files stays known, by device, inode, size and time of change, so that looking
 * again after a dlopen costs a read of the mappings. */
struct allocator_finder;
struct allocator_finder *allocator_finder_new(void);
void allocator_finder_free(struct allocator_finder *finder); /* NULL allowed */

/* By the mappings as they are now. 0 also where nothing is found (with missing set); -errno where
 * the target is gone or unreadable. The list is the caller's to be done. */
int allocator_find(struct allocator_finder *finder, const struct target *target,
		   struct allocator_list *ret_list);
void allocator_list_done(struct allocator_list *list);

/* With the arguments that are read of such a call: others may be gone where it is probed. */
struct probe_request allocator_probe_request(const struct allocator_function *function);

#endif
