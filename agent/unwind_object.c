/* What the dynamic linker has loaded. _dl_find_object() (glibc 2.35) takes no lock and may be asked
 * in signal handlers; without it, all objects are gone through as the C++ runtime does. */
#include "agent/modules.h"
#include "agent/unwind.h"

#include <elf.h>
#include <link.h>

/* Of glibc's <dlfcn.h>, which older ones have not. */
struct found_object {
	unsigned long long flags;
	void *start, *end;
	struct link_map *map;
	void *eh_frame;
	unsigned long long reserved[7];
};

extern int find_object(void *address, struct found_object *result) __asm__("_dl_find_object")
	__attribute__((weak));

enum { PAGE = 4096 };

/* The program headers, where they are with the ELF header on the page that the object begins with.
 * Read as the tables are, without a system call: a filter of the program's may forbid it. */
static bool headers_at(uintptr_t start, struct unwind_object *object)
{
	const Elf64_Ehdr *header = (const void *)start;

	if (__builtin_memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
	    header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_phentsize != sizeof(Elf64_Phdr) ||
	    header->e_phoff % 8 || header->e_phoff > PAGE ||
	    header->e_phnum > (PAGE - header->e_phoff) / sizeof(Elf64_Phdr))
		return false;
	object->segments = (const void *)(start + header->e_phoff);
	object->segment_count = header->e_phnum;
	return true;
}

struct search {
	uintptr_t address;
	struct unwind_object *object;
};

static int look_at(struct dl_phdr_info *info, size_t size, void *context)
{
	struct search *search = context;

	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const Elf64_Phdr *segment = &info->dlpi_phdr[i];

		if (segment->p_type != PT_LOAD ||
		    search->address - (info->dlpi_addr + segment->p_vaddr) >= segment->p_memsz)
			continue;
		*search->object = (struct unwind_object){
			.identity = info->dlpi_phdr,
			.name = info->dlpi_name,
			.bias = info->dlpi_addr,
			.segments = info->dlpi_phdr,
			.segment_count = info->dlpi_phnum,
		};
		return 1;
	}
	return 0;
}

static bool go_through(uintptr_t address, struct unwind_object *ret_object)
{
	struct search search = {address, ret_object};
	int found;

	agent_thread.internal_depth++;
	found = dl_iterate_phdr(look_at, &search);
	agent_thread.internal_depth--;
	return found == 1;
}

/* ---- those that last */

enum { LASTING_MAX = 512 };
static struct {
	uintptr_t start, end;
} lasting[LASTING_MAX];
static uint32_t lasting_count;

static int note_lasting(struct dl_phdr_info *info, size_t size, void *context)
{
	uintptr_t start = UINTPTR_MAX, end = 0;

	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const Elf64_Phdr *segment = &info->dlpi_phdr[i];
		uintptr_t at = info->dlpi_addr + segment->p_vaddr;

		if (segment->p_type != PT_LOAD)
			continue;
		start = at < start ? at : start;
		end = at + segment->p_memsz > end ? at + segment->p_memsz : end;
	}
	if (lasting_count == LASTING_MAX)
		return 1;
	if (start < end) {
		lasting[lasting_count].start = start;
		lasting[lasting_count++].end = end;
	}
	return 0;
}

void unwind_objects_begin(void)
{
	if (lasting_count)
		return;
	agent_thread.internal_depth++;
	dl_iterate_phdr(note_lasting, NULL);
	agent_thread.internal_depth--;
}

bool unwind_object_lasts(uintptr_t address)
{
	for (uint32_t i = 0; i < lasting_count; i++) {
		if (address - lasting[i].start < lasting[i].end - lasting[i].start)
			return true;
	}
	return false;
}

bool unwind_object_find(uintptr_t address, struct unwind_object *ret_object)
{
	struct found_object found;

	if (!find_object)
		return go_through(address, ret_object);
	if (find_object((void *)address, &found))
		return false;
	*ret_object = (struct unwind_object){
		.identity = found.map,
		.name = found.map->l_name,
		.bias = found.map->l_addr,
	};
	return headers_at((uintptr_t)found.start, ret_object) || go_through(address, ret_object);
}

bool modules_may_have(uintptr_t address)
{
	struct unwind_object object;
	struct found_object found;

	if (find_object)
		return find_object((void *)address, &found) == 0;
	return go_through(address, &object);
}

bool modules_identify(uintptr_t address, const void **ret_identity, uintptr_t *ret_bias)
{
	struct found_object found;

	if (!find_object || find_object((void *)address, &found))
		return false;
	*ret_identity = found.map;
	*ret_bias = found.map->l_addr;
	return true;
}

const void *unwind_object_segment(const struct unwind_object *object, uintptr_t start, size_t bytes)
{
	const Elf64_Phdr *segments = object->segments;

	for (unsigned i = 0; i < object->segment_count; i++) {
		const Elf64_Phdr *segment = &segments[i];
		uintptr_t offset = start - (object->bias + segment->p_vaddr);

		if (segment->p_type == PT_LOAD && (segment->p_flags & PF_R) &&
		    offset < segment->p_memsz && segment->p_memsz - offset >= bytes)
			return segment;
	}
	return NULL;
}
