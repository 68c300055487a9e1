/* The bpf source: programs in the kernel sample and walk stacks by unwind tables, and see threads
 * stop and go on. What the target maps, starts and ends comes through perf's records. Here the
 * parts are joined to the ops of a source:
 *
 *     bpf_load.c, bpf_maps.c   the programs, and the memory shared with them (bpf/shared.h)
 *     bpf_events.c             the perf events that make them run
 *     bpf_code.c, bpf_arena.c  the code of the target and its unwind tables
 *     bpf_records.c            their records become events
 *     bpf_waits.c              waits, ended and in progress
 *     bpf_sleepers.c           threads asleep when the recording begins
 *     bpf_pace.c               what walking the stacks of waits may cost */
#include <errno.h>
#include <linux/membarrier.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "reader/source/bpf_check.h"
#include "reader/source/bpf_code.h"
#include "reader/source/bpf_events.h"
#include "reader/source/bpf_pace.h"
#include "reader/source/bpf_records.h"
#include "reader/source/bpf_sleepers.h"
#include "reader/source/perf_cpus.h"
#include "reader/source/perf_record.h"
#include "reader/util/clock.h"
#include "reader/util/fmt.h"

enum {
	/* Of all CPUs together at most, and 256 KiB for each of few: records of a process that
	 * starts a thousand others a second fill that in a second. */
	SIDEBAND_BYTES = 4 << 20,
	SIDEBAND_BYTES_CPU = 256 << 10,
	/* New stacks that programs have told before it is worth while to empty their memory of
	 * them, once the code has changed and they hash differently. */
	STACKS_TOLD_MANY = BPF_STACKS_MAX / 4,
	/* Other processes' records wake the reader as the target's do. Where the last ones were
	 * theirs, it sleeps on for so long: where a build runs beside it, it wakes 200 times a
	 * second at most, and a new library of the target is known that much later at worst. */
	SIDEBAND_REST_MS = 5,
};

#define LOOK_NS NS_PER_S

/* Counters that only grow, as far as they have been told. */
struct told {
	uint64_t ring_full, waits_ring_full, wait_threads, waits_unwalked;
	uint64_t tables_full, code_full, bad_records;
};

struct src_bpf {
	struct source base;
	struct source_config config;
	struct permit permit;
	struct perf_notes notes;
	struct bpf_loaded loaded;
	struct bpf_events events;
	struct perf_cpus cpus;
	struct perf_decoder sideband;
	struct bpf_publisher publisher;
	struct bpf_decoder decoder;
	struct bpf_waits waits;
	bpf_thread_states states;
	int epoll_fd;
	struct pollfd *polls; /* wake_fd, epoll_fd, then the side-band's leaders */
	bool may_rest;	      /* the last drain had nothing of the target's in the side-band */

	struct bpf_pace pace;
	uint64_t look_ns;	   /* of the last look at waits in progress and at their cost */
	uint64_t spent_ns, cpu_ns; /* by then */
	VEC(struct delta_step) steps;
	size_t steps_told;
	uint64_t stacks_at_clear; /* stacks told when programs last forgot them */

	struct told told;
	bool told_start, is_stopped, told_end;
	uint64_t stop_ns;

	source_sink sink; /* of the drain under way */
	void *context;
};

static struct src_bpf *src_bpf_of(struct source *source)
{
	return (struct src_bpf *)source;
}

