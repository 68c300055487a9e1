/* The books of waiting, without BPF: whatever the order in which programs write and the reader
 * looks, the time told is the time waited. And what walking stacks may cost. */
#include <stdlib.h>
#include <sys/syscall.h>

#include "reader/source/bpf_pace.h"
#include "reader/source/bpf_sleepers.h"
#include "reader/source/bpf_waits.h"
#include "tests/lib/kit.h"
#include "tests/unit/child.h"

enum { PID = 100, TID = 101, WAIT_EVENT = 1, THREADS = 8, STEPS = 20000, START_NS = 1000000 };

struct told {
	uint64_t wait_ns, waits, run_ns, events, newest_ns;
};

static struct told told[THREADS], told_all;
static uint64_t told_by_kind[WAIT_KINDS];

static void take(void *context, const struct event *event)
{
	struct told *both[] = {&told_all, &told[event->tid % THREADS]};

	CHECK_EQ_I64(event->type, EVENT_SAMPLE);
	CHECK_EQ_U64(event->sample.event_index, WAIT_EVENT);
	CHECK_EQ_U64(event->pid, PID);
	for (int i = 0; i < 2; i++) {
		both[i]->wait_ns += event->sample.value;
		both[i]->waits += event->sample.waits;
		both[i]->run_ns += event->sample.run_ns;
		both[i]->events++;
		both[i]->newest_ns = event->time_ns;
	}
	told_by_kind[event->sample.wait_kind] += event->sample.value;
}

static struct bpf_waits waits;

static void begin(uint64_t start_ns)
{
	bpf_waits_init(&waits, PID, WAIT_EVENT);
	waits.start_ns = start_ns;
}

static void add(uint32_t tid, uint32_t kind, uint64_t stack, uint64_t since_ns, uint64_t until_ns,
		uint64_t run_ns)
{
	struct bpf_wait wait = {
		.record = {.type = BPF_RECORD_WAIT, .tid = tid, .time_ns = until_ns},
		.since_ns = since_ns,
		.run_ns = run_ns,
		.stack = stack,
		.kind = kind,
	};

	bpf_waits_add(&waits, &wait);
}

static void progress(uint32_t kind, uint64_t since_ns, uint64_t now_ns, bool is_last)
{
	struct bpf_thread_state state = {
		.tid = TID, .thread = {.since_ns = since_ns, .run_ns = 5, .kind = kind}};

	bpf_waits_progress(&waits, now_ns, &state, 1, is_last);
}

static void flush(void)
{
	bpf_waits_flush(&waits, take, NULL);
}

TEST(waits_of_one_thread_stack_and_kind_are_one_event)
{
	begin(1000);
	add(TID, BPF_WAIT_LOCK, 7, 2000, 2100, 10);
	add(TID, BPF_WAIT_LOCK, 7, 2200, 2400, 20);
	add(TID, BPF_WAIT_SLEEP, 7, 2500, 2600, 30);
	add(TID, BPF_WAIT_LOCK, 8, 2700, 2800, 40);
	add(TID + 1, BPF_WAIT_LOCK, 7, 2000, 2050, 50);
	flush();
	CHECK_EQ_U64(told_all.events, 4);
	CHECK_EQ_U64(told_all.wait_ns, 550);
	CHECK_EQ_U64(told_all.waits, 5);
	CHECK_EQ_U64(told_all.run_ns, 150);
	flush();
	CHECK_EQ_U64(told_all.events, 4);
	CHECK_EQ_U64(waits.stackless, 5);
	bpf_waits_done(&waits);
}

TEST(what_was_before_the_start_is_not_told)
{
	begin(1000);
	add(TID, BPF_WAIT_LOCK, 0, 100, 900, 50);
	flush();
	CHECK_EQ_U64(told_all.events, 0);
	add(TID, BPF_WAIT_LOCK, 0, 950, 1010, 50);
	add(TID, BPF_WAIT_LOCK, 0, 1020, 1030, 50);
	flush();
	CHECK_EQ_U64(told_all.wait_ns, 20);
	/* Of the 50 before 1020, 20 are since the start. */
	CHECK_EQ_U64(told_all.run_ns, 20);
	bpf_waits_done(&waits);
}

