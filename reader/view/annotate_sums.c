#include "reader/view/annotate_sums.h"

#include <errno.h>
#include <stdlib.h>

#include "reader/util/mem.h"
#include "reader/view/heap_facts.h"
#include "reader/view/number.h"

bool annotate_is_source(const struct snapshot_location *location)
{
	/* "[libc.so.6]" stands for a file that is not known. */
	return *location->file && *location->file != '[';
}

static int refuse_wait(const char *event, struct err *err)
{
	err_set(err, ERR_USAGE, -EINVAL,
		"%s is no sampled event; waits have a column of their own.", event);
	err_remedy(err, "Leave out --event, or name another event.");
	return -EINVAL;
}

static int choose(struct annotate_sums *sums, const struct annotate_request *request,
		  struct err *err)
{
	const char *wait = view_wait_event(sums->snapshot);
	int r;

	sums->sample_request = (struct view_request){.event = request->event,
						     .thread = request->thread,
						     .include_internal = request->include_internal,
						     .no_inline = request->no_inline};
	sums->wait_request = sums->sample_request;
	sums->wait_request.event = wait;
	r = selection_init(&sums->samples, sums->snapshot, &sums->sample_request, err);
	if (r < 0)
		return r;
	if (sums->samples.is_wait && request->event)
		return refuse_wait(wait, err);
	if (sums->samples.is_wait)
		sums->samples.event = SNAPSHOT_NONE;
	sums->waits.event = SNAPSHOT_NONE;
	return wait ? selection_init(&sums->waits, sums->snapshot, &sums->wait_request, err) : 0;
}

/* Charges every stack, those too that have but waits or memory. */
static void plant(struct annotate_sums *sums)
{
	const struct snapshot *snapshot = sums->snapshot;
	const struct view_request *request = &sums->sample_request;

	tally_tree_init(&sums->tree, snapshot, request->no_inline);
	for (size_t i = 0; i < snapshot->row_count; i++) {
		const struct snapshot_row *row = &snapshot->rows[i];
		const struct sum sum = {
			.count = row->count, .kernel = row->kernel_count, .value = row->value};

		if (selection_has_event(&sums->waits, row))
			number_add(&sums->total_wait_ns, row->value);
		if (!selection_has_event(&sums->samples, row))
			continue;
		number_add(&sums->total_samples, row->count);
		number_add(&sums->total_value, row->value);
		if (selection_has_thread(&sums->samples, row))
			tally_tree_add(&sums->tree, row->stack, &sum);
	}
	tally_tree_charge(&sums->tree, request->include_internal);
}

static void count_heap(struct annotate_sums *sums)
{
	struct heap_view facts = {0};

	if (sums->sample_request.thread || !heap_view_is_there(sums->snapshot))
		return;
	heap_facts_fill(sums->snapshot, &facts);
	sums->is_sampled = facts.is_estimate;
	sums->heap = heap_stacks_new(sums->snapshot);
	for (size_t i = 0; i <= sums->snapshot->stack_count; i++)
		number_add(&sums->live_bytes, heap_live_bytes(&sums->heap[i].held));
}

int annotate_sums_init(struct annotate_sums *sums, const struct snapshot *snapshot,
		       const struct annotate_request *request, struct err *err)
{
	int r;

	*sums = (struct annotate_sums){.snapshot = snapshot};
	r = choose(sums, request, err);
	if (r < 0) {
		selection_done(&sums->samples);
		selection_done(&sums->waits);
		return r;
	}
	plant(sums);
	count_heap(sums);
	return 0;
}

void annotate_sums_done(struct annotate_sums *sums)
{
	tally_tree_done(&sums->tree);
	selection_done(&sums->samples);
	selection_done(&sums->waits);
	free(sums->heap);
}

struct annotate_sum *annotate_sums_count(const struct annotate_sums *sums, const uint32_t *group_of,
					 size_t group_count)
{
	const struct snapshot *snapshot = sums->snapshot;
	struct annotate_sum *found = mem_array(group_count + 1, sizeof(*found));
	struct tally *tallies = mem_array(group_count + 1, sizeof(*tallies));

	tally_tree_count(&sums->tree, group_of, group_count, tallies);
	for (size_t i = 0; i <= group_count; i++)
		found[i].samples = tallies[i];
	free(tallies);
	for (size_t i = 0; sums->heap && i < snapshot->stack_count; i++) {
		uint32_t location = sums->tree.charged[i];

		heap_tally_add(
			&found[location == SNAPSHOT_NONE ? group_count : group_of[location]].heap,
			&sums->heap[i]);
	}
	for (size_t i = 0; i < snapshot->row_count; i++) {
		const struct snapshot_row *row = &snapshot->rows[i];
		uint32_t location = SNAPSHOT_NONE;

		if (!selection_has_event(&sums->waits, row) ||
		    !selection_has_thread(&sums->waits, row))
			continue;
		if (row->stack < snapshot->stack_count)
			location = sums->tree.charged[row->stack];
		number_add(&found[location == SNAPSHOT_NONE ? group_count : group_of[location]]
				    .wait_ns,
			   row->value);
	}
	return found;
}

static bool has_heap(const struct heap_tally *heap)
{
	return heap->live_bytes || heap->live_blocks || heap->totals.allocs ||
	       heap->totals.alloc_bytes;
}

bool annotate_sum_is_empty(const struct annotate_sum *sum)
{
	return !sum->samples.incl.count && !sum->samples.incl.value && !sum->wait_ns &&
	       !has_heap(&sum->heap);
}

struct annotate_line annotate_sum_line(const struct annotate_sums *sums,
				       const struct annotate_sum *sum)
{
	const struct tally *samples = &sum->samples;
	bool by_value = sums->samples.by_value;
	uint64_t whole = by_value ? sums->total_value : sums->total_samples;

	return (struct annotate_line){
		.self_pct =
			number_share(by_value ? samples->self.value : samples->self.count, whole),
		.incl_pct =
			number_share(by_value ? samples->incl.value : samples->incl.count, whole),
		.samples = samples->self.count,
		.incl_samples = samples->incl.count,
		.live_pct = number_share(sum->heap.live_bytes, sums->live_bytes),
		.wait_pct = number_share(sum->wait_ns, sums->total_wait_ns),
		.live_bytes = sum->heap.live_bytes,
		.total_alloc_bytes = sum->heap.totals.alloc_bytes,
		.is_estimate =
			sum->heap.estimated > 0 || (sums->is_sampled && has_heap(&sum->heap)),
		.is_least = sum->heap.untracked > 0 &&
			    sums->snapshot->losses.count[LOSS_HEAP_BLOCKS_FULL] > 0,
		.wait_ns = sum->wait_ns,
	};
}
