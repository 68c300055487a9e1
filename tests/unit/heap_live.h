/* What tests of the heap in the bpf source share: sites that allocate in known ways, and a tally of
 * what is told of them. */
#ifndef RSPROF_TESTS_UNIT_HEAP_LIVE_H
#define RSPROF_TESTS_UNIT_HEAP_LIVE_H

#include <malloc.h>

#include "tests/unit/bpf_live.h"

enum { SITES_MAX = 512, STEPS_MAX = 16, PCS_KEPT = 16 };

struct heap_site_tally {
	uint64_t site;
	uint64_t pcs[PCS_KEPT];
	uint32_t pc_count;
	enum stack_status status;
	struct heap_counts counts;
};

struct heap_tally {
	struct bpf_tally bpf;
	struct heap_site_tally sites[SITES_MAX];
	size_t site_count;
	struct heap_state state; /* the last */
	uint64_t states, copies, state_ns;
	struct delta_step steps[STEPS_MAX];
	size_t step_count;
};

static struct heap_tally tally;

static inline struct heap_site_tally *site_of(uint64_t site)
{
	size_t at = 0;

	while (at < tally.site_count && tally.sites[at].site != site)
		at++;
	if (at == SITES_MAX)
		FAIL("more than %d stacks", SITES_MAX);
	if (at == tally.site_count)
		tally.sites[tally.site_count++] = (struct heap_site_tally){.site = site};
	return &tally.sites[at];
}

static inline void take_stack(const struct event *event)
{
	struct heap_site_tally *site = site_of(event->heap_stack.site);
	uint32_t count = event->heap_stack.pc_count;

	tally.copies += event->heap_stack.registers != NULL;
	site->pc_count = count < PCS_KEPT ? count : PCS_KEPT;
	memcpy(site->pcs, event->heap_stack.pcs, site->pc_count * sizeof(*site->pcs));
	site->status = event->heap_stack.status;
}

static inline void take(void *context, const struct event *event)
{
	struct heap_counts *counts;

	switch (event->type) {
	case EVENT_HEAP_STACK:
		take_stack(event);
		break;
	case EVENT_HEAP_COUNTS:
		counts = &site_of(event->heap_counts.site)->counts;
		heap_counts_add(counts, &event->heap_counts.counts);
		CHECK(counts->frees + counts->untracked <= counts->allocs);
		CHECK(counts->free_bytes + counts->untracked_bytes <= counts->alloc_bytes);
		break;
	case EVENT_HEAP_STATE:
		CHECK(event->heap_state.hits >= tally.state.hits);
		CHECK(event->heap_state.cost_ns >= tally.state.cost_ns);
		tally.state = event->heap_state;
		tally.state_ns = event->time_ns;
		tally.states++;
		break;
	default:
		bpf_count(&tally.bpf, event);
		break;
	}
}

/* ---- the source */

static inline struct source_config heap_config(const struct live *live)
{
	struct source_config config = bpf_live_config(live, "cpu-clock");

	config.heap = HEAP_MODE_EXACT;
	config.heap_is_asked = true;
	config.heap_is_forced = true;
	config.heap_sample_bytes = 64 << 10;
	config.heap_blocks_max = 1 << 20;
	config.heap_stacks_max = 1 << 14;
	return config;
}

static inline void print_facts(struct source *source)
{
	struct source_facts facts;
	struct arena arena = {0};

	source->ops->describe(source, &arena, &facts);
	printf("# %s: %s\n", heap_mode_names[facts.heap], facts.heap_reason);
	arena_done(&arena);
}

/* Opened on the target, and started; SKIP where probes cannot be placed. */
static inline struct source *open_heap(const struct live *live, const struct source_config *config)
{
	struct source *source = bpf_live_open(config);
	struct source_facts facts;
	struct arena arena = {0};

	tally.bpf.wait_index = UINT32_MAX;
	tally.bpf.live.target_pid = (uint32_t)live->pid;
	source->ops->describe(source, &arena, &facts);
	if (facts.heap == HEAP_MODE_OFF)
		SKIP("%s", facts.heap_reason);
	arena_done(&arena);
	print_facts(source);
	bpf_live_set_code(live, source);
	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	return source;
}

