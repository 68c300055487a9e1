/* The perf source against the kernel: what is sampled, and how much of it. */
#include <linux/perf_event.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "tests/unit/live_children.h"

TEST(samples_threads_from_before_and_after_attach)
{
	struct live live = live_start(start_one_before_one_after);
	struct source_config config = live_config(&live, "cpu-clock");
	struct source *source = live_open(&config);
	struct live_tally tally = {0};
	struct burnt burnt[2];

	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	live_go(&live);
	live_pump(&live, source, &tally, burnt, sizeof(burnt));
	live_finish(source, &tally);
	for (int i = 0; i < 2; i++)
		live_check_rate(*live_of_thread(&tally, burnt[i].tid), burnt[i].cpu_ns);
	live_check_no_loss(&tally);
	CHECK_EQ_U64(tally.of_type[EVENT_FORK], 1);
	CHECK_EQ_U64(tally.of_type[EVENT_EXIT], 2);
	CHECK_EQ_U64(tally.empty_stacks, 0);
	CHECK_EQ_U64(tally.by_event[0], tally.samples);
	live_end(&live);
}

static void start_thread_when_told(int in, int out)
{
	struct burnt burnt = {.cpu_ns = SHORT_BURN_NS};
	pthread_t thread;

	pthread_barrier_init(&gate, NULL, 2);
	live_say(out, "r", 1);
	live_wait_for_byte(in);
	pthread_create(&thread, NULL, burner, &burnt);
	live_say(out, "t", 1);
	live_wait_for_byte(in);
	pthread_barrier_wait(&gate);
	pthread_join(thread, NULL);
	live_say(out, &burnt, sizeof(burnt));
	live_wait_for_byte(in);
}

TEST(samples_a_thread_started_between_open_and_start)
{
	struct live live = live_start(start_thread_when_told);
	struct source_config config = live_config(&live, "task-clock");
	struct source *source = live_open(&config);
	struct live_tally tally = {0};
	struct burnt burnt;
	char started;

	live_go(&live);
	live_hear(&live, &started, 1);
	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	live_go(&live);
	live_pump(&live, source, &tally, &burnt, sizeof(burnt));
	live_finish(source, &tally);
	live_check_rate(*live_of_thread(&tally, burnt.tid), burnt.cpu_ns);
	live_check_no_loss(&tally);
	live_end(&live);
}

/* Starts threads while it is being opened; all burn when the test says so. */
static void start_threads_all_the_time(int in, int out)
{
	static struct burnt burnt[RACERS];
	static pthread_t threads[RACERS];
	uint64_t total_ns = 0;

	pthread_barrier_init(&gate, NULL, RACERS + 1);
	live_say(out, "r", 1);
	live_wait_for_byte(in);
	for (int i = 0; i < RACERS; i++) {
		burnt[i].cpu_ns = RACER_NS;
		pthread_create(&threads[i], NULL, burner, &burnt[i]);
	}
	live_wait_for_byte(in);
	pthread_barrier_wait(&gate);
	for (int i = 0; i < RACERS; i++) {
		pthread_join(threads[i], NULL);
		total_ns += burnt[i].cpu_ns;
	}
	live_say(out, &total_ns, sizeof(total_ns));
	live_wait_for_byte(in);
}

TEST(threads_that_start_during_open_are_counted_once)
{
	struct live live = live_start(start_threads_all_the_time);
	struct source_config config = live_config(&live, "cpu-clock");
	struct live_tally tally = {0};
	struct source *source;
	uint64_t total_ns;

	config.frequency = 4999;
	live_go(&live);
	source = live_open(&config);
	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	live_go(&live);
	live_pump(&live, source, &tally, &total_ns, sizeof(total_ns));
	live_finish(source, &tally);
	CHECK_EQ_U64(tally.thread_count >= RACERS, true);
	CHECK_BETWEEN(tally.samples, (double)total_ns * 4999 / 1e9 * 0.93,
		      (double)total_ns * 4999 / 1e9 * 1.07);
	CHECK_EQ_U64(tally.lost[LOSS_RING_FULL], 0);
	live_end(&live);
}

TEST(page_faults_are_all_recorded_where_they_happen)
{
	struct live live = live_start(fault_some);
	struct source_config config = live_config(&live, "page-faults");
	struct source *source = live_open(&config);
	/* The target is a fork of this very program. */
	struct live_tally tally = {.leaf_low = (uintptr_t)touch_pages,
				   .leaf_high = (uintptr_t)touch_pages + 256};
	uint64_t faults;

	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	live_go(&live);
	live_pump(&live, source, &tally, &faults, sizeof(faults));
	live_finish(source, &tally);
	CHECK_BETWEEN(tally.samples, PAGES * 0.98, PAGES * 1.02);
	CHECK_EQ_U64(tally.leaf_inside, PAGES);
	live_check_no_loss(&tally);
	live_end(&live);
}

TEST(what_finds_no_room_in_the_ring_is_counted)
{
	struct live live = live_start(fault_many);
	struct source_config config = live_config(&live, "page-faults");
	struct live_tally tally = {.target_pid = (uint32_t)live.pid};
	struct source *source;
	uint64_t faults, all;

	config.buffer_bytes = 1; /* the smallest rings there are */
	source = live_open(&config);
	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	live_go(&live);
	live_hear(&live, &faults, sizeof(faults));
	live_finish(source, &tally);
	all = tally.samples + tally.lost[LOSS_RING_FULL];
	CHECK_BETWEEN(tally.samples, 100, MANY_PAGES / 4);
	CHECK_BETWEEN(all, faults, faults + 100);
	CHECK_EQ_U64(tally.lost[LOSS_EVENTS_UNSAMPLED], 0);
	live_end(&live);
}

