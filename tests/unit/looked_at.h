/* Child processes as targets, and their mappings. */
#ifndef RSPROF_TESTS_UNIT_LOOKED_AT_H
#define RSPROF_TESTS_UNIT_LOOKED_AT_H

#include <sys/mman.h>

#include "reader/target/elf_image.h"
#include "reader/target/target.h"
#include "reader/util/own.h"
#include "tests/unit/child.h"

static inline struct target *open_target(pid_t pid)
{
	struct target *target = NULL;
	struct err err = {0};

	if (target_open_pid(pid, &target, &err) < 0)
		FAIL("%d: %s", pid, err.sentence);
	return target;
}

/* The executable mapping whose path contains text; its path is the caller's to free. */
static inline struct target_mapping find_mapping(const struct target *target, const char *text)
{
	OWN(target_mappings_done) target_mappings mappings = {0};

	CHECK_EQ_I64(target_list_mappings(target, &mappings), 0);
	for (size_t i = 0; i < mappings.count; i++) {
		struct target_mapping mapping = mappings.items[i];

		if (mapping.is_executable && strstr(mapping.path, text)) {
			mapping.path = mem_strdup(mapping.path);
			return mapping;
		}
	}
	FAIL("%s is not mapped", text);
}

/* Maps all PT_LOAD segments of a file as a loader does: neither started nor relocated.
 * Returns where its vaddr 0 is. */
static inline char *map_library(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct elf_image image;
	uint64_t last = 0;
	char *base;

	if (fd < 0 || elf_image_read(fd, &image) < 0)
		_exit(1);
	for (size_t i = 0; i < image.segment_count; i++)
		last = image.segments[i].vaddr + image.segments[i].memory_size;
	base = mmap(NULL, last + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (size_t i = 0; i < image.segment_count; i++) {
		const struct segment *segment = &image.segments[i];
		uint64_t skip = segment->vaddr % 4096;

		if (mmap(base + segment->vaddr - skip, segment->file_size + skip,
			 i == 1 ? PROT_READ | PROT_EXEC : PROT_READ, MAP_PRIVATE | MAP_FIXED, fd,
			 (off_t)(segment->file_offset - skip)) == MAP_FAILED)
			_exit(1);
	}
	close(fd);
	return base;
}

static inline void map_and_idle(const void *path)
{
	map_library(path);
	child_idle(NULL);
}

#endif
