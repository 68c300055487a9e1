/* Unit tests of what allocators are found by: the dynamic linker's list, and symbol tables. */
#include "reader/target/link_map.h"

#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <sys/mman.h>

#include "reader/target/allocator_file.h"
#include "reader/target/elf_symbols.h"
#include "reader/util/own.h"
#include "tests/lib/kit.h"
#include "tests/unit/child.h"

/* ---- the linker's list, over a memory of ours */

enum {
	MEMORY_BYTES = 65536,
	BASE = 0x10000, /* address of its first byte */
	HEADERS = BASE + 64,
	DYNAMIC = BASE + 1024,
	DEBUG = BASE + 2048,
	MAPS = BASE + 4096,
	CHAIN = 5,
};

struct memory {
	char bytes[MEMORY_BYTES];
	size_t reads;
};

static int read_fake(void *context, uint64_t address, void *into, size_t count)
{
	struct memory *memory = context;

	memory->reads++;
	if (address < BASE || count > MEMORY_BYTES || address - BASE > MEMORY_BYTES - count)
		return -EIO;
	memcpy(into, memory->bytes + (address - BASE), count);
	return 0;
}

static void *place(struct memory *memory, uint64_t address)
{
	return memory->bytes + (address - BASE);
}

static struct link_map *map_at(struct memory *memory, unsigned index)
{
	return (struct link_map *)place(memory, MAPS) + index;
}

static uint64_t map_address(unsigned index)
{
	return MAPS + index * sizeof(struct link_map);
}

/* A program at bias 0x1000 with a list of CHAIN objects. */
static struct memory *make_memory(void)
{
	struct memory *memory = mem_zalloc(sizeof(*memory));
	Elf64_Phdr *headers = place(memory, HEADERS);
	Elf64_Dyn *dynamic = place(memory, DYNAMIC);
	struct r_debug *debug = place(memory, DEBUG);

	headers[0] = (Elf64_Phdr){.p_type = PT_PHDR, .p_vaddr = HEADERS - 0x1000};
	headers[1] = (Elf64_Phdr){.p_type = PT_LOAD};
	headers[2] = (Elf64_Phdr){
		.p_type = PT_DYNAMIC, .p_vaddr = DYNAMIC - 0x1000, .p_memsz = 8 * sizeof(*dynamic)};
	dynamic[0].d_tag = DT_STRTAB;
	dynamic[1].d_tag = DT_DEBUG;
	dynamic[1].d_un.d_ptr = DEBUG;
	debug->r_version = 1;
	debug->r_map = (struct link_map *)map_address(0);
	for (unsigned i = 0; i < CHAIN; i++)
		*map_at(memory, i) = (struct link_map){
			.l_addr = 0x7000 + i,
			.l_ld = (Elf64_Dyn *)(uintptr_t)(0x9000 + i),
			.l_next = i + 1 < CHAIN ? (struct link_map *)map_address(i + 1) : NULL,
			.l_prev = i > 0 ? (struct link_map *)map_address(i - 1) : NULL,
		};
	return memory;
}

/* What the walk says; how many objects it appended. */
static int walk(struct memory *memory, size_t *ret_count)
{
	struct link_map_reader reader = {read_fake, memory};
	linked_objects objects = {0};
	int ret = link_map_walk(&reader, HEADERS, 3, &objects);

	*ret_count = objects.count;
	for (size_t i = 0; i < objects.count && i < CHAIN; i++) {
		CHECK_EQ_U64(objects.items[i].bias, 0x7000 + i);
		CHECK_EQ_U64(objects.items[i].dynamic, 0x9000 + i);
	}
	vec_done(&objects);
	return ret;
}

TEST(linked_objects_come_in_their_order)
{
	OWN(own_free) struct memory *memory = make_memory();
	size_t count;

	CHECK_EQ_I64(walk(memory, &count), 0);
	CHECK_EQ_U64(count, CHAIN);
}

TEST(a_list_that_is_not_there_yet_is_told)
{
	OWN(own_free) struct memory *memory = make_memory();
	Elf64_Dyn *dynamic = place(memory, DYNAMIC);
	struct r_debug *debug = place(memory, DEBUG);
	Elf64_Phdr *headers = place(memory, HEADERS);
	struct link_map_reader reader = {read_fake, memory};
	linked_objects objects = {0};
	size_t count;

	debug->r_map = NULL;
	CHECK_EQ_I64(walk(memory, &count), -ENODATA);
	CHECK_EQ_U64(count, 0);
	dynamic[1].d_un.d_ptr = 0;
	CHECK_EQ_I64(walk(memory, &count), -ENODATA);
	dynamic[1].d_tag = DT_NULL;
	CHECK_EQ_I64(walk(memory, &count), -ENODATA);
	headers[2].p_type = PT_NOTE;
	CHECK_EQ_I64(walk(memory, &count), -ENODATA);
	CHECK_EQ_I64(link_map_walk(&reader, 0, 0, &objects), -ENODATA);
	CHECK_EQ_I64(link_map_walk(&reader, HEADERS, UINT64_MAX, &objects), -EBADMSG);
	CHECK_EQ_U64(objects.count, 0);
}

