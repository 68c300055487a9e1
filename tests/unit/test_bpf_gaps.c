/* The BPF programs where tables are missing, wait or change. */
#include <gnu/libc-version.h>

#include "tests/unit/bpf_sorter.h"

/* ---- what is not published, or not any more */

TEST(code_of_another_program_is_not_used)
{
	uint64_t work_ns = 300000000;
	struct child child = child_fork(sorter, &work_ns);
	struct rig *rig = rig_on(&child, rig_open(RIG_RING_BYTES));
	uint32_t complete = 0;

	rig_publish(rig, 7);
	rig_sample(rig, rig->skel->progs.on_event_0, child.pid, (uint64_t)child.pid);
	rig_let_work(rig, &child);
	CHECK(rig->record_count >= 100);
	for (uint32_t i = 0; i < rig->record_count; i++) {
		const struct bpf_copy *copy = (const struct bpf_copy *)rig->records[i];
		struct unwind_stack stack;
		__u64 pcs[RIG_PCS_MAX];

		CHECK_EQ_U64(copy->record.type, BPF_RECORD_COPY);
		CHECK_EQ_U64(copy->end, WALK_NO_MAPPING);
		CHECK_EQ_U64(copy->stack, 0);
		rig_walk(rig, copy, pcs, RIG_PCS_MAX, &stack);
		if (stack.status != STACK_COMPLETE)
			continue;
		rig_check_rooted(pcs, stack.pc_count);
		complete++;
	}
	CHECK(complete * 100 >= rig->record_count * 99);
	CHECK_EQ_U64(rig->control->sampled[0], rig->record_count);
	rig_free(rig);
	child_end(&child);
}

TEST(without_copies_the_walk_itself_is_told)
{
	uint64_t work_ns = 200000000;
	struct child child = child_fork(sorter, &work_ns);
	struct rig *rig = rig_open(RIG_RING_BYTES);

	rig->skel->rodata->copy_bytes = 0;
	rig_on(&child, rig);
	rig_publish(rig, 7);
	rig_sample(rig, rig->skel->progs.on_event_0, child.pid, (uint64_t)child.pid);
	rig_let_work(rig, &child);
	CHECK(rig->record_count >= 50);
	CHECK_EQ_U64(rig_count_ends(rig, BPF_RECORD_SAMPLE, WALK_NO_MAPPING), rig->record_count);
	rig_free(rig);
	child_end(&child);
}

TEST(tables_that_change_give_no_wrong_stack)
{
	uint64_t work_ns = 400000000;
	struct child child = child_fork(sorter, &work_ns);
	struct rig *rig = rig_on(&child, rig_open(RIG_RING_BYTES));
	struct pollfd fd = {.fd = child.from, .events = POLLIN};
	uint32_t complete;

	rig_sample(rig, rig->skel->progs.on_event_0, child.pid, (uint64_t)child.pid);
	child_tell(&child, 'g');
	while (poll(&fd, 1, 0) == 0) {
		rig_publish(rig, 0);
		rig_drain(rig);
	}
	child_hear(&child);
	rig_drain(rig);
	complete = rig_count_ends(rig, BPF_RECORD_SAMPLE, WALK_COMPLETE);
	printf("# %u complete, %u stale of %u\n", complete,
	       rig_count_ends(rig, BPF_RECORD_COPY, WALK_STALE), rig->record_count);
	CHECK(rig->record_count >= 100);
	for (uint32_t i = 0; i < rig->record_count; i++) {
		const struct bpf_sample *sample = (const struct bpf_sample *)rig->records[i];

		if (sample->record.type == BPF_RECORD_SAMPLE && sample->end == WALK_COMPLETE)
			rig_check_rooted(sample->pcs, sample->pc_count);
	}
	CHECK((complete + rig_count_ends(rig, BPF_RECORD_COPY, WALK_STALE)) * 100 >=
	      rig->record_count * 99);
	rig_free(rig);
	child_end(&child);
}

/* Code of which the reader has the table, and has not placed it: libc's, which every stack leads
 * through. Its qsort may be AddressSanitizer's. */
