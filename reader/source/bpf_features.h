/* What the running kernel can attach programs by. */
#ifndef RSPROF_SOURCE_BPF_FEATURES_H
#define RSPROF_SOURCE_BPF_FEATURES_H

#include "reader/source/heap_probes.h"

enum {
	/* enum bpf_attach_type, since Linux 6.6 and 6.13. */
	ATTACH_UPROBE_MULTI = 48,
	ATTACH_UPROBE_SESSION = 57,
};

struct bpf_program;

/* Asked of the kernel each time, which takes no millisecond. */
enum heap_attach bpf_best_attach(void);

/* Before the load. 0 or -errno. */
int bpf_set_multi(struct bpf_program *program);
int bpf_set_session(struct bpf_program *program);

/* BPF_LINK_CREATE for probes in the file at path: a link's descriptor, or -errno. Types and fields
 * are newer than the kernel's headers and the libbpf that this is built with. */
struct bpf_multi_probes {
	const char *path;
	const uint64_t *offsets, *cookies;
	uint32_t count;
	pid_t pid;
	bool is_session;
	bool is_return;
};
int bpf_link_multi(int program_fd, const struct bpf_multi_probes *probes);

#endif