TEST(circles_end)
{
	for (unsigned from = 0; from < CHAIN; from++) {
		for (unsigned to = 0; to <= from; to++) {
			OWN(own_free) struct memory *memory = make_memory();
			size_t count;

			map_at(memory, from)->l_next = (struct link_map *)map_address(to);
			CHECK_EQ_I64(walk(memory, &count), -EBADMSG);
			CHECK_EQ_U64(count, 0);
			CHECK(memory->reads < 100);
		}
	}
}

/* Each answer is a further link: a list that grows while it is read. */
static int read_for_ever(void *context, uint64_t address, void *into, size_t count)
{
	struct link_map map = {
		.l_next = (struct link_map *)(uintptr_t)(address + sizeof(map)),
		.l_prev = address == map_address(0)
				  ? NULL
				  : (struct link_map *)(uintptr_t)(address - sizeof(map)),
	};

	if (address < MAPS)
		return read_fake(context, address, into, count);
	memcpy(into, &map, count < sizeof(map) ? count : sizeof(map));
	return 0;
}

TEST(a_list_without_end_ends)
{
	OWN(own_free) struct memory *memory = make_memory();
	struct link_map_reader reader = {read_for_ever, memory};
	linked_objects objects = {0};

	CHECK_EQ_I64(link_map_walk(&reader, HEADERS, 3, &objects), -EBADMSG);
	CHECK_EQ_U64(objects.count, 0);
	vec_done(&objects);
}

TEST(wild_pointers_end)
{
	static const uint64_t wild[] = {1,	    BASE - 1,  BASE + MEMORY_BYTES - 8,
					UINT64_MAX, INT64_MAX, UINT64_MAX - 16,
					1ULL << 63};

	for (size_t i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
		for (unsigned what = 0; what < 4; what++) {
			OWN(own_free) struct memory *memory = make_memory();
			Elf64_Dyn *dynamic = place(memory, DYNAMIC);
			struct r_debug *debug = place(memory, DEBUG);
			Elf64_Phdr *headers = place(memory, HEADERS);
			size_t count;

			if (what == 0)
				headers[2].p_vaddr = wild[i];
			else if (what == 1)
				dynamic[1].d_un.d_ptr = wild[i];
			else if (what == 2)
				debug->r_map = (struct link_map *)(uintptr_t)wild[i];
			else
				map_at(memory, 3)->l_next = (struct link_map *)(uintptr_t)wild[i];
			CHECK(walk(memory, &count) < 0);
			CHECK_EQ_U64(count, 0);
		}
	}
}

TEST(any_bytes_end)
{
	uint64_t random = 88172645463325252ULL;

	for (unsigned round = 0; round < 20000; round++) {
		OWN(own_free) struct memory *memory = make_memory();
		linked_objects objects = {0};
		struct link_map_reader reader = {read_fake, memory};

		for (unsigned i = 0; i < 4; i++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			memory->bytes[random % (MAPS - BASE + CHAIN * sizeof(struct link_map))] =
				(char)(random >> 32);
		}
		link_map_walk(&reader, HEADERS, 3, &objects);
		CHECK(memory->reads < LINK_MAP_MAX);
		vec_done(&objects);
	}
}

/* ---- symbol tables */

/* Symbols and strings of a small library, at known places. */
struct library {
	Elf64_Ehdr header;
	Elf64_Phdr code;
	Elf64_Sym symbols[8];
	char strings[256];
	Elf64_Shdr sections[3];
	uint8_t text[256];
};

static const char STRINGS[] = "\0"
			      "_rjem_malloc\0"			      /* 1; malloc: 7 */
			      "pool_free\0"			      /* 14; free: 19 */
			      "mallocate\0"			      /* 24 */
			      "_RNvCs1a2B_7___rustc12___rust_alloc\0" /* 34 */
			      "_RNvCs1a2B_7___rustc11___rust_alloc\0" /* 70: a wrong length */
			      "realloc\0";			      /* 106; alloc: 108 */

