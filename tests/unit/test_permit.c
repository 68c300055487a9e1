/* Unit tests of reader/target/permit.h and of doctor's table. What is expected is derived from what
 * the kernel says of this machine, so that the tests hold on other ones too. */
#include "reader/target/permit.h"

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "reader/target/offer.h"
#include "reader/target/proc.h"
#include "reader/util/own.h"
#include "tests/lib/kit.h"
#include "tests/unit/child.h"
#include "tests/unit/looked_at.h"

TEST(the_machine_is_read_as_it_is)
{
	OWN(str_done) struct str status = {0};
	unsigned long long capabilities;
	struct utsname names;
	struct permit permit;
	struct rlimit limit;
	int64_t paranoid;
	const char *line;

	permit_read(&permit);
	CHECK(uname(&names) == 0);
	CHECK_EQ_STR(permit.kernel, names.release);
	CHECK_EQ_STR(permit.machine, names.machine);
	CHECK_EQ_U64(permit.uid, geteuid());
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHECK_EQ_U64(permit.open_files_soft, limit.rlim_cur);
	CHECK_EQ_U64(permit.open_files_hard, limit.rlim_max);
	if (proc_read_number("/proc/sys/kernel/perf_event_paranoid", &paranoid) < 0)
		paranoid = -2;
	CHECK_EQ_I64(permit.perf_event_paranoid, paranoid);
	CHECK_EQ_I64(proc_read(AT_FDCWD, "/proc/self/status", 65536, &status), 0);
	line = strstr(str_text(&status), "\nCapEff:\t");
	CHECK(line && sscanf(line, "\nCapEff:\t%llx", &capabilities) == 1);
	CHECK_EQ_U64(permit.capabilities, capabilities);
	for (int i = 0; i < 64; i++)
		CHECK_EQ_U64(permit_has(&permit, i), capabilities >> i & 1);
	CHECK(!permit_has(&permit, -1) && !permit_has(&permit, 64));
}

static void see_no_capabilities(const void *argument)
{
	struct permit permit;

	permit_read(&permit);
	CHECK_EQ_U64(permit.capabilities, 0);
	CHECK_EQ_U64(permit.uid, 65534);
}

TEST(an_ordinary_user_has_no_capabilities)
{
	as_ordinary_user(see_no_capabilities, NULL);
}

static enum permit_answer expected_for_user(const struct permit *permit)
{
	if (permit->perf_event_paranoid > 2 || permit->perf_event_paranoid == -2)
		return PERMIT_NO;
	return permit->perf_event_paranoid == 2 ? PERMIT_USER_ONLY : PERMIT_YES;
}

/* The answer and its words, for an ordinary user: on itself and on a process of its own. */
static void ask_for_own(const void *argument)
{
	struct child child = child_fork(child_idle, NULL);
	struct target *target;
	struct permit permit;

	CHECK_EQ_I64(child_hear(&child), 'r');
	target = open_target(child.pid);
	permit_read(&permit);
	for (int i = 0; i < 2; i++) {
		struct err err = {0};
		enum permit_answer answer = permit_perf(&permit, i ? target : NULL, &err);

		CHECK_EQ_I64(answer, expected_for_user(&permit));
		if (answer == PERMIT_YES)
			continue;
		CHECK(strstr(err.remedy, "sudo sysctl kernel.perf_event_paranoid="));
		CHECK(strstr(err.sentence, "kernel.perf_event_paranoid is"));
		if (i) {
			char command[64];

			snprintf(command, sizeof(command), "sudo rsprof -p %d", child.pid);
			CHECK(strstr(err.remedy, command));
		}
		CHECK_EQ_I64(err.kind, answer == PERMIT_NO ? ERR_PERMISSION : ERR_NONE);
	}
	target_free(target);
	child_end(&child);
}

TEST(an_ordinary_user_is_answered_by_the_paranoid_level)
{
	as_ordinary_user(ask_for_own, NULL);
}

static void ask_for_foreign(const void *pid)
{
	struct target *target = open_target(*(const pid_t *)pid);
	struct permit permit;
	struct err err = {0};
	char words[128];

	permit_read(&permit);
	if (expected_for_user(&permit) == PERMIT_NO)
		SKIP("kernel.perf_event_paranoid forbids all perf events");
	CHECK_EQ_I64(permit_perf(&permit, target, &err), PERMIT_NO);
	CHECK_EQ_I64(err.kind, ERR_PERMISSION);
	snprintf(words, sizeof(words), "Process %d (cat) belongs to another user (uid 0).",
		 target->pid);
	CHECK_EQ_STR(err.sentence, words);
	snprintf(words, sizeof(words), "sudo rsprof -p %d", target->pid);
	CHECK(strstr(err.remedy, words));
	CHECK(strstr(err.remedy, "sudo setcap cap_perfmon,cap_sys_ptrace,"));
	target_free(target);
}

