#include "reader/record/prebuild.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reader/unwind/elf_needs.h"
#include "reader/util/clock.h"
#include "reader/util/hash.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"
#include "reader/util/str.h"
#include "reader/util/vec.h"

/* The child waits meanwhile, and so does who has started it. No table is begun after it. */
#define PREBUILD_NS (300 * NS_PER_MS)

enum {
	/* A desktop program needs some 200; what is not built here is built when it is mapped. */
	PREBUILD_FILES_MAX = 256,
	/* As the kernel has it: a script whose interpreter is a script, and so on. */
	PREBUILD_SCRIPTS_MAX = 5,
	/* As the kernel has it: BINPRM_BUF_SIZE. */
	PREBUILD_SCRIPT_LINE = 256,
};

/* Where Debian and its kin, and the others, keep them. */
static const char *const library_folders[] = {
	"/lib/x86_64-linux-gnu",
	"/usr/lib/x86_64-linux-gnu",
	"/lib64",
	"/usr/lib64",
	"/lib",
	"/usr/lib",
};

/* Opened by programs that name them nowhere: by dlopen, and where a thread is cancelled. */
static const char *const usual_libraries[] = {"libc.so.6", "libm.so.6", "libgcc_s.so.1"};

struct file {
	struct elf_needs needs;
	char *folder; /* $ORIGIN */
};

struct prebuild {
	struct unwind_cache *cache;
	uint64_t end_ns;
	size_t table_count;
	struct str_map looked_for; /* libraries by name, files by device and inode */
	VEC(struct file) files;
	const char *environment_path;
};

/* Looked at before it is opened, as opening a device can have effects. */
static int open_regular(const char *path, struct stat *ret_stat)
{
	OWN(own_close) int fd = -1;

	if (stat(path, ret_stat) < 0 || !S_ISREG(ret_stat->st_mode))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, ret_stat) < 0 || !S_ISREG(ret_stat->st_mode))
		return -1;
	return own_take_fd(fd);
}

static bool is_over(const struct prebuild *work)
{
	return work->files.count >= PREBUILD_FILES_MAX || clock_now_ns() >= work->end_ns;
}

static bool is_first(struct prebuild *work, const char *key)
{
	if (str_map_get(&work->looked_for, key) != UINT32_MAX)
		return false;
	str_map_put(&work->looked_for, key, 1);
	return true;
}

/* The path of the file's folder, for $ORIGIN. */
static char *folder_of(const char *path)
{
	char *whole = realpath(path, NULL), *slash;

	if (!whole)
		whole = mem_strdup(path);
	slash = strrchr(whole, '/');
	if (slash)
		slash[slash == whole] = '\0';
	else
		strcpy(whole, ".");
	return whole;
}

/* Takes a file in: true where it is an ELF file of this machine, whether there was time for its
 * table or not. */
static bool add_file(struct prebuild *work, const char *path)
{
	struct stat stat;
	OWN(own_close) int fd = open_regular(path, &stat);
	OWN(str_done) struct str key = {0};
	const struct unwind_table *table;
	struct file file;

	if (fd < 0 || elf_needs_read(fd, &file.needs) < 0)
		return false;
	str_addf(&key, "%lx/%lx", (unsigned long)stat.st_dev, (unsigned long)stat.st_ino);
	if (!is_first(work, str_text(&key)) || is_over(work)) {
		elf_needs_done(&file.needs);
		return true;
	}
	file.folder = folder_of(path);
	*vec_add(&work->files) = file;
	if (unwind_cache_get(work->cache, fd, &table) == 0)
		work->table_count++;
	return true;
}

/* The folder as the loader reads it; false where it holds a word that only the loader knows. */
static bool expand(const char *folder, size_t length, const char *origin, struct str *path)
{
	static const char *const words[] = {"${ORIGIN}", "$ORIGIN"};

	str_clear(path);
	while (length) {
		size_t taken = 1;

		for (size_t i = 0; *folder == '$' && i < 2 && taken == 1; i++) {
			if (length >= strlen(words[i]) &&
			    strncmp(folder, words[i], strlen(words[i])) == 0)
				taken = strlen(words[i]);
		}
		if (taken > 1)
			str_add(path, origin);
		else if (*folder == '$')
			return false;
		else
			str_add_bytes(path, folder, 1);
		folder += taken;
		length -= taken;
	}
	return path->length;
}

