/* The heap: what the functions of an allocator are called with, and what they return. */
#ifndef RSPROF_BPF_HEAP_BPF_H
#define RSPROF_BPF_HEAP_BPF_H

#include "bpf/heap_books.bpf.h"
#include "bpf/heap_sample.bpf.h"

enum {
	HEAP_MAP_ANONYMOUS = 0x20,
	/* Of mmap. */
	HEAP_FLAGS_ARGUMENT = 3,
	/* Code behind a probe that is the probed function's own. */
	HEAP_FUNCTION_BYTES = 1024,
};

static const struct bpf_heap_thread heap_no_thread;

/* A call, as the probe sees it. */
struct heap_call {
	__u64 cookie;
	__u64 sp, ip;
	__u64 return_address;
	__u64 size;
	__u64 old;  /* block that is freed, or that realloc is given */
	__u64 out;  /* HEAP_CALL_POSIX_MEMALIGN: &p */
	__u32 call; /* enum bpf_heap_call */
	__u32 mode; /* enum bpf_heap_mode */
	__u32 tid;
};

/* The thread's entry; NULL: there is none, and no room. */
static __always_inline struct bpf_heap_thread *heap_thread_of(struct task_struct *task, __u32 tid)
{
	struct bpf_heap_thread *thread = bpf_map_lookup_elem(&heap_threads, &tid);
	__u32 exec_count = READ_ONCE(control.exec_count);

	if (!thread) {
		bpf_map_update_elem(&heap_threads, &tid, &heap_no_thread, BPF_NOEXIST);
		thread = bpf_map_lookup_elem(&heap_threads, &tid);
		if (!thread)
			return NULL;
	}
	if (thread->start_time != task->start_time) {
		__builtin_memset(thread, 0, sizeof(*thread));
		thread->start_time = task->start_time;
	}
	if (thread->exec_count != exec_count) {
		thread->exec_count = exec_count;
		thread->depth = 0;
		thread->last_block = 0;
		thread->passed_sp = 0;
	}
	return thread;
}

/* ---- calls within calls */

static __always_inline bool is_on_signal_stack(struct task_struct *task, __u64 sp)
{
	return sp - task->sas_ss_sp - 1 < task->sas_ss_size;
}

/* Whether the call that begins at sp leaves this one behind, which is the thread's last one. */
static __always_inline bool is_left(struct task_struct *task,
				    const struct bpf_heap_call_state *state, __u64 sp)
{
	return state->sp < sp &&
	       (!is_on_signal_stack(task, sp) || is_on_signal_stack(task, state->sp));
}

/* Whether another return address stands where this one's was redirected: it was jumped out of, or its
 * return is under way. The trampoline overwrites it, and there a signal may come, whose handler
 * allocates. */
static __always_inline bool is_overwritten(const struct bpf_heap_call_state *state)
{
	__u64 page = uprobes_page(), word = 0;

	return page && (!read_word(state->sp, &word) || word - page >= KERNEL_PAGE_BYTES);
}

/* The last of the thread's calls that are not over; NULL: none. */
static __always_inline struct bpf_heap_call_state *
outer_call(struct task_struct *task, struct bpf_heap_thread *thread, __u64 sp)
{
	struct bpf_heap_call_state *state;
	__u32 depth = thread->depth, i;
	bool is_top = true;

	for (i = 0; i < HEAP_DEPTH_MAX && depth; i++) {
		depth--;
		state = &thread->calls[depth & (HEAP_DEPTH_MAX - 1)];
		if (is_top && is_left(task, state, sp)) {
			thread->depth = depth;
			continue;
		}
		is_top = false;
		/* Its return may come yet. */
		if (!is_left(task, state, sp) && !is_overwritten(state))
			return state;
	}
	return NULL;
}

/* Makes room among the thread's calls: of those that were jumped out of, the returns never come. */
static __always_inline void forget_overwritten(struct bpf_heap_thread *thread)
{
	if (thread->depth >= HEAP_DEPTH_MAX && is_overwritten(&thread->calls[0]))
		thread->depth = 0;
}

/* Whether the last call that nobody waits for has made this one. Both are for the same size where
 * it jumped here; else it would still be there, and the call comes out of its code. */
