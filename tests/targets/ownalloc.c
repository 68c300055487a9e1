/* A malloc family of the program's own: takes from one piece of memory and gives nothing back. What
 * it does is safe in a signal handler that interrupts it. */
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HEADER = 16 };
#define POOL_BYTES ((size_t)1 << 30)

static _Atomic uintptr_t next;

static char *take(size_t size, size_t alignment)
{
	uintptr_t at = atomic_load(&next), begin;

	if (size > POOL_BYTES)
		return NULL;
	if (!at) {
		void *pool = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		uintptr_t none = 0;

		if (pool == MAP_FAILED)
			return NULL;
		if (!atomic_compare_exchange_strong(&next, &none, (uintptr_t)pool))
			munmap(pool, POOL_BYTES);
		at = atomic_load(&next);
	}
	do {
		begin = (at + HEADER + alignment - 1) & -alignment;
	} while (!atomic_compare_exchange_weak(&next, &at, (begin + size + 15) & ~(uintptr_t)15));
	((size_t *)begin)[-1] = size;
	return (char *)begin;
}

void *malloc(size_t size)
{
	return take(size, 16);
}

void free(void *block)
{
	/* So that it is no single return, at which a probe would be dear. */
	if (block)
		((volatile size_t *)block)[-1] |= 0;
}

void *calloc(size_t count, size_t size)
{
	size_t bytes;

	/* Fresh memory is zero. */
	return __builtin_mul_overflow(count, size, &bytes) ? NULL : take(bytes, 16);
}

void *realloc(void *block, size_t size)
{
	char *other = take(size, 16);

	if (block && other) {
		size_t old = ((size_t *)block)[-1];

		memcpy(other, block, old < size ? old : size);
	}
	return other;
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return take(size, alignment < 16 ? 16 : alignment);
}

int posix_memalign(void **ret_block, size_t alignment, size_t size)
{
	*ret_block = aligned_alloc(alignment, size);
	return *ret_block ? 0 : ENOMEM;
}
