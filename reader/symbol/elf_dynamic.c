/* Without section headers the loader's own way is left: PT_DYNAMIC names the tables by address. In
 * an image copied out of a running process the loader has already moved these addresses; by how
 * much is tried, and believed when the tables then look as they must. 64-bit files only. */
#include "reader/symbol/elf_names.h"

#include <string.h>

#include "reader/core/module.h"

enum {
	PAGE_BYTES = 4096,
	/* The tables that the loader needs stand at the front of a file, behind its headers: a move
	 * is looked for this far. */
	MOVE_PAGES_MAX = 16,
};

struct image {
	const uint8_t *bytes;
	size_t size;
	struct segment segments[SEGMENTS_MAX];
	size_t segment_count;
	uint64_t dynamic_offset, dynamic_size;
};

struct tables {
	uint64_t symbols, strings, string_size, hash, gnu_hash;
};

static bool read_headers(const struct elf_file *file, struct image *ret_image)
{
	struct image image = {.bytes = file->image, .size = file->size};
	size_t count;

	if (gelf_getclass(file->elf) != ELFCLASS64 || elf_getphdrnum(file->elf, &count) != 0)
		return false;
	for (size_t i = 0; i < count && i <= INT32_MAX; i++) {
		GElf_Phdr header;

		if (!gelf_getphdr(file->elf, (int)i, &header))
			break;
		if (header.p_type == PT_DYNAMIC) {
			image.dynamic_offset = header.p_offset;
			image.dynamic_size = header.p_filesz;
		} else if (header.p_type == PT_LOAD && image.segment_count < SEGMENTS_MAX) {
			image.segments[image.segment_count++] = (struct segment){
				.vaddr = header.p_vaddr,
				.file_offset = header.p_offset,
				.file_size = header.p_filesz,
			};
		}
	}
	*ret_image = image;
	return image.dynamic_size && image.segment_count;
}

/* The bytes at a vaddr, or NULL where the file does not hold all of them. */
static const void *at_vaddr(const struct image *image, uint64_t vaddr, uint64_t bytes)
{
	for (size_t i = 0; i < image->segment_count; i++) {
		const struct segment *segment = &image->segments[i];
		uint64_t into = vaddr - segment->vaddr, offset;

		if (vaddr < segment->vaddr || into >= segment->file_size ||
		    bytes > segment->file_size - into)
			continue;
		offset = segment->file_offset + into;
		if (offset < into || offset > image->size || bytes > image->size - offset)
			return NULL;
		return image->bytes + offset;
	}
	return NULL;
}

static bool read_tables(const struct image *image, struct tables *ret_tables)
{
	struct tables tables = {0};

	for (uint64_t at = 0; at + sizeof(Elf64_Dyn) <= image->dynamic_size;
	     at += sizeof(Elf64_Dyn)) {
		uint64_t offset = image->dynamic_offset + at;
		Elf64_Dyn entry;

		if (offset < at || offset > image->size || image->size - offset < sizeof(entry))
			break;
		memcpy(&entry, image->bytes + offset, sizeof(entry));
		if (entry.d_tag == DT_NULL)
			break;
		switch (entry.d_tag) {
		case DT_SYMTAB:
			tables.symbols = entry.d_un.d_ptr;
			break;
		case DT_STRTAB:
			tables.strings = entry.d_un.d_ptr;
			break;
		case DT_STRSZ:
			tables.string_size = entry.d_un.d_val;
			break;
		case DT_HASH:
			tables.hash = entry.d_un.d_ptr;
			break;
		case DT_GNU_HASH:
			tables.gnu_hash = entry.d_un.d_ptr;
			break;
		}
	}
	*ret_tables = tables;
	return tables.symbols && tables.strings && tables.string_size;
}

/* Both tables begin with nothing: an empty symbol, an empty string. */
static bool look_right(const struct image *image, const struct tables *tables, uint64_t moved)
{
	static const Elf64_Sym empty;
	const void *symbol = at_vaddr(image, tables->symbols - moved, sizeof(Elf64_Sym));
	const char *strings = at_vaddr(image, tables->strings - moved, tables->string_size);

	return symbol && strings && memcmp(symbol, &empty, sizeof(empty)) == 0 &&
	       strings[0] == '\0' && strings[tables->string_size - 1] == '\0';
}

static bool find_move(const struct image *image, const struct tables *tables, uint64_t *ret_moved)
{
	uint64_t base = image->segments[0].vaddr & ~(uint64_t)(PAGE_BYTES - 1);
	uint64_t lowest = tables->symbols < tables->strings ? tables->symbols : tables->strings;

	if (look_right(image, tables, 0)) {
		*ret_moved = 0;
		return true;
	}
	for (uint64_t page = 0; page < MOVE_PAGES_MAX; page++) {
		uint64_t moved = (lowest & ~(uint64_t)(PAGE_BYTES - 1)) - base - page * PAGE_BYTES;

		if (look_right(image, tables, moved)) {
			*ret_moved = moved;
			return true;
		}
	}
	return false;
}

static bool read_u32(const struct image *image, uint64_t vaddr, uint32_t *ret_value)
{
	const void *at = at_vaddr(image, vaddr, sizeof(*ret_value));

	if (at)
		memcpy(ret_value, at, sizeof(*ret_value));
	return at;
}

/* The GNU table names the first symbol of each chain; the last chain ends with the last symbol. */
static uint64_t count_by_gnu_hash(const struct image *image, uint64_t table)
{
	uint32_t buckets, first, blooms, last = 0, value;
	uint64_t chains, at;

	if (!read_u32(image, table, &buckets) || !read_u32(image, table + 4, &first) ||
	    !read_u32(image, table + 8, &blooms))
		return 0;
	at = table + 16 + (uint64_t)blooms * 8;
	for (uint32_t i = 0; i < buckets; i++) {
		if (!read_u32(image, at + (uint64_t)i * 4, &value))
			return 0;
		if (value > last)
			last = value;
	}
	if (last < first)
		return first;
	chains = at + (uint64_t)buckets * 4;
	do {
		if (!read_u32(image, chains + (uint64_t)(last - first) * 4, &value))
			return 0;
	} while (!(value & 1) && last++ != UINT32_MAX);
	return (uint64_t)last + 1;
}

static uint64_t count_symbols(const struct image *image, const struct tables *tables,
			      uint64_t moved)
{
	uint32_t count;

	if (tables->hash && read_u32(image, tables->hash - moved + 4, &count))
		return count;
	if (tables->gnu_hash)
		return count_by_gnu_hash(image, tables->gnu_hash - moved);
	return 0;
}

void elf_names_read_dynamic(struct elf_names *names, const struct elf_file *file)
{
	struct image image;
	struct tables tables;
	const char *strings;
	uint64_t moved, count;

	if (!read_headers(file, &image) || !read_tables(&image, &tables) ||
	    !find_move(&image, &tables, &moved))
		return;
	strings = at_vaddr(&image, tables.strings - moved, tables.string_size);
	count = count_symbols(&image, &tables, moved);
	for (uint64_t i = 1; i < count; i++) {
		const void *at = at_vaddr(&image, tables.symbols - moved + i * sizeof(Elf64_Sym),
					  sizeof(Elf64_Sym));
		Elf64_Sym raw;
		GElf_Sym symbol;

		if (!at)
			break;
		memcpy(&raw, at, sizeof(raw));
		if (raw.st_name >= tables.string_size)
			continue;
		symbol = raw;
		elf_names_add(names, file, &symbol, strings + raw.st_name);
	}
}
