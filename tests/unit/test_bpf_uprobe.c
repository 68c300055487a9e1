/* Stacks that uprobes have changed: ours, and those of other tools. */
#include "tests/unit/heap_toys.h"

enum {
	WORK_NS = 1000000000,
	FREQUENCY = 10000,
	/* Blocks at a time, so that the stack below changes. */
	TURN = 64,
};

APART static void use(int depth)
{
	volatile char room[40];

	room[0] = 1;
	if (depth)
		use(depth - 1);
	else
		toy_free(toy_malloc(64));
	room[1] = room[0];
}

/* With argument, some microseconds of other work come between two calls. */
static void allocate(const void *argument)
{
	uint64_t start;

	child_ready();
	child_await();
	start = rig_cpu_ns();
	while (rig_cpu_ns() - start < WORK_NS) {
		for (int i = 0; i < TURN; i++) {
			use(i % 24);
			for (volatile int j = 0; argument && j < 20000; j++)
				;
		}
	}
	child_ready();
	child_await();
}

/* ---- what is attached beside the rig: programs of another tool */

static int foreign_program(void)
{
	const struct bpf_insn instructions[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "foreign", "GPL", instructions, 2, NULL);

	CHECK(fd >= 0);
	return fd;
}

static void probe_as_foreigner(struct heap_probes *probes, pid_t pid, const void *function,
			       bool is_return)
{
	int program = foreign_program(), fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	const struct heap_programs programs = {
		.attach = HEAP_ATTACH_PERF, .call_fd = program, .return_fd = program};
	const struct heap_probe probe = {.file_offset = heap_rig_file_offset(function),
					 .wants_return = is_return};

	CHECK(fd >= 0);
	CHECK_EQ_I64(heap_probes_add(probes, &programs, pid, fd, &probe, 1), 0);
	close(fd);
	close(program);
}

/* ---- what is seen */

static void sample_fast(struct heap_rig *heap)
{
	DECLARE_LIBBPF_OPTS(bpf_perf_event_opts, options, .bpf_cookie = (uint64_t)heap->target.pid);
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.size = sizeof(attr),
		.sample_freq = FREQUENCY,
		.freq = 1,
		.inherit = 1,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, heap->target.pid, -1, -1,
			      PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		FAIL("perf_event_open: %s", strerror(errno));
	rig_keep(&heap->rig, bpf_program__attach_perf_event_opts(heap->rig.skel->progs.on_event_0,
								 fd, &options));
}

static struct heap_rig *open_with_samples(const struct child *child, enum heap_mode mode)
{
	struct heap_rig *heap = heap_rig_open();

	heap->config.heap = mode;
	heap->config.events[0] = event_kind_by_name("cpu-clock", strlen("cpu-clock"));
	heap->config.event_count = 1;
	child_hear(child);
	heap_rig_load(heap, child->pid, HEAP_ATTACH_SESSION);
	return heap;
}

static void check_samples(struct heap_rig *heap, uint32_t least_permille)
{
	const struct rig *rig = &heap->rig;
	uint32_t samples = rig_count(rig, BPF_RECORD_SAMPLE),
		 complete = rig_count_ends(rig, BPF_RECORD_SAMPLE, WALK_COMPLETE),
		 copies = rig_count(rig, BPF_RECORD_COPY);

	printf("# %u of %u samples complete, %u copies\n", complete, samples, copies);
	CHECK(samples >= 1000);
	CHECK(complete * 1000 >= (samples + copies) * least_permille);
	for (uint32_t i = 0; i < rig->record_count; i++) {
		const struct bpf_sample *sample = (const struct bpf_sample *)rig->records[i];

		if (sample->record.type == BPF_RECORD_SAMPLE && sample->end == WALK_COMPLETE &&
		    !(sample->flags & WALK_USED_FRAME_POINTERS))
			rig_check_rooted(sample->pcs, sample->pc_count);
	}
}

