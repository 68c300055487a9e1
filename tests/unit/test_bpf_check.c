/* What stands in the way of the bpf source, as sentences. */
#include <errno.h>
#include <linux/capability.h>

#include "reader/source/bpf_check.h"
#include "tests/lib/kit.h"
#include "tests/unit/child.h"

#define BIT(capability) (UINT64_C(1) << (capability))

static struct bpf_facts good_facts(void)
{
	return (struct bpf_facts){
		.capabilities = BIT(CAP_BPF) | BIT(CAP_PERFMON),
		.kernel = "6.1.0-test",
		.memlock_bytes = 8 << 20,
	};
}

static void check_refused(const struct bpf_facts *facts, const char *sentence, const char *remedy)
{
	struct err err = {0};

	CHECK(bpf_facts_judge(facts, 42, &err) < 0);
	CHECK_EQ_I64(err.kind, ERR_PERMISSION);
	CHECK_EQ_STR(err.sentence, sentence);
	CHECK_EQ_STR(err.remedy, remedy);
}

TEST(with_all_that_it_needs_it_may_work)
{
	struct bpf_facts facts = good_facts();
	struct err err = {0};

	CHECK_EQ_I64(bpf_facts_judge(&facts, 42, &err), 0);
	CHECK_EQ_I64(err.kind, ERR_NONE);
	facts.capabilities = BIT(CAP_SYS_ADMIN);
	CHECK_EQ_I64(bpf_facts_judge(&facts, 42, &err), 0);
}

#define SETCAP                                                                                     \
	"Run: sudo rsprof -p 42  or, once: sudo setcap "                                           \
	"cap_bpf,cap_perfmon,cap_sys_ptrace,cap_checkpoint_restore+ep $(command -v rsprof)"

TEST(missing_capabilities_are_named)
{
	struct bpf_facts facts = good_facts();

	facts.capabilities = 0;
	check_refused(&facts,
		      "The bpf source needs CAP_BPF and CAP_PERFMON, and rsprof has neither.",
		      SETCAP);
	facts.capabilities = BIT(CAP_PERFMON);
	check_refused(&facts,
		      "The bpf source needs CAP_BPF and CAP_PERFMON, and rsprof has only "
		      "CAP_PERFMON.",
		      SETCAP);
	facts.capabilities = BIT(CAP_BPF);
	check_refused(&facts,
		      "The bpf source needs CAP_PERFMON beside CAP_BPF, and rsprof has only "
		      "CAP_BPF.",
		      SETCAP);
}

TEST(a_root_without_capabilities_is_told_of_its_container)
{
	struct bpf_facts facts = good_facts();

	facts.capabilities = 0;
	facts.is_root = true;
	check_refused(&facts,
		      "The bpf source needs CAP_BPF and CAP_PERFMON, and rsprof has neither.",
		      "Run rsprof as root outside the container, or start the container with: "
		      "--cap-add BPF --cap-add PERFMON --cap-add SYS_PTRACE");
}

TEST(without_a_target_the_command_has_no_pid)
{
	struct bpf_facts facts = good_facts();
	struct err err = {0};

	facts.capabilities = 0;
	CHECK(bpf_facts_judge(&facts, 0, &err) < 0);
	CHECK(strstr(err.remedy, "sudo rsprof  or"));
}

TEST(a_pid_namespace_of_its_own_is_refused)
{
	struct bpf_facts facts = good_facts();

	facts.in_pid_namespace = true;
	check_refused(&facts,
		      "rsprof runs in a PID namespace of its own, where the numbers of processes "
		      "are not those that BPF programs see.",
		      "Run rsprof outside the container, start the container with --pid=host, or "
		      "type: --source perf");
}

TEST(missing_type_information_is_named)
{
	struct bpf_facts facts = good_facts();

	facts.btf_error = -ENOENT;
	check_refused(&facts,
		      "This kernel has no type information (/sys/kernel/btf/vmlinux), which the "
		      "bpf source needs.",
		      "Boot a kernel that is built with CONFIG_DEBUG_INFO_BTF=y, or type: --source "
		      "perf");
	facts.btf_error = -EACCES;
	check_refused(&facts,
		      "The kernel's type information (/sys/kernel/btf/vmlinux), which the bpf "
		      "source needs, cannot be read: Permission denied.",
		      "Run rsprof as root, or type: --source perf");
}

TEST(a_kernel_that_is_too_old_is_named)
{
	struct bpf_facts facts = good_facts();

	facts.loop_error = -ENOENT;
	check_refused(&facts,
		      "The bpf source needs bpf_loop (Linux 5.17), which this kernel (6.1.0-test) "
		      "does not have.",
		      "Use Linux 5.17 or newer, or type: --source perf");
	facts.map_error = -EINVAL;
	check_refused(&facts,
		      "The bpf source needs BPF ring buffers (Linux 5.8) and this kernel "
		      "(6.1.0-test) has none.",
		      "Use Linux 5.17 or newer, or type: --source perf");
	facts.map_error = -ENOSYS;
	check_refused(&facts, "This kernel (6.1.0-test) has no BPF.",
		      "Boot a kernel that is built with CONFIG_BPF_SYSCALL=y, or type: --source "
		      "perf");
}

TEST(refused_maps_are_told_with_the_limit_that_may_be_the_reason)
{
	struct bpf_facts facts = good_facts();

	facts.map_error = -EPERM;
	check_refused(&facts,
		      "The kernel refuses memory for BPF maps within the limit of locked memory "
		      "(8192 KiB): Operation not permitted.",
		      "Run: ulimit -l unlimited");
	facts.memlock_bytes = UINT64_MAX;
	check_refused(&facts, "The kernel refuses BPF maps to rsprof: Operation not permitted.",
		      "Run rsprof as root outside the container, or type: --source perf");
}

TEST(refused_programs_are_told)
{
	struct bpf_facts facts = good_facts();

	facts.loop_error = -EPERM;
	check_refused(&facts, "The kernel refuses BPF programs to rsprof: Operation not permitted.",
		      "Run rsprof as root outside the container, or type: --source perf");
}

TEST(facts_of_this_machine_agree_with_the_verdict)
{
	struct bpf_facts facts;
	struct err err = {0};
	int verdict = bpf_check(NULL, &err);

	bpf_facts_read(&facts);
	CHECK(facts.kernel[0]);
	CHECK_EQ_I64(bpf_facts_judge(&facts, 0, NULL), verdict);
	CHECK_EQ_U64(err.kind == ERR_NONE, verdict == 0);
	if (verdict)
		SKIP("%s", err.sentence);
	CHECK(facts.capabilities);
	CHECK_EQ_I64(facts.map_error, 0);
	CHECK_EQ_I64(facts.loop_error, 0);
	CHECK_EQ_I64(facts.btf_error, 0);
}

static void facts_of_nobody(const void *argument)
{
	struct bpf_facts facts;

	bpf_facts_read(&facts);
	CHECK_EQ_U64(facts.capabilities, 0);
	CHECK(!facts.is_root);
	CHECK(bpf_check(NULL, NULL) < 0);
}

TEST(an_ordinary_user_has_none_of_it)
{
	as_ordinary_user(facts_of_nobody, NULL);
}

KIT_MAIN
