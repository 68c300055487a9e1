#include "reader/source/heap_told.h"

#include <string.h>

uint64_t heap_told_go_on(uint64_t told, uint64_t wanted, uint64_t most)
{
	if (wanted > most)
		wanted = most;
	return wanted > told ? wanted : told;
}

void heap_told_write_off(struct heap_told *told, struct heap_counts *next)
{
	uint64_t calls = next->allocs - next->frees - next->untracked;
	uint64_t bytes = next->alloc_bytes - next->free_bytes - next->untracked_bytes;

	next->untracked += calls;
	next->untracked_bytes += bytes;
	told->lost_calls += calls;
	told->lost_bytes += bytes;
}

void heap_told_tell(struct heap_told *told, const struct heap_counts *next, uint64_t site,
		    uint32_t pid, uint64_t time_ns, source_sink sink, void *context)
{
	const struct heap_counts *before = &told->counts;
	struct event event = {
		.time_ns = time_ns, .type = EVENT_HEAP_COUNTS, .pid = pid, .tid = pid};

	if (memcmp(next, before, sizeof(*next)) == 0)
		return;
	event.heap_counts.site = site;
	event.heap_counts.counts = (struct heap_counts){
		.allocs = next->allocs - before->allocs,
		.alloc_bytes = next->alloc_bytes - before->alloc_bytes,
		.frees = next->frees - before->frees,
		.free_bytes = next->free_bytes - before->free_bytes,
		.untracked = next->untracked - before->untracked,
		.untracked_bytes = next->untracked_bytes - before->untracked_bytes,
		.temporary = next->temporary - before->temporary,
		.reallocs = next->reallocs - before->reallocs,
		.growth_bytes = next->growth_bytes - before->growth_bytes,
		.estimated = next->estimated - before->estimated,
	};
	sink(context, &event);
	told->counts = *next;
}