/* ---- samples */

static void sample_beside_heap(enum bpf_heap_mode mode)
{
	struct child child = child_fork(allocate, NULL);
	struct heap_rig *heap = open_with_samples(&child, HEAP_MODE_EXACT);
	struct bpf_heap_site sum;

	heap_rig_probe_toys(heap);
	heap->rig.control->heap_mean = 1024;
	heap->rig.control->heap_mode = mode;
	sample_fast(heap);
	rig_let_work(&heap->rig, &child);
	check_samples(heap, 995);
	/* Samples have interrupted heap programs, and these have a room of their own. */
	sum = heap_rig_sum(heap, NULL);
	printf("# %u stacks that allocate\n", rig_count(&heap->rig, BPF_RECORD_HEAP_STACK));
	CHECK_EQ_U64(rig_count_ends(&heap->rig, BPF_RECORD_HEAP_STACK, WALK_COMPLETE), 24);
	CHECK_EQ_U64(rig_count(&heap->rig, BPF_RECORD_HEAP_STACK), 24);
	CHECK(sum.allocs > 0);
	CHECK_EQ_U64(sum.frees, sum.allocs);
	CHECK_EQ_U64(sum.free_bytes, sum.alloc_bytes);
	CHECK_EQ_U64(heap->rig.control->heap_stacks_lost, 0);
	child_end(&child);
	heap_rig_free(heap);
}

TEST(samples_are_complete_beside_exact_heap)
{
	sample_beside_heap(BPF_HEAP_EXACT);
}

TEST(samples_are_complete_beside_sampled_heap)
{
	sample_beside_heap(BPF_HEAP_SAMPLED);
}

/* For a moment the kernel alone knows the address that it redirects, where it is none of our heap
 * programs that asked for it. */
TEST(samples_are_complete_where_another_tool_sees_returns)
{
	struct child child = child_fork(allocate, "works");
	struct heap_rig *heap = open_with_samples(&child, HEAP_MODE_OFF);
	struct heap_probes foreign = {0};

	probe_as_foreigner(&foreign, child.pid, (const void *)toy_malloc, true);
	sample_fast(heap);
	rig_let_work(&heap->rig, &child);
	check_samples(heap, 990);
	heap_probes_done(&foreign);
	child_end(&child);
	heap_rig_free(heap);
}

/* Its first instruction is none that the kernel emulates. */
int stepped(uint64_t number);
asm(".globl stepped\n.type stepped, @function\nstepped:\n.cfi_startproc\n"
    "test %rdi, %rdi\nsete %al\nmovzbl %al, %eax\nret\n.cfi_endproc\n.size stepped, . - stepped");

APART static int step(uint64_t number)
{
	volatile int is_zero = stepped(number);

	return is_zero;
}

static void step_often(const void *argument)
{
	uint64_t start;

	child_ready();
	child_await();
	start = rig_cpu_ns();
	while (rig_cpu_ns() - start < WORK_NS) {
		for (uint64_t i = 0; i < TURN; i++)
			step(i);
	}
	child_ready();
	child_await();
}

TEST(samples_are_complete_where_another_tool_single_steps)
{
	struct child child = child_fork(step_often, NULL);
	struct heap_rig *heap = open_with_samples(&child, HEAP_MODE_OFF);
	struct heap_probes foreign = {0};
	const struct rig *rig = &heap->rig;
	uint32_t in_stepped = 0;

	probe_as_foreigner(&foreign, child.pid, (const void *)stepped, false);
	sample_fast(heap);
	rig_let_work(&heap->rig, &child);
	check_samples(heap, 995);
	/* That is where it is most of the time. */
	for (uint32_t i = 0; i < rig->record_count; i++) {
		const struct bpf_sample *sample = (const struct bpf_sample *)rig->records[i];

		in_stepped += sample->pcs[0] - (uintptr_t)stepped < 16;
	}
	CHECK(in_stepped * 2 > rig->record_count);
	heap_probes_done(&foreign);
	child_end(&child);
	heap_rig_free(heap);
}

