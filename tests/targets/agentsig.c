/* agentsig WHAT [ARGUMENT]: a program with a SIGPROF of its own. What it prints does not depend on
 * whether the agent's timers run in it, too.
 *
 *     view           what functions say of the action that was set before
 *     flags          sa_flags and sa_mask as the handler finds them
 *     itimer SECONDS counts ITIMER_PROF's signals: "signals N", "strange N" of another sender
 *     default        dies of its own SIGPROF;  reset: of the second one, after SA_RESETHAND
 *     ignored        survives it
 *     jumps COUNT    leaves its handler by siglongjmp
 *     waits MS       burns with all signals blocked, then waits for them: "strange N", "timed out"
 *     calls SECONDS  system calls that must not end with EINTR, beside work: "interrupted N" of
 * each kind execs COUNT    children that burn until they exec: "failed N" forks SECONDS  a child
 * that burns and never allocates: "child PID CPU_NS", lingers blocked SECONDS  a thread that works
 * with all signals blocked: "thread TID CPU_NS", lingers creates        threads with attributes,
 * ends and stacks of all kinds: "threads N" that went right */
#include "tests/targets/target.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <threads.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

enum { CHUNK_ROUNDS = 200000, STACK_BYTES = 65536, TIMER_US = 10000 };

static volatile sig_atomic_t handled, strange, depth, deepest;
static volatile bool was_usr1_blocked, was_on_alternate;
static char alternate[STACK_BYTES];
static sigjmp_buf back;

static void burn(uint64_t ns)
{
	uint64_t end = thread_ns() + ns;

	while (thread_ns() < end)
		CHURN(CHUNK_ROUNDS);
}

static void on_prof(int number)
{
	(void)number;
	handled++;
}

static void on_prof_info(int number, siginfo_t *info, void *context)
{
	sigset_t blocked;
	char here;

	(void)context;
	handled++;
	strange += number != SIGPROF || info->si_signo != SIGPROF || info->si_code == SI_TIMER;
	sigprocmask(SIG_BLOCK, NULL, &blocked);
	was_usr1_blocked = sigismember(&blocked, SIGUSR1);
	was_on_alternate = &here >= alternate && &here < alternate + STACK_BYTES;
	depth++;
	if (depth > deepest)
		deepest = depth;
	if (handled < 3)
		raise(SIGPROF);
	depth--;
}

static void on_prof_jump(int number)
{
	(void)number;
	siglongjmp(back, 1);
}

/* ---- what is set and seen */

static const char *name_of(sighandler_t handler)
{
	return handler == SIG_DFL			       ? "default"
	       : handler == SIG_IGN			       ? "ignore"
	       : handler == SIG_ERR			       ? "error"
	       : handler == SIG_HOLD			       ? "hold"
	       : handler == on_prof			       ? "on_prof"
	       : handler == (sighandler_t)(void *)on_prof_info ? "on_prof_info"
							       : "a stranger";
}

static void print_action(const char *when)
{
	struct sigaction action;

	sigaction(SIGPROF, NULL, &action);
	/* The restorer is libc's own matter. */
	printf("%s: %s, flags %x, usr1 %d, prof %d\n", when, name_of(action.sa_handler),
	       (unsigned)action.sa_flags & ~0x04000000u, sigismember(&action.sa_mask, SIGUSR1),
	       sigismember(&action.sa_mask, SIGPROF));
}

static void view(void)
{
	struct sigaction action = {.sa_sigaction = on_prof_info,
				   .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER},
			 old, *volatile same;

	print_action("at first");
	sigaddset(&action.sa_mask, SIGUSR1);
	printf("sigaction %d, before: ", sigaction(SIGPROF, &action, &old));
	printf("%s\n", name_of(old.sa_handler));
	print_action("after sigaction");
	same = &old;
	printf("the same again %d\n", sigaction(SIGPROF, &old, same));
	printf("was %s\n", name_of(old.sa_handler));
	printf("signal, before: %s\n", name_of(signal(SIGPROF, on_prof)));
	print_action("after signal");
	printf("siginterrupt %d\n", siginterrupt(SIGPROF, 1));
	print_action("after siginterrupt");
	printf("signal, before: %s\n", name_of(signal(SIGPROF, SIG_IGN)));
	print_action("after signal");
	siginterrupt(SIGPROF, 0);
	printf("sysv_signal, before: %s\n", name_of(sysv_signal(SIGPROF, on_prof)));
	print_action("after sysv_signal");
	printf("sigset, before: %s\n", name_of(sigset(SIGPROF, SIG_HOLD)));
	printf("sigset, before: %s\n", name_of(sigset(SIGPROF, on_prof)));
	print_action("after sigset");
	printf("sigignore %d\n", sigignore(SIGPROF));
	print_action("after sigignore");
	printf("ssignal, before: %s\n", name_of(ssignal(SIGPROF, SIG_DFL)));
	errno = 0;
	printf("signal %s", name_of(signal(SIGPROF, SIG_ERR)));
	printf(" %d\n", errno);
	printf("others: %s\n", name_of(signal(SIGUSR1, on_prof)));
	printf("others: %s\n", name_of(signal(SIGUSR1, SIG_DFL)));
	print_action("in the end");
}

