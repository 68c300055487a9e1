#include "reader/symbol/elf_file.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reader/util/own.h"
#include "reader/util/str.h"
#include "reader/util/vec.h"

enum {
	/* Up to here a file is copied. Above, a copy would cost more memory than profiling should,
	 * and those who write such files replace them rather than cut them. */
	COPY_MAX = 32 * 1024 * 1024,
	/* Debug sections are packed 3 to 10 times; a file that promises more than this wants our
	 * memory, not our attention. */
	INFLATE_RATIO_MAX = 64,
};

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
enum { NATIVE_ORDER = ELFDATA2LSB };
#else
enum { NATIVE_ORDER = ELFDATA2MSB };
#endif

static int compare_code(const void *left, const void *right)
{
	const struct code_range *a = left, *b = right;

	return a->start < b->start ? -1 : a->start > b->start;
}

typedef VEC(struct code_range) code_vec;

static void add_code(code_vec *code, uint64_t start, uint64_t size)
{
	if (size && start + size > start)
		*vec_add(code) = (struct code_range){.start = start, .end = start + size};
}

/* Sections tell code from the headers that share a segment with it, which matters at address 0:
 * linkers put there the debug information of functions that they dropped. */
static void find_code(struct elf_file *file)
{
	code_vec code = {0};
	Elf_Scn *section = NULL;
	size_t kept = 0;

	while ((section = elf_nextscn(file->elf, section))) {
		GElf_Shdr header;

		if (gelf_getshdr(section, &header) && (header.sh_flags & SHF_ALLOC) &&
		    (header.sh_flags & SHF_EXECINSTR))
			add_code(&code, header.sh_addr, header.sh_size);
	}
	if (!code.count) {
		size_t count = 0;

		if (elf_getphdrnum(file->elf, &count) != 0)
			count = 0;
		for (size_t i = 0; i < count; i++) {
			GElf_Phdr header;

			/* More than an int's worth cannot be asked for. */
			if (i > INT32_MAX || !gelf_getphdr(file->elf, (int)i, &header))
				break;
			if (header.p_type == PT_LOAD && (header.p_flags & PF_X))
				add_code(&code, header.p_vaddr, header.p_memsz);
		}
	}
	if (code.count)
		qsort(code.items, code.count, sizeof(*code.items), compare_code);
	/* Neighbours become one, so that the look-up may trust that ranges are disjoint. */
	for (size_t i = 0; i < code.count; i++) {
		if (kept && code.items[i].start <= code.items[kept - 1].end) {
			if (code.items[i].end > code.items[kept - 1].end)
				code.items[kept - 1].end = code.items[i].end;
		} else {
			code.items[kept++] = code.items[i];
		}
	}
	file->code = code.items;
	file->code_count = kept;
}

static int open_image(struct elf_file *file)
{
	GElf_Ehdr header;

	elf_version(EV_CURRENT);
	file->elf = elf_memory(file->image, file->size);
	if (!file->elf || elf_kind(file->elf) != ELF_K_ELF || !gelf_getehdr(file->elf, &header) ||
	    header.e_ident[EI_DATA] != NATIVE_ORDER) {
		elf_file_close(file);
		return -ENOEXEC;
	}
	file->machine = header.e_machine;
	find_code(file);
	return 0;
}

