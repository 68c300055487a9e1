#include "reader/target/probe_point.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <linux/perf_event.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "reader/util/vec.h"
#include "tests/unit/objdump.h"

enum { RDI = 1, RSI = 2 };

/* ---- files made here: headers, and from TEXT_OFFSET on the text, at TEXT_VADDR */

enum {
	TEXT_OFFSET = 0x1000,
	TEXT_VADDR = 0x401000, /* another distance to the offset than usual */
	ENTRY = 0x400,	       /* of the function, in the text */
	TEXT_BYTES = 0x90000,  /* read in several pieces */
};

struct made {
	uint8_t *bytes;
	size_t size;
};

static uint8_t *text_at(struct made *made, size_t at)
{
	return made->bytes + TEXT_OFFSET + at;
}

/* All of the text traps, which no jump looks like. */
static struct made make_file(void)
{
	struct made made = {.size = TEXT_OFFSET + TEXT_BYTES};
	Elf64_Ehdr *header;
	Elf64_Phdr *segment;

	made.bytes = calloc(1, made.size);
	header = (Elf64_Ehdr *)made.bytes;
	memcpy(header->e_ident, ELFMAG, SELFMAG);
	header->e_ident[EI_CLASS] = ELFCLASS64;
	header->e_ident[EI_DATA] = ELFDATA2LSB;
	header->e_ident[EI_VERSION] = EV_CURRENT;
	header->e_type = ET_DYN;
	header->e_machine = EM_X86_64;
	header->e_phoff = sizeof(*header);
	header->e_phentsize = sizeof(*segment);
	header->e_phnum = 1;
	segment = (Elf64_Phdr *)(header + 1);
	*segment = (Elf64_Phdr){
		.p_type = PT_LOAD,
		.p_flags = PF_R | PF_X,
		.p_offset = TEXT_OFFSET,
		.p_vaddr = TEXT_VADDR,
		.p_filesz = TEXT_BYTES,
		.p_memsz = TEXT_BYTES,
	};
	memset(text_at(&made, 0), 0xcc, TEXT_BYTES);
	return made;
}

static int make_fd(const struct made *made)
{
	int fd = memfd_create("made", MFD_CLOEXEC);

	CHECK(fd >= 0 && write(fd, made->bytes, made->size) == (ssize_t)made->size);
	return fd;
}

static struct probe_point find_one(const struct made *made, uint64_t size, uint8_t arguments)
{
	struct probe_request request = {TEXT_VADDR + ENTRY, size, arguments};
	struct probe_point point;
	int fd = make_fd(made);

	CHECK_EQ_I64(probe_points_find(fd, &request, 1, &point), 0);
	close(fd);
	CHECK_EQ_U64(point.file_offset, point.vaddr - TEXT_VADDR + TEXT_OFFSET);
	return point;
}

/* Where in the function. */
static uint64_t found_at(const struct made *made, uint64_t size, uint8_t arguments)
{
	struct probe_point point = find_one(made, size, arguments);

	CHECK_EQ_U64(point.is_emulated, strcmp(point.instruction, "other") != 0);
	return point.vaddr - TEXT_VADDR - ENTRY;
}

#define CODE(made, ...)                                                                            \
	memcpy(text_at(made, ENTRY), (uint8_t[]){__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__}))

#define TEST_RDI 0x48, 0x85, 0xff
#define ENDBR64 0xf3, 0x0f, 0x1e, 0xfa
#define PUSH_RBX 0x53

static void put_jump(struct made *made, size_t from, size_t to, bool is_conditional)
{
	uint8_t *at = text_at(made, from);
	int32_t distance;

	if (is_conditional)
		*at++ = 0x0f;
	*at++ = is_conditional ? 0x8f : 0xe9;
	distance = (int32_t)(to - (from + (is_conditional ? 6 : 5)));
	memcpy(at, &distance, sizeof(distance));
}

