/* The agent source: out of memory that a test has written, and out of a process with the agent in
 * it. */
#include <errno.h>
#include <sys/wait.h>

#include "reader/source/source.h"
#include "tests/unit/agent_region_maker.h"
#include "tests/unit/child.h"

enum { SITES_MAX = 512, STEPS_MAX = 16 };

struct site {
	uint64_t key;
	bool has_stack;
	uint64_t first_pc;
	struct heap_counts counts;
	uint64_t peak_bytes; /* as told */
};

static struct {
	struct site sites[SITES_MAX];
	size_t site_count;
	struct heap_counts sum;
	struct heap_state state;
	uint64_t states, samples, forks, exits, comms, execs, mmaps, lost[LOSS_CAUSES];
	struct delta_step steps[STEPS_MAX];
	size_t step_count;
} tally;

static struct site *site_of(uint64_t key)
{
	size_t at = 0;

	while (at < tally.site_count && tally.sites[at].key != key)
		at++;
	if (at == SITES_MAX)
		FAIL("too many sites");
	if (at == tally.site_count)
		tally.sites[tally.site_count++] = (struct site){.key = key};
	return &tally.sites[at];
}

static void take_counts(const struct event *event)
{
	struct site *site = site_of(event->heap_counts.site);

	if ((uint32_t)site->key >= RSPROF_SHM_SITE_FIRST)
		CHECK(site->has_stack);
	if (event->heap_counts.peak_bytes > site->peak_bytes)
		site->peak_bytes = event->heap_counts.peak_bytes;
	heap_counts_add(&site->counts, &event->heap_counts.counts);
	heap_counts_add(&tally.sum, &event->heap_counts.counts);
	CHECK(site->counts.frees + site->counts.untracked <= site->counts.allocs);
}

static void take(void *context, const struct event *event)
{
	switch (event->type) {
	case EVENT_HEAP_STACK:
		site_of(event->heap_stack.site)->has_stack = true;
		if (event->heap_stack.pc_count)
			site_of(event->heap_stack.site)->first_pc = event->heap_stack.pcs[0];
		break;
	case EVENT_HEAP_COUNTS:
		take_counts(event);
		break;
	case EVENT_HEAP_STATE:
		tally.state = event->heap_state;
		tally.states++;
		break;
	case EVENT_SAMPLE:
		CHECK_EQ_U64(event->sample.value, 1);
		tally.samples++;
		break;
	case EVENT_LOST:
		tally.lost[event->lost.cause] += event->lost.count;
		break;
	case EVENT_FORK:
		tally.forks++;
		break;
	case EVENT_EXIT:
		tally.exits++;
		break;
	case EVENT_COMM:
		tally.comms++;
		tally.execs += event->comm.is_exec;
		break;
	case EVENT_MMAP:
		tally.mmaps++;
		break;
	case EVENT_TYPES:
		FAIL("no event");
	}
}

static struct source_config config_of(const struct target *target)
{
	return (struct source_config){
		.target = target,
		.events = {event_kind_by_name("cpu-clock", 9)},
		.event_count = 1,
		.frequency = 99,
		.heap = HEAP_MODE_EXACT,
	};
}

static struct source *open_source(const struct source_config *config)
{
	struct source *source = NULL;
	struct err err = {0};

	if (source_agent.open(config, &source, &err) < 0)
		FAIL("%s", err.sentence);
	CHECK_EQ_I64(source->ops->start(source, &err), 0);
	return source;
}

static void take_steps(struct source *source)
{
	while (tally.step_count < STEPS_MAX &&
	       source->ops->next_step(source, &tally.steps[tally.step_count]))
		tally.step_count++;
}

static void drain(struct source *source)
{
	CHECK_EQ_I64(source->ops->drain(source, take, NULL), 0);
	take_steps(source);
}

static void finish(struct source *source)
{
	source->ops->stop(source);
	drain(source);
}