TEST(nothing_is_told_until_there_is_a_start)
{
	begin(UINT64_MAX);
	add(TID, BPF_WAIT_LOCK, 0, 100, 900, 50);
	progress(BPF_WAIT_LOCK, 900, 1000, false);
	flush();
	CHECK_EQ_U64(told_all.events, 0);
	bpf_waits_done(&waits);
}

TEST(a_thread_that_ended_has_run_without_a_wait)
{
	begin(1000);
	add(TID, 0, 0, 2000, 2000, 600);
	flush();
	CHECK_EQ_U64(told_all.events, 1);
	CHECK_EQ_U64(told_all.waits, 0);
	CHECK_EQ_U64(told_all.wait_ns, 0);
	CHECK_EQ_U64(told_all.run_ns, 600);
	bpf_waits_done(&waits);
}

TEST(a_wait_that_ends_before_it_begins_is_no_time)
{
	begin(1000);
	add(TID, BPF_WAIT_LOCK, 0, 2001, 2000, 600);
	flush();
	CHECK_EQ_U64(told_all.wait_ns, 0);
	CHECK_EQ_U64(told_all.waits, 1);
	bpf_waits_done(&waits);
}

TEST(a_long_wait_is_told_as_it_goes_on_and_counted_when_it_ends)
{
	begin(1000);
	progress(BPF_WAIT_POLL, 2000, 2500, false);
	flush();
	CHECK_EQ_U64(told_all.wait_ns, 500);
	CHECK_EQ_U64(told_all.waits, 0);
	CHECK_EQ_U64(told_all.run_ns, 0);
	CHECK_EQ_U64(told_all.newest_ns, 2500);
	progress(BPF_WAIT_POLL, 2000, 3500, false);
	flush();
	CHECK_EQ_U64(told_all.wait_ns, 1500);
	add(TID, BPF_WAIT_POLL, 0, 2000, 3700, 40);
	flush();
	CHECK_EQ_U64(told_all.wait_ns, 1700);
	CHECK_EQ_U64(told_all.waits, 1);
	CHECK_EQ_U64(told_all.run_ns, 40);
	bpf_waits_done(&waits);
}

TEST(a_wait_from_before_the_start_is_told_from_the_start)
{
	begin(1000);
	progress(BPF_WAIT_POLL, 10, 1500, false);
	progress(BPF_WAIT_POLL, 10, 2000, true);
	flush();
	CHECK_EQ_U64(told_all.wait_ns, 1000);
	bpf_waits_done(&waits);
}

TEST(a_wait_whose_record_was_read_is_not_told_again)
{
	begin(1000);
	progress(BPF_WAIT_POLL, 2000, 2500, false);
	add(TID, BPF_WAIT_POLL, 0, 2000, 2600, 40);
	/* The map was not written yet. */
	progress(BPF_WAIT_POLL, 2000, 2700, false);
	flush();
	CHECK_EQ_U64(told_all.wait_ns, 600);
	bpf_waits_done(&waits);
}

TEST(what_was_told_too_much_is_taken_from_the_next_wait)
{
	begin(1000);
	/* It ended at 2400, and the reader saw the map as it was before. */
	progress(BPF_WAIT_POLL, 2000, 2500, false);
	add(TID, BPF_WAIT_POLL, 0, 2000, 2400, 40);
	flush();
	CHECK_EQ_U64(told_all.wait_ns, 500);
	/* It runs for long: the books do not forget. */
	for (int i = 0; i < 10; i++)
		bpf_waits_progress(&waits, 3000, NULL, 0, false);
	add(TID, BPF_WAIT_POLL, 0, 4000, 4060, 1600);
	flush();
	CHECK_EQ_U64(told_all.wait_ns, 500);
	add(TID, BPF_WAIT_POLL, 0, 5000, 5060, 0);
	flush();
	CHECK_EQ_U64(told_all.wait_ns, 520);
	CHECK_EQ_U64(told_all.waits, 3);
	bpf_waits_done(&waits);
}

