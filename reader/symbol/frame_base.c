#include "reader/symbol/frame_base.h"

#include <dwarf.h>
#include <elf.h>
#include <stdlib.h>

/* The frame pointer's number in unwind tables; -1 for machines that are not known. */
static int pointer_register(uint16_t machine)
{
	switch (machine) {
	case EM_X86_64:
		return 6;
	case EM_AARCH64:
		return 29;
	case EM_386:
		return 5;
	default:
		return -1;
	}
}

/* Whether the table covers the address. */
static bool find_in(Dwarf_CFI *table, int pointer, uint64_t address, enum frame_base *ret_base)
{
	Dwarf_Frame *frame;
	Dwarf_Op *ops;
	size_t count;

	if (!table || dwarf_cfi_addrframe(table, address, &frame) != 0)
		return false;
	*ret_base = FRAME_BASE_OTHER;
	if (dwarf_frame_cfa(frame, &ops, &count) != 0)
		*ret_base = FRAME_BASE_UNKNOWN;
	else if (pointer >= 0 && count == 1 &&
		 ((ops[0].atom == DW_OP_bregx && ops[0].number == (Dwarf_Word)pointer) ||
		  ops[0].atom == DW_OP_breg0 + pointer))
		*ret_base = FRAME_BASE_POINTER;
	free(frame);
	return true;
}

enum frame_base frame_base_find(Dwarf_CFI *eh_frame, Dwarf_CFI *debug_frame, uint16_t machine,
				uint64_t address)
{
	enum frame_base base = FRAME_BASE_UNKNOWN;
	int pointer = pointer_register(machine);

	if (!find_in(eh_frame, pointer, address, &base))
		find_in(debug_frame, pointer, address, &base);
	return base;
}
