#include "reader/symbol/debug_file.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "reader/util/own.h"
#include "reader/util/str.h"

enum {
	/* Shorter ones name no folder and file, longer ones no linker writes. */
	ID_MIN = 3,
	ID_MAX = 64,
	/* What zlib's checksum takes at a time, well within its unsigned int. */
	CHECKSUM_STEP = 1 << 30,
};

/* What a module's build-id was cut to is compared, no more. */
static bool has_id(const struct elf_file *file, const uint8_t *id, size_t id_size)
{
	const uint8_t *own;
	size_t own_size = elf_file_build_id(file, &own);

	if (own_size > id_size && id_size == BUILD_ID_MAX)
		own_size = id_size;
	return own_size == id_size && memcmp(own, id, id_size) == 0;
}

int debug_file_by_build_id(const char *root, const uint8_t *id, size_t id_size,
			   struct elf_file *ret_file, char **ret_path)
{
	struct elf_file file;
	struct str path = {0};

	if (id_size < ID_MIN || id_size > ID_MAX)
		return -ENOENT;
	str_addf(&path, "%s/.build-id/%02x/", root, id[0]);
	for (size_t i = 1; i < id_size; i++)
		str_addf(&path, "%02x", id[i]);
	str_add(&path, ".debug");
	if (elf_file_open_path(path.text, &file) != 0) {
		str_done(&path);
		return -ENOENT;
	}
	if (!has_id(&file, id, id_size)) {
		elf_file_close(&file);
		str_done(&path);
		return -ENOENT;
	}
	*ret_file = file;
	*ret_path = path.text;
	return 0;
}

static bool has_checksum(const struct elf_file *file, uint32_t want)
{
	uLong sum = crc32(0, NULL, 0);

	for (size_t at = 0; at < file->size;) {
		size_t step = file->size - at;

		if (step > CHECKSUM_STEP)
			step = CHECKSUM_STEP;
		sum = crc32(sum, (const Bytef *)file->image + at, (uInt)step);
		at += step;
	}
	return sum == want;
}

struct link {
	const char *name;
	GElf_Word checksum;
	const uint8_t *id; /* of the main file */
	size_t id_size;
};

static bool belongs(const struct elf_file *file, const struct link *link)
{
	const uint8_t *own;

	/* Two build-ids tell more than a checksum, and need not read the whole file. */
	if (link->id_size && elf_file_build_id(file, &own))
		return has_id(file, link->id, link->id_size);
	return has_checksum(file, link->checksum);
}

static int find_by_link(const char *root, const char *module_path, const struct link *link,
			struct elf_file *ret_file, char **ret_path)
{
	const char *slash = strrchr(module_path, '/');
	int folder = slash ? (int)(slash - module_path) : 0;
	const char *const forms[] = {"", "/.debug", NULL};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct elf_file file;
		struct str path = {0};

		if (forms[i])
			str_addf(&path, "%.*s%s/%s", folder, module_path, forms[i], link->name);
		else
			str_addf(&path, "%s%.*s/%s", root, folder, module_path, link->name);
		if (elf_file_open_path(path.text, &file) == 0) {
			if (belongs(&file, link)) {
				*ret_file = file;
				*ret_path = path.text;
				return 0;
			}
			elf_file_close(&file);
		}
		str_done(&path);
	}
	return -ENOENT;
}

int debug_file_find(const char *root, const struct module *module, const struct elf_file *main_file,
		    struct elf_file *ret_file, char **ret_path)
{
	struct link link = {.id = module->build_id, .id_size = module->build_id_size};

	if (!link.id_size)
		link.id_size = elf_file_build_id(main_file, &link.id);
	if (debug_file_by_build_id(root, link.id, link.id_size, ret_file, ret_path) == 0)
		return 0;
	if (!main_file->elf || !module->path || module->path[0] != '/')
		return -ENOENT;
	link.name = dwelf_elf_gnu_debuglink(main_file->elf, &link.checksum);
	/* A bare file name, by its format: anything else would lead out of the three folders. */
	if (!link.name || !link.name[0] || strchr(link.name, '/'))
		return -ENOENT;
	return find_by_link(root, module->path, &link, ret_file, ret_path);
}
