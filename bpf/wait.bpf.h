/* Waiting: what the target's threads do between the moments at which they run. */
#ifndef RSPROF_BPF_WAIT_BPF_H
#define RSPROF_BPF_WAIT_BPF_H

#include <asm/unistd_64.h>

#include "bpf/tell.bpf.h"

/* By number of the system call, 0 is BPF_WAIT_OTHER. What does not wait is not named. */
enum { WAIT_KINDS = 512 };

static const __u8 wait_kinds[WAIT_KINDS] = {
	[__NR_futex] = BPF_WAIT_LOCK,
	[449 /* futex_waitv */] = BPF_WAIT_LOCK,
	[455 /* futex_wait */] = BPF_WAIT_LOCK,
	[456 /* futex_requeue */] = BPF_WAIT_LOCK,

	[__NR_nanosleep] = BPF_WAIT_SLEEP,
	[__NR_clock_nanosleep] = BPF_WAIT_SLEEP,

	[__NR_poll] = BPF_WAIT_POLL,
	[__NR_ppoll] = BPF_WAIT_POLL,
	[__NR_select] = BPF_WAIT_POLL,
	[__NR_pselect6] = BPF_WAIT_POLL,
	[__NR_epoll_wait] = BPF_WAIT_POLL,
	[__NR_epoll_pwait] = BPF_WAIT_POLL,
	[441 /* epoll_pwait2 */] = BPF_WAIT_POLL,

	[__NR_wait4] = BPF_WAIT_CHILD,
	[__NR_waitid] = BPF_WAIT_CHILD,
	[__NR_vfork] = BPF_WAIT_CHILD,
	[__NR_clone] = BPF_WAIT_CHILD,
	[__NR_clone3] = BPF_WAIT_CHILD,

	[__NR_read] = BPF_WAIT_IO,
	[__NR_pread64] = BPF_WAIT_IO,
	[__NR_readv] = BPF_WAIT_IO,
	[__NR_preadv] = BPF_WAIT_IO,
	[__NR_preadv2] = BPF_WAIT_IO,
	[__NR_write] = BPF_WAIT_IO,
	[__NR_pwrite64] = BPF_WAIT_IO,
	[__NR_writev] = BPF_WAIT_IO,
	[__NR_pwritev] = BPF_WAIT_IO,
	[__NR_pwritev2] = BPF_WAIT_IO,
	[__NR_recvfrom] = BPF_WAIT_IO,
	[__NR_recvmsg] = BPF_WAIT_IO,
	[__NR_recvmmsg] = BPF_WAIT_IO,
	[__NR_sendto] = BPF_WAIT_IO,
	[__NR_sendmsg] = BPF_WAIT_IO,
	[__NR_sendmmsg] = BPF_WAIT_IO,
	[__NR_accept] = BPF_WAIT_IO,
	[__NR_accept4] = BPF_WAIT_IO,
	[__NR_connect] = BPF_WAIT_IO,
	[__NR_sendfile] = BPF_WAIT_IO,
	[__NR_splice] = BPF_WAIT_IO,
	[__NR_tee] = BPF_WAIT_IO,
	[__NR_vmsplice] = BPF_WAIT_IO,
	[__NR_copy_file_range] = BPF_WAIT_IO,
	[__NR_fsync] = BPF_WAIT_IO,
	[__NR_fdatasync] = BPF_WAIT_IO,
	[__NR_sync] = BPF_WAIT_IO,
	[__NR_syncfs] = BPF_WAIT_IO,
	[__NR_sync_file_range] = BPF_WAIT_IO,
	[__NR_msync] = BPF_WAIT_IO,
	[__NR_fallocate] = BPF_WAIT_IO,
	[__NR_truncate] = BPF_WAIT_IO,
	[__NR_ftruncate] = BPF_WAIT_IO,
	[__NR_readahead] = BPF_WAIT_IO,
	[__NR_open] = BPF_WAIT_IO,
	[__NR_openat] = BPF_WAIT_IO,
	[437 /* openat2 */] = BPF_WAIT_IO,
	[__NR_creat] = BPF_WAIT_IO,
	[__NR_close] = BPF_WAIT_IO,
	[__NR_stat] = BPF_WAIT_IO,
	[__NR_fstat] = BPF_WAIT_IO,
	[__NR_lstat] = BPF_WAIT_IO,
	[__NR_newfstatat] = BPF_WAIT_IO,
	[__NR_statx] = BPF_WAIT_IO,
	[__NR_getdents] = BPF_WAIT_IO,
	[__NR_getdents64] = BPF_WAIT_IO,
	[__NR_mkdir] = BPF_WAIT_IO,
	[__NR_rmdir] = BPF_WAIT_IO,
	[__NR_unlink] = BPF_WAIT_IO,
	[__NR_unlinkat] = BPF_WAIT_IO,
	[__NR_rename] = BPF_WAIT_IO,
	[__NR_renameat] = BPF_WAIT_IO,
	[__NR_renameat2] = BPF_WAIT_IO,
	[__NR_flock] = BPF_WAIT_IO,
	[__NR_fcntl] = BPF_WAIT_IO,
	[__NR_ioctl] = BPF_WAIT_IO,
	[__NR_io_getevents] = BPF_WAIT_IO,
	[__NR_io_pgetevents] = BPF_WAIT_IO,
	[__NR_io_uring_enter] = BPF_WAIT_IO,
};

