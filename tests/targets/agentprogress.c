/* agentprogress FILE THREADS: allocates, grows and frees until it is killed, and writes into FILE before and
 * after each call what it has done, so that FILE tells to the last one.
 * agentprogress FILE: prints that: "begun KEY VALUE", "done KEY VALUE", sums of all threads. */
#include "tests/targets/heap_truth.h"

#include <fcntl.h>
#include <sys/mman.h>

enum { THREADS = 16, BLOCKS = 500, KEYS = 4 };
enum { ALLOCS, ALLOC_BYTES, FREES, FREE_BYTES };

struct progress {
	_Atomic uint64_t begun[KEYS], done[KEYS];
	uint64_t room[8];
};

static struct progress *progress;

static void note(_Atomic uint64_t *sums, int calls, uint64_t size)
{
	sums[calls]++;
	sums[calls + 1] += size;
}

APART static void *work(void *argument)
{
	struct progress *mine = argument;
	void *blocks[BLOCKS] = {0};
	size_t sizes[BLOCKS] = {0};

	for (uint64_t i = 0;; i++) {
		size_t at = i * 7 % BLOCKS, size = 1 + i * 31 % 900;

		if (!blocks[at]) {
			note(mine->begun, ALLOCS, size);
			blocks[at] = malloc(size); // STARTED
			note(mine->done, ALLOCS, size);
			sizes[at] = size;
		} else if (i % 3) {
			note(mine->begun, FREES, sizes[at]);
			free(blocks[at]);
			note(mine->done, FREES, sizes[at]);
			blocks[at] = NULL;
		} else {
			size_t old = sizes[at];

			note(mine->begun, FREES, old);
			note(mine->begun, ALLOCS, size);
			blocks[at] = realloc(blocks[at], size); // CHANGED
			note(mine->done, FREES, old);
			note(mine->done, ALLOCS, size);
			sizes[at] = size;
		}
		ESCAPE(blocks[at]);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static const char *const keys[KEYS] = {"total_allocs", "total_alloc_bytes", "total_frees",
					       "total_free_bytes"};
	unsigned threads = (unsigned)number_argument(argc, argv, 2, 0);
	int fd = argc > 1 ? open(argv[1], O_RDWR | O_CREAT, 0600) : -1;

	if (fd < 0 || threads > THREADS || ftruncate(fd, sizeof(*progress) * THREADS))
		return 2;
	progress = mmap(NULL, sizeof(*progress) * THREADS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (progress == MAP_FAILED)
		return 2;
	if (!threads) {
		for (int key = 0; key < KEYS; key++) {
			uint64_t begun = 0, done = 0;

			for (int i = 0; i < THREADS; i++) {
				begun += progress[i].begun[key];
				done += progress[i].done[key];
			}
			printf("begun %s %" PRIu64 "\ndone %s %" PRIu64 "\n", keys[key], begun, keys[key],
			       done);
		}
		return 0;
	}
	alarm(GO_SECONDS);
	for (unsigned i = 0; i < threads; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, work, &progress[i]))
			return 1;
	}
	if (write(1, "\n", 1) != 1)
		return 1;
	for (;;)
		pause();
}
