#include "reader/target/allocator_objects.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "reader/target/link_map.h"
#include "reader/target/maps.h"
#include "reader/util/own.h"
#include "reader/util/str.h"

enum {
	/* Browsers map 400 files with code. */
	OBJECTS_MAX = 4096,
	FILES_MAX = 16384,
	TRIES = 100,
};

/* Of symbols that are read at once: a target that maps more wants to keep us busy. A browser's are
 * 300 MB. */
#define TABLE_BYTES_MAX (1024ULL * 1024 * 1024)

static void own_objects(linked_objects *objects)
{
	vec_done(objects);
}

/* ---- the finder */

struct allocator_finder {
	struct elf_wanted *wanted;
	VEC(struct allocator_file *) files;
	uint64_t table_bytes; /* read since allocator_finder_trim */
};

struct allocator_finder *allocator_finder_new(void)
{
	struct allocator_finder *finder = mem_zalloc(sizeof(*finder));
	OWN(own_free) const char **names = mem_array(allocator_name_count, sizeof(*names));

	for (size_t i = 0; i < allocator_name_count; i++)
		names[i] = allocator_names[i].text;
	finder->wanted = elf_wanted_new(names, allocator_name_count);
	return finder;
}

static void forget_files(struct allocator_finder *finder)
{
	for (size_t i = 0; i < finder->files.count; i++)
		allocator_file_free(finder->files.items[i]);
	vec_done(&finder->files);
}

void allocator_finder_free(struct allocator_finder *finder)
{
	if (!finder)
		return;
	forget_files(finder);
	elf_wanted_free(finder->wanted);
	free(finder);
}

void allocator_finder_trim(struct allocator_finder *finder)
{
	finder->table_bytes = 0;
	if (finder->files.count > FILES_MAX)
		forget_files(finder);
}

static uint64_t device_of(const struct target_mapping *mapping)
{
	return (uint64_t)mapping->device_major << 32 | mapping->device_minor;
}

static bool is_same(const struct allocator_file *file, const struct target_mapping *mapping,
		    const struct stat *stat)
{
	return file->device == device_of(mapping) && file->inode == mapping->inode &&
	       file->bytes == (uint64_t)stat->st_size &&
	       file->changed.tv_sec == stat->st_mtim.tv_sec &&
	       file->changed.tv_nsec == stat->st_mtim.tv_nsec;
}

const struct allocator_file *allocator_finder_file(struct allocator_finder *finder,
						   const struct target *target,
						   const struct target_mapping *mapping,
						   const char **ret_missing)
{
	OWN(own_close) int fd = target_open_mapping(target, mapping, ret_missing);
	struct allocator_file *file;
	struct stat stat;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &stat) < 0) {
		*ret_missing = "the file is not readable";
		return NULL;
	}
	for (size_t i = 0; i < finder->files.count; i++)
		if (is_same(finder->files.items[i], mapping, &stat))
			return finder->files.items[i];
	if (finder->table_bytes > TABLE_BYTES_MAX) {
		*ret_missing = "the files before it have more than 1 GiB of symbols";
		return NULL;
	}
	file = allocator_file_read(fd, finder->wanted);
	finder->table_bytes += file->table_bytes;
	file->device = device_of(mapping);
	file->inode = mapping->inode;
	file->bytes = (uint64_t)stat.st_size;
	file->changed = stat.st_mtim;
	*vec_add(&finder->files) = file;
	return file;
}

/* ---- objects */

static struct mapped_object *object_of(struct mapped_objects *objects,
				       const struct target_mapping *mapping)
{
	/* Mappings of a file are neighbours. */
	for (size_t i = objects->list.count; i-- > 0;)
		if (mapping_same_file(objects->list.items[i].mapping, mapping))
			return &objects->list.items[i];
	return NULL;
}