static __always_inline bool is_of_passed(const struct bpf_heap_thread *thread,
					 const struct heap_call *call)
{
	__u64 word = 0;

	if (call->ip == thread->passed_ip || call->sp > thread->passed_sp)
		return false;
	if (call->sp == thread->passed_sp)
		return call->return_address == thread->passed_return &&
		       call->size == thread->passed_size;
	return call->return_address - thread->passed_ip < HEAP_FUNCTION_BYTES &&
	       read_word(thread->passed_sp, &word) && word == thread->passed_return;
}

static __always_inline bool is_in_layer(__u32 layer, __u64 address)
{
	__u64 start = READ_ONCE(control.heap_layers[layer & (HEAP_LAYERS_MAX - 1)].start);
	__u64 end = READ_ONCE(control.heap_layers[layer & (HEAP_LAYERS_MAX - 1)].end);

	return address >= start && address < end;
}

/* Whether a return probe here would end the process: where a signal handler has a stack above the
 * one that it interrupts, the kernel takes the calls below for left, and forgets where they return
 * to. */
static __always_inline bool is_dangerous(struct task_struct *task, __u64 sp)
{
	struct return_instance *instance;
	__u64 slot;
	__u32 i;

	if (!is_on_signal_stack(task, sp))
		return false;
	instance = first_return();
	for (i = 0; i < KERNEL_RETURNS_MAX && instance; i++) {
		slot = BPF_CORE_READ(instance, stack);
		if (slot > sp)
			return false;
		if (!is_on_signal_stack(task, slot))
			return true;
		instance = BPF_CORE_READ(instance, next);
	}
	return false;
}

/* Whether the allocator calls itself. */
static __always_inline bool is_inner(struct task_struct *task, struct bpf_heap_thread *thread,
				     const struct heap_call *call)
{
	struct bpf_heap_call_state *outer = outer_call(task, thread, call->sp);

	if (outer && outer->sp == call->sp)
		return true;
	/* One that is not over and not above this one is on another stack. */
	if (outer && outer->sp > call->sp &&
	    is_in_layer(HEAP_COOKIE_LAYER(call->cookie), call->return_address))
		return true;
	return is_of_passed(thread, call);
}

/* ---- calls */

static __always_inline __u64 argument(const struct pt_regs *context, __u32 number)
{
	/* All of them are read: an address of the context that is not constant is refused. */
	__u64 rdi = READ_ONCE(context->rdi), rsi = READ_ONCE(context->rsi);
	__u64 rdx = READ_ONCE(context->rdx), rcx = READ_ONCE(context->rcx);
	__u64 r8 = READ_ONCE(context->r8), r9 = READ_ONCE(context->r9);

	if (number == 0)
		return rdi;
	if (number == 1)
		return rsi;
	if (number == 2)
		return rdx;
	if (number == 3)
		return rcx;
	return number == 4 ? r8 : r9;
}

/* false: the call fails, so many bytes cannot be. */
static __always_inline bool read_arguments(const struct pt_regs *context, struct heap_call *call)
{
	__u32 kind = call->call, number = HEAP_COOKIE_SIZE(call->cookie);
	__u64 pointer = argument(context, HEAP_COOKIE_POINTER(call->cookie));
	__u64 factor, most = ~0ULL;

	call->size = argument(context, number);
	if (kind == HEAP_CALL_FREE || kind == HEAP_CALL_REALLOC || kind == HEAP_CALL_REALLOCARRAY)
		call->old = pointer;
	if (kind == HEAP_CALL_POSIX_MEMALIGN)
		call->out = pointer;
	if (kind != HEAP_CALL_CALLOC && kind != HEAP_CALL_REALLOCARRAY)
		return true;
	factor = argument(context, number - 1);
	if (factor)
		most /= factor;
	/* Else the compiler multiplies by 128 bits, which no program can. */
	asm volatile("" : "+r"(most));
	if (call->size > most)
		return false;
	call->size *= factor;
	return true;
}

/* What is mapped and unmapped is only added up. false: the call is another one. */
static __always_inline bool is_of_kernel(const struct pt_regs *context,
					 const struct heap_call *call)
{
	switch (call->call) {
	case HEAP_CALL_MMAP:
		if (!(argument(context, HEAP_FLAGS_ARGUMENT) & HEAP_MAP_ANONYMOUS))
			return true;
		count(&control.mmap_count, 1);
		count(&control.mmap_bytes, call->size);
		return true;
	case HEAP_CALL_MUNMAP:
		count(&control.munmap_count, 1);
		count(&control.munmap_bytes, call->size);
		return true;
	case HEAP_CALL_SBRK:
		if (call->size == 0)
			return true;
		count(&control.brk_count, 1);
		count((__u64 *)&control.brk_bytes, call->size);
		return true;
	default:
		return false;
	}
}

