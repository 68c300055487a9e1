/* The walker: over real stacks of this process, beside libc's own backtrace(), and over made ones.
 */
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "reader/unwind/cache.h"
#include "reader/unwind/walk.h"
#include "tests/lib/kit.h"

enum { PCS_MAX = 511, MODULES_MAX_HERE = 32, STACK_MAX = 1 << 20 };

/* ---- this process */

struct segment_of_code {
	uint64_t start, end, bias;
	const struct unwind_table *table;
};

static struct {
	struct unwind_cache *cache;
	struct segment_of_code segments[MODULES_MAX_HERE];
	unsigned count;
} process;

/* An image in memory, as a file. */
static int image_fd(const void *image, size_t size)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	CHECK(fd >= 0 && write(fd, image, size) == (ssize_t)size);
	return fd;
}

static int add_module(struct dl_phdr_info *info, size_t size, void *context)
{
	const char *path = info->dlpi_name[0] ? info->dlpi_name : "/proc/self/exe";
	const struct unwind_table *table = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) /* the vDSO is no file */
		fd = image_fd((const void *)info->dlpi_addr, 4096);
	unwind_cache_get(process.cache, fd, &table);
	close(fd);
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];

		if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X))
			continue;
		CHECK(process.count < MODULES_MAX_HERE);
		process.segments[process.count++] = (struct segment_of_code){
			info->dlpi_addr + segment->p_vaddr,
			info->dlpi_addr + segment->p_vaddr + segment->p_memsz, info->dlpi_addr,
			table};
	}
	return 0;
}

static bool find_here(void *context, uint64_t address, struct unwind_place *ret_place)
{
	for (unsigned i = 0; i < process.count; i++) {
		const struct segment_of_code *segment = &process.segments[i];

		if (address >= segment->start && address < segment->end) {
			*ret_place = (struct unwind_place){segment->table, segment->bias};
			return true;
		}
	}
	return false;
}

/* What was captured, and what backtrace() says of the same moment. */
static struct {
	struct unwind_registers registers;
	uint8_t stack[STACK_MAX];
	uint64_t stack_address;
	size_t stack_size;
	void *expected[PCS_MAX];
	int expected_count;
	uint64_t from, to; /* of the stack that is copied; from 0: the captured rsp, 1: that of
			    * raise_here() */
} captured;

static void take_registers(const ucontext_t *context)
{
	static const int order[EH_REGISTERS] = {
		REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP,
		REG_R8,	 REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

	captured.registers.rip = (uint64_t)context->uc_mcontext.gregs[REG_RIP];
	for (int i = 0; i < EH_REGISTERS; i++)
		captured.registers.general[i] = (uint64_t)context->uc_mcontext.gregs[order[i]];
	captured.registers.known =
		1u << EH_REGISTER_RSP | 1u << EH_REGISTER_RBP | 1u << EH_REGISTER_RBX;
}

__attribute__((noinline, optimize("omit-frame-pointer"), no_sanitize("address"))) static void
capture(void)
{
	ucontext_t context;
	uint64_t from;

	getcontext(&context);
	captured.expected_count = backtrace(captured.expected, PCS_MAX);
	take_registers(&context);
	from = captured.from ? captured.from : captured.registers.general[EH_REGISTER_RSP];
	captured.stack_address = from;
	captured.stack_size = captured.to - from;
	/* Byte by byte: memcpy is checked by sanitizers, which know of redzones. */
	for (size_t i = 0; i < captured.stack_size && i < STACK_MAX; i++)
		captured.stack[i] = ((volatile const uint8_t *)from)[i];
}

__attribute__((noinline, optimize("omit-frame-pointer", "no-optimize-sibling-calls"))) static int
compare_and_capture(const void *left, const void *right)
{
	static bool is_done;
	int a = *(const int *)left, b = *(const int *)right;

	if (!is_done) {
		is_done = true;
		capture();
	}
	return a - b;
}

__attribute__((noinline, optimize("omit-frame-pointer", "no-optimize-sibling-calls"))) static int
deep(int depth, void (*last)(void))
{
	volatile int here = depth;

	if (depth)
		here += deep(depth - 1, last);
	else
		last();
	return here;
}

static void sort(void)
{
	int numbers[] = {3, 1, 2};

	qsort(numbers, 3, sizeof(numbers[0]), compare_and_capture);
	CHECK(numbers[0] == 1 && numbers[1] == 2 && numbers[2] == 3);
}

/* The end of the mapping that the main stack is in. */
static uint64_t stack_end(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	uint64_t start, end, here = (uint64_t)(uintptr_t)__builtin_frame_address(0), found = 0;
	char line[1024];

	CHECK(maps != NULL);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64, &start, &end) == 2 && here >= start &&
		    here < end)
			found = end;
	}
	fclose(maps);
	CHECK(found != 0);
	return found;
}

