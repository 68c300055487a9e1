#include "reader/target/command.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "reader/target/elf_headers.h"
#include "reader/target/elf_symbols.h"
#include "reader/util/own.h"

enum {
	/* The kernel follows interpreters of interpreters so far. */
	SCRIPT_DEPTH_MAX = 5,
	/* Of a script's first line; the kernel reads no more. */
	FIRST_LINE_MAX = 256,
	/* Of what a program needs; one that names more is no program of a linker's. */
	DYNAMIC_MAX = 4096,
	NOTE_BYTES_MAX = 4096,
};

static void own_found(elf_found_list *found)
{
	vec_done(found);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool refuse(struct command_facts *facts, const char *path, const char *what)
{
	str_add_scrubbed(&facts->missing, path);
	str_addf(&facts->missing, " %s", what);
	return false;
}

/* As the kernel sees it: after the blanks behind "#!", up to the next one. Without the line, a
 * shell runs the file. */
static void script_interpreter(const char *line, char ret_path[PATH_MAX])
{
	size_t length;

	if (!str_starts(line, "#!")) {
		strcpy(ret_path, "/bin/sh");
		return;
	}
	line += 2 + strspn(line + 2, " \t");
	length = strcspn(line, " \t\n");
	memcpy(ret_path, line, length);
	ret_path[length] = '\0';
}

/* Runs with rights that its starter has not: the dynamic linker then loads nothing that the
 * environment asks for. */
static bool is_privileged(int fd, const struct stat *info)
{
	if (info->st_mode & S_ISUID && info->st_uid != getuid())
		return true;
	if (info->st_mode & S_ISGID && info->st_mode & S_IXGRP && info->st_gid != getgid())
		return true;
	return getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0;
}

static const Elf64_Phdr *find_header(const Elf64_Phdr *headers, size_t count, uint32_t type)
{
	for (size_t i = 0; i < count; i++) {
		if (headers[i].p_type == type)
			return &headers[i];
	}
	return NULL;
}

static uint64_t dynamic_value(const Elf64_Dyn *dynamic, size_t count, int64_t tag)
{
	for (size_t i = 0; i < count; i++) {
		if (dynamic[i].d_tag == tag)
			return dynamic[i].d_un.d_val;
	}
	return 0;
}

/* Where in the file what is loaded at vaddr is; 0: nowhere. */
static uint64_t file_offset(const Elf64_Phdr *headers, size_t count, uint64_t vaddr)
{
	for (size_t i = 0; i < count; i++) {
		const Elf64_Phdr *at = &headers[i];

		if (at->p_type == PT_LOAD && vaddr >= at->p_vaddr &&
		    vaddr - at->p_vaddr < at->p_filesz)
			return at->p_offset + (vaddr - at->p_vaddr);
	}
	return 0;
}

/* Their run-time libraries insist on being the first that is loaded, and end the program else. */
static bool needs_sanitizer(int fd, const Elf64_Phdr *headers, size_t count)
{
	static const char *const names[] = {"libasan.",	  "libtsan.", "liblsan.",
					    "libhwasan.", "libmsan.", "libclang_rt."};
	const Elf64_Phdr *segment = find_header(headers, count, PT_DYNAMIC);
	OWN(own_free) Elf64_Dyn *dynamic = NULL;
	size_t entries;
	uint64_t strings;

	if (!segment || segment->p_filesz / sizeof(*dynamic) > DYNAMIC_MAX)
		return false;
	entries = segment->p_filesz / sizeof(*dynamic);
	dynamic = mem_array(entries + 1, sizeof(*dynamic));
	if (elf_read_bytes(fd, dynamic, entries * sizeof(*dynamic), segment->p_offset) < 0)
		return false;
	strings = file_offset(headers, count, dynamic_value(dynamic, entries, DT_STRTAB));
	for (size_t i = 0; i < entries && strings; i++) {
		char name[16] = "";

		if (dynamic[i].d_tag != DT_NEEDED ||
		    elf_read_bytes(fd, name, sizeof(name) - 1, strings + dynamic[i].d_un.d_val) < 0)
			continue;
		for (size_t j = 0; j < sizeof(names) / sizeof(*names); j++) {
			if (str_starts(name, names[j]))
				return true;
		}
	}
	return false;
}

/* rsprof's, in one PT_NOTE. */
static bool is_agent_noted(int fd, const Elf64_Phdr *segment)
{
	static const char name[] = "rsprof";
	uint8_t bytes[NOTE_BYTES_MAX];
	size_t align = segment->p_align == 8 ? 8 : 4, at = 0;
	size_t count = segment->p_filesz < sizeof(bytes) ? segment->p_filesz : sizeof(bytes);

	if (elf_read_bytes(fd, bytes, count, segment->p_offset) < 0)
		return false;
	while (at < count && count - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;

		memcpy(&note, bytes + at, sizeof(note));
		at += sizeof(note);
		if (note.n_namesz == sizeof(name) && count - at >= sizeof(name) &&
		    memcmp(bytes + at, name, sizeof(name)) == 0)
			return true;
		/* 64-bit sums of 32-bit sizes cannot overflow. */
		at = (at + note.n_namesz + align - 1) & ~(align - 1);
		at = (at + note.n_descsz + align - 1) & ~(align - 1);
	}
	return false;
}

/* It is linked with the agent, whose malloc it then has. A preloaded agent counts in its place. */
static bool has_agent(int fd, const Elf64_Phdr *headers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (headers[i].p_type == PT_NOTE && is_agent_noted(fd, &headers[i]))
			return true;
	}
	return false;
}

