/* Unit tests of reader/target/elf_image.h and of the frame-pointer guess, on files made here byte
 * by byte, on damaged variants of them, and on this very program. */
#include "reader/target/elf_image.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "reader/target/traits.h"
#include "tests/lib/kit.h"

enum {
	FILE_BYTES = 8192,
	NOTES_AT = 512,
	TABLE_AT = 1024,
	TEXT_AT = 4096,
	TEXT_BYTES = 2048,
	HEADERS = 5,
};

struct fixture {
	union {
		struct {
			Elf64_Ehdr header;
			Elf64_Phdr headers[HEADERS];
		};
		uint8_t bytes[FILE_BYTES];
	};
};

static void put_note(struct fixture *file, size_t at, const char name[4], uint32_t type,
		     const void *value, uint32_t size)
{
	Elf64_Nhdr note = {.n_namesz = 4, .n_descsz = size, .n_type = type};

	memcpy(file->bytes + at, &note, sizeof(note));
	memcpy(file->bytes + at + sizeof(note), name, 4);
	memcpy(file->bytes + at + sizeof(note) + 4, value, size);
}

/* A library as LLD lays it out: the text's offset is not its address. */
static struct fixture *make_fixture(void)
{
	static struct fixture file;
	uint8_t id[BUILD_ID_MAX];

	memset(&file, 0, sizeof(file));
	memcpy(file.header.e_ident, ELFMAG, SELFMAG);
	file.header.e_ident[EI_CLASS] = ELFCLASS64;
	file.header.e_ident[EI_DATA] = ELFDATA2LSB;
	file.header.e_ident[EI_VERSION] = EV_CURRENT;
	file.header.e_type = ET_DYN;
	file.header.e_machine = EM_X86_64;
	file.header.e_phoff = offsetof(struct fixture, headers);
	file.header.e_phentsize = sizeof(Elf64_Phdr);
	file.header.e_phnum = HEADERS;
	file.headers[0] = (Elf64_Phdr){.p_type = PT_LOAD,
				       .p_flags = PF_R,
				       .p_filesz = 2048,
				       .p_memsz = 2048,
				       .p_align = 4096};
	file.headers[1] = (Elf64_Phdr){.p_type = PT_LOAD,
				       .p_flags = PF_R | PF_X,
				       .p_offset = TEXT_AT,
				       .p_vaddr = 0x12000,
				       .p_filesz = TEXT_BYTES,
				       .p_memsz = TEXT_BYTES,
				       .p_align = 4096};
	file.headers[2] = (Elf64_Phdr){.p_type = PT_LOAD,
				       .p_flags = PF_R | PF_W,
				       .p_offset = 6144,
				       .p_vaddr = 0x24800,
				       .p_filesz = 100,
				       .p_memsz = 9000,
				       .p_align = 4096};
	file.headers[3] = (Elf64_Phdr){.p_type = PT_NOTE,
				       .p_flags = PF_R,
				       .p_offset = NOTES_AT,
				       .p_filesz = 64,
				       .p_memsz = 64,
				       .p_align = 4};
	file.headers[4] = (Elf64_Phdr){.p_type = PT_GNU_EH_FRAME,
				       .p_flags = PF_R,
				       .p_offset = TABLE_AT,
				       .p_filesz = 12,
				       .p_memsz = 12};
	for (int i = 0; i < BUILD_ID_MAX; i++)
		id[i] = (uint8_t)(0xa0 + i);
	put_note(&file, NOTES_AT, "Foo", NT_GNU_BUILD_ID, "none", 4);
	put_note(&file, NOTES_AT + 20, "GNU", NT_GNU_BUILD_ID, id, sizeof(id));
	return &file;
}

static int open_bytes(const void *bytes, size_t count)
{
	int fd = memfd_create("fixture", MFD_CLOEXEC);

	if (fd < 0 || write(fd, bytes, count) != (ssize_t)count)
		FAIL("memfd: %s", strerror(errno));
	return fd;
}

static int read_bytes(const void *bytes, size_t count, struct elf_image *ret_image)
{
	int fd = open_bytes(bytes, count);
	int ret = elf_image_read(fd, ret_image);

	close(fd);
	return ret;
}