static void open_process(void)
{
	process.cache = unwind_cache_new();
	dl_iterate_phdr(add_module, NULL);
	captured.to = stack_end();
	/* Loads what backtrace() wants before it is asked within a signal handler. */
	backtrace(captured.expected, 2);
}

static struct unwind_stack walk_captured(uint64_t *pcs, uint32_t pc_max, size_t stack_size)
{
	struct unwind_walk walk = {.rules = unwind_cache_rules(process.cache), .find = find_here};
	struct unwind_copy copy = {captured.stack_address, captured.stack, stack_size};
	struct unwind_stack stack = {.pcs = pcs, .pc_max = pc_max};

	unwind_walk(&walk, &captured.registers, &copy, &stack);
	return stack;
}

/* Each frame behind the one that both were taken in is the same. Returns the count. */
static uint32_t check_like_backtrace(uint64_t *pcs)
{
	struct unwind_stack stack = walk_captured(pcs, PCS_MAX, captured.stack_size);
	int skipped = 0;

	CHECK(captured.stack_size <= STACK_MAX);
	CHECK_EQ_STR(stack_status_names[stack.status], stack_status_names[STACK_COMPLETE]);
	CHECK(stack.pc_count >= 3);
	while (skipped < captured.expected_count &&
	       (uint64_t)(uintptr_t)captured.expected[skipped] != pcs[1])
		skipped++;
	CHECK(skipped < 4);
	CHECK_EQ_U64(stack.pc_count - 1, (uint64_t)(captured.expected_count - skipped));
	for (uint32_t i = 1; i < stack.pc_count; i++)
		CHECK_EQ_U64(pcs[i], (uint64_t)(uintptr_t)captured.expected[skipped + (int)i - 1]);
	CHECK_EQ_U64(stack.frame_pointer_count, 0);
	return stack.pc_count;
}

TEST(through_a_callback_of_qsort)
{
	uint64_t pcs[PCS_MAX];
	uint32_t count;

	open_process();
	deep(40, sort);
	count = check_like_backtrace(pcs);
	CHECK(count > 45);
	printf("# %u frames, all as backtrace() has them\n", count);
}

TEST(a_copy_cut_anywhere_gives_the_inner_frames_and_says_so)
{
	uint64_t whole[PCS_MAX], pcs[PCS_MAX];
	uint32_t count, last = 0;

	open_process();
	deep(20, sort);
	count = check_like_backtrace(whole);
	for (size_t size = 0; size < captured.stack_size; size += 8) {
		struct unwind_stack stack = walk_captured(pcs, PCS_MAX, size);

		CHECK(stack.pc_count >= last && stack.pc_count <= count);
		CHECK(memcmp(pcs, whole, stack.pc_count * sizeof(pcs[0])) == 0);
		CHECK(stack.status ==
		      (stack.pc_count == count ? STACK_COMPLETE : STACK_READ_ERROR));
		last = stack.pc_count;
	}
	CHECK_EQ_U64(last, count);
}

TEST(the_limit_keeps_the_innermost_frames)
{
	uint64_t whole[PCS_MAX], pcs[PCS_MAX];
	uint32_t count;

	open_process();
	deep(20, sort);
	count = check_like_backtrace(whole);
	for (uint32_t limit = 1; limit <= count; limit++) {
		struct unwind_stack stack = walk_captured(pcs, limit, captured.stack_size);

		CHECK_EQ_U64(stack.pc_count, limit);
		CHECK(memcmp(pcs, whole, limit * sizeof(pcs[0])) == 0);
		CHECK(stack.status == (limit == count ? STACK_COMPLETE : STACK_TRUNCATED));
	}
}

static void handle(int number)
{
	capture();
}

static void raise_here(void)
{
	/* What the handler interrupts lies below this frame, a few hundred bytes deep. */
	if (captured.from)
		captured.from = (uint64_t)(uintptr_t)__builtin_frame_address(0) - 2048;
	raise(SIGUSR1);
}

static void check_signal(int flags)
{
	struct sigaction action = {.sa_handler = handle, .sa_flags = flags};
	uint64_t pcs[PCS_MAX];
	struct unwind_stack stack;

	sigaction(SIGUSR1, &action, NULL);
	deep(10, raise_here);
	CHECK(check_like_backtrace(pcs) > 15);
	stack = walk_captured(pcs, PCS_MAX, captured.stack_size);
	CHECK_EQ_U64(stack.signal_count, 1);
}

