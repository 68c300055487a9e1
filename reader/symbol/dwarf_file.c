#include "reader/symbol/dwarf_file.h"

#include <dwarf.h>
#include <elfutils/libdwelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "reader/symbol/debug_file.h"
#include "reader/symbol/path.h"
#include "reader/symbol/path_full.h"

enum {
	/* Units may share lists of ranges, so a small file can mean endless ones. The largest
	 * programs have under a million. */
	FILE_RANGES_MAX = 4 * 1024 * 1024,
};

/* Would opening the path do more than find no file? libdw opens what a file names, and a foreign
 * one may name a pipe or a device. */
static bool is_harmful(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && !S_ISREG(status.st_mode);
}

static const char *text_of(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attribute;

	return dwarf_attr(die, name, &attribute) ? dwarf_formstring(&attribute) : NULL;
}

static const char *language_name(Dwarf_Word language)
{
	switch (language) {
	case DW_LANG_Rust:
		return "Rust";
	case DW_LANG_C:
	case DW_LANG_C89:
	case DW_LANG_C99:
	case DW_LANG_C11:
	case 0x2c: /* DW_LANG_C17, newer than libdw */
		return "C";
	case DW_LANG_C_plus_plus:
	case DW_LANG_C_plus_plus_03:
	case DW_LANG_C_plus_plus_11:
	case DW_LANG_C_plus_plus_14:
	case 0x2b: /* DW_LANG_C_plus_plus_17 */
		return "C++";
	default:
		return NULL;
	}
}

static uint64_t handle_key(const Dwarf_CU *handle)
{
	return (uint64_t)(uintptr_t)handle;
}

static uint32_t add_unit(struct dwarf_file *file, const Dwarf_Die *entry)
{
	struct unit *unit = mem_zalloc(sizeof(*unit));
	uint32_t place = (uint32_t)file->units.count;

	unit->own = unit->tree = *entry;
	*vec_add(&file->units) = unit;
	u64_map_put(&file->by_handle, handle_key(entry->cu), place);
	return place;
}

enum { RANK_TABLE, RANK_UNIT };

static bool add_range(struct dwarf_file *file, uint64_t start, uint64_t end, uint32_t rank,
		      uint32_t place)
{
	const struct code_range *range = elf_file_code(file->code, start);

	if (!range || end <= start)
		return false;
	range_index_add(&file->index, start, end < range->end ? end : range->end, rank, place);
	return true;
}

/* The tree of a skeleton lies in a .dwo file. */
static void find_tree(struct unit *unit)
{
	Dwarf_Die tree = {0};
	const char *name = text_of(&unit->own, DW_AT_dwo_name);
	char *path;

	if (!name)
		name = text_of(&unit->own, DW_AT_GNU_dwo_name);
	if (!name)
		return;
	path = path_full(name, text_of(&unit->own, DW_AT_comp_dir));
	if (!is_harmful(path) && !is_harmful(name) &&
	    dwarf_cu_info(unit->own.cu, NULL, NULL, NULL, &tree, NULL, NULL, NULL) == 0 &&
	    tree.addr)
		unit->tree = tree;
	free(path);
}

static void note_first(struct dwarf_file *file, struct unit *unit, int version)
{
	Dwarf_Attribute attribute;
	Dwarf_Word language;

	if (!file->version)
		file->version = version;
	if (file->language)
		return;
	/* Not dwarf_srclang, which opens the .dwo file of a skeleton without a look at its kind. */
	if (!dwarf_attr(&unit->own, DW_AT_language, &attribute)) {
		find_tree(unit);
		if (!dwarf_attr(&unit->tree, DW_AT_language, &attribute))
			return;
	}
	if (dwarf_formudata(&attribute, &language) == 0)
		file->language = language_name(language);
}

/* What units tell of their own ranges is believed first. Where none claims an address there is a
 * table by address, perhaps: old compilers name a unit's main section only. */
static void read_aranges(struct dwarf_file *file)
{
	Dwarf_Aranges *aranges;
	size_t count;

	if (dwarf_getaranges(file->dwarf, &aranges, &count) != 0)
		return;
	for (size_t i = 0; i < count && i < FILE_RANGES_MAX; i++) {
		Dwarf_Arange *arange = dwarf_onearange(aranges, i);
		Dwarf_Addr start;
		Dwarf_Word size;
		Dwarf_Off offset;
		Dwarf_Die entry;
		uint32_t place;

		if (!arange || dwarf_getarangeinfo(arange, &start, &size, &offset) != 0 ||
		    !dwarf_offdie(file->dwarf, offset, &entry))
			continue;
		place = u64_map_get(&file->by_handle, handle_key(entry.cu));
		if (place != UINT32_MAX && start + size > start)
			add_range(file, start, start + size, RANK_TABLE, place);
	}
}

static void read_units(struct dwarf_file *file)
{
	Dwarf_CU *handle = NULL;
	Dwarf_Die entry;
	Dwarf_Half version;
	uint8_t type;
	size_t range_count = 0;

	while (file->units.count < RANGE_NONE - 1 &&
	       dwarf_get_units(file->dwarf, handle, &handle, &version, &type, &entry, NULL) == 0) {
		Dwarf_Addr base, start, end;
		ptrdiff_t at = 0;
		bool has_code = false;
		uint32_t place;

		/* Types and parts that are imported have no code of their own. */
		if (type != DW_UT_compile && type != DW_UT_skeleton)
			continue;
		place = add_unit(file, &entry);
		while (range_count < FILE_RANGES_MAX &&
		       (at = dwarf_ranges(&entry, at, &base, &start, &end)) > 0) {
			range_count++;
			has_code |= add_range(file, start, end, RANK_UNIT, place);
		}
		if (has_code)
			note_first(file, file->units.items[place], version);
	}
	read_aranges(file);
	range_index_seal(&file->index);
}

