/* malloc and its family as the process calls them. The real call is made with nothing held; what is
 * counted is counted after it, but a block that goes is forgotten before, since another thread may
 * have its address at once. errno stays as the real function left it: no hook calls anything that
 * sets it. */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#include "agent/heap.h"
#include "agent/hooks.h"
#include "agent/modules.h"
#include "agent/real.h"

/* See heap_is_counted(). */
#define HOOKS __attribute__((section("rsprof_hooks")))
/* What a dormant agent costs is little more than the lines that the code lies in. */
#define LINE __attribute__((aligned(64)))
#define HOOK ((uintptr_t)__builtin_frame_address(0))
#define COUNT(block, size, function)                                                               \
	do {                                                                                       \
		if (AGENT_LIKELY((block) != NULL))                                                 \
			heap_allocated(block, size, (uintptr_t)(function), HOOK);                  \
	} while (0)

AGENT_EXPORT void cfree(void *block);

/* Apart, so that an agent that is off costs two tests and a jump. The caller is the same. */
HOOKS static __attribute__((noinline)) void *count_malloc(size_t size)
{
	void *block = real.malloc(size);

	COUNT(block, size, real.malloc);
	return block;
}

HOOKS LINE AGENT_EXPORT void *malloc(size_t size)
{
	if (AGENT_UNLIKELY(heap_is_idle()))
		return real.malloc(size);
	return count_malloc(size);
}

HOOKS static __attribute__((noinline)) void *count_calloc(size_t count, size_t size)
{
	void *block = real.calloc(count, size);

	/* No overflow: there is a block. */
	COUNT(block, count * size, real.calloc);
	/* A library comes, perhaps where another one was. */
	if (AGENT_UNLIKELY(modules_is_linker((uintptr_t)__builtin_return_address(0))))
		modules_look();
	return block;
}

HOOKS AGENT_EXPORT void *calloc(size_t count, size_t size)
{
	if (AGENT_UNLIKELY(heap_is_idle()))
		return real.calloc(count, size);
	return count_calloc(count, size);
}

LINE AGENT_EXPORT void free(void *block)
{
	if (AGENT_UNLIKELY(!block || boot_has(block)))
		return;
	if (AGENT_LIKELY(heap_has_frees()))
		heap_count_and_free(block);
	else
		real.free(block);
}

AGENT_EXPORT void cfree(void *block)
{
	free(block);
}

static inline __attribute__((always_inline)) void *reallocate(void *old_block, size_t size,
							      uintptr_t leaf, uintptr_t hook)
{
	struct heap_old old;
	void *block;

	if (!old_block || boot_has(old_block)) {
		block = old_block ? boot_realloc(old_block, size) : real.realloc(NULL, size);
		if (block)
			heap_allocated(block, size, leaf, hook);
		return block;
	}
	heap_reallocating((uintptr_t)old_block, &old);
	block = real.realloc(old_block, size);
	/* For no bytes it may free, and give nothing. */
	if (block || size == 0)
		heap_reallocated(&old, (uintptr_t)old_block, (uintptr_t)block, size, leaf, hook);
	else
		heap_not_reallocated(&old, (uintptr_t)old_block);
	return block;
}

HOOKS AGENT_EXPORT void *realloc(void *old_block, size_t size)
{
	return reallocate(old_block, size, (uintptr_t)real.realloc, HOOK);
}

/* The C library's calls realloc by its hooked name; here it is one call. */
HOOKS AGENT_EXPORT void *reallocarray(void *old_block, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return reallocate(old_block, bytes, (uintptr_t)real.reallocarray, HOOK);
}

HOOKS AGENT_EXPORT int posix_memalign(void **ret_block, size_t align, size_t size)
{
	int error = real.posix_memalign(ret_block, align, size);

	if (!error)
		COUNT(*ret_block, size, real.posix_memalign);
	return error;
}

HOOKS AGENT_EXPORT void *aligned_alloc(size_t align, size_t size)
{
	void *block = real.aligned_alloc(align, size);

	COUNT(block, size, real.aligned_alloc);
	return block;
}

HOOKS AGENT_EXPORT void *memalign(size_t align, size_t size)
{
	void *block = real.memalign(align, size);

	COUNT(block, size, real.memalign);
	return block;
}

HOOKS AGENT_EXPORT void *valloc(size_t size)
{
	void *block = real.valloc(size);

	COUNT(block, size, real.valloc);
	return block;
}

HOOKS AGENT_EXPORT void *pvalloc(size_t size)
{
	void *block = real.pvalloc(size);

	COUNT(block, size, real.pvalloc);
	return block;
}

/* What was known of the code there is known no more. */
AGENT_EXPORT int dlclose(void *handle)
{
	static int (*_Atomic real_dlclose)(void *);
	int (*next)(void *) = atomic_load_explicit(&real_dlclose, memory_order_relaxed);
	int result, saved;

	if (!next) {
		agent_thread.internal_depth++;
		next = (int (*)(void *))dlsym(RTLD_NEXT, "dlclose");
		agent_thread.internal_depth--;
		if (!next)
			return -1;
		atomic_store_explicit(&real_dlclose, next, memory_order_relaxed);
	}
	result = next(handle);
	saved = errno;
	if (atomic_load_explicit(&agent_state.phase, memory_order_acquire) == AGENT_READY)
		unwind_modules_changed();
	errno = saved;
	return result;
}

/* The public names may lead elsewhere. */
#define OURS(name)                                                                                 \
	extern __typeof__(name) hook_##name                                                        \
		__attribute__((alias(#name), visibility("hidden"), nothrow, leaf, copy(name)))
OURS(malloc);
OURS(calloc);
OURS(realloc);
OURS(reallocarray);
OURS(free);
OURS(cfree);
OURS(posix_memalign);
OURS(aligned_alloc);
OURS(memalign);
OURS(valloc);
OURS(pvalloc);

#define ROW(name, function)                                                                        \
	{                                                                                          \
#name, (void *)hook_##name, (void *const *)&real.function                          \
	}
const struct agent_hook agent_hooks[AGENT_HOOKS] = {
	ROW(malloc, malloc),
	ROW(calloc, calloc),
	ROW(realloc, realloc),
	ROW(reallocarray, reallocarray),
	ROW(free, free),
	ROW(cfree, free),
	ROW(posix_memalign, posix_memalign),
	ROW(aligned_alloc, aligned_alloc),
	ROW(memalign, memalign),
	ROW(valloc, valloc),
	ROW(pvalloc, pvalloc),
};
