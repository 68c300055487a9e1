/* Preloaded behind an agent: counts what glibc's malloc was asked for and gave, in the file AGENTCOUNT, for a
 * test that compares: four numbers of 8 bytes, allocations, their bytes, frees and reallocs. A realloc counts as
 * heap_truth.h says. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *block);

struct sums {
	_Atomic uint64_t allocs, bytes, frees, reallocs;
};

static struct sums early, *_Atomic sums = &early;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("AGENTCOUNT");
	int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
	struct sums *shared;

	if (fd < 0)
		return;
	if (ftruncate(fd, sizeof(early)))
		_exit(99);
	shared = mmap(NULL, sizeof(early), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (shared == MAP_FAILED)
		_exit(99);
	/* Before any other thread. */
	shared->allocs += early.allocs;
	shared->bytes += early.bytes;
	shared->frees += early.frees;
	shared->reallocs += early.reallocs;
	sums = shared;
}

static void *given(void *block, size_t size)
{
	if (block) {
		sums->allocs++;
		sums->bytes += size;
	}
	return block;
}

void *malloc(size_t size)
{
	return given(__libc_malloc(size), size);
}

void *calloc(size_t count, size_t size)
{
	return given(__libc_calloc(count, size), count * size);
}

void *realloc(void *block, size_t size)
{
	void *other = __libc_realloc(block, size);

	if (block && (other || !size))
		sums->frees++;
	if (block && other)
		sums->reallocs++;
	return given(other, size);
}

void *memalign(size_t alignment, size_t size)
{
	return given(__libc_memalign(alignment, size), size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

int posix_memalign(void **ret_block, size_t alignment, size_t size)
{
	void *block = memalign(alignment, size);

	if (!block)
		return ENOMEM;
	*ret_block = block;
	return 0;
}

void free(void *block)
{
	if (block)
		sums->frees++;
	__libc_free(block);
}
