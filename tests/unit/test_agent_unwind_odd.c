/* The agent's stacks where they are not like most: signals, other stacks, code without tables,
 * libraries that come and go, damaged tables. */
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <ucontext.h>

#include "agent/modules.h"
#include "tests/unit/agent_rig.h"

#define APART __attribute__((noinline, optimize("omit-frame-pointer", "no-optimize-sibling-calls")))

static struct agent_lane lane;
static struct rig_both both;

static void open_all(void)
{
	rig_open();
	lane = rig_new_lane();
}

APART static void capture(void)
{
	rig_capture(&lane, &both);
}

/* ---- signals */

static uint32_t context_site;
static uint64_t interrupted_pc;

static void on_signal(int number, siginfo_t *info, void *context)
{
	const ucontext_t *interrupted = context;

	interrupted_pc = (uint64_t)interrupted->uc_mcontext.gregs[REG_RIP];
	context_site = unwind_context_site(&agent_thread, context);
	rig_capture(&lane, &both);
}

APART static int raise_below(int depth)
{
	volatile int here = depth;

	if (depth)
		here += raise_below(depth - 1);
	else
		raise(SIGUSR1);
	return here;
}

/* From the interrupted instruction on, what backtrace() found behind the signal frame. */
static void check_context(void)
{
	const struct rsprof_shm_stack *stack = rig_stack(context_site);
	const uint64_t *pcs = rig_pcs(stack);
	int first = 0, count = both.count;

	while (first < count && (uint64_t)both.expected[first] != interrupted_pc)
		first++;
	CHECK(first < count);
	if (!both.expected[count - 1])
		count--;
	CHECK_EQ_U64(stack->status, RSPROF_SHM_COMPLETE);
	CHECK_EQ_U64(stack->frame_count, (uint64_t)(count - first));
	for (int i = 0; i < count - first; i++)
		CHECK_EQ_U64(pcs[i], (uint64_t)both.expected[first + i]);
}

static void catch_signals(int flags)
{
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | flags};

	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
}

TEST(handlers_are_walked_through)
{
	open_all();
	catch_signals(0);
	for (int depth = 0; depth < 40; depth += 3) {
		raise_below(depth);
		rig_check_same(&both);
		check_context();
	}
}

TEST(handlers_on_a_stack_of_their_own_are_walked_through)
{
	stack_t stack = {.ss_size = 1 << 16};

	open_all();
	stack.ss_sp = rig_map(stack.ss_size);
	CHECK(sigaltstack(&stack, NULL) == 0);
	catch_signals(SA_ONSTACK);
	for (int depth = 0; depth < 40; depth += 3) {
		raise_below(depth);
		rig_check_same(&both);
		check_context();
	}
}

/* Of the vDSO, by a timer: where it hits is seen by whoever looks. */
static uint64_t hits, unlike;

static void on_timer(int number, siginfo_t *info, void *context)
{
	const struct rsprof_shm_stack *stack;

	stack = rig_stack(unwind_context_site(&agent_thread, context));
	hits++;
	unlike += stack->status != RSPROF_SHM_COMPLETE || stack->frame_count < 4;
}

TEST(interrupted_code_is_walked_from_anywhere)
{
	struct sigaction action = {.sa_sigaction = on_timer, .sa_flags = SA_SIGINFO};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
	struct itimerspec often = {{0, 200000}, {0, 200000}};
	struct timespec now;
	char text[64];
	timer_t timer;

	open_all();
	CHECK(sigaction(SIGUSR2, &action, NULL) == 0);
	CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	CHECK(timer_settime(timer, 0, &often, NULL) == 0);
	/* Library calls through the PLT, frames being set up and taken down, system calls. */
	while (*(volatile uint64_t *)&hits < 300) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		snprintf(text, sizeof(text), "%ld %d", now.tv_nsec, rand());
		free(strdup(text));
		getppid();
	}
	timer_delete(timer);
	CHECK_EQ_U64(unlike, 0);
}

/* ---- other stacks */

static ucontext_t outside, inside;

static void coroutine(void)
{
	for (;;) {
		capture();
		swapcontext(&inside, &outside);
	}
}

TEST(coroutines_are_walked_on_their_stacks)
{
	open_all();
	CHECK(getcontext(&inside) == 0);
	inside.uc_stack.ss_size = 1 << 16;
	inside.uc_stack.ss_sp = rig_map(inside.uc_stack.ss_size);
	makecontext(&inside, coroutine, 0);
	for (unsigned i = 0; i < 3; i++) {
		swapcontext(&outside, &inside);
		rig_check_same(&both);
		capture();
		rig_check_same(&both);
	}
}

