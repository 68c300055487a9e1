/* What an ELF file says about unwinding, copied out of it: the file may change or shrink meanwhile
 * and is closed afterwards. Private to this room. */
#ifndef RSPROF_UNWIND_ELF_FRAMES_H
#define RSPROF_UNWIND_ELF_FRAMES_H

#include <stddef.h>
#include <stdint.h>

#include "shm/ehframe.h"

enum {
	/* As the kernel and the target room have it: 64 KiB of program headers. */
	UNWIND_SEGMENTS_MAX = 1170,
	/* Section headers kept in memory while the file is read; programs built with a section for
	 * each function have that many in object files only. */
	UNWIND_SECTIONS_MAX = 65536,
	/* 34 times the .eh_frame of libLLVM. */
	UNWIND_FRAME_BYTES_MAX = 256 << 20,
	/* SHA-1 is what linkers write; longer ones are cut. */
	UNWIND_BUILD_ID_MAX = 20,
	/* Notes before the build-id are few and short. */
	UNWIND_NOTE_BYTES_MAX = 65536,
};

/* From the lowest to the highest address of what is loaded for execution. */
#define UNWIND_TEXT_BYTES_MAX (UINT64_C(1) << 30) /* ten times libLLVM's */

struct unwind_build_id {
	uint8_t size; /* 0: none */
	uint8_t bytes[UNWIND_BUILD_ID_MAX];
};

/* _init and _fini, which are put together from pieces that have no unwind information: the frame is
 * 8 bytes larger from pushed to popped. Their page is where a file's code is touched first, and
 * faults. */
struct elf_bare_code {
	uint64_t start, pushed, popped, end;
};

/* Zero-initialised is nothing. */
struct elf_frames {
	uint64_t text_start, text_end; /* of all executable segments together */
	uint64_t text_bytes;	       /* without what lies between them */
	uint64_t entry;		       /* 0: none */
	/* Bytes are NULL where there is no such section. */
	struct ehframe_section eh_frame, debug_frame;
	bool is_debug_frame_packed; /* it is compressed, and was left out */
	/* Only where the code is as libc's pieces alone make it. */
	struct elf_bare_code bare[2];
	size_t bare_count;
};

/* 0; -ENOEXEC: no ELF file; -ENOTSUP: of another class, byte order or machine; -EBADMSG: damaged;
 * -EFBIG: beyond a bound; or -errno. */
int elf_frames_read(int fd, struct elf_frames *ret_frames);
void elf_frames_done(struct elf_frames *frames);

/* The same errors; a file without build-id is none. */
int elf_frames_build_id(int fd, struct unwind_build_id *ret_id);

#endif
