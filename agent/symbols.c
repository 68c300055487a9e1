#include "agent/symbols.h"

#include <elf.h>
#include <link.h>
#include <string.h>

#include "agent/agent.h"

/* What the dynamic section tells of the symbols. */
struct table {
	const Elf64_Sym *symbols;
	const char *names;
	const uint32_t *gnu_hash, *hash;
};

struct search {
	uintptr_t object;
	const char *name;
	bool is_found;
};

static bool is_within(const struct dl_phdr_info *info, uintptr_t address)
{
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const Elf64_Phdr *segment = &info->dlpi_phdr[i];

		if (segment->p_type == PT_LOAD &&
		    address - (info->dlpi_addr + segment->p_vaddr) < segment->p_memsz)
			return true;
	}
	return false;
}

static void read_table(const struct dl_phdr_info *info, struct table *table)
{
	const Elf64_Dyn *entry = NULL;

	*table = (struct table){0};
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
			entry = (const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
	}
	for (; entry && entry->d_tag != DT_NULL; entry++) {
		uintptr_t pointer = entry->d_un.d_ptr;
		/* The linker has made addresses of them, but for objects of the kernel's. */
		const void *at =
			(const void *)(pointer < info->dlpi_addr ? pointer + info->dlpi_addr
								 : pointer);

		if (entry->d_tag == DT_SYMTAB)
			table->symbols = at;
		else if (entry->d_tag == DT_STRTAB)
			table->names = at;
		else if (entry->d_tag == DT_GNU_HASH)
			table->gnu_hash = at;
		else if (entry->d_tag == DT_HASH)
			table->hash = at;
	}
}

static bool is_it(const struct table *table, uint32_t number, const char *name)
{
	const Elf64_Sym *symbol = &table->symbols[number];

	return symbol->st_shndx != SHN_UNDEF && !strcmp(table->names + symbol->st_name, name);
}

static bool has_by_gnu_hash(const struct table *table, const char *name)
{
	uint32_t buckets = table->gnu_hash[0], first = table->gnu_hash[1];
	const uint32_t *bucket = table->gnu_hash + 4 + (size_t)table->gnu_hash[2] * 2;
	const uint32_t *chain = bucket + buckets;
	uint32_t hash = 5381, number;

	for (const char *at = name; *at; at++)
		hash = hash * 33 + (unsigned char)*at;
	number = buckets ? bucket[hash % buckets] : 0;
	if (number < first)
		return false;
	for (;; number++) {
		uint32_t link = chain[number - first];

		if ((link | 1) == (hash | 1) && is_it(table, number, name))
			return true;
		if (link & 1)
			return false;
	}
}

static bool has(const struct table *table, const char *name)
{
	if (!table->symbols || !table->names)
		return false;
	if (table->gnu_hash)
		return has_by_gnu_hash(table, name);
	for (uint32_t i = 1; table->hash && i < table->hash[1]; i++) {
		if (is_it(table, i, name))
			return true;
	}
	return false;
}

static int look_at(struct dl_phdr_info *info, size_t size, void *context)
{
	struct search *search = context;
	struct table table;

	if (search->object ? !is_within(info, search->object) : is_within(info, (uintptr_t)look_at))
		return 0;
	read_table(info, &table);
	search->is_found = has(&table, search->name);
	return search->is_found || search->object;
}

bool symbols_have(uintptr_t object, const char *name)
{
	struct search search = {object, name, false};

	agent_thread.internal_depth++;
	dl_iterate_phdr(look_at, &search);
	agent_thread.internal_depth--;
	return search.is_found;
}
