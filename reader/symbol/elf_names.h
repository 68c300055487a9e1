/* Function names out of ELF symbol tables, by address. Private to the symbol room. */
#ifndef RSPROF_SYMBOL_ELF_NAMES_H
#define RSPROF_SYMBOL_ELF_NAMES_H

#include "reader/symbol/elf_file.h"
#include "reader/symbol/range_index.h"
#include "reader/util/arena.h"
#include "reader/util/vec.h"

struct elf_name {
	uint64_t start, size;
	const char *text;    /* as the table has it, without @VERSION */
	const char *shown;   /* for the caller: the demangled form, once it is asked for */
	uint16_t preference; /* among names of one address the lowest is taken */
	uint8_t rank;	     /* a symbol without size gives way to one with */
};

/* Zero-initialised is empty and usable. */
struct elf_names {
	VEC(struct elf_name) names;
	struct range_index index;
	struct arena arena;
};

/* From main_file's own tables or, where they are stripped, from those of debug_file, or from the
 * small table that Fedora packs into its binaries (.gnu_debugdata). Either may be "no file". Texts
 * are copied: the files may be closed. */
void elf_names_read(struct elf_names *names, const struct elf_file *main_file,
		    const struct elf_file *debug_file);
/* NULL where no symbol covers the address. */
struct elf_name *elf_names_find(const struct elf_names *names, uint64_t address);
void elf_names_done(struct elf_names *names);

/* Adds one symbol; size 0 reaches to the next one. For elf_names.c and elf_dynamic.c. */
void elf_names_add(struct elf_names *names, const struct elf_file *code, const GElf_Sym *symbol,
		   const char *text);
/* The dynamic symbols of a file without section headers, as one copied from memory is. */
void elf_names_read_dynamic(struct elf_names *names, const struct elf_file *file);
/* The stubs through which a file calls other files' functions, as `puts@plt`. */
void elf_names_read_stubs(struct elf_names *names, const struct elf_file *file);

#endif