static __always_inline __u32 kind_of_wait(struct task_struct *task, bool is_preempted)
{
	__u64 number;
	__u32 kind;

	if (is_preempted || task_state(task) == KERNEL_TASK_RUNNING)
		return BPF_WAIT_RUN_QUEUE;
	number = user_registers_of(task)->orig_ax;
	if (number == ~0ULL)
		return BPF_WAIT_FAULT;
	if (number >= WAIT_KINDS)
		return BPF_WAIT_OTHER;
	kind = *(volatile const __u8 *)&wait_kinds[number & (WAIT_KINDS - 1)];
	return kind ? kind : BPF_WAIT_OTHER;
}

static __always_inline void tell_wait(__u32 tid, const struct bpf_thread *thread, __u64 now)
{
	struct bpf_wait wait = {
		.record = {BPF_RECORD_WAIT, tid, now},
		.since_ns = thread->since_ns,
		.run_ns = thread->run_ns,
		.stack = thread->stack,
		.kind = thread->kind,
		.end_flags = thread->end_flags,
	};

	if (!tell(&wait, sizeof(wait)))
		__sync_fetch_and_add(&control.wait_ring_full, 1);
}

/* Walks the stack of the thread that leaves, tells it where it was not told yet, and sets stack and
 * end_flags. */
static __always_inline void tell_waiting_stack(struct task_struct *task, __u64 now,
					       struct bpf_thread *thread)
{
	struct subject subject = {.type = BPF_RECORD_STACK, .tid = task->pid, .time_ns = now};
	struct scratch *scratch;
	__u32 zero = 0, one = 1;
	struct walk *walk;

	thread->stack = 0;
	thread->end_flags = 0;
	if (bpf_get_prandom_u32() & READ_ONCE(control.wait_walk_mask)) {
		__sync_fetch_and_add(&control.waits_unwalked, 1);
		return;
	}
	scratch = bpf_map_lookup_elem(&switch_scratch, &zero);
	if (!scratch)
		return;
	walk = &scratch->walk;
	leaf_of_task(scratch, task);
	unwind(scratch, WALK_IN_KERNEL, !task->mm, NULL);
	if (walk->end == WALK_EMPTY) {
		thread->end_flags = WALK_EMPTY | WALK_IN_KERNEL << 8;
		return;
	}
	if (walk->needs_reader)
		walk->hash = mix(walk->hash, scratch->leaf.general[EH_REGISTER_RSP]);
	subject.stack = walk->hash ? walk->hash : 1;
	thread->end_flags = walk->end | (__u32)walk->flags << 8;
	thread->stack = subject.stack;
	/* A walk that saw nothing but its leaf does not tell stacks apart. */
	if (!(walk->needs_reader && walk->pc_count <= 1) &&
	    bpf_map_lookup_elem(&stacks, &subject.stack))
		return;
	if (tell_stack(scratch, &subject)) {
		bpf_map_update_elem(&stacks, &subject.stack, &one, BPF_ANY);
	} else {
		thread->stack = 0;
		__sync_fetch_and_add(&control.wait_stacks_lost, 1);
	}
}

