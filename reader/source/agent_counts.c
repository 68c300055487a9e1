#include "reader/source/agent_counts.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

enum {
	BLOCK_SITES = 64,
	/* Of the default stride, 1 GiB: what 256 threads leave that each allocated in 60,000
	   stacks. */
	BLOCKS_MAX = 1 << 18,
	READ_BYTES = 256 * 1024,
	ABSENT = UINT32_MAX,
};
/* Where time bounds nothing: in sampled mode. */
#define CALLS_MAX (UINT64_C(1) << 48)
#define BYTES_MAX (UINT64_C(1) << 62)

struct agent_block {
	struct rsprof_shm_counts sites[BLOCK_SITES];
};

_Static_assert(READ_BYTES >= BLOCK_SITES * AGENT_STRIDE_MAX, "a block fits");

/* A pass takes its part of the counters. */
enum part { FREES, ALLOCS };

struct pass {
	struct agent_counts *counts;
	const struct agent_region *region;
	enum part part;
	uint32_t lane;
	uint64_t stride;
};

void agent_counts_done(struct agent_counts *counts)
{
	for (size_t i = 0; i < counts->blocks.count; i++)
		free(counts->blocks.items[i]);
	vec_done(&counts->blocks);
	vec_done(&counts->sites);
	vec_done(&counts->dirty);
	u64_map_done(&counts->block_of);
	free(counts->buffer);
	counts->buffer = NULL;
}

/* NULL: there are too many. */
static struct agent_block *block_of(struct agent_counts *counts, uint32_t lane, uint64_t block)
{
	uint64_t key = (uint64_t)lane << 32 | block;
	uint32_t at = u64_map_get(&counts->block_of, key);

	if (at != ABSENT)
		return counts->blocks.items[at];
	if (counts->blocks.count >= BLOCKS_MAX)
		return NULL;
	u64_map_put(&counts->block_of, key, (uint32_t)counts->blocks.count);
	*vec_add(&counts->blocks) = mem_zalloc(sizeof(struct agent_block));
	return counts->blocks.items[counts->blocks.count - 1];
}

static struct agent_site *site_of(struct agent_counts *counts, uint32_t number)
{
	while (counts->sites.count <= number) {
		size_t next = counts->sites.count;

		*vec_add(&counts->sites) = (struct agent_site){
			.is_inherited = next >= RSPROF_SHM_SITE_FIRST && next < counts->first_site,
		};
	}
	return &counts->sites.items[number];
}

static void mark(struct agent_counts *counts, uint32_t number)
{
	struct agent_site *site = &counts->sites.items[number];

	if (!site->is_dirty)
		*vec_add(&counts->dirty) = number;
	site->is_dirty = true;
}

/* ---- reading */

static bool is_step(uint64_t before, uint64_t now, uint64_t most)
{
	return now >= before && now <= most;
}

static bool is_possible(const struct agent_counts *counts, enum part part,
			const struct rsprof_shm_counts *before, const struct rsprof_shm_counts *now)
{
	uint64_t calls = counts->most_calls;

	if (part == FREES)
		return is_step(before->frees, now->frees, calls) &&
		       is_step(before->free_bytes, now->free_bytes, BYTES_MAX) &&
		       is_step(before->temporary, now->temporary, calls);
	return is_step(before->allocs, now->allocs, calls) &&
	       is_step(before->alloc_bytes, now->alloc_bytes, BYTES_MAX) &&
	       is_step(before->reallocs, now->reallocs, calls) &&
	       is_step(before->growth_bytes, now->growth_bytes, BYTES_MAX);
}

/* A counter that was just written may have been copied in two halves: then a second look shows it
 * whole. */
static bool is_believed(const struct pass *pass, uint64_t index,
			const struct rsprof_shm_counts *before, struct rsprof_shm_counts *now)
{
	if (is_possible(pass->counts, pass->part, before, now))
		return true;
	return agent_region_read_element(pass->region, RSPROF_SHM_COUNTS, index, now,
					 sizeof(*now)) == 0 &&
	       is_possible(pass->counts, pass->part, before, now);
}

static void take_frees(struct agent_counts *counts, uint32_t number,
		       struct rsprof_shm_counts *before, const struct rsprof_shm_counts *now)
{
	struct agent_site *site = site_of(counts, number);
	uint64_t frees = now->frees - before->frees;

