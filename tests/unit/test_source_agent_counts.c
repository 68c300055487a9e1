/* Counters of an agent become events: every unit once, whatever is written while they are read, and
 * nothing that cannot be. */
#include <sys/wait.h>

#include "reader/source/agent_counts.h"
#include "tests/unit/agent_region_maker.h"

enum { SITES = 64 };

static struct heap_counts told[SITES];
static uint64_t stacks_told, events;
static bool has_stacks = true;

static void take(void *context, const struct event *event)
{
	uint64_t site = event->heap_counts.site - 1000;
	struct heap_counts *counts;

	CHECK_EQ_I64(event->type, EVENT_HEAP_COUNTS);
	CHECK(site < SITES);
	counts = &told[site];
	heap_counts_add(counts, &event->heap_counts.counts);
	CHECK(counts->frees + counts->untracked <= counts->allocs);
	CHECK(counts->free_bytes + counts->untracked_bytes <= counts->alloc_bytes);
	CHECK(counts->alloc_bytes < UINT64_C(1) << 62);
	events++;
}

static bool tell_stack(void *context, uint32_t site)
{
	stacks_told += has_stacks;
	return has_stacks;
}

static struct agent_counts new_counts(void)
{
	struct agent_counts counts = {.pid = 1, .first_key = 1000};

	agent_counts_set_first(&counts, RSPROF_SHM_SITE_FIRST);
	return counts;
}

static void look(struct agent_counts *counts, struct agent_region *region, bool is_last)
{
	CHECK_EQ_I64(agent_region_refresh(region), 0);
	CHECK_EQ_I64(agent_counts_read(counts, region, clock_now_ns()), 0);
	agent_counts_tell(counts, 1, is_last, tell_stack, NULL, take, NULL);
}

TEST(lanes_add_up_and_only_differences_are_told)
{
	struct maker maker = maker_open();
	struct agent_region *region = maker_region(&maker);
	struct agent_counts counts = new_counts();
	uint32_t site = maker_site(&maker, 1, 0x1000);

	for (uint32_t lane = 0; lane < MAKER_LANES; lane++)
		maker_alloc(&maker, lane, site, 100 + lane);
	maker_free(&maker, 0, site, 103);
	look(&counts, region, false);
	CHECK_EQ_U64(told[site].allocs, 4);
	CHECK_EQ_U64(told[site].alloc_bytes, 406);
	CHECK_EQ_U64(told[site].frees, 1);
	CHECK_EQ_U64(told[site].free_bytes, 103);
	CHECK_EQ_U64(counts.calls, 5);
	look(&counts, region, false);
	CHECK_EQ_U64(events, 1);
	CHECK_EQ_U64(stacks_told, 1);
	maker_counts(&maker, 2, site)->reallocs = 1;
	maker_counts(&maker, 2, site)->growth_bytes = 50;
	maker_counts(&maker, 3, site)->temporary = 1;
	look(&counts, region, false);
	CHECK_EQ_U64(events, 2);
	CHECK_EQ_U64(told[site].reallocs, 1);
	CHECK_EQ_U64(told[site].growth_bytes, 50);
	CHECK_EQ_U64(told[site].temporary, 1);
	CHECK_EQ_U64(counts.bad, 0);
	agent_counts_done(&counts);
	agent_region_close(region);
	maker_close(&maker);
}

TEST(a_site_waits_for_its_stack_until_the_end)
{
	struct maker maker = maker_open();
	struct agent_region *region = maker_region(&maker);
	struct agent_counts counts = new_counts();
	uint32_t site = maker_site(&maker, 1, 0x1000);

	has_stacks = false;
	maker_alloc(&maker, 0, site, 10);
	look(&counts, region, false);
	CHECK_EQ_U64(events, 0);
	look(&counts, region, true);
	CHECK_EQ_U64(told[site].allocs, 1);
	agent_counts_done(&counts);
	agent_region_close(region);
	maker_close(&maker);
}

TEST(sites_without_a_stack_are_told_for_what_they_are)
{
	struct maker maker = maker_open();
	struct agent_region *region = maker_region(&maker);
	struct agent_counts counts = new_counts();

	maker_alloc(&maker, 0, RSPROF_SHM_SITE_FULL, 10);
	maker_free(&maker, 0, RSPROF_SHM_SITE_FULL, 10);
	maker_alloc(&maker, 0, RSPROF_SHM_SITE_UNTRACKED, 20);
	maker_alloc(&maker, 0, RSPROF_SHM_SITE_NONE, 30);
	maker_alloc(&maker, 0, 5, 40);
	look(&counts, region, false);
	CHECK_EQ_U64(events, 2);
	CHECK_EQ_U64(told[RSPROF_SHM_SITE_FULL].frees, 1);
	CHECK_EQ_U64(told[RSPROF_SHM_SITE_UNTRACKED].untracked, 1);
	CHECK_EQ_U64(told[RSPROF_SHM_SITE_UNTRACKED].untracked_bytes, 20);
	CHECK_EQ_U64(stacks_told, 0);
	agent_counts_done(&counts);
	agent_region_close(region);
	maker_close(&maker);
}

