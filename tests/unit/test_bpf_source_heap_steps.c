/* The heap in the bpf source, when the target or the price of counting changes: an exec, allocators
 * that come and go, and a rate that costs too much. */
#include <dlfcn.h>

#include "tests/unit/heap_live.h"

/* ---- exec */

enum { EXEC_BYTES = 4321, EXEC_BLOCKS = 50, EXEC_FD_IN = 100, EXEC_FD_OUT = 101 };

/* The program that the target becomes, before its main. */
__attribute__((constructor)) static void be_the_new_program(void)
{
	const char *name = getenv("RSPROF_TEST_EXECEE");

	if (!name)
		return;
	live_say(EXEC_FD_OUT, "e", 1);
	live_wait_for_byte(EXEC_FD_IN);
	for (int i = 0; i < EXEC_BLOCKS; i++)
		blocks[i] = malloc(EXEC_BYTES);
	for (int i = 0; i < EXEC_BLOCKS / 2; i++)
		free(blocks[i]);
	live_say(EXEC_FD_OUT, "d", 1);
	live_wait_for_byte(EXEC_FD_IN);
	_exit(0);
}

static void become_another(int in, int out)
{
	live_say(out, "r", 1);
	live_wait_for_byte(in);
	leak();
	dup2(in, EXEC_FD_IN);
	dup2(out, EXEC_FD_OUT);
	live_say(out, "l", 1);
	live_wait_for_byte(in);
	setenv("RSPROF_TEST_EXECEE", "1", 1);
	execl("/proc/self/exe", "execee", (char *)NULL);
	_exit(1);
}

static void *exec_in_a_thread(void *argument)
{
	execl("/proc/self/exe", "execee", (char *)NULL);
	return argument;
}

static void become_another_in_a_thread(int in, int out)
{
	pthread_t thread;

	live_say(out, "r", 1);
	live_wait_for_byte(in);
	leak();
	dup2(in, EXEC_FD_IN);
	dup2(out, EXEC_FD_OUT);
	live_say(out, "l", 1);
	live_wait_for_byte(in);
	setenv("RSPROF_TEST_EXECEE", "1", 1);
	pthread_create(&thread, NULL, exec_in_a_thread, NULL);
	pthread_join(thread, NULL);
	_exit(1);
}

static const struct heap_counts *site_with_bytes(uint64_t alloc_bytes)
{
	for (size_t i = 0; i < tally.site_count; i++) {
		if (tally.sites[i].counts.alloc_bytes == alloc_bytes)
			return &tally.sites[i].counts;
	}
	return NULL;
}

/* The code is published as the pump does where a mapping or an exec was told. */
static void pump_until_steps(const struct live *live, struct source *source, size_t count)
{
	uint64_t deadline = live_clock_ns(CLOCK_MONOTONIC) + LIVE_DEADLINE_MS * UINT64_C(1000000);

	bpf_live_set_code(live, source);
	drain(source);
	while (tally.step_count < count) {
		if (live_clock_ns(CLOCK_MONOTONIC) > deadline)
			FAIL("no step within %d ms", LIVE_DEADLINE_MS);
		source->ops->wait(source, -1, 20);
		drain(source);
		bpf_live_set_code(live, source);
	}
}

static void print_sites(void)
{
	for (size_t i = 0; i < tally.site_count; i++) {
		const struct heap_site_tally *site = &tally.sites[i];

		printf("# %016" PRIx64 ": %" PRIu64 " of %" PRIu64 " bytes, %" PRIu64
		       " freed, %" PRIu64 " untracked, %s, %u frames\n",
		       site->site, site->counts.allocs, site->counts.alloc_bytes,
		       site->counts.frees, site->counts.untracked, stack_status_names[site->status],
		       site->pc_count);
	}
}

