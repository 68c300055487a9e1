/* The agent is put into programs that know whether they came to harm. RSPROF_INJECT_ROUNDS says how
 * often where it depends on the moment; ten times by default. */
#include "tests/unit/inject_rig.h"

#include <sys/ptrace.h>
#include <sys/syscall.h>

enum { ROUNDS = 10, RIGHT = 7, STATE_ON = 1, STATE_OFF = 4, PLUGIN_BLOCKS = 1000 };

static unsigned rounds(void)
{
	const char *text = getenv("RSPROF_INJECT_ROUNDS");

	return text ? (unsigned)atoi(text) : ROUNDS;
}

/* It works on, at moments that differ, and says that nothing went wrong. */
static void inject_at_work(const char *const *arguments, bool until_told)
{
	uint64_t pauses[1024];
	unsigned count = rounds() < 1024 ? rounds() : 1024;
	struct inject_result result;
	struct err err = {0};

	for (unsigned i = 0; i < count; i++) {
		struct injectee injectee;
		struct region region;

		injectee_start(&injectee, arguments);
		rig_nap_us(1000 + i * 7919 % 20000);
		if (injectee_inject(&injectee, &result, &err) < 0)
			FAIL("round %u: %s", i, err.sentence);
		CHECK(!result.was_there && result.tid > 0 && result.tries > 0);
		pauses[i] = result.pause_ns;
		/* What it allocates from here on is counted. */
		CHECK(rig_wait_for_allocations(&injectee, 1000, &region));
		CHECK_EQ_U64(region.state, STATE_ON);
		if (until_told)
			kill(injectee.pid, SIGUSR1);
		CHECK_EQ_I64(injectee_end(&injectee), RIGHT);
		CHECK(strstr(injectee.said, "errors 0\n"));
	}
	/* Generous: the machine is shared. The median is shown. */
	printf("# %s: pause median %" PRIu64 " us\n", arguments[0],
	       rig_median(pauses, count) / 1000);
	CHECK_BETWEEN(rig_median(pauses, count), 1, 200e6);
}

TEST(four_threads_that_allocate_all_the_time)
{
	inject_at_work((const char *[]){rig_target("injectee"), "load", "4", NULL}, true);
}

TEST(one_thread_that_allocates_all_the_time)
{
	inject_at_work((const char *[]){rig_target("injectee"), "load", "1", NULL}, true);
}

TEST(a_thread_full_of_signals)
{
	inject_at_work((const char *[]){rig_target("injectee"), "signals", NULL}, true);
}

TEST(a_rust_program_with_threads)
{
	if (access(rig_target("injectee_rust"), X_OK) < 0)
		SKIP("no rustc here");
	inject_at_work((const char *[]){rig_target("injectee_rust"), "600", NULL}, false);
}

TEST(waits_go_on_as_if_nothing_had_been)
{
	static const char *const kinds[] = {"nanosleep", "poll",  "ppoll",     "select",
					    "epoll",	 "futex", "semaphore", "condition"};
	struct inject_result result;
	struct err err = {0};

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *arguments[] = {rig_target("injectee"), "wait", kinds[i], NULL};
		struct injectee injectee;

		injectee_start(&injectee, arguments);
		rig_nap_us(20000 + i * 7919 % 60000);
		if (injectee_inject(&injectee, &result, &err) < 0)
			FAIL("%s: %s", kinds[i], err.sentence);
		CHECK_EQ_I64(injectee_end(&injectee), RIGHT);
		CHECK_EQ_STR(injectee.said, "interrupted 0 early 0\n");
	}
}

TEST(a_read_without_end_goes_on)
{
	struct inject_result result;
	struct injectee injectee;
	struct err err = {0};

	injectee_start(&injectee, (const char *[]){rig_target("injectee"), "wait", "read", NULL});
	if (injectee_inject(&injectee, &result, &err) < 0)
		FAIL("%s", err.sentence);
	CHECK_EQ_U64(result.tid, (uint64_t)injectee.pid);
	/* A second time there is nothing to do. */
	CHECK_EQ_I64(injectee_inject(&injectee, &result, &err), 0);
	CHECK(result.was_there);
	CHECK_EQ_U64(result.tries, 0);
	injectee_tell(&injectee, "x");
	CHECK_EQ_I64(injectee_end(&injectee), RIGHT);
	CHECK_EQ_STR(injectee.said, "interrupted 0 early 0\n");
}

