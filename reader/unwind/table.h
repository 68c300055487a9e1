/* The unwind table of one ELF file: compact rows, laid out as shm/ehframe.h tells, over all of the
 * file's code. Where .eh_frame and .debug_frame both cover an address, .eh_frame counts.
 *
 * A table is immutable once it is built; its rules are in the set it was built with. */
#ifndef RSPROF_UNWIND_TABLE_H
#define RSPROF_UNWIND_TABLE_H

#include <stdint.h>

#include "reader/unwind/rules.h"
#include "shm/ehframe.h"

enum {
	/* 25 times libLLVM's. */
	UNWIND_FDES_MAX = 4 << 20,
	/* 11 times libLLVM's: 64 MiB. */
	UNWIND_ROWS_MAX = 16 << 20,
	/* How far the code at an entry point without FDE is taken for the start of the program:
	 * that of ld.so takes 60 bytes, and nothing says where it ends. */
	UNWIND_ENTRY_BYTES = 64,
};

struct unwind_table {
	uint64_t base; /* vaddr of page 0, a multiple of EH_PAGE_BYTES */
	uint32_t page_count;
	uint32_t row_count;
	uint32_t *index; /* page_count + 1 */
	struct ehframe_row *rows;
	/* What it was made of. */
	uint64_t text_bytes;
	uint64_t fde_count;	/* that cover code */
	uint64_t bad_count;	/* FDEs passed over because they are damaged */
	uint64_t dropped_count; /* FDEs for code that is not in the file, or that another covers */
	uint64_t unsupported_count; /* rows with UNWIND_RULE_UNSUPPORTED */
	bool is_cut;		    /* a section ends within an entry */
	bool is_debug_frame_packed; /* .debug_frame is compressed, and was left out */
};

/* From the file's own bytes; the descriptor stays the caller's. 0; -ENOEXEC: no ELF file; -ENOTSUP:
 * of another class, byte order or machine; -ENODATA: without code, or without unwind information;
 * -EBADMSG: damaged; -EFBIG: beyond a bound; or -errno. */
int unwind_table_build(int fd, struct unwind_rules *rules, struct unwind_table **ret_table);
void unwind_table_free(struct unwind_table *table);

/* The number of the rule at an ELF address; UNWIND_RULE_NONE outside of the table. */
uint16_t unwind_table_find(const struct unwind_table *table, uint64_t vaddr);
/* Memory of rows and index. */
uint64_t unwind_table_bytes(const struct unwind_table *table);

#endif
