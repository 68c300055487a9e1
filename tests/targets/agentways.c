/* agentways WAY [ARGUMENT…] [now]: allocates in ways that an agent inside the process has to see, and prints
 * what it did at each site.
 *
 *   threads N ROUNDS   N threads beside each other; each frees half of its blocks and half of another's
 *   short N EACH       N threads, some at a time, each allocates EACH times and is gone
 *   alive N            N threads that are all there at once
 *   gone N EACH        as short, but the threads end without libc's knowing, one after another
 *   crowd N EACH       N threads that are all there at once, and each allocates EACH times
 *   closed ROUNDS      after all descriptors from 3 on were closed; then a child does it, too
 *   children N         N children by fork, one after another, each does a little
 *   longjmp ROUNDS     leaves the functions that allocated by longjmp
 *   coroutine ROUNDS   on stacks of its own, some of them from malloc
 *   ends ROUNDS        in destructors of threads, constructors, handlers of exit and destructors
 *   vfork ROUNDS       children by vfork, posix_spawn and system beside it
 *   fork               the child says its own sites and waits, "child PID" tells whom to look at
 *   dlopen A B ROUNDS  libraries that come and go, one where the other was
 *   unload A B ROUNDS  the same, but only libc knows that they go
 *   peak ROUNDS        holds much, for a moment */
#include "tests/targets/heap_truth.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <setjmp.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>

enum { BLOCKS = 64, STACK_BYTES = 65536, AT_ONCE = 40, DESTRUCTIONS = 3 };

/* Sums of threads into the site that is printed. */
static pthread_mutex_t sum_lock = PTHREAD_MUTEX_INITIALIZER;

static void sum_up(struct site *to, const struct site *from)
{
	pthread_mutex_lock(&sum_lock);
	to->allocs += from->allocs;
	to->alloc_bytes += from->alloc_bytes;
	to->frees += from->frees;
	to->free_bytes += from->free_bytes;
	to->reallocs += from->reallocs;
	to->growth_bytes += from->growth_bytes;
	pthread_mutex_unlock(&sum_lock);
}

/* ---- threads */

static struct site plain = {"PLAIN"}, cleared = {"CLEARED"}, grown = {"GROWN"};

struct parcel {
	pthread_mutex_t lock;
	void *blocks[BLOCKS];
	size_t sizes[BLOCKS];
	bool is_full;
};

static struct parcel *parcels;
static unsigned thread_count;
static uint64_t round_count;

/* Takes what the other one has there, and frees it. */
APART static void free_parcel(struct parcel *parcel, struct site *site)
{
	pthread_mutex_lock(&parcel->lock);
	if (parcel->is_full) {
		for (size_t i = 0; i < BLOCKS; i += 2) {
			note_free(site, parcel->blocks[i], parcel->sizes[i]);
			free(parcel->blocks[i]);
		}
		parcel->is_full = false;
	}
	pthread_mutex_unlock(&parcel->lock);
}

APART static void *work_beside(void *argument)
{
	unsigned number = (unsigned)(uintptr_t)argument;
	struct parcel *mine = &parcels[number], *other = &parcels[(number + 1) % thread_count];
	struct site own_plain = {0}, own_cleared = {0}, own_grown = {0};

	for (uint64_t round = 0; round < round_count; round++) {
		void *blocks[BLOCKS];
		size_t sizes[BLOCKS];

		for (size_t i = 0; i < BLOCKS; i++) {
			sizes[i] = 1 + (i * 37 + round + number) % 700;
			blocks[i] = malloc(sizes[i]); // PLAIN
			note_alloc(&own_plain, blocks[i], sizes[i]);
		}
		pthread_mutex_lock(&mine->lock);
		for (size_t i = 0; i < BLOCKS; i++) {
			/* The other half, or all of it while nobody has taken the last parcel. */
			if (i % 2 || mine->is_full) {
				note_free(&own_plain, blocks[i], sizes[i]);
				free(blocks[i]);
			} else {
				mine->blocks[i] = blocks[i];
				mine->sizes[i] = sizes[i];
			}
		}
		mine->is_full = true;
		pthread_mutex_unlock(&mine->lock);
		free_parcel(other, &own_plain);

		void *block = calloc(3, 100 + number); // CLEARED
		size_t size = 3 * (100 + number);

		note_alloc(&own_cleared, block, size);
		if (round % 2) {
			void *larger = realloc(block, size + 5000); // GROWN

			ESCAPE(larger);
			note_realloc(&own_cleared, size, &own_grown, larger, size + 5000);
			if (round % 4 == 1) {
				note_free(&own_grown, larger, size + 5000);
				free(larger);
			}
		}
	}
	sum_up(&plain, &own_plain);
	sum_up(&cleared, &own_cleared);
	sum_up(&grown, &own_grown);
	return NULL;
}