TEST(through_a_signal_handler)
{
	open_process();
	check_signal(0);
}

TEST(through_a_signal_handler_on_another_stack)
{
	/* Inside the main stack, above what is interrupted: the walk goes down there. */
	uint8_t other[65536] __attribute__((aligned(16)));
	stack_t alternate = {.ss_sp = other, .ss_size = sizeof(other)};

	open_process();
	CHECK(sigaltstack(&alternate, NULL) == 0);
	captured.from = 1;
	check_signal(SA_ONSTACK);
	CHECK(captured.registers.general[EH_REGISTER_RSP] > captured.stack_address + 4096);
	alternate.ss_flags = SS_DISABLE;
	sigaltstack(&alternate, NULL);
}

static void *in_thread(void *argument)
{
	pthread_attr_t attributes;
	void *address;
	size_t size;

	pthread_getattr_np(pthread_self(), &attributes);
	pthread_attr_getstack(&attributes, &address, &size);
	pthread_attr_destroy(&attributes);
	captured.to = (uint64_t)(uintptr_t)address + size;
	deep(5, sort);
	return NULL;
}

TEST(a_thread_ends_where_it_was_cloned)
{
	uint64_t pcs[PCS_MAX];
	pthread_t thread;

	open_process();
	CHECK(pthread_create(&thread, NULL, in_thread, NULL) == 0);
	pthread_join(thread, NULL);
	CHECK(check_like_backtrace(pcs) > 8);
}

/* ---- made stacks: one page of code whose every instruction has the rule at its offset */

enum { CODE = 0x10000, STACK = 0x7f0000, WORDS = 64 };

static struct {
	struct unwind_rules *rules;
	struct unwind_table table;
	struct ehframe_row rows[64];
	uint32_t index[2];
	bool has_table;
	uint64_t words[WORDS];
	struct unwind_registers registers;
	uint64_t pcs[PCS_MAX];
	bool may_use_frame_pointers;
} made;

static bool find_made(void *context, uint64_t address, struct unwind_place *ret_place)
{
	if (address < CODE || address >= CODE + EH_PAGE_BYTES)
		return false;
	ret_place->table = made.has_table ? &made.table : NULL;
	ret_place->bias = CODE;
	return true;
}

/* Rule i is at CODE + 16 i. */
static void make(const struct ehframe_rule *rules, uint32_t count)
{
	memset(&made, 0, sizeof(made));
	made.rules = unwind_rules_new();
	for (uint32_t i = 0; i < count; i++)
		made.rows[i] = (struct ehframe_row){(uint16_t)(16 * i),
						    unwind_rules_intern(made.rules, &rules[i])};
	made.index[1] = count;
	made.table = (struct unwind_table){
		.page_count = 1, .row_count = count, .index = made.index, .rows = made.rows};
	made.has_table = true;
	made.registers.rip = CODE;
	made.registers.general[EH_REGISTER_RSP] = STACK;
	made.registers.known = 1u << EH_REGISTER_RSP | 1u << EH_REGISTER_RBP;
}

/* A return address into rule i: one behind its first byte. */
static uint64_t into(unsigned i)
{
	return CODE + 16 * i + 1;
}

static struct unwind_stack walk_made(void)
{
	struct unwind_walk walk = {.rules = made.rules,
				   .find = find_made,
				   .may_use_frame_pointers = made.may_use_frame_pointers};
	struct unwind_copy copy = {STACK, (const uint8_t *)made.words, sizeof(made.words)};
	struct unwind_stack stack = {.pcs = made.pcs, .pc_max = PCS_MAX};

	unwind_walk(&walk, &made.registers, &copy, &stack);
	unwind_rules_free(made.rules);
	return stack;
}

#define CHECK_STACK(stack, want_status, want_count)                                                \
	do {                                                                                       \
		struct unwind_stack check_stack = (stack);                                         \
		CHECK_EQ_STR(stack_status_names[check_stack.status],                               \
			     stack_status_names[want_status]);                                     \
		CHECK_EQ_U64(check_stack.pc_count, want_count);                                    \
	} while (0)

#define MAKE(...)                                                                                  \
	do {                                                                                       \
		static const struct ehframe_rule made_rules[] = {__VA_ARGS__};                     \
		make(made_rules, sizeof(made_rules) / sizeof(made_rules[0]));                      \
	} while (0)

#define HALVES(n, m) ((int32_t)((uint32_t)(uint16_t)(n) | (uint32_t)(uint16_t)(m) << 16))
#define STOP                                                                                       \
	{                                                                                          \
		.cfa_type = EH_CFA_STOP                                                            \
	}

