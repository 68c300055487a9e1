/* What uprobes, ours and those of other tools, do to a stack that is walked.
 *
 * A return probe replaces the return address by that of a trampoline, in a page that the kernel
 * adds to the process. An instruction that cannot be emulated is executed in that page, too. The
 * kernel knows what was there. All of this is of the thread that runs; on a kernel that keeps it
 * otherwise nothing is found. */
#ifndef RSPROF_BPF_UPROBE_BPF_H
#define RSPROF_BPF_UPROBE_BPF_H

#include "bpf/kernel.bpf.h"

enum {
	/* The trampoline since Linux 6.11: push rax, push rcx, push r11, a system call, which ends
	 * at AFTER_CALL, pop r11, pop rcx, ret. The call writes the return address to where rax was
	 * saved. Before it was one int3. */
	TRAMPOLINE_BYTES = 0x11,
	TRAMPOLINE_AFTER_CALL = 0xd,
	OPCODE_INT3 = 0xcc,
	OPCODE_CALL = 0xe8,
	OPCODE_INDIRECT = 0xff, /* what it does is in the byte after it */
	INDIRECT_CALL = 2 << 3,
};

/* Start of the page; 0: the process has none. */
__noinline __u64 uprobes_page(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct xol_area *area;

	if (!bpf_core_field_exists(struct mm_struct, uprobes_state) ||
	    !bpf_core_field_exists(struct xol_area, vaddr))
		return 0;
	area = BPF_CORE_READ(task, mm, uprobes_state.xol_area);
	return area ? BPF_CORE_READ(area, vaddr) : 0;
}

static __always_inline struct return_instance *first_return(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (!bpf_core_field_exists(struct task_struct, utask) ||
	    !bpf_core_field_exists(struct uprobe_task, return_instances) ||
	    !bpf_core_field_exists(struct return_instance, stack) ||
	    !bpf_core_field_exists(struct return_instance, orig_ret_vaddr))
		return NULL;
	return BPF_CORE_READ(task, utask, return_instances);
}

/* The return address that was at this address of the stack; 0: it was not redirected. */
__noinline __u64 original_return(__u64 slot)
{
	struct return_instance *instance = first_return();
	__u32 i;

	for (i = 0; i < KERNEL_RETURNS_MAX && instance; i++) {
		if (BPF_CORE_READ(instance, stack) == slot)
			return BPF_CORE_READ(instance, orig_ret_vaddr);
		instance = BPF_CORE_READ(instance, next);
	}
	return 0;
}

/* The same, of a return that the trampoline is about to finish. */
__noinline __u64 finished_return(__u64 slot)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct return_instance *instance;

	if (!bpf_core_field_exists(struct task_struct, utask) ||
	    !bpf_core_field_exists(struct uprobe_task, ri_pool) ||
	    !bpf_core_field_exists(struct return_instance, stack) ||
	    !bpf_core_field_exists(struct return_instance, orig_ret_vaddr))
		return 0;
	instance = BPF_CORE_READ(task, utask, ri_pool);
	if (!instance || BPF_CORE_READ(instance, stack) != slot)
		return 0;
	return BPF_CORE_READ(instance, orig_ret_vaddr);
}

/* A return address that the kernel is about to redirect, by a heap program of this CPU: for a
 * moment it is in the kernel's hands alone. */
struct redirected {
	__u64 slot, address;
	__u32 tid;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct redirected);
} redirections SEC(".maps");

static __always_inline void note_redirection(__u32 tid, __u64 slot, __u64 address)
{
	__u32 zero = 0;
	struct redirected *redirected = bpf_map_lookup_elem(&redirections, &zero);

	if (redirected)
		*redirected = (struct redirected){slot, address, tid};
}

static __always_inline __u64 noted_redirection(__u64 slot)
{
	__u32 zero = 0, tid = (__u32)bpf_get_current_pid_tgid();
	struct redirected *redirected = bpf_map_lookup_elem(&redirections, &zero);

	if (!redirected || redirected->tid != tid || redirected->slot != slot)
		return 0;
	return redirected->address;
}

/* Where the copy of an instruction that is single-stepped came from; 0: this is none. */
__noinline __u64 stepped_address(__u64 ip)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct uprobe_task *utask;
	__u64 offset;

	if (!bpf_core_field_exists(struct task_struct, utask) ||
	    !bpf_core_field_exists(struct uprobe_task, xol_vaddr) ||
	    !bpf_core_field_exists(struct uprobe_task, vaddr))
		return 0;
	utask = BPF_CORE_READ(task, utask);
	if (!utask)
		return 0;
	offset = ip - BPF_CORE_READ(utask, xol_vaddr);
	return offset < KERNEL_STEP_BYTES ? BPF_CORE_READ(utask, vaddr) + offset : 0;
}

/* Where the return address was whose trampoline, in this page, a thread is in with this rsp; 0: it
 * is not in the trampoline. */
static __always_inline __u64 trampoline_slot(__u64 page, __u64 offset, __u64 rsp)
{
	__u8 first = 0;

	if (offset >= TRAMPOLINE_BYTES || bpf_probe_read_user(&first, sizeof(first), (void *)page))
		return 0;
	if (offset == 0 || first == OPCODE_INT3)
		return rsp - 8;
	if (offset == 1 || offset == TRAMPOLINE_BYTES - 1)
		return rsp;
	if (offset == 2 || offset == TRAMPOLINE_AFTER_CALL + 2)
		return rsp + 8;
	return rsp + 16;
}

#endif