/* When the process's first thread ended; 0: it has not, or another one has become it by exec. */
__u64 first_thread_end_ns;

/* What was before this is not known of the thread, or was told. A thread that calls exec has the
 * first one's id and start_time as soon as that one has ended, some time before on_exec. */
static __always_inline __u64 known_from(struct task_struct *task)
{
	__u64 start_ns = READ_ONCE(control.start_ns), end_ns = READ_ONCE(first_thread_end_ns);

	return task->pid == task->tgid && end_ns > start_ns ? end_ns : start_ns;
}

/* When a thread that no switch has told of began to run. It has not run for longer than the kernel
 * counts, which matters where the first thread ended long before another one calls exec. */
static __always_inline __u64 begin_of(struct task_struct *task, __u64 now)
{
	__u64 start_ns = known_from(task), cpu_ns = task->se.sum_exec_runtime;

	if (READ_ONCE(first_thread_end_ns) && now > start_ns && now - start_ns > cpu_ns)
		start_ns = now - cpu_ns;
	return task->start_time > start_ns ? task->start_time : start_ns;
}

/* CPU time since the entry's state began, which the kernel counts; within the time that passed. For
 * switches that were not seen: on some machines the tracepoint is silent now and then. An entry of
 * the reader's has no CPU time. */
static __always_inline __u64 ran_since(const struct bpf_thread *known, struct task_struct *task,
				       __u64 now)
{
	__u64 ran_ns = task->se.sum_exec_runtime - known->cpu_ns, passed_ns = now - known->since_ns;

	if (known->cpu_ns == 0 || now < known->since_ns)
		return 0;
	return ran_ns < passed_ns ? ran_ns : passed_ns;
}

/* A thread of the target stops running. */
static __always_inline void leave(struct task_struct *task, bool is_preempted, __u64 now)
{
	__u32 tid = task->pid;
	struct bpf_thread *known = bpf_map_lookup_elem(&threads, &tid);
	struct bpf_thread thread = {.since_ns = now, .cpu_ns = task->se.sum_exec_runtime};
	__u64 came_ns = begin_of(task, now);

	if (known && known->kind) {
		came_ns = now - ran_since(known, task, now);
		tell_wait(tid, known, came_ns);
		__sync_fetch_and_add(&control.switches_missed, 1);
	} else if (known) {
		came_ns = known->since_ns;
	}
	thread.run_ns = now > came_ns ? now - came_ns : 0;
	if (task_state(task) & KERNEL_TASK_DEAD) {
		tell_wait(tid, &thread, now);
		bpf_map_delete_elem(&threads, &tid);
		if (task->pid == task->tgid)
			first_thread_end_ns = now;
		return;
	}
	thread.kind = kind_of_wait(task, is_preempted);
	tell_waiting_stack(task, now, &thread);
	if (known)
		*known = thread;
	else if (bpf_map_update_elem(&threads, &tid, &thread, BPF_ANY))
		__sync_fetch_and_add(&control.threads_full, 1);
}

/* A thread of the target begins to run. */
static __always_inline void enter(struct task_struct *task, __u64 now)
{
	__u32 tid = task->pid;
	struct bpf_thread *known = bpf_map_lookup_elem(&threads, &tid);
	struct bpf_thread thread = {.since_ns = now, .cpu_ns = task->se.sum_exec_runtime};
	struct bpf_thread before = {.since_ns = known_from(task), .kind = BPF_WAIT_OTHER};

	if (known && known->kind) {
		tell_wait(tid, known, now);
		*known = thread;
		return;
	}
	if (known) {
		before.run_ns = ran_since(known, task, now);
		before.since_ns = known->since_ns + before.run_ns;
		tell_wait(tid, &before, now);
		__sync_fetch_and_add(&control.switches_missed, 1);
		*known = thread;
		return;
	}
	/* A thread of before the recording slept since then, nobody knows where. */
	if (task->start_time < before.since_ns)
		tell_wait(tid, &before, now);
	if (bpf_map_update_elem(&threads, &tid, &thread, BPF_ANY))
		__sync_fetch_and_add(&control.threads_full, 1);
}

#endif
