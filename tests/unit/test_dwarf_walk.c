/* libdw's walk of stack copies: of this process, of a child beside rsprof's own walk, and of what
 * is damaged. */
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "reader/record/truth_run.h"
#include "reader/symbol/dwarf_walk.h"
#include "reader/util/clock.h"
#include "reader/util/vec.h"
#include "tests/unit/perf_live.h"

enum { PCS_MAX = 511, STACK_MAX = 1 << 16 };

/* After a call: it is no jump then. */
#define KEEP_CALL() __asm__ volatile("" : : : "memory")

typedef VEC(struct dwarf_walk_module) module_list;

static int add_module(struct dl_phdr_info *info, size_t size, void *context)
{
	module_list *list = context;
	const char *path = *info->dlpi_name ? info->dlpi_name : "/proc/self/exe";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	/* The vDSO has a name that is no path. */
	for (int i = 0; i < info->dlpi_phnum && fd >= 0; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];

		if (header->p_type == PT_LOAD && (header->p_flags & PF_X))
			*vec_add(list) = (struct dwarf_walk_module){
				.key = (uint32_t)list->count + 1,
				.name = path,
				.fd = fd,
				.start = info->dlpi_addr + (header->p_vaddr & ~UINT64_C(0xfff)),
				.file_offset = header->p_offset & ~UINT64_C(0xfff)};
	}
	return 0;
}

static module_list own_modules(void)
{
	module_list list = {0};

	dl_iterate_phdr(add_module, &list);
	return list;
}

static void done_modules(module_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		close(list->items[i].fd);
	vec_done(list);
}

/* Of a moment in this process: what a sample holds. */
struct moment {
	struct event_registers registers;
	uint8_t bytes[STACK_MAX];
	struct dwarf_walk_copy copy;
	void *truth[PCS_MAX];
	int truth_count;
};

static void take_registers(const ucontext_t *context, struct event_registers *registers)
{
	static const int order[EVENT_REGISTERS] = {
		REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP,
		REG_R8,	 REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

	for (int i = 0; i < EVENT_REGISTERS; i++)
		registers->general[i] = (uint64_t)context->uc_mcontext.gregs[order[i]];
	registers->rip = (uint64_t)context->uc_mcontext.gregs[REG_RIP];
	registers->known = UINT16_MAX;
}

static uint64_t stack_end(void)
{
	uint64_t low, high;
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "re");
	uint64_t end = 0;

	while (fgets(line, sizeof(line), maps)) {
		if (strstr(line, "[stack]") &&
		    sscanf(line, "%" SCNx64 "-%" SCNx64, &low, &high) == 2)
			end = high;
	}
	fclose(maps);
	return end;
}

static void __attribute__((noipa, no_sanitize("address")))
take_moment(struct moment *moment, uint64_t end)
{
	ucontext_t context;

	getcontext(&context);
	moment->truth_count = backtrace(moment->truth, PCS_MAX);
	take_registers(&context, &moment->registers);
	moment->copy.address = moment->registers.general[EVENT_REGISTER_RSP];
	moment->copy.size = end - moment->copy.address;
	if (moment->copy.size > STACK_MAX)
		moment->copy.size = STACK_MAX;
	for (size_t i = 0; i < moment->copy.size; i++)
		moment->bytes[i] = ((const volatile uint8_t *)moment->copy.address)[i];
	moment->copy.bytes = moment->bytes;
}

static int __attribute__((noipa)) descend(int depth, struct moment *moment, uint64_t end)
{
	if (depth == 0) {
		take_moment(moment, end);
		return 1;
	}
	depth += descend(depth - 1, moment, end);
	KEEP_CALL();
	return depth;
}

static struct moment *moment_at(int depth)
{
	struct moment *moment = mem_zalloc(sizeof(*moment));

	descend(depth, moment, stack_end());
	return moment;
}

