/* Waiting, as the BPF programs tell it of children that know where they wait. */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdalign.h>
#include <sys/socket.h>

#include "tests/unit/bpf_rig.h"

enum { SLEEP_MS = 30, SLEEPS = 5, THREADS = 8 };

/* ---- what children do */

APART static void sleep_here(void)
{
	struct timespec time = {.tv_nsec = SLEEP_MS * 1000000};

	nanosleep(&time, NULL);
}

/* Aligns its frame, which has no fixed size either: the CFA is kept in memory. */
APART static void sleep_aligned(volatile size_t size)
{
	alignas(64) volatile char aligned[128];
	volatile char *more = __builtin_alloca(size);

	aligned[0] = more[0] = 1;
	sleep_here();
	aligned[1] = more[size - 1] = aligned[0];
}

APART static void wait_on_futex(void)
{
	static uint32_t word;
	struct timespec time = {.tv_nsec = SLEEP_MS * 1000000};

	syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &time, NULL, 0);
}

/* Its return address is in a register while it waits. */
APART static void wait_in_vfork(void)
{
	static struct timespec time = {.tv_nsec = SLEEP_MS * 1000000};
	pid_t pid = vfork();

	if (pid == 0) {
		syscall(SYS_nanosleep, &time, NULL);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

APART static void wait_in_poll(void)
{
	poll(NULL, 0, SLEEP_MS);
}

APART static void wait_for_bytes(void)
{
	struct timeval time = {.tv_usec = SLEEP_MS * 1000};
	int pair[2];
	char byte;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		_exit(1);
	setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
	recv(pair[0], &byte, 1, 0);
	close(pair[0]);
	close(pair[1]);
}

static const struct waiting {
	void (*wait)(void);
	enum bpf_wait_kind kind;
} waitings[] = {
	{sleep_here, BPF_WAIT_SLEEP},	 {wait_on_futex, BPF_WAIT_LOCK},
	{wait_in_vfork, BPF_WAIT_CHILD}, {wait_in_poll, BPF_WAIT_POLL},
	{wait_for_bytes, BPF_WAIT_IO},
};

static void sleep_in_aligned_frame(void)
{
	sleep_aligned(100);
}

static const struct waiting aligned = {sleep_in_aligned_frame, BPF_WAIT_SLEEP};

static void waiter(const void *argument)
{
	const struct waiting *waiting = argument;

	child_ready();
	child_await();
	for (int i = 0; i < SLEEPS; i++)
		waiting->wait();
	child_ready();
	child_await();
}

/* ---- what is told */

/* Of the stack with this hash, what was told: a walk, or a copy that is walked here. */
static uint32_t pcs_of(struct rig *rig, uint64_t hash, __u64 *pcs)
{
	for (uint32_t i = 0; i < rig->record_count; i++) {
		const struct bpf_sample *sample = (const struct bpf_sample *)rig->records[i];
		const struct bpf_copy *copy = (const struct bpf_copy *)rig->records[i];
		struct unwind_stack stack;

		if (sample->record.type == BPF_RECORD_STACK && sample->stack == hash) {
			CHECK_EQ_U64(sample->end, WALK_COMPLETE);
			CHECK(sample->pc_count <= RIG_PCS_MAX);
			memcpy(pcs, sample->pcs, sample->pc_count * sizeof(*pcs));
			return sample->pc_count;
		}
		if (copy->record.type == BPF_RECORD_COPY && copy->stack == hash) {
			rig_walk(rig, copy, pcs, RIG_PCS_MAX, &stack);
			CHECK_EQ_U64(stack.status, STACK_COMPLETE);
			return stack.pc_count;
		}
	}
	return 0;
}

struct waits {
	uint32_t count, other_count; /* of the kind that was asked for, and the rest */
	uint64_t wait_ns, other_ns, run_ns;
	__u64 pcs[RIG_PCS_MAX]; /* of the first one */
	uint32_t pc_count;
};

static struct waits wait_under(const struct waiting *waiting, uint64_t exec_count)
{
	struct child child = child_fork(waiter, waiting);
	struct rig *rig = rig_on(&child, rig_open(RIG_RING_BYTES));
	uint64_t last_ns = rig->control->start_ns, known_ns;
	struct waits waits = {0};

	rig_publish(rig, exec_count);
	rig_keep(rig, bpf_program__attach_trace(rig->skel->progs.on_switch));
	rig_let_work(rig, &child);
	child_end(&child);
	rig_drain(rig);
	for (uint32_t i = 0; i < rig->record_count; i++) {
		const struct bpf_wait *wait = (const struct bpf_wait *)rig->records[i];

		if (wait->record.type != BPF_RECORD_WAIT || wait->record.tid != (uint32_t)child.pid)
			continue;
		/* Between two records there is nothing. */
		CHECK_EQ_U64(wait->since_ns - wait->run_ns, last_ns);
		last_ns = wait->record.time_ns;
		waits.run_ns += wait->run_ns;
		if (wait->kind != waiting->kind) {
			waits.other_count++;
			waits.other_ns += wait->record.time_ns - wait->since_ns;
			continue;
		}
		if (waits.count++ == 0)
			waits.pc_count = pcs_of(rig, wait->stack, waits.pcs);
		waits.wait_ns += wait->record.time_ns - wait->since_ns;
		CHECK(wait->stack != 0);
	}
	known_ns = waits.wait_ns + waits.other_ns + waits.run_ns;
	CHECK_EQ_U64(known_ns, last_ns - rig->control->start_ns);
	CHECK_EQ_U64(rig->control->wait_ring_full + rig->control->threads_full, 0);
	CHECK(rig->control->switches >= 2 * SLEEPS);
	printf("# kind %u: %u waits of %.1f ms, %u others of %.1f ms, %.2f us a switch\n",
	       waiting->kind, waits.count, (double)waits.wait_ns / 1e6, waits.other_count,
	       (double)waits.other_ns / 1e6,
	       (double)rig->control->switch_spent_ns / (double)rig->control->switches / 1e3);
	rig_free(rig);
	return waits;
}

TEST(waits_are_told_with_kind_and_stack)
{
	for (size_t i = 0; i < sizeof(waitings) / sizeof(waitings[0]); i++) {
		struct waits waits = wait_under(&waitings[i], 0);

		CHECK(waits.count >= SLEEPS);
		CHECK_BETWEEN((double)waits.wait_ns / 1e6, SLEEPS * SLEEP_MS - 1,
			      SLEEPS * SLEEP_MS * 4);
		rig_check_rooted(waits.pcs, waits.pc_count);
	}
}

TEST(frames_whose_cfa_is_in_memory_are_left)
{
	struct waits waits = wait_under(&aligned, 0);

	CHECK_EQ_U64(waits.count, SLEEPS);
	rig_check_rooted(waits.pcs, waits.pc_count);
}

/* The same wait, walked by the program and from the copy that it sends where nothing is published.
 */
TEST(kernel_and_reader_walk_alike)
{
	for (size_t i = 0; i < sizeof(waitings) / sizeof(waitings[0]); i++) {
		struct waits both[2], walked, copied;

		/* From one line, so that the stacks are the same. */
		for (volatile unsigned at = 0; at < 2; at++)
			both[at] = wait_under(&waitings[i], at ? 7 : 0);
		walked = both[0];
		copied = both[1];
		CHECK_EQ_U64(copied.pc_count, walked.pc_count);
		CHECK(walked.pc_count >= 5);
		for (uint32_t at = 0; at < walked.pc_count; at++)
			CHECK_EQ_U64(copied.pcs[at], walked.pcs[at]);
	}
}

/* ---- more than one thread */

static void *burn_a_while(void *argument)
{
	uint64_t start = rig_cpu_ns();

	while (rig_cpu_ns() - start < 20000000)
		;
	return NULL;
}

static void threaded(const void *argument)
{
	pthread_t threads[THREADS];

	child_ready();
	child_await();
	for (unsigned i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, burn_a_while, NULL);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	child_ready();
	child_await();
}

/* Threads that begin and end meanwhile: what they ran is told, and nothing is left of them. */
TEST(threads_that_end_are_told_whole)
{
	struct child child = child_fork(threaded, NULL);
	struct rig *rig = rig_on(&child, rig_open(RIG_RING_BYTES));
	uint32_t ends = 0, key = 0, next;
	uint64_t run_ns = 0;

	rig_keep(rig, bpf_program__attach_trace(rig->skel->progs.on_switch));
	rig_let_work(rig, &child);
	/* The last one's end may come a moment after it was joined. */
	for (unsigned turn = 0; turn < 100 && rig_count(rig, BPF_RECORD_WAIT) > 0; turn++) {
		const struct bpf_map *threads = rig->skel->maps.threads;
		unsigned count = 0;

		for (int error = bpf_map__get_next_key(threads, NULL, &next, sizeof(next)); !error;
		     error = bpf_map__get_next_key(threads, &key, &next, sizeof(next))) {
			key = next;
			count++;
		}
		if (count == 1)
			break;
		usleep(10000);
	}
	CHECK_EQ_U64(key, (uint64_t)child.pid);
	rig_drain(rig);
	for (uint32_t i = 0; i < rig->record_count; i++) {
		const struct bpf_wait *wait = (const struct bpf_wait *)rig->records[i];

		if (wait->record.type != BPF_RECORD_WAIT || wait->record.tid == (uint32_t)child.pid)
			continue;
		run_ns += wait->run_ns;
		ends += wait->kind == 0;
	}
	CHECK_EQ_U64(ends, THREADS);
	/* Each burned 20 ms; what a virtual machine's host takes counts as running. */
	CHECK_BETWEEN((double)run_ns / 1e6, 20 * THREADS, 20 * THREADS * 5);
	rig_free(rig);
	child_end(&child);
}

static void pin(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* Shares one CPU with a process of its own. */
static void crowded(const void *argument)
{
	pid_t other;

	child_ready();
	child_await();
	pin();
	other = fork();
	if (other == 0)
		for (;;)
			;
	for (unsigned i = 0; i < 15; i++)
		burn_a_while(NULL);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	child_ready();
	child_await();
}

TEST(waiting_for_a_cpu_is_a_kind)
{
	struct child child = child_fork(crowded, NULL);
	struct rig *rig = rig_on(&child, rig_open(RIG_RING_BYTES));
	uint64_t wait_ns = 0, run_ns = 0;

	rig_keep(rig, bpf_program__attach_trace(rig->skel->progs.on_switch));
	rig_let_work(rig, &child);
	for (uint32_t i = 0; i < rig->record_count; i++) {
		const struct bpf_wait *wait = (const struct bpf_wait *)rig->records[i];

		if (wait->record.type != BPF_RECORD_WAIT)
			continue;
		CHECK_EQ_U64(wait->record.tid, (uint64_t)child.pid);
		run_ns += wait->run_ns;
		if (wait->kind == BPF_WAIT_RUN_QUEUE)
			wait_ns += wait->record.time_ns - wait->since_ns;
	}
	printf("# ran %.0f ms, waited %.0f ms for a CPU\n", (double)run_ns / 1e6,
	       (double)wait_ns / 1e6);
	/* Half of the time each, and other processes take their part. */
	CHECK(run_ns >= 200000000);
	CHECK(wait_ns * 2 >= run_ns);
	rig_free(rig);
	child_end(&child);
}

/* ---- switches that are not seen */

static void burner(const void *argument)
{
	child_ready();
	child_await();
	for (unsigned i = 0; i < 10; i++)
		burn_a_while(NULL);
	child_ready();
	child_await();
}

/* Of a thread that waits, the program is made to believe that it runs, as if its leaving had not
 * been seen: the kernel's count of CPU time says how much of the time it ran. */
TEST(missed_switches_lose_no_time)
{
	struct child child = child_fork(burner, NULL);
	struct rig *rig = rig_on(&child, rig_open(RIG_RING_BYTES));
	const struct bpf_map *threads = rig->skel->maps.threads;
	uint32_t tid = (uint32_t)child.pid;
	uint64_t run_ns = 0, last_ns = rig->control->start_ns;
	struct bpf_thread thread;

	rig_keep(rig, bpf_program__attach_trace(rig->skel->progs.on_switch));
	rig_let_work(rig, &child);
	for (unsigned turn = 0; turn < 1000; turn++) {
		usleep(10000);
		CHECK(bpf_map__lookup_elem(threads, &tid, sizeof(tid), &thread, sizeof(thread),
					   0) == 0);
		if (thread.kind == BPF_WAIT_IO)
			break;
	}
	CHECK_EQ_U64(thread.kind, BPF_WAIT_IO);
	thread.kind = 0;
	thread.since_ns -= thread.run_ns;
	thread.cpu_ns -= thread.run_ns;
	CHECK(bpf_map__update_elem(threads, &tid, sizeof(tid), &thread, sizeof(thread),
				   BPF_EXIST) == 0);
	child_end(&child);
	rig_drain(rig);
	CHECK(rig->control->switches_missed >= 1);
	for (uint32_t i = 0; i < rig->record_count; i++) {
		const struct bpf_wait *wait = (const struct bpf_wait *)rig->records[i];

		if (wait->record.type != BPF_RECORD_WAIT)
			continue;
		CHECK_EQ_U64(wait->since_ns - wait->run_ns, last_ns);
		last_ns = wait->record.time_ns;
		run_ns += wait->run_ns;
	}
	CHECK_BETWEEN((double)run_ns / 1e6, 199, 1000);
	rig_free(rig);
}

/* ---- what is told less often */

APART static void sleep_shortly(void)
{
	struct timespec time = {.tv_nsec = 20000};

	for (unsigned i = 0; i < 400; i++)
		nanosleep(&time, NULL);
}

static const struct waiting shortly = {sleep_shortly, BPF_WAIT_SLEEP};

TEST(equal_stacks_are_told_once)
{
	struct child child = child_fork(waiter, &shortly);
	struct rig *rig = rig_on(&child, rig_open(RIG_RING_BYTES));
	uint32_t waits = 0, stacks = 0;
	uint64_t hash = 0;

	rig_keep(rig, bpf_program__attach_trace(rig->skel->progs.on_switch));
	rig_let_work(rig, &child);
	for (uint32_t i = 0; i < rig->record_count; i++) {
		const struct bpf_wait *wait = (const struct bpf_wait *)rig->records[i];

		if (wait->record.type != BPF_RECORD_WAIT || wait->kind != BPF_WAIT_SLEEP)
			continue;
		if (!hash)
			hash = wait->stack;
		waits += wait->stack == hash;
	}
	for (uint32_t i = 0; i < rig->record_count; i++) {
		const struct bpf_sample *sample = (const struct bpf_sample *)rig->records[i];

		stacks += sample->record.type == BPF_RECORD_STACK && sample->stack == hash;
	}
	printf("# %u waits, %.2f us a switch\n", waits,
	       (double)rig->control->switch_spent_ns / (double)rig->control->switches / 1e3);
	CHECK(waits >= 380 * SLEEPS);
	CHECK_EQ_U64(stacks, 1);
	rig_free(rig);
	child_end(&child);
}

TEST(unwalked_waits_are_counted)
{
	struct child child = child_fork(waiter, &shortly);
	struct rig *rig = rig_on(&child, rig_open(RIG_RING_BYTES));
	uint32_t waits = 0, walked = 0;

	rig->control->wait_walk_mask = 3;
	rig_keep(rig, bpf_program__attach_trace(rig->skel->progs.on_switch));
	rig_let_work(rig, &child);
	for (uint32_t i = 0; i < rig->record_count; i++) {
		const struct bpf_wait *wait = (const struct bpf_wait *)rig->records[i];

		if (wait->record.type != BPF_RECORD_WAIT || wait->kind != BPF_WAIT_SLEEP)
			continue;
		waits++;
		walked += wait->stack != 0;
	}
	CHECK(waits >= 380 * SLEEPS);
	CHECK_BETWEEN(walked, waits / 8, waits * 3 / 8);
	CHECK(rig->control->waits_unwalked >= waits - walked);
	rig_free(rig);
	child_end(&child);
}

TEST(waits_that_find_no_room_are_counted)
{
	struct child child = child_fork(waiter, &shortly);
	struct rig *rig = rig_on(&child, rig_open(4096));

	rig_keep(rig, bpf_program__attach_trace(rig->skel->progs.on_switch));
	child_tell(&child, 'g');
	child_hear(&child);
	rig_drain(rig);
	/* Each of the sleeps is a wait, but for some that are over before they begin. */
	CHECK(rig_count(rig, BPF_RECORD_WAIT) + rig->control->wait_ring_full >= 390 * SLEEPS);
	CHECK(rig->control->wait_ring_full >= 300 * SLEEPS);
	rig_free(rig);
	child_end(&child);
}

RIG_MAIN
