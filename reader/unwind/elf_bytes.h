/* Reading of ELF files that may be damaged, or change meanwhile: every offset is checked against
 * the file's size. Private to this room. */
#ifndef RSPROF_UNWIND_ELF_BYTES_H
#define RSPROF_UNWIND_ELF_BYTES_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	/* 4,096 entries, where linkers write some 40. */
	ELF_DYNAMIC_BYTES_MAX = 65536,
};

struct elf_bytes {
	int fd; /* the caller's */
	uint64_t size;
	Elf64_Ehdr header;
	Elf64_Phdr *segments;
	size_t segment_count;
};

/* 0; or the errors of elf_frames_read. */
int elf_bytes_open(int fd, struct elf_bytes *ret_file);
void elf_bytes_done(struct elf_bytes *file);
/* -EBADMSG where the file does not hold all of it. */
int elf_bytes_read(const struct elf_bytes *file, void *into, uint64_t count, uint64_t offset);
/* The loaded bytes from vaddr to the end of its segment; false where the file does not hold them.
 */
bool elf_bytes_find(const struct elf_bytes *file, uint64_t vaddr, uint64_t *ret_offset,
		    uint64_t *ret_size);
/* The entries of the dynamic section, up to its end mark; the caller frees them, NULL allowed. Its
 * size is bounded. */
size_t elf_bytes_dynamic(const struct elf_bytes *file, Elf64_Dyn **ret_entries);

#endif
