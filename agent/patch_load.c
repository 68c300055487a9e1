/* dlopen looks at who calls it: a library without a path is searched for along the caller's own
 * RUNPATH. So the hook calls it by itself, and sees to the new objects after it, only where the
 * caller makes no difference; else it jumps there as if it were not, and the next call of dlsym,
 * dlopen or dlclose finds the new objects. */
#include "agent/patch_load.h"

#include <dlfcn.h>
#include <errno.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/symbols.h"
#include "agent/wishes.h"

void *patch_real_dlopen __attribute__((visibility("hidden")));
void *patch_real_dlsym __attribute__((visibility("hidden")));
void *patch_real_dlclose __attribute__((visibility("hidden")));

bool patch_before_dlopen(const char *file, int mode, uintptr_t caller)
	__attribute__((visibility("hidden"), used));
void patch_before(void) __attribute__((visibility("hidden"), used));
void patch_after(void) __attribute__((visibility("hidden"), used));
void patch_after_dlclose(void) __attribute__((visibility("hidden"), used));

void patch_dlopen(void) __attribute__((visibility("hidden")));
void patch_dlsym(void) __attribute__((visibility("hidden")));
void patch_dlclose(void) __attribute__((visibility("hidden")));

/* Entered as the real functions are, with the caller's return address on top of the stack. */
__asm__(".pushsection .text\n"
	".balign 16\n"
	".hidden patch_dlopen\n"
	".globl patch_dlopen\n"
	".type patch_dlopen, @function\n"
	"patch_dlopen:\n"
	"	.cfi_startproc\n"
	"	push %rdi\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	push %rsi\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	sub $8, %rsp\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	mov 24(%rsp), %rdx\n"
	"	call patch_before_dlopen\n"
	"	mov 8(%rsp), %rsi\n"
	"	mov 16(%rsp), %rdi\n"
	"	test %al, %al\n"
	"	je 1f\n"
	"	call *patch_real_dlopen(%rip)\n"
	"	mov %rax, (%rsp)\n"
	"	mov %rax, 8(%rsp)\n"
	"	call patch_after\n"
	"	mov 8(%rsp), %rax\n"
	"	add $24, %rsp\n"
	"	.cfi_adjust_cfa_offset -24\n"
	"	ret\n"
	"1:	.cfi_adjust_cfa_offset 24\n"
	"	add $24, %rsp\n"
	"	.cfi_adjust_cfa_offset -24\n"
	"	jmp *patch_real_dlopen(%rip)\n"
	"	.cfi_endproc\n"
	".size patch_dlopen, .-patch_dlopen\n"
	".balign 16\n"
	".hidden patch_dlsym\n"
	".globl patch_dlsym\n"
	".type patch_dlsym, @function\n"
	"patch_dlsym:\n"
	"	.cfi_startproc\n"
	"	push %rdi\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	push %rsi\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	sub $8, %rsp\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	call patch_before\n"
	"	mov 8(%rsp), %rsi\n"
	"	mov 16(%rsp), %rdi\n"
	"	add $24, %rsp\n"
	"	.cfi_adjust_cfa_offset -24\n"
	"	jmp *patch_real_dlsym(%rip)\n"
	"	.cfi_endproc\n"
	".size patch_dlsym, .-patch_dlsym\n"
	".balign 16\n"
	".hidden patch_dlclose\n"
	".globl patch_dlclose\n"
	".type patch_dlclose, @function\n"
	"patch_dlclose:\n"
	"	.cfi_startproc\n"
	"	push %rdi\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	call patch_before\n"
	"	mov (%rsp), %rdi\n"
	"	call *patch_real_dlclose(%rip)\n"
	"	mov %rax, (%rsp)\n"
	"	call patch_after_dlclose\n"
	"	pop %rax\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size patch_dlclose, .-patch_dlclose\n"
	".popsection\n");

/* ---- who calls */

struct search {
	uintptr_t address;
	bool is_found, has_path;
};