TEST(another_users_process_is_refused)
{
	struct child child = child_cat("/bin/cat");

	as_ordinary_user(ask_for_foreign, &child.pid);
	child_end(&child);
}

static void forbid_looking(const void *argument)
{
	prctl(PR_SET_DUMPABLE, 0);
	child_idle(NULL);
}

static void ask_for_closed(const void *argument)
{
	struct child child = child_fork(forbid_looking, NULL);
	struct target *target;
	struct permit permit;
	struct err err = {0};

	CHECK_EQ_I64(child_hear(&child), 'r');
	target = open_target(child.pid);
	permit_read(&permit);
	if (expected_for_user(&permit) == PERMIT_NO)
		SKIP("kernel.perf_event_paranoid forbids all perf events");
	CHECK_EQ_U64(target->uid, permit.uid);
	CHECK_EQ_I64(permit_perf(&permit, target, &err), PERMIT_NO);
	CHECK(strstr(err.sentence, "lets no other process look into it"));
	CHECK(strstr(err.remedy, "sudo rsprof -p"));
	target_free(target);
	child_end(&child);
}

TEST(a_process_that_forbids_looking_is_refused)
{
	as_ordinary_user(ask_for_closed, NULL);
}

TEST(who_has_cap_perfmon_may_sample_the_kernel)
{
	struct child child = child_start(child_idle, NULL);
	struct target *target = open_target(child.pid);
	struct permit permit;
	struct err err = {0};

	permit_read(&permit);
	if (!permit_has(&permit, CAP_PERFMON) || permit.perf_event_paranoid == -2)
		SKIP("needs CAP_PERFMON and a kernel with perf events");
	CHECK_EQ_I64(permit_perf(&permit, NULL, &err), PERMIT_YES);
	CHECK_EQ_I64(permit_perf(&permit, target, &err), PERMIT_YES);
	CHECK_EQ_I64(err.kind, ERR_NONE);
	target_free(target);
	child_end(&child);
}

TEST(an_ended_process_is_not_a_matter_of_permission)
{
	struct child child = child_start(child_idle, NULL);
	struct target *target = open_target(child.pid);
	struct permit permit;
	struct err err = {0};

	permit_read(&permit);
	child_end(&child);
	CHECK_EQ_I64(permit_perf(&permit, target, &err), PERMIT_NO);
	CHECK_EQ_I64(err.kind, ERR_NOT_FOUND);
	target_free(target);
}

/* Forbids perf_event_open to the caller, as container runtimes do. */
static void forbid_perf_events(int error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_perf_event_open, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = 4, .filter = filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		SKIP("seccomp filters may not be set here: %s", strerror(errno));
}

static void check_seccomp(int error)
{
	struct permit permit;
	struct err err = {0};

	forbid_perf_events(error);
	permit_read(&permit);
	if (permit.perf_event_paranoid == -2)
		SKIP("this kernel has no perf events");
	CHECK_EQ_I64(permit_perf(&permit, NULL, &err), PERMIT_NO);
	CHECK_EQ_I64(err.kind, ERR_PERMISSION);
	CHECK(strstr(err.sentence, "seccomp"));
	CHECK(strstr(err.remedy, "--cap-add PERFMON"));
}

TEST(a_seccomp_filter_is_told)
{
	check_seccomp(EPERM);
}

TEST(a_seccomp_filter_that_hides_the_call_is_told)
{
	check_seccomp(ENOSYS);
}

/* The paths below depend on the machine's settings alone, which no test may change: told of one
 * where nothing is allowed, while a filter makes the kernel refuse as it would there. */
TEST(the_remedy_fits_the_setting)
{
	struct permit permit;
	struct err err = {0};

	forbid_perf_events(EACCES);
	permit_read(&permit);
	permit.uid = 1000;
	permit.capabilities = 0;
	permit.perf_event_paranoid = 3;
	CHECK_EQ_I64(permit_perf(&permit, NULL, &err), PERMIT_NO);
	CHECK_EQ_STR(err.sentence,
		     "Only root may use perf events here: kernel.perf_event_paranoid is 3.");
	CHECK_EQ_STR(err.remedy,
		     "Run: sudo sysctl kernel.perf_event_paranoid=2  or: sudo rsprof -p PID");
	/* Root that is refused is told what helps root. */
	permit.uid = 0;
	CHECK_EQ_I64(permit_perf(&permit, NULL, &err), PERMIT_NO);
	CHECK(!strstr(err.remedy, "sudo"));
	CHECK(strstr(err.remedy, "--cap-add PERFMON"));
	permit.perf_event_paranoid = -2;
	CHECK_EQ_I64(permit_perf(&permit, NULL, &err), PERMIT_NO);
	CHECK_EQ_STR(err.sentence, "This kernel has no perf events.");
}

