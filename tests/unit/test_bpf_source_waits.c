/* The bpf source on live threads that wait. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "tests/unit/bpf_live.h"
#include "tests/unit/child.h"
#include "tests/unit/live_children.h"

enum { NAPS = 100, NAP_NS = 7000000 };

static void nap_and_burn(int in, int out)
{
	struct timespec moment = {.tv_nsec = NAP_NS};
	struct slept slept = {.tid = (uint32_t)live_tid()};
	uint64_t start;

	live_say(out, "r", 1);
	live_wait_for_byte(in);
	start = live_clock_ns(CLOCK_MONOTONIC);
	for (int i = 0; i < NAPS; i++) {
		clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
		slept.cpu_ns += live_burn(1000000);
	}
	slept.wall_ns = live_clock_ns(CLOCK_MONOTONIC) - start;
	live_say(out, &slept, sizeof(slept));
	live_wait_for_byte(in);
}

TEST(naps_and_work_add_up_to_the_wall_clock)
{
	struct live live = live_start(nap_and_burn);
	struct source_config config = bpf_live_config(&live, "cpu-clock,wait-time");
	struct source *source = bpf_live_open(&config);
	struct bpf_tally tally = {.wait_index = 1, .tid = (uint32_t)live.pid};
	uint64_t start_ns, wall_ns;
	struct slept slept;

	bpf_live_set_code(&live, source);
	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	start_ns = live_clock_ns(CLOCK_MONOTONIC);
	live_go(&live);
	bpf_live_pump(&live, source, &tally, &slept, sizeof(slept));
	source->ops->stop(source);
	wall_ns = live_clock_ns(CLOCK_MONOTONIC) - start_ns;
	source->ops->drain(source, bpf_count, &tally);
	source->ops->close(source);
	printf("# wall %.3f s: waited %.3f s (%.3f s asleep), ran %.3f s\n", (double)wall_ns / 1e9,
	       (double)tally.wait_ns / 1e9, (double)tally.wait_ns_by_kind[WAIT_SLEEP] / 1e9,
	       (double)tally.run_ns / 1e9);
	CHECK_BETWEEN(tally.wait_ns + tally.run_ns, (double)wall_ns * 0.97, (double)wall_ns * 1.03);
	CHECK_BETWEEN(tally.waits_by_kind[WAIT_SLEEP], NAPS - 2, NAPS);
	CHECK_BETWEEN(tally.wait_ns_by_kind[WAIT_SLEEP], (double)NAPS * NAP_NS * 0.97,
		      (double)(slept.wall_ns - slept.cpu_ns) * 1.01);
	CHECK_BETWEEN(tally.run_ns, (double)slept.cpu_ns * 0.97, (double)wall_ns);
	CHECK_BETWEEN(tally.wait_ns_without_stack, 0, (double)tally.wait_ns * 0.01);
	live_check_no_loss(&tally.live);
	u64_map_done(&tally.wait_stacks);
	live_end(&live);
}

/* Longer than a second, so that it is credited before it ends, or never ends. */
TEST(a_thread_asleep_at_the_beginning_waits_from_then_on)
{
	struct live live = live_start(nap_long);
	struct source_config config = bpf_live_config(&live, "wait-time");
	struct source *source = bpf_live_open(&config);
	struct bpf_tally tally = {.wait_index = 0};
	uint64_t start_ns, wall_ns, asleep_ns;
	struct slept slept;

	bpf_live_set_code(&live, source);
	start_ns = live_clock_ns(CLOCK_MONOTONIC);
	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	bpf_live_pump(&live, source, &tally, &slept, sizeof(slept));
	asleep_ns = tally.wait_ns_by_kind[WAIT_SLEEP];
	/* It reads now, and is still at it when the recording ends. */
	CHECK_EQ_U64(poll(NULL, 0, 300), 0);
	source->ops->stop(source);
	wall_ns = live_clock_ns(CLOCK_MONOTONIC) - start_ns;
	source->ops->drain(source, bpf_count, &tally);
	source->ops->close(source);
	CHECK_BETWEEN(tally.wait_ns + tally.run_ns, (double)wall_ns * 0.97, (double)wall_ns * 1.01);
	CHECK_BETWEEN(asleep_ns, 1e9, (double)slept.wall_ns);
	CHECK_BETWEEN(tally.wait_ns_by_kind[WAIT_IO], 290e6, (double)wall_ns);
	CHECK_EQ_U64(tally.waits_by_kind[WAIT_SLEEP], 1);
	/* The wait that nobody saw begin has a stack to walk. */
	CHECK_BETWEEN(tally.wait_ns_with_copy, (double)asleep_ns * 0.99, (double)wall_ns);
	CHECK_BETWEEN(tally.wait_copies_bytes, 500, 1 << 20);
	live_check_no_loss(&tally.live);
	u64_map_done(&tally.wait_stacks);
	live_end(&live);
}