/* ---- memory that the test has written */

TEST(what_was_counted_before_comes_first_and_then_what_is_new)
{
	struct maker maker = maker_open();
	struct source_config config = config_of(&maker.target);
	uint32_t site = maker_site(&maker, 3, 0x1000);
	struct source *source;
	struct source_facts facts;
	struct arena arena = {0};

	for (int i = 0; i < 10; i++)
		maker_alloc(&maker, 1, site, 16);
	maker_free(&maker, 2, site, 16);
	maker.lanes[1].unknown_frees = 4;
	source = open_source(&config);
	source->ops->describe(source, &arena, &facts);
	CHECK_EQ_STR(facts.name, "agent");
	CHECK_EQ_STR(facts.heap_name, "agent");
	CHECK_EQ_STR(facts.heap_reason, "the agent in it counts malloc of /lib/libc.so.6");
	CHECK_EQ_I64(facts.heap, HEAP_MODE_EXACT);
	CHECK(!source->ops->set_code);
	drain(source);
	CHECK_EQ_U64(tally.site_count, 1);
	CHECK_EQ_U64(tally.sites[0].first_pc, 0x1000);
	CHECK_EQ_U64(tally.sum.allocs, 10);
	CHECK_EQ_U64(heap_live_bytes(&tally.sum), 144);
	CHECK(tally.state.is_counted);
	CHECK_EQ_U64(tally.state.unknown_frees, 4);
	CHECK_EQ_U64(tally.state.hits, 15);
	maker_alloc(&maker, 1, site, 1000);
	finish(source);
	CHECK_EQ_U64(tally.sum.allocs, 11);
	CHECK_EQ_U64(heap_live_bytes(&tally.sum), 1144);
	CHECK_EQ_U64(tally.step_count, 0);
	source->ops->close(source);
	arena_done(&arena);
	maker_close(&maker);
}

TEST(two_readers_see_the_same)
{
	struct maker maker = maker_open();
	struct source_config config = config_of(&maker.target);
	uint32_t site = maker_site(&maker, 3, 0x1000);
	struct source *first = open_source(&config), *second = open_source(&config);

	maker_alloc(&maker, 0, site, 10);
	drain(first);
	maker_alloc(&maker, 0, site, 10);
	finish(second);
	CHECK_EQ_U64(tally.sum.allocs, 3);
	finish(first);
	CHECK_EQ_U64(tally.sum.allocs, 4);
	first->ops->close(first);
	second->ops->close(second);
	maker_close(&maker);
}

TEST(samples_of_timers_weigh_what_they_stand_for)
{
	struct maker maker = maker_open();
	struct source_config config = config_of(&maker.target);
	uint32_t site = maker_site(&maker, 3, 0x1000);
	struct source *source;
	uint64_t now;

	maker_event(&maker, 0, RSPROF_SHM_EVENT_SAMPLE, 1, site, 1); /* of before */
	source = open_source(&config);
	now = clock_now_ns();
	maker_event(&maker, 0, RSPROF_SHM_EVENT_SAMPLE, now, site, 1);
	maker_event(&maker, 1, RSPROF_SHM_EVENT_THREAD_START, now, 0, 0);
	maker_event(&maker, 1, RSPROF_SHM_EVENT_SAMPLE, now + 1, site, 4);
	maker_event(&maker, 1, RSPROF_SHM_EVENT_SAMPLE, now + 1, site, UINT64_MAX);
	maker_event(&maker, 1, RSPROF_SHM_EVENT_SAMPLE, now + 1, site + 9, 2);
	maker_event(&maker, 1, RSPROF_SHM_EVENT_THREAD_END, now + 2, 0, 0);
	finish(source);
	CHECK_EQ_U64(tally.samples, 7);
	CHECK_EQ_U64(tally.forks, 1);
	CHECK_EQ_U64(tally.exits, 1);
	CHECK_EQ_U64(tally.lost[LOSS_BAD_RECORD], 2);
	CHECK(tally.comms > 0);
	source->ops->close(source);
	maker_close(&maker);
}

