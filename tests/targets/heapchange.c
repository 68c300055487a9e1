/* heapchange fork|exec|dlopen [LIBRARY]: allocates, changes, and allocates again.
 *   fork    the child checks its blocks, allocates, and says by its status whether all was well
 *   exec    becomes the same program once more, which allocates at a line of its own
 *   dlopen  LIBRARY has another allocator, which is used beside libc's */
#include "tests/targets/heap_truth.h"

#include <dlfcn.h>
#include <sys/wait.h>

enum { BLOCKS = 2000, SIZE = 100 };

static struct site before = {"BEFORE"}, after = {"AFTER"}, other = {"OTHER"};
static void *blocks[BLOCKS];

APART static void allocate_before(void)
{
	for (size_t i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(SIZE); // BEFORE
		memset(blocks[i], (int)i, SIZE);
		note_alloc(&before, blocks[i], SIZE);
	}
}

APART static void allocate_after(void)
{
	for (size_t i = 0; i < BLOCKS; i++) {
		void *block = malloc(2 * SIZE); // AFTER

		ESCAPE(block);
		note_alloc(&after, block, 2 * SIZE);
	}
}

APART static void free_half(void)
{
	for (size_t i = 0; i < BLOCKS; i += 2) {
		note_free(&before, blocks[i], SIZE);
		free(blocks[i]);
	}
}

/* In the child: as many calls as would show where they were counted. */
APART static int use_heap(void)
{
	for (size_t i = 0; i < BLOCKS; i++) {
		unsigned char *block = blocks[i];

		if (block[0] != (unsigned char)i || block[SIZE - 1] != (unsigned char)i)
			return 2;
		blocks[i] = realloc(block, 3 * SIZE);
		if (*(unsigned char *)blocks[i] != (unsigned char)i)
			return 3;
		free(blocks[i]);
		blocks[i] = malloc(SIZE); // CHILD
	}
	return 0;
}

static void change_by_fork(void)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(use_heap());
	waitpid(child, &status, 0);
	printf("child_status %d\n", status);
}

static void change_by_dlopen(const char *path)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	void *(*allocate)(size_t);
	void (*release)(void *);

	if (!library) {
		printf("dlopen %s\n", dlerror());
		exit(1);
	}
	*(void **)&allocate = dlsym(library, "malloc");
	*(void **)&release = dlsym(library, "free");
	if (!allocate || !release)
		exit(1);
	/* Told, so that a profiler may look. */
	printf("opened\n");
	fflush(stdout);
	wait_for_signals(SIGUSR1, SIGTERM, GO_SECONDS);
	for (size_t i = 0; i < BLOCKS; i++) {
		void *block = allocate(SIZE); // OTHER

		ESCAPE(block);
		note_alloc(&other, block, SIZE);
		if (i % 4 == 0) {
			note_free(&other, block, SIZE);
			release(block);
		}
	}
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "fork";

	block_signals();
	if (strcmp(how, "again") == 0) {
		/* Told, so that a profiler may look. */
		printf("again\n");
		fflush(stdout);
		wait_for_signals(SIGUSR1, SIGTERM, GO_SECONDS);
		allocate_after();
		print_site(&after);
		linger();
		return 0;
	}
	wait_for_go();
	allocate_before();
	if (strcmp(how, "fork") == 0) {
		change_by_fork();
	} else if (strcmp(how, "exec") == 0) {
		print_site(&before);
		fflush(stdout);
		execl("/proc/self/exe", argv[0], "again", (char *)NULL);
		return 1;
	} else if (argc > 2) {
		change_by_dlopen(argv[2]);
	}
	free_half();
	allocate_after();
	print_site(&before);
	print_site(&after);
	print_site(&other);
	linger();
	return 0;
}