TEST(passes_over_what_does_no_harm)
{
	struct made made = make_file();
	struct probe_point point;

	CODE(&made, ENDBR64, TEST_RDI, 0x74, 0x20);
	point = find_one(&made, 0, 0);
	CHECK_EQ_U64(point.vaddr, TEXT_VADDR + ENTRY + 7);
	CHECK_EQ_U64(point.opcode, 0x74);
	CHECK_EQ_STR(point.instruction, "jcc");
	CHECK(point.is_emulated);
	CODE(&made, PUSH_RBX, 0x53);
	CHECK_EQ_U64(found_at(&made, 0, 0), 0);
	/* 31 c0: xor %eax,%eax. c3: ret. */
	CODE(&made, 0x31, 0xc0, 0xc3, PUSH_RBX);
	point = find_one(&made, 0, 0);
	CHECK_EQ_U64(point.vaddr, TEXT_VADDR + ENTRY);
	CHECK(!point.is_emulated);
	CHECK_EQ_U64(point.opcode, 0x31);
	CHECK_EQ_STR(point.instruction, "other");
	free(made.bytes);
}

TEST(arguments_stay)
{
	struct made made = make_file();

	/* mov %rdi,%rsi */
	CODE(&made, 0x48, 0x89, 0xfe, PUSH_RBX);
	CHECK_EQ_U64(found_at(&made, 0, 0), 0);
	CHECK_EQ_U64(found_at(&made, 0, RSI), 0);
	CHECK_EQ_U64(found_at(&made, 0, RDI), 3);
	/* sub $8,%rsp; mov %rdi,(%rax); push */
	CODE(&made, 0x48, 0x83, 0xec, 8, PUSH_RBX);
	CHECK_EQ_U64(found_at(&made, 0, RDI), 0);
	CODE(&made, 0x48, 0x89, 0x38, PUSH_RBX);
	CHECK_EQ_U64(found_at(&made, 0, RDI), 0);
	free(made.bytes);
}

TEST(stays_in_the_function)
{
	struct made made = make_file();

	CODE(&made, ENDBR64, PUSH_RBX);
	CHECK_EQ_U64(found_at(&made, 5, 0), 4);
	CHECK_EQ_U64(found_at(&made, 4, 0), 0);
	CHECK_EQ_U64(found_at(&made, 1, 0), 0);
	/* 63 bytes of nops are near enough, 66 are not. */
	for (size_t i = 0; i < 22; i++)
		memcpy(text_at(&made, ENTRY + 3 * i), (uint8_t[]){0x0f, 0x1f, 0x00}, 3);
	*text_at(&made, ENTRY + 66) = PUSH_RBX;
	CHECK_EQ_U64(found_at(&made, 0, 0), 0);
	*text_at(&made, ENTRY + 63) = PUSH_RBX;
	CHECK_EQ_U64(found_at(&made, 0, 0), 63);
	/* Where the segment ends. */
	((Elf64_Phdr *)(made.bytes + sizeof(Elf64_Ehdr)))->p_filesz = ENTRY + 63;
	CHECK_EQ_U64(found_at(&made, 0, 0), 0);
	free(made.bytes);
}

TEST(a_nop5_is_not_chosen)
{
	struct made made = make_file();

	CODE(&made, ENDBR64, 0x0f, 0x1f, 0x44, 0, 0, PUSH_RBX);
	CHECK_EQ_U64(found_at(&made, 0, 0), 9);
	CODE(&made, 0x0f, 0x1f, 0x44, 0, 0, PUSH_RBX);
	CHECK_EQ_U64(found_at(&made, 0, 0), 5);
	/* With nothing better, what is behind it. */
	CODE(&made, 0x0f, 0x1f, 0x44, 0, 0, 0xc3);
	CHECK_EQ_U64(found_at(&made, 0, 0), 5);
	free(made.bytes);
}