static struct dwarf_stack walk_moment(struct dwarf_walk *walk, const struct moment *moment,
				      uint64_t *pcs, uint32_t pc_max)
{
	struct dwarf_stack stack = {.pcs = pcs, .pc_max = pc_max};

	dwarf_walk_stack(walk, &moment->registers, &moment->copy, &stack);
	return stack;
}

TEST(a_stack_of_this_process)
{
	struct dwarf_walk *walk = dwarf_walk_new();
	module_list modules = own_modules();
	struct moment *moment = moment_at(40);
	uint64_t pcs[PCS_MAX];
	struct dwarf_stack stack;

	CHECK_EQ_U64(dwarf_walk_set_modules(walk, modules.items, modules.count), 0);
	/* Once more: files are known, and nothing of the first time is left. */
	CHECK_EQ_U64(dwarf_walk_set_modules(walk, modules.items, modules.count), 0);
	stack = walk_moment(walk, moment, pcs, PCS_MAX);
	if (stack.end != DWARF_WALK_ROOT)
		FAIL("%u frames, then: %s", stack.pc_count, stack.reason);
	CHECK(stack.pc_count > 41);
	/* A sanitizer's backtrace() begins with a frame of its own, and the leaf was a call further
	 * on when it looked. */
	CHECK_BETWEEN(moment->truth_count, stack.pc_count, stack.pc_count + 2);
	for (uint32_t i = 1; i < stack.pc_count; i++)
		CHECK_EQ_U64(pcs[stack.pc_count - i],
			     (uint64_t)moment->truth[moment->truth_count - (int)i]);
	free(moment);
	done_modules(&modules);
	dwarf_walk_free(walk);
}

TEST(the_bounds_of_a_walk)
{
	struct dwarf_walk *walk = dwarf_walk_new();
	module_list modules = own_modules();
	struct moment *moment = moment_at(40);
	uint64_t pcs[PCS_MAX];
	struct dwarf_stack whole, stack;

	/* Before any module is known. */
	stack = walk_moment(walk, moment, pcs, PCS_MAX);
	CHECK_EQ_U64(stack.end, DWARF_WALK_STOPPED);
	CHECK_EQ_U64(stack.pc_count, 0);
	CHECK(stack.reason != NULL);
	dwarf_walk_set_modules(walk, modules.items, modules.count);
	whole = walk_moment(walk, moment, pcs, PCS_MAX);
	CHECK_EQ_U64(whole.end, DWARF_WALK_ROOT);

	stack = walk_moment(walk, moment, pcs, 10);
	CHECK_EQ_U64(stack.end, DWARF_WALK_FULL);
	CHECK_EQ_U64(stack.pc_count, 10);
	stack = walk_moment(walk, moment, pcs, whole.pc_count);
	CHECK_EQ_U64(stack.end, DWARF_WALK_ROOT);
	CHECK_EQ_U64(stack.pc_count, whole.pc_count);

	/* A copy that ends within the stack. */
	moment->copy.size = 1024;
	stack = walk_moment(walk, moment, pcs, PCS_MAX);
	CHECK_EQ_U64(stack.end, DWARF_WALK_STOPPED);
	CHECK(stack.pc_count >= 1 && stack.pc_count < whole.pc_count);
	CHECK(stack.reason != NULL);
	moment->copy.size = 0;
	stack = walk_moment(walk, moment, pcs, PCS_MAX);
	CHECK_EQ_U64(stack.end, DWARF_WALK_STOPPED);
	CHECK_EQ_U64(stack.pc_count, 1);

	/* Registers that nobody could have. */
	moment->registers.rip = 0x1234;
	stack = walk_moment(walk, moment, pcs, PCS_MAX);
	CHECK_EQ_U64(stack.end, DWARF_WALK_STOPPED);
	CHECK_EQ_U64(pcs[0], 0x1234);
	moment->copy.address = UINT64_MAX - 3;
	moment->copy.size = 512;
	moment->registers.general[EVENT_REGISTER_RSP] = UINT64_MAX - 3;
	stack = walk_moment(walk, moment, pcs, PCS_MAX);
	CHECK_EQ_U64(stack.end, DWARF_WALK_STOPPED);
	free(moment);
	done_modules(&modules);
	dwarf_walk_free(walk);
}