TEST(a_state_that_is_half_written_changes_nothing)
{
	begin(1000);
	progress(BPF_WAIT_POLL, 2000, 2500, false);
	/* The beginning of the run that follows, with the kind of the wait. */
	progress(BPF_WAIT_POLL, 2510, 2505, false);
	add(TID, BPF_WAIT_POLL, 0, 2000, 2510, 0);
	flush();
	CHECK_EQ_U64(told_all.wait_ns, 510);
	bpf_waits_done(&waits);
}

TEST(at_the_end_runs_and_waits_are_told_up_to_it)
{
	begin(1000);
	progress(0, 2000, 2600, false);
	flush();
	CHECK_EQ_U64(told_all.events, 0);
	progress(0, 2000, 2600, true);
	flush();
	CHECK_EQ_U64(told_all.run_ns, 600);
	CHECK_EQ_U64(told_all.waits, 0);
	/* A thread that waits: also what it ran before. */
	progress(BPF_WAIT_LOCK, 2000, 2600, true);
	flush();
	CHECK_EQ_U64(told_all.run_ns, 605);
	CHECK_EQ_U64(told_all.wait_ns, 600);
	bpf_waits_done(&waits);
}

TEST(books_do_not_grow_with_threads_that_are_gone)
{
	begin(1000);
	for (uint32_t tid = 0; tid < 10000; tid++) {
		add(tid, BPF_WAIT_LOCK, 0, 2000, 2001, 0);
		if (tid % 100 == 0)
			progress(BPF_WAIT_POLL, 2000, 2500, false);
		flush();
	}
	CHECK(waits.credits.count <= 400);
	bpf_waits_done(&waits);
}

/* ---- threads as programs see them */

enum stage { RUNS, WAITS, ENDS_WAIT };

struct simulated {
	enum stage stage;
	struct bpf_thread map;		 /* as the reader sees it */
	uint64_t wait_ns, waits, run_ns; /* that really were */
	uint64_t since_ns;
};

static uint64_t random_state = 42, clock_ns = START_NS;
static struct simulated threads[THREADS];
static VEC(struct bpf_wait) ring;

static uint32_t random_below(uint32_t bound)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((random_state >> 32) * bound >> 32);
}

/* One thread does the next thing. A wait ends in two steps. */
static void act(void)
{
	uint32_t tid = random_below(THREADS);
	struct simulated *thread = &threads[tid];

	clock_ns += 1 + random_below(1000);
	switch (thread->stage) {
	case RUNS:
		thread->run_ns += clock_ns - thread->since_ns;
		thread->map = (struct bpf_thread){
			.since_ns = clock_ns,
			.run_ns = clock_ns - thread->since_ns,
			.kind = 1 + random_below(WAIT_KINDS - 1),
			.stack = random_below(4),
		};
		thread->since_ns = clock_ns;
		thread->stage = WAITS;
		break;
	case WAITS:
		if (random_below(3))
			break;
		*vec_add(&ring) = (struct bpf_wait){
			.record = {.type = BPF_RECORD_WAIT, .tid = tid, .time_ns = clock_ns},
			.since_ns = thread->map.since_ns,
			.run_ns = thread->map.run_ns,
			.stack = thread->map.stack,
			.kind = thread->map.kind,
		};
		thread->wait_ns += clock_ns - thread->since_ns;
		thread->waits++;
		thread->since_ns = clock_ns;
		thread->stage = ENDS_WAIT;
		break;
	case ENDS_WAIT:
		thread->map = (struct bpf_thread){.since_ns = thread->since_ns};
		thread->stage = RUNS;
		break;
	}
}

static void drain(void)
{
	for (size_t i = 0; i < ring.count; i++)
		bpf_waits_add(&waits, &ring.items[i]);
	vec_clear(&ring);
}