TEST(segments_and_build_id_are_read)
{
	struct elf_image image;

	CHECK_EQ_I64(read_bytes(make_fixture(), FILE_BYTES, &image), 0);
	CHECK_EQ_U64(image.type, ET_DYN);
	CHECK_EQ_U64(image.segment_count, 3);
	CHECK_EQ_U64(image.segments[1].vaddr, 0x12000);
	CHECK_EQ_U64(image.segments[1].file_offset, TEXT_AT);
	CHECK_EQ_U64(image.segments[1].file_size, TEXT_BYTES);
	CHECK_EQ_U64(image.segments[2].memory_size, 9000);
	CHECK_EQ_U64(image.build_id_size, 20);
	CHECK_EQ_U64(image.build_id[0], 0xa0);
	CHECK_EQ_U64(image.build_id[19], 0xb3);
}

TEST(aarch64_and_fixed_programs_are_read)
{
	struct fixture *file = make_fixture();
	struct elf_image image;

	file->header.e_machine = EM_AARCH64;
	file->header.e_type = ET_EXEC;
	CHECK_EQ_I64(read_bytes(file, FILE_BYTES, &image), 0);
	CHECK_EQ_U64(image.type, ET_EXEC);
}

TEST(this_program_is_read_as_the_loader_sees_it)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	const Elf64_Phdr *headers = (const Elf64_Phdr *)getauxval(AT_PHDR);
	size_t count = getauxval(AT_PHNUM), loads = 0;
	struct elf_image image;

	CHECK_EQ_I64(elf_image_read(fd, &image), 0);
	for (size_t i = 0; i < count; i++) {
		if (headers[i].p_type != PT_LOAD)
			continue;
		CHECK_EQ_U64(image.segments[loads].vaddr, headers[i].p_vaddr);
		CHECK_EQ_U64(image.segments[loads].file_offset, headers[i].p_offset);
		CHECK_EQ_U64(image.segments[loads].file_size, headers[i].p_filesz);
		loads++;
	}
	CHECK_EQ_U64(image.segment_count, loads);
	close(fd);
}

TEST(notes_with_eight_byte_alignment_are_stepped_over)
{
	struct fixture *file = make_fixture();
	struct elf_image image;

	memset(file->bytes + NOTES_AT, 0, 64);
	file->headers[3].p_align = 8;
	put_note(file, NOTES_AT, "GNU", NT_GNU_PROPERTY_TYPE_0, "12345", 5);
	put_note(file, NOTES_AT + 24, "GNU", NT_GNU_BUILD_ID, "abcdefgh", 8);
	CHECK_EQ_I64(read_bytes(file, FILE_BYTES, &image), 0);
	CHECK_EQ_U64(image.build_id_size, 8);
	CHECK_EQ_U64(image.build_id[7], 'h');
}

TEST(a_longer_build_id_is_cut)
{
	struct fixture *file = make_fixture();
	char id[33] = "0123456789abcdef0123456789abcdef";
	struct elf_image image;

	put_note(file, NOTES_AT, "GNU", NT_GNU_BUILD_ID, id, 32);
	CHECK_EQ_I64(read_bytes(file, FILE_BYTES, &image), 0);
	CHECK_EQ_U64(image.build_id_size, BUILD_ID_MAX);
	CHECK_EQ_U64(image.build_id[19], '3');
}

TEST(notes_that_claim_too_much_give_no_build_id)
{
	static const uint32_t sizes[] = {0xffffffffu, 0xfffffff0u, 0x80000000u, 65, 45};
	struct elf_image image;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct fixture *file = make_fixture();
		Elf64_Nhdr note = {.n_namesz = 4, .n_descsz = sizes[i], .n_type = NT_GNU_BUILD_ID};

		memcpy(file->bytes + NOTES_AT + 20, &note, sizeof(note));
		CHECK_EQ_I64(read_bytes(file, FILE_BYTES, &image), 0);
		CHECK_EQ_U64(image.build_id_size, 0);
		note = (Elf64_Nhdr){.n_namesz = sizes[i], .n_descsz = 4, .n_type = NT_GNU_BUILD_ID};
		memcpy(file->bytes + NOTES_AT, &note, sizeof(note));
		CHECK_EQ_I64(read_bytes(file, FILE_BYTES, &image), 0);
		CHECK_EQ_U64(image.build_id_size, 0);
	}
}