/* Jumps from everywhere to everywhere: only those into the stretch count. */
TEST(jumps_into_the_stretch)
{
	static const size_t far[] = {0,	      0x200,   0x1000,	0x3fffb,       0x3fffc,
				     0x3ffff, 0x40000, 0x7fffe, TEXT_BYTES - 6};
	struct made made = make_file();

	CODE(&made, ENDBR64, TEST_RDI, PUSH_RBX);
	CHECK_EQ_U64(found_at(&made, 0, 0), 7);
	for (size_t i = 0; i < sizeof(far) / sizeof(*far); i++) {
		uint8_t saved[6];

		memcpy(saved, text_at(&made, far[i]), sizeof(saved));
		for (size_t to = 0; to <= 8; to++)
			for (int kind = 0; kind < 2; kind++) {
				uint64_t want = to > 0 && to <= 7 ? 0 : 7;

				put_jump(&made, far[i], ENTRY + to, kind);
				CHECK_EQ_U64(found_at(&made, 0, 0), want);
				memcpy(text_at(&made, far[i]), saved, sizeof(saved));
			}
	}
	/* The last bytes of the text are no jump where it would go on behind them. */
	*text_at(&made, TEXT_BYTES - 4) = 0xe9;
	CHECK_EQ_U64(found_at(&made, 0, 0), 7);
	free(made.bytes);
}

TEST(near_jumps_into_the_stretch)
{
	static const uint8_t opcodes[] = {0xeb, 0x70, 0x74, 0x7f, 0xe0, 0xe3};
	struct made made = make_file();

	CODE(&made, ENDBR64, TEST_RDI, PUSH_RBX);
	for (int distance = -128; distance < 128; distance++)
		for (int to = 0; to <= 8; to++) {
			int from = to - distance - 2;
			uint8_t *at = text_at(&made, (size_t)(ENTRY + from));

			if (from > -2 && from <= 7)
				continue;
			at[0] = opcodes[(to + distance + 128) % sizeof(opcodes)];
			at[1] = (uint8_t)distance;
			if (found_at(&made, 0, 0) != (to > 0 && to <= 7 ? 0 : 7))
				FAIL("jump at %d to %d", from, to);
			at[0] = at[1] = 0xcc;
		}
	/* The point itself may be a jump, also one to itself or back. */
	CODE(&made, ENDBR64, TEST_RDI, 0x74, 0x10);
	CHECK_EQ_U64(found_at(&made, 0, 0), 7);
	CODE(&made, ENDBR64, TEST_RDI, 0x74, 0xfe);
	CHECK_EQ_U64(found_at(&made, 0, 0), 0);
	CODE(&made, ENDBR64, TEST_RDI, 0x74, 0xfb);
	CHECK_EQ_U64(found_at(&made, 0, 0), 0);
	/* A byte in the midst of a later instruction: mov $0xf4eb,%eax. */
	CODE(&made, ENDBR64, TEST_RDI, PUSH_RBX, 0xb8, 0xeb, 0xf8, 0, 0, 0xc3);
	CHECK_EQ_U64(found_at(&made, 0, 0), 7);
	free(made.bytes);
}

TEST(symbols_in_the_stretch)
{
	struct made made = make_file();
	Elf64_Ehdr *header = (Elf64_Ehdr *)made.bytes;
	Elf64_Shdr *section = (Elf64_Shdr *)(made.bytes + 0x200);
	Elf64_Sym *symbol = (Elf64_Sym *)(made.bytes + 0x400);

	CODE(&made, ENDBR64, PUSH_RBX);
	header->e_shoff = 0x200;
	header->e_shnum = 1;
	header->e_shentsize = sizeof(*section);
	*section = (Elf64_Shdr){
		.sh_type = SHT_SYMTAB, .sh_offset = 0x400, .sh_size = 24, .sh_entsize = 24};
	*symbol = (Elf64_Sym){.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), .st_shndx = 1};
	for (size_t to = 0; to <= 5; to++) {
		symbol->st_value = TEXT_VADDR + ENTRY + to;
		CHECK_EQ_U64(found_at(&made, 0, 0), to > 0 && to <= 4 ? 0 : 4);
	}
	symbol->st_value = TEXT_VADDR + ENTRY + 4;
	symbol->st_info = ELF64_ST_INFO(STB_LOCAL, STT_OBJECT);
	CHECK_EQ_U64(found_at(&made, 0, 0), 4);
	symbol->st_info = ELF64_ST_INFO(STB_LOCAL, STT_FUNC);
	symbol->st_shndx = SHN_UNDEF;
	CHECK_EQ_U64(found_at(&made, 0, 0), 4);
	/* Tables that cannot be read: who knows what they hold. */
	section->sh_offset = made.size;
	CHECK_EQ_U64(found_at(&made, 0, 0), 0);
	section->sh_offset = 0x400;
	header->e_shoff = made.size - 1;
	CHECK_EQ_U64(found_at(&made, 0, 0), 0);
	free(made.bytes);
}

