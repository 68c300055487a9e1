/* The kernel's part of a recording: samples, waiting and heap, with stacks walked by unwind tables.
 *
 *
 * FOR THE LOADER. Include bpf/shared.h, then "bpf/profile.skel.h": struct profile_bpf and
 * profile_bpf__open(), __load(), __destroy(). Do not call __attach().
 *
 * Programs (skel->progs), each with autoload on but those of the heap; switch off what is not
 * wanted before the load:
 *
 *   on_event_0 … on_event_7   perf_event; number = index of the event in the recording. Attach by
 *                             bpf_program__attach_perf_event_opts() to each of its descriptors,
 *                             .bpf_cookie = the tid that it was opened for; 0 will do for
 *                             threads that are not late (see late_threads)
 *   on_exec                   tp_btf/sched_process_exec: always load it, and attach it before the
 *                             target's mappings are read for the first time
 *   on_switch                 tp_btf/sched_switch: waiting. bpf_program__attach_trace()
 *   on_heap_call              uprobe, at functions of an allocator; the cookie is HEAP_COOKIE
 *   on_heap_return            the same, at their return
 *   on_heap_session           both, where the kernel has uprobe sessions: in place of the other
 *                             two at functions whose return is wanted. Set the expected attach
 *                             type of a session, or, for links of many, of the first two
 *
 * Constants (skel->rodata), before the load:
 *
 *   arena_mask        words of the arena - 1; the arena's size is a power of two
 *   frames_max        1 to BPF_FRAMES_MAX; 127 unless set
 *   copy_bytes        what is copied of a stack that the reader has to walk: 0 (none) to
 *                     BPF_COPY_BYTES, which it is unless set
 *   value_is_period   bit i: the value of event i is ctx->sample_period; else 1
 *   heap_gaps, heap_weights   see bpf/heap_maps.bpf.h
 *
 * Maps (skel->maps), before the load bpf_map__set_value_size(arena, 4 * (arena_mask + 1)) and
 * bpf_map__set_max_entries(ring, bytes), a power of two and of pages:
 *
 *   arena          ARRAY, 1 entry of __u32[]; mmap it: PROT_READ | PROT_WRITE, MAP_SHARED
 *   rules          ARRAY, 1 entry: struct ehframe_rule[BPF_RULES_MAX]; mmap it
 *   code           ARRAY, 1 entry: struct bpf_code_lists; mmap it
 *   ring           RINGBUF
 *   threads        HASH, __u32 tid -> struct bpf_thread. What the reader adds (BPF_NOEXIST) has
 *                  cpu_ns 0
 *   stacks         HASH, __u64 hash -> __u32: the stacks that were told. The hash depends on
 *                  control.version: after a new version the reader may delete all keys, so that
 *                  the map does not fill with what nobody will meet again
 *   late_threads   HASH, __u32 tid -> LATE_IS_NEW, BPF_LATE_THREADS_MAX: threads that may have
 *                  inherited an event and have one of their own, too. What they inherited is
 *                  ignored; where that was something, so is the event of their own in threads
 *                  that they start, which have both. Add the tid before the event is enabled
 *   heap_threads   HASH, __u32 tid -> struct bpf_heap_thread
 *   heap_sites     HASH, __u64 -> struct bpf_heap_site; set its size, and put the keys
 *                  HEAP_SITE_UNTOLD and HEAP_SITE_FULL into it
 *   heap_blocks    HASH, __u64 address -> struct bpf_heap_block; set its size
 *   heap_rooms     ARRAY, HEAP_ROOMS_PER_CPU for each possible CPU; set its size
 *
 * Order: open, set sizes and constants, load; skel->bss->control.target_tgid; attach on_exec; read
 * control.exec_count, read mappings, place tables and rules, write list[(version + 1) & 1] with
 * that exec_count, then version + 1 (a release store); control.start_ns, then control.is_on = 1;
 * attach the rest, control.heap_mode last. Until is_on, nothing but exec_count changes.
 *
 * Stack of a hash: a STACK record, or a COPY record with `stack` set, comes before the first WAIT
 * that names the hash; a later one for the same hash replaces what it meant. A WAIT whose stack
 * found no room names none, and control.wait_stacks_lost counts it.
 *
 * Times of a thread: its WAIT records leave no gap. since_ns - run_ns of one is time_ns of the one
 * before it; of the first one it is control.start_ns, or the moment at which a new thread first
 * ran. A switch that the tracepoint did not tell (control.switches_missed) is made good at the
 * thread's next one by the CPU time that the kernel counts. */
#include "bpf/heap.bpf.h"
#include "bpf/wait.bpf.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

static __always_inline void leaf_of_sample(struct scratch *scratch,
					   const struct bpf_perf_event_data *sample)
{
	TAKE_LEAF(scratch, sample->regs);
	/* Keeps the compiler from merging these reads with those of a task's registers, whose
	 * pointer is of another kind to the verifier. */
	asm volatile("" ::: "memory");
}