/* What lies beyond is not there: nothing is read from it. */
TEST(a_stack_that_ends_too_early_is_a_read_error)
{
	char *memory = rig_map(3 * 4096);
	uint64_t *words = (uint64_t *)(memory + 2 * 4096);
	struct agent_frame frame = {0, (uintptr_t)(words - 1), 0};
	const struct rsprof_shm_stack *stack;

	open_all();
	capture();
	/* In a function that keeps something below its return address. */
	frame.pc = (uintptr_t)both.expected[1];
	frame.bp = frame.sp;
	CHECK(munmap(words, 4096) == 0);
	stack = rig_stack(unwind_site(&agent_thread, &lane, RIG_LEAF, &frame));
	CHECK_EQ_U64(stack->frame_count, 2);
	CHECK_EQ_U64(stack->status, RSPROF_SHM_READ_ERROR);
}

/* ---- code without tables */

static uint32_t run_code(const uint8_t *bytes, size_t size)
{
	uint8_t *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct rsprof_shm_stack *stack;
	uint32_t site = 0;

	CHECK(code != MAP_FAILED);
	memcpy(code, bytes, size);
	for (unsigned i = 0; i < 3; i++) {
		((void (*)(void (*)(void)))(uintptr_t)code)(capture);
		CHECK(!site || site == both.site || i == 0);
		site = both.site;
	}
	stack = rig_stack(site);
	CHECK(rig_pcs(stack)[2] > (uintptr_t)code && rig_pcs(stack)[2] < (uintptr_t)code + 4096);
	return site;
}

TEST(made_code_is_walked_along_its_frame_pointers)
{
	static const uint8_t framed[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};
	static const uint8_t bare[] = {0x50, 0xff, 0xd7, 0x58, 0xc3};
	const struct rsprof_shm_stack *stack;

	open_all();
	stack = rig_stack(run_code(framed, sizeof(framed)));
	CHECK_EQ_U64(stack->status, RSPROF_SHM_USED_FRAME_POINTERS);
	CHECK(stack->frame_count >= 5);
	/* Whatever rbp was: no crash, and it does not pass for whole. */
	stack = rig_stack(run_code(bare, sizeof(bare)));
	CHECK(stack->status != RSPROF_SHM_COMPLETE);
}

/* ---- libraries */

static void *open_library(const char *name, void (**ret_call)(void (*)(void)))
{
	const char *folder = getenv("TARGETS");
	char path[1024];
	void *library;

	snprintf(path, sizeof(path), "%s/%s", folder ? folder : "build/targets", name);
	library = dlopen(path, RTLD_NOW);
	if (!library)
		SKIP("%s", dlerror());
	*ret_call = (void (*)(void (*)(void)))(uintptr_t)dlsym(library, "call_back");
	CHECK(*ret_call);
	return library;
}

static void close_library(void *library)
{
	CHECK(dlclose(library) == 0);
	unwind_modules_changed();
}

static const struct rsprof_shm_module *module_of(uint64_t pc, bool is_gone)
{
	for (uint32_t i = 0; i < agent_state.header->module_count; i++) {
		const struct rsprof_shm_module *module = &agent_state.modules[i];

		if (pc >= module->start && pc < module->end &&
		    (module->removed_epoch != 0) == is_gone)
			return module;
	}
	return NULL;
}

TEST(another_library_at_the_same_address_is_another_module)
{
	void (*call)(void (*)(void)), (*first)(void (*)(void)) = NULL;
	const struct rsprof_shm_module *gone, *now;
	uint32_t last_site = 0;
	struct link_map *map;
	struct stat status;
	void *library;

	open_all();
	for (unsigned i = 0; i < 6; i++) {
		library = open_library(i % 2 ? "callback_b.so" : "callback_a.so", &call);
		if (first && call != first)
			SKIP("the second library was loaded elsewhere");
		first = call;
		for (unsigned j = 0; j < 3; j++) {
			call(capture);
			rig_check_same(&both);
			/* The addresses are the last one's, the code is not. */
			CHECK(both.site > last_site);
		}
		last_site = agent_state.header->next_site - 1;
		CHECK_EQ_U64(rig_stack(both.site)->module_epoch, i);
		now = module_of((uintptr_t)call, false);
		CHECK(now);
		CHECK(dlinfo(library, RTLD_DI_LINKMAP, &map) == 0);
		CHECK_EQ_U64(now->bias, map->l_addr);
		CHECK(stat(map->l_name, &status) == 0);
		CHECK_EQ_U64(now->inode, status.st_ino);
		CHECK(strstr(now->path, i % 2 ? "/callback_b.so" : "/callback_a.so"));
		CHECK(now->build_id_bytes == 20);
		gone = module_of((uintptr_t)call, true);
		CHECK(!gone == !i);
		CHECK(!gone || gone->path[0] != 0);
		close_library(library);
		CHECK(!module_of((uintptr_t)call, false));
	}
	CHECK_EQ_U64(agent_state.header->module_epoch, 6);
}

