/* Modules (files and other things that code is mapped from) and the address space that maps them.
 *
 * A module is immutable from the moment module_table_intern returns it, and lives as long as its
 * table: other threads may read it without a lock. An address becomes (module, vaddr) at drain
 * time, through the mapping and the program headers; offset and vaddr are never assumed equal
 * (LLD). */
#ifndef RSPROF_CORE_MODULE_H
#define RSPROF_CORE_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 0 is the unknown module: addresses in no mapping. */
typedef struct {
	uint32_t v;
} module_id;

enum module_kind {
	MODULE_UNKNOWN = 0, /* "[unknown]": addresses in no mapping */
	MODULE_FILE = 1,
	MODULE_VDSO = 2,
	MODULE_ANONYMOUS = 3, /* "[anon]": code made at run time; vaddr is the absolute address */
};

enum {
	/* Bounds a target that maps new files for ever; 65,536 is twice vm.max_map_count's worth of
	 * executable mappings. */
	MODULES_MAX = 65536,
	BUILD_ID_MAX = 20, /* longer ones are cut; SHA-1 is what linkers write */
	SEGMENTS_MAX = 64, /* PT_LOAD headers kept a module; linkers write 2 to 6 */
};

/* A PT_LOAD header. */
struct segment {
	uint64_t vaddr, file_offset, file_size, memory_size;
};

/* What tells modules apart, and what is known of the file. Strings are copied by intern. */
struct module_facts {
	enum module_kind kind;
	const char *path; /* as the target sees it, without " (deleted)"; "[vdso]", "[anon]" */
	uint64_t inode;
	uint32_t device_major, device_minor;
	uint8_t build_id[BUILD_ID_MAX];
	uint8_t build_id_size; /* 0 = none */
	const struct segment *segments;
	size_t segment_count; /* 0: not an ELF file that could be read; vaddr = file offset */
	int fd;		      /* open for reading, or -1; the table owns it from then on */
	const char *missing;  /* why the file could not be opened, or NULL */
};

struct module {
	module_id id;
	enum module_kind kind;
	char *path;
	char *name; /* last component of path */
	uint64_t inode;
	uint32_t device_major, device_minor;
	uint8_t build_id[BUILD_ID_MAX];
	uint8_t build_id_size;
	struct segment *segments;
	size_t segment_count;
	int fd;
	char *missing;
};

/* Hexadecimal build-id, "" where there is none. */
const char *module_build_id_text(const struct module *module, char buffer[2 * BUILD_ID_MAX + 1]);

/* File offset → ELF vaddr by program headers; false where no segment holds it. */
bool module_offset_to_vaddr(const struct module *module, uint64_t file_offset, uint64_t *ret_vaddr);

struct module_table;

struct module_table *module_table_new(void);
void module_table_free(struct module_table *table);
/* The module with these facts (same kind, path, device, inode and build-id), made if new: then
 * *ret_is_new is true. facts->fd is the table's from now on (closed where it was known). NULL where
 * the table is full: count LOSS_MODULES_FULL and use the unknown module. */
const struct module *module_table_intern(struct module_table *table,
					 const struct module_facts *facts, bool *ret_is_new);
/* A module already known by what a mapping tells, without opening the file again; NULL if none. */
const struct module *module_table_find(const struct module_table *table, const char *path,
				       uint64_t inode, uint32_t device_major,
				       uint32_t device_minor);
const struct module *module_table_get(const struct module_table *table, module_id id);
size_t module_table_count(const struct module_table *table); /* the unknown module included */

/* An instruction: a module and an ELF vaddr in it. */
struct place {
	module_id module;
	uint64_t vaddr;
};

struct address_space;

struct address_space *address_space_new(void);
void address_space_free(struct address_space *space);
void address_space_clear(struct address_space *space);
/* A new mapping replaces what it overlaps. */
void address_space_map(struct address_space *space, uint64_t start, uint64_t end,
		       uint64_t file_offset, const struct module *module);
/* false where no mapping holds the address: the place is then (unknown module, address). */
bool address_space_find(struct address_space *space, uint64_t address, struct place *ret_place);
size_t address_space_count(const struct address_space *space);

#endif
