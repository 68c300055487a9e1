#include "reader/target/inject_image.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "reader/target/elf_headers.h"
#include "reader/target/elf_image.h"
#include "reader/target/elf_symbols.h"
#include "reader/target/inject_libc.h"
#include "reader/target/maps.h"
#include "reader/target/proc.h"
#include "reader/util/own.h"
#include "reader/util/str.h"

enum {
	PAGE_BYTES = 4096,
	HOLE_ALIGN = 16,
	/* The first instructions of ld.so: `mov %rsp,%rdi; call _dl_start`, perhaps after endbr64.
	 */
	ENTRY_BYTES = 12,
	/* _dl_start has 1,800 bytes of code, and relocates ld.so in all versions. */
	START_BYTES_MAX = 1024,
};

/* Away from all other mappings, so that nothing that grows meets it. */
#define GAP_MARGIN (UINT64_C(64) << 20)

bool inject_ranges_have(const inject_ranges *ranges, uint64_t address)
{
	for (size_t i = 0; i < ranges->count; i++)
		if (address >= ranges->items[i].start && address < ranges->items[i].end)
			return true;
	return false;
}

void inject_image_done(struct inject_image *image)
{
	for (size_t i = 0; i < image->objects.count; i++)
		if (image->objects.items[i].fd >= 0)
			close(image->objects.items[i].fd);
	vec_done(&image->objects);
	vec_done(&image->danger);
	vec_done(&image->libc);
	vec_done(&image->locks);
	target_mappings_done(&image->mappings);
}

static const char *base_name(const struct target_mapping *mapping)
{
	const char *slash = strrchr(mapping->path, '/');

	return slash ? slash + 1 : mapping->path;
}

static bool is_linker(const char *name)
{
	return str_starts(name, "ld-linux") || str_starts(name, "ld-2.");
}

static bool is_libc(const char *name)
{
	return str_starts(name, "libc.so.6") || str_starts(name, "libc-2.");
}

/* Parts of the C library that were files of their own before 2.34. */
static bool is_libc_part(const char *name)
{
	return is_libc(name) || str_starts(name, "libpthread") || str_starts(name, "libdl") ||
	       str_starts(name, "librt.so") || str_starts(name, "librt-");
}

/* ---- objects */

static void add_object(const struct target *target, const struct target_mapping *mapping,
		       struct inject_image *image)
{
	struct inject_object object = {.mapping = mapping};
	struct elf_image elf;
	const char *missing;

	object.fd = target_open_mapping(target, mapping, &missing);
	if (object.fd >= 0 && elf_image_read(object.fd, &elf) == 0) {
		for (size_t i = 0; i < elf.segment_count; i++) {
			const struct segment *at = &elf.segments[i];
			uint64_t page = at->file_offset & ~(uint64_t)(PAGE_BYTES - 1);

			if (mapping->file_offset < page ||
			    mapping->file_offset >= at->file_offset + at->file_size)
				continue;
			object.bias =
				mapping->start - mapping->file_offset + at->file_offset - at->vaddr;
			object.text_end = object.bias + at->vaddr + at->file_size;
			break;
		}
	}
	*vec_add(&image->objects) = object;
}

static void add_objects(const struct target *target, struct inject_image *image)
{
	for (size_t i = 0; i < image->mappings.count; i++) {
		const struct target_mapping *mapping = &image->mappings.items[i];
		bool is_known = false;

		if (!mapping->is_executable || mapping->inode == 0 || mapping->path[0] != '/')
			continue;
		for (size_t j = 0; j < image->objects.count && !is_known; j++)
			is_known = mapping_same_file(image->objects.items[j].mapping, mapping);
		if (!is_known)
			add_object(target, mapping, image);
	}
}

static const struct inject_object *find_object(const struct inject_image *image,
					       bool (*is_it)(const char *name))
{
	for (size_t i = 0; i < image->objects.count; i++)
		if (image->objects.items[i].text_end &&
		    is_it(base_name(image->objects.items[i].mapping)))
			return &image->objects.items[i];
	return NULL;
}

/* The file's mappings, of code only or all of them with the memory that follows (its .bss). */
static void add_mapped(const struct inject_image *image, const struct inject_object *object,
		       bool is_code, inject_ranges *ranges)
{
	const struct target_mapping *items = image->mappings.items;

	for (size_t i = 0; i < image->mappings.count; i++) {
		struct inject_range range = {items[i].start, items[i].end};

		if (!mapping_same_file(&items[i], object->mapping) ||
		    (is_code && !items[i].is_executable))
			continue;
		if (!is_code && i + 1 < image->mappings.count && items[i + 1].inode == 0 &&
		    items[i + 1].path[0] == '\0' && items[i + 1].start == items[i].end)
			range.end = items[i + 1].end;
		*vec_add(ranges) = range;
	}
}