TEST(both_sides_of_a_plt)
{
	MAKE({EH_CFA_PLT, 0, 0, HALVES(8, 11)}, STOP);
	made.words[0] = into(1);
	CHECK_STACK(walk_made(), STACK_COMPLETE, 2);
	MAKE({EH_CFA_PLT, 0, 0, HALVES(8, 11)}, STOP);
	made.registers.rip = CODE + 11;
	made.words[1] = into(1);
	CHECK_STACK(walk_made(), STACK_COMPLETE, 2);
	CHECK_EQ_U64(made.pcs[0], CODE + 11);
	CHECK_EQ_U64(made.pcs[1], into(1));
}

TEST(the_cfa_in_memory)
{
	MAKE({EH_CFA_RSP_DEREF, 0, 0, HALVES(16, 8)}, {EH_CFA_RBP_DEREF, 0, 0, HALVES(-8, 0)},
	     STOP);
	made.words[2] = STACK + 8 * 9;
	made.words[9] = into(1);
	made.registers.general[EH_REGISTER_RBP] = STACK + 8 * 20;
	made.words[19] = STACK + 8 * 30;
	made.words[29] = into(2);
	CHECK_STACK(walk_made(), STACK_COMPLETE, 3);
}

TEST(other_registers_in_the_leaf_only)
{
	MAKE({EH_CFA_REGISTER + EH_REGISTER_R10, EH_RBP_RBP, 0, 0}, {EH_CFA_RBP, 0, 0, 16}, STOP);
	made.registers.general[EH_REGISTER_R10] = STACK + 8 * 6;
	made.registers.known |= 1u << EH_REGISTER_R10;
	made.registers.general[EH_REGISTER_RBP] = STACK + 8 * 3;
	made.words[3] = STACK + 8 * 10; /* the caller's rbp */
	made.words[5] = into(1);
	made.words[11] = into(2);
	CHECK_STACK(walk_made(), STACK_COMPLETE, 3);
	/* Not sampled. */
	MAKE({EH_CFA_REGISTER + EH_REGISTER_R10, 0, 0, 0}, STOP);
	CHECK_STACK(walk_made(), STACK_BROKEN, 1);
	/* Sampled, but needed one frame further out. */
	MAKE({EH_CFA_RSP, 0, 0, 8}, {EH_CFA_REGISTER + EH_REGISTER_R10, 0, 0, 0}, STOP);
	made.registers.general[EH_REGISTER_R10] = STACK + 64;
	made.registers.known |= 1u << EH_REGISTER_R10;
	made.words[0] = into(1);
	made.words[7] = into(2);
	CHECK_STACK(walk_made(), STACK_BROKEN, 2);
}

TEST(the_return_address_in_a_register)
{
	MAKE({EH_CFA_RSP, EH_RBP_RA_REGISTER + EH_REGISTER_RDI, 0, 0}, STOP);
	made.registers.general[EH_REGISTER_RDI] = into(1);
	made.registers.known |= 1u << EH_REGISTER_RDI;
	CHECK_STACK(walk_made(), STACK_COMPLETE, 2);
	MAKE({EH_CFA_RSP, EH_RBP_RA_REGISTER + EH_REGISTER_RDI, 0, 0}, STOP);
	CHECK_STACK(walk_made(), STACK_BROKEN, 1);
}

TEST(a_lost_rbp_matters_only_where_it_is_needed)
{
	MAKE({EH_CFA_RSP, EH_RBP_UNKNOWN, 0, 8}, {EH_CFA_RSP, 0, 0, 8}, STOP);
	made.words[0] = into(1);
	made.words[1] = into(2);
	CHECK_STACK(walk_made(), STACK_COMPLETE, 3);
	MAKE({EH_CFA_RSP, EH_RBP_UNKNOWN, 0, 8}, {EH_CFA_RBP, 0, 0, 16}, STOP);
	made.words[0] = into(1);
	CHECK_STACK(walk_made(), STACK_BROKEN, 2);
}

TEST(stacks_that_do_not_ascend)
{
	MAKE({EH_CFA_RSP, 0, 0, 0}, STOP);
	CHECK_STACK(walk_made(), STACK_BROKEN, 1);
	MAKE({EH_CFA_RSP, 0, 0, -8}, STOP);
	CHECK_STACK(walk_made(), STACK_BROKEN, 1);
	/* rbp leads back to the first frame. */
	MAKE({EH_CFA_RBP, EH_RBP_CFA, -16, 16});
	made.registers.general[EH_REGISTER_RBP] = STACK;
	made.words[0] = STACK;
	made.words[1] = into(0);
	CHECK_STACK(walk_made(), STACK_BROKEN, 2);
}

