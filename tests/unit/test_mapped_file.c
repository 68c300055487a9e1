/* Unit tests of the file behind a mapping, in all the ways in which its path may not lead there. */
#include "reader/target/target.h"

#include <elf.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "reader/target/elf_image.h"
#include "reader/target/memory_image.h"
#include "reader/target/proc.h"
#include "reader/util/own.h"
#include "reader/util/str.h"
#include "tests/lib/kit.h"
#include "tests/unit/child.h"
#include "tests/unit/looked_at.h"

static const char LIBRARY[] = "/lib/x86_64-linux-gnu/libm.so.6";

static void check_same_bytes(int fd, uint64_t offset, int original, uint64_t original_offset,
			     uint64_t count)
{
	while (count > 0) {
		char got[4096], want[4096];
		size_t step = count < sizeof(got) ? count : sizeof(got);

		CHECK_EQ_I64(pread(fd, got, step, (off_t)offset), (int64_t)step);
		CHECK_EQ_I64(pread(original, want, step, (off_t)original_offset), (int64_t)step);
		CHECK(memcmp(got, want, step) == 0);
		offset += step;
		original_offset += step;
		count -= step;
	}
}

/* Opens the mapping's file, which must be the mapped inode itself, not a copy. */
static void check_opens_inode(const struct target *target, const struct target_mapping *mapping)
{
	const char *missing = NULL;
	OWN(own_close) int fd = target_open_mapping(target, mapping, &missing);
	struct stat stat;

	if (fd < 0)
		FAIL("%s: %s", mapping->path, missing);
	CHECK(fstat(fd, &stat) == 0);
	CHECK_EQ_U64(stat.st_ino, mapping->inode);
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

/* Closes map_files to this test, as it is to ordinary users: it would lead to every file, and a
 * path that leads nowhere would not be noticed. */
static void forbid_map_files(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	CHECK(syscall(SYS_capget, &header, data) == 0);
	data[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective &= ~CAP_TO_MASK(CAP_SYS_ADMIN);
	data[CAP_TO_INDEX(CAP_CHECKPOINT_RESTORE)].effective &=
		~CAP_TO_MASK(CAP_CHECKPOINT_RESTORE);
	CHECK(syscall(SYS_capset, &header, data) == 0);
}

TEST(odd_file_names_lead_to_their_file)
{
	static const char *const names[] = {"with space", "with\nnewline", "with\\012escape",
					    "ends (deleted)", "x\ny (deleted)"};
	const char *folder = kit_folder();

	forbid_map_files();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		OWN(str_done) struct str path = {0};
		OWN(own_free) char *shown = NULL;
		struct target_mapping mapping;
		struct target *target;
		struct child child;

		str_addf(&path, "%s/%s", folder, names[i]);
		copy_file("/bin/cat", path.text);
		child = child_start(map_and_idle, path.text);
		target = open_target(child.pid);
		mapping = find_mapping(target, folder);
		shown = mapping.path;
		check_opens_inode(target, &mapping);
		target_free(target);
		child_end(&child);
	}
}

TEST(a_deleted_executable_is_opened)
{
	char path[512];
	struct target_mapping mapping;
	struct module_storage storage;
	struct module_facts facts;
	struct target *target;
	struct child child;

	snprintf(path, sizeof(path), "%s/gone", kit_folder());
	copy_file("/bin/cat", path);
	child = child_cat(path);
	unlink(path);
	target = open_target(child.pid);
	CHECK_EQ_STR(target->exe_path, path);
	mapping = find_mapping(target, path);
	CHECK(mapping.is_deleted);
	CHECK_EQ_STR(mapping.path, path);
	check_opens_inode(target, &mapping);
	/* Another program takes its path: it is not mistaken for the old one. */
	copy_file("/bin/ls", path);
	check_opens_inode(target, &mapping);
	target_module_facts(target, &mapping, &storage, &facts);
	CHECK_EQ_I64(facts.kind, MODULE_FILE);
	CHECK_EQ_STR(facts.path, path);
	CHECK_EQ_U64(facts.inode, mapping.inode);
	CHECK(facts.segment_count >= 2);
	CHECK_EQ_U64(facts.build_id_size, 20);
	CHECK(facts.fd >= 0 && !facts.missing);
	close(facts.fd);
	free(mapping.path);
	target_free(target);
	child_end(&child);
}

/* The image's segments and build-id are the file's, byte by byte. */
static void check_image(int fd, const char *original_path)
{
	OWN(own_close) int original = open(original_path, O_RDONLY | O_CLOEXEC);
	struct elf_image got, want;
	Elf64_Ehdr header;

	CHECK_EQ_I64(elf_image_read(fd, &got), 0);
	CHECK_EQ_I64(elf_image_read(original, &want), 0);
	CHECK_EQ_U64(got.segment_count, want.segment_count);
	CHECK(memcmp(got.segments, want.segments, want.segment_count * sizeof(want.segments[0])) ==
	      0);
	CHECK_EQ_U64(got.build_id_size, 20);
	CHECK(memcmp(got.build_id, want.build_id, 20) == 0);
	for (size_t i = 1; i < want.segment_count; i++)
		check_same_bytes(fd, want.segments[i].file_offset, original,
				 want.segments[i].file_offset, want.segments[i].file_size);
	/* The first has the ELF header, which tells of no section headers. */
	check_same_bytes(fd, sizeof(header), original, sizeof(header),
			 want.segments[0].file_size - sizeof(header));
	CHECK_EQ_I64(pread(fd, &header, sizeof(header), 0), sizeof(header));
	CHECK_EQ_U64(header.e_shoff, 0);
	CHECK_EQ_U64(header.e_shnum, 0);
}

TEST(an_image_is_copied_out_of_memory)
{
	const char *missing = NULL;
	struct target_mapping mapping;
	struct target *target;
	struct child child;
	char path[512];
	int fd;

	if (access(LIBRARY, R_OK) < 0)
		SKIP("%s is not here", LIBRARY);
	snprintf(path, sizeof(path), "%s/lib.so", kit_folder());
	copy_file(LIBRARY, path);
	child = child_start(map_and_idle, path);
	unlink(path);
	target = open_target(child.pid);
	mapping = find_mapping(target, path);
	fd = memory_image_of_file(target, &mapping, &missing);
	if (fd < 0)
		FAIL("%s", missing);
	check_image(fd, LIBRARY);
	close(fd);
	/* Root has it from map_files: the file itself. */
	fd = target_open_mapping(target, &mapping, &missing);
	CHECK(fd >= 0);
	close(fd);
	free(mapping.path);
	target_free(target);
	child_end(&child);
}

enum { SHIFTED_AT = 0x2000, SHIFTED_TO = 0x20000 };

/* Lays another part of the file over one page of the mapped library. */
static void map_shifted(const void *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *base = map_library(path);

	if (mmap(base + SHIFTED_AT, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, SHIFTED_TO) ==
	    MAP_FAILED)
		_exit(1);
	child_idle(NULL);
}

TEST(a_page_that_shows_another_part_of_the_file_is_left_out)
{
	const char *missing = NULL;
	struct target_mapping mapping;
	struct target *target;
	struct child child;
	char path[512], page[4096];
	int fd;

	if (access(LIBRARY, R_OK) < 0)
		SKIP("%s is not here", LIBRARY);
	snprintf(path, sizeof(path), "%s/lib.so", kit_folder());
	copy_file(LIBRARY, path);
	child = child_start(map_shifted, path);
	target = open_target(child.pid);
	mapping = find_mapping(target, path);
	fd = memory_image_of_file(target, &mapping, &missing);
	CHECK(fd >= 0);
	CHECK_EQ_I64(pread(fd, page, sizeof(page), SHIFTED_AT), sizeof(page));
	for (size_t i = 0; i < sizeof(page); i++)
		CHECK_EQ_I64(page[i], 0);
	close(fd);
	free(mapping.path);
	target_free(target);
	child_end(&child);
}

static void open_deleted_library(const void *path)
{
	const char *missing = NULL;
	struct target_mapping mapping;
	struct child child = child_fork(map_and_idle, path);
	struct target *target;
	char name[64];
	int fd, closed;

	CHECK_EQ_I64(child_hear(&child), 'r');
	unlink(path);
	target = open_target(child.pid);
	mapping = find_mapping(target, path);
	fd = target_open_mapping(target, &mapping, &missing);
	if (fd < 0)
		FAIL("%s", missing);
	/* Not through map_files, which is closed here, as the test means it to be. */
	snprintf(name, sizeof(name), "map_files/%lx-%lx", (unsigned long)mapping.start,
		 (unsigned long)mapping.end);
	closed = process_open(target, name, O_RDONLY);
	CHECK_EQ_I64(closed, -EPERM);
	check_image(fd, LIBRARY);
	close(fd);
	free(mapping.path);
	target_free(target);
	child_end(&child);
}

TEST(an_ordinary_user_gets_a_deleted_library_from_memory)
{
	char path[512], *end;

	if (access(LIBRARY, R_OK) < 0)
		SKIP("%s is not here", LIBRARY);
	snprintf(path, sizeof(path), "%s/lib.so", kit_folder());
	copy_file(LIBRARY, path);
	/* Another user must find the file and may delete it. */
	end = strrchr(path, '/');
	*end = '\0';
	CHECK(chmod(path, 0777) == 0);
	end = strrchr(path, '/');
	*end = '\0';
	CHECK(chmod(path, 0711) == 0);
	path[strlen(path)] = '/';
	path[strlen(path)] = '/';
	as_ordinary_user(open_deleted_library, path);
}

TEST(a_file_cut_short_is_not_taken)
{
	const char *missing = NULL;
	struct module_storage storage;
	struct target_mapping mapping;
	struct module_facts facts;
	struct target *target;
	struct child child;
	char path[512];

	snprintf(path, sizeof(path), "%s/lib.so", kit_folder());
	copy_file("/bin/cat", path);
	child = child_start(map_and_idle, path);
	CHECK(truncate(path, 4096) == 0);
	target = open_target(child.pid);
	mapping = find_mapping(target, path);
	CHECK(target_open_mapping(target, &mapping, &missing) < 0);
	CHECK(missing && *missing);
	target_module_facts(target, &mapping, &storage, &facts);
	CHECK_EQ_I64(facts.kind, MODULE_FILE);
	CHECK_EQ_I64(facts.fd, -1);
	CHECK_EQ_U64(facts.segment_count, 0);
	CHECK_EQ_STR(facts.path, path);
	CHECK(facts.missing && *facts.missing);
	free(mapping.path);
	target_free(target);
	child_end(&child);
}

TEST(devices_and_pipes_are_not_opened)
{
	struct child child = child_cat("/bin/cat");
	struct target *target = open_target(child.pid);
	char fifo[512];
	const char *const paths[] = {"/dev/zero", "/dev/tty", "/", "/proc/self/maps", fifo};

	snprintf(fifo, sizeof(fifo), "%s/fifo", kit_folder());
	CHECK(mkfifo(fifo, 0600) == 0);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct stat stat_of = {0};
		const char *missing = NULL;
		struct target_mapping mapping = {.start = 0x1000, .end = 0x2000};

		/* Even where device and inode are the mapping's. */
		stat(paths[i], &stat_of);
		mapping.inode = stat_of.st_ino;
		mapping.device_major = major(stat_of.st_dev);
		mapping.device_minor = minor(stat_of.st_dev);
		mapping.path = (char *)(uintptr_t)paths[i];
		CHECK(target_open_mapping(target, &mapping, &missing) < 0);
		CHECK(missing && *missing);
	}
	target_free(target);
	child_end(&child);
}