TEST(losses_are_told_by_cause)
{
	struct maker maker = maker_open();
	struct source_config config = config_of(&maker.target);
	struct source *source = open_source(&config);

	for (int i = 0; i < RSPROF_SHM_LOST_CAUSES; i++)
		maker.header->lost[i] = 10 + (uint64_t)i;
	finish(source);
	CHECK_EQ_U64(tally.lost[LOSS_HEAP_STACKS_FULL], 10);
	CHECK_EQ_U64(tally.lost[LOSS_HEAP_BLOCKS_FULL], 11);
	CHECK_EQ_U64(tally.lost[LOSS_MODULES_FULL], 12);
	CHECK_EQ_U64(tally.lost[LOSS_TIMERS_MISSING], 13);
	CHECK_EQ_U64(tally.lost[LOSS_TIMER_SAMPLES], 14);
	CHECK_EQ_U64(tally.lost[LOSS_HEAP_CALLS_MISSED], 15);
	CHECK_EQ_U64(tally.lost[LOSS_BAD_RECORD], 0);
	source->ops->close(source);
	maker_close(&maker);
}

TEST(an_allocator_in_the_executable_is_said_and_nothing_counted)
{
	struct maker maker = maker_open();
	struct source_config config = config_of(&maker.target);
	struct source_facts facts;
	struct arena arena = {0};
	struct source *source;

	maker.header->state = RSPROF_SHM_OFF;
	maker.header->reason = RSPROF_SHM_OWN_ALLOCATOR;
	source = open_source(&config);
	source->ops->describe(source, &arena, &facts);
	CHECK_EQ_I64(facts.heap, HEAP_MODE_OFF);
	CHECK(strstr(facts.heap_reason, "allocator of its own"));
	finish(source);
	CHECK_EQ_U64(tally.states, 0);
	source->ops->close(source);
	arena_done(&arena);
	maker_close(&maker);
}

TEST(a_pause_is_a_step_and_so_is_its_end)
{
	struct maker maker = maker_open();
	struct source_config config = config_of(&maker.target);
	struct source *source = open_source(&config);

	drain(source);
	maker.header->state = RSPROF_SHM_PAUSED;
	finish(source);
	CHECK_EQ_U64(tally.step_count, 1);
	CHECK_EQ_STR(tally.steps[0].mode, "off");
	CHECK(strstr(tally.steps[0].reason, "paused"));
	source->ops->close(source);
	maker_close(&maker);
}

/* Lives as long as the test, beside it. */
static pid_t wake_when_leased(struct maker *maker, uint32_t site)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	while (__atomic_load_n(&maker->control->lease_ns, __ATOMIC_ACQUIRE) < clock_now_ns())
		usleep(100);
	maker->header->first_site = maker->header->next_site;
	site = maker_site(maker, 1, 0x7000);
	maker_alloc(maker, 0, site, 8);
	__atomic_store_n(&maker->header->state, RSPROF_SHM_ON, __ATOMIC_RELEASE);
	_exit(0);
}

TEST(a_dormant_agent_is_woken_and_its_past_is_not_counted)
{
	struct maker maker = maker_open();
	struct source_config config = config_of(&maker.target);
	uint32_t site = maker_site(&maker, 3, 0x1000);
	struct source *source;
	pid_t waker;

	maker_alloc(&maker, 0, site, 1000);
	maker.lanes[0].unknown_frees = 77;
	maker.header->state = RSPROF_SHM_DORMANT;
	waker = wake_when_leased(&maker, site);
	source = open_source(&config);
	CHECK_EQ_I64(waitpid(waker, NULL, 0), waker);
	finish(source);
	CHECK_EQ_U64(tally.sum.allocs, 1);
	CHECK_EQ_U64(tally.sum.alloc_bytes, 8);
	CHECK_EQ_U64(tally.sites[0].first_pc, 0x7000);
	CHECK_EQ_U64(tally.state.unknown_frees, 0);
	source->ops->close(source);
	maker_close(&maker);
}

