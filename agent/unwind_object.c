/* What the dynamic linker has loaded. _dl_find_object() (glibc 2.35) takes no lock and may be asked
 * in signal handlers; without it, all objects are gone through as the C++ runtime does. */
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
 */
static bool headers_at(uintptr_t start, struct unwind_object *object)
{
	Elf64_Ehdr header;

	if (sys_peek(start, &header, sizeof(header)) != (long)sizeof(header) ||
	    __builtin_memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
	    header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof(Elf64_Phdr) ||
	    header.e_phoff % 8 || header.e_phoff > PAGE ||
	    header.e_phnum > (PAGE - header.e_phoff) / sizeof(Elf64_Phdr))
		return false;
	object->segments = (const void *)(start + header.e_phoff);
	object->segment_count = header.e_phnum;
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