TEST(what_bpf_misses_is_named)
{
	struct permit permit = {.has_btf = true};

	CHECK_EQ_STR(permit_bpf_missing(&permit), "needs CAP_BPF and CAP_PERFMON");
	permit.capabilities = UINT64_C(1) << CAP_BPF;
	CHECK_EQ_STR(permit_bpf_missing(&permit), "needs CAP_PERFMON");
	permit.capabilities = UINT64_C(1) << CAP_PERFMON;
	CHECK_EQ_STR(permit_bpf_missing(&permit), "needs CAP_BPF");
	permit.capabilities |= UINT64_C(1) << CAP_BPF;
	CHECK(!permit_bpf_missing(&permit));
	permit.capabilities = UINT64_C(1) << CAP_SYS_ADMIN;
	CHECK(!permit_bpf_missing(&permit));
	permit.has_btf = false;
	CHECK_EQ_STR(permit_bpf_missing(&permit), "no BTF in this kernel");
}

static void check_taken(const struct offer offers[OFFER_SOURCES], int cpu, int wait)
{
	for (int i = 0; i < OFFER_SOURCES; i++) {
		CHECK_EQ_I64(offers[i].signals[OFFER_CPU].is_taken, i == cpu);
		CHECK_EQ_I64(offers[i].signals[OFFER_WAIT].is_taken, i == wait);
		/* Where there is no better one, what /proc has. */
		CHECK_EQ_I64(offers[i].signals[OFFER_HEAP].is_taken, i == cpu);
	}
}

TEST(the_table_of_sources_is_honest)
{
	struct offer_answers answers = {.perf = PERMIT_USER_ONLY, .bpf_missing = "needs CAP_BPF"};
	const int none = OFFER_SOURCES;
	struct permit permit = {.has_btf = true, .ptrace_scope = 0};
	struct offer offers[OFFER_SOURCES];

	offers_list(&permit, NULL, &answers, offers);
	CHECK_EQ_STR(offers[OFFER_PERF].source, "perf");
	CHECK_EQ_STR(offers[OFFER_PERF].signals[OFFER_CPU].text, "yes, user time only");
	CHECK_EQ_STR(offers[OFFER_AGENT].signals[OFFER_CPU].text, "with rsprof run");
	CHECK_EQ_STR(offers[OFFER_BPF].signals[OFFER_CPU].text, "no: needs CAP_BPF");
	CHECK_EQ_STR(offers[OFFER_BPF].signals[OFFER_WAIT].text, "no");
	CHECK_EQ_STR(offers[OFFER_BPF].signals[OFFER_HEAP].text, "no");
	CHECK_EQ_STR(offers[OFFER_PERF].signals[OFFER_HEAP].text, "totals only");
	CHECK_EQ_STR(offers[OFFER_BPF].here, "refused");
	check_taken(offers, OFFER_PERF, none);
	answers.perf = PERMIT_NO;
	answers.bpf_missing = NULL;
	offers_list(&permit, NULL, &answers, offers);
	CHECK_EQ_STR(offers[OFFER_BPF].signals[OFFER_CPU].text, "no");
	CHECK_EQ_STR(offers[OFFER_PERF].signals[OFFER_CPU].text, "no");
	check_taken(offers, none, none);
	answers.perf = PERMIT_YES;
	answers.is_bpf_allowed = true;
	offers_list(&permit, NULL, &answers, offers);
	CHECK_EQ_STR(offers[OFFER_BPF].here, "allowed");
	CHECK_EQ_STR(offers[OFFER_BPF].signals[OFFER_CPU].text, "yes");
	CHECK_EQ_STR(offers[OFFER_BPF].signals[OFFER_WAIT].text, "yes");
	CHECK_EQ_STR(offers[OFFER_BPF].signals[OFFER_HEAP].text, "yes");
	CHECK_EQ_STR(offers[OFFER_AGENT].signals[OFFER_HEAP].text, "with rsprof run");
	CHECK_EQ_STR(offers[OFFER_PERF].signals[OFFER_CPU].text, "yes");
	CHECK_EQ_STR(offers[OFFER_PERF].signals[OFFER_WAIT].text, "not in this version");
	check_taken(offers, OFFER_BPF, OFFER_BPF);
	answers.heap = OFFER_HEAP_FOUND;
	offers_list(&permit, NULL, &answers, offers);
	CHECK_EQ_STR(offers[OFFER_BPF].signals[OFFER_HEAP].text, "yes");
	answers.heap = OFFER_HEAP_NONE;
	offers_list(&permit, NULL, &answers, offers);
	CHECK_EQ_STR(offers[OFFER_BPF].signals[OFFER_HEAP].text, "totals only");
	check_taken(offers, OFFER_BPF, OFFER_BPF);
}

