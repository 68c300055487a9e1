/* threads64 CPU_SECONDS: 64 threads, 32 there before the signal and 32 started after it. Each needs a
 * different part of CPU_SECONDS; the odd ones spend it in read() of /dev/zero, the others in user code.
 * Prints "thread TID NAME cpu_ns user_ns system_ns stalled_ns" for each, counted from the signal. */
#include "tests/targets/target.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { THREADS = 64, EARLY = THREADS / 2, READS = 128, BLOCK = 65536 };

struct worker {
	pthread_t thread;
	int index;
	long tid;
	uint64_t need_ns, cpu_ns, user_ns, system_ns, stalled_ns;
};

static struct worker workers[THREADS];
static pthread_barrier_t go;

APART static void in_user(void)
{
	CHURN(ROUNDS);
}

APART static void in_kernel(int fd)
{
	static _Thread_local char block[BLOCK];

	for (int i = 0; i < READS; i++) {
		if (read(fd, block, sizeof(block)) < 0)
			exit(1);
	}
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	struct rusage before, after;
	char name[16];
	uint64_t begin;

	snprintf(name, sizeof(name), "w%02d", worker->index);
	prctl(PR_SET_NAME, name);
	worker->tid = syscall(SYS_gettid);
	if (worker->index < EARLY)
		pthread_barrier_wait(&go);
	getrusage(RUSAGE_THREAD, &before);
	begin = worker->index < EARLY ? thread_ns() : 0;
	note_stall();
	while (thread_ns() - begin < worker->need_ns) {
		if (worker->index % 2)
			in_kernel(fd);
		else
			in_user();
		worker->stalled_ns += note_stall();
	}
	close(fd);
	getrusage(RUSAGE_THREAD, &after);
	worker->cpu_ns = thread_ns() - begin;
	worker->user_ns = timeval_ns(after.ru_utime) - timeval_ns(before.ru_utime);
	worker->system_ns = timeval_ns(after.ru_stime) - timeval_ns(before.ru_stime);
	return NULL;
}

static void start(int from, int to)
{
	for (int i = from; i < to; i++) {
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			exit(1);
	}
}

int main(int argc, char **argv)
{
	double total_ns = number_argument(argc, argv, 1, 10) * 1e9, weights = 0;

	/* The smallest need is a sixth of the largest. */
	for (int i = 0; i < THREADS; i++)
		weights += 12 + i;
	for (int i = 0; i < THREADS; i++) {
		workers[i].index = i;
		workers[i].need_ns = (uint64_t)(total_ns * (12 + i) / weights);
	}
	block_signals();
	pthread_barrier_init(&go, NULL, EARLY + 1);
	start(0, EARLY);
	wait_for_go();
	pthread_barrier_wait(&go);
	start(EARLY, THREADS);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		printf("thread %ld w%02d %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
		       workers[i].tid, i, workers[i].cpu_ns, workers[i].user_ns, workers[i].system_ns,
		       workers[i].stalled_ns);
	}
	print_stalled();
	return 0;
}
