#include "reader/target/memory_image.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "reader/target/elf_headers.h"
#include "reader/target/maps.h"
#include "reader/target/proc.h"
#include "reader/util/own.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

enum {
	/* Code and tables of the largest browsers take 200 MB; the copy lives in our memory. */
	IMAGE_BYTES_MAX = 256 * 1024 * 1024,
	/* The vDSO has two pages; a mapping that only calls itself so is not copied without end. */
	RANGE_BYTES_MAX = 1024 * 1024,
	COPY_CHUNK = 65536,
};

static const char MEMORY_CLOSED[] =
	"the file is not there and the process's memory is not readable";
static const char NO_HEADER[] = "the file is not there and its ELF header is not mapped";
static const char DAMAGED[] = "the file is not there and its ELF header in memory is damaged";
static const char TOO_LARGE[] =
	"the file is not there and its image in memory is larger than 256 MiB";
static const char NO_ROOM[] = "no memory file could be made for its image";

static int fail(const char **ret_missing, const char *why, int ret)
{
	*ret_missing = why;
	return ret;
}

static int make_memory_file(uint64_t bytes)
{
	/* Kernels that want the flag are told; those that do not know it refuse it. */
	OWN(own_close) int fd = memfd_create("rsprof-image", MFD_CLOEXEC | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("rsprof-image", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		return -errno;
	return own_take_fd(fd);
}

static int read_memory(int memory_fd, uint64_t address, void *into, size_t count)
{
	char *at = into;

	if (address > INT64_MAX - count)
		return -EBADMSG;
	while (count > 0) {
		ssize_t got = pread(memory_fd, at, count, (off_t)address);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		at += got;
		count -= (size_t)got;
		address += (uint64_t)got;
	}
	return 0;
}

static int write_file(int fd, const void *from, size_t count, uint64_t offset)
{
	const char *at = from;

	while (count > 0) {
		ssize_t put = pwrite(fd, at, count, (off_t)offset);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return put < 0 ? -errno : -EIO;
		at += put;
		count -= (size_t)put;
		offset += (uint64_t)put;
	}
	return 0;
}

static int copy_range(int memory_fd, uint64_t address, uint64_t count, int fd, uint64_t offset)
{
	char chunk[COPY_CHUNK];

	while (count > 0) {
		size_t step = count < sizeof(chunk) ? count : sizeof(chunk);
		int ret = read_memory(memory_fd, address, chunk, step);

		if (ret == 0)
			ret = write_file(fd, chunk, step, offset);
		if (ret < 0)
			return ret;
		address += step;
		offset += step;
		count -= step;
	}
	return 0;
}

int memory_image_of_range(const struct target *target, const struct target_mapping *mapping,
			  const char **ret_missing)
{
	uint64_t bytes = mapping->end - mapping->start;
	OWN(own_close) int memory = -1, copy = -1;
	int ret;

	if (mapping->end <= mapping->start || bytes > RANGE_BYTES_MAX)
		return fail(ret_missing, "its mapping is too large", -EFBIG);
	memory = process_open(target, "mem", O_RDONLY);
	if (memory < 0)
		return fail(ret_missing, "the process's memory is not readable", memory);
	copy = make_memory_file(bytes);
	if (copy < 0)
		return fail(ret_missing, NO_ROOM, copy);
	ret = copy_range(memory, mapping->start, bytes, copy, 0);
	if (ret < 0)
		return fail(ret_missing, "the process's memory is not readable", ret);
	return own_take_fd(copy);
}

/* Where the file's first byte is mapped: the nearest such mapping at or below this one, as the same
 * file may be loaded twice. */
static const struct target_mapping *find_base(const target_mappings *all,
					      const struct target_mapping *mapping)
{
	const struct target_mapping *base = NULL;

	for (size_t i = 0; i < all->count; i++) {
		const struct target_mapping *at = &all->items[i];

		if (mapping_same_file(at, mapping) && at->file_offset == 0 &&
		    at->start <= mapping->start && (!base || at->start > base->start))
			base = at;
	}
	return base;
}

struct image {
	int memory_fd, copy_fd;
	Elf64_Ehdr header;
	Elf64_Phdr headers[ELF_HEADERS_MAX];
	uint64_t bias;	/* run-time address minus vaddr */
	uint64_t bytes; /* of the copy */
};

/* Reads the headers at base and finds bias and size. */
static int plan_image(struct image *image, const struct target_mapping *base,
		      const char **ret_missing)
{
	uint64_t base_bytes = base->end - base->start, page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t total = 0, headers_bytes;
	bool has_base = false;
	Elf64_Ehdr *header = &image->header;

	if (read_memory(image->memory_fd, base->start, header, sizeof(*header)) < 0)
		return fail(ret_missing, MEMORY_CLOSED, -EIO);
	headers_bytes = header->e_phnum * sizeof(Elf64_Phdr);
	if (elf_header_check(header) < 0 || header->e_phoff > base_bytes ||
	    headers_bytes > base_bytes - header->e_phoff)
		return fail(ret_missing, DAMAGED, -EBADMSG);
	if (read_memory(image->memory_fd, base->start + header->e_phoff, image->headers,
			headers_bytes) < 0)
		return fail(ret_missing, MEMORY_CLOSED, -EIO);
	image->bytes = header->e_phoff + headers_bytes;
	for (unsigned i = 0; i < header->e_phnum; i++) {
		const Elf64_Phdr *segment = &image->headers[i];

		if (segment->p_type != PT_LOAD)
			continue;
		if (segment->p_filesz > IMAGE_BYTES_MAX || segment->p_offset > IMAGE_BYTES_MAX ||
		    (total += segment->p_filesz) > IMAGE_BYTES_MAX)
			return fail(ret_missing, TOO_LARGE, -EFBIG);
		if (image->bytes < segment->p_offset + segment->p_filesz)
			image->bytes = segment->p_offset + segment->p_filesz;
		if (!has_base && segment->p_offset < page) {
			image->bias = base->start - (segment->p_vaddr - segment->p_offset);
			has_base = true;
		}
	}
	return has_base ? 0 : fail(ret_missing, DAMAGED, -EBADMSG);
}

/* Lays down what of the segment is mapped from the file, and from the right place in it. */
static int copy_segment(const struct image *image, const Elf64_Phdr *segment,
			const target_mappings *all, const struct target_mapping *base)
{
	uint64_t start = image->bias + segment->p_vaddr, end = start + segment->p_filesz;

	if (end < start)
		return -EBADMSG;
	for (size_t i = 0; i < all->count; i++) {
		const struct target_mapping *at = &all->items[i];
		uint64_t from = at->start > start ? at->start : start;
		uint64_t to = at->end < end ? at->end : end;
		int ret;

		if (from >= to || !mapping_same_file(at, base) ||
		    at->file_offset + (from - at->start) != segment->p_offset + (from - start))
			continue;
		ret = copy_range(image->memory_fd, from, to - from, image->copy_fd,
				 segment->p_offset + (from - start));
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* The section headers stay only where they are mapped, as in the vDSO: they then lie in a segment.
 */
static void drop_unmapped_sections(struct image *image)
{
	uint64_t offset = image->header.e_shoff;
	uint64_t bytes = (uint64_t)image->header.e_shnum * image->header.e_shentsize;

	for (unsigned i = 0; i < image->header.e_phnum; i++) {
		const Elf64_Phdr *segment = &image->headers[i];

		if (segment->p_type == PT_LOAD && offset >= segment->p_offset &&
		    offset - segment->p_offset <= segment->p_filesz &&
		    bytes <= segment->p_filesz - (offset - segment->p_offset))
			return;
	}
	image->header.e_shoff = 0;
	image->header.e_shnum = 0;
	image->header.e_shstrndx = 0;
}

static int copy_image(struct image *image, const target_mappings *all,
		      const struct target_mapping *base, const char **ret_missing)
{
	int ret = 0;

	for (unsigned i = 0; i < image->header.e_phnum && ret == 0; i++)
		if (image->headers[i].p_type == PT_LOAD)
			ret = copy_segment(image, &image->headers[i], all, base);
	if (ret < 0)
		return fail(ret_missing, MEMORY_CLOSED, ret);
	drop_unmapped_sections(image);
	ret = write_file(image->copy_fd, &image->header, sizeof(image->header), 0);
	if (ret == 0)
		ret = write_file(image->copy_fd, image->headers,
				 image->header.e_phnum * sizeof(Elf64_Phdr), image->header.e_phoff);
	return ret < 0 ? fail(ret_missing, NO_ROOM, ret) : 0;
}

int memory_image_of_file(const struct target *target, const struct target_mapping *mapping,
			 const char **ret_missing)
{
	OWN(target_mappings_done) target_mappings all = {0};
	OWN(own_close) int memory = -1, copy = -1;
	OWN(own_free) struct image *image = NULL;
	const struct target_mapping *base;
	int ret;

	memory = process_open(target, "mem", O_RDONLY);
	if (memory < 0)
		return fail(ret_missing, MEMORY_CLOSED, memory);
	ret = target_list_mappings(target, &all);
	if (ret < 0)
		return fail(ret_missing, MEMORY_CLOSED, ret);
	base = find_base(&all, mapping);
	if (!base)
		return fail(ret_missing, NO_HEADER, -ENOEXEC);
	image = mem_zalloc(sizeof(*image));
	image->memory_fd = memory;
	ret = plan_image(image, base, ret_missing);
	if (ret < 0)
		return ret;
	copy = make_memory_file(image->bytes);
	if (copy < 0)
		return fail(ret_missing, NO_ROOM, copy);
	image->copy_fd = copy;
	ret = copy_image(image, &all, base, ret_missing);
	if (ret < 0)
		return ret;
	return own_take_fd(copy);
}
