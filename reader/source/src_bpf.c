/* The bpf source: programs in the kernel sample and walk stacks by unwind tables, and see threads
 * stop and go on. What the target maps, starts and ends comes through perf's records. Here the
 * parts are joined to the ops of a source:
 *
 *     bpf_open.c               opening all of this
 *     bpf_load.c, bpf_maps.c   the programs, and the memory shared with them (bpf/shared.h)
 *     bpf_events.c             the perf events that make them run
 *     bpf_code.c, bpf_arena.c  the code of the target and its unwind tables
 *     bpf_records.c            their records become events
 *     bpf_waits.c              waits, ended and in progress
 *     bpf_sleepers.c           threads asleep when the recording begins
 *     bpf_look.c               what is looked at from time to time
 *     bpf_pace.c               what walking the stacks of waits may cost
 *     bpf_heap.c               the heap: probes on the target's allocators, and their counters */
#include <linux/membarrier.h>
#include <linux/perf_event.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "reader/source/bpf_source.h"
#include "reader/util/clock.h"

enum {
	/* New stacks that programs have told before it is worth while to empty their memory of
	 * them, once the code has changed and they hash differently. */
	STACKS_TOLD_MANY = BPF_STACKS_MAX / 4,
	/* Other processes' records wake the reader as the target's do. Where the last ones were
	 * theirs, it sleeps on for so long: where a build runs beside it, it wakes 200 times a
	 * second at most, and a new library of the target is known that much later at worst. */
	SIDEBAND_REST_MS = 5,
};

static struct src_bpf *src_bpf_of(struct source *source)
{
	return (struct src_bpf *)source;
}

/* ---- opening */

static void src_bpf_close(struct source *source)
{
	struct src_bpf *bpf = src_bpf_of(source);

	if (!bpf)
		return;
	bpf_heap_close(bpf->heap);
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

static int src_bpf_open(const struct source_config *config, struct source **ret_source,
			struct err *err)
{
	struct src_bpf *bpf = mem_zalloc(sizeof(*bpf));
	int failed;

	bpf->base.ops = &source_bpf;
	bpf->config = *config;
	bpf->epoll_fd = -1;
	failed = bpf_source_open(bpf, err);
	if (failed) {
		src_bpf_close(&bpf->base);
		return failed;
	}
	*ret_source = &bpf->base;
	return 0;
}

/* ---- beginning and end */

static int src_bpf_start(struct source *source, struct err *err)
{
	struct src_bpf *bpf = src_bpf_of(source);
	struct bpf_control *control = bpf->loaded.control;
	uint64_t now = clock_now_ns();

	control->start_ns = now;
	bpf->look_ns = now;
	bpf->cpu_ns = bpf_target_cpu_ns(bpf);
	__atomic_store_n(&control->is_on, 1, __ATOMIC_SEQ_CST);
	bpf_heap_start(bpf->heap, now);
	if (bpf->config.start_on_exec)
		return 0;
	bpf_events_set(&bpf->events, PERF_EVENT_IOC_ENABLE);
	if (bpf->decoder.waits) {
		bpf->waits.start_ns = now;
		bpf_take_sleepers(bpf);
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
	bpf_heap_stop(bpf->heap);
	bpf->is_stopped = true;
}

/* ---- code */

static uint64_t src_bpf_code_epoch(struct source *source)
{
	return bpf_read_counter(&src_bpf_of(source)->loaded.control->exec_count);
}

static void src_bpf_set_code(struct source *source, uint64_t epoch, const struct source_code *code,
			     size_t count, const struct unwind_rules *rules)
{
	struct src_bpf *bpf = src_bpf_of(source);

	bpf_publish(&bpf->publisher, epoch, code, count, rules);
	bpf_heap_update(bpf->heap);
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
	if (event->type == EVENT_EXIT) {
		if (bpf->events.late_count)
			bpf_remove_late_thread(&bpf->loaded, event->tid);
		bpf_heap_on_thread_exit(bpf->heap, event->tid);
	}
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
			bpf_tell_lost(bpf, LOSS_BAD_RECORD, 1);
	}
}

static int src_bpf_drain(struct source *source, source_sink sink, void *context)
{
	struct src_bpf *bpf = src_bpf_of(source);

	bpf->sink = bpf->decoder.sink = sink;
	bpf->context = bpf->decoder.context = context;
	drain_sideband(bpf);
	bpf_read_ring(&bpf->loaded);
	bpf_look(bpf);
	bpf_heap_look(bpf->heap, bpf->is_stopped && !bpf->told_end, sink, context);
	if (bpf->decoder.waits)
		bpf_waits_flush(&bpf->waits, sink, context);
	bpf_tell_losses(bpf);
	if (bpf->is_stopped && !bpf->told_end) {
		bpf_tell_unsampled(bpf);
		bpf->told_end = true;
	}
	return 0;
}

static void src_bpf_wait(struct source *source, int wake_fd, int timeout_ms)
{
	struct src_bpf *bpf = src_bpf_of(source);
	struct epoll_event woken;
	int ready = 0, rest_ms;

	timeout_ms = bpf_heap_wait_ms(bpf->heap, timeout_ms);
	rest_ms = timeout_ms < SIDEBAND_REST_MS ? timeout_ms : SIDEBAND_REST_MS;
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
		return bpf_heap_next_step(bpf->heap, ret_step);
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
		.copy_bytes = bpf->loaded.copy_bytes,
		.heap = bpf_heap_mode(bpf->heap),
		.heap_reason = bpf->heap_reason ? arena_strdup(arena, bpf->heap_reason) : NULL,
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
