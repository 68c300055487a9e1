/* What readers are told of a module. */
#include "agent/unwind.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

static void tell_build_id(struct rsprof_shm_module *told, const uint8_t *notes, size_t size,
			  size_t alignment)
{
	size_t at = 0;

	while (size - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;
		size_t name, value, next;

		__builtin_memcpy(&note, notes + at, sizeof(note));
		name = at + sizeof(note);
		value = (name + note.n_namesz + alignment - 1) & ~(alignment - 1);
		next = (value + note.n_descsz + alignment - 1) & ~(alignment - 1);
		if (value > size || note.n_descsz > size - value)
			return;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
		    __builtin_memcmp(notes + name, "GNU", 4) == 0 &&
		    note.n_descsz <= sizeof(told->build_id)) {
			__builtin_memcpy(told->build_id, notes + value, note.n_descsz);
			told->build_id_bytes = note.n_descsz;
			return;
		}
		if (next > size)
			return;
		at = next;
	}
}

static void tell_path(struct rsprof_shm_module *told, const char *path)
{
	size_t i = 0;

	for (; i < sizeof(told->path) - 1 && path[i]; i++)
		told->path[i] = path[i];
	told->path[i] = 0;
}

/* The current folder may be another one than when the name was given: only what is there is
 * believed. */
static void tell_relative_path(struct rsprof_shm_module *told, const char *name)
{
	long length = sys_call(SYS_getcwd, (long)told->path, sizeof(told->path), 0, 0, 0, 0);
	size_t at = length > 0 ? (size_t)length - 1 : 0, i = 0;

	if (!at || told->path[0] != '/') {
		tell_path(told, name);
		return;
	}
	if (at > 1 && at < sizeof(told->path) - 1)
		told->path[at++] = '/';
	while (at < sizeof(told->path) - 1 && name[i])
		told->path[at++] = name[i++];
	told->path[at] = 0;
}

static bool has_slash(const char *name)
{
	while (*name && *name != '/')
		name++;
	return *name == '/';
}

static void tell_file(struct rsprof_shm_module *told, const struct unwind_object *object)
{
	const char *name = object->name ? object->name : "", *file = name;
	struct stat status;
	long length;

	if (!*name) {
		file = "/proc/self/exe";
		length = sys_call(SYS_readlink, (long)file, (long)told->path,
				  sizeof(told->path) - 1, 0, 0, 0);
		told->path[length > 0 ? length : 0] = 0;
	} else if (!has_slash(name)) {
		/* The vDSO, the only one without a file. */
		tell_path(told, "[vdso]");
		return;
	} else if (*name != '/') {
		tell_relative_path(told, name);
	} else {
		tell_path(told, name);
	}
	if (sys_call(SYS_newfstatat, AT_FDCWD, (long)file, (long)&status, 0, 0, 0))
		return;
	told->inode = status.st_ino;
	told->device_major = major(status.st_dev);
	told->device_minor = minor(status.st_dev);
}

void unwind_module_tell(struct rsprof_shm_module *told, const struct unwind_object *object,
			uintptr_t start, uintptr_t end, uint64_t file_offset)
{
	const Elf64_Phdr *segments = object->segments;

	told->start = start;
	told->end = end;
	told->file_offset = file_offset;
	tell_file(told, object);
	for (unsigned i = 0; i < object->segment_count && !told->build_id_bytes; i++) {
		const Elf64_Phdr *segment = &segments[i];
		uintptr_t notes = object->bias + segment->p_vaddr;

		if (segment->p_type == PT_NOTE &&
		    unwind_object_segment(object, notes, segment->p_memsz))
			tell_build_id(told, (const void *)notes, segment->p_memsz,
				      segment->p_align == 8 ? 8 : 4);
	}
}
