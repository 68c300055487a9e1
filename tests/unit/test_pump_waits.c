/* Waits, steps and shipped stacks on their way through the pump, and what waits do to the share of
 * complete stacks: nothing. */
#include "reader/record/pump.h"
#include "reader/record/symbol_worker.h"
#include "reader/util/clock.h"
#include "reader/util/vec.h"
#include "tests/lib/fake_source.h"
#include "tests/lib/kit.h"
#include "tests/unit/child.h"
#include "tests/unit/stack_copy.h"

#define MS NS_PER_MS

enum { CPU = 0, WAITS = 1 };

static VEC(struct delta *) deltas;

static void keep(void *context, struct delta *delta)
{
	*vec_add(&deltas) = delta;
}

static struct event map_event(uint64_t time_ns)
{
	struct event event = {.time_ns = time_ns, .type = EVENT_MMAP, .pid = 9, .tid = 9};

	event.mmap.start = event.mmap.length = 0x1000;
	event.mmap.path = "/bin/a";
	event.mmap.inode = 5;
	event.mmap.is_executable = true;
	return event;
}

static const uint64_t pcs[] = {0x1010, 0x1020};

static struct event sample_event(uint64_t time_ns)
{
	struct event event = {.time_ns = time_ns, .type = EVENT_SAMPLE, .pid = 9, .tid = 9};

	event.sample.pcs = pcs;
	event.sample.pc_count = 2;
	event.sample.value = 1;
	return event;
}

static struct event wait_event(uint64_t time_ns, enum wait_kind kind, uint64_t waits,
			       uint64_t wait_ns, uint64_t run_ns)
{
	struct event event = sample_event(time_ns);

	event.sample.event_index = WAITS;
	event.sample.wait_kind = kind;
	event.sample.waits = waits;
	event.sample.value = wait_ns;
	event.sample.run_ns = run_ns;
	return event;
}

static uint64_t pump_all(struct fake_source *fake)
{
	struct pump_config config = {.source = &fake->source,
				     .wait_events = 1u << WAITS,
				     .frames_max = 127,
				     .interval_ns = 100 * MS,
				     .deliver = keep};
	struct pump *pump = pump_new(&config);
	uint64_t samples;

	while (pump_round(pump, -1))
		continue;
	pump_finish(pump);
	samples = pump_samples(pump);
	pump_free(pump);
	return samples;
}

static const struct delta_row *find_row(const struct delta *delta, uint32_t event_index,
					enum wait_kind kind)
{
	for (size_t i = 0; i < delta->row_count; i++) {
		if (delta->rows[i].event_index == event_index && delta->rows[i].kind == kind)
			return &delta->rows[i];
	}
	FAIL("no row of event %u, kind %d", event_index, kind);
}

TEST(waits_are_summed_by_kind_and_are_no_samples)
{
	const struct event events[] = {
		map_event(1000 * MS),
		sample_event(1001 * MS),
		wait_event(1002 * MS, WAIT_LOCK, 1, 5000, 700),
		wait_event(1003 * MS, WAIT_LOCK, 3, 9000, 50),
		wait_event(1004 * MS, WAIT_SLEEP, 1, 100, 1),
		sample_event(1005 * MS),
		/* The thread ended: it ran, and did not wait. */
		wait_event(1006 * MS, WAIT_NONE, 0, 0, 4444),
	};
	const struct delta_row *row;
	struct fake_source fake;

	fake_source_init(&fake, events, 7, 100);
	CHECK_EQ_U64(pump_all(&fake), 2);
	CHECK_EQ_U64(deltas.items[0]->row_count, 4);
	row = find_row(deltas.items[0], CPU, WAIT_NONE);
	CHECK_EQ_U64(row->count, 2);
	CHECK_EQ_U64(row->run_ns, 0);
	row = find_row(deltas.items[0], WAITS, WAIT_LOCK);
	CHECK_EQ_U64(row->count, 4);
	CHECK_EQ_U64(row->value, 14000);
	CHECK_EQ_U64(row->run_ns, 750);
	row = find_row(deltas.items[0], WAITS, WAIT_SLEEP);
	CHECK_EQ_U64(row->count, 1);
	CHECK_EQ_U64(row->value, 100);
	row = find_row(deltas.items[0], WAITS, WAIT_NONE);
	CHECK_EQ_U64(row->count, 0);
	CHECK_EQ_U64(row->value, 0);
	CHECK_EQ_U64(row->run_ns, 4444);
	/* One stack for all of them. */
	CHECK_EQ_U64(deltas.items[0]->stack_count, 1);
}

TEST(steps_come_with_the_next_delta_in_the_recordings_time)
{
	const struct delta_step steps[] = {
		{900 * MS, "wait", "full", "before the start"},
		{1150 * MS, "wait", "reduced", "it cost too much"},
	};
	const struct event events[] = {map_event(1000 * MS), sample_event(1010 * MS),
				       sample_event(1110 * MS)};
	struct fake_source fake;

	fake_source_init(&fake, events, 3, 100);
	fake.steps = steps;
	fake.step_count = 2;
	pump_all(&fake);
	CHECK_EQ_U64(deltas.count, 2);
	CHECK_EQ_U64(deltas.items[0]->step_count, 2);
	CHECK_EQ_U64(deltas.items[0]->steps[0].time_ns, 0);
	CHECK_EQ_U64(deltas.items[0]->steps[1].time_ns, 150 * MS);
	CHECK_EQ_STR(deltas.items[0]->steps[1].mode, "reduced");
	CHECK_EQ_U64(deltas.items[1]->step_count, 0);
}