TEST(a_new_session_writes_the_old_one_off)
{
	struct maker maker = maker_open();
	struct source_config config = config_of(&maker.target);
	uint32_t site = maker_site(&maker, 3, 0x1000);
	struct source *source = open_source(&config);

	maker_alloc(&maker, 0, site, 1000);
	drain(source);
	CHECK_EQ_U64(heap_live_bytes(&tally.sum), 1000);
	maker.header->first_site = maker.header->next_site;
	maker_alloc(&maker, 0, maker_site(&maker, 3, 0x2000), 10);
	finish(source);
	CHECK_EQ_U64(heap_live_bytes(&tally.sum), 10);
	CHECK_EQ_U64(tally.sum.untracked_bytes, 1000);
	source->ops->close(source);
	maker_close(&maker);
}

TEST(memory_that_is_swapped_under_the_reader_is_read_no_more)
{
	struct maker maker = maker_open();
	struct source_config config = config_of(&maker.target);
	uint32_t site = maker_site(&maker, 3, 0x1000);
	struct source *source = open_source(&config);

	maker_alloc(&maker, 0, site, 1000);
	drain(source);
	maker_alloc(&maker, 0, site, 1000);
	maker.header->sections[RSPROF_SHM_COUNTS].offset += 4096;
	finish(source);
	CHECK_EQ_U64(tally.sum.allocs, 1);
	CHECK_EQ_U64(tally.lost[LOSS_BAD_RECORD], 0);
	CHECK_EQ_U64(tally.step_count, 1);
	CHECK_EQ_STR(tally.steps[0].mode, "off");
	source->ops->close(source);
	maker_close(&maker);
}

TEST(a_trace_knows_its_peak_to_the_byte)
{
	struct maker maker = maker_open();
	struct source_config config = config_of(&maker.target);
	uint32_t site = maker_site(&maker, 3, 0x1000);
	struct source *source;
	uint64_t now;

	maker.header->heap = RSPROF_SHM_HEAP_TRACE;
	config.heap = HEAP_MODE_TRACE;
	source = open_source(&config);
	now = clock_now_ns();
	for (uint64_t i = 0; i < 5; i++) {
		maker_event(&maker, 0, RSPROF_SHM_EVENT_ALLOC, now + 2 * i, site, 100);
		maker_alloc(&maker, 0, site, 100);
	}
	for (uint64_t i = 0; i < 5; i++) {
		maker_event(&maker, 1, RSPROF_SHM_EVENT_FREE, now + 3 + 4 * i, site, 100);
		maker_free(&maker, 1, site, 100);
	}
	finish(source);
	CHECK(tally.state.is_peak_exact);
	/* Allocated at 0 2 4 6 8, freed at 3 7 11 15 19. */
	CHECK_EQ_U64(tally.state.peak_bytes, 300);
	CHECK_EQ_U64(tally.state.peak_ns, now + 6);
	CHECK_EQ_U64(tally.sites[0].peak_bytes, 300);
	CHECK_EQ_U64(heap_live_bytes(&tally.sum), 0);
	source->ops->close(source);
	maker_close(&maker);
}

TEST(a_trace_with_gaps_has_no_exact_peak)
{
	struct maker maker = maker_open();
	struct source_config config = config_of(&maker.target);
	uint32_t site = maker_site(&maker, 3, 0x1000);
	struct source *source;

	maker.header->heap = RSPROF_SHM_HEAP_TRACE;
	config.heap = HEAP_MODE_TRACE;
	source = open_source(&config);
	maker_event(&maker, 0, RSPROF_SHM_EVENT_ALLOC, clock_now_ns(), site, 100);
	maker.lanes[0].dropped = 3;
	finish(source);
	CHECK(!tally.state.is_peak_exact);
	CHECK_EQ_U64(site_of(UINT64_C(1) << 32 | site)->peak_bytes, 0);
	CHECK_EQ_U64(tally.lost[LOSS_HEAP_TRACE], 3);
	source->ops->close(source);
	maker_close(&maker);
}

