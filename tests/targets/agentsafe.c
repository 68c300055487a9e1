/* agentsafe [SECONDS]: calls all of malloc's family with odd values in errno, where it succeeds and where it
 * fails, in the main thread, in a new one and in a forked child, and prints what each returned and left in
 * errno: the same with an agent as without. Then the descriptors below 900 that are open, and what it did at
 * each site. First of all, what dlerror() says.
 * With SECONDS goes on with it for so long, while the handler of a timer allocates and frees, too (built
 * with OWN: an allocator that allows this), and what comes out differently is told. */
#include "tests/targets/heap_truth.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <wchar.h>

enum { LINES = 300, LINE = 80, HUGE_SHIFT = 62, PERIOD_US = 100, ROUNDS_MAX = 2000, GIVEN = 8 };

static const int presets[] = {0, 1, EINTR, ENOMEM, 1234, -7};

/* A line of results each; the first round's are what later ones are compared with. */
struct results {
	char lines[LINES][LINE];
	size_t count;
};

static struct site handled = {"HANDLED"}, given = {"GIVEN"}, family[] = {
	{"MALLOC"}, {"CALLOC"}, {"REALLOC"}, {"POSIX_MEMALIGN"}, {"ALIGNED_ALLOC"}, {"STRDUP"},
#ifndef OWN
	{"REALLOCARRAY"}, {"MEMALIGN"}, {"VALLOC"}, {"PVALLOC"}, {"STRNDUP"}, {"WCSDUP"}, {"MAPPED"}, {"NOTHING"},
#endif
};
enum { MALLOC, CALLOC, REALLOC, POSIX_MEMALIGN, ALIGNED_ALLOC, STRDUP, REALLOCARRAY, MEMALIGN, VALLOC, PVALLOC,
       STRNDUP, WCSDUP, MAPPED, NOTHING };

/* A handler must not see its own allocations as the ones that it interrupted. */
static _Atomic bool is_counted = true;

static void count(int which, const void *block, size_t size)
{
	if (is_counted)
		note_alloc(&family[which], block, size);
}

static void count_free(int which, const void *block, size_t size)
{
	if (is_counted)
		note_free(&family[which], block, size);
}

static void result(struct results *to, const char *what, int preset, const void *block, int code)
{
	int left = errno;

	if (to->count < LINES)
		snprintf(to->lines[to->count++], LINE, "%s with %d: %s %d, errno %d", what, preset,
			 block ? "block" : "null", code, left);
}

/* One call with errno preset; `block` is what it gave. */
#define TRY(what, call)                                                                            \
	do {                                                                                       \
		errno = preset;                                                                    \
		block = (call);                                                                    \
		ESCAPE(block);                                                                     \
		result(to, what, preset, block, 0);                                                \
	} while (0)

#define TRY_FREE(what, which, size)                                                                \
	do {                                                                                       \
		count_free(which, block, size);                                                    \
		errno = preset;                                                                    \
		free(block);                                                                       \
		result(to, what, preset, NULL, 0);                                                 \
	} while (0)

APART static void try_common(struct results *to, int preset, size_t huge)
{
	void *block = NULL, *other;
	int code;

	TRY("malloc", malloc(24)); // MALLOC
	count(MALLOC, block, 24);
	TRY_FREE("free", MALLOC, 24);
	block = NULL;
	errno = preset;
	free(block);
	result(to, "free nothing", preset, NULL, 0);
	TRY("malloc huge", malloc(huge));
	TRY("calloc", calloc(3, 50)); // CALLOC
	count(CALLOC, block, 150);
	errno = preset;
	other = realloc(block, huge);
	result(to, "realloc huge", preset, other, 0);
	errno = preset;
	other = realloc(block, 4000); // REALLOC
	result(to, "realloc", preset, other, 0);
	if (is_counted)
		note_realloc(&family[CALLOC], 150, &family[REALLOC], other, 4000);
	block = other;
	TRY_FREE("free after realloc", REALLOC, 4000);
	TRY("calloc too many", calloc(huge, 16));
	block = NULL;
	errno = preset;
	code = posix_memalign(&block, 64, 640); // POSIX_MEMALIGN
	result(to, "posix_memalign", preset, block, code);
	count(POSIX_MEMALIGN, block, 640);
	TRY_FREE("free aligned", POSIX_MEMALIGN, 640);
	block = NULL;
	errno = preset;
	code = posix_memalign(&block, 64, huge);
	result(to, "posix_memalign huge", preset, block, code);
	TRY("aligned_alloc", aligned_alloc(128, 256)); // ALIGNED_ALLOC
	count(ALIGNED_ALLOC, block, 256);
	TRY_FREE("free aligned", ALIGNED_ALLOC, 256);
	TRY("aligned_alloc huge", aligned_alloc(128, huge));
	TRY("strdup", strdup("fourteen bytes")); // STRDUP
	count(STRDUP, block, 15);
	TRY_FREE("free copy", STRDUP, 15);
}