/* Threads that were just created may not have got to their sleep yet. */
static void wait_until_all_sleep(pid_t pid)
{
	char command[128];

	snprintf(command, sizeof(command),
		 "while cat /proc/%d/task/*/stat | grep -q ') R '; do sleep 0.01; done", (int)pid);
	CHECK(system(command) == 0);
}

TEST(a_thousand_threads_asleep_wait_a_thousand_times_the_wall_clock)
{
	struct live live = live_start(start_many_threads);
	struct source_config config = bpf_live_config(&live, "wait-time");
	struct source *source = bpf_live_open(&config);
	struct bpf_tally tally = {.wait_index = 0, .live = {.target_pid = (uint32_t)live.pid}};
	uint64_t start_ns, started_ns, wall_ns, wanted_ns;

	wait_until_all_sleep(live.pid);
	bpf_live_set_code(&live, source);
	start_ns = live_clock_ns(CLOCK_MONOTONIC);
	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	started_ns = live_clock_ns(CLOCK_MONOTONIC) - start_ns;
	while (live_clock_ns(CLOCK_MONOTONIC) - start_ns < UINT64_C(1500000000)) {
		source->ops->wait(source, -1, 100);
		source->ops->drain(source, bpf_count, &tally);
	}
	source->ops->stop(source);
	wall_ns = live_clock_ns(CLOCK_MONOTONIC) - start_ns;
	source->ops->drain(source, bpf_count, &tally);
	source->ops->close(source);
	printf("# %d stacks of sleepers, %.1f MB, read in %.0f ms\n", MANY_THREADS + 1,
	       (double)tally.wait_copies_bytes / 2e6, (double)started_ns / 1e6);
	wanted_ns = (MANY_THREADS + 1) * wall_ns;
	CHECK_BETWEEN(tally.wait_ns, (double)wanted_ns * 0.97, wanted_ns);
	/* None of them has ended; the first thread may just have been about to sleep. */
	CHECK(tally.waits <= 2);
	CHECK_BETWEEN(tally.wait_ns_with_copy, (double)wanted_ns * 0.97, wanted_ns);
	live_check_no_loss(&tally.live);
	u64_map_done(&tally.wait_stacks);
	live_end(&live);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *hold_lock(void *argument)
{
	pthread_mutex_lock(&lock);
	pthread_barrier_wait(&gate);
	live_burn(SHORT_BURN_NS);
	pthread_mutex_unlock(&lock);
	return argument;
}

static void wait_for_lock_and_poll(int in, int out)
{
	struct slept slept = {.tid = (uint32_t)live_tid()};
	pthread_t holder;

	pthread_barrier_init(&gate, NULL, 2);
	live_say(out, "r", 1);
	live_wait_for_byte(in);
	pthread_create(&holder, NULL, hold_lock, NULL);
	pthread_barrier_wait(&gate);
	slept.wall_ns = live_clock_ns(CLOCK_MONOTONIC);
	pthread_mutex_lock(&lock);
	slept.wall_ns = live_clock_ns(CLOCK_MONOTONIC) - slept.wall_ns;
	pthread_join(holder, NULL);
	poll(NULL, 0, 200);
	live_say(out, &slept, sizeof(slept));
	live_wait_for_byte(in);
}

TEST(kinds_of_waits_are_told_apart)
{
	struct live live = live_start(wait_for_lock_and_poll);
	struct source_config config = bpf_live_config(&live, "wait-time");
	struct source *source = bpf_live_open(&config);
	struct bpf_tally tally = {.wait_index = 0, .tid = (uint32_t)live.pid};
	struct slept slept;

	bpf_live_set_code(&live, source);
	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	live_go(&live);
	bpf_live_pump(&live, source, &tally, &slept, sizeof(slept));
	bpf_live_finish(source, &tally);
	CHECK_BETWEEN(tally.wait_ns_by_kind[WAIT_LOCK], (double)slept.wall_ns * 0.95,
		      (double)slept.wall_ns * 1.05 + 20e6);
	CHECK_BETWEEN(tally.wait_ns_by_kind[WAIT_POLL], 195e6, 2e9);
	live_check_no_loss(&tally.live);
	u64_map_done(&tally.wait_stacks);
	live_end(&live);
}

enum { DISTINCT = 20000, BITS = 15 };

static void nap_below(uint32_t path, int bits);

/* Two ways down for each bit of the path. */
__attribute__((noinline)) static void go_left(uint32_t path, int bits)
{
	nap_below(path, bits);
	__asm__ volatile("" : : : "memory");
}

__attribute__((noinline)) static void go_right(uint32_t path, int bits)
{
	nap_below(path, bits);
	__asm__ volatile("" : : : "memory");
}

__attribute__((noinline)) static void nap_below(uint32_t path, int bits)
{
	struct timespec moment = {.tv_nsec = 1};

	if (!bits)
		nanosleep(&moment, NULL);
	else if (path & 1)
		go_right(path >> 1, bits - 1);
	else
		go_left(path >> 1, bits - 1);
	__asm__ volatile("" : : : "memory");
}

static void wait_in_many_places(int in, int out)
{
	struct slept slept = {.tid = (uint32_t)live_tid()};

	live_say(out, "r", 1);
	live_wait_for_byte(in);
	slept.wall_ns = live_clock_ns(CLOCK_MONOTONIC);
	for (uint32_t path = 0; path < DISTINCT; path++)
		nap_below(path, BITS);
	slept.wall_ns = live_clock_ns(CLOCK_MONOTONIC) - slept.wall_ns;
	live_say(out, &slept, sizeof(slept));
	live_wait_for_byte(in);
}

TEST(twenty_thousand_waiting_stacks_are_all_there)
{
	struct live live = live_start(wait_in_many_places);
	struct source_config config = bpf_live_config(&live, "wait-time");
	struct bpf_tally tally = {.wait_index = 0};
	struct source *source;
	uint64_t start_ns, wall_ns;
	struct slept slept;

	config.buffer_bytes = 16 << 20;
	config.overhead_max_pct = 100000;
	source = bpf_live_open(&config);
	bpf_live_set_code(&live, source);
	start_ns = live_clock_ns(CLOCK_MONOTONIC);
	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	live_go(&live);
	bpf_live_pump(&live, source, &tally, &slept, sizeof(slept));
	source->ops->stop(source);
	wall_ns = live_clock_ns(CLOCK_MONOTONIC) - start_ns;
	source->ops->drain(source, bpf_count, &tally);
	source->ops->close(source);
	printf("# %zu stacks; wall %.3f s: waited %.3f s, ran %.3f s\n", tally.wait_stacks.count,
	       (double)wall_ns / 1e9, (double)tally.wait_ns / 1e9, (double)tally.run_ns / 1e9);
	/* Now and then a nap is over before the thread has left the CPU. */
	CHECK_BETWEEN(tally.wait_stacks.count, DISTINCT * 0.99, DISTINCT * 1.05);
	CHECK_BETWEEN(tally.waits_by_kind[WAIT_SLEEP], DISTINCT * 0.99, DISTINCT);
	CHECK_BETWEEN(tally.wait_ns + tally.run_ns, (double)wall_ns * 0.97, (double)wall_ns * 1.01);
	live_check_no_loss(&tally.live);
	u64_map_done(&tally.wait_stacks);
	live_end(&live);
}

TEST(waits_that_find_no_room_are_counted)
{
	struct live live = live_start(wait_in_many_places);
	struct source_config config = bpf_live_config(&live, "wait-time");
	struct bpf_tally tally = {.wait_index = 0, .live = {.target_pid = (uint32_t)live.pid}};
	struct source *source;
	struct slept slept;

	config.buffer_bytes = 1;
	source = bpf_live_open(&config);
	bpf_live_set_code(&live, source);
	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	live_go(&live);
	live_hear(&live, &slept, sizeof(slept));
	bpf_live_finish(source, &tally);
	CHECK_BETWEEN(tally.waits, 10, DISTINCT / 2);
	CHECK_BETWEEN(tally.waits + tally.live.lost[LOSS_WAITS_RING_FULL], DISTINCT * 0.99,
		      DISTINCT * 1.2);
	CHECK_EQ_U64(tally.live.lost[LOSS_BAD_RECORD], 0);
	u64_map_done(&tally.wait_stacks);
	live_end(&live);
}

TEST(a_cost_above_what_is_allowed_walks_fewer_stacks_and_loses_no_time)
{
	struct live live = live_start(nap_long);
	struct source_config config = bpf_live_config(&live, "wait-time");
	struct source *source;
	struct bpf_tally tally = {.wait_index = 0};
	struct delta_step step;
	uint64_t start_ns, wall_ns;
	struct slept slept;

	/* The target's one switch costs more than nothing. */
	config.overhead_max_pct = 0;
	source = bpf_live_open(&config);
	bpf_live_set_code(&live, source);
	CHECK(!source->ops->next_step(source, &step));
	start_ns = live_clock_ns(CLOCK_MONOTONIC);
	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	bpf_live_pump(&live, source, &tally, &slept, sizeof(slept));
	/* The next second has the cost of that switch in it. */
	for (int i = 0; i < 25; i++) {
		poll(NULL, 0, 50);
		source->ops->drain(source, bpf_count, &tally);
	}
	source->ops->stop(source);
	wall_ns = live_clock_ns(CLOCK_MONOTONIC) - start_ns;
	source->ops->drain(source, bpf_count, &tally);
	CHECK(source->ops->next_step(source, &step));
	CHECK_EQ_STR(step.signal, "wait");
	CHECK_EQ_STR(step.mode, "bpf, 1 of 2 stacks");
	CHECK_BETWEEN(step.time_ns, start_ns, start_ns + wall_ns);
	CHECK(!source->ops->next_step(source, &step));
	source->ops->close(source);
	CHECK_BETWEEN(tally.wait_ns + tally.run_ns, (double)wall_ns * 0.97, (double)wall_ns * 1.01);
	u64_map_done(&tally.wait_stacks);
	live_end(&live);
}

KIT_MAIN