static void way_threads(void)
{
	pthread_t threads[1024];

	if (thread_count > 1024)
		exit(1);
	parcels = calloc(thread_count, sizeof(*parcels));
	for (unsigned i = 0; i < thread_count; i++)
		pthread_mutex_init(&parcels[i].lock, NULL);
	for (unsigned i = 0; i < thread_count; i++) {
		if (pthread_create(&threads[i], NULL, work_beside, (void *)(uintptr_t)i))
			exit(1);
	}
	for (unsigned i = 0; i < thread_count; i++)
		pthread_join(threads[i], NULL);
	print_site(&plain);
	print_site(&cleared);
	print_site(&grown);
}

static struct site brief = {"BRIEF"};

/* The last block stays. */
APART static void *work_briefly(void *unused)
{
	struct site own = {0};

	(void)unused;
	for (uint64_t i = 0; i < round_count; i++) {
		void *block = malloc(8 + i); // BRIEF

		ESCAPE(block);
		note_alloc(&own, block, 8 + i);
		if (i + 1 < round_count) {
			note_free(&own, block, 8 + i);
			free(block);
		}
	}
	sum_up(&brief, &own);
	return NULL;
}

static void way_short(void)
{
	pthread_t threads[AT_ONCE];

	for (unsigned done = 0; done < thread_count;) {
		unsigned now = thread_count - done < AT_ONCE ? thread_count - done : AT_ONCE;

		for (unsigned i = 0; i < now; i++) {
			if (pthread_create(&threads[i], NULL, work_briefly, NULL))
				exit(1);
		}
		for (unsigned i = 0; i < now; i++)
			pthread_join(threads[i], NULL);
		done += now;
	}
	print_site(&brief);
}

APART static void *work_and_go(void *unused)
{
	work_briefly(unused);
	syscall(SYS_exit, 0);
	return NULL;
}

static void way_gone(void)
{
	for (unsigned i = 0; i < thread_count; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, work_and_go, NULL))
			exit(1);
		pthread_join(thread, NULL);
	}
	print_site(&brief);
}

static pthread_barrier_t crowd_there;

APART static void *work_in_crowd(void *unused)
{
	pthread_barrier_wait(&crowd_there);
	work_briefly(unused);
	pthread_barrier_wait(&crowd_there);
	return NULL;
}

static void way_crowd(void)
{
	pthread_t *threads = calloc(thread_count, sizeof(*threads));

	pthread_barrier_init(&crowd_there, NULL, thread_count);
	for (unsigned i = 0; i < thread_count; i++) {
		if (pthread_create(&threads[i], NULL, work_in_crowd, NULL))
			exit(1);
	}
	for (unsigned i = 0; i < thread_count; i++)
		pthread_join(threads[i], NULL);
	print_site(&brief);
}

/* ---- what a program does with descriptors and children */

static unsigned count_descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static int status_of(pid_t child)
{
	int status = -1;

	return child > 0 && waitpid(child, &status, 0) == child ? status : -1;
}

static void way_closed(void)
{
	pid_t child;

	for (int fd = 3; fd < 1024; fd++)
		close(fd);
	work_briefly(NULL);
	printf("descriptors %u\n", count_descriptors());
	/* Its own are 3 and what follows, whatever else there is. */
	printf("next %d\n", open("/dev/null", O_RDONLY));
	fflush(stdout);
	child = fork();
	if (child == 0) {
		work_briefly(NULL);
		_exit(open("/dev/null", O_RDONLY));
	}
	printf("child_status %d\n", status_of(child));
	print_site(&brief);
}

static void way_children(void)
{
	unsigned count = thread_count, well = 0, before = count_descriptors();

	round_count = 20;
	for (unsigned i = 0; i < count; i++) {
		pid_t child;

		work_briefly(NULL);
		child = fork();
		if (child == 0) {
			work_briefly(NULL);
			_exit(count_descriptors() == before ? 7 : 8);
		}
		well += status_of(child) == 7 << 8;
	}
	printf("well %u\nmore_descriptors %u\n", well, count_descriptors() - before);
	print_site(&brief);
}

