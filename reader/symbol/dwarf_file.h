/* The debug information of one module: which unit an address is in, and what functions are called.
 * Private to the symbol room. */
#ifndef RSPROF_SYMBOL_DWARF_FILE_H
#define RSPROF_SYMBOL_DWARF_FILE_H

#include "reader/symbol/intern.h"
#include "reader/symbol/unit_index.h"

struct dwarf_file {
	Dwarf *dwarf;
	const struct elf_file *code; /* whose code ranges count: the module's own file */
	struct elf_file shared; /* what several files' debug information have in common (dwz) */
	Dwarf *shared_dwarf;
	VEC(struct unit *) units;
	struct u64_map by_handle; /* libdw's handle of a unit to its place in units */
	struct range_index index; /* of units */
	int version;		  /* of the first unit with code; 0: none */
	const char *language;	  /* of the first one whose language is known; may be NULL */
};

/* NULL where the file has no debug information, or none that can be trusted. path is its path, or
 * NULL; root is where separate files lie. Both ELF files must outlive what is returned. */
struct dwarf_file *dwarf_file_new(const struct elf_file *file, const char *path, const char *root,
				  const struct elf_file *code);
void dwarf_file_free(struct dwarf_file *file);

/* The unit with code at the address, built; NULL where there is none. */
struct unit *dwarf_file_unit(struct dwarf_file *file, uint64_t address);
/* The unit that an entry is in, of whichever file; NULL where it is damaged. */
struct unit *dwarf_file_unit_of(struct dwarf_file *file, Dwarf_Die *die);
/* A file of line_files (of a row) or call_files (of a call); NULL where the table has none such. */
const struct unit_file *dwarf_file_source(struct unit *unit, bool is_call, uint32_t index,
					  struct intern *strings);

#endif
