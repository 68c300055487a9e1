/* The perf source where it may not, or cannot, do all that was asked. */
#include <fcntl.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "tests/unit/perf_live.h"

enum { NOBODY = 65534, BURN_NS = 300000000 };

static long read_setting(const char *path)
{
	FILE *file = fopen(path, "r");
	long value = -1000;

	if (file) {
		if (fscanf(file, "%ld", &value) != 1)
			value = -1000;
		fclose(file);
	}
	return value;
}

static void become_nobody(void)
{
	if (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
		SKIP("only root can test as another user");
	/* Given up with the old identity; /proc/PID would belong to root. */
	prctl(PR_SET_DUMPABLE, 1);
}

static void burn_as_nobody(int in, int out)
{
	uint64_t cpu_ns;

	if (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
		_exit(1);
	prctl(PR_SET_DUMPABLE, 1);
	live_say(out, "r", 1);
	live_wait_for_byte(in);
	cpu_ns = live_burn(BURN_NS);
	live_say(out, &cpu_ns, sizeof(cpu_ns));
	live_wait_for_byte(in);
}

static void just_wait(int in, int out)
{
	live_say(out, "r", 1);
	live_wait_for_byte(in);
}

static void need_root_and_paranoid_2(void)
{
	if (geteuid())
		SKIP("only root can test as another user");
	if (read_setting("/proc/sys/kernel/perf_event_paranoid") != 2)
		SKIP("kernel.perf_event_paranoid is not 2");
}

static bool has_note(const struct source_facts *facts, const char *part)
{
	for (size_t i = 0; i < facts->note_count; i++) {
		if (strstr(facts->notes[i], part))
			return true;
	}
	return false;
}

static struct source_facts describe(struct source *source)
{
	static struct arena arena;
	struct source_facts facts;

	source->ops->describe(source, &arena, &facts);
	return facts;
}

static void check_refused(const struct source_config *config, enum err_kind kind, const char *part)
{
	struct source *source = NULL;
	struct err err = {0};

	CHECK(source_perf.open(config, &source, &err) < 0);
	CHECK(!source);
	CHECK_EQ_I64(err.kind, kind);
	if (!strstr(err.sentence, part))
		FAIL("\"%s\" has no \"%s\"", err.sentence, part);
}

TEST(an_ordinary_user_gets_user_time_within_the_memory_limit)
{
	struct rlimit memlock = {1 << 20, 1 << 20};
	struct source_config config;
	struct source_facts facts;
	struct live_tally tally = {0};
	struct source *source;
	struct live live;
	uint64_t cpu_ns;

	need_root_and_paranoid_2();
	live = live_start(burn_as_nobody);
	CHECK(setrlimit(RLIMIT_MEMLOCK, &memlock) == 0);
	become_nobody();
	config = live_config(&live, "cpu-clock,page-faults");
	config.buffer_bytes = 64 << 20;
	source = live_open(&config);
	facts = describe(source);
	CHECK_EQ_STR(facts.name, "perf");
	CHECK_EQ_STR(facts.stacks, "frame pointers");
	CHECK(facts.user_time_only);
	CHECK_EQ_U64(facts.threads_opened, 1);
	CHECK(has_note(&facts, "kernel.perf_event_mlock_kb="));
	CHECK(has_note(&facts, "Page faults inside system calls"));
	CHECK_BETWEEN(facts.buffer_bytes, 8192, 32 << 20);
	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	live_go(&live);
	live_pump(&live, source, &tally, &cpu_ns, sizeof(cpu_ns));
	live_finish(source, &tally);
	CHECK_EQ_U64(tally.kernel_samples, 0);
	/* The clock is read now and then: a little is system time. */
	CHECK_BETWEEN(tally.by_event[0], (double)cpu_ns * 999 / 1e9 * 0.85,
		      (double)cpu_ns * 999 / 1e9 * 1.03);
	live_check_no_loss(&tally);
	live_end(&live);
}

TEST(an_ordinary_user_is_refused_context_switches)
{
	struct source_config config;
	struct live live;

	need_root_and_paranoid_2();
	live = live_start(burn_as_nobody);
	become_nobody();
	config = live_config(&live, "cpu-clock,context-switches");
	config.buffer_bytes = 1;
	check_refused(&config, ERR_PERMISSION, "context-switches happen in the kernel");
	live_end(&live);
}

TEST(another_users_process_is_refused)
{
	struct source_config config;
	struct live live;

	need_root_and_paranoid_2();
	live = live_start(just_wait);
	config = live_config(&live, "cpu-clock");
	config.buffer_bytes = 1;
	become_nobody();
	check_refused(&config, ERR_PERMISSION, "");
	live_end(&live);
}

TEST(an_event_without_a_counter_is_refused_by_name)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_HARDWARE,
				       .size = sizeof(attr),
				       .config = PERF_COUNT_HW_CPU_CYCLES,
				       .exclude_kernel = 1};
	struct source_config config;
	struct live live;

	if (syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0) >= 0)
		SKIP("this machine has hardware counters");
	live = live_start(just_wait);
	config = live_config(&live, "cpu-clock,cpu-cycles");
	check_refused(&config, ERR_USAGE,
		      "This machine cannot count cpu-cycles (no hardware counters). It can count: "
		      "cpu-clock, task-clock, context-switches, page-faults.");
	live_end(&live);
}

TEST(a_frequency_beyond_the_machines_is_refused)
{
	long max = read_setting("/proc/sys/kernel/perf_event_max_sample_rate");
	struct live live = live_start(just_wait);
	struct source_config config = live_config(&live, "cpu-clock");
	struct source *source;

	config.frequency = (uint32_t)max + 1;
	check_refused(&config, ERR_USAGE, "kernel.perf_event_max_sample_rate");
	/* Each occurrence is recorded, whatever the frequency. */
	config = live_config(&live, "page-faults");
	config.frequency = (uint32_t)max + 1;
	source = live_open(&config);
	source->ops->close(source);
	live_end(&live);
}