static void make_library(struct library *library)
{
	static const uint32_t names[] = {0, 7, 19, 24, 34, 70, 106, 1};

	memset(library, 0, sizeof(*library));
	memcpy(library->header.e_ident, ELFMAG, SELFMAG);
	library->header.e_ident[EI_CLASS] = ELFCLASS64;
	library->header.e_ident[EI_DATA] = ELFDATA2LSB;
	library->header.e_ident[EI_VERSION] = EV_CURRENT;
	library->header.e_type = ET_DYN;
	library->header.e_machine = EM_X86_64;
	library->header.e_phoff = offsetof(struct library, code);
	library->header.e_phentsize = sizeof(Elf64_Phdr);
	library->header.e_phnum = 1;
	library->header.e_shoff = offsetof(struct library, sections);
	library->header.e_shentsize = sizeof(Elf64_Shdr);
	library->header.e_shnum = 3;
	library->code = (Elf64_Phdr){.p_type = PT_LOAD,
				     .p_flags = PF_R | PF_X,
				     .p_offset = offsetof(struct library, text),
				     .p_vaddr = 0x1000,
				     .p_filesz = sizeof(library->text),
				     .p_memsz = sizeof(library->text)};
	memcpy(library->strings, STRINGS, sizeof(STRINGS));
	for (unsigned i = 1; i < 8; i++)
		library->symbols[i] = (Elf64_Sym){.st_name = names[i],
						  .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
						  .st_shndx = 1,
						  .st_value = 0x1000 + 16 * i,
						  .st_size = 16};
	library->sections[1] = (Elf64_Shdr){.sh_type = SHT_DYNSYM,
					    .sh_offset = offsetof(struct library, symbols),
					    .sh_size = sizeof(library->symbols),
					    .sh_entsize = sizeof(Elf64_Sym),
					    .sh_link = 2};
	library->sections[2] = (Elf64_Shdr){.sh_type = SHT_STRTAB,
					    .sh_offset = offsetof(struct library, strings),
					    .sh_size = sizeof(library->strings)};
}

static int file_of(const void *bytes, size_t count)
{
	int fd = memfd_create("library", MFD_CLOEXEC);

	CHECK(fd >= 0);
	CHECK(write(fd, bytes, count) == (ssize_t)count);
	return fd;
}

static const char *const WANTED[] = {"malloc", "free", "realloc", "__rust_alloc", "_rjem_malloc"};
enum { WANTED_COUNT = 5 };

static void find_in(const void *bytes, size_t count, elf_found_list *found, int *ret_error)
{
	OWN(own_close) int fd = file_of(bytes, count);
	struct elf_wanted *wanted = elf_wanted_new(WANTED, WANTED_COUNT);
	struct elf_symbol_tables tables;

	*ret_error = elf_symbols_find(fd, wanted, found, &tables);
	elf_wanted_free(wanted);
}

TEST(names_are_found_whole_shared_and_mangled)
{
	static const uint32_t want[] = {0, 1, 3, 2, 4}, index[] = {1, 2, 4, 6, 7};
	struct library library;
	elf_found_list found = {0};
	int ret;

	make_library(&library);
	find_in(&library, sizeof(library), &found, &ret);
	CHECK_EQ_I64(ret, 0);
	CHECK_EQ_U64(found.count, 5);
	for (size_t i = 0; i < found.count; i++) {
		CHECK_EQ_U64(found.items[i].name, want[i]);
		CHECK_EQ_U64(found.items[i].index, index[i]);
		CHECK_EQ_U64(found.items[i].vaddr, 0x1000 + 16 * index[i]);
		CHECK(found.items[i].is_dynamic && found.items[i].is_defined);
	}
	CHECK_EQ_STR(found.items[2].spelled, "_RNvCs1a2B_7___rustc12___rust_alloc");
	CHECK_EQ_STR(found.items[0].spelled, "malloc");
	vec_done(&found);
}

/* Names lie at every position around the end of a piece that is read at once. */
TEST(names_are_found_across_pieces)
{
	enum { FILL = 65536, AROUND = 80 };
	static const char mangled[] = "_RNvCs1a2B_7___rustc12___rust_alloc";
	size_t strings = FILL + 4096, total = sizeof(struct library) + strings;
	OWN(own_free) char *bytes = mem_zalloc(total);
	struct library *library = (struct library *)bytes;

	for (size_t before = FILL - AROUND; before < FILL + AROUND; before++) {
		char *table = bytes + sizeof(*library);
		elf_found_list found = {0};
		int ret;

		make_library(library);
		memset(table, 'x', strings);
		/* A string that is longer than a piece, then the two names. */
		table[before - 1] = '\0';
		memcpy(table + before, mangled, sizeof(mangled));
		memcpy(table + before + sizeof(mangled), "xx_free", 8);
		table[strings - 1] = '\0';
		library->sections[2].sh_offset = sizeof(*library);
		library->sections[2].sh_size = strings;
		library->symbols[1].st_name = (uint32_t)before;
		library->symbols[2].st_name = (uint32_t)(before + sizeof(mangled) + 3);
		library->sections[1].sh_size = 3 * sizeof(Elf64_Sym);
		find_in(bytes, total, &found, &ret);
		CHECK_EQ_I64(ret, 0);
		CHECK_EQ_U64(found.count, 2);
		CHECK_EQ_STR(found.items[0].spelled, mangled);
		CHECK_EQ_STR(found.items[1].spelled, "free");
		vec_done(&found);
	}
}

