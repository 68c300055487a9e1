#include "reader/view/place.h"

#include <stdlib.h>
#include <string.h>

#include "reader/util/mem.h"
#include "reader/util/own.h"
#include "reader/view/rows.h"

const char place_unknown[] = "[unknown]", place_no_stack[] = "[no user stack]";

struct row_place place_at(const struct snapshot *snapshot, uint32_t location)
{
	const struct snapshot_location *at = &snapshot->locations[location];

	return (struct row_place){
		.function = at->function,
		.file = at->file,
		.path = at->path,
		.line = at->line,
		.module = at->module < snapshot->module_count ? snapshot->modules[at->module].name
							      : place_unknown,
	};
}

bool place_matches(const struct view_request *request, const struct row_place *place)
{
	const char *filter = request->filter;

	if (!filter || filter_matches(filter, place->file) ||
	    filter_matches(filter, place->function))
		return true;
	return request->group == VIEW_BY_MODULE && filter_matches(filter, place->module);
}

int place_compare(enum view_group group, const struct row_place *a, const struct row_place *b)
{
	int order = 0;

	if (group == VIEW_BY_FILE)
		order = strcmp(a->file, b->file);
	else if (group == VIEW_BY_MODULE)
		order = strcmp(a->module, b->module);
	if (!order)
		order = strcmp(a->function, b->function);
	if (!order)
		order = strcmp(a->file, b->file);
	if (!order)
		order = (a->line > b->line) - (a->line < b->line);
	if (!order)
		order = strcmp(a->module, b->module);
	if (!order)
		order = strcmp(a->path ? a->path : "", b->path ? b->path : "");
	return order;
}

/* Where all is equal, the smaller line number. */
static bool is_hotter(const struct line_heat *a, uint32_t a_line, const struct line_heat *b,
		      uint32_t b_line)
{
	if (a->self != b->self)
		return a->self > b->self;
	if (a->incl != b->incl)
		return a->incl > b->incl;
	if (a->rest != b->rest)
		return a->rest > b->rest;
	return a_line < b_line;
}

void group_places_find(const struct snapshot *snapshot, const struct view_request *request,
		       const struct grouping *lines, const struct line_heat *heats,
		       const struct grouping *groups, struct group_place *found)
{
	/* By group: the hottest group of lines so far. */
	OWN(own_free) uint32_t *hottest = mem_array(groups->count, sizeof(*hottest));

	for (size_t i = 0; i < groups->count; i++)
		found[i] = (struct group_place){.location = SNAPSHOT_NONE};
	for (size_t i = 0; i < lines->count; i++) {
		uint32_t member = lines->member[i], group = groups->of[member];
		struct row_place place = place_at(snapshot, member);

		if (!heats[i].self && !heats[i].incl && !heats[i].rest)
			continue;
		found[group].is_matched |= place_matches(request, &place);
		if (found[group].location != SNAPSHOT_NONE &&
		    !is_hotter(&heats[i], place.line, &heats[hottest[group]],
			       snapshot->locations[found[group].location].line))
			continue;
		found[group].location = member;
		hottest[group] = (uint32_t)i;
	}
}