TEST(frees_of_inherited_blocks_are_of_no_stack)
{
	struct maker maker = maker_open();
	struct agent_region *region;
	struct agent_counts counts = {.pid = 1, .first_key = 1000, .is_forked = true};
	uint32_t inherited = maker_site(&maker, 1, 0x1000), own;

	maker.header->first_site = maker.header->next_site;
	own = maker_site(&maker, 1, 0x2000);
	region = maker_region(&maker);
	agent_counts_set_first(&counts, maker.header->first_site);
	maker_free(&maker, 0, inherited, 100);
	maker_alloc(&maker, 0, own, 10);
	look(&counts, region, false);
	CHECK_EQ_U64(counts.inherited_frees, 1);
	CHECK_EQ_U64(told[own].allocs, 1);
	CHECK_EQ_U64(events, 1);
	agent_counts_done(&counts);
	agent_region_close(region);
	maker_close(&maker);
}

TEST(what_an_agent_counted_before_it_slept_is_not_told)
{
	struct maker maker = maker_open();
	struct agent_region *region;
	struct agent_counts counts = new_counts();
	uint32_t before = maker_site(&maker, 1, 0x1000);

	maker_alloc(&maker, 0, before, 100);
	maker_free(&maker, 0, before, 100);
	region = maker_region(&maker);
	agent_counts_set_first(&counts, maker.header->next_site);
	look(&counts, region, false);
	CHECK_EQ_U64(events, 0);
	CHECK_EQ_U64(counts.inherited_frees, 0);
	agent_counts_done(&counts);
	agent_region_close(region);
	maker_close(&maker);
}

TEST(what_is_written_off_is_freed_no_more)
{
	struct maker maker = maker_open();
	struct agent_region *region = maker_region(&maker);
	struct agent_counts counts = new_counts();
	uint32_t site = maker_site(&maker, 1, 0x1000);

	for (int i = 0; i < 3; i++)
		maker_alloc(&maker, 0, site, 10);
	maker_free(&maker, 0, site, 10);
	look(&counts, region, false);
	agent_counts_write_off(&counts, UINT32_MAX, 1, take, NULL);
	CHECK_EQ_U64(told[site].untracked, 2);
	CHECK_EQ_U64(told[site].untracked_bytes, 20);
	CHECK_EQ_U64(heap_live_bytes(&told[site]), 0);
	agent_counts_write_off(&counts, UINT32_MAX, 1, take, NULL);
	CHECK_EQ_U64(told[site].untracked, 2);
	maker_alloc(&maker, 0, site, 5);
	look(&counts, region, false);
	CHECK_EQ_U64(heap_live_bytes(&told[site]), 5);
	agent_counts_done(&counts);
	agent_region_close(region);
	maker_close(&maker);
}

/* ---- what cannot be */

TEST(a_counter_that_goes_back_is_refused_and_counted)
{
	struct maker maker = maker_open();
	struct agent_region *region = maker_region(&maker);
	struct agent_counts counts = new_counts();
	uint32_t site = maker_site(&maker, 1, 0x1000), other = maker_site(&maker, 1, 0x2000);

	maker_alloc(&maker, 0, site, 100);
	maker_alloc(&maker, 0, site, 100);
	look(&counts, region, false);
	maker_counts(&maker, 0, site)->allocs = 1;
	maker_alloc(&maker, 1, other, 7);
	look(&counts, region, false);
	CHECK_EQ_U64(counts.bad, 1);
	CHECK_EQ_U64(told[site].allocs, 2);
	CHECK_EQ_U64(told[other].allocs, 1);
	maker_counts(&maker, 0, site)->allocs = 3;
	maker_counts(&maker, 0, site)->alloc_bytes = 300;
	look(&counts, region, false);
	CHECK_EQ_U64(counts.bad, 1);
	CHECK_EQ_U64(told[site].allocs, 3);
	agent_counts_done(&counts);
	agent_region_close(region);
	maker_close(&maker);
}

TEST(a_counter_that_jumps_is_refused_and_counted)
{
	struct maker maker = maker_open();
	struct agent_region *region = maker_region(&maker);
	struct agent_counts counts = new_counts();
	uint32_t site = maker_site(&maker, 1, 0x1000);

	maker_counts(&maker, 0, site)->allocs = UINT64_C(1) << 60;
	maker_counts(&maker, 1, site)->alloc_bytes = UINT64_MAX;
	maker_counts(&maker, 2, site)->frees = UINT64_MAX / 2;
	look(&counts, region, true);
	CHECK_EQ_U64(counts.bad, 3);
	CHECK_EQ_U64(events, 0);
	agent_counts_done(&counts);
	agent_region_close(region);
	maker_close(&maker);
}