/* A free of what the thread allocated last: a temporary. There is none any more then. */
static __always_inline bool take_last_block(struct bpf_heap_thread *thread, __u64 pointer,
					    __u32 owner, __u32 tid)
{
	if (thread->last_block != pointer || owner != tid)
		return false;
	thread->last_block = 0;
	return true;
}

static __always_inline void on_free(struct bpf_heap_thread *thread, const struct heap_call *call)
{
	struct bpf_heap_block block;

	if (!call->old || call->mode == BPF_HEAP_ALLOCS)
		return;
	if (!take_block(call->old, &block)) {
		if (call->mode == BPF_HEAP_EXACT)
			count(&control.unknown_frees, 1);
		return;
	}
	charge_free(&block, take_last_block(thread, call->old, block.tid, call->tid));
}

/* An allocation whose return is not seen: it has succeeded, as far as one knows. */
static __always_inline void pass(struct bpf_heap_thread *thread, const struct heap_call *call,
				 __u64 site, __u32 weight)
{
	struct heap_charge charge = {
		.site = site, .size = call->size, .weight = weight, .is_untracked = true};
	struct bpf_heap_block old;

	thread->last_block = 0;
	thread->passed_sp = call->sp;
	thread->passed_ip = call->ip;
	thread->passed_return = call->return_address;
	thread->passed_size = call->size;
	if (site)
		charge_alloc(&charge);
	if (call->old && call->mode != BPF_HEAP_ALLOCS && !(call->cookie & HEAP_COOKIE_RETURNS) &&
	    take_block(call->old, &old))
		charge_free(&old, false);
}

/* Whether the return is to be seen. */
static __always_inline bool on_alloc(struct task_struct *task, struct bpf_heap_thread *thread,
				     const struct heap_call *call, const struct pt_regs *context)
{
	bool may_wait = call->mode != BPF_HEAP_ALLOCS && call->cookie & HEAP_COOKIE_RETURNS;
	__u32 weight = HEAP_ONE, depth = thread->depth;
	struct bpf_heap_call_state *state;
	struct bpf_heap_block old = {};
	__u64 site = 0;

	if (may_wait) {
		forget_overwritten(thread);
		depth = thread->depth;
	}
	if (may_wait && (depth >= HEAP_DEPTH_MAX || is_dangerous(task, call->sp))) {
		count(&control.heap_calls_missed, 1);
		return false;
	}
	if (call->mode != BPF_HEAP_EXACT)
		weight = sample(thread, call->size);
	if (may_wait && call->old && !take_block(call->old, &old))
		old.site = 0;
	/* realloc to nothing is a free. */
	if (weight && (may_wait || call->size || !call->old))
		site = site_of_call(context, call->tid);
	if (!may_wait || (!weight && !old.site)) {
		pass(thread, call, site, weight);
		return false;
	}
	state = &thread->calls[depth & (HEAP_DEPTH_MAX - 1)];
	*state = (struct bpf_heap_call_state){
		.sp = call->sp,
		.ip = call->ip,
		.site = site,
		.size = call->size,
		.out = call->out,
		.old = call->old,
		.old_site = old.site,
		.old_size = old.size,
		.old_weight = old.weight,
		.old_tid = old.tid,
		.weight = weight,
		.call = call->call,
	};
	thread->depth = depth + 1;
	note_redirection(call->tid, call->sp, call->return_address);
	return true;
}

static __always_inline bool follow_call(struct task_struct *task, struct bpf_heap_thread *thread,
					struct heap_call *call, const struct pt_regs *context)
{
	if (!read_arguments(context, call) || is_of_kernel(context, call) ||
	    !read_word(call->sp, &call->return_address) || is_inner(task, thread, call))
		return false;
	if (call->call == HEAP_CALL_FREE) {
		on_free(thread, call);
		return false;
	}
	return on_alloc(task, thread, call, context);
}

