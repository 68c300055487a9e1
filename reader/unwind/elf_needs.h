/* What an ELF file asks of the loader: other files. */
#ifndef RSPROF_UNWIND_ELF_NEEDS_H
#define RSPROF_UNWIND_ELF_NEEDS_H

#include <stddef.h>

enum {
	/* Files that one file names; linkers drop what is not used, and 100 are many. */
	ELF_NEEDS_MAX = 512,
	/* Of each string. A name has PATH_MAX, a list of folders some of those. */
	ELF_NEEDS_STRING_MAX = 16384,
};

/* Zero-initialised is nothing. NULL where the file does not say. */
struct elf_needs {
	char *interpreter;
	char *rpath, *runpath; /* lists with colons */
	char **libraries;
	size_t library_count;
};

/* 0; or as elf_frames_read. Damaged parts of a file that is otherwise sound are left out. */
int elf_needs_read(int fd, struct elf_needs *ret_needs);
void elf_needs_done(struct elf_needs *needs);

#endif