TEST(more_frames_than_the_kernel_gives_are_said)
{
	long max = read_setting("/proc/sys/kernel/perf_event_max_stack");
	struct live live = live_start(just_wait);
	struct source_config config = live_config(&live, "cpu-clock");
	struct source_facts facts;
	struct source *source;

	if (max >= 511)
		SKIP("kernel.perf_event_max_stack is %ld", max);
	config.frames_max = 511;
	source = live_open(&config);
	facts = describe(source);
	CHECK(has_note(&facts, "kernel.perf_event_max_stack=511"));
	source->ops->close(source);
	config.frames_max = (uint32_t)max;
	source = live_open(&config);
	CHECK_EQ_U64(describe(source).note_count, 0);
	source->ops->close(source);
	live_end(&live);
}

enum { THREADS = 30, MANY_THREADS = 1000 };

static void *wait_for_ever(void *argument)
{
	for (;;)
		pause();
	return NULL;
}

static void start_waiting_threads(int in, int out, int count)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 64 * 1024);
	for (int i = 0; i < count; i++) {
		if (pthread_create(&thread, &attributes, wait_for_ever, NULL))
			_exit(1);
	}
	just_wait(in, out);
}

static void start_30_threads(int in, int out)
{
	start_waiting_threads(in, out, THREADS);
}

static void start_1000_threads(int in, int out)
{
	start_waiting_threads(in, out, MANY_THREADS);
}

TEST(threads_beyond_the_descriptor_limit_are_counted)
{
	struct live live = live_start(start_30_threads);
	struct source_config config = live_config(&live, "cpu-clock");
	struct live_tally tally = {.target_pid = (uint32_t)live.pid};
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct rlimit limit = {40 + 2 * (rlim_t)cpus, 40 + 2 * (rlim_t)cpus};
	struct source_facts facts;
	struct source *source;

	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	if ((rlim_t)cpus * (THREADS + 1) < limit.rlim_cur)
		SKIP("all threads fit on %ld CPU", cpus);
	source = live_open(&config);
	facts = describe(source);
	CHECK_EQ_U64(facts.note_count, 1);
	CHECK(has_note(&facts, "of 31 threads are not sampled"));
	CHECK_BETWEEN(facts.threads_opened, 1, THREADS);
	/* A quarter stays free for the rest of rsprof. */
	CHECK(fcntl(0, F_DUPFD, (int)limit.rlim_cur * 3 / 4) >= 0);
	source->ops->start(source, NULL);
	source->ops->drain(source, live_count, &tally);
	CHECK_EQ_U64(tally.lost[LOSS_THREADS_NOT_OPENED], THREADS + 1 - facts.threads_opened);
	source->ops->drain(source, live_count, &tally);
	CHECK_EQ_U64(tally.lost[LOSS_THREADS_NOT_OPENED], THREADS + 1 - facts.threads_opened);
	live_finish(source, &tally);
	live_end(&live);
}

TEST(the_soft_descriptor_limit_is_raised)
{
	struct live live = live_start(start_30_threads);
	struct source_config config = live_config(&live, "cpu-clock");
	struct source_facts facts;
	struct source *source;
	struct rlimit limit;

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = 16;
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	source = live_open(&config);
	facts = describe(source);
	CHECK_EQ_U64(facts.threads_opened, THREADS + 1);
	CHECK_EQ_U64(facts.note_count, 0);
	source->ops->close(source);
	live_end(&live);
}

TEST(no_room_for_a_single_thread_is_an_error)
{
	struct live live = live_start(just_wait);
	struct source_config config = live_config(&live, "cpu-clock,page-faults,task-clock");
	/* Room for the rings and for listing the threads. */
	rlim_t room = (rlim_t)dup(0) + (rlim_t)sysconf(_SC_NPROCESSORS_ONLN) + 4;
	struct rlimit limit = {room, room};

	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	check_refused(&config, ERR_GENERAL, "limit of open files");
	live_end(&live);
}

TEST(a_thousand_threads_are_opened)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct source_config config;
	struct source *source;
	struct rlimit limit;
	struct live live;

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	if (limit.rlim_max < (rlim_t)(cpus * (MANY_THREADS + 1) + 100))
		SKIP("the hard limit of open files is %llu", (unsigned long long)limit.rlim_max);
	live = live_start(start_1000_threads);
	config = live_config(&live, "cpu-clock");
	source = live_open(&config);
	CHECK_EQ_U64(describe(source).threads_opened, MANY_THREADS + 1);
	CHECK_EQ_U64(describe(source).note_count, 0);
	CHECK_EQ_I64(source->ops->start(source, NULL), 0);
	source->ops->stop(source);
	source->ops->close(source);
	live_end(&live);
}

TEST(a_target_that_ended_is_not_found)
{
	struct live live = live_start(just_wait);
	struct source_config config = live_config(&live, "cpu-clock");
	siginfo_t info;

	kill(live.pid, SIGKILL);
	/* A zombie, then nothing at all. */
	CHECK(waitid(P_PID, (id_t)live.pid, &info, WEXITED | WNOWAIT) == 0);
	check_refused(&config, ERR_NOT_FOUND, "ended while attaching");
	waitpid(live.pid, NULL, 0);
	live.is_reaped = true;
	check_refused(&config, ERR_NOT_FOUND, "ended while attaching");
	live_end(&live);
}

KIT_MAIN