static void look(bool is_last)
{
	struct bpf_thread_state states[THREADS];
	uint64_t now_ns;

	/* The ring is read before each look; between that, the clock and the map programs go on. */
	drain();
	for (uint32_t i = is_last ? 0 : random_below(6); i > 0; i--)
		act();
	now_ns = clock_ns;
	for (uint32_t i = is_last ? 0 : random_below(4); i > 0; i--)
		act();
	for (uint32_t tid = 0; tid < THREADS; tid++)
		states[tid] = (struct bpf_thread_state){.tid = tid, .thread = threads[tid].map};
	bpf_waits_progress(&waits, now_ns, states, THREADS, is_last);
}

static void simulate(uint32_t look_every)
{
	uint64_t owed[THREADS] = {0};

	begin(START_NS);
	for (int tid = 0; tid < THREADS; tid++)
		threads[tid] =
			(struct simulated){.since_ns = START_NS, .map = {.since_ns = START_NS}};
	for (int step = 0; step < STEPS; step++) {
		act();
		if (random_below(20) == 0)
			drain();
		if (random_below(look_every) == 0)
			look(false);
		if (random_below(30) == 0)
			flush();
	}
	/* The end: programs have finished what they began. */
	for (int tid = 0; tid < THREADS; tid++) {
		struct simulated *thread = &threads[tid];

		if (thread->stage == ENDS_WAIT)
			thread->map = (struct bpf_thread){.since_ns = thread->since_ns};
		if (thread->stage == WAITS)
			thread->wait_ns += clock_ns - thread->since_ns;
		else
			thread->run_ns += clock_ns - thread->since_ns;
	}
	drain();
	look(true);
	flush();
	for (size_t i = 0; i < waits.credits.count; i++)
		owed[waits.credits.items[i].tid] = waits.credits.items[i].owed_ns;
	for (int tid = 0; tid < THREADS; tid++) {
		CHECK_EQ_U64(told[tid].wait_ns, threads[tid].wait_ns + owed[tid]);
		CHECK_EQ_U64(told[tid].waits, threads[tid].waits);
		CHECK_EQ_U64(told[tid].run_ns, threads[tid].run_ns);
		/* No more than what passed between two steps of a program. */
		CHECK(owed[tid] < 100000);
		CHECK(threads[tid].waits > 100);
	}
	bpf_waits_done(&waits);
	vec_done(&ring);
}

TEST(whatever_the_interleaving_the_sums_are_exact)
{
	simulate(10);
}

TEST(sums_are_exact_where_the_reader_looks_all_the_time)
{
	simulate(2);
}

TEST(sums_are_exact_where_the_reader_looks_rarely)
{
	simulate(2000);
}

/* ---- the price */

static struct bpf_pace_second second_of(double overhead_pct)
{
	return (struct bpf_pace_second){.spent_ns = (uint64_t)(overhead_pct * 5e6),
					.wall_ns = 1000000000,
					.cpu_ns = 500000000};
}

TEST(overhead_is_relative_to_the_time_that_the_target_used)
{
	struct bpf_pace_second second = second_of(3);

	CHECK_BETWEEN(bpf_pace_overhead(&second), 2.99, 3.01);
	/* One that does nothing is taken to use a hundredth of a CPU. */
	second.cpu_ns = 0;
	second.spent_ns = 1000000;
	CHECK_BETWEEN(bpf_pace_overhead(&second), 9.99, 10.01);
	second.wall_ns = 0;
	CHECK_BETWEEN(bpf_pace_overhead(&second), 0, 0);
}

TEST(above_what_is_allowed_fewer_stacks_are_walked_down_to_one_of_1024)
{
	struct bpf_pace pace = {0};
	struct bpf_pace_second dear = second_of(6);
	uint32_t wanted = 0;

	for (int i = 0; i < 10; i++) {
		wanted = 2 * wanted + 1;
		CHECK(bpf_pace_step(&pace, &dear, 5));
		CHECK_EQ_U64(pace.mask, wanted);
	}
	CHECK_EQ_U64(pace.mask, 1023);
	CHECK(!bpf_pace_step(&pace, &dear, 5));
	CHECK_EQ_U64(pace.mask, 1023);
}

