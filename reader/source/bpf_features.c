#include "reader/source/bpf_features.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "reader/util/own.h"

enum {
	UPROBE_MULTI_RETURN = 1,
};

/* union bpf_attr of BPF_LINK_CREATE with uprobe_multi. */
struct link_attributes {
	uint32_t program_fd, target_fd, attach_type, flags;
	uint64_t path, offsets, ref_counters, cookies;
	uint32_t count, multi_flags, pid, unused;
};

_Static_assert(sizeof(struct link_attributes) == 64, "as the kernel has it");

static uint64_t address_of(const void *memory)
{
	return (uintptr_t)memory;
}

int bpf_link_multi(int program_fd, const struct bpf_multi_probes *probes)
{
	struct link_attributes attributes = {
		.program_fd = (uint32_t)program_fd,
		.attach_type = probes->is_session ? ATTACH_UPROBE_SESSION : ATTACH_UPROBE_MULTI,
		.path = address_of(probes->path),
		.offsets = address_of(probes->offsets),
		.cookies = address_of(probes->cookies),
		.count = probes->count,
		.multi_flags = probes->is_return ? UPROBE_MULTI_RETURN : 0,
		.pid = (uint32_t)probes->pid,
	};
	long fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attributes, sizeof(attributes));

	return fd < 0 ? -errno : (int)fd;
}

int bpf_set_multi(struct bpf_program *program)
{
	return bpf_program__set_expected_attach_type(program,
						     (enum bpf_attach_type)ATTACH_UPROBE_MULTI);
}

int bpf_set_session(struct bpf_program *program)
{
	return bpf_program__set_expected_attach_type(program,
						     (enum bpf_attach_type)ATTACH_UPROBE_SESSION);
}

/* A kernel that knows the type looks at the path, and does not take a folder; another refuses the
 * type before. */
static bool has_links(bool is_session)
{
	const struct bpf_insn instructions[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	const uint64_t offset = 0;
	const struct bpf_multi_probes probes = {
		.path = "/",
		.offsets = &offset,
		.count = 1,
		.is_session = is_session,
	};

	LIBBPF_OPTS(bpf_prog_load_opts, options,
		    .expected_attach_type = (enum bpf_attach_type)(
			    is_session ? ATTACH_UPROBE_SESSION : ATTACH_UPROBE_MULTI));
	OWN(own_close)
	int program = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "rsprof_probe", "GPL", instructions, 2,
				    &options);

	return program >= 0 && bpf_link_multi(program, &probes) == -EBADF;
}

enum heap_attach bpf_best_attach(void)
{
	if (has_links(true))
		return HEAP_ATTACH_SESSION;
	return has_links(false) ? HEAP_ATTACH_MULTI : HEAP_ATTACH_PERF;
}