/* Opens what .gnu_debugaltlink names. false where libdw, which looks for it too, must be kept from
 * doing so. */
static bool open_shared(struct dwarf_file *file, const char *path, const char *root)
{
	const char *name;
	const void *id;
	ssize_t id_size = dwelf_dwarf_gnu_debugaltlink(file->dwarf, &name, &id);
	char *full = NULL, *folder, *found = NULL;
	bool is_open;

	if (id_size <= 0)
		return true;
	folder = mem_strdup(path);
	if (folder && strrchr(folder, '/'))
		*strrchr(folder, '/') = '\0';
	full = path_full(name, folder);
	free(folder);
	is_open = debug_file_by_build_id(root, id, (size_t)id_size, &file->shared, &found) == 0;
	if (!is_open && elf_file_open_path(full, &file->shared) == 0) {
		const uint8_t *own;
		size_t size = elf_file_build_id(&file->shared, &own);

		is_open = size == (size_t)id_size && memcmp(own, id, size) == 0;
		if (!is_open)
			elf_file_close(&file->shared);
	}
	free(found);
	if (is_open && !elf_file_is_bomb(&file->shared))
		file->shared_dwarf = dwarf_begin_elf(file->shared.elf, DWARF_C_READ, NULL);
	if (file->shared_dwarf)
		dwarf_setalt(file->dwarf, file->shared_dwarf);
	else
		is_open = false;
	if (!is_open && (is_harmful(full) || is_harmful(name))) {
		free(full);
		return false;
	}
	free(full);
	return true;
}

struct dwarf_file *dwarf_file_new(const struct elf_file *elf, const char *path, const char *root,
				  const struct elf_file *code)
{
	struct dwarf_file *file;
	Dwarf *dwarf;

	if (!elf->elf || elf_file_is_bomb(elf))
		return NULL;
	dwarf = dwarf_begin_elf(elf->elf, DWARF_C_READ, NULL);
	if (!dwarf)
		return NULL;
	file = mem_zalloc(sizeof(*file));
	file->dwarf = dwarf;
	file->code = code;
	if (open_shared(file, path, root))
		read_units(file);
	if (!file->index.segment_count) {
		dwarf_file_free(file);
		return NULL;
	}
	return file;
}

void dwarf_file_free(struct dwarf_file *file)
{
	if (!file)
		return;
	for (size_t i = 0; i < file->units.count; i++) {
		unit_done(file->units.items[i]);
		free(file->units.items[i]);
	}
	vec_done(&file->units);
	u64_map_done(&file->by_handle);
	range_index_done(&file->index);
	dwarf_end(file->dwarf);
	dwarf_end(file->shared_dwarf);
	elf_file_close(&file->shared);
	free(file);
}

static struct unit *built(struct dwarf_file *file, uint32_t place)
{
	struct unit *unit = file->units.items[place];

	if (unit->is_built)
		return unit;
	find_tree(unit);
	if (unit->tree.cu != unit->own.cu)
		u64_map_put(&file->by_handle, handle_key(unit->tree.cu), place);
	unit_build(unit, file->code);
	return unit;
}

struct unit *dwarf_file_unit(struct dwarf_file *file, uint64_t address)
{
	uint32_t place = range_index_find(&file->index, address);

	return place == RANGE_NONE ? NULL : built(file, place);
}

struct unit *dwarf_file_unit_of(struct dwarf_file *file, Dwarf_Die *die)
{
	uint32_t place = u64_map_get(&file->by_handle, handle_key(die->cu));
	Dwarf_Die entry;

	if (place == UINT32_MAX) {
		if (!dwarf_diecu(die, &entry, NULL, NULL) || file->units.count >= RANGE_NONE - 1)
			return NULL;
		place = add_unit(file, &entry);
	}
	return built(file, place);
}

static void read_files(struct unit_files *files, Dwarf_Die *entry)
{
	files->is_read = true;
	if (dwarf_getsrcfiles(entry, &files->table, &files->count) != 0)
		files->count = 0;
	if (files->count)
		files->items = mem_zalloc(files->count * sizeof(*files->items));
}

/* libdw joins the compilation directory to files that lie in it, and not to those whose own
 * directory is a relative one. */
static bool is_joined(const char *name, const char *folder)
{
	size_t length = folder ? strlen(folder) : 0;

	return length && strncmp(name, folder, length) == 0 && name[length] == '/';
}

const struct unit_file *dwarf_file_source(struct unit *unit, bool is_call, uint32_t index,
					  struct intern *strings)
{
	struct unit_files *files = is_call ? &unit->call_files : &unit->line_files;
	struct unit_file *file;
	const char *name, *folder;
	char *text, *full;

	if (!files->is_read)
		read_files(files, is_call ? &unit->tree : &unit->own);
	if (index >= files->count)
		return NULL;
	file = &files->items[index];
	if (file->path)
		return file;
	name = dwarf_filesrc(files->table, index, NULL, NULL);
	/* libdw's own word for "none". */
	if (!name || !name[0] || strcmp(name, "???") == 0)
		return NULL;
	folder = text_of(&unit->own, DW_AT_comp_dir);
	full = path_full(name, is_joined(name, folder) ? NULL : folder);
	file->path = intern(strings, full);
	/* Where builds hide their folder it is a relative one: `./csu` is told with the file. */
	text = path_shorten(full, full[0] == '/' ? folder : NULL);
	free(full);
	file->shown = intern(strings, text);
	free(text);
	return file;
}
