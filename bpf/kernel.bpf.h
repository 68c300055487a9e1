/* What BPF programs know of the kernel: its public headers, and of its own structs the few members
 * that they read, which libbpf finds in the running kernel's BTF. */
#ifndef RSPROF_BPF_KERNEL_BPF_H
#define RSPROF_BPF_KERNEL_BPF_H

/* First: the helpers' declarations need its types. */
#include <linux/bpf.h>

#include <linux/bpf_perf_event.h>
#include <linux/ptrace.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* With the BPF target the compiler gives these an identity of their own; what comes behind ___ is
 * not part of the name. */
#define FROM_KERNEL __attribute__((preserve_access_index))

/* What uprobes keep. A thread's return addresses that were redirected, innermost first. */
struct return_instance {
	unsigned long stack; /* where the address was */
	unsigned long orig_ret_vaddr;
	struct return_instance *next;
} FROM_KERNEL;

struct uprobe_task {
	struct return_instance *return_instances;
	struct return_instance *ri_pool; /* done with, the last one first; since Linux 6.14 */
	unsigned long xol_vaddr;	 /* copy of the instruction that is single-stepped */
	unsigned long vaddr;		 /* the instruction */
} FROM_KERNEL;

/* The page of the process where the copies are, and what return addresses are redirected to. */
struct xol_area {
	unsigned long vaddr;
} FROM_KERNEL;

struct uprobes_state {
	struct xol_area *xol_area;
} FROM_KERNEL;

struct mm_struct {
	struct uprobes_state uprobes_state;
} FROM_KERNEL;

struct sched_entity {
	__u64 sum_exec_runtime; /* CPU time in ns, up to the last switch away */
} FROM_KERNEL;

struct task_struct {
	int pid;
	int tgid;
	unsigned int __state; /* since Linux 5.14 */
	struct sched_entity se;
	__u64 start_time;     /* CLOCK_MONOTONIC */
	struct mm_struct *mm; /* NULL: a thread of the kernel, or one that is exiting */
	struct uprobe_task *utask;
	unsigned long sas_ss_sp; /* stack of its own for signal handlers */
	unsigned long sas_ss_size;
} FROM_KERNEL;

struct perf_event {
	struct perf_event *parent; /* that it was inherited from in the end; NULL: it was opened */
	__u64 bpf_cookie;	   /* of events that were opened */
} FROM_KERNEL;

/* What the context of a perf_event program is to the kernel. */
struct bpf_perf_event_data_kern {
	struct perf_event *event;
} FROM_KERNEL;

struct task_struct___before_5_14 {
	long state;
} FROM_KERNEL;

/* As the kernel saves them; struct pt_regs of the public headers names them differently. */
struct pt_regs___kernel {
	unsigned long r15, r14, r13, r12, bp, bx;
	unsigned long r11, r10, r9, r8, ax, cx, dx, si, di;
	unsigned long orig_ax; /* number of the system call; -1: none */
	unsigned long ip, sp;
} FROM_KERNEL;

enum {
	KERNEL_TASK_RUNNING = 0,
	KERNEL_TASK_DEAD = 0x80,
	KERNEL_PAGE_BYTES = 4096,
	KERNEL_E2BIG = 7,
	KERNEL_EEXIST = 17,
	/* UPROBE_XOL_SLOT_BYTES. */
	KERNEL_STEP_BYTES = 128,
	/* MAX_URETPROBE_DEPTH. */
	KERNEL_RETURNS_MAX = 64,
};

/* What another CPU or the reader may change meanwhile, read once. */
#define READ_ONCE(what) (*(volatile typeof(what) *)&(what))

/* The registers which the thread brought into the kernel. */
static __always_inline struct pt_regs___kernel *user_registers_of(struct task_struct *task)
{
	return (struct pt_regs___kernel *)bpf_task_pt_regs(task);
}

static __always_inline __u64 task_state(struct task_struct *task)
{
	if (bpf_core_field_exists(task->__state))
		return task->__state;
	return ((struct task_struct___before_5_14 *)task)->state;
}

#endif