#ifdef OWN
static void try_more(struct results *to, int preset, size_t huge)
{
	(void)to;
	(void)preset;
	(void)huge;
}
#else
APART static void try_more(struct results *to, int preset, size_t huge)
{
	void *block = NULL;
	int code;

	errno = preset;
	code = posix_memalign(&block, 24, 100);
	result(to, "posix_memalign by 24", preset, block, code);
	TRY("reallocarray", reallocarray(NULL, 5, 60)); // REALLOCARRAY
	count(REALLOCARRAY, block, 300);
	errno = preset;
	code = (int)malloc_usable_size(block);
	result(to, "malloc_usable_size", preset, NULL, code);
	TRY_FREE("free array", REALLOCARRAY, 300);
	TRY("reallocarray too many", reallocarray(NULL, huge, 16));
	TRY("memalign", memalign(256, 100)); // MEMALIGN
	count(MEMALIGN, block, 100);
	TRY_FREE("free memalign", MEMALIGN, 100);
	TRY("memalign huge", memalign(256, huge));
	TRY("valloc", valloc(5000)); // VALLOC
	count(VALLOC, block, 5000);
	TRY_FREE("free valloc", VALLOC, 5000);
	TRY("pvalloc", pvalloc(8192)); // PVALLOC
	count(PVALLOC, block, 8192);
	TRY_FREE("free pvalloc", PVALLOC, 8192);
	TRY("pvalloc huge", pvalloc(huge));
	TRY("malloc mapped", malloc(3 << 20)); // MAPPED
	count(MAPPED, block, 3 << 20);
	TRY_FREE("free mapped", MAPPED, 3 << 20);
	TRY("malloc nothing", malloc(0)); // NOTHING
	count(NOTHING, block, 0);
	TRY_FREE("free of nothing", NOTHING, 0);
	TRY("strndup", strndup("fourteen bytes", 8)); // STRNDUP
	count(STRNDUP, block, 9);
	TRY_FREE("free strndup", STRNDUP, 9);
	TRY("wcsdup", wcsdup(L"wide")); // WCSDUP
	count(WCSDUP, block, 5 * sizeof(wchar_t));
	TRY_FREE("free wcsdup", WCSDUP, 5 * sizeof(wchar_t));
}
#endif

static void *try_all(void *argument)
{
	struct results *to = argument;
	/* Not known to compilers. */
	size_t huge = (size_t)1 << HUGE_SHIFT;

	ESCAPE(huge);
	to->count = 0;
	for (size_t i = 0; i < sizeof(presets) / sizeof(*presets); i++) {
		try_common(to, presets[i], huge);
		try_more(to, presets[i], huge);
	}
	return NULL;
}

static void print_results(const char *where, const struct results *results)
{
	for (size_t i = 0; i < results->count; i++)
		printf("%s: %s\n", where, results->lines[i]);
}

static void compare(const struct results *first, const struct results *other)
{
	for (size_t i = 0; i < first->count; i++) {
		if (strcmp(first->lines[i], other->lines[i]) != 0)
			printf("differs: %s: %s\n", first->lines[i], other->lines[i]);
	}
}

static void print_descriptors(const char *when)
{
	printf("descriptors %s:", when);
	for (int fd = 0; fd < 900; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			printf(" %d", fd);
	}
	printf("\n");
}

static uint64_t errno_changes;
/* Blocks that the handler frees, if it comes in time, with counts of its own. */
static _Atomic(void *) for_handler[GIVEN];
static struct site given_in_handler;

