#include "reader/target/inject_point.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#include "reader/target/inject_sleep.h"
#include "reader/target/proc.h"
#include "reader/unwind/cache.h"
#include "reader/unwind/walk.h"
#include "reader/util/clock.h"
#include "reader/util/own.h"

enum {
	STACK_BYTES_MAX = 64 * 1024, /* that are looked at */
	FRAMES_MAX = 1024,
	PAGE_BYTES = 4096,
	LINE_MAX_BYTES = 256,
	STATUS_BYTES_MAX = 16384,
	/* Between rounds over all threads; they grow, so that no period of the target's is met for
	 * ever. */
	PAUSE_MIN_NS = 300000,
	PAUSE_MAX_NS = 10000000,
	LOOKS_MIN = 100,
	CODE_64 = 0x33, /* the selector of 64-bit code */
	/* Of glibc's thread control block: its own address, and where struct pthread has the tid.
	 */
	TCB_SELF = 16,
	TCB_TID_FROM = 0x2c0,
	TCB_TID_WORDS = 16,
	ERESTARTNOHAND = 514, /* of the kernel's own */
};

/* On a busy machine there are few looks in the time that the caller gives: then there is more. */
#define MORE_NS (10 * NS_PER_S)

struct look {
	struct inject_search *search;
	struct unwind_cache *cache;
	VEC(const struct inject_object *) unbuilt; /* whose tables were missing */
	VEC(pid_t) late;			   /* still traced: they stop when they get a CPU */
	uint64_t pcs[FRAMES_MAX];
	uint8_t bytes[STACK_BYTES_MAX];
	uint32_t rounds; /* over all threads */
	bool has_shadow_stack;
};

/* ---- the stack */

static const struct inject_object *object_at(const struct inject_image *image, uint64_t address)
{
	for (size_t i = 0; i < image->mappings.count; i++) {
		const struct target_mapping *at = &image->mappings.items[i];

		if (address < at->start || address >= at->end)
			continue;
		for (size_t j = 0; j < image->objects.count; j++) {
			const struct target_mapping *other = image->objects.items[j].mapping;

			if (at->is_executable && other->inode == at->inode &&
			    other->device_major == at->device_major &&
			    other->device_minor == at->device_minor)
				return &image->objects.items[j];
		}
		return NULL;
	}
	return NULL;
}

static bool find_table(void *context, uint64_t address, struct unwind_place *ret_place)
{
	struct look *look = context;
	const struct inject_object *object = object_at(look->search->image, address);
	int ret;

	*ret_place = (struct unwind_place){0};
	if (!object)
		return false;
	ret_place->bias = object->bias;
	if (object->fd < 0 || !object->text_end)
		return true;
	ret = unwind_cache_find(look->cache, object->fd, &ret_place->table);
	/* Not while a thread is stopped. */
	if (ret == -ENOENT)
		*vec_add(&look->unbuilt) = object;
	if (ret < 0)
		ret_place->table = NULL;
	return true;
}

static void build_tables(struct look *look)
{
	const struct unwind_table *table;

	for (size_t i = 0; i < look->unbuilt.count; i++)
		unwind_cache_get(look->cache, look->unbuilt.items[i]->fd, &table);
	look->unbuilt.count = 0;
}

static size_t copy_stack(pid_t tid, uint64_t sp, uint8_t *into)
{
	struct iovec local = {into, STACK_BYTES_MAX}, remote[STACK_BYTES_MAX / PAGE_BYTES + 1];
	size_t count = 0, left = STACK_BYTES_MAX;
	ssize_t got;

	/* By pages: what is behind the end of the stack is left out. */
	for (uint64_t at = sp; left > 0; count++) {
		size_t step = PAGE_BYTES - at % PAGE_BYTES;

		if (step > left)
			step = left;
		remote[count] = (struct iovec){(void *)at, step};
		at += step;
		left -= step;
	}
	got = process_vm_readv(tid, &local, 1, remote, count, 0);
	return got < 0 ? 0 : (size_t)got;
}

static void set_register(struct unwind_registers *registers, unsigned number, uint64_t value)
{
	registers->general[number] = value;
	registers->known |= 1u << number;
}

/* No frame is in a dangerous place. Where the stack cannot be walked to its end, no word of it may
 * even look as if one were. */