static int read_libc(const struct inject_object *libc, struct inject_image *image, struct err *err)
{
	struct inject_libc found;
	int ret = inject_libc_read(libc->fd, &found);

	if (ret < 0)
		return err_set(err, ERR_GENERAL, ret, "The target's %s cannot be read.",
			       base_name(libc->mapping));
	if (!found.open_function)
		return err_set(err, ERR_GENERAL, -ENOTSUP,
			       "The target's %s has no dlopen that rsprof knows.",
			       base_name(libc->mapping));
	*vec_add(&image->danger) = (struct inject_range){libc->bias + found.malloc_start,
							 libc->bias + found.malloc_end};
	image->open_flags = found.open_flags;
	image->open_function = libc->bias + found.open_function;
	image->error_function = found.error_function ? libc->bias + found.error_function : 0;
	return 0;
}

/* ---- other allocators */

static bool defines_malloc(const struct inject_object *object)
{
	static const char *const names[] = {"malloc"};
	struct elf_wanted *wanted = elf_wanted_new(names, 1);
	elf_found_list found = {0};
	struct elf_symbol_tables tables;
	bool is_defined = false;

	if (object->fd >= 0 && elf_symbols_find(object->fd, wanted, &found, &tables) == 0)
		for (size_t i = 0; i < found.count; i++)
			is_defined |= found.items[i].is_dynamic && found.items[i].is_defined;
	vec_done(&found);
	elf_wanted_free(wanted);
	return is_defined;
}

static void add_allocators(const struct target *target, struct inject_image *image)
{
	for (size_t i = 0; i < image->objects.count; i++) {
		const struct inject_object *object = &image->objects.items[i];
		const char *name = base_name(object->mapping);

		if (is_libc_part(name) || is_linker(name) || !defines_malloc(object))
			continue;
		if (strcmp(object->mapping->path, target->exe_path) == 0)
			image->allocates_itself = true;
		else
			add_mapped(image, object, true, &image->danger);
	}
}

/* ---- reading */

static int refuse_static(const struct target *target, const struct inject_image *image,
			 struct err *err)
{
	for (size_t i = 0; i < image->mappings.count; i++)
		if (str_starts(base_name(&image->mappings.items[i]), "ld-musl"))
			return err_set(err, ERR_GENERAL, -ENOTSUP,
				       "%s runs with musl's C library; the agent is made for "
				       "glibc's.",
				       target->comm);
	err_set(err, ERR_GENERAL, -ENOTSUP,
		"%s is statically linked: it has no dynamic loader that could load the agent.",
		target->comm);
	err_remedy(err, "Record it without --inject, or link librsprof.a into it.");
	return -ENOTSUP;
}

/* The headers, by which a program of 32 bits is told. */
static int check_executable(const struct target *target, struct err *err)
{
	OWN(own_close) int fd = process_open(target, "exe", O_RDONLY);
	OWN(own_free) Elf64_Phdr *headers = NULL;
	uint64_t file_bytes;
	Elf64_Ehdr header;
	int ret = fd < 0 ? fd : elf_headers_read(fd, &header, &headers, &file_bytes);

	if (fd == -EACCES || fd == -EPERM)
		return 0; /* ptrace will say it */
	if (ret == -ENOTSUP || (ret == 0 && header.e_machine != EM_X86_64))
		return err_set(err, ERR_GENERAL, -ENOTSUP,
			       "%s is a program of another architecture than x86-64; the agent "
			       "cannot be loaded into it.",
			       target->comm);
	if (ret < 0)
		return err_set(err, ERR_GENERAL, ret, "The executable of %s cannot be read: %s.",
			       target->comm, strerror(-ret));
	return 0;
}

