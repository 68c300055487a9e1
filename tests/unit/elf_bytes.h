/* ELF files in memory, for tests that change a byte of them. */
#ifndef RSPROF_TEST_ELF_BYTES_H
#define RSPROF_TEST_ELF_BYTES_H

#include <elf.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "reader/unwind/table.h"
#include "tests/lib/kit.h"

enum { FILE_BYTES_MAX = 2 << 20 };

struct image {
	uint8_t *bytes;
	size_t size;
};

static inline struct image read_image(const char *path)
{
	struct image image = {malloc(FILE_BYTES_MAX), 0};
	FILE *file = fopen(path, "r");

	if (!file)
		SKIP("%s is not here", path);
	image.size = fread(image.bytes, 1, FILE_BYTES_MAX, file);
	fclose(file);
	CHECK(image.size > sizeof(Elf64_Ehdr) && image.size < FILE_BYTES_MAX);
	return image;
}

static inline int image_fd(const void *bytes, size_t size)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
	return fd;
}

static inline int build_image(const void *bytes, size_t size, struct unwind_rules *rules,
			      struct unwind_table **ret_table)
{
	int fd = image_fd(bytes, size), ret = unwind_table_build(fd, rules, ret_table);

	close(fd);
	return ret;
}

/* The same rows and index. */
static inline void check_same(const struct unwind_table *a, const struct unwind_table *b)
{
	CHECK_EQ_U64(a->base, b->base);
	CHECK_EQ_U64(a->page_count, b->page_count);
	CHECK_EQ_U64(a->row_count, b->row_count);
	CHECK_EQ_U64(a->fde_count, b->fde_count);
	CHECK(memcmp(a->rows, b->rows, a->row_count * sizeof(*a->rows)) == 0);
	CHECK(memcmp(a->index, b->index, (a->page_count + 1) * sizeof(*a->index)) == 0);
}

#endif