/* Of the executable itself: malloc, or a bundled allocator under its own names. */
static bool has_own_allocator(int fd, bool is_malloc_the_agents)
{
	static const char *const all[] = {"malloc", "_rjem_malloc", "je_malloc", "mi_malloc",
					  "tc_malloc"};
	const char *const *names = all + is_malloc_the_agents;
	struct elf_wanted *wanted =
		elf_wanted_new(names, sizeof(all) / sizeof(*all) - is_malloc_the_agents);
	OWN(own_found) elf_found_list found = {0};
	struct elf_symbol_tables tables;
	bool has = false;

	if (elf_symbols_find(fd, wanted, &found, &tables) == 0) {
		for (size_t i = 0; i < found.count; i++)
			has |= found.items[i].is_defined && !found.items[i].is_local;
	}
	elf_wanted_free(wanted);
	return has;
}

/* The dynamic linker; "" where the program has none. */
static void read_interpreter(int fd, const Elf64_Phdr *headers, size_t count,
			     char ret_path[PATH_MAX])
{
	const Elf64_Phdr *segment = find_header(headers, count, PT_INTERP);

	memset(ret_path, 0, PATH_MAX);
	if (segment && segment->p_filesz < PATH_MAX &&
	    elf_read_bytes(fd, ret_path, segment->p_filesz, segment->p_offset) < 0)
		memset(ret_path, 0, PATH_MAX);
}

static bool look_at_program(int fd, const char *path, const struct stat *info,
			    struct command_facts *facts)
{
	OWN(own_free) Elf64_Phdr *headers = NULL;
	char interpreter[PATH_MAX];
	uint64_t file_bytes;
	Elf64_Ehdr header;
	int ret = elf_headers_read(fd, &header, &headers, &file_bytes);

	if (ret == -ENOTSUP || (ret == 0 && header.e_machine != EM_X86_64))
		return refuse(facts, path, "is of another machine than the agent");
	if (ret < 0)
		return refuse(facts, path, "is no program that rsprof can read");
	read_interpreter(fd, headers, header.e_phnum, interpreter);
	if (!*interpreter)
		return refuse(facts, path, "is statically linked");
	if (!str_starts(base_name(interpreter), "ld-linux"))
		return refuse(facts, path, "has another C library than the agent");
	if (is_privileged(fd, info))
		return refuse(facts, path, "runs with rights of its own (setuid)");
	if (needs_sanitizer(fd, headers, header.e_phnum))
		return refuse(facts, path, "is built with a sanitizer");
	facts->takes_preload = true;
	if (has_own_allocator(fd, has_agent(fd, headers, header.e_phnum)))
		return refuse(facts, path,
			      "has an allocator of its own, whose calls go past the agent");
	facts->calls_malloc = true;
	return true;
}

void command_look(const char *path, struct command_facts *ret_facts)
{
	char here[PATH_MAX], line[FIRST_LINE_MAX + 1];

	*ret_facts = (struct command_facts){0};
	snprintf(here, sizeof(here), "%s", path);
	for (int depth = 0; depth < SCRIPT_DEPTH_MAX; depth++) {
		OWN(own_close) int fd = open(here, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		struct stat info;
		ssize_t length;

		if (fd < 0 || fstat(fd, &info) < 0 || !S_ISREG(info.st_mode)) {
			refuse(ret_facts, here, "cannot be read");
			return;
		}
		length = pread(fd, line, FIRST_LINE_MAX, 0);
		line[length < 0 ? 0 : length] = '\0';
		if (length >= SELFMAG && memcmp(line, ELFMAG, SELFMAG) == 0) {
			look_at_program(fd, here, &info, ret_facts);
			return;
		}
		script_interpreter(line, here);
	}
	refuse(ret_facts, path, "is a script of too many scripts");
}

void command_facts_done(struct command_facts *facts)
{
	str_done(&facts->missing);
}
