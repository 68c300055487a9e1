/* Unit tests of target_module_facts: what a mapping's module is told to be. */
#include "reader/target/target.h"

#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "reader/util/own.h"
#include "tests/lib/kit.h"
#include "tests/unit/child.h"
#include "tests/unit/looked_at.h"

TEST(the_vdso_is_copied_whole)
{
	struct child child = child_start(child_idle, NULL);
	struct target *target = open_target(child.pid);
	struct target_mapping mapping = find_mapping(target, "[vdso]");
	const void *ours = (const void *)getauxval(AT_SYSINFO_EHDR);
	struct module_storage storage;
	struct module_facts facts;
	size_t bytes = mapping.end - mapping.start;
	OWN(own_free) char *copy = mem_alloc(bytes);

	target_module_facts(target, &mapping, &storage, &facts);
	CHECK_EQ_I64(facts.kind, MODULE_VDSO);
	CHECK_EQ_STR(facts.path, "[vdso]");
	CHECK(facts.segment_count >= 1);
	CHECK(facts.fd >= 0);
	CHECK_EQ_I64(pread(facts.fd, copy, bytes, 0), (int64_t)bytes);
	CHECK(memcmp(copy, ours, bytes) == 0);
	close(facts.fd);
	free(mapping.path);
	target_free(target);
	child_end(&child);
}

enum { JIT_BYTES = 8192 };

static void map_code(const void *unused)
{
	int garbage = memfd_create("garbage", MFD_CLOEXEC);
	int program = memfd_create("program", MFD_CLOEXEC);
	int original = open("/bin/cat", O_RDONLY | O_CLOEXEC);
	struct stat stat;

	if (ftruncate(garbage, JIT_BYTES) < 0 || fstat(original, &stat) < 0 ||
	    sendfile(program, original, NULL, (size_t)stat.st_size) != stat.st_size)
		_exit(1);
	mmap(NULL, JIT_BYTES, PROT_READ | PROT_EXEC, MAP_SHARED, garbage, 0);
	mmap(NULL, JIT_BYTES, PROT_READ | PROT_EXEC, MAP_PRIVATE, program, 0);
	child_idle(NULL);
}

TEST(code_made_at_run_time_is_anonymous)
{
	struct child child = child_start(map_code, NULL);
	struct target *target = open_target(child.pid);
	static const char *const paths[] = {"",	      "[heap]",	       "[stack]", "[anon: jit]",
					    "//anon", "anon_inode:[x]"};
	struct module_storage storage;
	struct target_mapping mapping;
	struct module_facts facts;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		mapping = (struct target_mapping){.start = 0x1000, .end = 0x2000, .inode = i};
		mapping.path = (char *)(uintptr_t)paths[i];
		target_module_facts(target, &mapping, &storage, &facts);
		CHECK_EQ_I64(facts.kind, MODULE_ANONYMOUS);
		CHECK_EQ_STR(facts.path, "[anon]");
		CHECK_EQ_I64(facts.fd, -1);
		CHECK_EQ_U64(facts.inode, 0);
	}
	mapping = find_mapping(target, "/memfd:garbage");
	target_module_facts(target, &mapping, &storage, &facts);
	CHECK_EQ_I64(facts.kind, MODULE_ANONYMOUS);
	CHECK_EQ_STR(facts.path, "[anon]");
	CHECK_EQ_I64(facts.fd, -1);
	free(mapping.path);

	/* A program that runs from a memory file has names like any other. */
	mapping = find_mapping(target, "/memfd:program");
	target_module_facts(target, &mapping, &storage, &facts);
	CHECK_EQ_I64(facts.kind, MODULE_FILE);
	CHECK_EQ_STR(facts.path, "/memfd:program");
	CHECK(facts.segment_count >= 2);
	CHECK(facts.fd >= 0);
	close(facts.fd);
	free(mapping.path);
	target_free(target);
	child_end(&child);
}

TEST(other_modules_are_told_as_they_are)
{
	struct child child = child_start(child_idle, NULL);
	struct target *target = open_target(child.pid);
	static char vsyscall[] = "[vsyscall]", text[512], deleted[600];
	struct target_mapping mapping = {
		.start = 0xffffffffff600000, .end = 0xffffffffff601000, .path = vsyscall};
	struct module_storage storage;
	struct module_facts facts;
	struct stat stat_of;
	FILE *file;

	target_module_facts(target, &mapping, &storage, &facts);
	CHECK_EQ_I64(facts.kind, MODULE_VDSO);
	CHECK_EQ_STR(facts.path, "[vsyscall]");
	CHECK_EQ_I64(facts.fd, -1);
	CHECK(facts.missing && *facts.missing);

	snprintf(text, sizeof(text), "%s/text", kit_folder());
	file = fopen(text, "we");
	CHECK(file && fputs("no program", file) >= 0 && fclose(file) == 0);
	CHECK(stat(text, &stat_of) == 0);
	mapping = (struct target_mapping){
		.start = 0x1000, .end = 0x2000, .path = text, .inode = stat_of.st_ino};
	/* The device is wrong and the file is mapped nowhere: not the mapped file. */
	mapping.device_major = 0xfff;
	target_module_facts(target, &mapping, &storage, &facts);
	CHECK_EQ_I64(facts.fd, -1);
	CHECK(facts.missing && strcmp(facts.missing, "it is not an ELF file") != 0);
	mapping.device_major = major(stat_of.st_dev);
	mapping.device_minor = minor(stat_of.st_dev);
	target_module_facts(target, &mapping, &storage, &facts);
	CHECK_EQ_I64(facts.kind, MODULE_FILE);
	CHECK_EQ_STR(facts.path, text);
	CHECK_EQ_I64(facts.fd, -1);
	CHECK_EQ_STR(facts.missing, "it is not an ELF file");

	/* The kernel's mark in a path that comes from an event. */
	snprintf(deleted, sizeof(deleted), "%s (deleted)", text);
	mapping.path = deleted;
	target_module_facts(target, &mapping, &storage, &facts);
	CHECK_EQ_STR(facts.path, text);
	CHECK_EQ_STR(facts.missing, "it is not an ELF file");
	target_free(target);
	child_end(&child);
}

KIT_MAIN
