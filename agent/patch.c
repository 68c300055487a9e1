#include "agent/patch.h"

#include <elf.h>
#include <link.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "agent/agent.h"
#include "agent/hooks.h"
#include "agent/patch_load.h"

enum { PAGE = 4096 };

/* One object, as its dynamic section tells it. */
struct object {
	const struct dl_phdr_info *info;
	const Elf64_Sym *symbols;
	const char *names;
	const Elf64_Rela *tables[2];
	size_t counts[2];
	uintptr_t relro_start, relro_end; /* whole pages */
	bool is_relro_open;
	bool is_unfinished; /* another thread is loading it */
	/* The last symbol that was looked at: many slots are of the same. */
	uint32_t symbol;
	const struct patch_hook *hook;
};

/* ---- what is diverted */

static struct patch_hook hooks[AGENT_HOOKS + AGENT_NEW_HOOKS + PATCH_LOAD_HOOKS];
static unsigned hook_count;

static void collect_hooks(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < AGENT_HOOKS; i++)
		if (*agent_hooks[i].real)
			hooks[count++] = (struct patch_hook){
				agent_hooks[i].name, *agent_hooks[i].real, agent_hooks[i].hook};
	for (unsigned i = 0; i < AGENT_NEW_HOOKS; i++)
		if (*agent_new_hooks[i].real)
			hooks[count++] = (struct patch_hook){agent_new_hooks[i].name,
							     *agent_new_hooks[i].real,
							     agent_new_hooks[i].hook};
	hook_count = count + patch_load_hooks(hooks + count);
}

static const struct patch_hook *hook_of(struct object *object, uint32_t symbol)
{
	const char *name;

	if (symbol == object->symbol)
		return object->hook;
	object->symbol = symbol;
	object->hook = NULL;
	name = object->names + object->symbols[symbol].st_name;
	for (unsigned i = 0; i < hook_count; i++)
		if (name[0] == hooks[i].name[0] && strcmp(name, hooks[i].name) == 0)
			object->hook = &hooks[i];
	return object->hook;
}

/* ---- an object */

/* The linker has made addresses of them, but for objects of the kernel's. */
static uintptr_t address_of(const struct dl_phdr_info *info, uintptr_t pointer)
{
	return pointer < info->dlpi_addr ? pointer + info->dlpi_addr : pointer;
}

static void read_dynamic(const Elf64_Dyn *entry, struct object *object)
{
	for (; entry->d_tag != DT_NULL; entry++) {
		uintptr_t address = address_of(object->info, entry->d_un.d_ptr);

		switch (entry->d_tag) {
		case DT_SYMTAB:
			object->symbols = (const Elf64_Sym *)address;
			break;
		case DT_STRTAB:
			object->names = (const char *)address;
			break;
		case DT_RELA:
			object->tables[0] = (const Elf64_Rela *)address;
			break;
		case DT_RELASZ:
			object->counts[0] = entry->d_un.d_val / sizeof(Elf64_Rela);
			break;
		case DT_JMPREL:
			object->tables[1] = (const Elf64_Rela *)address;
			break;
		case DT_PLTRELSZ:
			object->counts[1] = entry->d_un.d_val / sizeof(Elf64_Rela);
			break;
		default:
			break;
		}
	}
}

static void read_object(const struct dl_phdr_info *info, struct object *object)
{
	*object = (struct object){.info = info};
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const Elf64_Phdr *segment = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + segment->p_vaddr;

		if (segment->p_type == PT_DYNAMIC)
			read_dynamic((const Elf64_Dyn *)start, object);
		if (segment->p_type == PT_GNU_RELRO) {
			/* As the linker rounds it when it protects it. */
			object->relro_start = start & -(uintptr_t)PAGE;
			object->relro_end = (start + segment->p_memsz) & -(uintptr_t)PAGE;
		}
	}
}

static bool is_within(const struct object *object, uintptr_t address, uint32_t flags)
{
	for (unsigned i = 0; i < object->info->dlpi_phnum; i++) {
		const Elf64_Phdr *segment = &object->info->dlpi_phdr[i];

		if (segment->p_type == PT_LOAD && (segment->p_flags & flags) == flags &&
		    address - (object->info->dlpi_addr + segment->p_vaddr) < segment->p_memsz)
			return true;
	}
	return false;
}