TEST(after_five_cheap_seconds_more_are_walked_again)
{
	struct bpf_pace pace = {.mask = 3};
	struct bpf_pace_second cheap = second_of(1), middling = second_of(3);

	for (int i = 0; i < 4; i++)
		CHECK(!bpf_pace_step(&pace, &cheap, 5));
	/* A second in between begins it anew. */
	CHECK(!bpf_pace_step(&pace, &middling, 5));
	for (int i = 0; i < 4; i++)
		CHECK(!bpf_pace_step(&pace, &cheap, 5));
	CHECK(bpf_pace_step(&pace, &cheap, 5));
	CHECK_EQ_U64(pace.mask, 1);
	for (int i = 0; i < 4; i++)
		CHECK(!bpf_pace_step(&pace, &cheap, 5));
	CHECK(bpf_pace_step(&pace, &cheap, 5));
	CHECK_EQ_U64(pace.mask, 0);
	for (int i = 0; i < 20; i++)
		CHECK(!bpf_pace_step(&pace, &cheap, 5));
}

TEST(modes_say_how_many_stacks_are_walked)
{
	CHECK_EQ_STR(bpf_pace_mode(0), "bpf");
	CHECK_EQ_STR(bpf_pace_mode(1), "bpf, 1 of 2 stacks");
	CHECK_EQ_STR(bpf_pace_mode(63), "bpf, 1 of 64 stacks");
	CHECK_EQ_STR(bpf_pace_mode(1023), "bpf, 1 of 1024 stacks");
	CHECK_EQ_STR(bpf_pace_mode(UINT32_MAX), "bpf, 1 of 1024 stacks");
}

/* ---- sleepers */

TEST(a_sleeper_has_its_kind_and_its_stack)
{
	struct bpf_sleeper *sleeper = mem_zalloc(sizeof(*sleeper));
	struct child child = child_start(child_idle, NULL);
	struct target *target;
	struct err err = {0};

	if (target_open_pid(child.pid, &target, &err))
		FAIL("%s", err.sentence);
	/* It says that it is ready before it reads. */
	CHECK_SOON(bpf_sleeper_read(target, child.pid, sleeper) &&
		   (sleeper->kind == BPF_WAIT_IO || !sleeper->has_stack));
	if (!sleeper->has_stack)
		SKIP("the stacks of other processes may not be read here");
	CHECK_EQ_U64(sleeper->registers.known, 1 << EVENT_REGISTER_RSP);
	CHECK(sleeper->registers.rip && sleeper->registers.general[EVENT_REGISTER_RSP]);
	CHECK_BETWEEN(sleeper->size, 200, BPF_COPY_BYTES);
	target_free(target);
	child_end(&child);
	free(sleeper);
}

static void spin(const void *argument)
{
	child_ready();
	for (;;)
		;
}

TEST(a_thread_that_runs_is_no_sleeper)
{
	struct bpf_sleeper *sleeper = mem_zalloc(sizeof(*sleeper));
	struct child child = child_start(spin, NULL);
	struct target *target;
	struct err err = {0};

	if (target_open_pid(child.pid, &target, &err))
		FAIL("%s", err.sentence);
	CHECK_SOON(!bpf_sleeper_read(target, child.pid, sleeper));
	CHECK(!bpf_sleeper_read(target, child.pid, sleeper));
	target_free(target);
	child_end(&child);
	free(sleeper);
}

TEST(kinds_come_from_the_system_call)
{
	CHECK_EQ_U64(bpf_sleeper_kind(SYS_futex), BPF_WAIT_LOCK);
	CHECK_EQ_U64(bpf_sleeper_kind(SYS_clock_nanosleep), BPF_WAIT_SLEEP);
	CHECK_EQ_U64(bpf_sleeper_kind(SYS_epoll_wait), BPF_WAIT_POLL);
	CHECK_EQ_U64(bpf_sleeper_kind(SYS_wait4), BPF_WAIT_CHILD);
	CHECK_EQ_U64(bpf_sleeper_kind(SYS_read), BPF_WAIT_IO);
	CHECK_EQ_U64(bpf_sleeper_kind(SYS_pause), BPF_WAIT_OTHER);
	CHECK_EQ_U64(bpf_sleeper_kind(-1), BPF_WAIT_OTHER);
}

KIT_MAIN