/* It waits for a word from rsprof, which is no wait of the command's. */
TEST(what_a_child_waits_before_it_execs_is_not_the_targets)
{
	struct event events[] = {wait_event(0, WAIT_IO, 1, 1000, 10),
				 {.type = EVENT_COMM},
				 wait_event(0, WAIT_SLEEP, 1, 300, 1)};
	struct child child = child_start(child_idle, NULL);
	struct err err = {0};
	struct target *target;
	struct fake_source fake;
	struct pump_config config = {.source = &fake.source,
				     .maps_come_by_exec = true,
				     .wait_events = 1u << WAITS,
				     .frames_max = 127,
				     .interval_ns = 3600 * NS_PER_S,
				     .deliver = keep};
	struct pump *pump;

	CHECK(target_open_pid(child.pid, &target, &err) == 0);
	config.target = target;
	fake_walker_init(&fake, events, 3, 3);
	pump = pump_new(&config);
	pump_prepare(pump);
	pump_begin(pump, clock_now_ns());
	for (int i = 0; i < 3; i++) {
		events[i].time_ns = clock_now_ns();
		events[i].pid = events[i].tid = (uint32_t)child.pid;
	}
	events[1].comm.comm = "command";
	events[1].comm.is_exec = true;
	pump_round(pump, -1);
	pump_finish(pump);
	CHECK_EQ_U64(deltas.items[0]->row_count, 1);
	CHECK_EQ_U64(find_row(deltas.items[0], WAITS, WAIT_SLEEP)->value, 300);
	pump_free(pump);
	target_free(target);
	child_end(&child);
}

/* ---- copies of stacks */

/* What becomes of a wait whose stack is shipped with so many bytes of a copy, in a live target: a
 * fork, with the same files at the same places. */
static enum stack_status walk_copy(uint32_t bytes, uint32_t *ret_frames)
{
	struct child child = child_start(child_idle, NULL);
	struct err err = {0};
	struct target *target;
	struct fake_source fake;
	struct event event = wait_event(clock_now_ns(), WAIT_POLL, 2, 77, 7);
	struct pump_config config = {.source = &fake.source,
				     .wait_events = 1u << WAITS,
				     .frames_max = 511,
				     .copy_bytes = STACK_BYTES,
				     .interval_ns = 3600 * NS_PER_S,
				     .deliver = keep};
	const struct delta_row *row;
	struct pump *pump;
	enum stack_status status;

	CHECK(target_open_pid(child.pid, &target, &err) == 0);
	config.target = target;
	event.pid = event.tid = (uint32_t)child.pid;
	event.sample.pcs = &copy.registers.rip;
	event.sample.pc_count = 1;
	event.sample.registers = &copy.registers;
	event.sample.stack = copy.stack;
	event.sample.stack_bytes = bytes;
	fake_walker_init(&fake, &event, 1, 1);
	pump = pump_new(&config);
	pump_prepare(pump);
	pump_begin(pump, clock_now_ns());
	pump_round(pump, -1);
	pump_finish(pump);
	CHECK_EQ_U64(deltas.count, 1);
	CHECK_EQ_U64(deltas.items[0]->row_count, 1);
	row = find_row(deltas.items[0], WAITS, WAIT_POLL);
	CHECK_EQ_U64(row->count, 2);
	CHECK_EQ_U64(row->value, 77);
	CHECK_EQ_U64(pump_samples(pump), 0);
	CHECK_EQ_U64(deltas.items[0]->stack_count, 1);
	status = deltas.items[0]->stacks[0].status;
	*ret_frames = (uint32_t)deltas.items[0]->node_count;
	pump_free(pump);
	target_free(target);
	child_end(&child);
	return status;
}

TEST(a_wait_with_a_full_copy_keeps_its_innermost_frames)
{
	uint32_t frames;

	deep(200);
	CHECK_EQ_U64(walk_copy(STACK_BYTES, &frames), STACK_TRUNCATED);
	CHECK_BETWEEN(frames, 10, 200);
}

TEST(a_copy_that_is_not_full_and_ends_too_early_could_not_be_read)
{
	uint32_t frames;

	deep(200);
	CHECK_EQ_U64(walk_copy(STACK_BYTES / 2, &frames), STACK_READ_ERROR);
	CHECK_BETWEEN(frames, 5, 100);
}

/* ---- the share of complete stacks */

static void forget(void *context, struct resolved_batch *batch)
{
	resolved_batch_free(batch);
}

TEST(waits_do_not_change_the_share_of_complete_samples)
{
	const struct stack_leaf stacks[] = {{.status = STACK_COMPLETE}, {.status = STACK_EMPTY}};
	const struct delta_row rows[] = {
		{.stack = {1}, .event_index = CPU, .count = 30},
		{.stack = {2}, .event_index = CPU, .count = 10},
		{.stack = {1}, .event_index = WAITS, .kind = WAIT_LOCK, .count = 5000, .value = 1},
		{.stack = {2}, .event_index = WAITS, .kind = WAIT_IO, .count = 1000, .value = 1},
		{.stack = {2}, .event_index = WAITS, .count = 0, .run_ns = 5},
	};
	struct symbol_worker *worker = symbol_worker_start(1u << WAITS, forget, NULL);
	struct delta *delta = delta_new();
	struct stack_share share;

	delta->first_frame = delta->first_node = delta->first_stack = 1;
	delta->stacks = stacks;
	delta->stack_count = 2;
	delta->rows = rows;
	delta->row_count = 5;
	symbol_worker_add(worker, delta);
	symbol_worker_finish(worker, &share);
	CHECK_EQ_U64(share.samples, 40);
	CHECK_EQ_U64(share.complete, 30);
	CHECK_EQ_U64(share.waits, 6000);
	CHECK_EQ_U64(share.complete_waits, 5000);
}

KIT_MAIN