TEST(objects_that_are_loaded_later_are_counted_to_the_unit)
{
	struct inject_result result;
	struct region before, after;
	struct injectee injectee;
	struct err err = {0};

	injectee_start(&injectee, (const char *[]){rig_target("injectee"), "plugin",
						   rig_target("injectplug.so"), NULL});
	if (injectee_inject(&injectee, &result, &err) < 0)
		FAIL("%s", err.sentence);
	injectee_tell(&injectee, "open\n");
	injectee_hear(&injectee, "done\n");
	CHECK(region_read(injectee.pid, &before));
	injectee_tell(&injectee, "call\n");
	injectee_hear(&injectee, "done\n");
	CHECK(region_read(injectee.pid, &after));
	CHECK_EQ_U64(after.allocs - before.allocs, PLUGIN_BLOCKS);
	CHECK_EQ_U64(after.frees - before.frees, PLUGIN_BLOCKS);
	injectee_close(&injectee);
	CHECK_EQ_I64(injectee_end(&injectee), RIGHT);
}

TEST(relocated_pages_are_protected_again_and_no_memory_is_left)
{
	struct inject_result result;
	struct injectee injectee;
	struct err err = {0};
	unsigned before, after;

	injectee_start(&injectee, (const char *[]){rig_target("injectee"), "wait", "read", NULL});
	before = rig_writable_bytes(injectee.pid);
	if (injectee_inject(&injectee, &result, &err) < 0)
		FAIL("%s", err.sentence);
	after = rig_writable_bytes(injectee.pid);
	CHECK_EQ_U64(after, before);
	CHECK_EQ_U64(rig_changed_code_bytes(injectee.pid), 0);
	injectee_tell(&injectee, "x");
	CHECK_EQ_I64(injectee_end(&injectee), RIGHT);
}

/* ---- ends in the midst */

TEST(the_target_survives_rsprof_being_killed)
{
	for (unsigned i = 0; i < 2 * rounds(); i++) {
		struct injectee injectee;
		pid_t rsprof;

		injectee_start(&injectee,
			       (const char *[]){rig_target("injectee"), "load", "2", NULL});
		rsprof = fork();
		if (rsprof == 0) {
			struct inject_result result;
			struct err err = {0};

			injectee_inject(&injectee, &result, &err);
			_exit(0);
		}
		rig_nap_us(3000 + i * 7919 % 12000);
		kill(rsprof, SIGKILL);
		waitpid(rsprof, NULL, 0);
		/* A thread that was left alone finds its way back. */
		CHECK(rig_all_work(injectee.pid));
		kill(injectee.pid, SIGUSR1);
		CHECK_EQ_I64(injectee_end(&injectee), RIGHT);
		CHECK(strstr(injectee.said, "errors 0\n"));
	}
}

TEST(the_target_may_end_in_the_midst)
{
	for (unsigned i = 0; i < 2 * rounds(); i++) {
		struct inject_result result;
		struct injectee injectee;
		struct err err = {0};
		pid_t killer;
		int ret;

		injectee_start(&injectee,
			       (const char *[]){rig_target("injectee"), "load", "2", NULL});
		killer = fork();
		if (killer == 0) {
			rig_nap_us(1000 + i * 7919 % 12000);
			kill(injectee.pid, SIGKILL);
			_exit(0);
		}
		ret = injectee_inject(&injectee, &result, &err);
		CHECK(ret == 0 || err.kind == ERR_NOT_FOUND || err.kind == ERR_GENERAL);
		CHECK(ret == 0 || *err.sentence);
		waitpid(killer, NULL, 0);
		CHECK_EQ_I64(injectee_end(&injectee), -SIGKILL);
	}
}

/* ---- refusals */

static void refused(struct injectee *injectee, enum err_kind kind, const char *part)
{
	struct inject_result result;
	struct err err = {0};

	CHECK(injectee_inject(injectee, &result, &err) < 0);
	CHECK_EQ_I64(err.kind, kind);
	if (!strstr(err.sentence, part))
		FAIL("\"%s\" is not in \"%s\"", part, err.sentence);
}

