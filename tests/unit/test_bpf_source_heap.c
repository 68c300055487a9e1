/* The heap in the bpf source, against the kernel: what a target allocates and frees is told to the
 * unit, and nothing of it stays in the target. */
#include <fcntl.h>

#include "tests/unit/heap_live.h"

SITE(zeroed) static void zeroed(void)
{
	for (int i = 0; i < 10; i++)
		blocks[300 + i] = calloc(7, 9);
	for (int i = 0; i < 4; i++)
		free(blocks[300 + i]);
}

SITE(grown) static void grown(void)
{
	blocks[400] = realloc(NULL, 10);
	blocks[400] = realloc(blocks[400], 1000);
	blocks[400] = realloc(blocks[400], 100000);
	blocks[401] = reallocarray(NULL, 6, 7);
}

SITE(aligned) static void aligned(void)
{
	void *block;

	if (posix_memalign(&block, 64, 200) == 0)
		blocks[500] = block;
	/* Refused: no call that counts. */
	if (posix_memalign(&block, 3, 200) == 0)
		_exit(1);
	blocks[501] = aligned_alloc(64, 256);
	blocks[502] = memalign(128, 300);
}

SITE(copied) static void copied(void)
{
	static const char text[] = "a string of some length";

	for (int i = 0; i < 5; i++)
		blocks[600 + i] = strdup(text + i);
}

SITE(failed) static void failed(void)
{
	blocks[700] = malloc(PTRDIFF_MAX);
	blocks[701] = malloc(33);
	blocks[702] = realloc(blocks[701], PTRDIFF_MAX);
	free(NULL);
}

static void allocate_in_all_ways(int in, int out)
{
	blocks[4000] = malloc(777);
	blocks[4001] = malloc(888);
	live_say(out, "r", 1);
	live_wait_for_byte(in);
	leak();
	churn(1000);
	zeroed();
	grown();
	aligned();
	copied();
	failed();
	/* Of before. */
	free(blocks[4000]);
	free(blocks[4001]);
	live_say(out, "d", 1);
	live_wait_for_byte(in);
}

TEST(each_call_is_counted_to_the_unit)
{
	struct live live;
	struct source_config config;
	struct source *source;
	char done;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	SKIP("the sanitizer's strdup does not call malloc");
#endif
	live = live_start(allocate_in_all_ways);
	config = heap_config(&live);
	source = open_heap(&live, &config);
	live_go(&live);
	pump(&live, source, &done, 1);
	stop(source);
	check_counts(SUM(leak), (struct heap_counts){.allocs = 100, .alloc_bytes = 14950});
	check_counts(SUM(churn), (struct heap_counts){.allocs = 1000,
						      .alloc_bytes = 48000,
						      .frees = 1000,
						      .free_bytes = 48000,
						      .temporary = 1000});
	check_counts(SUM(zeroed),
		     (struct heap_counts){
			     .allocs = 10, .alloc_bytes = 630, .frees = 4, .free_bytes = 252});
	check_counts(SUM(grown), (struct heap_counts){.allocs = 4,
						      .alloc_bytes = 101052,
						      .frees = 2,
						      .free_bytes = 1010,
						      .reallocs = 2,
						      .growth_bytes = 99990});
	check_counts(SUM(aligned), (struct heap_counts){.allocs = 3, .alloc_bytes = 756});
	check_counts(SUM(copied),
		     (struct heap_counts){.allocs = 5, .alloc_bytes = 24 + 23 + 22 + 21 + 20});
	check_counts(SUM(failed), (struct heap_counts){.allocs = 1, .alloc_bytes = 33});
	CHECK(tally.state.is_counted);
	CHECK_EQ_U64(tally.state.unknown_frees, 2);
	/* Each call hits once at least. */
	CHECK_BETWEEN(tally.state.hits, 2130, 8000);
	CHECK(tally.state.cost_ns > 0);
	source->ops->close(source);
	live_end(&live);
}

/* ---- threads */