TEST(what_is_not_elf_is_told_apart)
{
	static const char script[] = "#!/bin/sh\nexit 0\n";
	struct elf_image image = {.segment_count = 77};
	int pipes[2];

	CHECK_EQ_I64(read_bytes("", 0, &image), -ENOEXEC);
	CHECK_EQ_I64(read_bytes("\177EL", 3, &image), -ENOEXEC);
	CHECK_EQ_I64(read_bytes(script, sizeof(script), &image), -ENOEXEC);
	CHECK(pipe2(pipes, O_CLOEXEC) == 0);
	CHECK_EQ_I64(elf_image_read(pipes[0], &image), -ENOEXEC);
	CHECK_EQ_I64(elf_image_read(-1, &image), -EBADF);
	/* Untouched on failure. */
	CHECK_EQ_U64(image.segment_count, 77);
	close(pipes[0]);
	close(pipes[1]);
}

TEST(other_classes_orders_machines_and_types_are_refused)
{
	struct fixture *file = make_fixture();
	struct elf_image image;

	file->header.e_ident[EI_CLASS] = ELFCLASS32;
	CHECK_EQ_I64(read_bytes(file, FILE_BYTES, &image), -ENOTSUP);
	file = make_fixture();
	file->header.e_ident[EI_DATA] = ELFDATA2MSB;
	CHECK_EQ_I64(read_bytes(file, FILE_BYTES, &image), -ENOTSUP);
	file = make_fixture();
	file->header.e_machine = EM_RISCV;
	CHECK_EQ_I64(read_bytes(file, FILE_BYTES, &image), -ENOTSUP);
	file = make_fixture();
	file->header.e_type = ET_CORE;
	CHECK_EQ_I64(read_bytes(file, FILE_BYTES, &image), -ENOTSUP);
}

TEST(damage_is_told)
{
	struct elf_image image;
	struct fixture *file;

#define CHECK_DAMAGED(change)                                                                      \
	do {                                                                                       \
		file = make_fixture();                                                             \
		change;                                                                            \
		CHECK_EQ_I64(read_bytes(file, FILE_BYTES, &image), -EBADMSG);                      \
	} while (0)

	CHECK_DAMAGED(file->header.e_ident[EI_VERSION] = 0);
	CHECK_DAMAGED(file->header.e_phentsize = 55);
	CHECK_DAMAGED(file->header.e_phnum = 0);
	CHECK_DAMAGED(file->header.e_phnum = PN_XNUM);
	CHECK_DAMAGED(file->header.e_phoff = UINT64_MAX - 8);
	CHECK_DAMAGED(file->header.e_phoff = INT64_MAX);
	CHECK_DAMAGED(file->header.e_phoff = FILE_BYTES - 8);
	CHECK_DAMAGED(file->headers[1].p_offset = FILE_BYTES + 1);
	CHECK_DAMAGED(file->headers[1].p_offset = UINT64_MAX);
	CHECK_DAMAGED(file->headers[1].p_filesz = UINT64_MAX);
	CHECK_DAMAGED(file->headers[1].p_memsz = TEXT_BYTES - 1);
	CHECK_DAMAGED(file->headers[1].p_vaddr = UINT64_MAX - 1);
	CHECK_DAMAGED(file->headers[3].p_offset = FILE_BYTES + 1);
	CHECK_DAMAGED(file->headers[3].p_filesz = UINT64_MAX);
	/* Cut in the ELF header, in the program headers, in a segment. */
	file = make_fixture();
	CHECK_EQ_I64(read_bytes(file, 5, &image), -EBADMSG);
	CHECK_EQ_I64(read_bytes(file, 63, &image), -EBADMSG);
	CHECK_EQ_I64(read_bytes(file, 100, &image), -EBADMSG);
	CHECK_EQ_I64(read_bytes(file, TEXT_AT + TEXT_BYTES - 1, &image), -EBADMSG);
}