static bool has_path(const struct dl_phdr_info *info)
{
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const Elf64_Phdr *segment = &info->dlpi_phdr[i];
		const Elf64_Dyn *entry;

		if (segment->p_type != PT_DYNAMIC)
			continue;
		entry = (const Elf64_Dyn *)(info->dlpi_addr + segment->p_vaddr);
		for (; entry->d_tag != DT_NULL; entry++)
			if (entry->d_tag == DT_RUNPATH || entry->d_tag == DT_RPATH)
				return true;
	}
	return false;
}

/* One with a path anywhere is enough: a library's RPATH counts for those that it has loaded. */
static int look_at(struct dl_phdr_info *info, size_t size, void *context)
{
	struct search *search = context;

	search->has_path |= has_path(info);
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const Elf64_Phdr *segment = &info->dlpi_phdr[i];

		if (segment->p_type == PT_LOAD &&
		    search->address - (info->dlpi_addr + segment->p_vaddr) < segment->p_memsz)
			search->is_found = true;
	}
	return 0;
}

/* The caller is known to the linker (code of another namespace is not), and the path says it all.
 */
bool patch_before_dlopen(const char *file, int mode, uintptr_t caller)
{
	struct search search = {.address = caller};
	int saved = errno;

	patch_new_objects(false);
	agent_thread.internal_depth++;
	dl_iterate_phdr(look_at, &search);
	agent_thread.internal_depth--;
	errno = saved;
	if (!search.is_found || (file && strchr(file, '$')))
		return false;
	return !file || strchr(file, '/') || !search.has_path;
}

void patch_before(void)
{
	int saved = errno;

	patch_new_objects(false);
	errno = saved;
}

void patch_after(void)
{
	int saved = errno;

	patch_new_objects(true);
	errno = saved;
}

void patch_after_dlclose(void)
{
	int saved = errno;

	unwind_modules_changed();
	patch_new_objects(false);
	errno = saved;
}

/* ---- the real ones */

static bool is_ours(void *function)
{
	Dl_info ours, other;

	return dladdr((void *)is_ours, &ours) && dladdr(function, &other) &&
	       ours.dli_fbase == other.dli_fbase;
}

/* Another's hook is not gone past: it calls what is behind it. */
static bool is_of_libc(void *function)
{
	Dl_info libcs, other;

	return dladdr((void *)gnu_get_libc_version, &libcs) && dladdr(function, &other) &&
	       libcs.dli_fbase == other.dli_fbase;
}

static unsigned add_hook(struct patch_hook *ret_hook, const char *name, void (*hook)(void),
			 void **real)
{
	void *found = symbols_have(0, name) ? dlsym(RTLD_DEFAULT, name) : NULL;

	/* A preloaded agent's own is found already. */
	if (!found || is_ours(found))
		return 0;
	*real = found;
	*ret_hook = (struct patch_hook){name, found, (void *)hook};
	return 1;
}

unsigned patch_load_hooks(struct patch_hook *ret_hooks)
{
	static const struct {
		const char *name;
		void (*hook)(void);
	} wishes[] = {
		{"prctl", wish_prctl},
		{"syscall", wish_syscall},
		{"mlockall", wish_mlockall},
		{"setrlimit", wish_setrlimit},
		{"setrlimit64", wish_setrlimit64},
		{"prlimit", wish_prlimit},
		{"prlimit64", wish_prlimit64},
	};
	unsigned count = 0;
	void *real;

	count += add_hook(ret_hooks + count, "dlopen", patch_dlopen, &patch_real_dlopen);
	count += add_hook(ret_hooks + count, "dlsym", patch_dlsym, &patch_real_dlsym);
	count += add_hook(ret_hooks + count, "dlclose", patch_dlclose, &patch_real_dlclose);
	for (unsigned i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++)
		if (add_hook(ret_hooks + count, wishes[i].name, wishes[i].hook, &real))
			count += is_of_libc(real);
	return count;
}
