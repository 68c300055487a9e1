/* What a program may do that a library inside it must not disturb.
 *
 * confine HOW             allows itself few system calls, then allocates from new places: by prctl (strict,
 *                         filter), by syscall (call), or when it is told to by SIGUSR1 (late)
 * asks                    asks the kernel about filters, and has a vfork'ed child want no new privileges; then
 *                         prints "ready" and waits for SIGTERM
 * limit as|data MIB       allows itself that much memory, and allocates 10 MiB
 * signalfd                reads all signals from a descriptor
 * child                   its child creates a thread before anything else
 * vfork                   has a vfork'ed child set all signals back while it uses SIGPROF itself
 * altstack BYTES          works for half a second with a small alternate signal stack in its heap
 * unload LIBRARY          loads and unloads a library all the time, while other threads allocate from code
 *                         without tables whose rbp leads there
 *
 * Each ends with a line "fine" where nothing happened to it. */
#include <dlfcn.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "tests/targets/target.h"

enum { GUARD = 32768, SECOND = 1000000000 };

static volatile sig_atomic_t is_over, own_signals;

static void say_and_end(const char *text)
{
	syscall(SYS_write, 1, text, strlen(text));
	syscall(SYS_exit, 0);
}

/* ---- confine */

#define ALLOW(number)                                                                              \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static int filter(bool is_by_call)
{
	struct sock_filter steps[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(SYS_write),
		ALLOW(SYS_exit),
		ALLOW(SYS_brk),
		ALLOW(SYS_mmap),
		ALLOW(SYS_munmap),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = {sizeof(steps) / sizeof(*steps), steps};

	if (!is_by_call)
		return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
		       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
	/* The superuser needs no more than the one call. */
	return (geteuid() && syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) ||
	       syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

APART static void *new_place(size_t bytes)
{
	void *volatile block = malloc(bytes);

	return block;
}

static int confine(const char *how)
{
	void *block;

	/* What libc itself asks for more than once has been asked for. */
	free(new_place(60000));
	if (strcmp(how, "late") == 0) {
		block_signals();
		puts("ready");
		fflush(stdout);
		wait_for_signals(SIGUSR1, SIGTERM, GO_SECONDS);
	}
	if (strcmp(how, "strict") == 0 ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0)
				       : filter(strcmp(how, "call") == 0))
		return 1;
	/* A timer's signal would come in between, whose return is a system call. */
	CHURN(30000000);
	block = realloc(new_place(200), 500);
	free(block);
	free(new_place(300));
	say_and_end("fine\n");
	return 1;
}

static int ask(void)
{
	pid_t child;
	int status = 1;

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0) != -1 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL) != -1)
		return 1;
	child = vfork();
	if (child == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
			execl("/bin/true", "true", (char *)NULL);
		_exit(1);
	}
	waitpid(child, &status, 0);
	free(new_place(100));
	puts(status ? "the child failed" : "ready");
	fflush(stdout);
	wait_for_signals(SIGTERM, SIGTERM, LINGER_SECONDS);
	return 0;
}

/* ---- limit */

static int limit(const char *what, long mib)
{
	struct rlimit wish = {(rlim_t)mib << 20, (rlim_t)mib << 20}, is = {0, 0};
	int resource = strcmp(what, "as") == 0 ? RLIMIT_AS : RLIMIT_DATA;

	free(new_place(100));
	if (setrlimit(resource, &wish) || getrlimit(resource, &is) || is.rlim_cur != wish.rlim_cur)
		return 1;
	for (int i = 0; i < 20; i++) {
		void *block = new_place(512 << 10);

		if (!block)
			return 1;
		memset(block, i, 512 << 10);
	}
	puts("fine");
	return 0;
}

/* ---- signalfd */

static int read_signals(void)
{
	uint64_t begin = thread_ns();
	struct signalfd_siginfo info;
	sigset_t all;
	int fd;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	fd = signalfd(-1, &all, SFD_NONBLOCK);
	while (thread_ns() - begin < SECOND / 10)
		CHURN(1000);
	if (fd < 0 || read(fd, &info, sizeof(info)) != -1)
		return 1;
	raise(SIGPROF);
	if (read(fd, &info, sizeof(info)) != sizeof(info) || info.ssi_signo != SIGPROF)
		return 1;
	puts("fine");
	return 0;
}

/* ---- vfork */

static void on_own(int number __attribute__((unused)))
{
	own_signals = 1;
}