TEST(sums_stay_numbers)
{
	struct maker maker = maker_open();
	struct agent_region *region = maker_region(&maker);
	struct agent_counts counts = new_counts();
	uint32_t site = maker_site(&maker, 1, 0x1000);

	for (uint32_t lane = 0; lane < MAKER_LANES; lane++) {
		maker_counts(&maker, lane, site)->allocs = 1;
		maker_counts(&maker, lane, site)->alloc_bytes = UINT64_C(3) << 60;
	}
	look(&counts, region, true);
	CHECK_EQ_U64(told[site].allocs, 1);
	CHECK_EQ_U64(counts.bad, 3);
	agent_counts_done(&counts);
	agent_region_close(region);
	maker_close(&maker);
}

TEST(a_stack_cannot_free_more_than_it_allocated)
{
	struct maker maker = maker_open();
	struct agent_region *region = maker_region(&maker);
	struct agent_counts counts = new_counts();
	uint32_t site = maker_site(&maker, 1, 0x1000);

	maker_alloc(&maker, 0, site, 10);
	maker_free(&maker, 1, site, 10);
	maker_free(&maker, 1, site, 10);
	look(&counts, region, true);
	CHECK_EQ_U64(told[site].frees, 1);
	CHECK_EQ_U64(counts.bad, 1);
	agent_counts_done(&counts);
	agent_region_close(region);
	maker_close(&maker);
}

TEST(elements_that_a_later_version_made_larger_are_read)
{
	struct maker maker = maker_open();
	struct rsprof_shm_section *section = &maker.header->sections[RSPROF_SHM_COUNTS];
	struct agent_counts counts = new_counts();
	struct rsprof_shm_counts *at;
	struct agent_region *region;
	uint32_t site;

	section->stride = 72;
	section->offset = 2 << 20;
	region = maker_region(&maker);
	for (int i = 0; i < 40; i++) {
		site = maker_site(&maker, 1, 0x1000);
		at = (void *)(maker.memory + section->offset + (2 * MAKER_SITES + site) * 72);
		at->allocs = 1;
		at->alloc_bytes = site;
	}
	look(&counts, region, false);
	for (uint32_t i = RSPROF_SHM_SITE_FIRST; i <= site; i++)
		CHECK_EQ_U64(told[i].alloc_bytes, i);
	agent_counts_done(&counts);
	agent_region_close(region);
	maker_close(&maker);
}

/* ---- a writer at work */

static void write_pairs(struct maker *maker, uint32_t site, uint64_t pairs)
{
	for (uint64_t i = 0; i < pairs; i++) {
		struct rsprof_shm_counts *alloc = maker_counts(maker, i & 1, site);
		struct rsprof_shm_counts *freed = maker_counts(maker, (i >> 1) & 3, site);

		__atomic_store_n(&alloc->allocs, alloc->allocs + 1, __ATOMIC_RELEASE);
		__atomic_store_n(&alloc->alloc_bytes, alloc->alloc_bytes + 64, __ATOMIC_RELEASE);
		__atomic_store_n(&freed->frees, freed->frees + 1, __ATOMIC_RELEASE);
		__atomic_store_n(&freed->free_bytes, freed->free_bytes + 64, __ATOMIC_RELEASE);
	}
}

TEST(what_is_freed_while_it_is_read_has_its_allocation)
{
	enum { PAIRS = 3000000 };
	struct maker maker = maker_open();
	struct agent_region *region = maker_region(&maker);
	struct agent_counts counts = new_counts();
	uint32_t site = maker_site(&maker, 1, 0x1000);
	pid_t writer = fork();
	int status = 0;

	if (writer == 0) {
		write_pairs(&maker, site, PAIRS);
		_exit(0);
	}
	while (waitpid(writer, &status, WNOHANG) == 0)
		look(&counts, region, false);
	CHECK_EQ_I64(status, 0);
	look(&counts, region, true);
	CHECK_EQ_U64(told[site].allocs, PAIRS);
	CHECK_EQ_U64(told[site].frees, PAIRS);
	CHECK_EQ_U64(told[site].alloc_bytes, 64 * (uint64_t)PAIRS);
	CHECK_EQ_U64(told[site].free_bytes, 64 * (uint64_t)PAIRS);
	CHECK_EQ_U64(counts.bad, 0);
	agent_counts_done(&counts);
	agent_region_close(region);
	maker_close(&maker);
}

KIT_MAIN