static void chroot_and_idle(const void *path)
{
	char folder[512];

	map_library(path);
	snprintf(folder, sizeof(folder), "%s", (const char *)path);
	*strrchr(folder, '/') = '\0';
	if (chroot(folder) < 0 || chdir("/") < 0)
		_exit(1);
	child_idle(NULL);
}

TEST(a_target_in_a_chroot_is_read)
{
	struct target_mapping mapping;
	struct target *target;
	struct child child;
	char path[512];

	if (geteuid() != 0)
		SKIP("needs root, for chroot");
	snprintf(path, sizeof(path), "%s/lib.so", kit_folder());
	copy_file("/bin/cat", path);
	child = child_start(chroot_and_idle, path);
	forbid_map_files();
	target = open_target(child.pid);
	mapping = find_mapping(target, "lib.so");
	check_opens_inode(target, &mapping);
	free(mapping.path);
	target_free(target);
	child_end(&child);
}

static bool make_private_mounts(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static void refuse_to_start(void)
{
	if (write(STDOUT_FILENO, "n", 1) != 1)
		_exit(1);
	child_await();
	_exit(0);
}

/* The file exists in this mount namespace only. */
static void map_in_own_mounts(const void *folder)
{
	char path[512];

	if (!make_private_mounts() || mount("none", folder, "tmpfs", 0, NULL) < 0)
		refuse_to_start();
	snprintf(path, sizeof(path), "%s/hidden.so", (const char *)folder);
	copy_file("/bin/cat", path);
	map_and_idle(path);
}

TEST(a_file_in_another_mount_namespace_is_opened)
{
	const char *folder = kit_folder();
	struct child child = child_fork(map_in_own_mounts, folder);
	struct target_mapping mapping;
	struct target *target;

	if (child_hear(&child) == 'n') {
		child_end(&child);
		SKIP("mount namespaces may not be made here");
	}
	forbid_map_files();
	target = open_target(child.pid);
	CHECK(target->other_mount_namespace);
	mapping = find_mapping(target, "hidden.so");
	CHECK(access(mapping.path, F_OK) < 0);
	check_opens_inode(target, &mapping);
	free(mapping.path);
	target_free(target);
	child_end(&child);
}

/* An overlay of two file systems: stat and maps may disagree on the device. */
static void map_in_overlay(const void *folder)
{
	static const char *const parts[] = {"", "/lower", "/upper", "/work", "/merged"};
	OWN(str_done) struct str path = {0}, options = {0};

	if (!make_private_mounts() || mount("none", folder, "tmpfs", 0, NULL) < 0)
		refuse_to_start();
	for (size_t i = 1; i < sizeof(parts) / sizeof(parts[0]); i++) {
		str_clear(&path);
		str_addf(&path, "%s%s", (const char *)folder, parts[i]);
		mkdir(path.text, 0755);
	}
	str_addf(&options, "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work",
		 (const char *)folder, (const char *)folder, (const char *)folder);
	if (mount("none", path.text, "overlay", 0, options.text) < 0)
		refuse_to_start();
	str_clear(&path);
	str_addf(&path, "%s/lower/over.so", (const char *)folder);
	copy_file("/bin/cat", path.text);
	str_clear(&path);
	str_addf(&path, "%s/merged/over.so", (const char *)folder);
	map_library(path.text);
	child_idle(NULL);
}

TEST(a_file_on_an_overlay_is_opened)
{
	const char *folder = kit_folder(), *missing = NULL;
	struct child child = child_fork(map_in_overlay, folder);
	OWN(own_close) int original = open("/bin/cat", O_RDONLY | O_CLOEXEC);
	struct target_mapping mapping;
	struct target *target;
	struct stat stat;
	int fd;

	if (child_hear(&child) == 'n') {
		child_end(&child);
		SKIP("overlays may not be mounted here");
	}
	forbid_map_files();
	target = open_target(child.pid);
	mapping = find_mapping(target, "over.so");
	fd = target_open_mapping(target, &mapping, &missing);
	if (fd < 0)
		FAIL("%s", missing);
	CHECK(fstat(original, &stat) == 0);
	check_same_bytes(fd, 0, original, 0, (uint64_t)stat.st_size);
	close(fd);
	free(mapping.path);
	target_free(target);
	child_end(&child);
}

KIT_MAIN