int inject_image_read(const struct target *target, struct inject_image *ret_image, struct err *err)
{
	struct inject_image image = {0};
	const struct inject_object *linker, *libc;
	int ret = check_executable(target, err);

	if (ret < 0)
		return ret;
	ret = target_list_mappings(target, &image.mappings);
	if (ret == -EACCES || ret == -EPERM)
		return err_set(err, ERR_PERMISSION, -EPERM, "You may not look into %s (%d).",
			       target->comm, target->pid);
	if (ret < 0)
		return err_set(err, ERR_NOT_FOUND, ret, "%s (%d) has ended.", target->comm,
			       target->pid);
	add_objects(target, &image);
	linker = find_object(&image, is_linker);
	libc = find_object(&image, is_libc);
	ret = linker && libc ? read_libc(libc, &image, err) : refuse_static(target, &image, err);
	if (ret < 0) {
		inject_image_done(&image);
		return ret;
	}
	add_mapped(&image, linker, true, &image.danger);
	add_mapped(&image, linker, false, &image.locks);
	add_mapped(&image, libc, false, &image.locks);
	for (size_t i = 0; i < image.objects.count; i++)
		if (is_libc_part(base_name(image.objects.items[i].mapping)))
			add_mapped(&image, &image.objects.items[i], true, &image.libc);
	add_allocators(target, &image);
	*ret_image = image;
	return 0;
}

/* ---- room */

/* Bytes of the file as they are mapped at the address, which is in the object's code. */
static bool read_original(const struct inject_object *object, uint64_t address, size_t bytes,
			  uint8_t *original)
{
	uint64_t offset = address - object->mapping->start + object->mapping->file_offset;
	ssize_t got = pread(object->fd, original, bytes, (off_t)offset);

	if (got < 0)
		return false;
	/* Behind its end there are zeroes. */
	memset(original + got, 0, bytes - (size_t)got);
	return true;
}

static bool hole_behind(const struct inject_object *object, size_t bytes, uint64_t *ret_address)
{
	uint64_t address = (object->text_end + 2 * HOLE_ALIGN - 1) & ~(uint64_t)(HOLE_ALIGN - 1);

	if (object->fd < 0 || !object->text_end || address > object->mapping->end ||
	    object->mapping->end - object->text_end >= PAGE_BYTES ||
	    object->mapping->end - address < bytes)
		return false;
	*ret_address = address;
	return true;
}

static bool hole_in_linker(const struct inject_object *linker, size_t bytes, uint64_t *ret_address)
{
	static const uint8_t marked[] = {0xf3, 0x0f, 0x1e, 0xfa};
	static const uint8_t begin[] = {0x48, 0x89, 0xe7, 0xe8};
	const struct target_mapping *mapping = linker->mapping;
	uint8_t code[ENTRY_BYTES], *at = code;
	Elf64_Ehdr header;
	uint64_t address;
	int32_t distance;

	if (bytes > START_BYTES_MAX || elf_read_bytes(linker->fd, &header, sizeof(header), 0) < 0)
		return false;
	address = linker->bias + header.e_entry;
	if (address < mapping->start || address > mapping->end - ENTRY_BYTES ||
	    !read_original(linker, address, sizeof(code), code))
		return false;
	if (memcmp(at, marked, sizeof(marked)) == 0)
		at += sizeof(marked);
	if (memcmp(at, begin, sizeof(begin)) != 0)
		return false;
	memcpy(&distance, at + sizeof(begin), sizeof(distance));
	address += (uint64_t)(at - code) + sizeof(begin) + 4 + (uint64_t)(int64_t)distance;
	if (address < mapping->start || address >= linker->text_end ||
	    linker->text_end - address < START_BYTES_MAX)
		return false;
	*ret_address = address;
	return true;
}

bool inject_image_hole(const struct inject_image *image, unsigned number, size_t bytes,
		       uint64_t *ret_address, uint8_t *original)
{
	const struct inject_object *linker = find_object(image, is_linker);

	for (size_t i = 0; i < image->objects.count; i++) {
		const struct inject_object *object = &image->objects.items[i];

		if (hole_behind(object, bytes, ret_address) && number-- == 0)
			return read_original(object, *ret_address, bytes, original);
	}
	return number == 0 && linker && hole_in_linker(linker, bytes, ret_address) &&
	       read_original(linker, *ret_address, bytes, original);
}

uint64_t inject_image_gap(const struct inject_image *image, uint64_t bytes)
{
	const struct target_mapping *items = image->mappings.items;

	for (size_t i = image->mappings.count; i-- > 1;) {
		uint64_t low = items[i - 1].end, high = items[i].start;

		/* The vsyscall page is beyond what a process may map. */
		if (high <= INT64_MAX && high > low && high - low > 2 * GAP_MARGIN + bytes)
			return (low + (high - low - bytes) / 2) & ~(uint64_t)(PAGE_BYTES - 1);
	}
	return 0;
}