static void once(const char *name, int flags)
{
	struct sigaction action = {.sa_sigaction = on_prof_info, .sa_flags = SA_SIGINFO | flags};

	sigaddset(&action.sa_mask, SIGUSR1);
	sigaction(SIGPROF, &action, NULL);
	handled = deepest = strange = 0;
	raise(SIGPROF);
	printf("%s: %d handled, %d deep, usr1 %d, alternate %d, strange %d\n", name, handled,
	       deepest, was_usr1_blocked, was_on_alternate, strange);
}

static void flags(void)
{
	stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate)};

	once("plain", 0);
	once("restarting", SA_RESTART);
	once("without an alternate stack", SA_ONSTACK);
	sigaltstack(&stack, NULL);
	once("on the alternate stack", SA_ONSTACK);
	once("beside the alternate stack", 0);
	once("not deferred", SA_NODEFER);
}

static void itimer(double seconds)
{
	struct itimerval timer = {.it_interval = {.tv_usec = TIMER_US},
				  .it_value = {.tv_usec = TIMER_US}};
	struct sigaction action = {.sa_sigaction = on_prof_info,
				   .sa_flags = SA_SIGINFO | SA_RESTART};

	handled = 3;
	sigaction(SIGPROF, &action, NULL);
	setitimer(ITIMER_PROF, &timer, NULL);
	burn((uint64_t)(seconds * 1e9));
	setitimer(ITIMER_PROF, &(struct itimerval){0}, NULL);
	printf("signals %d\nstrange %d\n", handled - 3, strange);
}

static void reset(void)
{
	struct sigaction action = {.sa_handler = on_prof, .sa_flags = SA_RESETHAND};

	sigaction(SIGPROF, &action, NULL);
	raise(SIGPROF);
	printf("%d handled\n", handled);
	print_action("after it");
	fflush(stdout);
	raise(SIGPROF);
}

static void jumps(int count)
{
	volatile int done = 0;
	sigset_t blocked;

	signal(SIGPROF, on_prof_jump);
	while (done < count) {
		if (sigsetjmp(back, 1) == 0)
			raise(SIGPROF);
		done++;
	}
	sigprocmask(SIG_BLOCK, NULL, &blocked);
	printf("%d jumps, blocked %d\n", done, sigismember(&blocked, SIGPROF));
}

/* ---- waiting */

static void *wait_blocked(void *argument)
{
	const struct timespec brief = {.tv_nsec = 50000000};
	struct timespec timeout = brief;
	int strangers = 0, number;
	siginfo_t info;
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	burn(*(uint64_t *)argument);
	number = sigtimedwait(&all, &info, &timeout);
	printf("%s\n", number < 0 && errno == EAGAIN ? "timed out" : "something came");
	burn(*(uint64_t *)argument);
	pthread_kill(pthread_self(), SIGUSR2);
	number = sigwaitinfo(&all, NULL);
	strangers += number != SIGUSR2;
	burn(*(uint64_t *)argument);
	pthread_kill(pthread_self(), SIGUSR2);
	strangers += sigwait(&all, &number) != 0 || number != SIGUSR2;
	printf("strange %d\n", strangers);
	return NULL;
}

static int interrupted[4];

static void *call_often(void *argument)
{
	uint64_t end = wall_ns() + *(uint64_t *)argument;
	const struct timespec nap = {.tv_nsec = 300000};
	struct timeval timeout = {.tv_usec = 1000};
	struct epoll_event event;
	int sockets[2], epoll = epoll_create1(0);
	char byte;

	if (epoll < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets))
		exit(1);
	setsockopt(sockets[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	while (wall_ns() < end) {
		CHURN(CHUNK_ROUNDS);
		interrupted[0] += epoll_wait(epoll, &event, 1, 1) < 0 && errno == EINTR;
		CHURN(CHUNK_ROUNDS);
		interrupted[1] += nanosleep(&nap, NULL) < 0 && errno == EINTR;
		CHURN(CHUNK_ROUNDS);
		interrupted[2] += poll(NULL, 0, 1) < 0 && errno == EINTR;
		CHURN(CHUNK_ROUNDS);
		interrupted[3] += recv(sockets[0], &byte, 1, 0) < 0 && errno == EINTR;
	}
	close(epoll);
	close(sockets[0]);
	close(sockets[1]);
	return NULL;
}

static void in_thread(void *(*routine)(void *), double seconds)
{
	uint64_t ns = (uint64_t)(seconds * 1e9);
	pthread_t thread;

	if (pthread_create(&thread, NULL, routine, &ns) || pthread_join(thread, NULL))
		exit(1);
}

/* ---- processes */

static void execs(int count)
{
	int failed = 0;

	for (int i = 0; i < count; i++) {
		int status = -1;
		pid_t child = fork();

		if (child == 0) {
			burn((uint64_t)(i % 5) * 1000000);
			execl("/bin/true", "true", NULL);
			_exit(1);
		}
		waitpid(child, &status, 0);
		failed += status != 0;
	}
	printf("failed %d\n", failed);
}

static void forks(double seconds)
{
	char line[64];
	pid_t child;

	block_signals();
	child = fork();
	if (child == 0) {
		int length;

		burn((uint64_t)(seconds * 1e9));
		length = snprintf(line, sizeof(line), "child %d %" PRIu64 "\n", getpid(),
				  thread_ns());
		if (write(STDOUT_FILENO, line, (size_t)length) != length)
			_exit(1);
		wait_for_signals(SIGTERM, SIGTERM, LINGER_SECONDS);
		_exit(0);
	}
	wait_for_signals(SIGTERM, SIGUSR1, LINGER_SECONDS);
	kill(child, SIGTERM);
	waitpid(child, NULL, 0);
}

static void *work_blocked(void *argument)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	burn(*(uint64_t *)argument);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	printf("thread %d %" PRIu64 "\n", (int)syscall(SYS_gettid), thread_ns());
	return NULL;
}