static inline void drain(struct source *source)
{
	source->ops->drain(source, take, NULL);
	while (tally.step_count < STEPS_MAX &&
	       source->ops->next_step(source, &tally.steps[tally.step_count])) {
		const struct delta_step *step = &tally.steps[tally.step_count++];

		printf("# step: %s %s: %s\n", step->signal, step->mode, step->reason);
	}
}

/* Until the target says something. */
static inline void pump(const struct live *live, struct source *source, void *message, size_t size)
{
	struct pollfd readable = {.fd = live->from_fd, .events = POLLIN};
	uint64_t deadline = live_clock_ns(CLOCK_MONOTONIC) + LIVE_DEADLINE_MS * UINT64_C(1000000);

	while (poll(&readable, 1, 0) == 0) {
		if (live_clock_ns(CLOCK_MONOTONIC) > deadline)
			FAIL("the target said nothing within %d ms", LIVE_DEADLINE_MS);
		source->ops->wait(source, live->from_fd, 100);
		drain(source);
	}
	live_hear(live, message, size);
}

static inline void stop(struct source *source)
{
	source->ops->stop(source);
	drain(source);
	for (int cause = LOSS_HEAP_BLOCKS_FULL; cause <= LOSS_HEAP_CALLS_MISSED; cause++) {
		if (tally.bpf.live.lost[cause])
			FAIL("%s: %" PRIu64, loss_texts[cause].name, tally.bpf.live.lost[cause]);
	}
	CHECK_EQ_U64(tally.bpf.live.lost[LOSS_BAD_RECORD], 0);
}

/* ---- sites */

/* A function in a section of its own: where it begins and ends is known. */
#define SITE(name)                                                                                 \
	extern const char __start_site_##name[], __stop_site_##name[];                             \
	__attribute__((unused, noinline, noclone, section("site_" #name)))

#define SUM(name) sum_of(__start_site_##name, __stop_site_##name)

static inline struct heap_counts sum_of(const char *start, const char *end)
{
	struct heap_counts sum = {0};

	for (size_t i = 0; i < tally.site_count; i++) {
		const struct heap_site_tally *site = &tally.sites[i];

		for (uint32_t j = 0; j < site->pc_count; j++) {
			if (site->pcs[j] - 1 < (uintptr_t)start || site->pcs[j] > (uintptr_t)end)
				continue;
			CHECK_EQ_I64(site->status, STACK_COMPLETE);
			heap_counts_add(&sum, &site->counts);
			break;
		}
	}
	return sum;
}

static inline void check_counts(struct heap_counts got, struct heap_counts want)
{
	CHECK_EQ_U64(got.allocs, want.allocs);
	CHECK_EQ_U64(got.alloc_bytes, want.alloc_bytes);
	CHECK_EQ_U64(got.frees, want.frees);
	CHECK_EQ_U64(got.free_bytes, want.free_bytes);
	CHECK_EQ_U64(got.untracked, want.untracked);
	CHECK_EQ_U64(got.untracked_bytes, want.untracked_bytes);
	CHECK_EQ_U64(got.temporary, want.temporary);
	CHECK_EQ_U64(got.reallocs, want.reallocs);
	CHECK_EQ_U64(got.growth_bytes, want.growth_bytes);
	CHECK_EQ_U64(got.estimated, want.estimated);
}

/* What the compiler knows of a block must not make it leave out the calls. */
static void *volatile blocks[4096];

SITE(leak) static void leak(void)
{
	for (int i = 0; i < 100; i++)
		blocks[i] = malloc(100 + (size_t)i);
}

SITE(churn) static void churn(int rounds)
{
	for (int i = 0; i < rounds; i++) {
		blocks[200] = malloc(48);
		free(blocks[200]);
	}
}

/* A sanitizer's allocator ends the program where a call cannot succeed. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

#endif