TEST(a_static_program_is_refused)
{
	struct injectee injectee;

	injectee_start(&injectee,
		       (const char *[]){rig_target("injectee_static"), "wait", "read", NULL});
	refused(&injectee, ERR_GENERAL, "no dynamic loader");
	injectee_tell(&injectee, "x");
	CHECK_EQ_I64(injectee_end(&injectee), RIGHT);
}

TEST(a_stopped_program_is_refused_and_stays_stopped)
{
	struct injectee injectee;

	injectee_start(&injectee, (const char *[]){rig_target("injectee"), "wait", "read", NULL});
	kill(injectee.pid, SIGSTOP);
	CHECK(rig_wait_for_state(injectee.pid, 'T'));
	refused(&injectee, ERR_GENERAL, "is stopped");
	CHECK(rig_wait_for_state(injectee.pid, 'T'));
	kill(injectee.pid, SIGCONT);
	injectee_tell(&injectee, "x");
	CHECK_EQ_I64(injectee_end(&injectee), RIGHT);
}

TEST(a_program_in_a_debugger_is_refused)
{
	struct injectee injectee;
	pid_t debugger;
	int status;

	injectee_start(&injectee, (const char *[]){rig_target("injectee"), "wait", "read", NULL});
	debugger = fork();
	if (debugger == 0) {
		ptrace(PTRACE_SEIZE, injectee.pid, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	waitpid(debugger, &status, WUNTRACED);
	refused(&injectee, ERR_PERMISSION, "is traced by process");
	kill(debugger, SIGKILL);
	waitpid(debugger, NULL, 0);
	injectee_tell(&injectee, "x");
	CHECK_EQ_I64(injectee_end(&injectee), RIGHT);
}

TEST(another_users_program_is_refused)
{
	struct injectee injectee;
	int status = 0;
	pid_t other;

	if (geteuid() != 0)
		SKIP("only root can become another user");
	injectee_start(&injectee, (const char *[]){rig_target("injectee"), "wait", "read", NULL});
	other = fork();
	if (other == 0) {
		struct inject_result result;
		struct err err = {0};

		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(2);
		if (injectee_inject(&injectee, &result, &err) == 0)
			_exit(3);
		_exit(err.kind == ERR_PERMISSION && *err.sentence ? 0 : 4);
	}
	waitpid(other, &status, 0);
	CHECK_EQ_I64(WEXITSTATUS(status), 0);
	injectee_tell(&injectee, "x");
	CHECK_EQ_I64(injectee_end(&injectee), RIGHT);
}

TEST(a_missing_agent_is_refused_and_a_bad_one_named)
{
	struct inject_result result;
	struct injectee injectee;
	struct err err = {0};
	char path[4096];
	FILE *file;

	injectee_start(&injectee, (const char *[]){rig_target("injectee"), "wait", "read", NULL});
	CHECK(inject_agent(injectee.target, "/nowhere/librsprof_agent.so", &result, &err) < 0);
	CHECK(strstr(err.sentence, "/nowhere/librsprof_agent.so"));
	snprintf(path, sizeof(path), "%s/bad.so", kit_folder());
	file = fopen(path, "w");
	fputs("no library", file);
	fclose(file);
	CHECK(inject_agent(injectee.target, path, &result, &err) < 0);
	CHECK_EQ_I64(err.kind, ERR_GENERAL);
	CHECK(strstr(err.sentence, "could not load the agent"));
	injectee_tell(&injectee, "x");
	CHECK_EQ_I64(injectee_end(&injectee), RIGHT);
	CHECK_EQ_STR(injectee.said, "interrupted 0 early 0\n");
}

TEST(an_allocator_of_the_executables_own_is_told)
{
	struct inject_result result;
	struct injectee injectee;
	struct region region;
	struct err err = {0};

	injectee_start(&injectee,
		       (const char *[]){rig_target("injectee_own"), "wait", "epoll", NULL});
	if (injectee_inject(&injectee, &result, &err) < 0)
		FAIL("%s", err.sentence);
	CHECK(region_read(injectee.pid, &region));
	CHECK_EQ_U64(region.state, STATE_OFF);
	CHECK_EQ_U64(region.reason, RSPROF_SHM_OWN_ALLOCATOR);
	CHECK_EQ_I64(injectee_end(&injectee), RIGHT);
}

KIT_MAIN