static void check_exec(void (*body)(int in, int out))
{
	struct live live;
	struct source_config config;
	struct source *source;
	const struct heap_counts *counts;
	char said;

	live = live_start(body);
	config = heap_config(&live);
	source = open_heap(&live, &config);
	live_go(&live);
	pump(&live, source, &said, 1);
	CHECK_EQ_I64(said, 'l');
	live_go(&live);
	pump(&live, source, &said, 1);
	CHECK_EQ_I64(said, 'e');
	pump_until_steps(&live, source, 1);
	CHECK_EQ_STR(tally.steps[0].signal, "heap");
	CHECK_EQ_STR(tally.steps[0].mode, "bpf, exact");
	live_go(&live);
	pump(&live, source, &said, 1);
	stop(source);
	check_counts(SUM(leak), (struct heap_counts){.allocs = 100,
						     .alloc_bytes = 14950,
						     .untracked = 100,
						     .untracked_bytes = 14950});
	counts = site_with_bytes(EXEC_BYTES * EXEC_BLOCKS);
	if (!counts)
		print_sites();
	CHECK(counts);
	CHECK_EQ_U64(counts->allocs, EXEC_BLOCKS);
	CHECK_EQ_U64(counts->frees, EXEC_BLOCKS / 2);
	CHECK_EQ_U64(counts->untracked, 0);
	source->ops->close(source);
	live_end(&live);
}

TEST(an_exec_ends_what_lives_and_the_new_program_is_counted)
{
	check_exec(become_another);
}

TEST(an_exec_in_another_thread_than_the_first)
{
	check_exec(become_another_in_a_thread);
}

TEST(a_child_that_is_to_exec_is_counted_from_its_allocator_on)
{
	struct live live;
	struct source_config config;
	struct source *source;
	const struct heap_counts *counts;
	char said;

	live = live_start(become_another);
	config = heap_config(&live);
	config.start_on_exec = true;
	source = open_heap(&live, &config);
	live_go(&live);
	live_hear(&live, &said, 1);
	live_go(&live);
	pump(&live, source, &said, 1);
	CHECK_EQ_I64(said, 'e');
	pump_until_steps(&live, source, 1);
	live_go(&live);
	pump(&live, source, &said, 1);
	stop(source);
	CHECK_EQ_U64(SUM(leak).allocs, 0);
	counts = site_with_bytes(EXEC_BYTES * EXEC_BLOCKS);
	CHECK(counts);
	CHECK_EQ_U64(counts->allocs, EXEC_BLOCKS);
	CHECK_EQ_U64(counts->frees, EXEC_BLOCKS / 2);
	source->ops->close(source);
	live_end(&live);
}

/* ---- an allocator that comes later */

static char toy_path[4096];

static void load_an_allocator(int in, int out)
{
	void *(*toy_malloc)(size_t);
	void (*toy_free)(void *);
	void *library;

	live_say(out, "r", 1);
	for (int round = 0; round < 2; round++) {
		live_wait_for_byte(in);
		library = dlopen(toy_path, RTLD_NOW);
		if (!library)
			_exit(1);
		*(void **)&toy_malloc = dlsym(library, "mi_malloc");
		*(void **)&toy_free = dlsym(library, "mi_free");
		live_say(out, "o", 1);
		live_wait_for_byte(in);
		for (int i = 0; i < 20; i++)
			blocks[i] = toy_malloc(1234);
		for (int i = 0; i < 5; i++)
			toy_free(blocks[i]);
		dlclose(library);
		live_say(out, "c", 1);
	}
	live_wait_for_byte(in);
}

/* To toy_path. */
static void build(const char *text, const char *name, const char *flags)
{
	const char *folder = kit_folder();
	char source[4096], command[16384];
	FILE *file;

	snprintf(source, sizeof(source), "%s/toy.c", folder);
	snprintf(toy_path, sizeof(toy_path), "%s/%s", folder, name);
	snprintf(command, sizeof(command), "gcc -O1 %s -o %s %s", flags, toy_path, source);
	file = fopen(source, "w");
	CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
	if (system(command))
		SKIP("gcc builds nothing here");
}

static void build_toy(void)
{
	static const char text[] =
		"#include <stddef.h>\n"
		"static char room[1 << 20]; static size_t used;\n"
		"void *mi_malloc(size_t n) { void *p = room + used; used += (n + 63) / 64 * 64; "
		"return p; }\n"
		"void *mi_calloc(size_t c, size_t n) { return mi_malloc(c * n); }\n"
		"void *mi_realloc(void *p, size_t n) { return mi_malloc(n); }\n"
		"void mi_free(void *p) { __asm__ volatile(\"\" :: \"r\"(p)); }\n";

	build(text, "libtoy.so", "-fPIC -shared");
}