static int copy_image(int fd, struct elf_file *file)
{
	size_t done = 0;

	file->image = mem_alloc(file->size);
	while (done < file->size) {
		ssize_t got = pread(fd, (char *)file->image + done, file->size - done, (off_t)done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	/* The file became shorter since its size was read. */
	file->size = done;
	return done ? 0 : -ENOEXEC;
}

int elf_file_open(int fd, struct elf_file *ret_file)
{
	struct elf_file file = {0};
	char magic[SELFMAG];
	struct stat status;
	int ret;

	if (fstat(fd, &status) != 0)
		return -errno;
	/* Anything may be mapped executable: a large file of data is not read for nothing. */
	if (!S_ISREG(status.st_mode) || status.st_size < (off_t)sizeof(Elf32_Ehdr) ||
	    pread(fd, magic, SELFMAG, 0) != SELFMAG || memcmp(magic, ELFMAG, SELFMAG) != 0)
		return -ENOEXEC;
	file.size = (size_t)status.st_size;
	if (file.size > COPY_MAX) {
		file.image = mmap(NULL, file.size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (file.image == MAP_FAILED)
			return -errno;
		file.is_mapped = true;
	} else {
		ret = copy_image(fd, &file);
		if (ret != 0) {
			elf_file_close(&file);
			return ret;
		}
	}
	ret = open_image(&file);
	if (ret == 0)
		*ret_file = file;
	return ret;
}

int elf_file_open_path(const char *path, struct elf_file *ret_file)
{
	OWN(own_close) int fd = -1;
	struct stat status;

	/* A path out of a foreign file may name a device or a pipe, which opening disturbs. */
	if (stat(path, &status) != 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -ENOEXEC;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd < 0 ? -errno : elf_file_open(fd, ret_file);
}

int elf_file_open_memory(void *image, size_t size, struct elf_file *ret_file)
{
	struct elf_file file = {.image = image, .size = size};
	int ret = open_image(&file);

	if (ret == 0)
		*ret_file = file;
	return ret;
}

void elf_file_close(struct elf_file *file)
{
	elf_end(file->elf);
	if (file->is_mapped)
		munmap(file->image, file->size);
	else
		free(file->image);
	free(file->code);
	memset(file, 0, sizeof(*file));
}

const struct code_range *elf_file_code(const struct elf_file *file, uint64_t address)
{
	size_t low = 0, high = file->code_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (file->code[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low && address < file->code[low - 1].end ? &file->code[low - 1] : NULL;
}

Elf_Scn *elf_file_section(const struct elf_file *file, const char *name, GElf_Shdr *ret_header)
{
	Elf_Scn *section = NULL;
	size_t names;

	if (!file->elf || elf_getshdrstrndx(file->elf, &names) != 0)
		return NULL;
	while ((section = elf_nextscn(file->elf, section))) {
		GElf_Shdr header;
		const char *text;

		if (!gelf_getshdr(section, &header))
			continue;
		text = elf_strptr(file->elf, names, header.sh_name);
		if (text && strcmp(text, name) == 0) {
			*ret_header = header;
			return section;
		}
	}
	return NULL;
}

size_t elf_file_build_id(const struct elf_file *file, const uint8_t **ret_id)
{
	const void *id;
	ssize_t size = file->elf ? dwelf_elf_gnu_build_id(file->elf, &id) : 0;

	if (size <= 0)
		return 0;
	*ret_id = id;
	return (size_t)size;
}

/* The size that a packed section says it has, or 0; UINT64_MAX where its header cannot be read. */
static uint64_t unpacked_size(Elf_Scn *section, const GElf_Shdr *header, const char *name)
{
	/* GNU's older form: "ZLIB" and a big-endian size in front of the data. */
	enum { OLD_HEADER = 12, OLD_MAGIC = 4 };
	GElf_Chdr packed;

	if (header->sh_flags & SHF_COMPRESSED)
		return gelf_getchdr(section, &packed) ? packed.ch_size : UINT64_MAX;
	if (str_starts(name, ".zdebug")) {
		Elf_Data *data = elf_rawdata(section, NULL);
		const uint8_t *bytes = data ? data->d_buf : NULL;
		uint64_t size = 0;

		if (!bytes || data->d_size < OLD_HEADER)
			return UINT64_MAX;
		for (size_t i = OLD_MAGIC; i < OLD_HEADER; i++)
			size = size << 8 | bytes[i];
		return size;
	}
	return 0;
}

bool elf_file_is_bomb(const struct elf_file *file)
{
	Elf_Scn *section = NULL;
	uint64_t left = file->size;
	size_t names;

	if (!file->elf || elf_getshdrstrndx(file->elf, &names) != 0)
		return false;
	left *= INFLATE_RATIO_MAX;
	while ((section = elf_nextscn(file->elf, section))) {
		GElf_Shdr header;
		const char *name;
		uint64_t size;

		if (!gelf_getshdr(section, &header))
			continue;
		name = elf_strptr(file->elf, names, header.sh_name);
		size = unpacked_size(section, &header, name ? name : "");
		if (size > left)
			return true;
		left -= size;
	}
	return false;
}

bool elf_file_is_after_syscall(const struct elf_file *file, uint64_t address)
{
	static const unsigned char syscall[] = {0x0f, 0x05};
	const unsigned char *image = file->image;
	size_t count = 0;

	if (!file->elf || file->machine != EM_X86_64 || elf_getphdrnum(file->elf, &count))
		return false;
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr header;

		if (!gelf_getphdr(file->elf, (int)i, &header) || header.p_type != PT_LOAD ||
		    address < header.p_vaddr + sizeof(syscall) ||
		    address - header.p_vaddr > header.p_filesz || header.p_offset > file->size ||
		    address - header.p_vaddr > file->size - header.p_offset)
			continue;
		return !memcmp(image + header.p_offset + (address - header.p_vaddr) -
				       sizeof(syscall),
			       syscall, sizeof(syscall));
	}
	return false;
}