/* ---- threads */

static int right;

static void *give_back(void *argument)
{
	return argument;
}

static void *exit_early(void *argument)
{
	pthread_exit(argument);
}

static void *sleep_on(void *argument)
{
	for (;;)
		pause();
	return argument;
}

static int forty_two(void *argument)
{
	return argument ? 42 : 0;
}

static void *leave_value(void *argument)
{
	pthread_key_t *key = argument;

	pthread_setspecific(*key, &right);
	return NULL;
}

static void on_value(void *value)
{
	right += value == &right;
}

static void create(const pthread_attr_t *attributes, void *(*routine)(void *), bool is_cancelled)
{
	void *result = NULL;
	pthread_t thread;

	if (pthread_create(&thread, attributes, routine, &right))
		return;
	if (is_cancelled)
		pthread_cancel(thread);
	if (pthread_join(thread, &result) == 0)
		right += result == (is_cancelled ? PTHREAD_CANCELED : (void *)&right);
}

static void on_create(int number)
{
	(void)number;
	create(NULL, give_back, false);
}

static void creates(void)
{
	pthread_attr_t attributes;
	pthread_key_t key;
	pthread_t thread;
	void *memory;
	int result = 0;
	thrd_t c11;

	create(NULL, give_back, false);
	create(NULL, exit_early, false);
	create(NULL, sleep_on, true);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN);
	create(&attributes, give_back, false);
	pthread_attr_setguardsize(&attributes, 0);
	create(&attributes, exit_early, false);
	memory =
		mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_attr_setstack(&attributes, memory, STACK_BYTES);
	create(&attributes, sleep_on, true);
	create(&attributes, give_back, false);
	if (thrd_create(&c11, forty_two, &right) == thrd_success)
		thrd_join(c11, &result);
	right += result == 42;
	pthread_key_create(&key, on_value);
	if (pthread_create(&thread, NULL, leave_value, &key) == 0)
		pthread_join(thread, NULL);
	signal(SIGUSR1, on_create);
	raise(SIGUSR1);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, (size_t)1 << 60);
	right += pthread_create(&thread, &attributes, give_back, NULL) == EAGAIN;
	/* 20,000 in all: what each is given must not add up. */
	for (int i = 0; i < 20000; i++) {
		void *back_again = NULL;

		if (pthread_create(&thread, NULL, give_back, &key) == 0)
			pthread_join(thread, &back_again);
		right += back_again == &key;
	}
	printf("threads %d\n", right);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	double number = number_argument(argc, argv, 2, 1);

	if (strcmp(what, "view") == 0) {
		view();
	} else if (strcmp(what, "flags") == 0) {
		flags();
	} else if (strcmp(what, "itimer") == 0) {
		itimer(number);
	} else if (strcmp(what, "default") == 0) {
		raise(SIGPROF);
	} else if (strcmp(what, "reset") == 0) {
		reset();
	} else if (strcmp(what, "ignored") == 0) {
		signal(SIGPROF, SIG_IGN);
		raise(SIGPROF);
		printf("alive\n");
	} else if (strcmp(what, "jumps") == 0) {
		jumps((int)number);
	} else if (strcmp(what, "waits") == 0) {
		in_thread(wait_blocked, number / 1000);
	} else if (strcmp(what, "calls") == 0) {
		in_thread(call_often, number);
		printf("interrupted %d %d %d %d\n", interrupted[0], interrupted[1], interrupted[2],
		       interrupted[3]);
	} else if (strcmp(what, "execs") == 0) {
		execs((int)number);
	} else if (strcmp(what, "forks") == 0) {
		forks(number);
	} else if (strcmp(what, "blocked") == 0) {
		block_signals();
		in_thread(work_blocked, number);
		printf("done\n");
		fflush(stdout);
		wait_for_signals(SIGTERM, SIGTERM, LINGER_SECONDS);
	} else if (strcmp(what, "creates") == 0) {
		creates();
	} else {
		return 2;
	}
	return 0;
}
