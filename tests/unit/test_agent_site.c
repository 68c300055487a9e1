/* Numbers of stacks: one a stack, told whole before it is given out, and none that is somebody
 * else's. */
#include <pthread.h>
#include <stdlib.h>

#include "tests/unit/agent_rig.h"

enum { STACKS = 20000, THREADS = 8, LONGEST = 30 };

static uint64_t pcs_of(uint32_t number, uint64_t *pcs, uint32_t *ret_count)
{
	uint64_t hash = 0;

	*ret_count = 1 + number % LONGEST;
	for (uint32_t i = 0; i < *ret_count; i++)
		pcs[i] = 0x400000 + (uint64_t)(number + 1) * 7919 * (i + 1) % 100003;
	for (uint32_t i = *ret_count; i-- > 0;)
		hash = site_hash_step(hash, pcs[i]);
	return hash;
}

/* The outer part in the order of chains, as the unwinder has it. */
static uint32_t intern(uint32_t number)
{
	uint64_t pcs[LONGEST], outer[LONGEST];
	uint32_t count, inner;
	struct site_stack stack = {.leaf = number, .inner = pcs};

	stack.hash = pcs_of(number, pcs, &count);
	inner = number % (count + 1);
	for (uint32_t i = 0; i < count - inner; i++)
		outer[i] = pcs[count - 1 - i];
	stack.inner_count = inner;
	stack.outer_count = count - inner;
	stack.outer_top = outer + (count - inner) - (count > inner);
	stack.status = number % 3 ? RSPROF_SHM_COMPLETE : RSPROF_SHM_TRUNCATED;
	return site_intern(&stack);
}

static void check_told(uint32_t site, uint32_t number)
{
	const struct rsprof_shm_stack *record = rig_stack(site);
	uint64_t pcs[LONGEST];
	uint32_t count;

	pcs_of(number, pcs, &count);
	CHECK_EQ_U64(record->site, site);
	CHECK_EQ_U64(record->frame_count, count + 1);
	CHECK_EQ_U64(record->status, number % 3 ? RSPROF_SHM_COMPLETE : RSPROF_SHM_TRUNCATED);
	CHECK_EQ_U64(rig_pcs(record)[0], number);
	for (uint32_t i = 0; i < count; i++)
		CHECK_EQ_U64(rig_pcs(record)[1 + i], pcs[i]);
}

static void *intern_all(void *context)
{
	uint32_t first = (uint32_t)(uintptr_t)context * 131;

	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < STACKS; i++) {
			uint32_t number = (i * 7 + first) % STACKS, site = intern(number);

			check_told(site, number);
		}
	}
	return NULL;
}

TEST(each_stack_is_told_exactly_by_many_threads)
{
	static uint32_t sites[STACKS];
	pthread_t threads[THREADS];
	uint32_t made;

	rig_open();
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, intern_all, (void *)i) == 0);
	for (unsigned i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	/* From now on each has one number. What was made twice in a race is few. */
	made = agent_state.header->next_site - RSPROF_SHM_SITE_FIRST;
	CHECK_BETWEEN(made, STACKS, STACKS + STACKS / 10);
	for (uint32_t i = 0; i < STACKS; i++) {
		sites[i] = intern(i);
		check_told(sites[i], i);
	}
	for (uint32_t i = 0; i < STACKS; i++)
		CHECK_EQ_U64(intern(i), sites[i]);
	CHECK_EQ_U64(agent_state.header->next_site - RSPROF_SHM_SITE_FIRST, made);
	CHECK_EQ_U64(rig_lost[RSPROF_SHM_LOST_SITES], 0);
}

TEST(a_full_table_is_counted_and_charges_nobody)
{
	enum { ROOM = 100 };

	rig_open_with((struct rig_sizes){RSPROF_SHM_SITE_FIRST + ROOM, 16, 1 << 20});
	for (unsigned round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 250; i++) {
			uint32_t site = intern(i);

			if (i < ROOM)
				check_told(site, i);
			else
				CHECK_EQ_U64(site, RSPROF_SHM_SITE_FULL);
		}
	}
	CHECK_EQ_U64(rig_lost[RSPROF_SHM_LOST_SITES], 3 * 150);
	CHECK_EQ_U64(agent_state.header->next_site, RSPROF_SHM_SITE_FIRST + ROOM);
}

TEST(full_memory_for_stacks_is_counted)
{
	uint64_t full = 0;

	rig_open_with((struct rig_sizes){1 << 12, 16, 16384});
	for (uint32_t i = 0; i < 500; i++) {
		uint32_t site = intern(i);

		if (site == RSPROF_SHM_SITE_FULL)
			full++;
		else
			check_told(site, i);
	}
	CHECK(full > 0 && full < 500);
	CHECK_EQ_U64(rig_lost[RSPROF_SHM_LOST_SITES], full);
	CHECK(agent_state.header->stacks_used <= 16384);
}

TEST(a_new_session_goes_on_with_its_numbers)
{
	uint32_t first, second;

	rig_open();
	first = intern(5);
	CHECK_EQ_U64(intern(5), first);
	CHECK(unwind_begin());
	second = intern(5);
	CHECK(second > first);
	CHECK_EQ_U64(intern(5), second);
	check_told(second, 5);
}

/* A forked child may find it all gone in the midst of things. */
TEST(without_shared_memory_there_is_no_number)
{
	rig_open();
	memset(&agent_state, 0, sizeof(agent_state));
	CHECK_EQ_U64(intern(5), RSPROF_SHM_SITE_FULL);
}

KIT_MAIN
