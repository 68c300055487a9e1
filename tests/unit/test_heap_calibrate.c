/* The price of a probe, beside what the same probe costs this test itself. */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reader/source/heap_calibrate.h"
#include "reader/util/clock.h"
#include "tests/lib/kit.h"
#include "tests/unit/child.h"

enum {
	UPROBE_MULTI = 48,   /* BPF_TRACE_UPROBE_MULTI */
	UPROBE_SESSION = 57, /* BPF_TRACE_UPROBE_SESSION */
	CALLS = 64,
	STEPPED_CALLS = 8,
	ROUNDS = 15,
	ATTEMPTS = 5, /* the machine may be slower for a moment, between two measurements */
};

/* ---- functions to probe, as allocators begin and as they should not */

__asm__(".pushsection .text\n"
	".type probed_push, @function\n"
	".type probed_stepped, @function\n"
	".type probed_return, @function\n"
	"probed_push:	push %rbx\n	pop %rbx\n	ret\n"
	"probed_stepped:	mov %rdi, %rax\n	ret\n"
	"probed_return:	push %rbx\n	pop %rbx\n	ret\n"
	".popsection\n");
void probed_push(void);
void probed_stepped(void);
void probed_return(void);

static int file_offset(struct dl_phdr_info *info, size_t size, void *context)
{
	uint64_t *address = context;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];
		uint64_t from = info->dlpi_addr + header->p_vaddr;

		if (header->p_type == PT_LOAD && *address >= from &&
		    *address < from + header->p_filesz) {
			*address = *address - from + header->p_offset;
			return 1;
		}
	}
	return -1;
}

static struct heap_probe probe_on(void (*function)(void), bool wants_return)
{
	uint64_t offset = (uintptr_t)function;

	CHECK_EQ_I64(dl_iterate_phdr(file_offset, &offset), 1);
	return (struct heap_probe){.file_offset = offset, .wants_return = wants_return};
}

/* ---- programs that count their hits */

static int hits_fd = -1;

static int load_program(uint32_t attach_type)
{
	const struct bpf_insn count[] = {
		{.code = BPF_LD | BPF_DW | BPF_IMM,
		 .dst_reg = BPF_REG_1,
		 .src_reg = BPF_PSEUDO_MAP_VALUE,
		 .imm = hits_fd},
		{0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
		{.code = BPF_STX | BPF_DW | BPF_ATOMIC,
		 .dst_reg = BPF_REG_1,
		 .src_reg = BPF_REG_0,
		 .imm = BPF_ADD},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};

	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = attach_type);
	return bpf_prog_load(BPF_PROG_TYPE_KPROBE, "test", "Dual MIT/GPL", count,
			     sizeof(count) / sizeof(count[0]), &options);
}

static uint64_t hits(void)
{
	uint64_t hits = 0;
	uint32_t zero = 0;

	CHECK_EQ_I64(bpf_map_lookup_elem(hits_fd, &zero, &hits), 0);
	return hits;
}

static struct heap_programs programs_for(enum heap_attach attach)
{
	uint32_t type = attach == HEAP_ATTACH_PERF ? 0 : UPROBE_MULTI;
	struct heap_programs programs = {.attach = attach, .return_fd = -1, .session_fd = -1};

	if (hits_fd < 0)
		hits_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "test", sizeof(uint32_t),
					 sizeof(uint64_t), 1, NULL);
	if (hits_fd < 0)
		SKIP("no BPF map: %s", strerror(-hits_fd));
	programs.call_fd = programs.return_fd = load_program(type);
	if (attach == HEAP_ATTACH_SESSION)
		programs.session_fd = load_program(UPROBE_SESSION);
	if (programs.call_fd < 0 || (attach == HEAP_ATTACH_SESSION && programs.session_fd < 0))
		SKIP("no such program here");
	return programs;
}

/* Where a kernel lacks this way, nothing is said about it. */
static int calibrate(const struct heap_programs *programs, struct heap_prices *prices)
{
	int failed = heap_calibrate(programs, prices);

	if (failed == -EPERM || failed == -EACCES || failed == -EINVAL || failed == -EOPNOTSUPP)
		SKIP("probes of this kind cannot be placed here: %s", strerror(-failed));
	return failed;
}