static bool is_stack_clean(struct look *look, pid_t tid, const struct user_regs_struct *at,
			   bool is_asleep)
{
	const inject_ranges *danger = &look->search->image->danger;
	struct unwind_walk walk = {
		.rules = unwind_cache_rules(look->cache), .find = find_table, .context = look};
	struct unwind_registers registers = {.rip = at->rip};
	struct unwind_copy copy = {at->rsp, look->bytes, copy_stack(tid, at->rsp, look->bytes)};
	struct unwind_stack stack = {.pcs = look->pcs, .pc_max = FRAMES_MAX};

	if (copy.size < sizeof(uint64_t))
		return false;
	set_register(&registers, EH_REGISTER_RSP, at->rsp);
	set_register(&registers, EH_REGISTER_RBP, at->rbp);
	unwind_walk(&walk, &registers, &copy, &stack);
	for (uint32_t i = 0; i < stack.pc_count; i++)
		if (inject_ranges_have(danger, stack.pcs[i]))
			return false;
	/* Whatever the handler of a signal has interrupted, it is not known how far it had come. */
	if (stack.signal_count > 0 && !is_asleep)
		return false;
	if (stack.status == STACK_COMPLETE)
		return true;
	for (size_t i = 0; i + sizeof(uint64_t) <= copy.size; i += sizeof(uint64_t)) {
		uint64_t word;

		memcpy(&word, copy.bytes + i, sizeof(word));
		if (inject_ranges_have(danger, word))
			return false;
	}
	/* A frame that was not reached may be an interrupted one. */
	return stack.signal_count == 0;
}

/* ---- the thread */

/* What glibc knows of threads is where the thread's base register leads, and is this thread's own:
 * one that was made by other means may share it with another. */
static bool has_own_block(const struct look *look, pid_t tid, uint64_t base)
{
	OWN(str_done) struct str status = {0};
	uint32_t words[TCB_TID_WORDS];
	uint64_t self;
	char name[64], *inner;
	long number;

	snprintf(name, sizeof(name), "task/%d/status", tid);
	if (base == 0 || !inject_memory_read(tid, base + TCB_SELF, &self, sizeof(self)) ||
	    self != base || !inject_memory_read(tid, base + TCB_TID_FROM, words, sizeof(words)) ||
	    proc_read(look->search->target->proc_fd, name, STATUS_BYTES_MAX, &status) < 0)
		return false;
	/* The last number is of the innermost namespace. */
	inner = strstr(status.text ? status.text : (char *)"", "\nNSpid:");
	if (!inner)
		return false;
	inner += strlen("\nNSpid:");
	number = strtol(inner, &inner, 10);
	while (*inner == '\t')
		number = strtol(inner, &inner, 10);
	for (unsigned i = 0; i < TCB_TID_WORDS; i++)
		if ((long)words[i] == number)
			return true;
	return false;
}

static bool is_place_safe(const struct inject_image *image, const struct user_regs_struct *at,
			  bool *ret_is_asleep)
{
	enum sleep_class sleep =
		(long)at->orig_rax < 0 ? SLEEP_NONE : inject_sleep_class((long)at->orig_rax);

	*ret_is_asleep = sleep != SLEEP_NONE;
	if (at->cs != CODE_64 || inject_ranges_have(&image->danger, at->rip))
		return false;
	if ((sleep == SLEEP_LOCK || at->orig_rax == SYS_restart_syscall) &&
	    inject_ranges_have(&image->locks, at->rdi))
		return false;
	if (image->allocates_itself)
		return sleep == SLEEP_LONG;
	if (sleep != SLEEP_NONE)
		return true;
	return !inject_ranges_have(&image->libc, at->rip) && object_at(image, at->rip) != NULL &&
	       (long)at->orig_rax < 0;
}

static bool is_safe(struct look *look, pid_t tid, struct inject_thread *thread)
{
	bool is_asleep;

	return inject_trace_get_mask(tid, &thread->mask) &&
	       is_place_safe(look->search->image, &thread->registers, &is_asleep) &&
	       !inject_trace_is_in_sequence(tid, thread->registers.rip) &&
	       is_stack_clean(look, tid, &thread->registers, is_asleep) &&
	       has_own_block(look, tid, thread->registers.fs_base);
}

/* Some waits end with EINTR when the thread is stopped, although there was no signal: they are
 * begun again, and with EINTR if there is a signal. Where such a wait has a timeout, that begins
 * again, too. */
static bool mend_wait(struct user_regs_struct *registers)
{
	if ((long)registers->orig_rax < 0 || (long)registers->rax != -EINTR ||
	    (inject_sleep_class((long)registers->orig_rax) == SLEEP_NONE &&
	     registers->orig_rax != SYS_semop && registers->orig_rax != SYS_semtimedop))
		return false;
	registers->rax = (unsigned long)-ERESTARTNOHAND;
	return true;
}

