#include "reader/symbol/die_walk.h"

#include <stdint.h>
#include <string.h>

void die_walk_start(struct die_walk *walk, const Dwarf_Die *unit)
{
	*walk = (struct die_walk){.die = *unit, .dwarf = dwarf_cu_getdwarf(unit->cu)};
}

/* From the last entry of a list, whose end mark libdw has found, to what follows the mark; several
 * lists may end there. */
static bool leave_list(struct die_walk *walk, const uint8_t *mark)
{
	Dwarf_Off offset = dwarf_dieoffset(&walk->die);
	Dwarf_CU *unit = walk->die.cu;
	Dwarf_Die next;

	offset += (Dwarf_Off)(mark - (const uint8_t *)walk->die.addr);
	do {
		if (--walk->depth == 0)
			return false;
		offset++;
		/* libdw checks the bounds; an end mark has no entry of its own. */
		if (!dwarf_offdie(walk->dwarf, offset, &next) || next.cu != unit)
			return false;
	} while (*(const uint8_t *)next.addr == 0);
	walk->die = next;
	return true;
}

bool die_walk_next(struct die_walk *walk, bool into)
{
	Dwarf_Die next;
	int ret;

	if (into && walk->depth < DIE_DEPTH_MAX && dwarf_haschildren(&walk->die) > 0) {
		memset(&next, 0, sizeof(next));
		ret = dwarf_child(&walk->die, &next);
		if (ret < 0)
			return false;
		if (ret == 0) {
			walk->die = next;
			walk->depth++;
			return true;
		}
	}
	if (walk->depth == 0)
		return false;
	memset(&next, 0, sizeof(next));
	ret = dwarf_siblingof(&walk->die, &next);
	if (ret < 0 || (ret > 0 && !next.addr))
		return false;
	if (ret > 0)
		return leave_list(walk, next.addr);
	walk->die = next;
	return true;
}
