#include <dlfcn.h>
#include <errno.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "agent/api.h"
#include "agent/hooks.h"
#include "agent/real.h"

enum { BOOT_ALIGN = 16, PAGE = 4096 };

char boot_memory[BOOT_BYTES] __attribute__((aligned(4096)));
static _Atomic size_t boot_used;

/* ---- the boot arena: each block has its size in the 16 bytes before it */

static void *boot_aligned(size_t align, size_t size)
{
	size_t used = atomic_load_explicit(&boot_used, memory_order_relaxed), start;

	do {
		start = (used + BOOT_ALIGN + align - 1) & ~(align - 1);
		if (align > PAGE || size > BOOT_BYTES || start > BOOT_BYTES - size)
			return NULL;
	} while (!atomic_compare_exchange_weak_explicit(
		&boot_used, &used, start + size, memory_order_relaxed, memory_order_relaxed));
	memcpy(boot_memory + start - sizeof(size), &size, sizeof(size));
	return boot_memory + start;
}

static size_t boot_size(const void *block)
{
	size_t size;

	memcpy(&size, (const char *)block - sizeof(size), sizeof(size));
	return size;
}

void *boot_realloc(void *block, size_t size)
{
	size_t old = boot_size(block);
	void *moved;

	if (size == 0)
		return NULL;
	moved = real.malloc(size);
	if (moved)
		memcpy(moved, block, old < size ? old : size);
	return moved;
}

/* ---- until the real functions are found */

static bool is_found;

/* false: this thread is at finding them. */
static bool find(void)
{
	if (agent_thread.internal_depth == 0)
		real_begin();
	return is_found;
}

static void *no_memory(void)
{
	errno = ENOMEM;
	return NULL;
}

static void *first_malloc(size_t size)
{
	return find() ? real.malloc(size) : boot_aligned(BOOT_ALIGN, size);
}

static void *first_calloc(size_t count, size_t size)
{
	size_t bytes;

	if (find())
		return real.calloc(count, size);
	if (__builtin_mul_overflow(count, size, &bytes))
		return no_memory();
	return boot_aligned(BOOT_ALIGN, bytes);
}

static void *first_realloc(void *block, size_t size)
{
	void *moved;

	if (find())
		return real.realloc(block, size);
	moved = boot_aligned(BOOT_ALIGN, size);
	if (moved && block && boot_has(block))
		memcpy(moved, block, boot_size(block) < size ? boot_size(block) : size);
	return moved;
}

static void *first_reallocarray(void *block, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		return no_memory();
	return first_realloc(block, bytes);
}

static void first_free(void *block)
{
	if (find())
		real.free(block);
}

static void *first_memalign(size_t align, size_t size)
{
	return find() ? real.memalign(align, size) : boot_aligned(align, size);
}

static void *first_aligned_alloc(size_t align, size_t size)
{
	return find() ? real.aligned_alloc(align, size) : boot_aligned(align, size);
}

static int first_posix_memalign(void **ret_block, size_t align, size_t size)
{
	void *block;

	if (find())
		return real.posix_memalign(ret_block, align, size);
	block = boot_aligned(align, size);
	if (!block)
		return ENOMEM;
	*ret_block = block;
	return 0;
}

static void *first_valloc(size_t size)
{
	return find() ? real.valloc(size) : boot_aligned(PAGE, size);
}

static void *first_pvalloc(size_t size)
{
	return find() ? real.pvalloc(size) : boot_aligned(PAGE, (size + PAGE - 1) & -PAGE);
}

struct real_functions real = {
	.malloc = first_malloc,
	.calloc = first_calloc,
	.realloc = first_realloc,
	.reallocarray = first_reallocarray,
	.free = first_free,
	.posix_memalign = first_posix_memalign,
	.aligned_alloc = first_aligned_alloc,
	.memalign = first_memalign,
	.valloc = first_valloc,
	.pvalloc = first_pvalloc,
};

/* ---- finding them */

/* An object that lacks one of the rarer functions. */
static void *no_memalign(size_t align, size_t size)
{
	return no_memory();
}

