/* The few facts of an ELF file that counting needs: PT_LOAD headers and the build-id. Reads with
 * pread and checks every offset; hostile files end in -EBADMSG, never in a crash or a long wait. */
#ifndef RSPROF_TARGET_ELF_IMAGE_H
#define RSPROF_TARGET_ELF_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "reader/core/module.h"

struct elf_image {
	struct segment segments[SEGMENTS_MAX];
	size_t segment_count;
	uint8_t build_id[BUILD_ID_MAX];
	uint8_t build_id_size;
	uint16_t type; /* ET_EXEC, ET_DYN */
};

/* 0; -ENOEXEC not ELF; -ENOTSUP another class, byte order or machine; -EBADMSG damaged; -errno. */
int elf_image_read(int fd, struct elf_image *ret_image);

#endif