static int file_of(const uint8_t *bytes, size_t size)
{
	int fd = memfd_create("file", MFD_CLOEXEC);

	CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
	return fd;
}

/* Files that are none, and one damaged in many ways: refused or not, a walk ends. */
TEST(damaged_files)
{
	enum { VARIANTS = 300, SIZE_MAX_HERE = 1 << 18 };
	struct moment *moment = moment_at(3);
	uint8_t *good = mem_alloc(SIZE_MAX_HERE), *bytes = mem_alloc(SIZE_MAX_HERE);
	int loader = open("/lib64/ld-linux-x86-64.so.2", O_RDONLY | O_CLOEXEC);
	uint64_t pcs[PCS_MAX], random = 88172645463325252u;
	struct dwarf_walk *walk = dwarf_walk_new();
	struct dwarf_walk_module module = {.key = 1, .name = "no file", .fd = -1};
	size_t size, refused = 0;

	if (loader < 0)
		SKIP("there is no ld.so");
	size = (size_t)read(loader, good, SIZE_MAX_HERE);
	close(loader);
	CHECK_EQ_U64(dwarf_walk_set_modules(walk, &module, 1), 1);
	module = (struct dwarf_walk_module){
		.key = 2, .name = "text", .fd = file_of((const uint8_t *)"#!/bin/sh\n", 10)};
	CHECK_EQ_U64(dwarf_walk_set_modules(walk, &module, 1), 1);
	close(module.fd);
	/* Of another machine. */
	memcpy(bytes, good, size);
	bytes[18] = 3; /* e_machine: EM_386 */
	module = (struct dwarf_walk_module){.key = 3, .name = "386", .fd = file_of(bytes, size)};
	CHECK_EQ_U64(dwarf_walk_set_modules(walk, &module, 1), 1);
	close(module.fd);
	for (uint32_t i = 0; i < VARIANTS; i++) {
		struct dwarf_stack stack;
		size_t kept = size;

		memcpy(bytes, good, size);
		for (int j = 0; j < 40; j++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			/* Half of it in the headers. */
			bytes[random % (j % 2 ? 1024 : size)] = (uint8_t)(random >> 32);
		}
		memcpy(bytes, good, 8);
		if (i % 3 == 0)
			kept = random % size;
		module = (struct dwarf_walk_module){
			.key = 10 + i, .name = "damaged", .fd = file_of(bytes, kept)};
		module.file_offset = 0x1000; /* where its code begins */
		module.start = i % 2 ? 0x1000 : moment->registers.rip & ~UINT64_C(0xfffff);
		refused += dwarf_walk_set_modules(walk, &module, 1);
		moment->registers.rip = module.start + random % size;
		stack = walk_moment(walk, moment, pcs, PCS_MAX);
		CHECK(stack.pc_count <= PCS_MAX);
		close(module.fd);
	}
	printf("# %zu of %d damaged files refused\n", refused, VARIANTS);
	CHECK(refused > 0);
	free(good);
	free(bytes);
	free(moment);
	dwarf_walk_free(walk);
}

/* ---- a child, walked by both */

#define FRAMELESS __attribute__((noipa, optimize("omit-frame-pointer")))

static FRAMELESS uint64_t burn(uint64_t rounds)
{
	uint64_t value = rounds;

	for (uint64_t i = 0; i < rounds; i++) {
		value = value * 6364136223846793005u + 1442695040888963407u;
		__asm__ volatile("" : "+r"(value));
	}
	return value;
}

static FRAMELESS int compare_slowly(const void *a, const void *b)
{
	burn(2000);
	return *(const int *)a - *(const int *)b;
}

static FRAMELESS void sort_slowly(void)
{
	int items[32];

	for (int i = 0; i < 32; i++)
		items[i] = i * 7919 % 31;
	qsort(items, 32, sizeof(*items), compare_slowly);
}

