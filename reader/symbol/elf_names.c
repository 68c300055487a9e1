/* A symbol with a size covers it. One without reaches to the next symbol or the end of its code,
 * and only where none with a size lies. Mapping symbols, data, and what is no code are left out. */
#include "reader/symbol/elf_names.h"

#include <lzma.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* .gnu_debugdata holds a symbol table; Fedora's largest unpack to some 10 MiB. */
	MINI_MAX = 64 * 1024 * 1024,
	MINI_STEP = 256 * 1024,
	/* What xz -9 needs to unpack is 65 MiB. */
	MINI_MEMORY_MAX = 128 * 1024 * 1024,
};

/* Lower is better: a function before a bare label, global before weak before local, few leading
 * underscores before many. */
static uint16_t preference(const GElf_Sym *symbol, const char *text)
{
	unsigned type = GELF_ST_TYPE(symbol->st_info), bind = GELF_ST_BIND(symbol->st_info);
	size_t underscores = strspn(text, "_");
	unsigned order = bind == STB_GLOBAL ? 0 : bind == STB_WEAK ? 1 : 2;

	return (uint16_t)((type == STT_NOTYPE) << 15 | order << 12 |
			  (underscores > 0xfff ? 0xfff : underscores));
}

void elf_names_add(struct elf_names *names, const struct elf_file *code, const GElf_Sym *symbol,
		   const char *text)
{
	unsigned type = GELF_ST_TYPE(symbol->st_info);
	size_t length = text ? strlen(text) : 0;
	const char *version;
	char *copy;

	if (!length || text[0] == '$' || symbol->st_shndx == SHN_UNDEF ||
	    symbol->st_shndx == SHN_ABS ||
	    (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE) ||
	    !elf_file_code(code, symbol->st_value))
		return;
	/* `memcpy@@GLIBC_2.14`, but not a name that begins so. */
	version = strchr(text + 1, '@');
	if (version)
		length = (size_t)(version - text);
	copy = arena_alloc(&names->arena, length + 1);
	memcpy(copy, text, length);
	copy[length] = '\0';
	*vec_add(&names->names) = (struct elf_name){
		.start = symbol->st_value,
		.size = symbol->st_size,
		.text = copy,
		.preference = preference(symbol, copy),
		.rank = symbol->st_size ? 1 : 0,
	};
}

/* Whether the table held a symbol of code. */
static bool read_table(struct elf_names *names, const struct elf_file *file,
		       const struct elf_file *code, uint32_t type)
{
	size_t before = names->names.count;
	Elf_Scn *section = NULL;

	while ((section = elf_nextscn(file->elf, section))) {
		GElf_Shdr header;
		Elf_Data *data;
		size_t entry, count;

		if (!gelf_getshdr(section, &header) || header.sh_type != type)
			continue;
		data = elf_getdata(section, NULL);
		entry = gelf_fsize(file->elf, ELF_T_SYM, 1, EV_CURRENT);
		if (!data || !data->d_buf || !entry)
			continue;
		count = data->d_size / entry;
		for (size_t i = 0; i < count && i <= INT32_MAX; i++) {
			GElf_Sym symbol;

			if (gelf_getsym(data, (int)i, &symbol))
				elf_names_add(
					names, code, &symbol,
					elf_strptr(file->elf, header.sh_link, symbol.st_name));
		}
	}
	return names->names.count > before;
}

/* Unpacks the file in .gnu_debugdata; NULL where it is damaged or too large. */
static void *unpack(const void *packed, size_t packed_size, size_t *ret_size)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	VEC(uint8_t) out = {0};
	lzma_ret state;

	if (lzma_stream_decoder(&stream, MINI_MEMORY_MAX, 0) != LZMA_OK)
		return NULL;
	stream.next_in = packed;
	stream.avail_in = packed_size;
	do {
		vec_reserve(&out, MINI_STEP);
		stream.next_out = out.items + out.count;
		stream.avail_out = MINI_STEP;
		state = lzma_code(&stream, LZMA_FINISH);
		out.count += MINI_STEP - stream.avail_out;
	} while (state == LZMA_OK && out.count < MINI_MAX);
	lzma_end(&stream);
	if (state != LZMA_STREAM_END) {
		vec_done(&out);
		return NULL;
	}
	*ret_size = out.count;
	return out.items;
}

static void read_mini(struct elf_names *names, const struct elf_file *file)
{
	GElf_Shdr header;
	Elf_Scn *section = elf_file_section(file, ".gnu_debugdata", &header);
	Elf_Data *data = section ? elf_rawdata(section, NULL) : NULL;
	struct elf_file mini;
	size_t size;
	void *image;

	if (!data || !data->d_buf)
		return;
	image = unpack(data->d_buf, data->d_size, &size);
	if (!image || elf_file_open_memory(image, size, &mini) != 0)
		return;
	read_table(names, &mini, file, SHT_SYMTAB);
	elf_file_close(&mini);
}

static int compare_names(const void *left, const void *right)
{
	const struct elf_name *a = left, *b = right;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	if (a->preference != b->preference)
		return a->preference < b->preference ? -1 : 1;
	return strcmp(a->text, b->text);
}

static void build_index(struct elf_names *names, const struct elf_file *code)
{
	struct elf_name *all = names->names.items;
	size_t count = names->names.count;
	uint64_t next = UINT64_MAX;

	if (!count)
		return;
	qsort(all, count, sizeof(*all), compare_names);
	/* From the end, to know where the next symbol begins. */
	for (size_t i = count; i-- > 0;) {
		const struct code_range *range = elf_file_code(code, all[i].start);
		uint64_t end;

		if (i + 1 < count && all[i + 1].start != all[i].start)
			next = all[i + 1].start;
		end = range->end < next ? range->end : next;
		if (all[i].size)
			end = all[i].size < range->end - all[i].start ? all[i].start + all[i].size
								      : range->end;
		all[i].size = end - all[i].start;
	}
	for (size_t i = 0; i < count; i++)
		range_index_add(&names->index, all[i].start, all[i].start + all[i].size,
				all[i].rank, (uint32_t)i);
	range_index_seal(&names->index);
}

void elf_names_read(struct elf_names *names, const struct elf_file *main_file,
		    const struct elf_file *debug_file)
{
	const struct elf_file *code = main_file->elf ? main_file : debug_file;
	bool is_whole = false;

	if (!code->elf)
		return;
	if (main_file->elf)
		is_whole = read_table(names, main_file, code, SHT_SYMTAB);
	if (!is_whole && debug_file->elf)
		is_whole = read_table(names, debug_file, code, SHT_SYMTAB);
	if (!is_whole && main_file->elf) {
		/* The small table leaves out what the dynamic one has. */
		read_mini(names, main_file);
		read_table(names, main_file, code, SHT_DYNSYM);
	}
	if (main_file->elf) {
		elf_names_read_stubs(names, main_file);
		if (!names->names.count)
			elf_names_read_dynamic(names, main_file);
	}
	build_index(names, code);
}

struct elf_name *elf_names_find(const struct elf_names *names, uint64_t address)
{
	uint32_t found = range_index_find(&names->index, address);

	return found == RANGE_NONE ? NULL : &names->names.items[found];
}

void elf_names_done(struct elf_names *names)
{
	vec_done(&names->names);
	range_index_done(&names->index);
	arena_done(&names->arena);
	memset(names, 0, sizeof(*names));
}