static bool is_late_thread(const struct look *look, pid_t tid)
{
	for (size_t i = 0; i < look->late.count; i++)
		if (look->late.items[i] == tid)
			return true;
	return false;
}

static void forget_late(struct look *look, pid_t tid)
{
	size_t kept = 0;

	for (size_t i = 0; i < look->late.count; i++)
		if (look->late.items[i] != tid)
			look->late.items[kept++] = look->late.items[i];
	look->late.count = kept;
}

/* What the kernel says of it without stopping it: how promising it is; 0: not at all, yet. */
static int promise(const struct look *look, pid_t tid)
{
	OWN(str_done) struct str text = {0};
	char name[64];
	long number;

	/* It stands still until it is looked at, whatever it was at. */
	if (is_late_thread(look, tid))
		return 5;
	snprintf(name, sizeof(name), "task/%d/syscall", tid);
	/* Where it cannot be read the thread is looked at. */
	if (proc_read(look->search->target->proc_fd, name, LINE_MAX_BYTES, &text) < 0)
		return 1;
	if (str_starts(str_text(&text), "running"))
		return 1;
	number = strtol(str_text(&text), NULL, 10);
	switch (number < 0 ? SLEEP_NONE : inject_sleep_class(number)) {
	case SLEEP_LONG:
		return 4;
	case SLEEP_SHORT:
		return 3;
	case SLEEP_LOCK:
		return 2;
	default:
		return 0;
	}
}

static enum inject_stop try_thread(struct look *look, pid_t tid, struct inject_thread *thread,
				   bool *ret_is_safe)
{
	enum inject_stop stop = inject_trace_seize(tid);
	uint64_t begin = clock_now_ns();

	*ret_is_safe = false;
	forget_late(look, tid);
	if (stop == INJECT_REFUSED)
		return stop;
	if (stop == INJECT_BUSY)
		*vec_add(&look->late) = tid;
	look->search->tries++;
	if (stop != INJECT_STOPPED)
		return stop;
	thread->tid = tid;
	thread->stopped_ns = begin;
	look->has_shadow_stack = inject_trace_has_shadow_stack(tid);
	if (!inject_trace_get(tid, &thread->registers)) {
		inject_trace_release(tid);
		return INJECT_GONE;
	}
	if (mend_wait(&thread->registers))
		inject_trace_set(tid, &thread->registers);
	if (!look->has_shadow_stack && is_safe(look, tid, thread)) {
		*ret_is_safe = true;
		return stop;
	}
	inject_trace_release(tid);
	look->search->looking_ns += clock_now_ns() - begin;
	return stop;
}

/* ---- refusals */

static int refuse_trace(const struct target *target, int error, struct err *err)
{
	OWN(str_done) struct str status = {0};
	int64_t scope = 0;
	const char *tracer = NULL;

	if (proc_read(target->proc_fd, "status", STATUS_BYTES_MAX, &status) == 0)
		tracer = strstr(str_text(&status), "\nTracerPid:\t");
	if (tracer && strtol(tracer + strlen("\nTracerPid:\t"), NULL, 10) > 0)
		return err_set(err, ERR_PERMISSION, -EPERM,
			       "%s (%d) is traced by process %ld already, a debugger perhaps.",
			       target->comm, target->pid,
			       strtol(tracer + strlen("\nTracerPid:\t"), NULL, 10));
	err_set(err, ERR_PERMISSION, -EPERM, "You may not trace %s (%d): %s.", target->comm,
		target->pid, strerror(error));
	if (target->uid == geteuid() &&
	    proc_read_number("/proc/sys/kernel/yama/ptrace_scope", &scope) == 0 && scope > 0)
		err_remedy(err,
			   scope < 3 ? "Run: sudo rsprof -p %d --inject, or allow it for your own "
				       "processes: sudo sysctl kernel.yama.ptrace_scope=0"
				     : "kernel.yama.ptrace_scope is 3, which forbids it until the "
				       "next boot; record %d without --inject.",
			   target->pid);
	else
		err_remedy(err, "Run: sudo rsprof -p %d --inject", target->pid);
	return -EPERM;
}

