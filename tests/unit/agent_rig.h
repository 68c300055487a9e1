/* What the agent's unwinder needs around it, without hooks: a session in private memory, and
 * captures of the stack beside libc's own backtrace(). */
#ifndef RSPROF_TEST_AGENT_RIG_H
#define RSPROF_TEST_AGENT_RIG_H

#include <execinfo.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/site.h"
#include "tests/lib/kit.h"

__thread struct agent_thread agent_thread;
union agent_page agent_page;
struct agent_process agent_process;
struct agent_config agent_config;

static _Atomic uint64_t rig_lost[RSPROF_SHM_LOST_MAX];

void agent_lost(enum rsprof_shm_lost cause, uint64_t count)
{
	rig_lost[cause] += count;
}

static void *rig_map(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(memory != MAP_FAILED);
	return memory;
}

static inline struct agent_lane rig_new_lane(void)
{
	return (struct agent_lane){.memos = rig_map(unwind_memo_bytes())};
}

struct rig_sizes {
	uint32_t sites, modules;
	uint64_t stacks_bytes;
};

static const struct rig_sizes rig_usual = {1 << 18, 1024, 256 << 20};

static void rig_open_with(struct rig_sizes sizes)
{
	void *warm[2];

	agent_state.header = rig_map(sizeof(struct rsprof_shm_header));
	agent_state.header->site_count = sizes.sites;
	agent_state.header->next_site = agent_state.header->first_site = RSPROF_SHM_SITE_FIRST;
	agent_state.sites = rig_map(8 * (size_t)sizes.sites);
	agent_state.stacks = rig_map(sizes.stacks_bytes);
	agent_state.stacks_bytes = sizes.stacks_bytes;
	agent_state.module_max = sizes.modules;
	agent_state.modules = rig_map((sizes.modules + 1) * sizeof(*agent_state.modules));
	backtrace(warm, 2);
	CHECK(unwind_begin());
}

static inline void rig_open(void)
{
	rig_open_with(rig_usual);
}

static inline const struct rsprof_shm_stack *rig_stack(uint32_t site)
{
	uint64_t offset;

	CHECK(site >= RSPROF_SHM_SITE_FIRST && site < agent_state.header->next_site);
	offset = agent_state.sites[site];
	CHECK(offset > 0 && offset % 8 == 0 && offset < agent_state.header->stacks_used);
	return (const void *)(agent_state.stacks + offset);
}

static inline const uint64_t *rig_pcs(const struct rsprof_shm_stack *stack)
{
	return (const void *)(stack + 1);
}

enum { RIG_LEAF = 0x1234, RIG_FRAMES = 512 };

/* The frame of whoever called the function that this is expanded in. */
#define RIG_FRAME()                                                                                \
	((struct agent_frame){(uintptr_t)__builtin_return_address(0),                              \
			      (uintptr_t)__builtin_frame_address(0) + 16,                          \
			      *(uintptr_t *)__builtin_frame_address(0)})

/* As a hook does it. */
__attribute__((noinline, unused)) static uint32_t rig_site(struct agent_lane *lane)
{
	struct agent_frame frame = RIG_FRAME();

	return unwind_site(&agent_thread, lane, RIG_LEAF, &frame);
}

/* Sanitizers have a backtrace() of their own, whose frame comes first. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { RIG_INTERCEPTED = 1 };
#else
enum { RIG_INTERCEPTED = 0 };
#endif

/* The same, and what backtrace() says. */
struct rig_both {
	uint32_t site;
	int count;
	void *expected[RIG_FRAMES]; /* its first one is within rig_capture() */
};

__attribute__((noinline, unused)) static void rig_capture(struct agent_lane *lane,
							  struct rig_both *both)
{
	struct agent_frame frame = RIG_FRAME();

	both->site = unwind_site(&agent_thread, lane, RIG_LEAF, &frame);
	both->count = backtrace(both->expected, RIG_FRAMES);
}

/* Frame by frame the same. */
__attribute__((unused)) static void rig_check_same(const struct rig_both *both)
{
	const struct rsprof_shm_stack *stack = rig_stack(both->site);
	const uint64_t *pcs = rig_pcs(stack);
	void *const *expected = both->expected + RIG_INTERCEPTED;
	int count = both->count - RIG_INTERCEPTED;

	CHECK_EQ_U64(stack->site, both->site);
	CHECK_EQ_U64(pcs[0], RIG_LEAF);
	/* libgcc tells of the end as an address of 0. */
	if (count && !expected[count - 1])
		count--;
	if (count > AGENT_FRAMES_MAX) {
		CHECK_EQ_U64(stack->status, RSPROF_SHM_TRUNCATED);
		count = AGENT_FRAMES_MAX;
	} else {
		CHECK_EQ_U64(stack->status, RSPROF_SHM_COMPLETE);
	}
	CHECK_EQ_U64(stack->frame_count, (uint64_t)count);
	for (int i = 1; i < count; i++)
		CHECK_EQ_U64(pcs[i], (uint64_t)(uintptr_t)expected[i]);
}

#endif
