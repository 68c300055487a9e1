#include "reader/symbol/scope_name.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "reader/symbol/demangle.h"
#include "reader/util/str.h"

enum {
	/* From a copy to its abstract form to its declaration: three steps are usual, and damaged
	 * entries may form a ring. */
	ORIGIN_STEPS_MAX = 16,
	/* Namespaces and types around a function that are told, innermost first. */
	CONTAINERS_MAX = 64,
};

static const char *integrated_text(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attribute;

	return dwarf_attr_integrate(die, name, &attribute) ? dwarf_formstring(&attribute) : NULL;
}

static bool step_to_origin(Dwarf_Die *die)
{
	Dwarf_Attribute attribute;
	Dwarf_Die origin;

	if ((!dwarf_attr(die, DW_AT_abstract_origin, &attribute) &&
	     !dwarf_attr(die, DW_AT_specification, &attribute)) ||
	    !dwarf_formref_die(&attribute, &origin))
		return false;
	*die = origin;
	return true;
}

/* The unit that declares the function, and the container there; NULL where it is in none. */
static const struct unit *find_container(struct dwarf_file *file, Dwarf_Die die,
					 uint32_t *ret_container)
{
	for (int i = 0; i < ORIGIN_STEPS_MAX; i++) {
		const struct unit *unit = dwarf_file_unit_of(file, &die);
		uint32_t container = unit ? unit_home(unit, dwarf_dieoffset(&die)) : SCOPE_NONE;

		if (container != SCOPE_NONE) {
			*ret_container = container;
			return unit;
		}
		if (!step_to_origin(&die))
			break;
	}
	return NULL;
}

static const char *qualified(struct dwarf_file *file, Dwarf_Die *die, const char *name,
			     struct intern *strings)
{
	const char *parts[CONTAINERS_MAX];
	size_t count = 0;
	uint32_t at = SCOPE_NONE;
	const struct unit *unit = find_container(file, *die, &at);
	struct str text = {0};
	const char *kept;

	/* A container's parent stands before it in the array: this ends. */
	for (; unit && at != SCOPE_NONE && count < CONTAINERS_MAX;
	     at = unit->containers.items[at].parent) {
		const struct container *container = &unit->containers.items[at];

		if (container->name)
			parts[count++] = container->name;
		else if (container->is_namespace)
			parts[count++] = "(anonymous namespace)";
	}
	while (count > 0)
		str_addf(&text, "%s::", parts[--count]);
	str_add(&text, name);
	kept = intern(strings, text.text);
	str_done(&text);
	return kept;
}

const char *scope_name(struct dwarf_file *file, struct unit *unit, struct scope *scope,
		       struct intern *strings)
{
	const char *name;
	Dwarf_Die die;

	if (scope->name)
		return scope->name;
	if (!dwarf_offdie(dwarf_cu_getdwarf(unit->tree.cu), scope->die, &die))
		return NULL;
	name = integrated_text(&die, DW_AT_linkage_name);
	if (!name)
		name = integrated_text(&die, DW_AT_MIPS_linkage_name);
	/* A linkage name that is not mangled is an alias of the library's own (`__GI_printf`): the
	 * plain name is the one that people know. */
	if (name && (str_starts(name, "_Z") || str_starts(name, "_R"))) {
		char *shown = demangle(name);

		scope->name = intern(strings, shown);
		free(shown);
		return scope->name;
	}
	name = integrated_text(&die, DW_AT_name);
	if (name && name[0])
		scope->name = qualified(file, &die, name, strings);
	return scope->name;
}