TEST(refusals)
{
	struct probe_request requests[2] = {{TEXT_VADDR + ENTRY, 0, 0}, {TEXT_VADDR - 1, 0, 0}};
	struct probe_point points[2] = {{.opcode = 99}, {.opcode = 99}};
	struct made made = make_file();
	int fd = make_fd(&made);

	CHECK_EQ_I64(probe_points_find(fd, requests, 2, points), -EBADMSG);
	CHECK_EQ_U64(points[0].opcode, 99);
	requests[1].vaddr = TEXT_VADDR + TEXT_BYTES;
	CHECK_EQ_I64(probe_points_find(fd, requests, 2, points), -EBADMSG);
	requests[1].vaddr = UINT64_MAX;
	CHECK_EQ_I64(probe_points_find(fd, requests, 2, points), -EBADMSG);
	requests[1].vaddr = TEXT_VADDR + TEXT_BYTES - 1;
	CHECK_EQ_I64(probe_points_find(fd, requests, 2, points), 0);
	CHECK_EQ_I64(probe_points_find(fd, requests, 0, points), 0);
	CHECK_EQ_I64(ftruncate(fd, TEXT_OFFSET + ENTRY), 0);
	CHECK_EQ_I64(probe_points_find(fd, requests, 1, points), -EBADMSG);
	CHECK_EQ_I64(ftruncate(fd, 3), 0);
	CHECK_EQ_I64(probe_points_find(fd, requests, 1, points), -ENOEXEC);
	close(fd);
	((Elf64_Ehdr *)made.bytes)->e_machine = EM_AARCH64;
	fd = make_fd(&made);
	CHECK_EQ_I64(probe_points_find(fd, requests, 1, points), -ENOTSUP);
	close(fd);
	free(made.bytes);
}

/* ---- libraries of this system */

struct functions {
	int fd;
	const uint8_t *bytes;
	size_t size;
	VEC(struct probe_request) requests;
	VEC(const char *) names;
	struct probe_point *points;
};

static void add_functions(struct functions *functions, const Elf64_Shdr *sections,
			  const Elf64_Shdr *table)
{
	const Elf64_Sym *symbols = (const void *)(functions->bytes + table->sh_offset);
	const char *names = (const char *)functions->bytes + sections[table->sh_link].sh_offset;

	for (size_t i = 0; i < table->sh_size / sizeof(*symbols); i++) {
		if (symbols[i].st_shndx == SHN_UNDEF || !symbols[i].st_size ||
		    ELF64_ST_TYPE(symbols[i].st_info) != STT_FUNC)
			continue;
		*vec_add(&functions->requests) =
			(struct probe_request){symbols[i].st_value, symbols[i].st_size, 0};
		*vec_add(&functions->names) = names + symbols[i].st_name;
	}
}