static struct site living = {"LIVING"};
static pthread_barrier_t all_there;

APART static void *live(void *unused)
{
	struct site own = {0};
	void *blocks[6];

	(void)unused;
	for (size_t i = 0; i < 6; i++) {
		blocks[i] = malloc(100 + i); // LIVING
		note_alloc(&own, blocks[i], 100 + i);
	}
	pthread_barrier_wait(&all_there);
	for (size_t i = 0; i < 5; i++) {
		note_free(&own, blocks[i], 100 + i);
		free(blocks[i]);
	}
	sum_up(&living, &own);
	return NULL;
}

static void way_alive(void)
{
	pthread_t *threads = calloc(thread_count, sizeof(*threads));
	pthread_attr_t attributes;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	pthread_barrier_init(&all_there, NULL, thread_count);
	for (unsigned i = 0; i < thread_count; i++) {
		if (pthread_create(&threads[i], &attributes, live, NULL)) {
			printf("threads %u\n", i);
			fflush(stdout);
			_exit(3);
		}
	}
	for (unsigned i = 0; i < thread_count; i++)
		pthread_join(threads[i], NULL);
	printf("threads %u\n", thread_count);
	print_site(&living);
}

/* ---- ways out and other stacks */

static struct site jumped = {"JUMPED"}, landed = {"LANDED"};
static jmp_buf landing;
static volatile bool is_jumping = true;

APART static void jump_from(unsigned depth)
{
	if (depth) {
		jump_from(depth - 1);
		return;
	}
	void *block = malloc(77); // JUMPED

	ESCAPE(block);
	note_alloc(&jumped, block, 77);
	if (is_jumping)
		longjmp(landing, 1);
}

static void way_longjmp(void)
{
	for (volatile uint64_t i = 0; i < round_count; i++) {
		if (setjmp(landing) == 0)
			jump_from((unsigned)(i % 20));
		void *block = malloc(33); // LANDED

		ESCAPE(block);
		note_alloc(&landed, block, 33);
		if (i % 2) {
			note_free(&landed, block, 33);
			free(block);
		}
	}
	print_site(&jumped);
	print_site(&landed);
}

static struct site coroutine = {"COROUTINE"}, stacks = {"STACKS"};
static ucontext_t main_context, contexts[4];

APART static void coroutine_allocates(unsigned number, unsigned depth)
{
	if (depth) {
		coroutine_allocates(number, depth - 1);
		__asm__ volatile("");
		return;
	}
	void *block = malloc(40 + number); // COROUTINE

	ESCAPE(block);
	note_alloc(&coroutine, block, 40 + number);
	swapcontext(&contexts[number], &main_context);
	note_free(&coroutine, block, 40 + number);
	free(block);
}

static void coroutine_main(int number)
{
	for (;;) {
		coroutine_allocates((unsigned)number, (unsigned)number * 5);
		swapcontext(&contexts[number], &main_context);
	}
}

static void way_coroutine(void)
{
	for (int i = 0; i < 4; i++) {
		void *stack;

		if (i % 2) {
			stack = malloc(STACK_BYTES); // STACKS
			note_alloc(&stacks, stack, STACK_BYTES);
		} else {
			stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		}
		getcontext(&contexts[i]);
		contexts[i].uc_stack.ss_sp = stack;
		contexts[i].uc_stack.ss_size = STACK_BYTES;
		makecontext(&contexts[i], (void (*)(void))coroutine_main, 1, i);
	}
	/* One more time in each: half of the last blocks stay. */
	for (uint64_t round = 0; round < round_count; round++) {
		for (int i = 0; i < 4; i++)
			swapcontext(&main_context, &contexts[i]);
	}
	swapcontext(&main_context, &contexts[1]);
	print_site(&coroutine);
	print_site(&stacks);
}

/* ---- beginnings and ends */

static struct site constructed = {"CONSTRUCTED"}, in_key = {"IN_KEY"}, at_exit = {"AT_EXIT"},
		   destructed = {"DESTRUCTED"};
static pthread_key_t key;
static bool is_ends;

