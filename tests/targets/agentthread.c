/* Threads that cannot bear a signal's handler, while timers of the agent are there.
 *
 *     small WHEN     a thread with the smallest stack, which it uses half of; it begins before the
 *                    timers are turned on (before), after that (after), or before it and past the
 *                    agent's pthread_create (hidden)
 *     clone POINTER  a thread that libc knows nothing of. Its thread pointer is 0 (none), leads to
 *                    zeros (zeros), or is its maker's (shared). It has a SIGPROF of its own
 *     ends COUNT     threads that end at once when the timers are turned on, and leave none
 *
 * Each ends with a line "fine" where nothing happened to it. Without the agent it is the same. */
#include <dlfcn.h>
#include <limits.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "tests/targets/target.h"

enum {
	RATE = 999,
	WORK_NS = 100000000,
	USED = 6144,
	CLONE_STACK = 256 << 10,
	ZEROS = 4096,
	ENDS_MAX = 100
};

extern void rsprof_cpu(unsigned frequency) __attribute__((weak));

static _Atomic bool has_begun, may_work, is_done;

static void turn(unsigned frequency)
{
	if (rsprof_cpu)
		rsprof_cpu(frequency);
}

static bool wait_until(_Atomic bool *what)
{
	const struct timespec moment = {0, 1000000};

	for (int i = 0; i < 30000 && !*what; i++)
		nanosleep(&moment, NULL);
	return *what;
}

/* ---- small */

typedef int create_function(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

static void *work_on_little(void *argument)
{
	volatile char used[USED];
	uint64_t end;

	for (int i = 0; i < USED; i++)
		used[i] = (char)i;
	has_begun = true;
	while (!may_work)
		CHURN(1000);
	end = thread_ns() + WORK_NS;
	while (thread_ns() < end)
		CHURN(1000);
	for (int i = 0; i < USED; i++) {
		if (used[i] != (char)i)
			return NULL;
	}
	return argument;
}

static int with_small_stack(const char *when)
{
	create_function *create = pthread_create;
	void *result = NULL;
	pthread_attr_t attributes;
	pthread_t thread;

	if (strcmp(when, "hidden") == 0) {
		void *libc = dlopen("libc.so.6", RTLD_NOW);

		create = libc ? (create_function *)dlsym(libc, "pthread_create") : NULL;
		if (!create)
			return 1;
	}
	turn(strcmp(when, "after") == 0 ? RATE : 0);
	pthread_attr_init(&attributes);
	if (pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN) ||
	    create(&thread, &attributes, work_on_little, &thread) || !wait_until(&has_begun))
		return 1;
	if (strcmp(when, "after"))
		turn(RATE);
	may_work = true;
	if (pthread_join(thread, &result) || result != &thread)
		return 1;
	puts("fine");
	return 0;
}

/* ---- clone */

static struct timespec used_time;
static pid_t _Atomic clone_tid;

/* Of libc's it may use nothing: errno and what protects a stack are at the thread pointer. */
static long call(long number, long first, long second)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(number), "D"(first), "S"(second)
			 : "rcx", "r11", "memory");
	return result;
}

static volatile sig_atomic_t own_signals;

static void on_own(int number __attribute__((unused)))
{
	own_signals++;
}

static int work_alone(void *argument __attribute__((unused)))
{
	has_begun = true;
	while (!may_work)
		CHURN(1000);
	do {
		CHURN(1000);
		call(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, (long)&used_time);
	} while (!own_signals || (!used_time.tv_sec && used_time.tv_nsec < WORK_NS));
	is_done = true;
	return 0;
}

static int with_clone(const char *pointer)
{
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
		    CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;
	char *memory = mmap(NULL, CLONE_STACK + ZEROS, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *top = memory + CLONE_STACK, *zeros = top;
	struct sigaction action = {.sa_handler = on_own, .sa_flags = SA_RESTART};
	void *volatile block;
	int tid;

	if (memory == MAP_FAILED)
		return 1;
	/* Its maker is known to the agent by it. */
	block = malloc(100);
	free(block);
	turn(0);
	if (strcmp(pointer, "shared"))
		flags |= CLONE_SETTLS;
	clone_tid = 1;
	tid = clone(work_alone, top, flags, NULL, NULL, strcmp(pointer, "zeros") ? NULL : zeros,
		    &clone_tid);
	if (tid < 0 || !wait_until(&has_begun))
		return 1;
	turn(RATE);
	may_work = true;
	if (sigaction(SIGPROF, &action, NULL) || syscall(SYS_tgkill, getpid(), tid, SIGPROF) ||
	    !wait_until(&is_done) || own_signals != 1)
		return 1;
	/* The kernel clears it. */
	while (clone_tid)
		sched_yield();
	puts("fine");
	return 0;
}

/* ---- ends */

static void *end_at_once(void *argument)
{
	while (!may_work)
		sched_yield();
	return argument;
}

static int count_timers(void)
{
	FILE *list = fopen("/proc/self/timers", "r");
	char line[256];
	int count = 0;

	while (list && fgets(line, sizeof(line), list))
		count += strncmp(line, "ID:", 3) == 0;
	if (list)
		fclose(list);
	return list ? count : -1;
}

static int with_ends(int count)
{
	pthread_t threads[ENDS_MAX];

	if (count < 1 || count > ENDS_MAX)
		return 2;
	turn(0);
	for (int i = 0; i < count; i++) {
		if (pthread_create(&threads[i], NULL, end_at_once, NULL))
			return 1;
	}
	turn(1);
	may_work = true;
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	turn(0);
	if (count_timers())
		return 1;
	puts("fine");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	if (strcmp(argv[1], "small") == 0)
		return with_small_stack(argv[2]);
	if (strcmp(argv[1], "ends") == 0)
		return with_ends(atoi(argv[2]));
	return strcmp(argv[1], "clone") == 0 ? with_clone(argv[2]) : 2;
}