/* ---- the same by hand */

static int by_time(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double call_ns(void (*function)(void), int calls)
{
	uint64_t ns[ROUNDS], begin;

	for (int round = 0; round < ROUNDS; round++) {
		function();
		begin = clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
		for (int i = 0; i < calls; i++)
			function();
		ns[round] = clock_read_ns(CLOCK_THREAD_CPUTIME_ID) - begin;
	}
	qsort(ns, ROUNDS, sizeof(ns[0]), by_time);
	return (double)ns[ROUNDS / 4] / calls;
}

struct other_thread {
	pthread_t thread;
	pthread_barrier_t is_there, go;
};

static void *call_in_thread(void *context)
{
	struct other_thread *other = context;

	pthread_barrier_wait(&other->is_there);
	pthread_barrier_wait(&other->go);
	probed_push();
	return NULL;
}

/* What a probe costs this process, its main thread and one that was there before the probe. */
static void measure_here(const struct heap_programs *programs, struct heap_prices *prices)
{
	struct heap_probe list[] = {probe_on(probed_push, false), probe_on(probed_stepped, false),
				    probe_on(probed_return, true)};
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct heap_probes probes = {0};
	struct other_thread other;
	double push, stepped, with_return;
	uint64_t before;

	pthread_barrier_init(&other.is_there, NULL, 2);
	pthread_barrier_init(&other.go, NULL, 2);
	CHECK_EQ_I64(pthread_create(&other.thread, NULL, call_in_thread, &other), 0);
	pthread_barrier_wait(&other.is_there);
	CHECK_EQ_I64(heap_probes_add(&probes, programs, getpid(), fd, list, 3), 0);
	push = call_ns(probed_push, CALLS);
	stepped = call_ns(probed_stepped, STEPPED_CALLS);
	with_return = call_ns(probed_return, CALLS);
	before = hits();
	pthread_barrier_wait(&other.go);
	pthread_join(other.thread, NULL);
	heap_probes_done(&probes);
	close(fd);
	*prices = (struct heap_prices){(uint32_t)push, (uint32_t)stepped,
				       (uint32_t)(with_return > push ? with_return - push : 0),
				       hits() > before};
}

static bool agree(uint32_t got, uint32_t want, double factor, uint32_t slack_ns)
{
	double most = want * factor + slack_ns, least = want / factor - slack_ns;

	return got <= most && got >= least;
}

/* Most of a return's price is a difference of two times: it may be farther off. */
static void check_prices(enum heap_attach attach)
{
	struct heap_programs programs = programs_for(attach);
	struct heap_prices got = {0}, want = {0};

	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		CHECK_EQ_I64(calibrate(&programs, &got), 0);
		measure_here(&programs, &want);
		CHECK(got.sees_other_threads == want.sees_other_threads);
		if (agree(got.call_ns, want.call_ns, 1.3, 30) &&
		    agree(got.stepped_ns, want.stepped_ns, 1.3, 30) &&
		    agree(got.return_ns, want.return_ns, 1.4, 60) && got.return_ns > 0)
			return;
	}
	FAIL("%u, %u, %u ns, not %u, %u, %u", got.call_ns, got.stepped_ns, got.return_ns,
	     want.call_ns, want.stepped_ns, want.return_ns);
}

TEST(prices_of_sessions_are_those_that_a_process_pays)
{
	check_prices(HEAP_ATTACH_SESSION);
}

TEST(prices_of_multi_probes_are_those_that_a_process_pays)
{
	check_prices(HEAP_ATTACH_MULTI);
}

TEST(prices_of_perf_probes_are_those_that_a_process_pays)
{
	check_prices(HEAP_ATTACH_PERF);
}

/* ---- what is left of it */

static int count_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static volatile sig_atomic_t children_ended;

static void on_child(int signal)
{
	(void)signal;
	children_ended++;
}

static void check_nothing_left(int fds)
{
	CHECK_EQ_I64(waitpid(-1, NULL, WNOHANG | __WALL), -1);
	CHECK_EQ_I64(errno, ECHILD);
	CHECK_EQ_I64(children_ended, 0);
	CHECK_EQ_I64(count_fds(), fds);
}

