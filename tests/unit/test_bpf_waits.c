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

static const struct waiting {
	void (*wait)(void);
	enum bpf_wait_kind kind;
} waitings[] = {
	{sleep_here, BPF_WAIT_SLEEP},
	{wait_on_futex, BPF_WAIT_LOCK},
	{wait_in_vfork, BPF_WAIT_CHILD},
	{wait_in_poll, BPF_WAIT_POLL},
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

RIG_MAIN
