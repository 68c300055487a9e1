/* The bpf source against the kernel: what is sampled and waited for, and how much of it. */
#include <linux/perf_event.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "tests/unit/bpf_live.h"
#include "tests/unit/child.h"
#include "tests/unit/live_children.h"

TEST(threads_from_before_and_after_attach_with_whole_stacks)
{
	struct live live = live_start(start_one_before_one_after);
	struct source_config config = bpf_live_config(&live, "cpu-clock");
	struct source *source = bpf_live_open(&config);
	struct bpf_tally tally = {.wait_index = UINT32_MAX};
	struct burnt burnt[2];

	bpf_live_set_code(&live, source);
	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	live_go(&live);
	bpf_live_pump(&live, source, &tally, burnt, sizeof(burnt));
	bpf_live_finish(source, &tally);
	for (int i = 0; i < 2; i++)
		live_check_rate(*live_of_thread(&tally.live, burnt[i].tid), burnt[i].cpu_ns);
	live_check_no_loss(&tally.live);
	CHECK_EQ_U64(tally.live.of_type[EVENT_FORK], 1);
	CHECK_EQ_U64(tally.live.of_type[EVENT_EXIT], 2);
	CHECK_EQ_U64(tally.live.by_event[0], tally.live.samples);
	printf("# %.2f %% of %" PRIu64 " stacks complete, %" PRIu64 " copied\n",
	       bpf_live_complete_pct(&tally), tally.live.samples, tally.copies);
	CHECK_BETWEEN(bpf_live_complete_pct(&tally), 99, 100);
	live_end(&live);
}

TEST(code_that_is_not_published_comes_as_copies)
{
	struct live live = live_start(start_one_before_one_after);
	struct source_config config = bpf_live_config(&live, "cpu-clock");
	struct source *source = bpf_live_open(&config);
	struct bpf_tally tally = {.wait_index = UINT32_MAX};
	struct burnt burnt[2];

	/* 2 s at 16 KiB each. */
	config.buffer_bytes = 64 << 20;
	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	live_go(&live);
	bpf_live_pump(&live, source, &tally, burnt, sizeof(burnt));
	bpf_live_finish(source, &tally);
	for (int i = 0; i < 2; i++)
		live_check_rate(*live_of_thread(&tally.live, burnt[i].tid), burnt[i].cpu_ns);
	live_check_no_loss(&tally.live);
	CHECK_BETWEEN(tally.copies, (double)tally.live.samples * 0.98, tally.live.samples);
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
		struct timespec moment = {.tv_nsec = 5000000};

		burnt[i].cpu_ns = RACER_NS;
		pthread_create(&threads[i], NULL, burner, &burnt[i]);
		/* Over the time that loading takes, and beyond. */
		nanosleep(&moment, NULL);
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
	struct source_config config = bpf_live_config(&live, "cpu-clock");
	struct bpf_tally tally = {.wait_index = UINT32_MAX};
	struct source *source;
	uint64_t total_ns;

	config.frequency = 4999;
	live_go(&live);
	source = bpf_live_open(&config);
	bpf_live_set_code(&live, source);
	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	live_go(&live);
	bpf_live_pump(&live, source, &tally, &total_ns, sizeof(total_ns));
	bpf_live_finish(source, &tally);
	CHECK_EQ_U64(tally.live.thread_count >= RACERS, true);
	CHECK_BETWEEN(tally.live.samples, (double)total_ns * 4999 / 1e9 * 0.93,
		      (double)total_ns * 4999 / 1e9 * 1.07);
	CHECK_EQ_U64(tally.live.lost[LOSS_RING_FULL], 0);
	live_end(&live);
}

