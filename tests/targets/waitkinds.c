/* waitkinds ROUNDS [now]: waits in every way that is told apart, each in a function of its own and
 * for about PART_NS a round: for a lock, asleep, for a pipe, for one of several descriptors, for a
 * child, and for a CPU that another thread uses. Prints how long each took, and how much CPU time
 * the last one had. */
#include "tests/targets/target.h"

#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { PART_NS = 20000000, QUEUE_CPU_NS = 40000000 };

static const struct timespec part = {.tv_nsec = PART_NS};
static int pipes[2];
static atomic_bool is_rival_wanted;

APART static void wait_for_lock(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct timespec end;

	pthread_mutex_trylock(&lock);
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_nsec += PART_NS;
	if (end.tv_nsec >= 1000000000) {
		end.tv_sec++;
		end.tv_nsec -= 1000000000;
	}
	pthread_mutex_timedlock(&lock, &end);
}

APART static void wait_asleep(void)
{
	nanosleep(&part, NULL);
}

/* The other end writes a byte after PART_NS for each that it gets. */
APART static void wait_for_pipe(void)
{
	char byte;

	if (read(pipes[0], &byte, 1) != 1)
		exit(1);
}

APART static void wait_for_one_of_several(void)
{
	struct pollfd none = {.fd = -1};

	poll(&none, 1, PART_NS / 1000000);
}

APART static void wait_for_child(void)
{
	pid_t child = fork();

	if (child == 0) {
		nanosleep(&part, NULL);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

static void stay_on_one_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *rival(void *unused)
{
	(void)unused;
	prctl(PR_SET_NAME, "rival");
	stay_on_one_cpu();
	for (;;) {
		if (is_rival_wanted)
			CHURN(ROUNDS);
		else
			nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	return NULL;
}

APART static void wait_for_cpu(void)
{
	uint64_t begin = thread_ns();

	is_rival_wanted = true;
	while (thread_ns() - begin < QUEUE_CPU_NS)
		CHURN(ROUNDS);
	is_rival_wanted = false;
}

static pthread_barrier_t asked;

static void *answer(void *unused)
{
	(void)unused;
	prctl(PR_SET_NAME, "answer");
	for (;;) {
		pthread_barrier_wait(&asked);
		nanosleep(&part, NULL);
		if (write(pipes[1], "x", 1) != 1)
			exit(1);
	}
	return NULL;
}

static struct {
	const char *name;
	void (*wait)(void);
	uint64_t spent_ns;
} parts[] = {
	{"lock_ns", wait_for_lock, 0},	 {"sleep_ns", wait_asleep, 0},
	{"io_ns", wait_for_pipe, 0},	 {"poll_ns", wait_for_one_of_several, 0},
	{"child_ns", wait_for_child, 0}, {"queue_ns", wait_for_cpu, 0},
};

int main(int argc, char **argv)
{
	unsigned rounds = (unsigned)number_argument(argc, argv, 1, 10);
	uint64_t begin, cpu, queue_cpu_ns = 0;
	pthread_t threads[2];

	block_signals();
	if (pipe(pipes) || pthread_barrier_init(&asked, NULL, 2) ||
	    pthread_create(&threads[0], NULL, answer, NULL) ||
	    pthread_create(&threads[1], NULL, rival, NULL))
		return 1;
	if (!is_told_now(argc, argv))
		wait_for_go();
	stay_on_one_cpu();
	for (unsigned round = 0; round < rounds; round++) {
		for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
			if (parts[i].wait == wait_for_pipe)
				pthread_barrier_wait(&asked);
			cpu = thread_ns();
			begin = wall_ns();
			parts[i].wait();
			parts[i].spent_ns += wall_ns() - begin;
			if (parts[i].wait == wait_for_cpu)
				queue_cpu_ns += thread_ns() - cpu;
		}
	}
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		printf("%s %" PRIu64 "\n", parts[i].name, parts[i].spent_ns);
	printf("queue_cpu_ns %" PRIu64 "\n", queue_cpu_ns);
	if (!is_told_now(argc, argv))
		linger();
	return 0;
}