enum { NAPS = 500 };

static void nap(int in, int out)
{
	struct timespec moment = {.tv_nsec = 500000};
	struct rusage before, after;
	uint64_t switches;

	live_say(out, "r", 1);
	live_wait_for_byte(in);
	getrusage(RUSAGE_SELF, &before);
	for (int i = 0; i < NAPS; i++)
		nanosleep(&moment, NULL);
	getrusage(RUSAGE_SELF, &after);
	switches =
		(uint64_t)(after.ru_nvcsw + after.ru_nivcsw - before.ru_nvcsw - before.ru_nivcsw);
	live_say(out, &switches, sizeof(switches));
	live_wait_for_byte(in);
}

TEST(context_switches_are_all_recorded)
{
	struct live live = live_start(nap);
	struct source_config config = live_config(&live, "context-switches");
	struct source *source = live_open(&config);
	struct live_tally tally = {0};
	uint64_t switches;

	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	live_go(&live);
	live_pump(&live, source, &tally, &switches, sizeof(switches));
	live_finish(source, &tally);
	/* A nap may be over before the thread has left the CPU. */
	CHECK(switches >= NAPS * 98 / 100);
	CHECK_BETWEEN(tally.samples, (double)switches * 0.98, (double)switches * 1.02);
	CHECK_EQ_U64(tally.kernel_samples, tally.samples);
	CHECK_EQ_U64(tally.empty_stacks, 0);
	live_check_no_loss(&tally);
	live_end(&live);
}

TEST(events_recorded_together_are_told_apart)
{
	struct live live = live_start(fault_some);
	struct source_config config = live_config(&live, "cpu-clock,page-faults,context-switches");
	struct source *source = live_open(&config);
	struct live_tally tally = {0};
	uint64_t faults;

	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	live_go(&live);
	live_pump(&live, source, &tally, &faults, sizeof(faults));
	live_finish(source, &tally);
	CHECK_BETWEEN(tally.by_event[1], PAGES * 0.98, PAGES * 1.02);
	/* It wakes to the test's word and sleeps again at the end. */
	CHECK_BETWEEN(tally.by_event[2], 1, 50);
	live_check_no_loss(&tally);
	live_end(&live);
}

TEST(a_fork_child_is_announced_and_not_sampled)
{
	struct live live = live_start(fork_a_burner);
	struct source_config config = live_config(&live, "cpu-clock");
	struct source *source = live_open(&config);
	struct live_tally tally = {0};
	struct burnt child;

	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	live_go(&live);
	live_pump(&live, source, &tally, &child, sizeof(child));
	live_finish(source, &tally);
	CHECK_EQ_U64(*live_of_thread(&tally, child.tid), 0);
	CHECK_EQ_U64(tally.last_fork_pid, child.tid);
	CHECK_EQ_U64(tally.last_fork_parent, (uint64_t)live.pid);
	/* The fork itself, no more. */
	CHECK_BETWEEN(tally.samples, 0, SHORT_BURN_NS / 1000000 / 2);
	live_check_no_loss(&tally);
	live_end(&live);
}

static void exec_a_shell(int in, int out)
{
	uint64_t cpu_ns;

	live_say(out, "r", 1);
	live_wait_for_byte(in);
	live_burn(SHORT_BURN_NS);
	cpu_ns = live_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	live_say(out, &cpu_ns, sizeof(cpu_ns));
	dup2(out, 9);
	execl("/bin/sh", "sh", "-c",
	      "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo d >&9", (char *)NULL);
	_exit(1);
}

TEST(start_on_exec_counts_from_the_first_instruction)
{
	struct live live = live_start(exec_a_shell);
	struct source_config config = live_config(&live, "cpu-clock");
	struct live_tally tally = {0};
	struct source *source;
	struct rusage usage;
	uint64_t before_ns, all_ns;
	char done[2];

	config.start_on_exec = true;
	source = live_open(&config);
	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	live_go(&live);
	live_hear(&live, &before_ns, sizeof(before_ns));
	live_pump(&live, source, &tally, done, sizeof(done));
	CHECK(wait4(live.pid, NULL, 0, &usage) == live.pid);
	live.is_reaped = true;
	live_finish(source, &tally);
	all_ns = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000u +
		 (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000u;
	CHECK_EQ_U64(tally.execs, 1);
	CHECK_BETWEEN(tally.executable_maps, 2, 10); /* sh, ld.so, libc, vdso */
	CHECK_BETWEEN(tally.samples, (double)(all_ns - before_ns) * 999 / 1e9 * 0.92 - 3,
		      (double)(all_ns - before_ns) * 999 / 1e9 * 1.08 + 3);
	live_check_no_loss(&tally);
	live_end(&live);
}

/* Samples only wake the reader when a ring is half full. */
TEST(wait_returns_when_a_ring_is_half_full)
{
	struct live live = live_start(fault_many);
	struct source_config config = live_config(&live, "page-faults");
	uint64_t start, faults;
	struct source *source;

	config.buffer_bytes = 1;
	source = live_open(&config);
	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	start = live_clock_ns(CLOCK_MONOTONIC);
	source->ops->wait(source, -1, 50);
	CHECK_BETWEEN(live_clock_ns(CLOCK_MONOTONIC) - start, 45e6, 5e9);
	live_go(&live);
	start = live_clock_ns(CLOCK_MONOTONIC);
	source->ops->wait(source, -1, 20000);
	CHECK_BETWEEN(live_clock_ns(CLOCK_MONOTONIC) - start, 0, 10e9);
	live_hear(&live, &faults, sizeof(faults));
	source->ops->close(source);
	live_end(&live);
}

KIT_MAIN