TEST(what_the_agent_cannot_record_is_refused)
{
	struct maker maker = maker_open();
	struct source_config config = config_of(&maker.target);
	struct source *source = NULL;
	struct err err = {0};

	config.events[0] = event_kind_by_name("page-faults", strlen("page-faults"));
	CHECK(config.events[0]);
	CHECK(source_agent.open(&config, &source, &err) < 0);
	CHECK_EQ_I64(err.kind, ERR_USAGE);
	maker_close(&maker);
}

/* ---- damage without end */

enum { MUTATIONS = 100000, PARTS = 8, EVENTS_MOST = 100000 };

static uint64_t random_state = 88172645463325252u, fuzz_events;

static uint64_t random_number(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static uint64_t odd_number(uint64_t was)
{
	switch (random_number() % 8) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX;
	case 2:
		return was + 1;
	case 3:
		return was - 1;
	case 4:
		return was ^ UINT64_C(1) << random_number() % 64;
	case 5:
		return random_number() % 300;
	case 6:
		return UINT64_C(1) << random_number() % 64;
	default:
		return random_number();
	}
}

/* Where there is something in it: a word. */
static size_t place(const struct maker *maker)
{
	static const size_t bytes[RSPROF_SHM_SECTIONS] = {
		[RSPROF_SHM_CONTROL] = 24, [RSPROF_SHM_LANES] = 512,   [RSPROF_SHM_COUNTS] = 4096,
		[RSPROF_SHM_SITES] = 512,  [RSPROF_SHM_STACKS] = 2048, [RSPROF_SHM_MODULES] = 2048,
		[RSPROF_SHM_RINGS] = 2048,
	};
	uint64_t section = random_number() % (RSPROF_SHM_SECTIONS * 2);

	if (section >= RSPROF_SHM_SECTIONS)
		return random_number() % (sizeof(struct rsprof_shm_header) / 8) * 8;
	return maker->header->sections[section].offset + random_number() % (bytes[section] / 8) * 8;
}

static void take_anything(void *context, const struct event *event)
{
	fuzz_events++;
	if (event->type == EVENT_SAMPLE || event->type == EVENT_HEAP_STACK) {
		const uint64_t *pcs =
			event->type == EVENT_SAMPLE ? event->sample.pcs : event->heap_stack.pcs;
		uint32_t count = event->type == EVENT_SAMPLE ? event->sample.pc_count
							     : event->heap_stack.pc_count;
		volatile uint64_t sum = 0;

		CHECK(count <= EVENT_FRAMES_MAX);
		for (uint32_t i = 0; i < count; i++)
			sum += pcs[i];
	}
	if (event->type == EVENT_HEAP_COUNTS)
		CHECK(event->heap_counts.counts.alloc_bytes <= UINT64_C(1) << 62 &&
		      event->heap_counts.counts.frees <= UINT64_C(1) << 62);
	if (event->type == EVENT_MMAP)
		CHECK(strlen(event->mmap.path) < EVENT_PATH_MAX);
}