TEST(an_allocator_that_is_loaded_later_joins_and_leaves)
{
	struct live live;
	struct source_config config;
	struct source *source;
	const struct heap_counts *counts;
	char said;

	build_toy();
	live = live_start(load_an_allocator);
	config = heap_config(&live);
	source = open_heap(&live, &config);
	for (size_t round = 0; round < 2; round++) {
		live_go(&live);
		pump(&live, source, &said, 1);
		CHECK_EQ_I64(said, 'o');
		pump_until_steps(&live, source, 2 * round + 1);
		CHECK(strstr(tally.steps[2 * round].reason, "libtoy.so"));
		live_go(&live);
		pump(&live, source, &said, 1);
		CHECK_EQ_I64(said, 'c');
		pump_until_steps(&live, source, 2 * round + 2);
		CHECK(strstr(tally.steps[2 * round + 1].reason, "No longer there: "));
	}
	stop(source);
	/* Its code was away in between: two stacks. */
	for (int round = 0; round < 2; round++) {
		counts = site_with_bytes(20 * 1234);
		CHECK(counts);
		CHECK_EQ_U64(counts->allocs, 20);
		/* Its room begins anew when it is loaded anew, and the same blocks are given. */
		CHECK_BETWEEN(counts->frees, 5, 20);
		((struct heap_counts *)(uintptr_t)counts)->alloc_bytes = 0;
	}
	source->ops->close(source);
	live_end(&live);
}

/* ---- what it costs */

/* Its allocator is its own, and has no names. */
static void become_a_stranger(int in, int out)
{
	live_say(out, "r", 1);
	live_wait_for_byte(in);
	dup2(in, EXEC_FD_IN);
	dup2(out, EXEC_FD_OUT);
	execl(toy_path, "stranger", (char *)NULL);
	_exit(1);
}

TEST(a_program_without_an_allocator_is_said)
{
	static const char text[] =
		"void _start(void) { for (;;) __asm__ volatile(\"movl $34, "
		"%%eax; syscall\" ::: \"eax\", \"rcx\", \"r11\", \"memory\"); }\n";
	struct live live;
	struct source_config config;
	struct source *source;
	struct source_facts facts;
	struct arena arena = {0};
	char *reason;

	build(text, "stranger", "-nostdlib -static -s");
	live = live_start(become_a_stranger);
	config = heap_config(&live);
	config.start_on_exec = true;
	source = open_heap(&live, &config);
	live_go(&live);
	pump_until_steps(&live, source, 1);
	CHECK_EQ_STR(tally.steps[0].mode, "off");
	reason = mem_strdup(tally.steps[0].reason);
	stop(source);
	source->ops->close(source);

	/* By now it is there from the beginning. */
	config.start_on_exec = false;
	source = bpf_live_open(&config);
	source->ops->describe(source, &arena, &facts);
	CHECK_EQ_I64(facts.heap, HEAP_MODE_OFF);
	CHECK_EQ_STR(facts.heap_reason, reason);
	CHECK_EQ_U64(facts.note_count, 1);
	printf("# %s\n", facts.notes[0]);
	free(reason);
	source->ops->close(source);
	arena_done(&arena);
	live_end(&live);
}

enum { QUIET_ROUNDS = 50, BUSY_NS = 1000000000 };

struct busy {
	uint64_t began_ns;
};

static void become_busy(int in, int out)
{
	struct busy busy;

	live_say(out, "r", 1);
	live_wait_for_byte(in);
	for (int i = 0; i < QUIET_ROUNDS; i++) {
		struct timespec moment = {.tv_nsec = 20000000};

		churn(2);
		nanosleep(&moment, NULL);
	}
	busy.began_ns = live_clock_ns(CLOCK_MONOTONIC);
	live_say(out, &busy, sizeof(busy));
	for (;;)
		churn(1000);
}

TEST(a_rate_that_jumps_steps_down_within_two_seconds)
{
	struct live live;
	struct source_config config;
	struct source *source;
	struct busy busy;
	struct heap_counts counts;

	live = live_start(become_busy);
	config = heap_config(&live);
	config.heap_is_forced = false;
	config.overhead_max_pct = 5;
	source = open_heap(&live, &config);
	live_go(&live);
	pump(&live, source, &busy, sizeof(busy));
	CHECK_EQ_U64(tally.step_count, 0);
	pump_until_steps(&live, source, 1);
	CHECK_EQ_STR(tally.steps[0].signal, "heap");
	CHECK(strcmp(tally.steps[0].mode, "bpf, exact"));
	CHECK_BETWEEN((double)(tally.steps[0].time_ns - busy.began_ns) / 1e9, 0, 2);
	stop(source);
	counts = SUM(churn);
	CHECK(counts.allocs > QUIET_ROUNDS * 2);
	source->ops->close(source);
	live_end(&live);
}

