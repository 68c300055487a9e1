#include <stdlib.h>

#include "reader/feed_parts.h"
#include "reader/record/resolve.h"
#include "reader/util/mem.h"

/* No checkpoint ends there: names alone. */
static const struct store_window nowhere = {UINT64_MAX - 1, UINT64_MAX};

bool late_names_are_known(const struct late_names *names, uint64_t state)
{
	return names && names->state == state;
}

static int look_for_names(struct late_names **names, struct store_follow *follow, uint64_t state,
			  struct err *err)
{
	struct late_names *found;
	struct snapshot *snapshot;
	int ret = store_follow_snapshot(follow, nowhere, &snapshot, err);

	if (ret < 0)
		return ret;
	resolve_late(snapshot);
	found = mem_zalloc(sizeof(*found));
	found->from = snapshot;
	found->state = state;
	found->older = *names;
	*names = found;
	return 0;
}

int late_names_apply(struct late_names **names, struct store_follow *follow, uint64_t state,
		     struct snapshot *snapshot, struct err *err)
{
	const struct snapshot *from;

	if (!late_names_are_known(*names, state)) {
		int ret = look_for_names(names, follow, state, err);

		if (ret < 0)
			return ret;
	}
	/* Nobody writes to arrays of a snapshot that is made. */
	from = (*names)->from;
	snapshot->locations = from->locations;
	snapshot->location_count = from->location_count;
	snapshot->frames = from->frames;
	snapshot->lines = from->lines;
	snapshot->line_count = from->line_count;
	snapshot->stacks = from->stacks;
	snapshot->unresolved_count = from->unresolved_count;
	return 0;
}

void late_names_free(struct late_names *names)
{
	while (names) {
		struct late_names *older = names->older;

		snapshot_free(names->from);
		free(names);
		names = older;
	}
}