/* Tries the folders of a list with colons. */
static bool add_from_list(struct prebuild *work, const char *list, const char *origin,
			  const char *name)
{
	OWN(str_done) struct str path = {0};

	while (list && *list) {
		size_t length = strcspn(list, ":");

		if (expand(list, length, origin, &path)) {
			str_addf(&path, "/%s", name);
			if (add_file(work, str_text(&path)))
				return true;
		}
		list += length + (list[length] == ':');
	}
	return false;
}

/* By the lists that files carry: RPATH counts only where there is no RUNPATH, and that of the
 * executable for all. */
static bool add_by_rpath(struct prebuild *work, const struct file *by, const char *name)
{
	const struct file *executable = &work->files.items[0];

	if (by->needs.runpath)
		return false;
	return add_from_list(work, by->needs.rpath, by->folder, name) ||
	       (!executable->needs.runpath &&
		add_from_list(work, executable->needs.rpath, executable->folder, name));
}

/* A library by the name that a file calls it, where the loader looks for it. A name that was
 * looked for is not looked for again: the loader takes the first of that name, too. */
static void add_library(struct prebuild *work, const struct file *by, const char *name)
{
	OWN(str_done) struct str path = {0};

	if (!is_first(work, name))
		return;
	if (strchr(name, '/')) {
		add_file(work, name);
		return;
	}
	if ((by && add_by_rpath(work, by, name)) ||
	    add_from_list(work, work->environment_path, "", name) ||
	    (by && add_from_list(work, by->needs.runpath, by->folder, name)))
		return;
	for (size_t i = 0; i < sizeof(library_folders) / sizeof(library_folders[0]); i++) {
		str_clear(&path);
		str_addf(&path, "%s/%s", library_folders[i], name);
		if (add_file(work, str_text(&path)))
			return;
	}
}

/* The interpreter of a script, NULL where it is none; a new string. */
static char *script_interpreter(const char *path)
{
	struct stat stat;
	OWN(own_close) int fd = open_regular(path, &stat);
	char line[PREBUILD_SCRIPT_LINE + 1];
	ssize_t size = fd < 0 ? -1 : pread(fd, line, PREBUILD_SCRIPT_LINE, 0);
	char *start;

	if (size < 2 || line[0] != '#' || line[1] != '!')
		return NULL;
	line[size] = '\0';
	line[strcspn(line, "\n")] = '\0';
	start = line + 2 + strspn(line + 2, " \t");
	start[strcspn(start, " \t")] = '\0';
	return *start ? mem_strdup(start) : NULL;
}

static void add_executable(struct prebuild *work, const char *executable)
{
	OWN(own_free) char *path = mem_strdup(executable);

	for (int i = 0; i < PREBUILD_SCRIPTS_MAX; i++) {
		char *interpreter = script_interpreter(path);

		if (!interpreter)
			break;
		free(path);
		path = interpreter;
	}
	add_file(work, path);
}

size_t prebuild(struct unwind_cache *cache, const char *executable)
{
	struct prebuild work = {
		.cache = cache,
		.end_ns = clock_now_ns() + PREBUILD_NS,
		.environment_path = getenv("LD_LIBRARY_PATH"),
	};

	add_executable(&work, executable);
	/* Breadth first, as the loader has it. The list grows, and moves, meanwhile. */
	for (size_t i = 0; i < work.files.count && !is_over(&work); i++) {
		const struct file file = work.files.items[i];

		if (file.needs.interpreter)
			add_library(&work, NULL, file.needs.interpreter);
		for (size_t j = 0; j < file.needs.library_count && !is_over(&work); j++)
			add_library(&work, &file, file.needs.libraries[j]);
	}
	for (size_t i = 0; i < sizeof(usual_libraries) / sizeof(usual_libraries[0]); i++)
		add_library(&work, NULL, usual_libraries[i]);
	for (size_t i = 0; i < work.files.count; i++) {
		elf_needs_done(&work.files.items[i].needs);
		free(work.files.items[i].folder);
	}
	vec_done(&work.files);
	str_map_done(&work.looked_for);
	return work.table_count;
}
