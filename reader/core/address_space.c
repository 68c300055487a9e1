/* Sorted, disjoint mappings: a look-up is a binary search behind a cache of the last hit, since the
 * frames of a stack come in runs of one module. */
#include <string.h>

#include "reader/core/module.h"
#include "reader/util/vec.h"

struct mapping {
	uint64_t start, end, file_offset;
	const struct module *module;
};

struct address_space {
	VEC(struct mapping) mappings;
	size_t last; /* index of the last hit */
};

struct address_space *address_space_new(void)
{
	return mem_zalloc(sizeof(struct address_space));
}

void address_space_free(struct address_space *space)
{
	if (!space)
		return;
	vec_done(&space->mappings);
	free(space);
}

void address_space_clear(struct address_space *space)
{
	vec_clear(&space->mappings);
	space->last = 0;
}

size_t address_space_count(const struct address_space *space)
{
	return space->mappings.count;
}

/* The first mapping that ends above the address. */
static size_t first_above(const struct address_space *space, uint64_t address)
{
	size_t low = 0, high = space->mappings.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (space->mappings.items[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void insert_at(struct address_space *space, size_t index, struct mapping mapping)
{
	vec_reserve(&space->mappings, 1);
	memmove(&space->mappings.items[index + 1], &space->mappings.items[index],
		(space->mappings.count - index) * sizeof(mapping));
	space->mappings.items[index] = mapping;
	space->mappings.count++;
}

/* Takes [start, end) out of whatever is mapped there; returns where it would be inserted. */
static size_t cut(struct address_space *space, uint64_t start, uint64_t end)
{
	size_t index = first_above(space, start);
	size_t last;

	if (index < space->mappings.count && space->mappings.items[index].start < start) {
		struct mapping *left = &space->mappings.items[index];

		if (left->end > end) {
			struct mapping right = *left;

			right.file_offset += end - right.start;
			right.start = end;
			left->end = start;
			insert_at(space, index + 1, right);
			return index + 1;
		}
		left->end = start;
		index++;
	}
	for (last = index; last < space->mappings.count && space->mappings.items[last].end <= end;)
		last++;
	if (last > index) {
		memmove(&space->mappings.items[index], &space->mappings.items[last],
			(space->mappings.count - last) * sizeof(struct mapping));
		space->mappings.count -= last - index;
	}
	if (index < space->mappings.count && space->mappings.items[index].start < end) {
		struct mapping *right = &space->mappings.items[index];

		right->file_offset += end - right->start;
		right->start = end;
	}
	return index;
}

void address_space_map(struct address_space *space, uint64_t start, uint64_t end,
		       uint64_t file_offset, const struct module *module)
{
	struct mapping mapping = {start, end, file_offset, module};

	if (start >= end)
		return;
	insert_at(space, cut(space, start, end), mapping);
	space->last = 0;
}

bool address_space_find(struct address_space *space, uint64_t address, struct place *ret_place)
{
	size_t index = space->last;
	const struct mapping *mapping;
	uint64_t offset;

	if (index >= space->mappings.count || address < space->mappings.items[index].start ||
	    address >= space->mappings.items[index].end) {
		index = first_above(space, address);
		if (index >= space->mappings.count ||
		    address < space->mappings.items[index].start) {
			*ret_place = (struct place){{MODULE_UNKNOWN}, address};
			return false;
		}
		space->last = index;
	}
	mapping = &space->mappings.items[index];
	offset = address - mapping->start + mapping->file_offset;
	ret_place->module = mapping->module->id;
	if (mapping->module->kind == MODULE_ANONYMOUS || mapping->module->kind == MODULE_UNKNOWN)
		ret_place->vaddr = address;
	else if (!module_offset_to_vaddr(mapping->module, offset, &ret_place->vaddr))
		ret_place->vaddr = offset;
	return true;
}
