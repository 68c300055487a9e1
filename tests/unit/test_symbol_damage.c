/* Damaged files: whatever a file says, the symbolizer ends, stays within it and gives an answer. */
#include <elf.h>

#include "reader/symbol/elf_file.h"
#include "tests/unit/symbol_fixture.h"

enum {
	FILE_MAX = 512 * 1024,
	REGIONS_MAX = 64,
	VARIANTS = 300,
	ADDRESSES = 30,
};

static uint64_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 20;
}

/* Names and lines of whatever is left; that it ends and does not crash is the result. */
static void ask_around(const char *folder, const char *name, uint64_t spot)
{
	struct symbol_facts facts;
	struct fixture fixture;

	fixture_open(&fixture, folder, name);
	symbolizer_describe(fixture.symbolizer, &fixture.module, &facts);
	for (uint64_t i = 0; i < ADDRESSES; i++) {
		ask(&fixture, spot - 64 + 7 * i);
		for (size_t line = 0; line < fixture.answer.line_count; line++) {
			CHECK(fixture.answer.lines[line].function);
			CHECK(fixture.answer.lines[line].file);
		}
	}
	fixture_close(&fixture);
}

static void write_bytes(const char *folder, const char *name, const uint8_t *bytes, size_t size)
{
	char path[600];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	CHECK(file);
	CHECK(fwrite(bytes, 1, size, file) == size);
	CHECK(fclose(file) == 0);
}

static size_t read_bytes(const char *folder, const char *name, uint8_t *bytes)
{
	char path[600];
	FILE *file;
	size_t size;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "r");
	CHECK(file);
	size = fread(bytes, 1, FILE_MAX, file);
	fclose(file);
	CHECK(size > 0 && size < FILE_MAX);
	return size;
}

struct region {
	size_t start, size;
};

/* Where the sections lie whose names begin so; "" is the whole file and "headers" what says where
 * sections and segments lie. */
static size_t find_regions(const char *folder, const char *prefix, size_t size,
			   struct region *ret_regions)
{
	struct elf_file file;
	struct fixture fixture;
	Elf_Scn *section = NULL;
	GElf_Ehdr header;
	size_t count = 0, names;

	if (!prefix[0]) {
		ret_regions[0] = (struct region){.start = 0, .size = size};
		return 1;
	}
	fixture_open(&fixture, folder, "whole");
	CHECK(elf_file_open(fixture.module.fd, &file) == 0);
	CHECK(gelf_getehdr(file.elf, &header));
	if (strcmp(prefix, "headers") == 0) {
		ret_regions[count++] = (struct region){.start = 0,
						       .size = sizeof(Elf64_Ehdr) +
							       header.e_phnum * sizeof(Elf64_Phdr)};
		ret_regions[count++] = (struct region){.start = header.e_shoff,
						       .size = header.e_shnum * sizeof(Elf64_Shdr)};
	}
	CHECK(elf_getshdrstrndx(file.elf, &names) == 0);
	while ((section = elf_nextscn(file.elf, section)) && count < REGIONS_MAX) {
		GElf_Shdr one;

		CHECK(gelf_getshdr(section, &one));
		if (one.sh_type != SHT_NOBITS && one.sh_size &&
		    strncmp(elf_strptr(file.elf, names, one.sh_name), prefix, strlen(prefix)) == 0)
			ret_regions[count++] =
				(struct region){.start = one.sh_offset, .size = one.sh_size};
	}
	elf_file_close(&file);
	fixture_close(&fixture);
	CHECK(count > 0);
	return count;
}

/* Some bytes in parts of the file, another choice of them for each variant. */
static void damage(const char *flags, const char *prefix, uint64_t seed)
{
	static uint8_t whole[FILE_MAX], broken[FILE_MAX];
	struct region regions[REGIONS_MAX];
	const char *folder = kit_folder();
	uint64_t spot, state = seed;
	size_t size, region_count;

	need("gcc");
	write_file(folder, "inlined.c", inlined_source);
	CHECK(shell(folder, "gcc -O2 %s inlined.c -o whole", flags) == 0);
	spot = address_of(folder, "whole", "spot");
	size = read_bytes(folder, "whole", whole);
	region_count = find_regions(folder, prefix, size, regions);
	for (int variant = 0; variant < VARIANTS; variant++) {
		size_t count = 1 + next_random(&state) % 8;

		memcpy(broken, whole, size);
		for (size_t i = 0; i < count; i++) {
			const struct region *region = &regions[next_random(&state) % region_count];
			size_t at = region->start + next_random(&state) % region->size;
			static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff};
			uint64_t kind = next_random(&state);

			if (kind % 3 == 0)
				broken[at] = edges[kind / 3 % sizeof(edges)];
			else if (kind % 3 == 1)
				broken[at] ^= (uint8_t)(1 << (kind / 3 % 8));
			else
				broken[at] = (uint8_t)(kind / 3);
		}
		write_bytes(folder, "broken", broken, size);
		ask_around(folder, "broken", spot);
	}
}

TEST(bytes_changed_anywhere)
{
	damage("-g", "", 1);
}

TEST(bytes_changed_in_debug_sections)
{
	damage("-g", ".debug_", 2);
}

TEST(bytes_changed_in_debug_sections_of_dwarf_4)
{
	damage("-gdwarf-4", ".debug_", 3);
}

TEST(bytes_changed_in_debug_info)
{
	damage("-g", ".debug_info", 4);
}

TEST(bytes_changed_in_debug_abbrev)
{
	damage("-g", ".debug_abbrev", 5);
}

TEST(bytes_changed_in_lines)
{
	damage("-g", ".debug_line", 6);
}

TEST(bytes_changed_in_packed_sections)
{
	damage("-g -gz=zlib", ".debug_", 7);
}

TEST(bytes_changed_in_headers)
{
	damage("-g", "headers", 8);
}

TEST(bytes_changed_in_unwind_tables)
{
	damage("-g", ".eh_frame", 9);
}

TEST(bytes_changed_in_symbol_tables)
{
	damage("-Wl,--export-dynamic", ".d", 10);
	damage("", ".s", 11);
}

TEST(files_cut_short)
{
	static uint8_t whole[FILE_MAX];
	const char *folder = kit_folder();
	uint64_t spot;
	size_t size;

	need("gcc");
	write_file(folder, "inlined.c", inlined_source);
	CHECK(shell(folder, "gcc -O2 -g inlined.c -o whole") == 0);
	spot = address_of(folder, "whole", "spot");
	size = read_bytes(folder, "whole", whole);
	for (size_t i = 0; i < VARIANTS; i++) {
		write_bytes(folder, "broken", whole, size * i / VARIANTS);
		ask_around(folder, "broken", spot);
	}
}

KIT_MAIN