__attribute__((constructor)) APART static void construct(void)
{
	for (size_t i = 0; i < 10; i++) {
		void *block = malloc(60 + i); // CONSTRUCTED

		ESCAPE(block);
		note_alloc(&constructed, block, 60 + i);
		if (i % 2) {
			note_free(&constructed, block, 60 + i);
			free(block);
		}
	}
}

APART static void end_key(void *value)
{
	uintptr_t round = (uintptr_t)value;
	struct site own = {0};

	for (size_t i = 0; i < 4; i++) {
		void *block = malloc(30 + i); // IN_KEY

		ESCAPE(block);
		note_alloc(&own, block, 30 + i);
		if (i) {
			note_free(&own, block, 30 + i);
			free(block);
		}
	}
	sum_up(&in_key, &own);
	/* Comes again after the destructors of all other keys, the agent's as well. */
	if (round < DESTRUCTIONS)
		pthread_setspecific(key, (void *)(round + 1));
}

static void *thread_with_key(void *unused)
{
	(void)unused;
	pthread_setspecific(key, (void *)1);
	return NULL;
}

APART static void say_at_exit(void)
{
	void *block = malloc(222); // AT_EXIT

	ESCAPE(block);
	note_alloc(&at_exit, block, 222);
	block = malloc(222); // AT_EXIT_TOO
	ESCAPE(block);
	free(block);
	print_site(&at_exit);
}

__attribute__((destructor)) APART static void destruct(void)
{
	if (!is_ends)
		return;
	for (size_t i = 0; i < 5; i++) {
		void *block = malloc(90); // DESTRUCTED

		ESCAPE(block);
		note_alloc(&destructed, block, 90);
	}
	print_site(&destructed);
	fflush(stdout);
}

static void way_ends(void)
{
	is_ends = true;
	atexit(say_at_exit);
	pthread_key_create(&key, end_key);
	for (uint64_t i = 0; i < round_count; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, thread_with_key, NULL))
			exit(1);
		pthread_join(thread, NULL);
	}
	print_site(&constructed);
	print_site(&in_key);
}

/* ---- children */

static struct site between = {"BETWEEN"}, inherited = {"INHERITED"}, born = {"BORN"};

static void way_vfork(void)
{
	extern char **environ;
	char *command[] = {"/bin/true", NULL};

	for (volatile uint64_t i = 0; i < round_count; i++) {
		void *block = malloc(123); // BETWEEN
		int status;
		pid_t child;

		ESCAPE(block);
		note_alloc(&between, block, 123);
		if (i % 3 == 0) {
			child = vfork();
			if (child == 0) {
				execv(command[0], command);
				_exit(1);
			}
		} else if (i % 3 == 1) {
			child = vfork();
			if (child == 0)
				_exit(0);
		} else if (posix_spawn(&child, command[0], NULL, NULL, command, environ)) {
			exit(1);
		}
		if (waitpid(child, &status, 0) != child || status)
			printf("child_status %d\n", status);
		if (i % 2) {
			note_free(&between, block, 123);
			free(block);
		}
	}
	if (system("exit 0"))
		printf("child_status 1\n");
	print_site(&between);
}

/* The child's lines go to a file, beside which it waits to be looked at. */
static void way_fork(const char *path)
{
	void *blocks[BLOCKS];
	pid_t child;
	int status;

	for (size_t i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(200 + i); // INHERITED
		note_alloc(&inherited, blocks[i], 200 + i);
	}
	child = fork();
	if (child == 0) {
		int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		if (fd < 0 || dup2(fd, 1) < 0)
			_exit(1);
		inherited = (struct site){"INHERITED"};
		for (size_t i = 0; i < BLOCKS; i += 2) {
			note_free(&inherited, blocks[i], 200 + i);
			free(blocks[i]);
		}
		for (size_t i = 0; i < BLOCKS; i++) {
			void *block = malloc(10 + i); // BORN

			ESCAPE(block);
			note_alloc(&born, block, 10 + i);
			if (i % 4 == 0) {
				note_free(&born, block, 10 + i);
				free(block);
			}
		}
		print_site(&inherited);
		print_site(&born);
		linger();
		fflush(stdout);
		_exit(0);
	}
	for (size_t i = 0; i < BLOCKS; i += 4) {
		note_free(&inherited, blocks[i], 200 + i);
		free(blocks[i]);
	}
	printf("child %d\n", (int)child);
	fflush(stdout);
	waitpid(child, &status, 0);
	printf("child_status %d\n", status);
	print_site(&inherited);
}

