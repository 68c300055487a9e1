/* What groups of locations cost, of all that is recorded. Private to annotate*.c. */
#ifndef RSPROF_VIEW_ANNOTATE_SUMS_H
#define RSPROF_VIEW_ANNOTATE_SUMS_H

#include "reader/view/annotate.h"
#include "reader/view/heap_tally.h"
#include "reader/view/rows.h"
#include "reader/view/tally.h"

struct annotate_sum {
	struct tally samples;
	struct heap_tally heap; /* without its peaks */
	uint64_t wait_ns;
};

/* Every stack charged once, whatever is grouped afterwards. */
struct annotate_sums {
	const struct snapshot *snapshot;
	struct selection samples, waits; /* event SNAPSHOT_NONE: there are none */
	struct view_request sample_request, wait_request;
	struct heap_stack *heap; /* by stack; NULL: not counted */
	struct tally_tree tree;	 /* with the samples of the event */
	uint64_t total_samples, total_value, total_wait_ns, live_bytes;
	bool is_sampled; /* the heap: what no sample met has more, too */
};

/* ERR_USAGE as view_build. */
int annotate_sums_init(struct annotate_sums *sums, const struct snapshot *snapshot,
		       const struct annotate_request *request, struct err *err);
void annotate_sums_done(struct annotate_sums *sums);
/* By group, [group_count + 1]: the last is of stacks without frames. group_of is by location. To be
 * freed. */
struct annotate_sum *annotate_sums_count(const struct annotate_sums *sums, const uint32_t *group_of,
					 size_t group_count);
bool annotate_sum_is_empty(const struct annotate_sum *sum);
/* In numbers as they are shown; the line number is left 0. */
struct annotate_line annotate_sum_line(const struct annotate_sums *sums,
				       const struct annotate_sum *sum);

/* Is the location a line of a source file? */
bool annotate_is_source(const struct snapshot_location *location);

#endif