TEST(nothing_is_left_of_it)
{
	struct heap_programs programs = programs_for(HEAP_ATTACH_MULTI);
	struct heap_prices prices;
	int fds = count_fds();

	signal(SIGCHLD, on_child);
	CHECK_EQ_I64(calibrate(&programs, &prices), 0);
	check_nothing_left(fds);
	CHECK(prices.call_ns > 0 && prices.stepped_ns > 0);
}

/* Each descriptor that it opens is the one too many, in turn. */
TEST(a_failure_leaves_nothing_either)
{
	struct heap_programs programs = programs_for(HEAP_ATTACH_MULTI);
	struct heap_prices prices = {1, 2, 3, false};
	struct rlimit before, limit;
	int fds = count_fds(), failures = 0, failed;

	signal(SIGCHLD, on_child);
	getrlimit(RLIMIT_NOFILE, &before);
	limit = before;
	for (limit.rlim_cur = (rlim_t)dup(0) + 1;; limit.rlim_cur++) {
		setrlimit(RLIMIT_NOFILE, &limit);
		failed = heap_calibrate(&programs, &prices);
		setrlimit(RLIMIT_NOFILE, &before);
		if (!failed)
			break;
		failures++;
		CHECK_EQ_I64(failed, -EMFILE);
		CHECK_EQ_U64(prices.call_ns, 1);
		CHECK_EQ_U64(prices.stepped_ns, 2);
		CHECK_EQ_U64(prices.return_ns, 3);
		check_nothing_left(fds + 1);
	}
	/* A map, a program, two ends of a pipe, a child, a file and two links. */
	CHECK_BETWEEN(failures, 6, 12);
	CHECK(prices.call_ns > 1);
	check_nothing_left(fds + 1);
}

static void calibrate_as_nobody(const void *argument)
{
	struct heap_prices prices;

	(void)argument;
	for (int attach = HEAP_ATTACH_SESSION; attach <= HEAP_ATTACH_PERF; attach++) {
		struct heap_programs programs = {
			.attach = attach, .call_fd = -1, .return_fd = -1, .session_fd = -1};
		int failed = heap_calibrate(&programs, &prices);

		CHECK(failed == -EPERM || failed == -EACCES);
	}
}

TEST(an_ordinary_user_is_refused)
{
	as_ordinary_user(calibrate_as_nobody, NULL);
}

static void calibrate_again_and_again(const void *argument)
{
	const struct heap_programs *programs = argument;
	struct heap_prices prices;

	child_ready();
	for (;;)
		heap_calibrate(programs, &prices);
}

/* Its orphans become ours: none lives on. */
TEST(the_child_ends_with_rsprof)
{
	struct heap_programs programs = programs_for(HEAP_ATTACH_MULTI);
	struct timespec moment = {0};

	CHECK_EQ_I64(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	for (int i = 0; i < 20; i++) {
		struct child child;
		pid_t pid;

		child = child_start(calibrate_again_and_again, &programs);
		/* At another point of its work each time. */
		moment.tv_nsec = i * 1700000;
		nanosleep(&moment, NULL);
		child_end(&child);
		CHECK_SOON((pid = waitpid(-1, NULL, WNOHANG | __WALL)) != 0 && pid < 0);
	}
}

/* ---- whose locks are held while it forks */

static _Atomic bool is_over;

static void *allocate(void *unused)
{
	(void)unused;
	while (!is_over) {
		void *volatile block = malloc(2000);

		free(block);
	}
	return NULL;
}

TEST(other_threads_do_not_disturb_it)
{
	struct heap_programs programs = programs_for(HEAP_ATTACH_MULTI);
	struct heap_prices prices;
	pthread_t threads[3];

	for (int i = 0; i < 3; i++)
		CHECK_EQ_I64(pthread_create(&threads[i], NULL, allocate, NULL), 0);
	for (int i = 0; i < 10; i++) {
		prices = (struct heap_prices){0};
		CHECK_EQ_I64(calibrate(&programs, &prices), 0);
		CHECK(prices.call_ns > 0 && prices.sees_other_threads);
	}
	is_over = true;
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

KIT_MAIN
