/* Has the agent put into it while it works, and tells whether it noticed.
 *
 * load THREADS    all threads allocate, check what they get and compute, until SIGUSR1
 * signals         the same in one thread, with a signal every half millisecond
 * wait KIND       sleeps ten times a tenth of a second; tells of each that was interrupted or short
 * plugin FILE     takes a word a line: "open" loads the library, "call" has it allocate a thousand blocks
 *
 * Exits with 7 where all is as it should be. */
#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>

#include "tests/targets/target.h"

enum { BLOCKS = 64, THREADS_MAX = 64, WAITS = 10, WAIT_MS = 100, RIGHT = 7 };

static volatile sig_atomic_t is_over;
static volatile sig_atomic_t signals_seen;

static void on_over(int number __attribute__((unused)))
{
	is_over = 1;
}

static void on_signal(int number __attribute__((unused)))
{
	signals_seen++;
}

/* ---- load */

struct progress {
	uint64_t steps, hash;
	double value; /* in vector registers */
};

static inline void step(struct progress *progress)
{
	progress->hash = progress->hash * 6364136223846793005u + 1442695040888963407u;
	progress->value = progress->value * 0.999 + (double)(progress->hash >> 40);
	progress->steps++;
}

struct worker {
	pthread_t thread;
	uint64_t errors;
};

static void *load(void *argument)
{
	struct worker *worker = argument;
	struct progress done = {0}, again = {0};
	unsigned char *blocks[BLOCKS] = {0};
	size_t sizes[BLOCKS] = {0};

	while (!is_over) {
		unsigned at;

		step(&done);
		at = done.hash >> 33 & (BLOCKS - 1);
		for (size_t i = 0; i < sizes[at]; i += 64)
			worker->errors += blocks[at][i] != (unsigned char)at;
		free(blocks[at]);
		sizes[at] = (done.hash >> 44 & 2047) + 1;
		blocks[at] = malloc(sizes[at]);
		memset(blocks[at], (int)at, sizes[at]);
	}
	for (unsigned i = 0; i < BLOCKS; i++)
		free(blocks[i]);
	while (again.steps < done.steps)
		step(&again);
	worker->errors += again.hash != done.hash || again.value != done.value;
	return NULL;
}

static int run_load(int count)
{
	static struct worker workers[THREADS_MAX];
	uint64_t errors = 0;

	puts("ready");
	for (int i = 1; i < count; i++)
		pthread_create(&workers[i].thread, NULL, load, &workers[i]);
	load(&workers[0]);
	for (int i = 0; i < count; i++) {
		if (i > 0)
			pthread_join(workers[i].thread, NULL);
		errors += workers[i].errors;
	}
	printf("errors %" PRIu64 "\n", errors);
	return errors ? 1 : RIGHT;
}

static int run_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct itimerspec every = {{0, 500000}, {0, 500000}};
	timer_t timer;
	int result;

	sigaction(SIGALRM, &action, NULL);
	timer_create(CLOCK_MONOTONIC, &(struct sigevent){.sigev_notify = SIGEV_SIGNAL,
							  .sigev_signo = SIGALRM},
		     &timer);
	timer_settime(timer, 0, &every, NULL);
	result = run_load(1);
	return signals_seen > 0 ? result : 1;
}

/* ---- waits */

static const struct timespec wait_time = {0, WAIT_MS * 1000000};
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static sem_t semaphore;

static struct timespec end_of_wait(void)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_nsec += wait_time.tv_nsec;
	if (end.tv_nsec >= 1000000000) {
		end.tv_nsec -= 1000000000;
		end.tv_sec++;
	}
	return end;
}

/* 0 where it ended in its time, else errno or another number. */
static int wait_once(const char *kind, int epoll)
{
	struct timespec time = wait_time, end;
	struct epoll_event event;
	uint32_t word = 0;
	int got;

	if (!strcmp(kind, "nanosleep"))
		return nanosleep(&time, NULL) ? errno : 0;
	if (!strcmp(kind, "poll"))
		return poll(NULL, 0, WAIT_MS) ? errno : 0;
	if (!strcmp(kind, "ppoll"))
		return ppoll(NULL, 0, &time, &(sigset_t){0}) ? errno : 0;
	if (!strcmp(kind, "select"))
		return select(0, NULL, NULL, NULL, &(struct timeval){0, WAIT_MS * 1000}) ? errno
											  : 0;
	/* The kernel never takes this one up again by itself: interrupted by nothing but a stop, it
	 * would say EINTR. */
	if (!strcmp(kind, "epoll"))
		return epoll_wait(epoll, &event, 1, WAIT_MS) ? errno : 0;
	if (!strcmp(kind, "futex")) {
		got = (int)syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &time, NULL, 0);
		return got < 0 && errno != ETIMEDOUT ? errno : 0;
	}
	end = end_of_wait();
	if (!strcmp(kind, "semaphore"))
		return sem_timedwait(&semaphore, &end) && errno == ETIMEDOUT ? 0 : errno;
	if (!strcmp(kind, "condition")) {
		pthread_mutex_lock(&mutex);
		got = pthread_cond_timedwait(&condition, &mutex, &end);
		pthread_mutex_unlock(&mutex);
		return got == ETIMEDOUT ? 0 : got ? got : -1;
	}
	return -1;
}

static int run_waits(const char *kind)
{
	int epoll = epoll_create1(0), interrupted = 0, early = 0;
	char byte;

	sem_init(&semaphore, 0, 0);
	puts("ready");
	if (!strcmp(kind, "read")) {
		/* Until the test says something. */
		interrupted = read(STDIN_FILENO, &byte, 1) != 1;
	} else {
		for (int i = 0; i < WAITS; i++) {
			uint64_t begin = clock_ns(CLOCK_MONOTONIC);

			interrupted += wait_once(kind, epoll) != 0;
			early += clock_ns(CLOCK_MONOTONIC) - begin < WAIT_MS * 1000000ull;
		}
	}
	printf("interrupted %d early %d\n", interrupted, early);
	return interrupted || early ? 1 : RIGHT;
}

/* ---- plugin */

static int run_plugin(const char *path)
{
	void (*allocate)(int) = NULL;
	char word[8];
	ssize_t got;

	/* No buffer of stdio's is allocated between the words. */
	(void)!write(STDOUT_FILENO, "ready\n", 6);
	while ((got = read(STDIN_FILENO, word, 5)) == 5) {
		if (!memcmp(word, "open", 4)) {
			void *library = dlopen(path, RTLD_NOW);

			allocate = library ? (void (*)(int))dlsym(library, "allocate") : NULL;
		} else if (allocate) {
			allocate(1000);
		}
		(void)!write(STDOUT_FILENO, allocate ? "done\n" : "none\n", 5);
	}
	return RIGHT;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGUSR1, on_over);
	if (argc == 3 && !strcmp(argv[1], "load"))
		return run_load(atoi(argv[2]));
	if (argc == 2 && !strcmp(argv[1], "signals"))
		return run_signals();
	if (argc == 3 && !strcmp(argv[1], "wait"))
		return run_waits(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "plugin"))
		return run_plugin(argv[2]);
	return 2;
}