SITE(kept) static void keep(void)
{
	for (int i = 0; i < 500; i++)
		blocks[i] = malloc(1000);
}

/* So many pairs a second that to count them costs some per cent. */
static void allocate_steadily(int in, int out)
{
	struct timespec moment = {.tv_nsec = 500000};

	live_say(out, "r", 1);
	live_wait_for_byte(in);
	keep();
	live_say(out, "k", 1);
	for (;;) {
		churn(60);
		nanosleep(&moment, NULL);
	}
}

/* The mode that this limit leads to at once, or HEAP_MODES. */
static enum heap_mode step_with_limit(uint32_t limit_pct)
{
	struct live live = live_start(allocate_steadily);
	struct source_config config = heap_config(&live);
	struct heap_counts counts;
	struct source *source;
	enum heap_mode mode = HEAP_MODES;
	uint64_t end_ns;
	char kept;

	memset(&tally, 0, sizeof(tally));
	config.heap_is_forced = false;
	config.overhead_max_pct = limit_pct;
	config.heap_sample_bytes = 1024;
	source = open_heap(&live, &config);
	live_go(&live);
	pump(&live, source, &kept, 1);
	end_ns = live_clock_ns(CLOCK_MONOTONIC) + UINT64_C(1300000000);
	while (!tally.step_count && live_clock_ns(CLOCK_MONOTONIC) < end_ns) {
		source->ops->wait(source, -1, 100);
		drain(source);
	}
	/* What is counted in that mode. */
	end_ns = live_clock_ns(CLOCK_MONOTONIC) + UINT64_C(300000000);
	while (tally.step_count && live_clock_ns(CLOCK_MONOTONIC) < end_ns) {
		source->ops->wait(source, -1, 100);
		drain(source);
	}
	stop(source);
	counts = SUM(kept);
	CHECK_EQ_U64(counts.allocs, 500);
	CHECK_EQ_U64(heap_live_blocks(&counts), 500);
	CHECK_EQ_U64(heap_live_bytes(&counts), 500000);
	counts = SUM(churn);
	for (int i = 0; i < HEAP_MODES && tally.step_count; i++) {
		if (strstr(tally.steps[0].mode, heap_mode_names[i]))
			mode = (enum heap_mode)i;
	}
	/* Not more than what one sample stands for; where frees were let go, what lived then. */
	CHECK_BETWEEN(heap_live_blocks(&counts), 0, 50);
	if (mode == HEAP_MODE_SAMPLED || mode == HEAP_MODE_ALLOCS)
		CHECK(counts.estimated > 0 && counts.estimated < counts.allocs);
	if (mode == HEAP_MODE_ALLOCS)
		CHECK(counts.untracked > 0);
	printf("# at most %u %%: %s; %" PRIu64 " calls, %" PRIu64 " estimated, %" PRIu64
	       " untracked\n",
	       limit_pct, mode < HEAP_MODES ? heap_mode_names[mode] : "stays exact", counts.allocs,
	       counts.estimated, counts.untracked);
	source->ops->close(source);
	live_end(&live);
	return mode;
}

/* What a mode costs here nobody knows beforehand: limits are tried from the lowest up. The one that
 * leaves room for allocations alone is narrow, and costs differ from one moment to the next. */
TEST(steps_lead_to_the_first_mode_that_fits_and_what_lives_stays)
{
	bool was_seen[HEAP_MODES + 1] = {false};
	uint32_t off_pct = 2, sampled_pct = 90;

	for (uint32_t limit_pct = 2; limit_pct < 90 && !was_seen[HEAP_MODES];
	     limit_pct += limit_pct / 3 + 1) {
		enum heap_mode mode = step_with_limit(limit_pct);

		was_seen[mode] = true;
		if (mode == HEAP_MODE_OFF)
			off_pct = limit_pct;
		if (mode == HEAP_MODE_SAMPLED && limit_pct < sampled_pct)
			sampled_pct = limit_pct;
	}
	CHECK(was_seen[HEAP_MODE_SAMPLED]);
	CHECK(was_seen[HEAP_MODES]);
	for (int round = 0; round < 2; round++) {
		for (uint32_t limit_pct = off_pct;
		     limit_pct <= sampled_pct && !was_seen[HEAP_MODE_ALLOCS]; limit_pct++)
			was_seen[step_with_limit(limit_pct)] = true;
	}
	CHECK(was_seen[HEAP_MODE_ALLOCS]);
}

KIT_MAIN
