#include "reader/target/capability.h"

#include <linux/capability.h>
#include <stddef.h>

const struct capability_name capability_names[] = {
	{CAP_SYS_ADMIN, "CAP_SYS_ADMIN"},
	{CAP_PERFMON, "CAP_PERFMON"},
	{CAP_BPF, "CAP_BPF"},
	{CAP_SYS_PTRACE, "CAP_SYS_PTRACE"},
	{CAP_CHECKPOINT_RESTORE, "CAP_CHECKPOINT_RESTORE"},
	{CAP_SYSLOG, "CAP_SYSLOG"},
	{CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"},
	{CAP_IPC_LOCK, "CAP_IPC_LOCK"},
	{CAP_SYS_RESOURCE, "CAP_SYS_RESOURCE"},
	{0, NULL},
};
