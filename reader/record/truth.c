#include "reader/record/truth.h"

#include <stdlib.h>
#include <string.h>

#include "reader/util/mem.h"

const char *const truth_kind_names[TRUTH_KINDS] = {
	[TRUTH_IDENTICAL] = "identical",
	[TRUTH_OURS_LONGER] = "ours_longer",
	[TRUTH_LIBDW_LONGER] = "libdw_longer",
	[TRUTH_DIFFERENT] = "different",
};

enum truth_kind truth_compare(const struct truth_walk *ours, const struct truth_walk *libdw,
			      uint32_t *ret_index)
{
	uint32_t shorter = ours->pc_count < libdw->pc_count ? ours->pc_count : libdw->pc_count;
	uint32_t same = 0;

	while (same < shorter && ours->pcs[same] == libdw->pcs[same])
		same++;
	*ret_index = same;
	if (same < shorter)
		return TRUTH_DIFFERENT;
	if (ours->pc_count > shorter)
		return TRUTH_OURS_LONGER;
	return libdw->pc_count > shorter ? TRUTH_LIBDW_LONGER : TRUTH_IDENTICAL;
}

static char *name_of(const struct truth *truth, const struct truth_walk *walk, uint32_t index)
{
	struct str text = {0};
	char *name;

	if (index < walk->pc_count)
		truth->name(truth->context, walk->pcs[index], index == 0, &text);
	name = mem_strdup(str_text(&text));
	str_done(&text);
	return name;
}

void truth_add(struct truth *truth, const struct truth_walk *ours, const struct truth_walk *libdw)
{
	uint32_t index;
	enum truth_kind kind = truth_compare(ours, libdw, &index);

	truth->samples++;
	truth->kinds[kind]++;
	truth->our_complete += ours->is_complete;
	truth->libdw_complete += libdw->is_complete;
	if (kind == TRUTH_IDENTICAL || truth->example_counts[kind] == TRUTH_EXAMPLES_MAX)
		return;
	truth->examples[kind][truth->example_counts[kind]++] = (struct truth_example){
		.tid = ours->tid,
		.time_ns = ours->time_ns,
		.index = index,
		.our_count = ours->pc_count,
		.libdw_count = libdw->pc_count,
		.last_common = name_of(truth, ours, index ? index - 1 : UINT32_MAX),
		.our_frame = name_of(truth, ours, index),
		.libdw_frame = name_of(truth, libdw, index),
	};
}

void truth_done(struct truth *truth)
{
	for (int kind = 0; kind < TRUTH_KINDS; kind++) {
		for (uint32_t i = 0; i < truth->example_counts[kind]; i++) {
			free(truth->examples[kind][i].last_common);
			free(truth->examples[kind][i].our_frame);
			free(truth->examples[kind][i].libdw_frame);
		}
		truth->example_counts[kind] = 0;
	}
}

double truth_share(uint64_t count, uint64_t all)
{
	return all ? 100.0 * (double)count / (double)all : 0;
}
