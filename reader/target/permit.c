#include "reader/target/permit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "reader/target/proc.h"
#include "reader/util/own.h"

enum { CGROUP_FILE_MAX = 65536 };

/* PROC_PID_INIT_INO of linux/proc_ns.h: the first PID namespace's inode, part of the ABI. */
static const ino_t FIRST_PID_NAMESPACE = 0xEFFFFFFC;

static uint64_t read_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	if (syscall(SYS_capget, &header, data) < 0)
		return 0;
	return (uint64_t)data[1].effective << 32 | data[0].effective;
}

static int64_t read_setting(const char *path, int64_t absent)
{
	int64_t number;

	return proc_read_number(path, &number) == 0 ? number : absent;
}

static bool has_hardware_counters(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_CPU_CYCLES,
		.disabled = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};
	OWN(own_close)
	int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd >= 0)
		return true;
	/* Where we may not ask, a registered core PMU tells. */
	return (errno == EACCES || errno == EPERM || errno == ENOSYS) &&
	       access("/sys/bus/event_source/devices/cpu/type", F_OK) == 0;
}

static bool is_in_container(void)
{
	static const char *const words[] = {"docker", "containerd", "kubepods", "/lxc", "libpod"};
	OWN(str_done) struct str text = {0};
	struct stat stat_of;

	if (access("/.dockerenv", F_OK) == 0 || access("/run/.containerenv", F_OK) == 0)
		return true;
	if (stat("/proc/self/ns/pid", &stat_of) == 0 && stat_of.st_ino != FIRST_PID_NAMESPACE)
		return true;
	if (proc_read(AT_FDCWD, "/proc/1/cgroup", CGROUP_FILE_MAX, &text) < 0)
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strstr(str_text(&text), words[i]))
			return true;
	return false;
}

void permit_read(struct permit *permit)
{
	struct rlimit limit;
	struct utsname names;

	*permit = (struct permit){0};
	if (uname(&names) == 0) {
		snprintf(permit->kernel, sizeof(permit->kernel), "%.63s", names.release);
		snprintf(permit->machine, sizeof(permit->machine), "%.31s", names.machine);
	}
	permit->uid = geteuid();
	permit->capabilities = read_capabilities();
	permit->perf_event_paranoid = (int)read_setting("/proc/sys/kernel/perf_event_paranoid", -2);
	permit->ptrace_scope = (int)read_setting("/proc/sys/kernel/yama/ptrace_scope", -1);
	permit->kptr_restrict = (int)read_setting("/proc/sys/kernel/kptr_restrict", 0);
	permit->perf_mlock_kb = (uint64_t)read_setting("/proc/sys/kernel/perf_event_mlock_kb", 0);
	permit->perf_max_stack = (uint64_t)read_setting("/proc/sys/kernel/perf_event_max_stack", 0);
	permit->perf_max_sample_rate =
		(uint64_t)read_setting("/proc/sys/kernel/perf_event_max_sample_rate", 0);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		permit->open_files_soft = limit.rlim_cur;
		permit->open_files_hard = limit.rlim_max;
	}
	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0)
		permit->memlock_soft = limit.rlim_cur;
	permit->has_btf = access("/sys/kernel/btf/vmlinux", R_OK) == 0;
	permit->has_hardware_counters = has_hardware_counters();
	permit->in_container = is_in_container();
}

bool permit_has(const struct permit *permit, int capability)
{
	return capability >= 0 && capability < 64 && (permit->capabilities >> capability & 1);
}

const char *permit_bpf_missing(const struct permit *permit)
{
	bool is_admin = permit_has(permit, CAP_SYS_ADMIN);
	bool has_bpf = is_admin || permit_has(permit, CAP_BPF);
	bool has_perfmon = is_admin || permit_has(permit, CAP_PERFMON);

	if (!has_bpf && !has_perfmon)
		return "needs CAP_BPF and CAP_PERFMON";
	if (!has_bpf)
		return "needs CAP_BPF";
	if (!has_perfmon)
		return "needs CAP_PERFMON";
	return permit->has_btf ? NULL : "no BTF in this kernel";
}