TEST(a_signal_frame_that_interrupts_itself)
{
	MAKE({EH_CFA_SIGNAL, 0, 0, 0});
	made.words[EH_SIGNAL_RIP / 8] = CODE;
	made.words[EH_SIGNAL_RSP / 8] = STACK;
	CHECK_STACK(walk_made(), STACK_BROKEN, 2);
	/* Each behind the one before, out of the copy. */
	MAKE({EH_CFA_SIGNAL, 0, 0, 0});
	for (unsigned i = 0; i < WORDS; i++)
		made.words[i] = CODE;
	for (unsigned i = EH_SIGNAL_RSP / 8; i < WORDS; i += 2)
		made.words[i] = STACK + 8 * (i - EH_SIGNAL_RSP / 8 + 2);
	CHECK_STACK(walk_made(), STACK_BROKEN, UNWIND_SIGNALS_MAX + 1);
}

TEST(behind_a_signal_frame_the_address_is_exact_and_all_registers_known)
{
	MAKE({EH_CFA_SIGNAL, 0, 0, 0}, {EH_CFA_REGISTER + EH_REGISTER_R10, 0, 0, 0}, STOP);
	made.words[EH_SIGNAL_RIP / 8] = CODE + 16; /* one less would be the signal frame again */
	made.words[EH_SIGNAL_RSP / 8] = STACK + 8 * 40;
	made.words[EH_SIGNAL_R8 / 8 + 2] = STACK + 8 * 50;
	made.words[49] = into(2);
	CHECK_STACK(walk_made(), STACK_COMPLETE, 3);
}

TEST(addresses_in_no_mapping)
{
	MAKE({EH_CFA_RSP, 0, 0, 8}, STOP);
	made.words[0] = 0x1234;
	CHECK_STACK(walk_made(), STACK_NO_MAPPING, 2);
	MAKE({EH_CFA_RSP, 0, 0, 8}, STOP);
	CHECK_STACK(walk_made(), STACK_NO_MAPPING, 1);
	MAKE(STOP);
	made.registers.rip = 0x1234;
	CHECK_STACK(walk_made(), STACK_NO_MAPPING, 1);
}

TEST(memory_outside_of_the_copy)
{
	MAKE({EH_CFA_RSP, 0, 0, 8 * WORDS + 8}, STOP);
	CHECK_STACK(walk_made(), STACK_READ_ERROR, 1);
	MAKE({EH_CFA_RSP, 0, 0, INT32_MAX}, STOP);
	CHECK_STACK(walk_made(), STACK_READ_ERROR, 1);
	MAKE({EH_CFA_RBP, 0, 0, 16}, STOP);
	made.registers.general[EH_REGISTER_RBP] = UINT64_MAX - 16;
	CHECK_STACK(walk_made(), STACK_READ_ERROR, 1);
}

TEST(what_no_rule_expresses_breaks_the_stack)
{
	MAKE({.cfa_type = EH_CFA_UNSUPPORTED});
	CHECK_STACK(walk_made(), STACK_BROKEN, 1);
}

/* Three frames of code with frame pointers. */
static void make_frame_pointers(bool may_use_frame_pointers)
{
	MAKE({.cfa_type = EH_CFA_NONE}, STOP);
	made.may_use_frame_pointers = may_use_frame_pointers;
	made.registers.general[EH_REGISTER_RBP] = STACK + 8 * 2;
	made.words[2] = STACK + 8 * 6;
	made.words[3] = into(0);
	made.words[6] = 0;
	made.words[7] = into(1);
}

TEST(frame_pointers_only_where_allowed_and_counted)
{
	struct unwind_stack stack;

	make_frame_pointers(false);
	stack = walk_made();
	CHECK_STACK(stack, STACK_NO_TABLE, 1);
	CHECK_EQ_U64(stack.frame_pointer_count, 0);
	make_frame_pointers(true);
	stack = walk_made();
	CHECK_STACK(stack, STACK_COMPLETE, 3);
	CHECK_EQ_U64(stack.frame_pointer_count, 2);
	/* No table at all is the same. */
	make_frame_pointers(true);
	made.has_table = false;
	stack = walk_made();
	CHECK_STACK(stack, STACK_NO_TABLE, 3);
	CHECK_EQ_U64(stack.frame_pointer_count, 2);
	/* rbp is no frame pointer: what it leads to is no frame. */
	make_frame_pointers(true);
	made.words[7] = 0x1234;
	stack = walk_made();
	CHECK_STACK(stack, STACK_NO_TABLE, 2);
	CHECK_EQ_U64(stack.frame_pointer_count, 1);
}

KIT_MAIN