/* The thread for which the event was opened, perhaps by another one that inherited it: the cookie
 * of the opened event. bpf_get_attach_cookie() does not do: inherited events have none, and the
 * kernel lets threads swap theirs when it switches between them. */
static __always_inline __u32 opened_for(struct bpf_perf_event_data *context)
{
	struct bpf_perf_event_data_kern *data = (struct bpf_perf_event_data_kern *)context;
	struct perf_event *event = BPF_CORE_READ(data, event);
	struct perf_event *parent = BPF_CORE_READ(event, parent);

	return BPF_CORE_READ(parent ? parent : event, bpf_cookie);
}

/* Whether the thread has another event that counts for this sample. */
static __always_inline bool is_double(__u32 from, __u32 tid)
{
	__u32 *late;

	if (from == tid)
		return false;
	late = bpf_map_lookup_elem(&late_threads, &tid);
	if (late) {
		*late = LATE_HAS_INHERITED;
		return true;
	}
	/* Threads that a late one starts have its own event, and the one that it inherited. */
	late = from ? bpf_map_lookup_elem(&late_threads, &from) : NULL;
	return late && *late == LATE_HAS_INHERITED;
}

static __always_inline int on_event(struct bpf_perf_event_data *context, __u32 event)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct subject subject = {
		.type = BPF_RECORD_SAMPLE, .tid = (__u32)id, .value = 1, .event = event};
	__u32 zero = 0, tid = (__u32)id;
	struct task_struct *task;
	struct scratch *scratch;
	__u8 flags = 0;

	if (!READ_ONCE(control.is_on) || id >> 32 != READ_ONCE(control.target_tgid))
		return 0;
	if (is_double(opened_for(context), tid))
		return 0;
	scratch = bpf_map_lookup_elem(&event_scratch, &zero);
	if (!scratch)
		return 0;
	subject.time_ns = bpf_ktime_get_ns();
	if (value_is_period & (1u << event))
		subject.value = context->sample_period;
	task = bpf_get_current_task_btf();
	if (context->regs.cs & 3) {
		leaf_of_sample(scratch, context);
	} else {
		leaf_of_task(scratch, task);
		flags = WALK_IN_KERNEL;
	}
	unwind(scratch, flags, !task->mm, NULL);
	__sync_fetch_and_add(&control.sampled[event], 1);
	if (tell_stack(scratch, &subject))
		return READ_ONCE(control.is_checked) != 0;
	__sync_fetch_and_add(&control.ring_full, 1);
	return 0;
}

#define ON_EVENT(number)                                                                           \
	SEC("perf_event")                                                                          \
	int on_event_##number(struct bpf_perf_event_data *context)                                 \
	{                                                                                          \
		return on_event(context, number);                                                  \
	}

ON_EVENT(0)
ON_EVENT(1)
ON_EVENT(2)
ON_EVENT(3)
ON_EVENT(4)
ON_EVENT(5)
ON_EVENT(6)
ON_EVENT(7)
_Static_assert(BPF_EVENTS_MAX == 8, "a program for each event");

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_tid)
{
	__u32 from = old_tid, to = task->pid;
	struct bpf_thread *thread, *newer;

	if ((__u32)task->tgid != READ_ONCE(control.target_tgid))
		return 0;
	__sync_fetch_and_add(&control.exec_count, 1);
	/* A thread that calls exec becomes the process's first one, whose id it takes. Where it was
	 * switched away since, what its new id has is newer. */
	if (from == to)
		return 0;
	first_thread_end_ns = 0;
	thread = bpf_map_lookup_elem(&threads, &from);
	if (thread) {
		newer = bpf_map_lookup_elem(&threads, &to);
		if (!newer || newer->since_ns < thread->since_ns)
			bpf_map_update_elem(&threads, &to, thread, BPF_ANY);
		bpf_map_delete_elem(&threads, &from);
	}
	return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool is_preempted, struct task_struct *prev, struct task_struct *next)
{
	__u32 target = READ_ONCE(control.target_tgid);
	__u64 now;

	if (!READ_ONCE(control.is_on) ||
	    ((__u32)prev->tgid != target && (__u32)next->tgid != target))
		return 0;
	now = bpf_ktime_get_ns();
	if ((__u32)prev->tgid == target)
		leave(prev, is_preempted, now);
	if ((__u32)next->tgid == target)
		enter(next, now);
	__sync_fetch_and_add(&control.switches, 1);
	__sync_fetch_and_add(&control.switch_spent_ns, bpf_ktime_get_ns() - now);
	return 0;
}

/* Calls whose return is not asked for, or is seen by on_heap_return. */
SEC("?uprobe")
int on_heap_call(struct pt_regs *context)
{
	on_call(context);
	return 0;
}

SEC("?uprobe")
int on_heap_return(struct pt_regs *context)
{
	on_return(context);
	return 0;
}

/* Both, on kernels with sessions. At a call the probed instruction is where the thread is. 1: it
 * shall not be called at the return. */
SEC("?uprobe")
int on_heap_session(struct pt_regs *context)
{
	if (context->rip == bpf_get_func_ip(context))
		return !on_call(context);
	on_return(context);
	return 0;
}