static int refuse_late(const struct inject_search *search, bool is_held, struct err *err)
{
	const struct target *target = search->target;

	if (!target_is_alive(target))
		return err_set(err, ERR_NOT_FOUND, -ESRCH, "%s (%d) has ended.", target->comm,
			       target->pid);
	if (is_held) {
		err_set(err, ERR_GENERAL, -EBUSY, "%s (%d) is stopped.", target->comm, target->pid);
		err_remedy(err, "Let it go on: kill -CONT %d", target->pid);
		return -EBUSY;
	}
	err_set(err, ERR_GENERAL, -EAGAIN,
		"No thread of %s (%d) came to a point where the agent can be loaded without risk "
		"(%u looks); nothing was changed.",
		target->comm, target->pid, search->tries);
	err_remedy(err, "Try again, or record it without --inject.");
	return -EAGAIN;
}

/* ---- the search */

struct candidate {
	pid_t tid;
	int promise;
};

static int compare_candidates(const void *a, const void *b)
{
	const struct candidate *one = a, *other = b;

	if (one->promise != other->promise)
		return other->promise - one->promise;
	return (one->tid > other->tid) - (one->tid < other->tid);
}

static size_t list_candidates(const struct look *look, struct candidate **ret_candidates)
{
	target_threads threads = {0};
	size_t count = 0;

	*ret_candidates = NULL;
	if (target_list_threads(look->search->target, &threads) == 0 && threads.count > 0) {
		*ret_candidates = mem_array(threads.count, sizeof(**ret_candidates));
		for (size_t i = 0; i < threads.count; i++) {
			pid_t tid = threads.items[i].tid;
			int value = promise(look, tid);

			if (value > 0)
				(*ret_candidates)[count++] = (struct candidate){tid, value};
		}
		qsort(*ret_candidates, count, sizeof(**ret_candidates), compare_candidates);
	}
	vec_done(&threads);
	return count;
}

static bool is_late(const struct look *look)
{
	const struct inject_search *search = look->search;
	bool has_tried = search->tries >= LOOKS_MIN || look->rounds >= LOOKS_MIN;

	return clock_now_ns() >= search->deadline_ns + (has_tried ? 0 : MORE_NS);
}

/* The kernel refuses one that is ending in the same words as one that may not be traced. */
static bool has_thread_ended(const struct target *target, pid_t tid)
{
	struct process_stat stat;
	char path[64];

	snprintf(path, sizeof(path), "task/%d/stat", tid);
	return process_stat_read(target->proc_fd, path, &stat) < 0 || process_has_ended(&stat);
}

static int search_round(struct look *look, struct inject_thread *thread, bool *ret_is_held,
			struct err *err)
{
	OWN(own_free) struct candidate *candidates = NULL;
	size_t count = list_candidates(look, &candidates);

	for (size_t i = 0; i < count && !is_late(look); i++) {
		pid_t tid = candidates[i].tid;
		bool is_found;
		enum inject_stop stop = try_thread(look, tid, thread, &is_found);

		if (is_found)
			return 0;
		if (stop == INJECT_REFUSED) {
			int error = errno;

			if (has_thread_ended(look->search->target, tid))
				continue;
			return refuse_trace(look->search->target, error, err);
		}
		if (look->has_shadow_stack)
			return err_set(err, ERR_GENERAL, -ENOTSUP,
				       "%s (%d) runs with shadow stacks, into which rsprof cannot "
				       "call.",
				       look->search->target->comm, look->search->target->pid);
		*ret_is_held |= stop == INJECT_HELD;
		/* With the tables that were missing a sleeper is most likely safe. */
		if (look->unbuilt.count > 0) {
			uint64_t begin = clock_now_ns();

			build_tables(look);
			/* Large libraries take their time, and it is not spent on looking. */
			look->search->deadline_ns += clock_now_ns() - begin;
			i--;
		}
		inject_trace_late();
	}
	return -EAGAIN;
}

int inject_point_find(struct inject_search *search, struct inject_thread *ret_thread,
		      struct err *err)
{
	struct look *look = mem_zalloc(sizeof(*look));
	struct timespec pause = {0, PAUSE_MIN_NS};
	bool is_held = false;
	int ret;

	look->search = search;
	look->cache = unwind_cache_new();
	for (;;) {
		ret = search_round(look, ret_thread, &is_held, err);
		if (ret != -EAGAIN)
			break;
		look->rounds++;
		if (is_late(look) || is_held || !target_is_alive(search->target)) {
			ret = refuse_late(search, is_held, err);
			break;
		}
		nanosleep(&pause, NULL);
		pause.tv_nsec = pause.tv_nsec * 5 / 4 + (long)(clock_now_ns() % 1000);
		if (pause.tv_nsec > PAUSE_MAX_NS)
			pause.tv_nsec = PAUSE_MIN_NS;
	}
	vec_done(&look->unbuilt);
	vec_done(&look->late);
	unwind_cache_free(look->cache);
	free(look);
	return ret;
}