TEST(functions_outside_of_code_are_none)
{
	struct elf_wanted *wanted = elf_wanted_new(WANTED, WANTED_COUNT);
	struct allocator_file *file;
	struct library library;
	int fd;

	make_library(&library);
	library.symbols[1].st_value = 0x1000 + sizeof(library.text);
	library.symbols[2].st_value = 0xfff;
	library.symbols[4].st_value = UINT64_MAX;
	library.symbols[6].st_shndx = SHN_UNDEF;
	fd = file_of(&library, sizeof(library));
	file = allocator_file_read(fd, wanted);
	CHECK_EQ_I64(file->error, 0);
	CHECK_EQ_U64(file->symbols.count, 1);
	CHECK_EQ_STR(file->symbols.items[0].spelled, "_rjem_malloc");
	CHECK_EQ_U64(file->imports.count, 1);
	allocator_file_free(file);
	elf_wanted_free(wanted);
	close(fd);
}

/* Every byte of the headers and tables is damaged in turn, and the file cut at every length. */
TEST(damaged_tables_are_survived)
{
	static const uint8_t damage[] = {0xff, 0x80, 0x01, 0x7f};
	struct library library, whole;
	size_t found_at_all = 0;

	make_library(&whole);
	for (size_t at = 0; at < offsetof(struct library, text); at++) {
		for (size_t i = 0; i < sizeof(damage); i++) {
			elf_found_list found = {0};
			int ret;

			library = whole;
			((uint8_t *)&library)[at] ^= damage[i];
			find_in(&library, sizeof(library), &found, &ret);
			CHECK(found.count <= 8);
			found_at_all += ret == 0;
			vec_done(&found);
		}
	}
	CHECK(found_at_all > 1000);
	for (size_t size = 0; size < offsetof(struct library, text); size++) {
		elf_found_list found = {0};
		int ret;

		find_in(&whole, size, &found, &ret);
		CHECK(ret < 0);
		vec_done(&found);
	}
}

/* The same for real files, with all that is concluded from them. */
TEST(damaged_libraries_are_survived)
{
	static const char library[] = "/usr/lib/x86_64-linux-gnu/libc.so.6";
	const char *names[512];
	OWN(own_close) int original = open(library, O_RDONLY | O_CLOEXEC);
	OWN(own_free) char *bytes = NULL;
	struct elf_wanted *wanted;
	uint64_t random = 1234567;
	struct stat stat;

	if (original < 0 || fstat(original, &stat) < 0)
		SKIP("%s is not there", library);
	CHECK(allocator_name_count <= 512);
	for (size_t i = 0; i < allocator_name_count; i++)
		names[i] = allocator_names[i].text;
	wanted = elf_wanted_new(names, allocator_name_count);
	bytes = mem_alloc((size_t)stat.st_size);
	for (unsigned round = 0; round < 60; round++) {
		size_t size = (size_t)stat.st_size;
		struct allocator_file *file;
		int fd;

		CHECK(pread(original, bytes, size, 0) == (ssize_t)size);
		for (unsigned i = 0; i < 2000; i++) {
			random = random * 6364136223846793005ULL + 1442695040888963407ULL;
			/* Half of the damage where headers and tables are. */
			bytes[(random >> 20) % (i % 2 ? size : 200000)] = (char)(random >> 56);
		}
		memcpy(bytes, ELFMAG, SELFMAG);
		if (round % 3) /* Else hardly any gets past the header. */
			CHECK(pread(original, bytes, sizeof(Elf64_Ehdr), 0) > 0);
		if (round % 5 == 0)
			size = (random >> 30) % size;
		fd = file_of(bytes, size);
		file = allocator_file_read(fd, wanted);
		for (size_t i = 0; i < file->symbols.count; i++)
			CHECK(strlen(file->symbols.items[i].spelled) < ELF_NAME_BYTES);
		allocator_file_free(file);
		close(fd);
	}
	elf_wanted_free(wanted);
}

KIT_MAIN
