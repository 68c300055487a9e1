/* The file behind a mapping.
 *
 * A path is only a hint: the file may have been replaced or deleted, and the target may see another
 * tree of mounts. What opens is taken if it is a regular file of the mapping's device and inode,
 * and at least as long as what is mapped. File systems of several devices (btrfs, overlay) tell
 * stat(2) another device, some also another inode, than /proc/PID/maps; where these differ the
 * candidate is mapped here for a moment, and what the kernel says of that mapping in our own maps
 * decides. */
#include "reader/target/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "reader/target/maps.h"
#include "reader/target/memory_image.h"
#include "reader/target/proc.h"
#include "reader/util/own.h"
#include "reader/util/str.h"

static bool maps_agree(int fd, const struct target_mapping *mapping)
{
	OWN(target_mappings_done) target_mappings ours = {0};
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *window = mmap(NULL, page, PROT_READ, MAP_PRIVATE, fd, 0);
	bool agree = false;

	if (window == MAP_FAILED)
		return false;
	maps_read_self(&ours);
	for (size_t i = 0; i < ours.count && !agree; i++) {
		const struct target_mapping *at = &ours.items[i];

		if (at->start <= (uintptr_t)window && (uintptr_t)window < at->end)
			agree = mapping_same_file(at, mapping);
	}
	munmap(window, page);
	return agree;
}

static bool is_long_enough(uint64_t file_bytes, const struct target_mapping *mapping)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t length = mapping->end - mapping->start;

	return mapping->end > mapping->start && file_bytes <= INT64_MAX &&
	       mapping->file_offset <= INT64_MAX &&
	       mapping->file_offset + length <= (file_bytes + page - 1) / page * page;
}

/* Opens a candidate for reading, or -ESTALE where it is not the mapped file. It is looked at before
 * it is opened, as opening a device or a FIFO can have effects. */
static int open_regular(int path_fd, const struct target_mapping *mapping)
{
	OWN(own_close) int fd = -1;
	struct stat stat;
	char name[64];

	if (fstat(path_fd, &stat) < 0)
		return -errno;
	if (!S_ISREG(stat.st_mode) || !is_long_enough((uint64_t)stat.st_size, mapping))
		return -ESTALE;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", path_fd);
	fd = open(name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if ((stat.st_ino != mapping->inode || major(stat.st_dev) != mapping->device_major ||
	     minor(stat.st_dev) != mapping->device_minor) &&
	    !maps_agree(fd, mapping))
		return -ESTALE;
	return own_take_fd(fd);
}

/* An entry of the target's /proc folder. */
static int try_entry(const struct target *target, const char *name, int flags,
		     const struct target_mapping *mapping)
{
	OWN(own_close) int fd = process_open(target, name, O_PATH | flags);

	return fd < 0 ? fd : open_regular(fd, mapping);
}

/* The path as the target's root has it, then as ours: for a target in a chroot, the kernel writes
 * maps from our root. Paths in maps end in no symbolic link, so none is followed there. */
static int try_path(const struct target *target, const char *path,
		    const struct target_mapping *mapping)
{
	OWN(str_done) struct str name = {0};
	OWN(own_close) int ours = -1;
	int ret, second;

	str_addf(&name, "root%s", path);
	ret = try_entry(target, name.text, O_NOFOLLOW, mapping);
	if (ret >= 0)
		return ret;
	ours = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	second = ours < 0 ? -errno : open_regular(ours, mapping);
	return second >= 0 || (ret == -ENOENT && second == -EACCES) ? second : ret;
}

/* The path may have been read from maps in more than one way: see decode_path in maps.c, and a
 * file's name may itself end in " (deleted)". */
static int try_paths(const struct target *target, const struct target_mapping *mapping)
{
	int ret = try_path(target, mapping->path, mapping);

	if (ret < 0 && mapping->is_deleted) {
		OWN(str_done) struct str path = {0};
		int second;

		str_addf(&path, "%s (deleted)", mapping->path);
		second = try_path(target, path.text, mapping);
		if (second >= 0)
			return second;
	}
	if (ret < 0 && strchr(mapping->path, '\n')) {
		OWN(str_done) struct str path = {0};
		int second;

		for (const char *at = mapping->path; *at; at++)
			str_add_bytes(&path, *at == '\n' ? "\\012" : at, *at == '\n' ? 4 : 1);
		second = try_path(target, path.text, mapping);
		if (second >= 0)
			return second;
	}
	return ret;
}

/* Why the path did not do, where the memory did not do either. */
static const char *tell_missing(int path_error, int image_error, const char *image_missing)
{
	if (path_error == -EACCES || path_error == -EPERM)
		return "the file is not readable";
	if (image_error != -EACCES && image_error != -EPERM)
		return image_missing;
	if (path_error == -ESTALE)
		return "another file has its path now, and the process's memory is not readable";
	return "the file is gone, and the process's memory is not readable";
}

int target_open_mapping(const struct target *target, const struct target_mapping *mapping,
			const char **ret_missing)
{
	const char *missing = NULL;
	int path_error, fd;
	char name[64];

	if (strcmp(mapping->path, "[vdso]") == 0)
		return memory_image_of_range(target, mapping, ret_missing);
	if (mapping->path[0] != '/' || str_starts(mapping->path, "//")) {
		*ret_missing = "it is not mapped from a file";
		return -ENOENT;
	}
	path_error = try_paths(target, mapping);
	if (path_error >= 0)
		return path_error;
	fd = try_entry(target, "exe", 0, mapping);
	if (fd >= 0)
		return fd;
	snprintf(name, sizeof(name), "map_files/%lx-%lx", (unsigned long)mapping->start,
		 (unsigned long)mapping->end);
	fd = try_entry(target, name, 0, mapping);
	if (fd >= 0)
		return fd;
	fd = memory_image_of_file(target, mapping, &missing);
	if (fd >= 0)
		return fd;
	*ret_missing = target_is_alive(target) ? tell_missing(path_error, fd, missing)
					       : "the process has ended";
	return path_error;
}
