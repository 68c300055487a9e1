/* What one file holds of allocators, and the files that were looked at. Private to this room. */
#ifndef RSPROF_TARGET_ALLOCATOR_FILE_H
#define RSPROF_TARGET_ALLOCATOR_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "reader/core/module.h"
#include "reader/target/allocator_names.h"
#include "reader/target/elf_symbols.h"

struct allocator_symbol {
	uint32_t name; /* in allocator_names */
	bool is_dynamic, is_local, is_ifunc;
	/* An operator, or a function that frees, that only hands on to another function of this
	 * list: who probes that one too would see a call twice. */
	bool is_wrapper;
	uint64_t vaddr, size;
	char spelled[ELF_NAME_BYTES];
};

struct allocator_file {
	/* What it is recognised by. */
	uint64_t device, inode; /* of the mapping */
	uint64_t bytes;
	struct timespec changed;

	int error; /* -errno: it could not be read as an ELF file, and has nothing */
	bool has_interpreter, has_full_table, is_cut;
	uint64_t table_bytes;		       /* of symbols, that were read */
	uint64_t headers_offset, header_count; /* of the program headers */
	VEC(struct segment) code;	       /* the executable ones */
	VEC(struct allocator_symbol) symbols;  /* defined, in code */
	VEC(uint32_t) imports;		       /* names, of dynamic symbols that it lacks */
};

/* Reads the file. Never fails: see error. */
struct allocator_file *allocator_file_read(int fd, const struct elf_wanted *wanted);
void allocator_file_free(struct allocator_file *file); /* NULL allowed */

/* A defined symbol of that name, or NULL. */
const struct allocator_symbol *allocator_file_symbol(const struct allocator_file *file,
						     const char *name);
bool allocator_file_imports(const struct allocator_file *file, const char *name);

/* The ELF address of the file's byte, by the segment that the loader maps it with. */
bool allocator_file_vaddr(const struct allocator_file *file, uint64_t file_offset,
			  uint64_t *ret_vaddr);

/* Marks the symbols that are wrappers. */
void allocator_file_mark_wrappers(struct allocator_file *file, int fd, const elf_found_list *found);

#endif
