/* Looks up a set of names among the symbols of an ELF file. The tables are read once from their
 * beginning to their end, in pieces, so that a large file costs no memory; hostile ones end in
 * -EBADMSG or in nothing found. Private to this room. */
#ifndef RSPROF_TARGET_ELF_SYMBOLS_H
#define RSPROF_TARGET_ELF_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reader/util/vec.h"

enum {
	ELF_NAME_BYTES = 64,  /* of a name that is looked for, mangled too, with its end */
	ELF_FOUND_MAX = 1024, /* symbols of one file; allocators have two hundred */
	ELF_WANTED_MIN = 4,   /* characters of a name */
};

/* Names that are looked for. A name that begins with "__rust", "__rdl" or "__rg" is also found as
 * the compiler mangles it: "_RNvCs…_7___rustc12___rust_alloc". */
struct elf_wanted;
struct elf_wanted *elf_wanted_new(const char *const *names, size_t count);
void elf_wanted_free(struct elf_wanted *wanted);

struct elf_found {
	uint32_t name;	 /* index among those that were wanted */
	uint32_t index;	 /* in its table */
	bool is_dynamic; /* of .dynsym; else of .symtab */
	bool is_defined, is_local;
	uint8_t type; /* STT_FUNC, STT_GNU_IFUNC; an undefined one may also be STT_NOTYPE */
	uint64_t vaddr, size;
	char spelled[ELF_NAME_BYTES];
};

typedef VEC(struct elf_found) elf_found_list;

struct elf_symbol_tables {
	bool has_dynamic, has_full; /* .dynsym, .symtab */
	uint64_t bytes;		    /* of them and their strings */
	bool is_cut;		    /* ELF_FOUND_MAX was not enough */
};

/* Appends what is found; functions and imports only. 0, also for a file without tables; -EFBIG for
 * tables that no linker writes; else as elf_image_read. ret_tables is always
 * set. */
int elf_symbols_find(int fd, const struct elf_wanted *wanted, elf_found_list *found,
		     struct elf_symbol_tables *ret_tables);

/* Where the loader puts the address of a dynamic symbol: what calls through the linkage table read.
 */
struct elf_slot {
	uint64_t vaddr;
	uint32_t symbol; /* index in .dynsym */
};

typedef VEC(struct elf_slot) elf_slot_list;

/* Appends the slots of those symbols in found that are dynamic. Errors as above. */
int elf_slots_find(int fd, const elf_found_list *found, elf_slot_list *slots);

#endif
