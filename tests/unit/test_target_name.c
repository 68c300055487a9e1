/* Unit tests of target_open_name. */
#include "reader/target/target.h"

#include "tests/lib/kit.h"
#include "tests/unit/child.h"

static void take_name(const void *name)
{
	prctl(PR_SET_NAME, name);
	child_idle(NULL);
}

static void check_name(const char *name, pid_t pid)
{
	struct target *target = NULL;
	struct err err = {0};

	if (target_open_name(name, &target, &err) < 0)
		FAIL("%s: %s", name, err.sentence);
	CHECK_EQ_I64(target->pid, pid);
	target_free(target);
}

TEST(names_match_exactly_or_else_as_substrings)
{
	char exact[16], longer[24], part[16], line[64];
	struct target *target = NULL;
	struct child first, second;
	struct err err = {0};

	snprintf(exact, sizeof(exact), "xq%dz", getpid());
	snprintf(longer, sizeof(longer), "%sb", exact);
	snprintf(part, sizeof(part), "xq%d", getpid());
	first = child_start(take_name, exact);
	check_name(exact, first.pid);
	check_name(part, first.pid);
	second = child_start(take_name, longer);
	check_name(exact, first.pid);
	check_name(longer, second.pid);

	CHECK(target_open_name(part, &target, &err) < 0);
	CHECK_EQ_I64(err.kind, ERR_USAGE);
	snprintf(line, sizeof(line), "\n%8d  %-15s  ", first.pid, exact);
	CHECK(strstr(err.sentence, line));
	snprintf(line, sizeof(line), "\n%8d  %-15s  ", second.pid, longer);
	CHECK(strstr(err.sentence, line));
	CHECK(strstr(err.sentence, "2 processes match"));
	CHECK(strstr(err.remedy, "rsprof -p"));

	/* Case-sensitive. */
	exact[0] = 'X';
	CHECK(target_open_name(exact, &target, &err) < 0);
	CHECK_EQ_I64(err.kind, ERR_NOT_FOUND);
	CHECK(target_open_name("", &target, &err) < 0);
	CHECK_EQ_I64(err.kind, ERR_USAGE);
	CHECK(!target);
	child_end(&second);
	child_end(&first);
}

TEST(a_long_list_of_names_is_bounded)
{
	enum { CHILDREN = 20 };
	struct child children[CHILDREN];
	struct target *target = NULL;
	struct err err = {0};
	char name[16];

	snprintf(name, sizeof(name), "m\033y%d", getpid());
	for (int i = 0; i < CHILDREN; i++)
		children[i] = child_start(take_name, name);
	CHECK(target_open_name(name, &target, &err) < 0);
	CHECK_EQ_I64(err.kind, ERR_USAGE);
	CHECK(strstr(err.sentence, "20 processes match"));
	CHECK(strstr(err.sentence, "… and 4 more"));
	/* No escape code reaches the terminal. */
	CHECK(!strchr(err.sentence, '\033'));
	for (int i = 0; i < CHILDREN; i++)
		child_end(&children[i]);
}

TEST(the_program_name_matches_where_comm_is_cut)
{
	char path[512], name[64];
	struct child child;

	snprintf(name, sizeof(name), "a-very-long-program-name-%d", getpid());
	snprintf(path, sizeof(path), "%s/%s", kit_folder(), name);
	copy_file("/bin/cat", path);
	child = child_cat(path);
	check_name(name, child.pid);
	child_end(&child);
}

TEST(rsprof_itself_never_matches)
{
	struct target *target = NULL;
	struct err err = {0};
	char name[16];

	snprintf(name, sizeof(name), "self%d", getpid());
	prctl(PR_SET_NAME, name);
	CHECK(target_open_name(name, &target, &err) < 0);
	CHECK_EQ_I64(err.kind, ERR_NOT_FOUND);
}

KIT_MAIN