/* Whether the return of the call is to be seen. */
static __always_inline bool on_call(struct pt_regs *context)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 id = bpf_get_current_pid_tgid(), begin_ns;
	struct heap_call call = {.tid = (__u32)id, .mode = READ_ONCE(control.heap_mode)};
	struct bpf_heap_thread *thread;
	bool is_seen;

	if (!READ_ONCE(control.is_on) || id >> 32 != READ_ONCE(control.target_tgid) ||
	    call.mode == BPF_HEAP_OFF)
		return false;
	begin_ns = bpf_ktime_get_ns();
	thread = heap_thread_of(task, call.tid);
	if (!thread) {
		count(&control.heap_calls_missed, 1);
		return false;
	}
	call.cookie = bpf_get_attach_cookie(context);
	call.call = HEAP_COOKIE_CALL(call.cookie);
	call.sp = context->rsp;
	call.ip = context->rip;
	if (call.cookie & HEAP_COOKIE_STEPPED)
		thread->stepped_hits++;
	else
		thread->hits++;
	if (call.call == HEAP_CALL_FREE)
		thread->free_hits++;
	is_seen = follow_call(task, thread, &call, context);
	thread->spent_ns += bpf_ktime_get_ns() - begin_ns;
	return is_seen;
}

/* ---- returns */

/* What becomes of the block that realloc was given. */
static __always_inline void end_old(struct bpf_heap_thread *thread,
				    const struct bpf_heap_call_state *state, __u64 pointer,
				    __u32 tid)
{
	struct bpf_heap_block old = {
		.site = state->old_site,
		.size = state->old_size,
		.weight = state->old_weight,
		.tid = state->old_tid,
		.exec_count = READ_ONCE(control.exec_count),
	};

	/* Where it gives nothing for no bytes, it has freed. */
	if (pointer || state->size == 0) {
		if (old.site)
			charge_free(&old, !pointer && take_last_block(thread, state->old,
								      old.tid, tid));
		else if (READ_ONCE(control.heap_mode) == BPF_HEAP_EXACT)
			count(&control.unknown_frees, 1);
	} else if (old.site) {
		add_block(state->old, &old);
	}
}

static __always_inline void end_call(struct bpf_heap_thread *thread,
				     const struct bpf_heap_call_state *state, __u64 pointer,
				     __u32 tid)
{
	struct heap_charge charge = {
		.site = state->site,
		.size = state->size,
		.weight = state->weight,
		.is_realloc = state->old != 0,
		.is_untracked = READ_ONCE(control.heap_mode) == BPF_HEAP_ALLOCS,
	};
	struct bpf_heap_block block = {
		.site = state->site,
		.size = state->size,
		.weight = state->weight,
		.tid = tid,
		.exec_count = READ_ONCE(control.exec_count),
	};

	if (state->old)
		end_old(thread, state, pointer, tid);
	if (!pointer)
		return;
	thread->last_block = 0;
	if (!state->weight)
		return;
	if (state->old_site && state->size > state->old_size)
		charge.growth = state->size - state->old_size;
	charge_alloc(&charge);
	if (charge.is_untracked)
		return;
	thread->last_block = pointer;
	add_block(pointer, &block);
}

/* The thread's call that returns to above sp, over from now on; NULL: it is not known. */
static __always_inline struct bpf_heap_call_state *take_call(struct bpf_heap_thread *thread,
							     __u64 sp)
{
	struct bpf_heap_call_state *state;
	__u32 depth = thread->depth, i;

	for (i = 0; i < HEAP_DEPTH_MAX; i++) {
		if (depth == 0)
			return NULL;
		depth--;
		state = &thread->calls[depth & (HEAP_DEPTH_MAX - 1)];
		if (state->sp == sp) {
			thread->depth = depth;
			return state;
		}
	}
	return NULL;
}

static __always_inline void on_return(struct pt_regs *context)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 id = bpf_get_current_pid_tgid(), pointer, begin_ns;
	struct bpf_heap_call_state *state;
	struct bpf_heap_thread *thread;

	if (!READ_ONCE(control.is_on) || id >> 32 != READ_ONCE(control.target_tgid) ||
	    READ_ONCE(control.heap_mode) == BPF_HEAP_OFF)
		return;
	begin_ns = bpf_ktime_get_ns();
	thread = heap_thread_of(task, (__u32)id);
	if (!thread)
		return;
	thread->return_hits++;
	state = take_call(thread, context->rsp - 8);
	if (state) {
		pointer = context->rax;
		if (state->call == HEAP_CALL_POSIX_MEMALIGN &&
		    ((__u32)pointer != 0 || !read_word(state->out, &pointer)))
			pointer = 0;
		end_call(thread, state, pointer, (__u32)id);
	}
	thread->spent_ns += bpf_ktime_get_ns() - begin_ns;
}

#endif