TEST(tables_that_wait_are_asked_for)
{
	uint64_t work_ns = 300000000;
	struct child child = child_fork(sorter, &work_ns);
	struct rig *rig = rig_on(&child, rig_open(RIG_RING_BYTES));
	struct bpf_code *libc = rig_code_of(rig, (const void *)gnu_get_libc_version);
	uint32_t complete = 0, copies = 0;

	libc->page_count = 0;
	libc->flags = CODE_IS_ELSEWHERE;
	rig_sample(rig, rig->skel->progs.on_event_0, child.pid, (uint64_t)child.pid);
	rig_let_work(rig, &child);
	for (uint32_t i = 0; i < rig->record_count; i++) {
		const struct bpf_copy *copy = (const struct bpf_copy *)rig->records[i];
		struct unwind_stack stack;
		__u64 pcs[RIG_PCS_MAX];

		CHECK_EQ_U64(copy->record.type, BPF_RECORD_COPY);
		CHECK_EQ_U64(copy->end, WALK_NO_TABLE);
		CHECK_EQ_U64(copy->flags & WALK_USED_FRAME_POINTERS, 0);
		copies++;
		rig_walk(rig, copy, pcs, RIG_PCS_MAX, &stack);
		complete += stack.status == STACK_COMPLETE;
	}
	CHECK(copies >= 100);
	CHECK(complete * 100 >= copies * 99);
	rig_free(rig);
	child_end(&child);
}

/* Code without any table, as a just-in-time compiler makes it. */
struct made {
	uint64_t (*code)(uint64_t rounds);
	uint64_t work_ns;
};

/* push %rbp; mov %rsp,%rbp; mov %rdi,%rax; 1: dec %rax; jnz 1b; pop %rbp; ret */
static const uint8_t made_with_frame[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0x89, 0xf8,
					  0x48, 0xff, 0xc8, 0x75, 0xfb, 0x5d, 0xc3};
/* As above, but with xor %ebp,%ebp; nop: rbp holds something else. */
static const uint8_t made_without_frame[] = {0x55, 0x31, 0xed, 0x90, 0x48, 0x89, 0xf8,
					     0x48, 0xff, 0xc8, 0x75, 0xfb, 0x5d, 0xc3};

static void runner(const void *argument)
{
	const struct made *made = argument;
	uint64_t start;

	child_ready();
	child_await();
	start = rig_cpu_ns();
	while (rig_cpu_ns() - start < made->work_ns)
		made->code(1000000);
	child_ready();
	child_await();
}

static void run_made(const uint8_t *bytes, size_t size, uint8_t end, uint8_t flags)
{
	struct rig *rig = rig_open(RIG_RING_BYTES);
	struct made made = {.work_ns = 300000000};
	struct child child;
	uint32_t expected = 0;
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(page != MAP_FAILED);
	memcpy(page, bytes, size);
	made.code = (uint64_t(*)(uint64_t))page;
	rig_add_code(rig, (uintptr_t)page, 4096);
	child = child_fork(runner, &made);
	rig_on(&child, rig);
	rig_sample(rig, rig->skel->progs.on_event_0, child.pid, (uint64_t)child.pid);
	rig_let_work(rig, &child);
	CHECK(rig->record_count >= 100);
	for (uint32_t i = 0; i < rig->record_count; i++) {
		const struct bpf_sample *sample = (const struct bpf_sample *)rig->records[i];

		if (sample->record.type != BPF_RECORD_SAMPLE || sample->end != end ||
		    (sample->flags & WALK_USED_FRAME_POINTERS) != flags)
			continue;
		expected++;
		if (end == WALK_COMPLETE)
			rig_check_rooted(sample->pcs, sample->pc_count);
	}
	CHECK(expected * 100 >= rig->record_count * 95);
	rig_free(rig);
	child_end(&child);
	munmap(page, 4096);
}

TEST(frame_pointers_lead_on_where_there_is_no_table)
{
	run_made(made_with_frame, sizeof(made_with_frame), WALK_COMPLETE, WALK_USED_FRAME_POINTERS);
}

TEST(without_table_and_frame_pointer_the_walk_says_so)
{
	run_made(made_without_frame, sizeof(made_without_frame), WALK_NO_TABLE, 0);
}

/* ---- the ring */

TEST(the_reader_is_woken_when_the_ring_is_half_full)
{
	uint64_t work_ns = 1500000000;
	struct child child = child_fork(sorter, &work_ns);
	struct rig *rig = rig_on(&child, rig_open(65536));
	struct pollfd fd = {.fd = ring_buffer__epoll_fd(rig->ring), .events = POLLIN};

	rig_sample(rig, rig->skel->progs.on_event_0, child.pid, (uint64_t)child.pid);
	child_tell(&child, 'g');
	/* A hundred samples are a quarter of it. */
	CHECK_EQ_I64(poll(&fd, 1, 100), 0);
	CHECK_EQ_I64(poll(&fd, 1, CHILD_DEADLINE_MS), 1);
	rig_drain(rig);
	CHECK_BETWEEN(rig->record_count, 100, 300);
	CHECK_EQ_U64(rig->control->ring_full, 0);
	rig_free(rig);
	child_end(&child);
}

RIG_MAIN