static uint64_t read_counter(const __u64 *counter)
{
	return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

static void tell_lost(struct src_bpf *bpf, enum loss_cause cause, uint64_t count)
{
	struct event event = {
		.time_ns = clock_now_ns(),
		.type = EVENT_LOST,
		.pid = (uint32_t)bpf->config.target->pid,
		.tid = (uint32_t)bpf->config.target->pid,
		.lost = {.count = count, .cause = cause},
	};

	if (count)
		bpf->sink(bpf->context, &event);
}

/* ---- opening */

static void src_bpf_close(struct source *source)
{
	struct src_bpf *bpf = src_bpf_of(source);

	if (!bpf)
		return;
	bpf_events_close(&bpf->events);
	perf_cpus_close(&bpf->cpus);
	perf_decoder_done(&bpf->sideband);
	bpf_publisher_done(&bpf->publisher);
	bpf_unload(&bpf->loaded);
	bpf_waits_done(&bpf->waits);
	if (bpf->epoll_fd >= 0)
		close(bpf->epoll_fd);
	vec_done(&bpf->states);
	vec_done(&bpf->steps);
	perf_notes_done(&bpf->notes);
	free(bpf->polls);
	free(bpf);
}

static int check(struct src_bpf *bpf, struct err *err)
{
	int failed = bpf_check(bpf->config.target, err);

	if (failed)
		return failed;
	permit_read(&bpf->permit);
	return bpf_events_check(&bpf->config, &bpf->permit, err);
}

/* Programs wake the reader rarely, and it is then told once: what comes after that and wakes nobody
 * must not keep it awake. */
static int open_polls(struct src_bpf *bpf)
{
	struct epoll_event interest = {.events = EPOLLIN | EPOLLET};

	bpf->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (bpf->epoll_fd < 0 ||
	    epoll_ctl(bpf->epoll_fd, EPOLL_CTL_ADD, bpf->loaded.ring_fd, &interest))
		return -errno;
	bpf->polls = mem_array(2 + bpf->cpus.list.count, sizeof(*bpf->polls));
	bpf->polls[1] = (struct pollfd){.fd = bpf->epoll_fd, .events = POLLIN};
	for (size_t i = 0; i < bpf->cpus.list.count; i++)
		bpf->polls[2 + i] =
			(struct pollfd){.fd = bpf->cpus.list.items[i].leader_fd, .events = POLLIN};
	return 0;
}

static int open_sideband(struct src_bpf *bpf, struct err *err)
{
	uint64_t bytes = (uint64_t)sysconf(_SC_NPROCESSORS_CONF) * SIDEBAND_BYTES_CPU;
	const char *step;
	int failed =
		perf_cpus_open_sideband(&bpf->cpus, bpf->config.target->pid,
					bytes < SIDEBAND_BYTES ? bytes : SIDEBAND_BYTES, &step);

	bpf->sideband.target_pid = (uint32_t)bpf->config.target->pid;
	if (failed)
		return perf_refuse(&bpf->config, &bpf->permit, failed, step, err);
	return 0;
}

static void note_arena(struct src_bpf *bpf)
{
	char got[FMT_MAX], wanted[FMT_MAX];

	if (bpf->loaded.arena_bytes < bpf->loaded.arena_wanted_bytes)
		perf_notes_add(&bpf->notes,
			       arena_printf(&bpf->notes.arena,
					    "Unwind tables in the kernel have room for %s, not %s: "
					    "this kernel gives no more.",
					    fmt_bytes(got, bpf->loaded.arena_bytes),
					    fmt_bytes(wanted, bpf->loaded.arena_wanted_bytes)));
}

static void set_up_waits(struct src_bpf *bpf)
{
	for (size_t i = 0; i < bpf->config.event_count; i++) {
		if (bpf->config.events[i]->unit != EVENT_UNIT_TIME)
			continue;
		bpf_waits_init(&bpf->waits, (uint32_t)bpf->config.target->pid, (uint32_t)i);
		bpf->waits.start_ns = UINT64_MAX;
		bpf->decoder.waits = &bpf->waits;
	}
}

static int open_all(struct src_bpf *bpf, struct err *err)
{
	int failed = check(bpf, err);

	if (failed)
		return failed;
	perf_raise_descriptor_limit();
	failed = bpf_load(&bpf->loaded, &bpf->config, err);
	if (failed)
		return failed;
	note_arena(bpf);
	bpf->publisher.lists = bpf->loaded.code.base;
	bpf->publisher.rules = bpf->loaded.rules.base;
	bpf->publisher.control = bpf->loaded.control;
	bpf_arena_init(&bpf->publisher.arena, bpf->loaded.arena.base,
		       (uint32_t)(bpf->loaded.arena_bytes / sizeof(uint32_t)));
	set_up_waits(bpf);
	bpf->decoder.target_pid = (uint32_t)bpf->config.target->pid;
	bpf->decoder.event_count = (uint32_t)bpf->config.event_count;
	failed = bpf_open_ring(&bpf->loaded, bpf_record_decode, &bpf->decoder);
	if (failed)
		return perf_refuse(&bpf->config, &bpf->permit, failed, "mapping the ring buffer",
				   err);
	failed = open_sideband(bpf, err);
	if (failed)
		return failed;
	failed = open_polls(bpf);
	if (failed)
		return perf_refuse(&bpf->config, &bpf->permit, failed, "epoll_create", err);
	return bpf_events_open(&bpf->events, &bpf->loaded, &bpf->config, &bpf->permit, &bpf->notes,
			       err);
}

static int src_bpf_open(const struct source_config *config, struct source **ret_source,
			struct err *err)
{
	struct src_bpf *bpf = mem_zalloc(sizeof(*bpf));
	int failed;

	bpf->base.ops = &source_bpf;
	bpf->config = *config;
	bpf->epoll_fd = -1;
	failed = open_all(bpf, err);
	if (failed) {
		src_bpf_close(&bpf->base);
		return failed;
	}
	*ret_source = &bpf->base;
	return 0;
}

/* ---- beginning and end */

/* Where the thread has not been seen since the programs are on, it has slept: its stack is still as
 * it was read. */
static void take_sleeper(struct src_bpf *bpf, uint32_t tid, struct bpf_sleeper *sleeper)
{
	struct bpf_thread thread = {.since_ns = bpf->waits.start_ns};
	struct bpf_stacks *stacks = &bpf->waits.stacks;

	if (!bpf_sleeper_read(bpf->config.target, (pid_t)tid, sleeper))
		return;
	thread.kind = sleeper->kind;
	if (sleeper->has_stack) {
		/* In no stack's hash is it likely to come again. */
		thread.stack = hash_two(tid, bpf->waits.start_ns) | 1;
		if (bpf_stacks_put_copy(stacks, thread.stack, &sleeper->registers, sleeper->bytes,
					sleeper->size))
			thread.stack = 0;
	}
	/* Where it is refused the stack means nothing, and is forgotten when the code changes. */
	bpf_add_thread(&bpf->loaded, tid, &thread);
}

static void take_sleepers(struct src_bpf *bpf)
{
	struct bpf_sleeper *sleeper = mem_alloc(sizeof(*sleeper));
	target_threads threads = {0};

	target_list_threads(bpf->config.target, &threads);
	for (size_t i = 0; i < threads.count; i++)
		take_sleeper(bpf, (uint32_t)threads.items[i].tid, sleeper);
	vec_done(&threads);
	free(sleeper);
}

static uint64_t target_cpu_ns(const struct src_bpf *bpf)
{
	uint64_t user_ms, system_ms;

	/* One that has ended uses no more. */
	if (target_cpu_ms(bpf->config.target, &user_ms, &system_ms))
		return bpf->cpu_ns;
	return (user_ms + system_ms) * NS_PER_MS;
}

static int src_bpf_start(struct source *source, struct err *err)
{
	struct src_bpf *bpf = src_bpf_of(source);
	struct bpf_control *control = bpf->loaded.control;
	uint64_t now = clock_now_ns();

	control->start_ns = now;
	bpf->look_ns = now;
	bpf->cpu_ns = target_cpu_ns(bpf);
	__atomic_store_n(&control->is_on, 1, __ATOMIC_SEQ_CST);
	if (bpf->config.start_on_exec)
		return 0;
	bpf_events_set(&bpf->events, PERF_EVENT_IOC_ENABLE);
	if (bpf->decoder.waits) {
		bpf->waits.start_ns = now;
		take_sleepers(bpf);
	}
	return 0;
}

static void src_bpf_stop(struct source *source)
{
	struct src_bpf *bpf = src_bpf_of(source);

	if (bpf->is_stopped)
		return;
	bpf_events_set(&bpf->events, PERF_EVENT_IOC_DISABLE);
	__atomic_store_n(&bpf->loaded.control->is_on, 0, __ATOMIC_SEQ_CST);
	bpf->stop_ns = clock_now_ns();
	/* Programs that have begun before are over when this returns: they run under RCU. Where it
	 * is refused they are over long before somebody drains. */
	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	bpf->is_stopped = true;
}

/* ---- code */

static uint64_t src_bpf_code_epoch(struct source *source)
{
	return read_counter(&src_bpf_of(source)->loaded.control->exec_count);
}

static void src_bpf_set_code(struct source *source, uint64_t epoch, const struct source_code *code,
			     size_t count, const struct unwind_rules *rules)
{
	struct src_bpf *bpf = src_bpf_of(source);

	bpf_publish(&bpf->publisher, epoch, code, count, rules);
	if (!bpf->decoder.waits)
		return;
	bpf_stacks_new_generation(&bpf->waits.stacks);
	if (bpf->decoder.stacks_told - bpf->stacks_at_clear >= STACKS_TOLD_MANY) {
		bpf_clear_stacks(&bpf->loaded);
		bpf->stacks_at_clear = bpf->decoder.stacks_told;
	}
}

/* ---- draining */

static void on_sideband(void *context, const struct event *event)
{
	struct src_bpf *bpf = context;

	bpf->may_rest = false;
	if (event->type == EVENT_EXIT && bpf->events.late_count)
		bpf_remove_late_thread(&bpf->loaded, event->tid);
	if (event->type == EVENT_COMM && event->comm.is_exec) {
		/* One thread is left, and it may bear another's number from now on. */
		if (bpf->events.late_count)
			bpf_clear_late_threads(&bpf->loaded);
		/* The recording begins with the program. */
		if (bpf->waits.start_ns == UINT64_MAX)
			bpf->waits.start_ns = event->time_ns;
	}
	bpf->sink(bpf->context, event);
}

static void drain_sideband(struct src_bpf *bpf)
{
	bpf->may_rest = true;
	bpf->sideband.sink = on_sideband;
	bpf->sideband.context = bpf;
	for (size_t i = 0; i < bpf->cpus.list.count; i++) {
		if (!perf_ring_read(&bpf->cpus.list.items[i].ring, perf_record_decode,
				    &bpf->sideband))
			tell_lost(bpf, LOSS_BAD_RECORD, 1);
	}
}

static void credit_waits(struct src_bpf *bpf)
{
	uint64_t now = bpf->is_stopped ? bpf->stop_ns : clock_now_ns();
	size_t kept = 0;

	vec_clear(&bpf->states);
	bpf_read_threads(&bpf->loaded, &bpf->states);
	/* What changes just now comes with the next look, or has a record by then. */
	for (size_t i = 0; i < bpf->states.count && !bpf->is_stopped; i++) {
		struct bpf_thread_state *state = &bpf->states.items[i];

		if (state->thread.kind && (bpf_waits_knows(&bpf->waits, state) ||
					   bpf_is_thread_still(&bpf->loaded, state)))
			bpf->states.items[kept++] = *state;
	}
	if (!bpf->is_stopped)
		bpf->states.count = kept;
	bpf_waits_progress(&bpf->waits, now, bpf->states.items, bpf->states.count, bpf->is_stopped);
}

static void set_pace(struct src_bpf *bpf, uint64_t now)
{
	uint64_t spent_ns = read_counter(&bpf->loaded.control->switch_spent_ns);
	uint64_t cpu_ns = target_cpu_ns(bpf);
	struct bpf_pace_second second = {
		.spent_ns = spent_ns - bpf->spent_ns,
		.wall_ns = now - bpf->look_ns,
		.cpu_ns = cpu_ns > bpf->cpu_ns ? cpu_ns - bpf->cpu_ns : 0,
	};
	uint32_t before = bpf->pace.mask;

	bpf->spent_ns = spent_ns;
	bpf->cpu_ns = cpu_ns;
	if (!bpf_pace_step(&bpf->pace, &second, bpf->config.overhead_max_pct))
		return;
	__atomic_store_n(&bpf->loaded.control->wait_walk_mask, bpf->pace.mask, __ATOMIC_RELAXED);
	*vec_add(&bpf->steps) = (struct delta_step){
		.time_ns = now,
		.signal = "wait",
		.mode = bpf_pace_mode(bpf->pace.mask),
		.reason = bpf->pace.mask > before
				  ? "Walking the stacks of waits cost more than --max-overhead."
				  : "Walking the stacks of waits costs little again.",
	};
}

/* Each second, and at the end. */
static void look(struct src_bpf *bpf)
{
	uint64_t now = clock_now_ns();
	bool is_end = bpf->is_stopped && !bpf->told_end;

	if (!bpf->decoder.waits || bpf->told_end || (!is_end && now - bpf->look_ns < LOOK_NS))
		return;
	credit_waits(bpf);
	if (!is_end)
		set_pace(bpf, now);
	bpf->look_ns = now;
}

static void tell_more(struct src_bpf *bpf, enum loss_cause cause, uint64_t now, uint64_t *told)
{
	if (now > *told)
		tell_lost(bpf, cause, now - *told);
	*told = now;
}

static void tell_losses(struct src_bpf *bpf)
{
	const struct bpf_control *control = bpf->loaded.control;
	struct told *told = &bpf->told;

	if (!bpf->told_start)
		tell_lost(bpf, LOSS_THREADS_NOT_OPENED, bpf->events.threads_not_opened);
	bpf->told_start = true;
	tell_more(bpf, LOSS_RING_FULL, read_counter(&control->ring_full), &told->ring_full);
	tell_more(bpf, LOSS_WAITS_RING_FULL, read_counter(&control->wait_ring_full),
		  &told->waits_ring_full);
	tell_more(bpf, LOSS_WAIT_THREADS, read_counter(&control->threads_full),
		  &told->wait_threads);
	tell_more(bpf, LOSS_WAITS_UNWALKED,
		  read_counter(&control->waits_unwalked) +
			  read_counter(&control->wait_stacks_lost) + bpf->waits.stackless,
		  &told->waits_unwalked);
	tell_more(bpf, LOSS_TABLES_FULL, bpf->publisher.tables_full, &told->tables_full);
	tell_more(bpf, LOSS_CODE_FULL, bpf->publisher.code_full, &told->code_full);
	tell_more(bpf, LOSS_BAD_RECORD, bpf->decoder.bad_count, &told->bad_records);
}

/* What the kernel counted, against what programs were called for. Where other processes than the
 * target inherit events, or threads have them twice, the kernel counts what is not ours. */
static void tell_unsampled(struct src_bpf *bpf)
{
	if (!bpf->events.plan.threads_only || bpf->events.late_count)
		return;
	for (uint32_t i = 0; i < bpf->config.event_count; i++) {
		uint64_t sampled = read_counter(&bpf->loaded.control->sampled[i]), counted;

		if (bpf->config.events[i]->unit != EVENT_UNIT_OCCURRENCES)
			continue;
		counted = bpf_events_count(&bpf->events, i);
		if (counted > sampled)
			tell_lost(bpf, LOSS_EVENTS_UNSAMPLED, counted - sampled);
	}
}

static int src_bpf_drain(struct source *source, source_sink sink, void *context)
{
	struct src_bpf *bpf = src_bpf_of(source);

	bpf->sink = bpf->decoder.sink = sink;
	bpf->context = bpf->decoder.context = context;
	drain_sideband(bpf);
	bpf_read_ring(&bpf->loaded);
	look(bpf);
	if (bpf->decoder.waits)
		bpf_waits_flush(&bpf->waits, sink, context);
	tell_losses(bpf);
	if (bpf->is_stopped && !bpf->told_end) {
		tell_unsampled(bpf);
		bpf->told_end = true;
	}
	return 0;
}

static void src_bpf_wait(struct source *source, int wake_fd, int timeout_ms)
{
	struct src_bpf *bpf = src_bpf_of(source);
	int rest_ms = timeout_ms < SIDEBAND_REST_MS ? timeout_ms : SIDEBAND_REST_MS;
	struct epoll_event woken;
	int ready = 0;

	/* A negative descriptor is passed over by poll. */
	bpf->polls[0] = (struct pollfd){.fd = wake_fd, .events = POLLIN};
	if (bpf->may_rest && timeout_ms > 0) {
		ready = poll(bpf->polls, 2, rest_ms);
		timeout_ms -= rest_ms;
	}
	if (ready == 0)
		ready = poll(bpf->polls, 2 + bpf->cpus.list.count, timeout_ms);
	if (ready > 0 && bpf->polls[1].revents & POLLIN)
		epoll_wait(bpf->epoll_fd, &woken, 1, 0);
}

/* ---- the rest */

static bool src_bpf_next_step(struct source *source, struct delta_step *ret_step)
{
	struct src_bpf *bpf = src_bpf_of(source);

	if (bpf->steps_told == bpf->steps.count)
		return false;
	*ret_step = bpf->steps.items[bpf->steps_told++];
	return true;
}

static void src_bpf_describe(const struct source *source, struct arena *arena,
			     struct source_facts *ret_facts)
{
	const struct src_bpf *bpf = (const struct src_bpf *)source;

	*ret_facts = (struct source_facts){
		.name = "bpf",
		.stacks = "unwind tables",
		.buffer_bytes = bpf->loaded.ring_bytes,
		.threads_opened = bpf->events.threads_opened,
	};
	perf_notes_copy(&bpf->notes, arena, ret_facts);
}

const struct source_ops source_bpf = {
	.name = "bpf",
	.open = src_bpf_open,
	.start = src_bpf_start,
	.drain = src_bpf_drain,
	.wait = src_bpf_wait,
	.code_epoch = src_bpf_code_epoch,
	.set_code = src_bpf_set_code,
	.next_step = src_bpf_next_step,
	.stop = src_bpf_stop,
	.describe = src_bpf_describe,
	.close = src_bpf_close,
};
