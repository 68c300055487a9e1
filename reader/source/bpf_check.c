#include "reader/source/bpf_check.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reader/target/permit.h"
#include "reader/util/own.h"

#define BTF_PATH "/sys/kernel/btf/vmlinux"

/* PROC_PID_INIT_INO of linux/proc_ns.h: the first PID namespace's inode, part of the ABI. */
static const ino_t FIRST_PID_NAMESPACE = 0xEFFFFFFC;

enum {
	LOG_LINE_MAX = 256,
	SMALL_RING_BYTES = 4096,
};

/* ---- what libbpf says */

static char log_line[LOG_LINE_MAX];

__attribute__((format(printf, 2, 0))) static int keep_line(enum libbpf_print_level level,
							   const char *format, va_list arguments)
{
	char line[LOG_LINE_MAX];
	int length;

	if (level != LIBBPF_WARN)
		return 0;
	length = vsnprintf(line, sizeof(line), format, arguments);
	/* A verifier's log comes as one message of many lines: that it failed is said after it. */
	if (length <= 0 || line[0] == '\n')
		return 0;
	line[strcspn(line, "\n")] = '\0';
	if (!strstr(line, "-- END PROG LOAD LOG --"))
		memcpy(log_line, line, sizeof(log_line));
	return 0;
}

void bpf_log_begin(void)
{
	log_line[0] = '\0';
	libbpf_set_print(keep_line);
}

const char *bpf_log_end(void)
{
	return log_line;
}

/* ---- facts */

static int probe_map(void)
{
	OWN(own_close)
	int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "rsprof_probe", 0, 0, SMALL_RING_BYTES, NULL);

	return fd < 0 ? fd : 0;
}

static int probe_loop(void)
{
	int found = libbpf_probe_bpf_helper(BPF_PROG_TYPE_PERF_EVENT, BPF_FUNC_loop, NULL);

	if (found < 0)
		return found;
	return found ? 0 : -ENOENT;
}

static bool has(const struct bpf_facts *facts, int capability)
{
	return facts->capabilities >> capability & 1;
}

static bool may_use_bpf(const struct bpf_facts *facts)
{
	return has(facts, CAP_SYS_ADMIN) || (has(facts, CAP_BPF) && has(facts, CAP_PERFMON));
}

void bpf_facts_read(struct bpf_facts *facts)
{
	OWN(own_close) int btf = open(BTF_PATH, O_RDONLY | O_CLOEXEC);
	struct permit permit;
	struct stat namespace;

	*facts = (struct bpf_facts){.btf_error = btf < 0 ? -errno : 0};
	permit_read(&permit);
	facts->capabilities = permit.capabilities;
	memcpy(facts->kernel, permit.kernel, sizeof(facts->kernel));
	facts->is_root = permit.uid == 0;
	facts->memlock_bytes = permit.memlock_soft;
	facts->in_pid_namespace = stat("/proc/self/ns/pid", &namespace) == 0 &&
				  namespace.st_ino != FIRST_PID_NAMESPACE;
	if (!may_use_bpf(facts))
		return;
	bpf_log_begin();
	facts->map_error = probe_map();
	if (!facts->map_error)
		facts->loop_error = probe_loop();
	bpf_log_end();
}

/* ---- the verdict */

static int refuse_capability(const struct bpf_facts *facts, pid_t pid, struct err *err)
{
	char command[64] = "rsprof";

	if (pid)
		snprintf(command, sizeof(command), "rsprof -p %d", (int)pid);
	if (has(facts, CAP_BPF))
		err_set(err, ERR_PERMISSION, 0,
			"The bpf source needs CAP_PERFMON beside CAP_BPF, and rsprof has only "
			"CAP_BPF.");
	else
		err_set(err, ERR_PERMISSION, 0,
			"The bpf source needs CAP_BPF and CAP_PERFMON, and rsprof has %s.",
			has(facts, CAP_PERFMON) ? "only CAP_PERFMON" : "neither");
	/* A root without them is confined. */
	if (facts->is_root)
		err_remedy(err, "Run rsprof as root outside the container, or start the container "
				"with: --cap-add BPF --cap-add PERFMON --cap-add SYS_PTRACE");
	else
		err_remedy(err,
			   "Run: sudo %s  or, once: sudo setcap cap_bpf,cap_perfmon,cap_sys_ptrace,"
			   "cap_checkpoint_restore+ep $(command -v rsprof)",
			   command);
	return -EPERM;
}