SITE(handed) static void *allocate_to_hand_over(void *argument)
{
	for (int i = 0; i < 200; i++)
		blocks[1000 + i] = malloc(64);
	return argument;
}

static void hand_over_and_end(int in, int out)
{
	pthread_t thread;

	live_say(out, "r", 1);
	live_wait_for_byte(in);
	for (int round = 0; round < 5; round++) {
		pthread_create(&thread, NULL, allocate_to_hand_over, NULL);
		pthread_join(thread, NULL);
		for (int i = 0; i < 150; i++)
			free(blocks[1000 + i]);
	}
	live_say(out, "d", 1);
	live_wait_for_byte(in);
}

TEST(blocks_of_threads_that_ended_are_freed_by_others)
{
	struct live live;
	struct source_config config;
	struct source *source;
	char done;

	live = live_start(hand_over_and_end);
	config = heap_config(&live);
	source = open_heap(&live, &config);
	live_go(&live);
	pump(&live, source, &done, 1);
	stop(source);
	check_counts(SUM(handed), (struct heap_counts){.allocs = 1000,
						       .alloc_bytes = 64000,
						       .frees = 750,
						       .free_bytes = 48000});
	CHECK_BETWEEN(tally.state.hits, 1750, 8000);
	source->ops->close(source);
	live_end(&live);
}

/* ---- the text of the target */

struct text {
	uint8_t *bytes;
	size_t size;
};

/* All of its files' code, as it is in its memory. */
static struct text read_text(const struct live *live)
{
	int memory = openat(live->target->proc_fd, "mem", O_RDONLY | O_CLOEXEC);
	target_mappings mappings = {0};
	struct text text = {0};

	CHECK(memory >= 0);
	CHECK_EQ_I64(target_list_mappings(live->target, &mappings), 0);
	for (size_t i = 0; i < mappings.count; i++) {
		const struct target_mapping *mapping = &mappings.items[i];
		size_t size = mapping->end - mapping->start;

		if (!mapping->is_executable || !mapping->inode)
			continue;
		text.bytes = mem_grow(text.bytes, text.size + size, 1);
		CHECK(pread(memory, text.bytes + text.size, size, (off_t)mapping->start) ==
		      (ssize_t)size);
		text.size += size;
	}
	target_mappings_done(&mappings);
	close(memory);
	return text;
}

static size_t count_differences(const struct text *a, const struct text *b)
{
	size_t count = 0;

	CHECK_EQ_U64(a->size, b->size);
	for (size_t i = 0; i < a->size; i++)
		count += a->bytes[i] != b->bytes[i];
	return count;
}

TEST(nothing_stays_in_the_text_of_the_target)
{
	struct live live = live_start(allocate_in_all_ways);
	struct source_config config = heap_config(&live);
	struct text before = read_text(&live), during, after;
	uint64_t begin_ns = live_clock_ns(CLOCK_MONOTONIC), stop_ns;
	struct source *source = open_heap(&live, &config);
	char done;

	printf("# opened in %" PRIu64 " ms\n",
	       (live_clock_ns(CLOCK_MONOTONIC) - begin_ns) / 1000000);
	during = read_text(&live);
	CHECK_BETWEEN(count_differences(&before, &during), 8, 200);
	live_go(&live);
	pump(&live, source, &done, 1);
	stop_ns = live_clock_ns(CLOCK_MONOTONIC);
	source->ops->stop(source);
	printf("# stopped in %" PRIu64 " ms\n",
	       (live_clock_ns(CLOCK_MONOTONIC) - stop_ns) / 1000000);
	after = read_text(&live);
	CHECK_EQ_U64(count_differences(&before, &after), 0);
	source->ops->close(source);
	/* The target has not noticed. */
	live_go(&live);
	CHECK(waitpid(live.pid, &(int){0}, 0) == live.pid);
	live.is_reaped = true;
	free(before.bytes);
	free(during.bytes);
	free(after.bytes);
	live_end(&live);
}