/* The new one is known by what was loaded before it. */
TEST(a_library_that_went_unseen_is_another_module)
{
	void (*call)(void (*)(void)), (*first)(void (*)(void)) = NULL;
	uint32_t last_site = 0;
	void *library;

	open_all();
	for (unsigned i = 0; i < 4; i++) {
		library = open_library(i % 2 ? "callback_b.so" : "callback_a.so", &call);
		if (first && call != first)
			SKIP("the second library was loaded elsewhere");
		first = call;
		call(capture);
		CHECK(both.site > last_site);
		last_site = both.site;
		modules_look();
		CHECK_EQ_U64(agent_state.header->module_epoch, i);
		CHECK(dlclose(library) == 0);
		modules_look();
		CHECK_EQ_U64(agent_state.header->module_epoch, i + 1);
		CHECK(!module_of((uintptr_t)call, false));
	}
}

static void *read_all(const char *path, size_t *ret_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	void *bytes;

	CHECK(fd >= 0 && fstat(fd, &status) == 0);
	bytes = malloc((size_t)status.st_size);
	CHECK(bytes && read(fd, bytes, (size_t)status.st_size) == status.st_size);
	close(fd);
	*ret_size = (size_t)status.st_size;
	return bytes;
}

static const Elf64_Shdr *section_of(const uint8_t *file, const char *name)
{
	const Elf64_Ehdr *header = (const void *)file;
	const Elf64_Shdr *sections = (const void *)(file + header->e_shoff);
	const char *names = (const char *)file + sections[header->e_shstrndx].sh_offset;

	for (unsigned i = 0; i < header->e_shnum; i++) {
		if (!strcmp(names + sections[i].sh_name, name))
			return &sections[i];
	}
	FAIL("no section %s", name);
}

/* Nothing crashes, hangs, or has more frames than there are. */
TEST(damaged_tables_do_no_harm)
{
	const char *folder = getenv("TARGETS");
	char from[1024], path[1024];
	const Elf64_Shdr *sections[2];
	uint32_t random = 7;
	uint8_t *file, *copy;
	size_t size;

	open_all();
	snprintf(from, sizeof(from), "%s/callback_a.so", folder ? folder : "build/targets");
	if (access(from, R_OK))
		SKIP("%s is not there", from);
	file = read_all(from, &size);
	copy = malloc(size);
	sections[0] = section_of(file, ".eh_frame");
	sections[1] = section_of(file, ".eh_frame_hdr");
	for (unsigned i = 0; i < 400; i++) {
		const Elf64_Shdr *section = sections[i % 2];
		void (*call)(void (*)(void));
		void *library;
		int fd;

		memcpy(copy, file, size);
		for (unsigned j = 0; j <= i % 5; j++) {
			random = random * 1664525u + 1013904223u;
			copy[section->sh_offset + (random >> 8) % section->sh_size] =
				(uint8_t)(random >> 24);
		}
		snprintf(path, sizeof(path), "%s/%u.so", kit_folder(), i);
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
		CHECK(fd >= 0 && write(fd, copy, size) == (ssize_t)size);
		close(fd);
		library = dlopen(path, RTLD_NOW);
		CHECK(library);
		call = (void (*)(void (*)(void)))(uintptr_t)dlsym(library, "call_back");
		/* Not backtrace(), which believes what it reads. */
		call((void (*)(void))(uintptr_t)getppid);
		struct agent_frame frame = {(uintptr_t)call + 4,
					    (uintptr_t)__builtin_frame_address(0),
					    (uintptr_t)__builtin_frame_address(0)};
		CHECK(rig_stack(unwind_site(&agent_thread, &lane, RIG_LEAF, &frame))->frame_count >=
		      2);
		frame.pc = (uintptr_t)call - 8;
		CHECK(rig_stack(unwind_site(&agent_thread, &lane, RIG_LEAF, &frame))->frame_count >=
		      2);
		close_library(library);
		unlink(path);
	}
	free(file);
	free(copy);
}

KIT_MAIN