static int spawn(void)
{
	struct sigaction action = {.sa_handler = on_own, .sa_flags = SA_RESTART}, now;
	struct itimerval often = {{0, 10000}, {0, 10000}};
	uint64_t begin = thread_ns();
	pid_t child;

	sigaction(SIGPROF, &action, NULL);
	while (thread_ns() - begin < SECOND / 10)
		CHURN(1000);
	child = vfork();
	if (child == 0) {
		for (int number = 1; number < 32; number++)
			signal(number, SIG_DFL);
		execl("/bin/true", "true", (char *)NULL);
		_exit(1);
	}
	waitpid(child, NULL, 0);
	sigaction(SIGPROF, NULL, &now);
	if (now.sa_handler != on_own)
		return 1;
	setitimer(ITIMER_PROF, &often, NULL);
	while (!own_signals)
		CHURN(1000);
	puts("fine");
	return 0;
}

/* ---- altstack */

static int with_small_stack(size_t bytes)
{
	char *memory = malloc(bytes + 2 * GUARD);
	stack_t stack = {.ss_sp = memory + GUARD, .ss_size = bytes};
	uint64_t begin = thread_ns();

	memset(memory, 0x5a, bytes + 2 * GUARD);
	if (sigaltstack(&stack, NULL) == 0) {
		while (thread_ns() - begin < SECOND / 2)
			CHURN(1000);
	}
	for (int i = 0; i < GUARD; i++) {
		if (memory[i] != 0x5a)
			return 1;
	}
	puts("fine");
	return 0;
}

/* ---- unload */

static const char *library;
static uintptr_t _Atomic loaded_at;

static void *load_and_unload(void *argument)
{
	struct timespec moment = {0, 20000};

	while (!is_over) {
		void *handle = dlopen(library, RTLD_NOW);

		if (!handle)
			abort();
		loaded_at = *(const uintptr_t *)handle; /* l_addr */
		nanosleep(&moment, NULL);
		dlclose(handle);
	}
	return argument;
}

/* void *(void *frame, void *(*function)(size_t)): push rbp; mov rbp, rdi; mov edi, 32; call rsi;
 * pop rbp; ret */
static const unsigned char misleading[] = {0x55, 0x48, 0x89, 0xfd, 0xbf, 32, 0, 0, 0, 0xff, 0xd6, 0x5d, 0xc3};

static void *allocate_misleadingly(void *argument)
{
	void *(*code)(void *, void *(*)(size_t)) =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t random = 1;

	memcpy((void *)code, misleading, sizeof(misleading));
	while (!is_over) {
		uintptr_t frame[8] = {0};

		random = random * 1664525 + 1013904223;
		frame[1] = loaded_at + 4096 + (random >> 8) % 6000;
		if (loaded_at)
			free(code(frame, malloc));
	}
	return argument;
}

static int unload(const char *path)
{
	struct timespec while_it_goes = {2, 0};
	pthread_t threads[4];

	library = path;
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, i ? allocate_misleadingly : load_and_unload, NULL);
	nanosleep(&while_it_goes, NULL);
	is_over = 1;
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	puts("fine");
	return 0;
}

/* ---- child */

static void *return_it(void *argument)
{
	return argument;
}

static int create_in_child(void)
{
	uint64_t begin = thread_ns();
	pthread_t thread;
	int status = 1;
	pid_t child;

	while (thread_ns() - begin < SECOND / 20)
		CHURN(1000);
	/* libc keeps what the next one would have to allocate. */
	if (pthread_create(&thread, NULL, return_it, NULL) || pthread_join(thread, NULL))
		return 1;
	child = fork();
	if (child == 0)
		_exit(pthread_create(&thread, NULL, return_it, NULL) || pthread_join(thread, NULL));
	waitpid(child, &status, 0);
	if (status)
		return 1;
	puts("fine");
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "vfork") == 0)
		return spawn();
	if (strcmp(what, "asks") == 0)
		return ask();
	if (strcmp(what, "child") == 0)
		return create_in_child();
	if (strcmp(what, "signalfd") == 0)
		return read_signals();
	if (argc < 3)
		return 2;
	if (strcmp(what, "limit") == 0)
		return argc > 3 ? limit(argv[2], atol(argv[3])) : 2;
	if (strcmp(what, "confine") == 0)
		return confine(argv[2]);
	if (strcmp(what, "altstack") == 0)
		return with_small_stack((size_t)atol(argv[2]));
	return strcmp(what, "unload") == 0 ? unload(argv[2]) : 2;
}
