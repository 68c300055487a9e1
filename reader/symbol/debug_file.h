/* The separate file that holds a module's debug information. Private to the symbol room. */
#ifndef RSPROF_SYMBOL_DEBUG_FILE_H
#define RSPROF_SYMBOL_DEBUG_FILE_H

#include "reader/core/module.h"
#include "reader/symbol/elf_file.h"

#define DEBUG_ROOT "/usr/lib/debug"

/* By build-id below root, else by the name and checksum in .gnu_debuglink. What is found belongs to
 * the module: same build-id, or the right checksum where there is none. main may be "no file". 0
 * and the file with its path (for the caller to free), or -ENOENT. */
int debug_file_find(const char *root, const struct module *module, const struct elf_file *main_file,
		    struct elf_file *ret_file, char **ret_path);
/* A file by build-id alone, below root. */
int debug_file_by_build_id(const char *root, const uint8_t *id, size_t id_size,
			   struct elf_file *ret_file, char **ret_path);

#endif