static bool is_file(const struct target_mapping *mapping)
{
	return mapping->inode != 0 && mapping->path[0] == '/' && !str_starts(mapping->path, "//");
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void add_object(struct allocator_finder *finder, const struct target *target,
		       const struct target_mapping *mapping, struct mapped_objects *objects)
{
	struct mapped_object object = {.mapping = mapping, .name = base_name(mapping->path)};
	uint64_t vaddr;

	object.file = allocator_finder_file(finder, target, mapping, &object.missing);
	if (object.file && object.file->error < 0)
		object.missing = "it is not an ELF file that can be read";
	object.text_start = mapping->start;
	object.text_end = mapping->end;
	if (object.file && object.file->error == 0) {
		if (allocator_file_vaddr(object.file, mapping->file_offset, &vaddr))
			object.bias = mapping->start - vaddr;
		else
			object.missing = "its code is not where its ELF headers say";
	}
	*vec_add(&objects->list) = object;
}

/* A further executable mapping of the object; a second copy of the same file has another bias. */
static void extend_object(struct mapped_object *object, const struct target_mapping *mapping)
{
	uint64_t vaddr;

	if (object->missing || !allocator_file_vaddr(object->file, mapping->file_offset, &vaddr) ||
	    mapping->start - vaddr != object->bias)
		return;
	if (object->text_start > mapping->start)
		object->text_start = mapping->start;
	if (object->text_end < mapping->end)
		object->text_end = mapping->end;
}

static void add_objects(struct allocator_finder *finder, const struct target *target,
			struct mapped_objects *objects)
{
	for (size_t i = 0; i < objects->mappings.count; i++) {
		const struct target_mapping *mapping = &objects->mappings.items[i];
		struct mapped_object *object;

		if (!mapping->is_executable || !is_file(mapping))
			continue;
		object = object_of(objects, mapping);
		if (object)
			extend_object(object, mapping);
		else if (objects->list.count < OBJECTS_MAX)
			add_object(finder, target, mapping, objects);
		else
			objects->is_cut = true;
	}
}

/* ---- their order */

static const struct target_mapping *mapping_at(const target_mappings *mappings, uint64_t address)
{
	size_t low = 0, high = mappings->count;

	/* The kernel sorts them. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct target_mapping *at = &mappings->items[middle];

		if (address < at->start)
			high = middle;
		else if (address >= at->end)
			low = middle + 1;
		else
			return at;
	}
	return NULL;
}

/* The object whose file is mapped at the address, in whatever way; list.count: none. */
static uint32_t object_at(struct mapped_objects *objects, uint64_t address)
{
	const struct target_mapping *mapping = mapping_at(&objects->mappings, address);
	struct mapped_object *object;

	object = mapping && is_file(mapping) ? object_of(objects, mapping) : NULL;
	return object ? (uint32_t)(object - objects->list.items) : (uint32_t)objects->list.count;
}

static void add_to_order(struct mapped_objects *objects, uint32_t index)
{
	for (size_t i = 0; i < objects->order.count; i++)
		if (objects->order.items[i] == index)
			return;
	*vec_add(&objects->order) = index;
}

static bool is_replacement(const char *name)
{
	return str_starts(name, "libjemalloc") || str_starts(name, "libtcmalloc") ||
	       str_starts(name, "libmimalloc");
}

static bool is_linker(const char *name)
{
	return str_starts(name, "ld-linux") || str_starts(name, "ld-2.");
}

/* A library that replaces malloc comes before the C library that has one. */
static void guess_order(struct mapped_objects *objects)
{
	if (objects->executable < objects->list.count &&
	    !is_linker(objects->list.items[objects->executable].name))
		add_to_order(objects, objects->executable);
	for (uint32_t i = 0; i < objects->list.count; i++)
		if (is_replacement(objects->list.items[i].name))
			add_to_order(objects, i);
	for (uint32_t i = 0; i < objects->list.count; i++) {
		const struct mapped_object *object = &objects->list.items[i];

		if (object->file && allocator_file_symbol(object->file, "__libc_start_main"))
			add_to_order(objects, i);
	}
}

/* A linker that was started by name (ld.so PROGRAM) is what the kernel calls the executable. The
 * program is then the first file that asks for a linker, other than the C library, which does so,
 * too. */
static void see_through_linker(struct mapped_objects *objects, uint64_t *headers, uint64_t *count)
{
	for (uint32_t i = 0; i < objects->list.count; i++) {
		const struct mapped_object *object = &objects->list.items[i];

		if (!object->file || !object->file->has_interpreter ||
		    allocator_file_symbol(object->file, "__libc_start_main"))
			continue;
		objects->executable = i;
		for (size_t j = 0; j < objects->mappings.count; j++) {
			const struct target_mapping *mapping = &objects->mappings.items[j];

			if (!mapping_same_file(mapping, object->mapping) || mapping->file_offset)
				continue;
			*headers = mapping->start + object->file->headers_offset;
			*count = object->file->header_count;
			return;
		}
		return;
	}
}

/* By the kernel's word, else by the path. */
static void find_executable(const struct target *target, struct mapped_objects *objects,
			    uint64_t *ret_headers, uint64_t *ret_count)
{
	uint32_t none = (uint32_t)objects->list.count;

	objects->executable = none;
	if (link_map_program_headers(target, ret_headers, ret_count) == 0 && *ret_headers)
		objects->executable = object_at(objects, *ret_headers);
	for (uint32_t i = 0; i < none && objects->executable == none; i++)
		if (strcmp(objects->list.items[i].mapping->path, target->exe_path) == 0)
			objects->executable = i;
	if (objects->executable < none && is_linker(objects->list.items[objects->executable].name))
		see_through_linker(objects, ret_headers, ret_count);
}

static void find_order(const struct target *target, struct mapped_objects *objects)
{
	OWN(own_objects) linked_objects linked = {0};
	uint64_t headers = 0, count = 0;

	find_executable(target, objects, &headers, &count);
	/* Where there is no list, the order is a guess. */
	link_map_read(target, headers, count, &linked);
	for (size_t i = 0; i < linked.count; i++) {
		uint32_t index = object_at(objects, linked.items[i].dynamic);

		if (index < objects->list.count)
			add_to_order(objects, index);
	}
	/* While the linker begins, its list is not whole. */
	guess_order(objects);
}

/* In the moment of an exec there are none. */
static int read_mappings(const struct target *target, target_mappings *mappings)
{
	for (unsigned i = 0; i < TRIES; i++) {
		int ret = target_list_mappings(target, mappings);

		if (ret < 0 || mappings->count > 0)
			return ret;
		if (!target_is_alive(target))
			break;
	}
	return -ESRCH;
}

int mapped_objects_find(struct allocator_finder *finder, const struct target *target,
			struct mapped_objects *ret_objects)
{
	struct mapped_objects objects = {0};
	int ret = read_mappings(target, &objects.mappings);

	if (ret < 0) {
		mapped_objects_done(&objects);
		return ret;
	}
	allocator_finder_trim(finder);
	add_objects(finder, target, &objects);
	find_order(target, &objects);
	*ret_objects = objects;
	return 0;
}

void mapped_objects_done(struct mapped_objects *objects)
{
	target_mappings_done(&objects->mappings);
	vec_done(&objects->list);
	vec_done(&objects->order);
}
