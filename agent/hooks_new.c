/* operator new and delete of jemalloc, tcmalloc and mimalloc, which do not come through malloc.
 * They have no exported hooks, since most programs' do: only where these allocators serve are the
 * slots that lead to theirs diverted here. What they throw passes through. */
#include <dlfcn.h>

#include "agent/heap.h"
#include "agent/hooks.h"
#include "agent/real.h"
#include "agent/symbols.h"

struct agent_new {
	void *new_plain, *new_array, *new_nothrow, *new_array_nothrow;
	void *new_align, *new_array_align, *new_align_nothrow, *new_array_align_nothrow;
	void *delete_plain, *delete_array, *delete_size, *delete_array_size;
	void *delete_nothrow, *delete_array_nothrow, *delete_align, *delete_array_align;
	void *delete_size_align, *delete_array_size_align, *delete_align_nothrow,
		*delete_array_align_nothrow;
};
static struct agent_new real_new;

/* The second and third argument are a std::align_val_t, a size or a reference, which a function
 * that has none of them does not look at. */
typedef void *(*new_function)(size_t size, uintptr_t second, uintptr_t third);
typedef void (*delete_function)(void *block, uintptr_t second, uintptr_t third);

#define NEW(name)                                                                                  \
	static void *hook_##name(size_t size, uintptr_t second, uintptr_t third)                   \
	{                                                                                          \
		void *block = ((new_function)real_new.name)(size, second, third);                  \
                                                                                                   \
		if (AGENT_LIKELY(block != NULL))                                                   \
			heap_allocated(block, size, (uintptr_t)real_new.name,                      \
				       (uintptr_t)__builtin_frame_address(0));                     \
		return block;                                                                      \
	}
#define DELETE(name)                                                                               \
	static void hook_##name(void *block, uintptr_t second, uintptr_t third)                    \
	{                                                                                          \
		if (AGENT_LIKELY(block != NULL))                                                   \
			heap_freeing(block);                                                       \
		((delete_function)real_new.name)(block, second, third);                            \
	}

#define NEWS(DO)                                                                                   \
	DO(new_plain, "_Znwm")                                                                     \
	DO(new_array, "_Znam")                                                                     \
	DO(new_nothrow, "_ZnwmRKSt9nothrow_t")                                                     \
	DO(new_array_nothrow, "_ZnamRKSt9nothrow_t")                                               \
	DO(new_align, "_ZnwmSt11align_val_t")                                                      \
	DO(new_array_align, "_ZnamSt11align_val_t")                                                \
	DO(new_align_nothrow, "_ZnwmSt11align_val_tRKSt9nothrow_t")                                \
	DO(new_array_align_nothrow, "_ZnamSt11align_val_tRKSt9nothrow_t")
#define DELETES(DO)                                                                                \
	DO(delete_plain, "_ZdlPv")                                                                 \
	DO(delete_array, "_ZdaPv")                                                                 \
	DO(delete_size, "_ZdlPvm")                                                                 \
	DO(delete_array_size, "_ZdaPvm")                                                           \
	DO(delete_nothrow, "_ZdlPvRKSt9nothrow_t")                                                 \
	DO(delete_array_nothrow, "_ZdaPvRKSt9nothrow_t")                                           \
	DO(delete_align, "_ZdlPvSt11align_val_t")                                                  \
	DO(delete_array_align, "_ZdaPvSt11align_val_t")                                            \
	DO(delete_size_align, "_ZdlPvmSt11align_val_t")                                            \
	DO(delete_array_size_align, "_ZdaPvmSt11align_val_t")                                      \
	DO(delete_align_nothrow, "_ZdlPvSt11align_val_tRKSt9nothrow_t")                            \
	DO(delete_array_align_nothrow, "_ZdaPvSt11align_val_tRKSt9nothrow_t")

#define DEFINE_NEW(name, symbol) NEW(name)
#define DEFINE_DELETE(name, symbol) DELETE(name)
NEWS(DEFINE_NEW)
DELETES(DEFINE_DELETE)

#define ROW(name, symbol) {symbol, (void *)hook_##name, (void *const *)&real_new.name},
const struct agent_hook agent_new_hooks[AGENT_NEW_HOOKS] = {NEWS(ROW) DELETES(ROW)};

/* Allocators whose operators are known to be calls of their own. */
static bool has_own_operators(void)
{
	static const char *const signs[] = {"mallctl", "tc_malloc", "mi_malloc"};
	size_t i;

	for (i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		if (symbols_have((uintptr_t)real.malloc, signs[i]))
			return true;
	}
	return false;
}

bool hooks_find_new(void)
{
	Dl_info of_new, of_malloc;
	bool is_any = false;
	void *found;
	int i;

	if (agent_process.granule_bits == AGENT_GRANULE_GLIBC || !has_own_operators() ||
	    !dladdr((void *)real.malloc, &of_malloc))
		return false;
	for (i = 0; i < AGENT_NEW_HOOKS; i++) {
		if (!symbols_have((uintptr_t)real.malloc, agent_new_hooks[i].name))
			continue;
		found = dlsym(RTLD_DEFAULT, agent_new_hooks[i].name);
		/* The program's own come to malloc, or are none of ours to know. */
		if (!found || !dladdr(found, &of_new) || of_new.dli_fbase != of_malloc.dli_fbase)
			continue;
		*(void **)agent_new_hooks[i].real = found;
		is_any = true;
	}
	return is_any;
}
