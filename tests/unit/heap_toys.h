/* The allocator of heap_rig.h; included by one file of a program. */
#ifndef RSPROF_TESTS_UNIT_HEAP_TOYS_H
#define RSPROF_TESTS_UNIT_HEAP_TOYS_H

#include "tests/unit/heap_rig.h"

TOY_ENTRY(toy_malloc, toy_malloc_body);
TOY_ENTRY(toy_calloc, toy_calloc_body);
TOY_ENTRY(toy_realloc, toy_realloc_body);
TOY_ENTRY(toy_reallocarray, toy_reallocarray_body);
TOY_ENTRY(toy_memalign, toy_memalign_body);
TOY_ENTRY(toy_jump, toy_malloc);
TOY_ENTRY(toy_within, toy_within_body);
TOY_ENTRY(toy_free, toy_free_body);
TOY_ENTRY(toy_mmap, toy_mmap_body);
TOY_ENTRY(toy_munmap, toy_munmap_body);
TOY_ENTRY(toy_sbrk, toy_sbrk_body);

void *toy_malloc_body(size_t size);
void *toy_calloc_body(size_t count, size_t size);
void *toy_realloc_body(void *old, size_t size);
void *toy_reallocarray_body(void *old, size_t count, size_t size);
int toy_memalign_body(void **out, size_t alignment, size_t size);
void *toy_within_body(size_t size);
void toy_free_body(void *block);
void *toy_mmap_body(void *address, size_t size, int protection, int flags, int fd, long offset);
int toy_munmap_body(void *address, size_t size);
void *toy_sbrk_body(intptr_t increment);

/* More than this and it fails. */
enum { TOY_SIZE_MAX = 1 << 28 };

/* Called by toy_malloc in the midst of its work. */
static void (*volatile toy_during)(void);

TOY void *toy_malloc_body(size_t size)
{
	if (toy_during)
		toy_during();
	return size > TOY_SIZE_MAX ? NULL : malloc(size ? size : 1);
}

/* As musl's: by a call of the function that is probed. */
TOY void *toy_calloc_body(size_t count, size_t size)
{
	size_t bytes;
	void *block;

	if (__builtin_mul_overflow(count, size, &bytes))
		return NULL;
	block = toy_malloc(bytes);
	if (block)
		memset(block, 0, bytes);
	return block;
}

TOY void *toy_realloc_body(void *old, size_t size)
{
	if (!old)
		return toy_malloc(size);
	if (!size) {
		toy_free(old);
		return NULL;
	}
	return size > TOY_SIZE_MAX ? NULL : realloc(old, size);
}

TOY void *toy_reallocarray_body(void *old, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		return NULL;
	return toy_realloc(old, bytes);
}

TOY int toy_memalign_body(void **out, size_t alignment, size_t size)
{
	return size > TOY_SIZE_MAX ? ENOMEM : posix_memalign(out, alignment, size);
}

TOY void *toy_within_body(size_t size)
{
	char *block = toy_malloc(size);

	if (block && size)
		*(volatile char *)block = 1;
	return block;
}

TOY void toy_free_body(void *block)
{
	free(block);
}

TOY void *toy_mmap_body(void *address, size_t size, int protection, int flags, int fd, long offset)
{
	return mmap(address, size, protection, flags, fd, offset);
}

TOY int toy_munmap_body(void *address, size_t size)
{
	return munmap(address, size);
}

/* Moves nothing: what is counted is what was asked for. */
TOY void *toy_sbrk_body(intptr_t increment)
{
	return (void *)increment;
}

const struct toy toys[] = {
	{toy_malloc, HEAP_CALL_ALLOC, 0, 0, true},
	{toy_calloc, HEAP_CALL_CALLOC, 1, 0, true},
	{toy_realloc, HEAP_CALL_REALLOC, 1, 0, true},
	{toy_reallocarray, HEAP_CALL_REALLOCARRAY, 2, 0, true},
	{toy_memalign, HEAP_CALL_POSIX_MEMALIGN, 2, 0, true},
	{toy_jump, HEAP_CALL_ALLOC, 0, 0, true},
	{toy_within, HEAP_CALL_ALLOC, 0, 0, true},
	{toy_free, HEAP_CALL_FREE, 0, 0, false},
	{toy_mmap, HEAP_CALL_MMAP, 1, 0, false},
	{toy_munmap, HEAP_CALL_MUNMAP, 1, 0, false},
	{toy_sbrk, HEAP_CALL_SBRK, 0, 0, false},
};
const size_t toy_count = sizeof(toys) / sizeof(*toys);

#endif