static FRAMELESS uint64_t burn_deep(int depth)
{
	uint64_t value = depth == 0 ? burn(200000) : burn_deep(depth - 1);

	KEEP_CALL();
	return value;
}

static FRAMELESS void handle(int signal)
{
	burn(200000);
}

static void body(int in, int out)
{
	struct sigaction action = {.sa_handler = handle};
	uint64_t end;

	sigaction(SIGUSR2, &action, NULL);
	live_say(out, "r", 1);
	live_wait_for_byte(in);
	end = live_clock_ns(CLOCK_MONOTONIC) + 20 * NS_PER_S;
	while (live_clock_ns(CLOCK_MONOTONIC) < end) {
		sort_slowly();
		burn_deep(60);
		raise(SIGUSR2);
	}
}

static void print_examples(const struct truth *truth, enum truth_kind kind)
{
	for (uint32_t i = 0; i < truth->example_counts[kind]; i++) {
		const struct truth_example *example = &truth->examples[kind][i];

		printf("# %s at frame %u of %u and %u: ours %s, libdw's %s, after %s\n",
		       truth_kind_names[kind], example->index, example->our_count,
		       example->libdw_count, example->our_frame, example->libdw_frame,
		       example->last_common);
	}
}

static void print_figures(const struct truth_run *run)
{
	const struct truth *truth = &run->truth;

	printf("# %" PRIu64 " samples: %.2f %% identical, %" PRIu64 " ours longer, %" PRIu64
	       " libdw longer, %" PRIu64
	       " different; complete: ours %.2f %%, libdw %.2f %%; %" PRIu64 " unmatched, %" PRIu64
	       " sent back\n",
	       truth->samples, truth_share(truth->kinds[TRUTH_IDENTICAL], truth->samples),
	       truth->kinds[TRUTH_OURS_LONGER], truth->kinds[TRUTH_LIBDW_LONGER],
	       truth->kinds[TRUTH_DIFFERENT], truth_share(truth->our_complete, truth->samples),
	       truth_share(truth->libdw_complete, truth->samples), run->unmatched, run->sent_back);
	print_examples(truth, TRUTH_DIFFERENT);
	print_examples(truth, TRUTH_LIBDW_LONGER);
}

/* Truth mode's own way, at a target that is running. */
static void check_agreement(bool of_bpf)
{
	struct live live = live_start(body);
	struct truth_config config = {
		.target = live.target, .frequency = 999, .duration_ns = NS_PER_S, .of_bpf = of_bpf};
	struct truth_run run = {0};
	struct err err = {0};
	const struct truth *truth = &run.truth;
	uint64_t good;

	live_go(&live);
	/* A machine that is busy with others gives it less than a second of CPU in one. */
	for (int round = 0; round < 12 && truth->samples < 600; round++) {
		if (truth_run(&config, &run, &err) == 0)
			continue;
		if (err.kind == ERR_PERMISSION)
			SKIP("%s", err.sentence);
		FAIL("%s", err.sentence);
	}
	print_figures(&run);
	good = truth->kinds[TRUTH_IDENTICAL] + truth->kinds[TRUTH_OURS_LONGER];
	CHECK(truth->samples >= 500);
	CHECK_BETWEEN(truth_share(good, truth->samples), 99.9, 100);
	/* Both have walked. */
	CHECK_BETWEEN(truth_share(truth->our_complete, truth->samples), 99, 100);
	CHECK_BETWEEN(truth_share(truth->libdw_complete, truth->samples), 99, 100);
	CHECK_BETWEEN(truth_share(run.unmatched, truth->samples), 0, 1);
	CHECK_BETWEEN(truth_share(run.sent_back, truth->samples), 0, 1);
	CHECK_EQ_U64(run.modules_refused, 0);
	CHECK_EQ_U64(losses_total(&run.losses), 0);
	truth_run_done(&run);
	live_end(&live);
}

TEST(the_walk_of_copies_agrees_with_libdw)
{
	check_agreement(false);
}

TEST(the_walk_of_bpf_agrees_with_libdw)
{
	check_agreement(true);
}

KIT_MAIN
