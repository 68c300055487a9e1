#include "reader/symbol/unit_index.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "reader/symbol/die_walk.h"

enum {
	/* Entries may share lists of ranges, so a small file can mean endless ones. The largest
	 * units known, whole programs in one, have under a million. */
	UNIT_RANGES_MAX = 4 * 1024 * 1024,
};

/* What the entries below one belong to. */
struct level {
	uint32_t scope, container;
};

struct build {
	struct unit *unit;
	const struct elf_file *code;
	size_t range_count;			/* of all kinds, dropped ones too */
	struct level levels[DIE_DEPTH_MAX + 1]; /* by depth of the parent */
};

static uint32_t attribute_number(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attribute;
	Dwarf_Word value;

	if (!dwarf_attr(die, name, &attribute) || dwarf_formudata(&attribute, &value) != 0 ||
	    value > UINT32_MAX)
		return 0;
	return (uint32_t)value;
}

/* Whether the entry has code. */
static bool add_ranges(struct build *build, Dwarf_Die *die, uint32_t rank, uint32_t scope)
{
	Dwarf_Addr base, start, end;
	ptrdiff_t at = 0;
	bool has_code = false;

	while (build->range_count < UNIT_RANGES_MAX &&
	       (at = dwarf_ranges(die, at, &base, &start, &end)) > 0) {
		const struct code_range *range = elf_file_code(build->code, start);

		build->range_count++;
		if (!range || end <= start)
			continue;
		range_index_add(&build->unit->index, start, end < range->end ? end : range->end,
				rank, scope);
		has_code = true;
	}
	return has_code;
}

static uint32_t add_scope(struct build *build, struct die_walk *walk, bool is_inlined)
{
	struct unit *unit = build->unit;
	uint32_t parent = build->levels[walk->depth - 1].scope;
	uint32_t scope = (uint32_t)unit->scopes.count;

	/* An inlined call outside of a function is damage. */
	if (is_inlined && parent == SCOPE_NONE)
		return parent;
	if (!add_ranges(build, &walk->die, walk->depth, scope))
		return is_inlined ? parent : SCOPE_NONE;
	*vec_add(&unit->scopes) = (struct scope){
		.die = dwarf_dieoffset(&walk->die),
		.parent = is_inlined ? parent : SCOPE_NONE,
		.call_file = is_inlined ? attribute_number(&walk->die, DW_AT_call_file) : 0,
		.call_line = is_inlined ? attribute_number(&walk->die, DW_AT_call_line) : 0,
	};
	return scope;
}

static void add_home(struct build *build, struct die_walk *walk)
{
	uint32_t container = build->levels[walk->depth - 1].container;

	if (container == SCOPE_NONE || dwarf_hasattr(&walk->die, DW_AT_linkage_name) ||
	    dwarf_hasattr(&walk->die, DW_AT_MIPS_linkage_name))
		return;
	*vec_add(&build->unit->homes) =
		(struct home){.die = dwarf_dieoffset(&walk->die), .container = container};
}

static uint32_t add_container(struct build *build, struct die_walk *walk, bool is_namespace)
{
	uint32_t container = (uint32_t)build->unit->containers.count;

	*vec_add(&build->unit->containers) = (struct container){
		.name = dwarf_diename(&walk->die),
		.parent = build->levels[walk->depth - 1].container,
		.is_namespace = is_namespace,
	};
	return container;
}

/* Whether there may be code below the entry. */
static bool visit(struct build *build, struct die_walk *walk)
{
	struct level level = build->levels[walk->depth - 1];
	bool is_within = true;

	switch (dwarf_tag(&walk->die)) {
	case DW_TAG_subprogram:
		add_home(build, walk);
		level.scope = add_scope(build, walk, false);
		level.container = SCOPE_NONE;
		break;
	case DW_TAG_inlined_subroutine:
		level.scope = add_scope(build, walk, true);
		break;
	case DW_TAG_namespace:
	case DW_TAG_module:
		level.container = add_container(build, walk, true);
		break;
	case DW_TAG_class_type:
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
	case DW_TAG_interface_type:
	case DW_TAG_enumeration_type:
		level.container = add_container(build, walk, false);
		break;
	case DW_TAG_lexical_block:
	case DW_TAG_try_block:
	case DW_TAG_catch_block:
	case DW_TAG_with_stmt:
		break;
	default:
		is_within = false;
		break;
	}
	if (walk->depth <= DIE_DEPTH_MAX)
		build->levels[walk->depth] = level;
	return is_within;
}

static void read_lines(struct unit *unit, const struct elf_file *code)
{
	/* Packed sections were unpacked by libdw when it opened the file; the older kind keeps its
	 * name. */
	static const char *const section_names[] = {".debug_line", ".zdebug_line"};
	struct elf_file file = {.elf = dwarf_getelf(dwarf_cu_getdwarf(unit->own.cu))};
	Dwarf_Attribute attribute;
	Dwarf_Word offset;

	if (!dwarf_attr(&unit->own, DW_AT_stmt_list, &attribute) ||
	    dwarf_formudata(&attribute, &offset) != 0)
		return;
	for (size_t i = 0; i < sizeof(section_names) / sizeof(section_names[0]); i++) {
		GElf_Shdr header;
		Elf_Scn *section = elf_file_section(&file, section_names[i], &header);
		Elf_Data *data = section ? elf_rawdata(section, NULL) : NULL;

		if (data && data->d_buf && !(header.sh_flags & SHF_COMPRESSED)) {
			line_table_read(&unit->lines, data->d_buf, data->d_size, offset, code);
			return;
		}
	}
}

void unit_build(struct unit *unit, const struct elf_file *code)
{
	struct build *build = mem_zalloc(sizeof(*build));
	struct die_walk walk;
	bool is_within = true;

	unit->is_built = true;
	build->unit = unit;
	build->code = code;
	build->levels[0] = (struct level){.scope = SCOPE_NONE, .container = SCOPE_NONE};
	die_walk_start(&walk, &unit->tree);
	while (die_walk_next(&walk, is_within) && unit->scopes.count < SCOPE_NONE - 1)
		is_within = visit(build, &walk);
	range_index_seal(&unit->index);
	read_lines(unit, code);
	free(build);
}

void unit_done(struct unit *unit)
{
	vec_done(&unit->scopes);
	vec_done(&unit->containers);
	vec_done(&unit->homes);
	range_index_done(&unit->index);
	line_table_done(&unit->lines);
	free(unit->line_files.items);
	free(unit->call_files.items);
}

uint32_t unit_home(const struct unit *unit, Dwarf_Off die)
{
	size_t low = 0, high = unit->homes.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (unit->homes.items[middle].die < die)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == unit->homes.count || unit->homes.items[low].die != die)
		return SCOPE_NONE;
	return unit->homes.items[low].container;
}