	counts->free_bytes += now->free_bytes - before->free_bytes;
	/* By an agent that had slept, these are of an earlier session. */
	if (!site->is_inherited) {
		site->seen.frees += frees;
		site->seen.free_bytes += now->free_bytes - before->free_bytes;
		site->seen.temporary += now->temporary - before->temporary;
		counts->calls += frees;
		mark(counts, number);
	} else if (counts->has_read || counts->is_forked) {
		counts->inherited_frees += frees;
		counts->calls += frees;
	}
	before->frees = now->frees;
	before->free_bytes = now->free_bytes;
	before->temporary = now->temporary;
}

static void take_allocs(struct agent_counts *counts, uint32_t number,
			struct rsprof_shm_counts *before, const struct rsprof_shm_counts *now)
{
	struct agent_site *site = site_of(counts, number);

	counts->alloc_bytes += now->alloc_bytes - before->alloc_bytes;
	counts->growth_bytes += now->growth_bytes - before->growth_bytes;
	if (!site->is_inherited) {
		site->seen.allocs += now->allocs - before->allocs;
		site->seen.alloc_bytes += now->alloc_bytes - before->alloc_bytes;
		site->seen.reallocs += now->reallocs - before->reallocs;
		site->seen.growth_bytes += now->growth_bytes - before->growth_bytes;
		counts->calls += now->allocs - before->allocs;
		mark(counts, number);
	}
	before->allocs = now->allocs;
	before->alloc_bytes = now->alloc_bytes;
	before->reallocs = now->reallocs;
	before->growth_bytes = now->growth_bytes;
}

/* Sums over all that is counted stay numbers, too. */
static bool fits(const struct agent_counts *counts, enum part part,
		 const struct rsprof_shm_counts *before, const struct rsprof_shm_counts *now)
{
	uint64_t bytes = part == FREES ? now->free_bytes - before->free_bytes
				       : now->alloc_bytes - before->alloc_bytes;
	uint64_t growth = part == FREES ? 0 : now->growth_bytes - before->growth_bytes;
	uint64_t all = part == FREES ? counts->free_bytes : counts->alloc_bytes;

	return bytes <= BYTES_MAX - all && growth <= BYTES_MAX &&
	       growth <= BYTES_MAX - counts->growth_bytes && counts->calls <= CALLS_MAX;
}

static bool is_same(enum part part, const struct rsprof_shm_counts *a,
		    const struct rsprof_shm_counts *b)
{
	if (part == FREES)
		return a->frees == b->frees && a->free_bytes == b->free_bytes &&
		       a->temporary == b->temporary;
	return a->allocs == b->allocs && a->alloc_bytes == b->alloc_bytes &&
	       a->reallocs == b->reallocs && a->growth_bytes == b->growth_bytes;
}

static bool is_site(uint32_t number)
{
	return number >= RSPROF_SHM_SITE_FIRST || number == RSPROF_SHM_SITE_FULL ||
	       number == RSPROF_SHM_SITE_UNTRACKED;
}

static void take_site(const struct pass *pass, uint32_t number, struct rsprof_shm_counts *before,
		      const void *raw)
{
	struct agent_counts *counts = pass->counts;
	struct rsprof_shm_counts now;

	memcpy(&now, raw, sizeof(now));
	if (!is_site(number) || is_same(pass->part, before, &now))
		return;
	if (!is_believed(pass, (uint64_t)pass->lane * pass->region->layout.sites + number, before,
			 &now) ||
	    !fits(counts, pass->part, before, &now)) {
		counts->bad++;
		return;
	}
	if (pass->part == FREES)
		take_frees(counts, number, before, &now);
	else
		take_allocs(counts, number, before, &now);
}

static bool is_zero(const uint8_t *bytes, size_t count)
{
	return count == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, count - 1) == 0);
}