static void check_heap_taken(const struct offer offers[OFFER_SOURCES], int want)
{
	for (int i = 0; i < OFFER_SOURCES; i++)
		CHECK_EQ_I64(offers[i].signals[OFFER_HEAP].is_taken, i == want);
}

TEST(a_loaded_agent_is_taken_for_the_heap_and_its_timers_for_want_of_others)
{
	struct offer_answers answers = {.perf = PERMIT_YES,
					.is_bpf_allowed = true,
					.agent = OFFER_AGENT_LOADED,
					.agent_heap = "exact",
					.has_agent_timers = true};
	struct child child = child_cat("/bin/cat");
	struct target *target = open_target(child.pid);
	struct permit permit = {.has_btf = true};
	struct offer offers[OFFER_SOURCES];

	offers_list(&permit, target, &answers, offers);
	CHECK_EQ_STR(offers[OFFER_AGENT].signals[OFFER_HEAP].text, "exact");
	CHECK_EQ_STR(offers[OFFER_AGENT].signals[OFFER_CPU].text, "yes");
	check_heap_taken(offers, OFFER_AGENT);
	CHECK(offers[OFFER_BPF].signals[OFFER_CPU].is_taken);
	CHECK(!offers[OFFER_AGENT].signals[OFFER_CPU].is_taken);
	answers.is_bpf_allowed = false;
	offers_list(&permit, target, &answers, offers);
	check_heap_taken(offers, OFFER_AGENT);
	CHECK(offers[OFFER_PERF].signals[OFFER_CPU].is_taken);
	answers.perf = PERMIT_NO;
	offers_list(&permit, target, &answers, offers);
	check_heap_taken(offers, OFFER_AGENT);
	CHECK(offers[OFFER_AGENT].signals[OFFER_CPU].is_taken);
	answers.has_agent_timers = false;
	offers_list(&permit, target, &answers, offers);
	CHECK(!offers[OFFER_AGENT].signals[OFFER_CPU].is_taken);
	CHECK_EQ_STR(offers[OFFER_AGENT].signals[OFFER_CPU].text, "no timers");
	answers.agent_heap = NULL;
	answers.is_bpf_allowed = true;
	offers_list(&permit, target, &answers, offers);
	CHECK_EQ_STR(offers[OFFER_AGENT].signals[OFFER_HEAP].text, "no");
	check_heap_taken(offers, OFFER_BPF);
	answers.agent_heap = "exact";
	answers.agent = OFFER_AGENT_UNUSABLE;
	offers_list(&permit, target, &answers, offers);
	CHECK_EQ_STR(offers[OFFER_AGENT].here, "cannot be used");
	check_heap_taken(offers, OFFER_BPF);
	target_free(target);
	child_end(&child);
}

static void see_ptrace_refused(const void *pid)
{
	struct target *target = open_target(*(const pid_t *)pid);
	struct offer_answers answers = {.perf = PERMIT_NO, .agent = OFFER_AGENT_ABSENT};
	struct offer offers[OFFER_SOURCES];
	struct permit permit;

	permit_read(&permit);
	offers_list(&permit, target, &answers, offers);
	CHECK_EQ_STR(offers[OFFER_PTRACE].here, "needs CAP_SYS_PTRACE");
	CHECK_EQ_STR(offers[OFFER_AGENT].here, "not loaded");
	target_free(target);
}

TEST(ptrace_is_answered_by_the_kernel)
{
	struct child child = child_cat("/bin/cat");
	struct target *target = open_target(child.pid);
	struct offer_answers answers = {.perf = PERMIT_YES, .agent = OFFER_AGENT_LOADED};
	struct offer offers[OFFER_SOURCES];
	struct permit permit;

	permit_read(&permit);
	if (permit_has(&permit, CAP_SYS_PTRACE)) {
		offers_list(&permit, target, &answers, offers);
		CHECK_EQ_STR(offers[OFFER_PTRACE].here, "allowed");
		CHECK_EQ_STR(offers[OFFER_AGENT].here, "loaded");
	}
	target_free(target);
	as_ordinary_user(see_ptrace_refused, &child.pid);
	child_end(&child);
}

KIT_MAIN