static int refuse_map(const struct bpf_facts *facts, struct err *err)
{
	if (facts->map_error == -EINVAL) {
		err_set(err, ERR_PERMISSION, 0,
			"The bpf source needs BPF ring buffers (Linux 5.8) and this kernel (%s) "
			"has "
			"none.",
			facts->kernel);
		err_remedy(err, "Use Linux 5.17 or newer, or type: --source perf");
		return -ENOTSUP;
	}
	if (facts->map_error == -ENOSYS) {
		err_set(err, ERR_PERMISSION, 0, "This kernel (%s) has no BPF.", facts->kernel);
		err_remedy(err, "Boot a kernel that is built with CONFIG_BPF_SYSCALL=y, or type: "
				"--source perf");
		return -ENOTSUP;
	}
	if ((facts->map_error == -EPERM || facts->map_error == -ENOMEM) &&
	    facts->memlock_bytes != UINT64_MAX && !has(facts, CAP_SYS_RESOURCE)) {
		err_set(err, ERR_PERMISSION, 0,
			"The kernel refuses memory for BPF maps within the limit of locked memory "
			"(%llu KiB): %s.",
			(unsigned long long)facts->memlock_bytes / 1024,
			strerror(-facts->map_error));
		err_remedy(err, "Run: ulimit -l unlimited");
		return -EPERM;
	}
	err_set(err, ERR_PERMISSION, 0, "The kernel refuses BPF maps to rsprof: %s.",
		strerror(-facts->map_error));
	err_remedy(err, "Run rsprof as root outside the container, or type: --source perf");
	return -EPERM;
}

int bpf_facts_judge(const struct bpf_facts *facts, pid_t pid, struct err *err)
{
	if (!may_use_bpf(facts))
		return refuse_capability(facts, pid, err);
	if (facts->in_pid_namespace) {
		err_set(err, ERR_PERMISSION, 0,
			"rsprof runs in a PID namespace of its own, where the numbers of processes "
			"are not those that BPF programs see.");
		err_remedy(err, "Run rsprof outside the container, start the container with "
				"--pid=host, or type: --source perf");
		return -ENOTSUP;
	}
	if (facts->btf_error) {
		err_set(err, ERR_PERMISSION, 0,
			facts->btf_error == -ENOENT
				? "This kernel has no type information (" BTF_PATH
				  "), which the bpf source needs."
				: "The kernel's type information (" BTF_PATH
				  "), which the bpf source needs, cannot be read: %s.",
			strerror(-facts->btf_error));
		err_remedy(err,
			   facts->btf_error == -ENOENT
				   ? "Boot a kernel that is built with CONFIG_DEBUG_INFO_BTF=y, "
				     "or type: --source perf"
				   : "Run rsprof as root, or type: --source perf");
		return facts->btf_error == -ENOENT ? -ENOTSUP : -EPERM;
	}
	if (facts->map_error)
		return refuse_map(facts, err);
	if (facts->loop_error == -ENOENT) {
		err_set(err, ERR_PERMISSION, 0,
			"The bpf source needs bpf_loop (Linux 5.17), which this kernel (%s) does "
			"not "
			"have.",
			facts->kernel);
		err_remedy(err, "Use Linux 5.17 or newer, or type: --source perf");
		return -ENOTSUP;
	}
	if (facts->loop_error) {
		err_set(err, ERR_PERMISSION, 0, "The kernel refuses BPF programs to rsprof: %s.",
			strerror(-facts->loop_error));
		err_remedy(err, "Run rsprof as root outside the container, or type: --source perf");
		return -EPERM;
	}
	return 0;
}

int bpf_check(const struct target *target, struct err *err)
{
	struct bpf_facts facts;

	bpf_facts_read(&facts);
	return bpf_facts_judge(&facts, target ? target->pid : 0, err);
}