static int no_posix_memalign(void **ret_block, size_t align, size_t size)
{
	return ENOMEM;
}

static void *no_valloc(size_t size)
{
	return no_memory();
}

static void *no_reallocarray(void *block, size_t count, size_t size)
{
	return no_memory();
}

static enum real_place place;
static const char *allocator = "";
static bool is_linked;

static const void *hook_of(const char *name)
{
	int i;

	for (i = 0; i < AGENT_HOOKS; i++) {
		if (!strcmp(agent_hooks[i].name, name))
			return agent_hooks[i].hook;
	}
	return NULL;
}

/* As the program would find it without the hook. */
static void *next(const char *name)
{
	const void *hook = hook_of(name);
	void *found;

	if (place != REAL_BEHIND) {
		found = dlsym(RTLD_DEFAULT, name);
		if (found && found != hook)
			return found;
	}
	return dlsym(RTLD_NEXT, name);
}

/* A program that is not position-independent and takes malloc's address has a symbol for it that is
 * only a way to the function. */
static enum real_place place_of(void *found)
{
	const ElfW(Sym) *symbol = NULL;
	struct link_map *map = NULL;
	Dl_info info;

	if (!found || found == hook_of("malloc"))
		return REAL_BEHIND;
	if (dladdr1(found, &info, (void **)&map, RTLD_DL_LINKMAP) && map && !map->l_prev) {
		/* Of an agent that yields to this one. */
		if (api_executable_has_agent())
			return REAL_BEHIND;
		if (dladdr1(found, &info, (void **)&symbol, RTLD_DL_SYMENT) && symbol &&
		    symbol->st_shndx == SHN_UNDEF)
			return REAL_BEHIND;
		return REAL_EXECUTABLE;
	}
	return REAL_BEFORE;
}

static void find_allocator(void)
{
	Dl_info of_malloc, of_libc, of_us;
	struct link_map *map = NULL;

	if (dladdr1((void *)find_allocator, &of_us, (void **)&map, RTLD_DL_LINKMAP) && map)
		is_linked = !map->l_prev;
	agent_process.granule_bits = 3;
	if (!dladdr((void *)real.malloc, &of_malloc))
		return;
	allocator = of_malloc.dli_fname ? of_malloc.dli_fname : "";
	if (dladdr((void *)gnu_get_libc_version, &of_libc) &&
	    of_libc.dli_fbase == of_malloc.dli_fbase)
		agent_process.granule_bits = AGENT_GRANULE_GLIBC;
}

#define FIND(name, missing)                                                                        \
	do {                                                                                       \
		void *found_ = next(#name);                                                        \
		found.name = found_ ? (__typeof__(found.name))found_ : (missing);                  \
	} while (0)

void real_begin(void)
{
	struct real_functions found;
	int saved = errno;

	if (is_found)
		return;
	agent_thread.internal_depth++;
	place = place_of(dlsym(RTLD_DEFAULT, "malloc"));
	FIND(malloc, NULL);
	FIND(calloc, NULL);
	FIND(realloc, NULL);
	FIND(free, NULL);
	FIND(reallocarray, no_reallocarray);
	FIND(posix_memalign, no_posix_memalign);
	FIND(aligned_alloc, no_memalign);
	FIND(memalign, no_memalign);
	FIND(valloc, no_valloc);
	FIND(pvalloc, no_valloc);
	/* Without these there is no C library; the boot arena is what is left. */
	if (found.malloc && found.calloc && found.realloc && found.free) {
		real = found;
		find_allocator();
		__atomic_store_n(&is_found, true, __ATOMIC_RELEASE);
	}
	agent_thread.internal_depth--;
	errno = saved;
}

bool real_is_found(void)
{
	return __atomic_load_n(&is_found, __ATOMIC_ACQUIRE);
}

enum real_place real_place(void)
{
	return place;
}

const char *real_allocator(void)
{
	return allocator;
}

bool real_is_linked(void)
{
	return is_linked;
}