TEST(what_is_sampled_by_bytes_is_an_estimate_of_the_whole)
{
	struct live live;
	struct source_config config;
	struct source *source;
	struct heap_counts counts;
	char done;

	live = live_start(allocate_in_all_ways);
	config = heap_config(&live);
	config.heap = HEAP_MODE_SAMPLED;
	config.heap_sample_bytes = 1024;
	source = open_heap(&live, &config);
	live_go(&live);
	pump(&live, source, &done, 1);
	stop(source);
	counts = SUM(churn);
	/* Of 1,000 calls of 48 bytes 46 are sampled, give or take 7. */
	CHECK_BETWEEN(counts.allocs, 400, 1600);
	CHECK_EQ_U64(counts.estimated, counts.allocs);
	CHECK_EQ_U64(heap_live_blocks(&counts), 0);
	CHECK_EQ_U64(heap_live_bytes(&counts), 0);
	source->ops->close(source);
	live_end(&live);
}

/* ---- targets that end */

static void end_soon(int in, int out)
{
	struct timespec moment = {0};
	uint8_t ms;

	live_say(out, "r", 1);
	if (read(in, &ms, 1) != 1)
		_exit(1);
	moment.tv_nsec = ms * 1000000L;
	nanosleep(&moment, NULL);
	_exit(0);
}

TEST(a_target_that_ends_while_it_is_attached_to_harms_nobody)
{
	for (uint8_t ms = 0; ms < 250; ms += 12) {
		struct live live = live_start(end_soon);
		struct source_config config = heap_config(&live);
		struct source *source = NULL;
		struct err err = {0};

		if (bpf_check(config.target, &err))
			SKIP("%s", err.sentence);
		memset(&tally, 0, sizeof(tally));
		tally.bpf.wait_index = UINT32_MAX;
		tally.bpf.live.target_pid = (uint32_t)live.pid;
		live_say(live.to_fd, &ms, 1);
		if (source_bpf.open(&config, &source, &err) == 0) {
			CHECK_EQ_I64(source->ops->start(source, NULL), 0);
			drain(source);
			source->ops->stop(source);
			drain(source);
			source->ops->close(source);
		} else {
			CHECK(*err.sentence);
		}
		live_end(&live);
	}
}

/* A checkpoint that ends at a full second has what was counted until then. */
TEST(looks_come_just_before_full_seconds)
{
	struct live live = live_start(end_soon);
	struct source_config config = heap_config(&live);
	struct source *source = open_heap(&live, &config);
	uint64_t start_ns = live_clock_ns(CLOCK_MONOTONIC), looks = 0, part_ns;

	/* A busy machine may be late once. */
	do {
		while (tally.states == looks) {
			source->ops->wait(source, -1, 1000);
			drain(source);
		}
		looks = tally.states;
		part_ns = (tally.state_ns - start_ns) % UINT64_C(1000000000);
	} while (part_ns < 900000000 && looks < 5);
	CHECK(part_ns >= 900000000);
	stop(source);
	source->ops->close(source);
	live_end(&live);
}

/* ---- where it is not wanted, and where it cannot be */

TEST(without_a_heap_nothing_is_said_of_it)
{
	struct live live = live_start(allocate_in_all_ways);
	struct source_config config = heap_config(&live);
	struct source_facts facts;
	struct arena arena = {0};
	struct source *source;
	char done;

	config.heap = HEAP_MODE_OFF;
	source = bpf_live_open(&config);
	tally.bpf.wait_index = UINT32_MAX;
	tally.bpf.live.target_pid = (uint32_t)live.pid;
	source->ops->describe(source, &arena, &facts);
	CHECK_EQ_I64(facts.heap, HEAP_MODE_OFF);
	CHECK(!facts.heap_reason);
	bpf_live_set_code(&live, source);
	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	live_go(&live);
	pump(&live, source, &done, 1);
	stop(source);
	CHECK_EQ_U64(tally.site_count, 0);
	CHECK_EQ_U64(tally.states, 0);
	source->ops->close(source);
	arena_done(&arena);
	live_end(&live);
}

KIT_MAIN