static uint32_t random_number(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 16;
}

APART static void *allocate_in_handler(unsigned depth)
{
	void *block;

	if (depth) {
		block = allocate_in_handler(depth - 1);
		ESCAPE(block);
		return block;
	}
	block = malloc(48); // HANDLED
	ESCAPE(block);
	return block;
}

APART static void on_timer(int number)
{
	static uint32_t random = 2;
	int before = errno, preset = 4321;
	void *block;

	(void)number;
	errno = preset;
	block = allocate_in_handler(random_number(&random) % 12);
	handled.allocs++;
	handled.alloc_bytes += 48;
	errno_changes += errno != preset;
	if (handled.allocs % 2) {
		free(block);
		handled.frees++;
		handled.free_bytes += 48;
		errno_changes += errno != preset;
	}
	for (size_t i = 0; i < GIVEN; i++) {
		block = atomic_exchange(&for_handler[i], NULL);
		if (!block)
			continue;
		free(block);
		given_in_handler.frees++;
		given_in_handler.free_bytes += 72;
	}
	errno = before;
}

/* Both count frees of the same site. From another depth each time, so that what is known of stacks changes. */
APART static void give(unsigned depth, size_t count)
{
	if (depth) {
		give(depth - 1, count);
		__asm__ volatile("");
		return;
	}
	for (size_t i = 0; i < count; i++) {
		void *block = malloc(72); // GIVEN

		ESCAPE(block);
		given.allocs++;
		given.alloc_bytes += 72;
		block = atomic_exchange(&for_handler[i % GIVEN], block);
		if (!block)
			continue;
		free(block);
		given.frees++;
		given.free_bytes += 72;
	}
}

static void go_on(const struct results *first, double seconds)
{
	static struct results again;
	struct itimerval period = {{0, PERIOD_US}, {0, PERIOD_US}}, off = {{0, 0}, {0, 0}};
	struct sigaction action = {.sa_handler = on_timer, .sa_flags = SA_RESTART};
	uint64_t end = wall_ns() + (uint64_t)(seconds * 1e9), rounds = 0;
	uint32_t random = 1;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &period, NULL);
	while (wall_ns() < end && rounds < ROUNDS_MAX) {
		try_all(&again);
		compare(first, &again);
		for (size_t i = 0; i < 500; i++)
			give(random_number(&random) % 24, 4);
		rounds++;
	}
	setitimer(ITIMER_REAL, &off, NULL);
	printf("rounds %" PRIu64 "\nsignals %" PRIu64 "\nerrno_changes %" PRIu64 "\n", rounds,
	       handled.allocs, errno_changes);
	given.frees += given_in_handler.frees;
	given.free_bytes += given_in_handler.free_bytes;
	printf("freed_in_handler %" PRIu64 "\n", given_in_handler.frees);
	print_site(&handled);
	print_site(&given);
}

int main(int argc, char **argv)
{
	static struct results first, in_thread, in_child;
	double seconds = number_argument(argc, argv, 1, 0);
	pthread_t thread;
	pid_t child;
	int status = 0;
	const char *error = dlerror();

	/* One buffer from the beginning, so that printing allocates nothing more. */
	setvbuf(stdout, NULL, _IOLBF, 65536);
	/* Nobody's before it is the program's own. */
	printf("dlerror %s\n", error ? error : "none");
	print_descriptors("first");
	try_all(&first);
	print_results("main", &first);
	if (pthread_create(&thread, NULL, try_all, &in_thread))
		return 1;
	pthread_join(thread, NULL);
	print_results("thread", &in_thread);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		is_counted = false;
		try_all(&in_child);
		print_results("child", &in_child);
		print_descriptors("in the child");
		fflush(stdout);
		_exit(7);
	}
	errno = 0;
	if (waitpid(child, &status, 0) != child)
		return 1;
	printf("child_status %d, errno %d\n", status, errno);
	if (seconds > 0)
		go_on(&first, seconds);
	print_descriptors("last");
	for (size_t i = 0; i < sizeof(family) / sizeof(*family); i++)
		print_site(&family[i]);
	return 0;
}