static void read_damaged(struct maker *maker, const struct source_config *config, size_t words,
			 const size_t *places, const uint64_t *values)
{
	struct source *source = NULL;
	struct err err = {0};
	bool is_late = random_number() % 2;

	/* Half of them before it is opened, half while it is read. A dormant one would be waited
	 * for. */
	for (size_t i = 0; !is_late && i < words; i++)
		memcpy(maker->memory + places[i], &values[i], 8);
	if (maker->header->state == RSPROF_SHM_DORMANT)
		maker->header->state = RSPROF_SHM_ON;
	if (source_agent.open(config, &source, &err) < 0) {
		CHECK(err.sentence[0]);
		return;
	}
	source->ops->start(source, &err);
	source->ops->drain(source, take_anything, NULL);
	for (size_t i = 0; is_late && i < words; i++)
		memcpy(maker->memory + places[i], &values[i], 8);
	source->ops->stop(source);
	source->ops->drain(source, take_anything, NULL);
	source->ops->close(source);
}

static void fill(struct maker *maker)
{
	for (int i = 0; i < 20; i++) {
		uint32_t site = maker_site(maker, (uint16_t)(1 + i % 7), 0x1000 * (uint64_t)i);

		for (uint32_t lane = 0; lane < MAKER_LANES; lane++)
			maker_alloc(maker, lane, site, 64);
		maker_free(maker, 3, site, 64);
		maker_event(maker, (uint32_t)i % 2, RSPROF_SHM_EVENT_ALLOC, (uint64_t)i, site, 64);
		maker_event(maker, (uint32_t)i % 2, RSPROF_SHM_EVENT_SAMPLE, (uint64_t)i, site, 1);
	}
	for (uint32_t i = 0; i < 4; i++)
		maker->modules[i] = (struct rsprof_shm_module){.start = 0x1000 * i,
							       .end = 0x1000 * (i + 1),
							       .removed_epoch = i % 2,
							       .path = "/lib/x.so"};
	maker->header->module_count = 4;
	maker->header->module_epoch = 1;
}

static void damage(uint64_t seed)
{
	struct maker maker = maker_open();
	struct source_config config = config_of(&maker.target);
	uint8_t *valid = malloc(maker.bytes);
	long opened = 0;

	random_state += seed << 32;
	fill(&maker);
	memcpy(valid, maker.memory, maker.bytes);
	for (long i = 0; i < MUTATIONS / PARTS; i++) {
		size_t words = 1 + random_number() % 4, places[4];
		uint64_t values[4];

		/* A trace has a thread of its own, which is slow to begin and to end. */
		maker.header->heap = random_number() % 32 ? random_number() % 3 : 3;
		config.heap = random_number() % 8 ? HEAP_MODE_TRACE : HEAP_MODE_OFF;
		for (size_t word = 0; word < words; word++) {
			places[word] = place(&maker);
			memcpy(&values[word], maker.memory + places[word], 8);
			values[word] = odd_number(values[word]);
		}
		read_damaged(&maker, &config, words, places, values);
		opened += fuzz_events != 0;
		CHECK(fuzz_events < EVENTS_MOST);
		fuzz_events = 0;
		for (size_t word = 0; word < words; word++)
			memcpy(maker.memory + places[word], valid + places[word], 8);
		memcpy(maker.memory, valid, 3 * MAKER_PAGE);
	}
	CHECK(opened > MUTATIONS / PARTS / 20);
	free(valid);
	maker_close(&maker);
}

/* A hang is one that the kit ends. */
TEST(damage_neither_crashes_nor_hangs_the_reader_1)
{
	damage(1);
}

TEST(damage_neither_crashes_nor_hangs_the_reader_2)
{
	damage(2);
}

TEST(damage_neither_crashes_nor_hangs_the_reader_3)
{
	damage(3);
}

TEST(damage_neither_crashes_nor_hangs_the_reader_4)
{
	damage(4);
}

TEST(damage_neither_crashes_nor_hangs_the_reader_5)
{
	damage(5);
}

TEST(damage_neither_crashes_nor_hangs_the_reader_6)
{
	damage(6);
}

TEST(damage_neither_crashes_nor_hangs_the_reader_7)
{
	damage(7);
}

TEST(damage_neither_crashes_nor_hangs_the_reader_8)
{
	damage(8);
}

KIT_MAIN
