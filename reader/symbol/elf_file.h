/* One ELF file in memory: the file of a module, or a separate debug file. Private to the symbol
 * room.
 *
 * Files are taken by descriptor and copied, so that no descriptor stays open for a module and a
 * file that is cut short while it is in use is no signal; only large ones are mapped. */
#ifndef RSPROF_SYMBOL_ELF_FILE_H
#define RSPROF_SYMBOL_ELF_FILE_H

#include <gelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct code_range {
	uint64_t start, end;
};

/* Zero-initialised is "no file". */
struct elf_file {
	Elf *elf;
	void *image;
	size_t size;
	bool is_mapped;
	uint16_t machine;
	struct code_range *code; /* sorted; executable sections, or segments where there are none */
	size_t code_count;
};

/* 0; -ENOEXEC where it is no ELF file of this machine's byte order; -errno. The descriptor stays
 * the caller's. */
int elf_file_open(int fd, struct elf_file *ret_file);
/* The same by path; never opens anything but a regular file. */
int elf_file_open_path(const char *path, struct elf_file *ret_file);
/* Takes the image, which malloc gave. */
int elf_file_open_memory(void *image, size_t size, struct elf_file *ret_file);
void elf_file_close(struct elf_file *file);

/* The range of code that holds the address, or NULL. */
const struct code_range *elf_file_code(const struct elf_file *file, uint64_t address);
/* Is the instruction before the address a system call? The kernel reports the one after it. */
bool elf_file_is_after_syscall(const struct elf_file *file, uint64_t address);
/* The section of that name, or NULL; *ret_header is set where it is not NULL. */
Elf_Scn *elf_file_section(const struct elf_file *file, const char *name, GElf_Shdr *ret_header);
/* Bytes of the build-id, 0 where there is none; *ret_id lives as long as the file. */
size_t elf_file_build_id(const struct elf_file *file, const uint8_t **ret_id);
/* Does the file say that its sections grow, unpacked, beyond what any compiler's output does? */
bool elf_file_is_bomb(const struct elf_file *file);

#endif