static void limit_files(rlim_t count)
{
	struct rlimit limit = {.rlim_cur = count, .rlim_max = count};

	CHECK_EQ_I64(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

TEST(a_thousand_threads_fit_into_little_more_descriptors)
{
	struct live live = live_start(start_many_threads);
	struct source_config config = bpf_live_config(&live, "cpu-clock");
	struct bpf_tally tally = {.wait_index = UINT32_MAX};
	struct source_facts facts;
	struct arena arena = {0};
	struct source *source;

	limit_files(MANY_THREADS + 200);
	source = bpf_live_open(&config);
	source->ops->describe(source, &arena, &facts);
	CHECK_EQ_U64(facts.threads_opened, MANY_THREADS + 1);
	CHECK_EQ_U64(facts.note_count, 0);
	bpf_live_finish(source, &tally);
	live_check_no_loss(&tally.live);
	arena_done(&arena);
	live_end(&live);
}

TEST(threads_without_a_descriptor_are_counted_and_told)
{
	struct live live = live_start(start_many_threads);
	struct source_config config = bpf_live_config(&live, "cpu-clock");
	struct bpf_tally tally = {.wait_index = UINT32_MAX};
	struct source_facts facts;
	struct arena arena = {0};
	struct source *source;

	limit_files(500);
	source = bpf_live_open(&config);
	source->ops->describe(source, &arena, &facts);
	CHECK_BETWEEN(facts.threads_opened, 300, 499);
	CHECK_EQ_U64(facts.note_count, 1);
	bpf_live_finish(source, &tally);
	CHECK_EQ_U64(tally.live.lost[LOSS_THREADS_NOT_OPENED],
		     MANY_THREADS + 1 - facts.threads_opened);
	arena_done(&arena);
	live_end(&live);
}

TEST(events_recorded_together_are_told_apart)
{
	struct live live = live_start(fault_some);
	struct source_config config =
		bpf_live_config(&live, "cpu-clock,page-faults,context-switches");
	struct source *source = bpf_live_open(&config);
	/* The target is a fork of this very program. */
	struct bpf_tally tally = {.wait_index = UINT32_MAX,
				  .live = {.leaf_low = (uintptr_t)touch_pages,
					   .leaf_high = (uintptr_t)touch_pages + 256}};
	uint64_t faults;

	bpf_live_set_code(&live, source);
	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	live_go(&live);
	bpf_live_pump(&live, source, &tally, &faults, sizeof(faults));
	bpf_live_finish(source, &tally);
	CHECK_BETWEEN(tally.live.by_event[1], PAGES * 0.98, PAGES * 1.02);
	/* The timer hits there, too. */
	CHECK_BETWEEN(tally.live.leaf_inside, PAGES,
		      PAGES + tally.live.samples - tally.live.by_event[1]);
	/* It wakes to the test's word and sleeps again at the end; how often it is preempted is the
	 * machine's affair. */
	CHECK_BETWEEN(tally.live.by_event[2], 1, PAGES);
	CHECK_EQ_U64(tally.live.by_event[0] + tally.live.by_event[1] + tally.live.by_event[2],
		     tally.live.samples);
	live_check_no_loss(&tally.live);
	u64_map_done(&tally.wait_stacks);
	live_end(&live);
}

TEST(what_finds_no_room_in_the_ring_is_counted)
{
	struct live live = live_start(fault_many);
	struct source_config config = bpf_live_config(&live, "page-faults");
	struct bpf_tally tally = {.wait_index = UINT32_MAX,
				  .live = {.target_pid = (uint32_t)live.pid}};
	struct source *source;
	uint64_t faults, all;

	config.buffer_bytes = 1; /* the smallest ring there is */
	source = bpf_live_open(&config);
	bpf_live_set_code(&live, source);
	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	live_go(&live);
	live_hear(&live, &faults, sizeof(faults));
	bpf_live_finish(source, &tally);
	all = tally.live.samples + tally.live.lost[LOSS_RING_FULL];
	CHECK_BETWEEN(tally.live.samples, 100, MANY_PAGES / 2);
	CHECK_BETWEEN(all, faults, faults + 100);
	CHECK_EQ_U64(tally.live.lost[LOSS_EVENTS_UNSAMPLED], 0);
	live_end(&live);
}

/* Samples only wake the reader when the ring is half full. */
TEST(wait_returns_when_the_ring_is_half_full)
{
	struct live live = live_start(fault_many);
	struct source_config config = bpf_live_config(&live, "page-faults");
	struct bpf_tally tally = {.wait_index = UINT32_MAX};
	uint64_t start, faults;
	struct source *source;

	config.buffer_bytes = 1;
	source = bpf_live_open(&config);
	bpf_live_set_code(&live, source);
	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	live_go(&live);
	start = live_clock_ns(CLOCK_MONOTONIC);
	source->ops->wait(source, -1, 20000);
	CHECK_BETWEEN(live_clock_ns(CLOCK_MONOTONIC) - start, 0, 10e9);
	live_hear(&live, &faults, sizeof(faults));
	/* And is not woken for ever by what has been there; nor by other processes all the time. */
	source->ops->drain(source, bpf_count, &tally);
	source->ops->wait(source, -1, 50);
	source->ops->drain(source, bpf_count, &tally);
	start = live_clock_ns(CLOCK_MONOTONIC);
	for (int i = 0; i < 20; i++)
		source->ops->wait(source, -1, 50);
	CHECK_BETWEEN(live_clock_ns(CLOCK_MONOTONIC) - start, 20 * 4.9e6, 60e9);
	source->ops->close(source);
	live_end(&live);
}

TEST(a_fork_child_is_announced_and_not_sampled)
{
	struct live live = live_start(fork_a_burner);
	struct source_config config = bpf_live_config(&live, "cpu-clock,wait-time");
	struct source *source = bpf_live_open(&config);
	struct bpf_tally tally = {.wait_index = 1};
	struct burnt child;

	bpf_live_set_code(&live, source);
	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	live_go(&live);
	bpf_live_pump(&live, source, &tally, &child, sizeof(child));
	bpf_live_finish(source, &tally);
	CHECK_EQ_U64(*live_of_thread(&tally.live, child.tid), 0);
	CHECK_EQ_U64(tally.live.last_fork_pid, child.tid);
	CHECK_EQ_U64(tally.live.last_fork_parent, (uint64_t)live.pid);
	/* The fork itself, no more. */
	CHECK_BETWEEN(tally.live.samples, 0, SHORT_BURN_NS / 1000000 / 2);
	CHECK_BETWEEN(tally.wait_ns_by_kind[WAIT_CHILD], SHORT_BURN_NS * 0.9, 30e9);
	live_check_no_loss(&tally.live);
	u64_map_done(&tally.wait_stacks);
	live_end(&live);
}

struct before_exec {
	uint64_t cpu_ns, time_ns;
};

static void exec_a_shell(int in, int out)
{
	struct before_exec before;

	live_say(out, "r", 1);
	live_wait_for_byte(in);
	live_burn(SHORT_BURN_NS);
	before.cpu_ns = live_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	before.time_ns = live_clock_ns(CLOCK_MONOTONIC);
	live_say(out, &before, sizeof(before));
	dup2(out, 9);
	execl("/bin/sh", "sh", "-c",
	      "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo d >&9", (char *)NULL);
	_exit(1);
}

TEST(start_on_exec_counts_from_the_first_instruction)
{
	struct live live = live_start(exec_a_shell);
	struct source_config config = bpf_live_config(&live, "cpu-clock,wait-time");
	struct bpf_tally tally = {.wait_index = 1};
	struct source *source;
	struct rusage usage;
	uint64_t all_ns, epoch, wall_ns;
	struct before_exec before;
	char done[2];

	config.start_on_exec = true;
	config.buffer_bytes = 64 << 20;
	source = bpf_live_open(&config);
	epoch = source->ops->code_epoch(source);
	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	live_go(&live);
	live_hear(&live, &before, sizeof(before));
	bpf_live_pump(&live, source, &tally, done, sizeof(done));
	CHECK(wait4(live.pid, NULL, 0, &usage) == live.pid);
	wall_ns = live_clock_ns(CLOCK_MONOTONIC) - before.time_ns;
	live.is_reaped = true;
	CHECK_EQ_U64(source->ops->code_epoch(source), epoch + 1);
	bpf_live_finish(source, &tally);
	all_ns = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000u +
		 (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000u;
	CHECK_EQ_U64(tally.live.execs, 1);
	CHECK_BETWEEN(tally.live.executable_maps, 2, 10); /* sh, ld.so, libc, vdso */
	CHECK_BETWEEN(tally.live.samples, (double)(all_ns - before.cpu_ns) * 999 / 1e9 * 0.92 - 3,
		      (double)(all_ns - before.cpu_ns) * 999 / 1e9 * 1.08 + 3);
	/* Waiting and running, since the exec. */
	CHECK_BETWEEN(tally.wait_ns + tally.run_ns, (double)(all_ns - before.cpu_ns) * 0.9,
		      (double)wall_ns * 1.01);
	live_check_no_loss(&tally.live);
	u64_map_done(&tally.wait_stacks);
	live_end(&live);
}

static void map_code_when_told(int in, int out)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	live_say(out, "r", 1);
	live_wait_for_byte(in);
	if (mmap(NULL, PAGE_BYTES, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED)
		_exit(1);
	live_say(out, "m", 1);
	live_wait_for_byte(in);
}

TEST(a_new_mapping_of_code_is_told_at_once)
{
	struct live live = live_start(map_code_when_told);
	struct source_config config = bpf_live_config(&live, "cpu-clock");
	struct source *source = bpf_live_open(&config);
	struct bpf_tally tally = {.wait_index = UINT32_MAX};
	char mapped;

	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	live_go(&live);
	live_hear(&live, &mapped, 1);
	source->ops->wait(source, -1, 20000);
	tally.live.target_pid = (uint32_t)live.pid;
	source->ops->drain(source, bpf_count, &tally);
	CHECK_EQ_U64(tally.live.executable_maps, 1);
	bpf_live_finish(source, &tally);
	live_check_no_loss(&tally.live);
	u64_map_done(&tally.wait_stacks);
	live_end(&live);
}

/* ---- refusals */

static void open_as_nobody(const void *argument)
{
	struct live live = live_start(nap_long);
	struct source_config config = bpf_live_config(&live, "cpu-clock");
	struct source *source;
	struct err err = {0};

	CHECK(source_bpf.open(&config, &source, &err) < 0);
	CHECK_EQ_I64(err.kind, ERR_PERMISSION);
	CHECK_EQ_STR(err.sentence,
		     "The bpf source needs CAP_BPF and CAP_PERFMON, and rsprof has neither.");
	CHECK(strstr(err.remedy, "sudo rsprof -p "));
	live_end(&live);
}

TEST(an_ordinary_user_is_refused_with_what_would_allow_it)
{
	as_ordinary_user(open_as_nobody, NULL);
}

/* What libbpf has to say is part of the sentence, and nowhere else. */
TEST(a_load_that_fails_is_one_sentence_and_no_noise)
{
	struct live live = live_start(nap_long);
	struct source_config config = bpf_live_config(&live, "cpu-clock");
	int noise = memfd_create("noise", MFD_CLOEXEC), out = dup(STDERR_FILENO);
	struct source *source = NULL;
	struct err err = {0};
	int failed;

	if (bpf_check(live.target, &err))
		SKIP("%s", err.sentence);
	CHECK(noise >= 0 && out >= 0 && dup2(noise, STDERR_FILENO) >= 0);
	limit_files((rlim_t)out + 4);
	failed = source_bpf.open(&config, &source, &err);
	CHECK(dup2(out, STDERR_FILENO) >= 0);
	CHECK(failed < 0 && !source);
	CHECK_EQ_I64(lseek(noise, 0, SEEK_END), 0);
	CHECK(strstr(err.sentence, "The bpf source cannot start: "));
	CHECK(strstr(err.sentence, "Too many open files"));
	CHECK(!strchr(err.sentence, '\n'));
	CHECK_EQ_STR(err.remedy, "Raise the limit of open files: ulimit -n 65536");
	printf("# %s\n", err.sentence);
	live_end(&live);
}

TEST(an_arena_without_room_is_told_and_stacks_come_as_copies)
{
	struct live live = live_start(start_one_before_one_after);
	struct source_config config = bpf_live_config(&live, "cpu-clock");
	struct bpf_tally tally = {.wait_index = UINT32_MAX};
	struct source *source;
	struct burnt burnt[2];

	config.unwind_bytes = 1; /* the smallest there is: too small for libc's table */
	config.buffer_bytes = 64 << 20;
	source = bpf_live_open(&config);
	bpf_live_set_code(&live, source);
	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	live_go(&live);
	bpf_live_pump(&live, source, &tally, burnt, sizeof(burnt));
	bpf_live_finish(source, &tally);
	CHECK_BETWEEN(tally.live.lost[LOSS_TABLES_FULL], 1, 10);
	/* All of them run through libc's start of a thread. */
	CHECK_BETWEEN(tally.copies, (double)tally.live.samples * 0.95, tally.live.samples);
	live_end(&live);
}

KIT_MAIN