static bool protect_relro(const struct object *object, int protection)
{
	return sys_call(SYS_mprotect, (long)object->relro_start,
			(long)(object->relro_end - object->relro_start), protection, 0, 0, 0) == 0;
}

/* Without a change, and without a fault: the kernel adds no bits to the word, atomically. */
static bool is_writable(uintptr_t slot)
{
	static uint32_t nobody;

	return sys_call(SYS_futex, (long)&nobody, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 0, 0,
			(long)slot, FUTEX_OP(FUTEX_OP_OR, 0, FUTEX_OP_CMP_EQ, 0)) >= 0;
}

static bool may_write(struct object *object, uintptr_t slot)
{
	if (slot % sizeof(void *) || !is_within(object, slot, PF_W))
		return false;
	if (slot < object->relro_start || slot >= object->relro_end || object->is_relro_open)
		return true;
	/* Not protected yet: the linker still writes there. */
	object->is_unfinished |= is_writable(slot);
	if (object->is_unfinished)
		return false;
	object->is_relro_open = protect_relro(object, PROT_READ | PROT_WRITE);
	return object->is_relro_open;
}

/* It leads to the real function; or, where it is bound at the first call only, back into the
 * object. */
static bool leads_to(const struct object *object, const Elf64_Rela *relocation,
		     const struct patch_hook *hook)
{
	void *now = *(void **)(object->info->dlpi_addr + relocation->r_offset);

	if (now == hook->real)
		return true;
	return ELF64_R_TYPE(relocation->r_info) == R_X86_64_JUMP_SLOT &&
	       object->symbols[object->symbol].st_shndx == SHN_UNDEF &&
	       is_within(object, (uintptr_t)now, PF_X);
}

static void patch_slot(struct object *object, const Elf64_Rela *relocation)
{
	uintptr_t slot = object->info->dlpi_addr + relocation->r_offset;
	uint32_t type = ELF64_R_TYPE(relocation->r_info);
	const struct patch_hook *hook;

	if ((type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT && type != R_X86_64_64) ||
	    ELF64_R_SYM(relocation->r_info) == 0)
		return;
	hook = hook_of(object, ELF64_R_SYM(relocation->r_info));
	if (hook && is_within(object, slot, 0) && leads_to(object, relocation, hook) &&
	    may_write(object, slot))
		__atomic_store_n((void **)slot, hook->hook, __ATOMIC_RELEASE);
}

static int patch_object(struct dl_phdr_info *info, size_t size, void *context)
{
	struct object object;

	read_object(info, &object);
	/* Ourselves: what the hooks call is not to come back to them. */
	if (is_within(&object, (uintptr_t)hooks, 0) || !object.symbols || !object.names)
		return 0;
	for (unsigned i = 0; i < 2; i++)
		for (size_t j = 0; object.tables[i] && j < object.counts[i]; j++)
			patch_slot(&object, &object.tables[i][j]);
	if (object.is_relro_open)
		protect_relro(&object, PROT_READ);
	*(bool *)context |= object.is_unfinished;
	return 0;
}

/* ---- all of them */

static _Atomic uint64_t loads_seen;

static int read_loads(struct dl_phdr_info *info, size_t size, void *ret_loads)
{
	*(uint64_t *)ret_loads = info->dlpi_adds;
	return 1;
}

void patch_new_objects(bool is_forced)
{
	uint64_t loads = 0;
	bool is_unfinished = false;

	agent_thread.internal_depth++;
	dl_iterate_phdr(read_loads, &loads);
	if (is_forced || loads != atomic_load_explicit(&loads_seen, memory_order_acquire)) {
		dl_iterate_phdr(patch_object, &is_unfinished);
		atomic_store_explicit(&loads_seen, is_unfinished ? 0 : loads, memory_order_release);
	}
	agent_thread.internal_depth--;
}

void agent_patch_objects(void)
{
	collect_hooks();
	patch_new_objects(true);
}