static void take_block(const struct pass *pass, uint64_t block, const uint8_t *raw, uint32_t sites)
{
	struct agent_counts *counts = pass->counts;
	bool is_plain = pass->stride == sizeof(struct rsprof_shm_counts);
	uint64_t key = (uint64_t)pass->lane << 32 | block;
	struct agent_block *kept;

	if (u64_map_get(&counts->block_of, key) == ABSENT && is_zero(raw, sites * pass->stride))
		return;
	kept = block_of(counts, pass->lane, block);
	if (!kept) {
		counts->bad++;
		return;
	}
	if (is_plain && memcmp(kept, raw, sites * pass->stride) == 0)
		return;
	for (uint32_t i = 0; i < sites; i++)
		take_site(pass, (uint32_t)(block * BLOCK_SITES + i), &kept->sites[i],
			  raw + i * pass->stride);
}

/* Blocks [first, end) of the lane's first `sites` sites. */
static int read_blocks(const struct pass *pass, uint64_t first, uint64_t end, uint32_t sites)
{
	uint64_t block_bytes = BLOCK_SITES * pass->stride;
	uint64_t lane_at = (uint64_t)pass->lane * pass->region->layout.sites * pass->stride;
	uint64_t at_once = READ_BYTES / block_bytes;

	while (first < end) {
		uint64_t count = end - first < at_once ? end - first : at_once;
		uint64_t last = (first + count) * BLOCK_SITES;
		uint64_t got = (last < sites ? last : sites) - first * BLOCK_SITES;
		int ret = agent_region_read(pass->region, RSPROF_SHM_COUNTS,
					    lane_at + first * block_bytes, pass->counts->buffer,
					    got * pass->stride);

		if (ret < 0)
			return ret;
		for (uint64_t i = 0; i < count; i++) {
			uint64_t left = got - i * BLOCK_SITES;

			take_block(pass, first + i, pass->counts->buffer + i * block_bytes,
				   (uint32_t)(left < BLOCK_SITES ? left : BLOCK_SITES));
		}
		first += count;
	}
	return 0;
}

static int read_lane(struct pass *pass, uint32_t sites)
{
	uint64_t lane_at = (uint64_t)pass->lane * pass->region->layout.sites * pass->stride;
	uint64_t end = lane_at + sites * pass->stride, at = lane_at, data_end, next = 0;
	uint64_t block_bytes = BLOCK_SITES * pass->stride;

	while (agent_region_next_data(pass->region, RSPROF_SHM_COUNTS, &at, end, &data_end)) {
		uint64_t first = (at - lane_at) / block_bytes;
		uint64_t last = (data_end - lane_at + block_bytes - 1) / block_bytes;
		int ret;

		if (first < next)
			first = next;
		ret = first < last ? read_blocks(pass, first, last, sites) : 0;
		if (ret < 0)
			return ret;
		if (last > next)
			next = last;
		at = data_end;
	}
	return 0;
}

static int read_part(struct agent_counts *counts, const struct agent_region *region, enum part part,
		     uint32_t sites)
{
	struct pass pass = {
		.counts = counts,
		.region = region,
		.part = part,
		.stride = region->layout.sections[RSPROF_SHM_COUNTS].stride,
	};
	int ret = 0;

	for (; pass.lane < region->layout.lanes && ret == 0; pass.lane++)
		ret = read_lane(&pass, sites);
	return ret;
}

/* A call takes a nanosecond at least. The lane that threads share is of as many as there are. */
static uint64_t most_calls(const struct agent_counts *counts, const struct agent_region *region,
			   uint64_t now_ns)
{
	uint64_t age = now_ns > region->facts.created_ns ? now_ns - region->facts.created_ns : 0;

	if (counts->is_estimate || age > CALLS_MAX / AGENT_LANES_MAX)
		return CALLS_MAX;
	return age * AGENT_LANES_MAX;
}

/* The frees of a moment, then the allocations of a later one: numbers are told out between both,
 * and a site that is new has no frees in the first. */
static uint32_t told_sites(const struct agent_region *region)
{
	uint32_t next = region->header.next_site;

	if (next < RSPROF_SHM_SITE_FIRST)
		next = RSPROF_SHM_SITE_FIRST;
	return next < region->layout.sites ? next : region->layout.sites;
}

