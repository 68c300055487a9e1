/* The ELF header and program headers of a file, checked. Private to this room. */
#ifndef RSPROF_TARGET_ELF_HEADERS_H
#define RSPROF_TARGET_ELF_HEADERS_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

enum {
	/* The kernel loads no file whose program headers take more than 64 KiB. */
	ELF_HEADERS_MAX = 65536 / sizeof(Elf64_Phdr),
};

/* All bytes or an error: -EBADMSG where the file ends before, or -errno. */
int elf_read_bytes(int fd, void *into, size_t count, uint64_t offset);

/* 0 where it is a program or library of 64 bits that this version knows, with program headers;
 * else as elf_image_read. */
int elf_header_check(const Elf64_Ehdr *header);

/* *ret_headers is a new array of e_phnum program headers, whose contents are not checked. Errors as
 * elf_image_read. */
int elf_headers_read(int fd, Elf64_Ehdr *ret_header, Elf64_Phdr **ret_headers,
		     uint64_t *ret_file_bytes);

#endif
