/* What the bpf source looks at from time to time beside the ring: threads asleep at the beginning,
 * waits in progress, what walking stacks costs, and what was lost. */
#include "reader/source/bpf_sleepers.h"
#include "reader/source/bpf_source.h"
#include "reader/util/clock.h"

#define LOOK_NS NS_PER_S

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

void bpf_take_sleepers(struct src_bpf *bpf)
{
	struct bpf_sleeper *sleeper = mem_alloc(sizeof(*sleeper));
	target_threads threads = {0};

	target_list_threads(bpf->config.target, &threads);
	for (size_t i = 0; i < threads.count; i++)
		take_sleeper(bpf, (uint32_t)threads.items[i].tid, sleeper);
	vec_done(&threads);
	free(sleeper);
}

uint64_t bpf_target_cpu_ns(const struct src_bpf *bpf)
{
	uint64_t user_ms, system_ms;

	/* One that has ended uses no more. */
	if (target_cpu_ms(bpf->config.target, &user_ms, &system_ms))
		return bpf->cpu_ns;
	return (user_ms + system_ms) * NS_PER_MS;
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
	uint64_t spent_ns = bpf_read_counter(&bpf->loaded.control->switch_spent_ns);
	uint64_t cpu_ns = bpf_target_cpu_ns(bpf);
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

void bpf_look(struct src_bpf *bpf)
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

void bpf_tell_lost(struct src_bpf *bpf, enum loss_cause cause, uint64_t count)
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

static void tell_more(struct src_bpf *bpf, enum loss_cause cause, uint64_t now, uint64_t *told)
{
	if (now > *told)
		bpf_tell_lost(bpf, cause, now - *told);
	*told = now;
}

void bpf_tell_losses(struct src_bpf *bpf)
{
	const struct bpf_control *control = bpf->loaded.control;
	struct told *told = &bpf->told;

	if (!bpf->told_start)
		bpf_tell_lost(bpf, LOSS_THREADS_NOT_OPENED, bpf->events.threads_not_opened);
	bpf->told_start = true;
	tell_more(bpf, LOSS_RING_FULL, bpf_read_counter(&control->ring_full), &told->ring_full);
	tell_more(bpf, LOSS_WAITS_RING_FULL, bpf_read_counter(&control->wait_ring_full),
		  &told->waits_ring_full);
	tell_more(bpf, LOSS_WAIT_THREADS, bpf_read_counter(&control->threads_full),
		  &told->wait_threads);
	tell_more(bpf, LOSS_WAITS_UNWALKED,
		  bpf_read_counter(&control->waits_unwalked) +
			  bpf_read_counter(&control->wait_stacks_lost) + bpf->waits.stackless,
		  &told->waits_unwalked);
	tell_more(bpf, LOSS_SWITCHES_MISSED, bpf_read_counter(&control->switches_missed),
		  &told->switches_missed);
	tell_more(bpf, LOSS_HEAP_BLOCKS_FULL, bpf_read_counter(&control->heap_blocks_full),
		  &told->heap_blocks_full);
	tell_more(bpf, LOSS_HEAP_STACKS_FULL, bpf_read_counter(&control->heap_sites_full),
		  &told->heap_stacks_full);
	tell_more(bpf, LOSS_HEAP_STACKS_LOST, bpf_read_counter(&control->heap_stacks_lost),
		  &told->heap_stacks_lost);
	tell_more(bpf, LOSS_HEAP_CALLS_MISSED, bpf_read_counter(&control->heap_calls_missed),
		  &told->heap_calls_missed);
	tell_more(bpf, LOSS_TABLES_FULL, bpf->publisher.tables_full, &told->tables_full);
	tell_more(bpf, LOSS_CODE_FULL, bpf->publisher.code_full, &told->code_full);
	tell_more(bpf, LOSS_BAD_RECORD, bpf->decoder.bad_count, &told->bad_records);
}

/* What the kernel counted, against what programs were called for. Where other processes than the
 * target inherit events, or threads have them twice, the kernel counts what is not ours. */
void bpf_tell_unsampled(struct src_bpf *bpf)
{
	if (!bpf->events.plan.threads_only || bpf->events.late_count)
		return;
	for (uint32_t i = 0; i < bpf->config.event_count; i++) {
		uint64_t sampled = bpf_read_counter(&bpf->loaded.control->sampled[i]), counted;

		if (bpf->config.events[i]->unit != EVENT_UNIT_OCCURRENCES)
			continue;
		counted = bpf_events_count(&bpf->events, i);
		if (counted > sampled)
			bpf_tell_lost(bpf, LOSS_EVENTS_UNSAMPLED, counted - sampled);
	}
}