/* Every function that is exported, and its point. */
static void load_functions(const char *name, struct functions *ret_functions)
{
	const char *path = library_path(name);
	struct functions functions = {0};
	const Elf64_Ehdr *header;
	const Elf64_Shdr *sections;
	struct stat status;

	if (!path)
		SKIP("%s is not here", name);
	functions.fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(functions.fd >= 0 && fstat(functions.fd, &status) == 0);
	functions.size = (size_t)status.st_size;
	functions.bytes = mmap(NULL, functions.size, PROT_READ, MAP_PRIVATE, functions.fd, 0);
	CHECK(functions.bytes != MAP_FAILED);
	header = (const void *)functions.bytes;
	sections = (const void *)(functions.bytes + header->e_shoff);
	for (size_t i = 0; i < header->e_shnum; i++)
		if (sections[i].sh_type == SHT_DYNSYM)
			add_functions(&functions, sections, &sections[i]);
	functions.points = calloc(functions.requests.count, sizeof(*functions.points));
	CHECK_EQ_I64(probe_points_find(functions.fd, functions.requests.items,
				       functions.requests.count, functions.points),
		     0);
	*ret_functions = functions;
}

static void unload_functions(struct functions *functions)
{
	munmap((void *)functions->bytes, functions->size);
	close(functions->fd);
	vec_done(&functions->requests);
	vec_done(&functions->names);
	free(functions->points);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* What objdump says that is jumped to or called must not lie between a function's entry and its
 * point; and the point begins an instruction. */
static void check_library(const char *name, double percent)
{
	VEC(uint64_t) targets = {0};
	VEC(uint64_t) begins = {0};
	size_t emulated = 0, moved = 0;
	struct functions functions;
	struct objdump_line line;
	struct objdump dump;

	load_functions(name, &functions);
	objdump_open(library_path(name), &dump);
	while (objdump_next(&dump, &line)) {
		*vec_add(&begins) = line.vaddr;
		if ((line.mnemonic[0] == 'j' || strncmp(line.mnemonic, "call", 4) == 0) &&
		    isxdigit((unsigned char)line.operands[0]))
			*vec_add(&targets) = strtoull(line.operands, NULL, 16);
	}
	objdump_close(&dump);
	CHECK(targets.count > functions.requests.count);
	qsort(targets.items, targets.count, sizeof(uint64_t), by_value);
	for (size_t i = 0; i < functions.requests.count; i++) {
		uint64_t entry = functions.requests.items[i].vaddr;
		const struct probe_point *point = &functions.points[i];
		size_t low = 0, high = targets.count;

		CHECK(point->vaddr >= entry &&
		      point->vaddr - entry < functions.requests.items[i].size);
		CHECK(bsearch(&point->vaddr, begins.items, begins.count, sizeof(uint64_t),
			      by_value));
		emulated += point->is_emulated;
		moved += point->vaddr != entry;
		while (low < high) {
			size_t middle = low + (high - low) / 2;

			if (targets.items[middle] <= entry)
				low = middle + 1;
			else
				high = middle;
		}
		if (low < targets.count && targets.items[low] <= point->vaddr)
			FAIL("%s: %" PRIx64 " is jumped to", functions.names.items[i],
			     targets.items[low]);
	}
	printf("# %s: %zu functions, %zu emulated, %zu of all behind their entry\n", name,
	       functions.requests.count, emulated, moved);
	CHECK_BETWEEN(100.0 * emulated / functions.requests.count, percent, 100);
	unload_functions(&functions);
	vec_done(&targets);
	vec_done(&begins);
}

TEST(functions_of_libc)
{
	check_library("libc.so.6", 45);
}

TEST(functions_of_libstdcxx)
{
	check_library("libstdc++.so.6", 50);
}

TEST(functions_of_jemalloc)
{
	check_library("libjemalloc.so.2", 80);
}

TEST(functions_of_tcmalloc)
{
	check_library("libtcmalloc_minimal.so.4", 60);
}

static const struct probe_point *point_of(struct functions *functions, const char *name,
					  uint8_t arguments, uint64_t *ret_distance)
{
	for (size_t i = 0; i < functions->names.count; i++) {
		struct probe_request request = functions->requests.items[i];

		if (strcmp(functions->names.items[i], name))
			continue;
		request.arguments = arguments;
		CHECK_EQ_I64(probe_points_find(functions->fd, &request, 1, &functions->points[i]),
			     0);
		*ret_distance = functions->points[i].vaddr - request.vaddr;
		return &functions->points[i];
	}
	FAIL("%s is not there", name);
}

static void check_point(struct functions *functions, const char *name, uint8_t arguments,
			uint64_t want, const char *instruction)
{
	uint64_t distance;
	const struct probe_point *point = point_of(functions, name, arguments, &distance);

	if (distance != want || strcmp(point->instruction, instruction))
		FAIL("%s is probed at +%" PRIu64 ", %s", name, distance, point->instruction);
}

/* As Debian 12 has them: known by how free begins there (test %rdi,%rdi; je). */
TEST(allocator_of_glibc_2_36)
{
	static const uint8_t free_begins[] = {0x48, 0x85, 0xff, 0x0f, 0x84};
	struct functions functions;
	uint64_t at = 0;

	load_functions("libc.so.6", &functions);
	for (size_t i = 0; i < functions.names.count; i++)
		if (strcmp(functions.names.items[i], "free") == 0)
			at = functions.requests.items[i].vaddr;
	if (strcmp(gnu_get_libc_version(), "2.36") || at > functions.size - sizeof(free_begins) ||
	    memcmp(functions.bytes + at, free_begins, sizeof(free_begins)))
		SKIP("another libc");
	check_point(&functions, "malloc", 0, 0, "push");
	check_point(&functions, "calloc", 0, 0, "push");
	check_point(&functions, "realloc", 0, 0, "push");
	check_point(&functions, "free", 0, 3, "jcc");
	check_point(&functions, "posix_memalign", 0, 7, "push");
	check_point(&functions, "aligned_alloc", 0, 7, "jcc");
	check_point(&functions, "memalign", 0, 7, "jcc");
	check_point(&functions, "valloc", 0, 7, "push");
	unload_functions(&functions);
}

/* free reads its only argument, but changes three other registers before its first jump. */
TEST(allocator_of_jemalloc)
{
	struct functions functions;
	uint64_t distance;

	load_functions("libjemalloc.so.2", &functions);
	CHECK(point_of(&functions, "malloc", RDI, &distance)->is_emulated);
	CHECK(point_of(&functions, "calloc", RDI | RSI, &distance)->is_emulated);
	CHECK(point_of(&functions, "realloc", RDI | RSI, &distance)->is_emulated);
	CHECK(point_of(&functions, "free", RDI, &distance)->is_emulated);
	unload_functions(&functions);
}

/* ---- damaged files */

TEST(damaged_files)
{
	const char *path = library_path("libjemalloc.so.2");
	struct functions functions;
	size_t survived = 0, failed = 0;
	time_t end;
	int fd;

	if (!path)
		path = library_path("libc.so.6");
	load_functions(strrchr(path, '/') + 1, &functions);
	fd = memfd_create("damaged", MFD_CLOEXEC);
	CHECK(fd >= 0 && write(fd, functions.bytes, functions.size) == (ssize_t)functions.size);
	srand(4);
	end = time(NULL) + 2;
	for (int round = 0; round < 4000 && time(NULL) < end; round++) {
		const Elf64_Ehdr *header = (const void *)functions.bytes;
		/* Headers, tables of sections, symbols: what is believed in. */
		uint64_t from[] = {0, sizeof(*header), header->e_shoff, 0x200};
		uint64_t length[] = {sizeof(*header), 0x300, functions.size - header->e_shoff,
				     functions.size - 0x200};
		size_t where = (size_t)rand() % 4, count = 1 + (size_t)rand() % 8;
		uint64_t at = from[where] + (uint64_t)rand() % length[where];
		uint8_t damage[8];

		if (count > functions.size - at)
			count = functions.size - at;
		for (size_t i = 0; i < count; i++)
			damage[i] = rand() % 3 ? (uint8_t)rand() : rand() % 2 ? 0xff : 0;
		CHECK(pwrite(fd, damage, count, (off_t)at) == (ssize_t)count);
		if (round % 50 == 49)
			CHECK_EQ_I64(ftruncate(fd, (off_t)((size_t)rand() % functions.size)), 0);
		if (probe_points_find(fd, functions.requests.items, functions.requests.count,
				      functions.points) == 0)
			survived++;
		else
			failed++;
		if (round % 50 == 49)
			CHECK(pwrite(fd, functions.bytes, functions.size, 0) ==
			      (ssize_t)functions.size);
		else
			CHECK(pwrite(fd, functions.bytes + at, count, (off_t)at) == (ssize_t)count);
	}
	printf("# %zu files were refused, %zu not\n", failed, survived);
	CHECK(survived > 10 && failed > 10);
	close(fd);
	unload_functions(&functions);
}

/* ---- the kernel's word */

static int probe_self(const char *path, uint64_t file_offset)
{
	struct perf_event_attr attr = {.size = sizeof(attr)};
	FILE *file = fopen("/sys/bus/event_source/devices/uprobe/type", "r");
	int fd;

	if (!file)
		SKIP("this kernel has no uprobes");
	CHECK_EQ_I64(fscanf(file, "%u", &attr.type), 1);
	fclose(file);
	attr.uprobe_path = (uintptr_t)path;
	attr.probe_offset = file_offset;
	fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0 && (errno == EACCES || errno == EPERM))
		SKIP("no uprobes are allowed here: %s", strerror(errno));
	if (fd < 0)
		FAIL("probe at %" PRIx64 ": %s", file_offset, strerror(errno));
	return fd;
}