/* ---- copies */

/* The probed functions call each other: many of the addresses on a stack were redirected. */
TEST(copies_have_the_addresses_that_were_redirected)
{
	struct child child = child_fork(allocate, NULL);
	struct heap_rig *heap = open_with_samples(&child, HEAP_MODE_OFF);
	struct heap_probes foreign = {0};
	struct rig *rig = &heap->rig;
	struct bpf_code *code = rig_code_of(rig, (const void *)main);
	uint32_t copies = 0, complete = 0;

	probe_as_foreigner(&foreign, child.pid, (const void *)use, true);
	probe_as_foreigner(&foreign, child.pid, (const void *)toy_malloc, true);
	code->page_count = 0;
	code->flags = CODE_IS_ELSEWHERE;
	sample_fast(heap);
	rig_let_work(rig, &child);
	for (uint32_t i = 0; i < rig->record_count; i++) {
		const struct bpf_copy *copy = (const struct bpf_copy *)rig->records[i];
		struct unwind_stack stack;
		__u64 pcs[RIG_PCS_MAX];

		if (copy->record.type != BPF_RECORD_COPY)
			continue;
		rig_walk(rig, copy, pcs, RIG_PCS_MAX, &stack);
		copies++;
		if (stack.status != STACK_COMPLETE)
			continue;
		complete++;
		rig_check_rooted(pcs, stack.pc_count);
	}
	printf("# %u of %u copies complete\n", complete, copies);
	CHECK(copies >= 100);
	/* Each call begins with the moment in which the address is the kernel's alone. */
	CHECK(complete * 1000 >= copies * 930);
	heap_probes_done(&foreign);
	child_end(&child);
	heap_rig_free(heap);
}

/* ---- waits */

enum { NAPS = 20 };

SITE static void nap(int depth)
{
	struct timespec time = {.tv_nsec = 5000000};
	volatile int left = depth;

	if (left)
		nap(left - 1);
	else
		nanosleep(&time, NULL);
	left = 0;
}

static void nap_often(const void *argument)
{
	child_ready();
	child_await();
	for (int i = 0; i < NAPS; i++)
		nap(5);
	child_ready();
	child_await();
}

TEST(waits_are_complete_where_another_tool_sees_returns)
{
	struct child child = child_fork(nap_often, NULL);
	struct heap_rig *heap = heap_rig_open();
	struct heap_probes foreign = {0};
	struct rig *rig = &heap->rig;
	uint32_t waits = 0;

	heap->config.heap = HEAP_MODE_OFF;
	heap->config.events[0] = event_kind_by_name("wait-time", strlen("wait-time"));
	heap->config.event_count = 1;
	child_hear(&child);
	heap_rig_load(heap, child.pid, HEAP_ATTACH_SESSION);
	probe_as_foreigner(&foreign, child.pid, (const void *)nap, true);
	rig_let_work(rig, &child);
	for (uint32_t i = 0; i < rig->record_count; i++) {
		const struct bpf_sample *stack = (const struct bpf_sample *)rig->records[i];
		uint32_t naps = 0;

		CHECK(stack->record.type != BPF_RECORD_COPY);
		if (stack->record.type != BPF_RECORD_STACK)
			continue;
		CHECK_EQ_U64(stack->end, WALK_COMPLETE);
		rig_check_rooted(stack->pcs, stack->pc_count);
		for (uint32_t j = 0; j < stack->pc_count; j++)
			naps += stack->pcs[j] - (uintptr_t)nap < HEAP_SITE_BYTES;
		waits += naps == 6;
	}
	CHECK(waits >= 1);
	heap_probes_done(&foreign);
	child_end(&child);
	heap_rig_free(heap);
}

RIG_MAIN