TEST(more_segments_than_are_kept_do_no_harm)
{
	enum { MANY = 100 };
	static struct {
		Elf64_Ehdr header;
		Elf64_Phdr headers[MANY];
	} file;
	struct elf_image image;

	file.header = make_fixture()->header;
	file.header.e_phnum = MANY;
	for (int i = 0; i < MANY; i++)
		file.headers[i] = (Elf64_Phdr){
			.p_type = PT_LOAD, .p_vaddr = (uint64_t)i << 12, .p_memsz = 16};
	CHECK_EQ_I64(read_bytes(&file, sizeof(file), &image), 0);
	CHECK_EQ_U64(image.segment_count, SEGMENTS_MAX);
	CHECK_EQ_U64(image.segments[SEGMENTS_MAX - 1].vaddr, (uint64_t)(SEGMENTS_MAX - 1) << 12);
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void check_image(const struct elf_image *image, size_t file_bytes)
{
	CHECK(image->segment_count <= SEGMENTS_MAX);
	CHECK(image->build_id_size <= BUILD_ID_MAX);
	for (size_t i = 0; i < image->segment_count; i++) {
		const struct segment *segment = &image->segments[i];

		CHECK(segment->file_offset <= file_bytes);
		CHECK(segment->file_size <= file_bytes - segment->file_offset);
		CHECK(segment->file_size <= segment->memory_size);
		CHECK(segment->vaddr + segment->memory_size >= segment->vaddr);
	}
}

TEST(damaged_variants_are_read_or_refused)
{
	enum { VARIANTS = 2000 };
	uint64_t random = 0x2545f4914f6cdd1d;
	unsigned read = 0, refused = 0;

	for (int i = 0; i < VARIANTS; i++) {
		struct fixture *file = make_fixture();
		size_t count =
			next_random(&random) % 8 ? FILE_BYTES : next_random(&random) % FILE_BYTES;
		struct elf_image image;
		int fd, ret;

		for (uint64_t left = 1 + next_random(&random) % 6; left > 0; left--) {
			/* Headers and notes, where a change has an effect. */
			size_t at = next_random(&random) % (NOTES_AT + 64);
			static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff};
			uint64_t value = next_random(&random);

			file->bytes[at] = value & 256 ? edges[value % 5] : (uint8_t)value;
		}
		fd = open_bytes(file, count);
		ret = elf_image_read(fd, &image);
		if (ret == 0) {
			check_image(&image, count);
			read++;
		} else {
			CHECK(ret == -ENOEXEC || ret == -ENOTSUP || ret == -EBADMSG);
			refused++;
		}
		CHECK_BETWEEN(frame_pointers_guess(fd), FRAME_POINTERS_UNKNOWN,
			      FRAME_POINTERS_MOST);
		close(fd);
	}
	/* Both ways are walked often. */
	CHECK_BETWEEN(read, 200, VARIANTS - 200);
	CHECK_EQ_U64(read + refused, VARIANTS);
}

/* A fixture with so many functions, of which so many set up a frame pointer. */
static enum frame_pointers guess(uint32_t functions, size_t prologues, uint16_t machine)
{
	static const uint8_t prologue[] = {0x55, 0x48, 0x89, 0xe5, 0x90};
	struct fixture *file = make_fixture();
	uint8_t table[12] = {1, 0x1b, 0x03, 0x3b};
	enum frame_pointers use;
	int fd;

	file->header.e_machine = machine;
	memcpy(table + 8, &functions, sizeof(functions));
	memcpy(file->bytes + TABLE_AT, table, sizeof(table));
	for (size_t i = 0; i < prologues; i++)
		memcpy(file->bytes + TEXT_AT + 1 + i * sizeof(prologue), prologue,
		       sizeof(prologue));
	fd = open_bytes(file, FILE_BYTES);
	use = frame_pointers_guess(fd);
	close(fd);
	return use;
}

TEST(frame_pointers_are_guessed_from_prologues)
{
	CHECK_EQ_I64(guess(104, 0, EM_X86_64), FRAME_POINTERS_NONE);
	CHECK_EQ_I64(guess(104, 9, EM_X86_64), FRAME_POINTERS_NONE);
	CHECK_EQ_I64(guess(104, 10, EM_X86_64), FRAME_POINTERS_SOME);
	CHECK_EQ_I64(guess(104, 49, EM_X86_64), FRAME_POINTERS_SOME);
	CHECK_EQ_I64(guess(104, 50, EM_X86_64), FRAME_POINTERS_MOST);
	CHECK_EQ_I64(guess(104, 100, EM_X86_64), FRAME_POINTERS_MOST);
	CHECK_EQ_I64(guess(4, 100, EM_X86_64), FRAME_POINTERS_UNKNOWN);
	CHECK_EQ_I64(guess(104, 100, EM_AARCH64), FRAME_POINTERS_UNKNOWN);
}

KIT_MAIN
