/* What can be loaded into a command before it is started, by files made and programs found here. */
#include "reader/target/command.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/kit.h"

static void check_look(const char *path, bool takes_preload, bool calls_malloc, const char *missing)
{
	struct command_facts facts;

	command_look(path, &facts);
	CHECK_EQ_U64(facts.takes_preload, takes_preload);
	CHECK_EQ_U64(facts.calls_malloc, calls_malloc);
	if (*missing)
		CHECK(strstr(str_text(&facts.missing), missing));
	else
		CHECK_EQ_STR(str_text(&facts.missing), "");
	command_facts_done(&facts);
}

static const char *file_in(const char *folder, const char *name, const char *text)
{
	static char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	CHECK(fd >= 0);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	return path;
}

static const char *file_of(const char *name, const char *text)
{
	return file_in(kit_folder(), name, text);
}

static const char *copy_of(const char *program)
{
	static char path[512];
	char command[1200];

	snprintf(path, sizeof(path), "%s/copy", kit_folder());
	snprintf(command, sizeof(command), "cp -L '%s' '%s'", program, path);
	CHECK_EQ_I64(system(command), 0);
	return path;
}

TEST(a_dynamic_program_takes_it)
{
	check_look("/bin/sh", true, true, "");
	check_look("/bin/ls", true, true, "");
}

TEST(of_a_script_its_interpreter_counts)
{
	check_look(file_of("plain", "#!/bin/sh\n"), true, true, "");
	check_look(file_of("blanks", "#! \t/bin/sh -e\n"), true, true, "");
	/* As execvp runs it. */
	check_look(file_of("no_line", "echo\n"), true, true, "");
	check_look(file_of("empty", ""), true, true, "");
	check_look(file_of("gone", "#!/no/such/interpreter\n"), false, false,
		   "/no/such/interpreter cannot be read");
	check_look(file_of("nothing", "#!\n"), false, false, "cannot be read");
}

TEST(scripts_of_scripts_end)
{
	const char *folder = kit_folder();
	char text[600];

	snprintf(text, sizeof(text), "#!%s/itself\n", folder);
	if (strlen(text) > 250)
		SKIP("the folder's name is too long for a script");
	check_look(file_in(folder, "itself", text), false, false, "too many scripts");
}

TEST(what_cannot_be_read_takes_nothing)
{
	check_look("/no/such/file", false, false, "/no/such/file cannot be read");
	check_look("/", false, false, "cannot be read");
	check_look(file_of("magic", "\177ELF"), false, false, "no program that rsprof can read");
}

TEST(rights_of_its_own_take_nothing)
{
	const char *path = copy_of("/bin/ls");

	if (getuid())
		SKIP("not root: a program of another user cannot be made");
	CHECK_EQ_I64(chown(path, 65534, 65534), 0);
	CHECK_EQ_I64(chmod(path, 0755), 0);
	check_look(path, true, true, "");
	CHECK_EQ_I64(chmod(path, 04755), 0);
	check_look(path, false, false, "setuid");
	CHECK_EQ_I64(chmod(path, 02755), 0);
	check_look(path, false, false, "setuid");
	/* Without the right to execute it is a lock, and no right. */
	CHECK_EQ_I64(chmod(path, 02745), 0);
	check_look(path, true, true, "");
}

/* One byte of the machine's number. */
TEST(another_machine_takes_nothing)
{
	const char *path = copy_of("/bin/ls");
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK_EQ_I64(pwrite(fd, "\xb7", 1, 18), 1);
	close(fd);
	check_look(path, false, false, "another machine");
}

static const char *target(const char *name)
{
	static char path[512];
	const char *folder = getenv("TARGETS");

	snprintf(path, sizeof(path), "%s/%s", folder ? folder : "build/targets", name);
	if (access(path, R_OK))
		SKIP("%s is not built", path);
	return path;
}

TEST(a_static_program_takes_nothing)
{
	check_look(target("heapload_static"), false, false, "is statically linked");
}

TEST(an_allocator_of_its_own_is_not_called_past)
{
	check_look(target("heapload_own"), true, false, "has an allocator of its own");
}

KIT_MAIN