/* A probe at the point counts every call and nothing else, and the function works as before. */
TEST(each_call_hits_the_point_once)
{
	enum { CALLS = 500 };
	static const struct {
		const char *name;
		uint8_t arguments;
	} wanted[] = {{"malloc", RDI},
		      {"free", RDI},
		      {"realloc", RDI | RSI},
		      {"calloc", RDI | RSI},
		      {"memalign", RSI}};
	struct functions functions;
	const char *path = library_path("libc.so.6");
	void *libc = dlopen("libc.so.6", RTLD_NOW);
	void *(*allocate)(size_t) = dlsym(libc, "malloc");
	void *(*clear)(size_t, size_t) = dlsym(libc, "calloc");
	void *(*resize)(void *, size_t) = dlsym(libc, "realloc");
	void *(*align)(size_t, size_t) = dlsym(libc, "memalign");
	void (*release)(void *) = dlsym(libc, "free");
	uint64_t before[5], after[5];
	int fds[5];

	load_functions("libc.so.6", &functions);
	for (size_t i = 0; i < 5; i++) {
		uint64_t distance;

		fds[i] = probe_self(
			path, point_of(&functions, wanted[i].name, wanted[i].arguments, &distance)
				      ->file_offset);
	}
	for (size_t i = 0; i < 5; i++)
		CHECK(read(fds[i], &before[i], sizeof(before[i])) == sizeof(before[i]));
	for (size_t i = 0; i < CALLS; i++) {
		/* Sizes that the cache of a thread has, and others. */
		unsigned char *block = allocate(i % 2 ? 100 : 5000);

		memset(block, (int)i, 100);
		block = resize(block, 9000);
		CHECK(block[99] == (unsigned char)i);
		release(block);
		block = clear(1 + i % 2 * 300, 10);
		CHECK(!block[0] && !block[9]);
		release(block);
		block = align(256, 10);
		CHECK(((uintptr_t)block & 255) == 0);
		release(block);
		release(NULL);
	}
	for (size_t i = 0; i < 5; i++)
		CHECK(read(fds[i], &after[i], sizeof(after[i])) == sizeof(after[i]));
	for (size_t i = 0; i < 5; i++) {
		/* free is called four times a round. */
		uint64_t want = CALLS * (i == 1 ? 4 : 1), hits = after[i] - before[i];

		if (hits != want)
			FAIL("%s was hit %" PRIu64 " times, not %" PRIu64, wanted[i].name, hits,
			     want);
		close(fds[i]);
	}
	dlclose(libc);
	unload_functions(&functions);
}

KIT_MAIN