int agent_counts_read(struct agent_counts *counts, const struct agent_region *region,
		      uint64_t now_ns)
{
	uint32_t sites = told_sites(region);
	int ret;

	counts->most_calls = most_calls(counts, region, now_ns);
	if (!counts->buffer)
		counts->buffer = mem_alloc(READ_BYTES);
	ret = read_part(counts, region, FREES, sites);
	if (ret == 0)
		ret = read_part(counts, region, ALLOCS, sites);
	counts->has_read = true;
	return ret;
}

/* ---- telling */

/* What is to be told of the site by now, all in all. */
static struct heap_counts total(const struct agent_counts *counts, const struct agent_site *site,
				uint32_t number)
{
	const struct heap_counts *seen = &site->seen;
	struct heap_counts next = site->told.counts;
	bool is_untracked = number == RSPROF_SHM_SITE_UNTRACKED;

	next.allocs = seen->allocs;
	next.alloc_bytes = seen->alloc_bytes;
	next.untracked =
		heap_told_go_on(next.untracked, is_untracked ? seen->allocs : site->told.lost_calls,
				next.allocs - next.frees);
	next.untracked_bytes = heap_told_go_on(
		next.untracked_bytes, is_untracked ? seen->alloc_bytes : site->told.lost_bytes,
		next.alloc_bytes - next.free_bytes);
	next.frees = heap_told_go_on(next.frees, seen->frees, next.allocs - next.untracked);
	next.free_bytes = heap_told_go_on(next.free_bytes, seen->free_bytes,
					  next.alloc_bytes - next.untracked_bytes);
	next.temporary = heap_told_go_on(next.temporary, seen->temporary, next.frees);
	next.reallocs = heap_told_go_on(next.reallocs, seen->reallocs, next.allocs);
	next.growth_bytes =
		heap_told_go_on(next.growth_bytes, seen->growth_bytes, next.alloc_bytes);
	if (counts->is_estimate)
		next.estimated = next.allocs;
	return next;
}

static void tell_site(struct agent_counts *counts, uint32_t number, const struct heap_counts *next,
		      uint64_t time_ns, source_sink sink, void *context)
{
	heap_told_tell(&counts->sites.items[number].told, next, counts->first_key + number,
		       counts->pid, time_ns, sink, context);
}

/* A stack that freed more than it allocated is no stack's. */
static void check_balance(struct agent_counts *counts, const struct agent_site *site)
{
	if (site->seen.frees > site->seen.allocs || site->seen.free_bytes > site->seen.alloc_bytes)
		counts->bad++;
}

void agent_counts_tell(struct agent_counts *counts, uint64_t time_ns, bool is_last,
		       agent_tell_stack tell_stack, void *stack_context, source_sink sink,
		       void *context)
{
	size_t kept = 0;

	for (size_t i = 0; i < counts->dirty.count; i++) {
		uint32_t number = counts->dirty.items[i];
		struct agent_site *site = &counts->sites.items[number];
		struct heap_counts next;

		if (number >= RSPROF_SHM_SITE_FIRST && !site->is_stack_told)
			site->is_stack_told = tell_stack(stack_context, number);
		if (number >= RSPROF_SHM_SITE_FIRST && !site->is_stack_told && !is_last) {
			counts->dirty.items[kept++] = number;
			continue;
		}
		site->is_dirty = false;
		check_balance(counts, site);
		next = total(counts, site, number);
		tell_site(counts, number, &next, time_ns, sink, context);
	}
	counts->dirty.count = kept;
}

bool agent_counts_is_told(const struct agent_counts *counts, uint32_t number)
{
	return number < RSPROF_SHM_SITE_FIRST ||
	       (number < counts->sites.count && counts->sites.items[number].is_stack_told);
}

void agent_counts_write_off(struct agent_counts *counts, uint32_t end, uint64_t time_ns,
			    source_sink sink, void *context)
{
	for (uint32_t number = 0; number < counts->sites.count && number < end; number++) {
		struct agent_site *site = &counts->sites.items[number];
		struct heap_counts next = total(counts, site, number);

		heap_told_write_off(&site->told, &next);
		tell_site(counts, number, &next, time_ns, sink, context);
	}
}

void agent_counts_set_first(struct agent_counts *counts, uint32_t first_site)
{
	counts->first_site = first_site;
	for (size_t i = RSPROF_SHM_SITE_FIRST; i < counts->sites.count && i < first_site; i++)
		counts->sites.items[i].is_inherited = true;
}
