/* The lines of one compilation unit, out of .debug_line. Private to the symbol room.
 *
 * libdw has a reader of its own, but it mixes the rows of all sequences by address. Linkers leave
 * the lines of functions that they dropped in place, at address 0; sequences must stay apart to
 * tell these from the code that is there. */
#ifndef RSPROF_SYMBOL_LINE_TABLE_H
#define RSPROF_SYMBOL_LINE_TABLE_H

#include "reader/symbol/elf_file.h"
#include "reader/symbol/range_index.h"
#include "reader/util/vec.h"

struct line_row {
	uint64_t address; /* up to the next row's */
	uint32_t file;	  /* index into the unit's file table */
	uint32_t line;	  /* 0: the compiler names none */
};

struct line_sequence {
	size_t first, count; /* rows */
};

/* Zero-initialised is empty and usable. */
struct line_table {
	VEC(struct line_row) rows;
	VEC(struct line_sequence) sequences;
	struct range_index index; /* of sequences */
};

/* Reads the table at offset of the section's bytes. Only sequences that begin in code are kept.
 * What is damaged ends the table there; what was read before it is kept. */
void line_table_read(struct line_table *table, const uint8_t *section, size_t section_size,
		     uint64_t offset, const struct elf_file *code);
/* NULL where no row covers the address. */
const struct line_row *line_table_find(const struct line_table *table, uint64_t address);
void line_table_done(struct line_table *table);

#endif