/* ---- libraries */

struct plug_site {
	uint64_t allocs, alloc_bytes;
};

/* As when libc unloads one by itself: past whoever has put himself before dlclose. */
static int (*past(void))(void *)
{
	void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
	int (*close_library)(void *) = NULL;

	if (libc)
		*(void **)&close_library = dlsym(libc, "dlclose");
	if (!close_library)
		exit(1);
	return close_library;
}

static void way_dlopen(const char *const *paths, int (*close_library)(void *))
{
	struct site plugged[2] = {{"PLUG_A"}, {"PLUG_B"}};
	uintptr_t last = 0;
	uint64_t reused = 0;

	for (uint64_t round = 0; round < 2 * round_count; round++) {
		void *library = dlopen(paths[round % 2], RTLD_NOW | RTLD_LOCAL);
		struct site *site = &plugged[round % 2];
		void *(*allocate)(size_t);
		size_t size = 100 + round;

		if (!library) {
			printf("dlopen %s\n", dlerror());
			exit(1);
		}
		*(void **)&allocate = dlsym(library, "plug_allocate");
		reused += (uintptr_t)allocate == last;
		last = (uintptr_t)allocate;
		for (size_t i = 0; i < 10; i++) {
			void *block = allocate(size);

			note_alloc(site, block, size);
			if (i) {
				note_free(site, block, size);
				free(block);
			}
		}
		close_library(library);
	}
	printf("reused %" PRIu64 "\n", reused);
	print_site(&plugged[0]);
	print_site(&plugged[1]);
}

/* ---- a peak between two looks */

static struct site high = {"HIGH"};

APART static void rise(size_t count)
{
	void **blocks = mmap(NULL, count * sizeof(*blocks), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (size_t i = 0; i < count; i++) {
		blocks[i] = malloc(1000 + i % 7); // HIGH
		note_alloc(&high, blocks[i], 1000 + i % 7);
	}
	printf("HIGH.peak_bytes %" PRIu64 "\n", high.alloc_bytes - high.free_bytes);
	for (size_t i = 0; i < count; i++) {
		note_free(&high, blocks[i], 1000 + i % 7);
		free(blocks[i]);
	}
}

static void way_peak(void)
{
	rise(round_count);
	print_site(&high);
}

int main(int argc, char **argv)
{
	const char *way = argc > 1 ? argv[1] : "";
	bool is_now = is_told_now(argc, argv);

	block_signals();
	if (!is_now)
		wait_for_go();
	thread_count = (unsigned)number_argument(argc, argv, 2, 10);
	round_count = (uint64_t)number_argument(argc, argv, 2, 10);
	if (strcmp(way, "threads") == 0 || strcmp(way, "short") == 0 || strcmp(way, "gone") == 0 ||
	    strcmp(way, "crowd") == 0)
		round_count = (uint64_t)number_argument(argc, argv, 3, 10);
	if (strcmp(way, "threads") == 0)
		way_threads();
	else if (strcmp(way, "short") == 0)
		way_short();
	else if (strcmp(way, "alive") == 0)
		way_alive();
	else if (strcmp(way, "longjmp") == 0)
		way_longjmp();
	else if (strcmp(way, "coroutine") == 0)
		way_coroutine();
	else if (strcmp(way, "ends") == 0)
		way_ends();
	else if (strcmp(way, "vfork") == 0)
		way_vfork();
	else if (strcmp(way, "fork") == 0 && argc > 2)
		way_fork(argv[2]);
	else if (strcmp(way, "peak") == 0)
		way_peak();
	else if (strcmp(way, "gone") == 0)
		way_gone();
	else if (strcmp(way, "crowd") == 0)
		way_crowd();
	else if (strcmp(way, "closed") == 0)
		way_closed();
	else if (strcmp(way, "children") == 0)
		way_children();
	else if ((strcmp(way, "dlopen") == 0 || strcmp(way, "unload") == 0) && argc > 4) {
		round_count = (uint64_t)number_argument(argc, argv, 4, 10);
		way_dlopen((const char *const *)argv + 2, *way == 'd' ? dlclose : past());
	} else {
		fprintf(stderr, "agentways: which way?\n");
		return 2;
	}
	if (!is_now)
		linger();
	return 0;
}
