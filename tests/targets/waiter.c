/* waiter SECONDS [now]: of its main thread's wall time it sleeps 40 %, waits 30 % for a lock that
 * another thread holds and computes 30 %, each on a line of its own. A third thread sleeps from
 * before the signal until the end. Prints what each part of the main thread really took. */
#include "tests/targets/target.h"

#include <semaphore.h>
#include <sys/prctl.h>

enum { CYCLE_NS = 20000000, SLEEP_PERCENT = 40, LOCK_PERCENT = 30, COMPUTE_PERCENT = 30 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static sem_t may_take, is_taken, is_wanted;
static uint64_t hold_ns;
static uint64_t slept_ns, locked_ns, computed_ns, computed_cpu_ns;

APART static void sleep_part(uint64_t length_ns)
{
	struct timespec length = {.tv_nsec = (long)length_ns};

	nanosleep(&length, NULL); // SLEEP
}

APART static void lock_part(void)
{
	pthread_mutex_lock(&lock); // LOCK
	pthread_mutex_unlock(&lock);
}

APART static void compute_part(uint64_t end_ns)
{
	while (wall_ns() < end_ns)
		CHURN(ROUNDS / 4); // COMPUTE
}

/* Holds the lock from before the main thread wants it until hold_ns after. */
static void *hold(void *unused)
{
	struct timespec length = {0};

	(void)unused;
	prctl(PR_SET_NAME, "holder");
	for (;;) {
		sem_wait(&may_take);
		pthread_mutex_lock(&lock);
		sem_post(&is_taken);
		sem_wait(&is_wanted);
		length.tv_nsec = (long)hold_ns;
		nanosleep(&length, NULL);
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

APART static void sleep_forever(void)
{
	struct timespec long_time = {.tv_sec = 1000};

	for (;;)
		nanosleep(&long_time, NULL); // FOREVER
}

static void *sleeper(void *unused)
{
	(void)unused;
	prctl(PR_SET_NAME, "forever");
	sleep_forever();
	return NULL;
}

/* What is left of a part's budget at the end of a cycle: it makes up for what it took too long
 * before. */
static uint64_t left_ns(uint64_t cycle, uint64_t percent, uint64_t spent_ns)
{
	uint64_t budget_ns = cycle * CYCLE_NS / 100 * percent;

	return budget_ns > spent_ns ? budget_ns - spent_ns : 0;
}

/* The posts are in no part: whom they wake may take the CPU at once. */
APART static void run_cycle(uint64_t cycle)
{
	uint64_t begin, cpu;

	sem_post(&may_take);
	begin = wall_ns();
	/* In small steps, should the holder be slow to run. */
	sleep_part(left_ns(cycle, SLEEP_PERCENT, slept_ns));
	while (sem_trywait(&is_taken))
		sleep_part(100000);
	slept_ns += wall_ns() - begin;

	hold_ns = left_ns(cycle, LOCK_PERCENT, locked_ns);
	sem_post(&is_wanted);
	begin = wall_ns();
	lock_part();
	locked_ns += wall_ns() - begin;

	begin = wall_ns();
	cpu = thread_ns();
	compute_part(begin + left_ns(cycle, COMPUTE_PERCENT, computed_ns));
	computed_ns += wall_ns() - begin;
	computed_cpu_ns += thread_ns() - cpu;
}

int main(int argc, char **argv)
{
	uint64_t cycles = (uint64_t)(number_argument(argc, argv, 1, 1) * 1e9 / CYCLE_NS);
	pthread_t threads[2];

	block_signals();
	sem_init(&may_take, 0, 0);
	sem_init(&is_taken, 0, 0);
	sem_init(&is_wanted, 0, 0);
	if (pthread_create(&threads[0], NULL, hold, NULL) ||
	    pthread_create(&threads[1], NULL, sleeper, NULL))
		return 1;
	if (!is_told_now(argc, argv))
		wait_for_go();
	for (uint64_t cycle = 1; cycle <= cycles; cycle++)
		run_cycle(cycle);
	printf("wall_ns %" PRIu64 "\nslept_ns %" PRIu64 "\nlocked_ns %" PRIu64
	       "\ncomputed_ns %" PRIu64 "\ncomputed_cpu_ns %" PRIu64 "\n",
	       slept_ns + locked_ns + computed_ns, slept_ns, locked_ns, computed_ns,
	       computed_cpu_ns);
	if (!is_told_now(argc, argv))
		linger();
	return 0;
}
