/* agentcpu shares SECONDS | quiet SECONDS | short COUNT MS: threads whose CPU time is known, for
 * the agent's timers. They are ended only when the test says so, and print "thread TID CPU_NS"
 * each.
 *
 *     shares   four threads that use 1, 2, 3 and 4 tenths of SECONDS, and sleep in between
 *     quiet    two threads without an allocation of their own, made by pthread_create and
 * thrd_create short    COUNT threads of MS each, one after the other; "all CPU_NS" is their sum */
#include "tests/targets/target.h"

#include <sys/syscall.h>
#include <threads.h>

enum { SHARES = 4, NAP_NS = 1000000, CHUNK_ROUNDS = 200000 };

static uint64_t need_ns;
static _Atomic uint64_t all_ns;

static int tid(void)
{
	return (int)syscall(SYS_gettid);
}

static void burn(uint64_t ns, bool naps)
{
	const struct timespec nap = {.tv_nsec = NAP_NS};
	uint64_t end = thread_ns() + ns;

	while (thread_ns() < end) {
		CHURN(CHUNK_ROUNDS);
		if (naps)
			nanosleep(&nap, NULL);
	}
}

static void tell(void)
{
	char line[64];
	int length = snprintf(line, sizeof(line), "thread %d %" PRIu64 "\n", tid(), thread_ns());

	if (write(STDOUT_FILENO, line, (size_t)length) != length)
		_exit(1);
}

static void *share(void *argument)
{
	burn(need_ns * (uint64_t)(uintptr_t)argument / 10, (uintptr_t)argument & 1);
	tell();
	return NULL;
}

static int share_c11(void *argument)
{
	share(argument);
	return 42;
}

static void *brief(void *argument)
{
	burn(need_ns, false);
	all_ns += thread_ns();
	return argument;
}

static void run_shares(void)
{
	pthread_t threads[SHARES];

	for (uintptr_t i = 0; i < SHARES; i++)
		pthread_create(&threads[i], NULL, share, (void *)(i + 1));
	for (int i = 0; i < SHARES; i++)
		pthread_join(threads[i], NULL);
}

static void run_quiet(void)
{
	pthread_t one;
	thrd_t two;
	int result = 0;

	pthread_create(&one, NULL, share, (void *)10);
	thrd_create(&two, share_c11, (void *)10);
	pthread_join(one, NULL);
	thrd_join(two, &result);
	if (result != 42)
		exit(1);
}

static void run_short(int count)
{
	for (int i = 0; i < count; i++) {
		pthread_t thread;
		void *result = NULL;

		pthread_create(&thread, NULL, brief, &all_ns);
		pthread_join(thread, &result);
		if (result != &all_ns)
			exit(1);
	}
	printf("all %" PRIu64 "\n", all_ns);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	block_signals();
	need_ns = (uint64_t)(number_argument(argc, argv, 2, 1) * 1e9);
	if (strcmp(what, "shares") == 0) {
		run_shares();
	} else if (strcmp(what, "quiet") == 0) {
		run_quiet();
	} else if (strcmp(what, "short") == 0) {
		need_ns = (uint64_t)(number_argument(argc, argv, 3, 5) * 1e6);
		run_short((int)number_argument(argc, argv, 2, 200));
	} else {
		return 2;
	}
	printf("done\n");
	fflush(stdout);
	wait_for_signals(SIGTERM, SIGTERM, LINGER_SECONDS);
	return 0;
}
