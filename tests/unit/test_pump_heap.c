/* The heap on its way through the pump: stacks by their numbers, counts by stack and checkpoint,
 * what is live by all of them; and what allocations do to the share of complete stacks: nothing. */
#include "reader/record/pump.h"
#include "reader/record/pump_heap.h"
#include "reader/record/symbol_worker.h"
#include "reader/source/event_text.h"
#include "reader/util/clock.h"
#include "reader/util/vec.h"
#include "tests/lib/fake_source.h"
#include "tests/lib/kit.h"
#include "tests/unit/child.h"
#include "tests/unit/event_file.h"
#include "tests/unit/stack_copy.h"

#define MS NS_PER_MS

static VEC(struct delta *) deltas;

static void keep(void *context, struct delta *delta)
{
	*vec_add(&deltas) = delta;
}

static const uint64_t pcs_a[] = {0x1010, 0x1021}, pcs_b[] = {0x1030, 0x1021};

static struct event map_event(uint64_t time_ns)
{
	struct event event = {.time_ns = time_ns, .type = EVENT_MMAP, .pid = 9, .tid = 9};

	event.mmap.start = event.mmap.length = 0x1000;
	event.mmap.path = "/bin/a";
	event.mmap.inode = 5;
	event.mmap.is_executable = true;
	return event;
}

static struct event stack_event(uint64_t time_ns, uint64_t site, const uint64_t *pcs)
{
	struct event event = {.time_ns = time_ns, .type = EVENT_HEAP_STACK, .pid = 9, .tid = 9};

	event.heap_stack.site = site;
	event.heap_stack.pcs = pcs;
	event.heap_stack.pc_count = 2;
	return event;
}

static struct event counts_event(uint64_t time_ns, uint64_t site, uint64_t allocs, uint64_t bytes,
				 uint64_t frees, uint64_t freed)
{
	struct event event = {.time_ns = time_ns, .type = EVENT_HEAP_COUNTS, .pid = 9};

	event.heap_counts.site = site;
	event.heap_counts.counts = (struct heap_counts){
		.allocs = allocs, .alloc_bytes = bytes, .frees = frees, .free_bytes = freed};
	return event;
}

static struct event state_event(uint64_t time_ns, uint64_t hits)
{
	struct event event = {.time_ns = time_ns, .type = EVENT_HEAP_STATE, .pid = 9};

	event.heap_state = (struct heap_state){
		.is_counted = true, .hits = hits, .cost_ns = hits * 1900, .unknown_frees = 3};
	return event;
}

static struct losses pump_all(struct fake_source *fake)
{
	struct pump_config config = {.source = &fake->source,
				     .frames_max = 127,
				     .interval_ns = 100 * MS,
				     .deliver = keep};
	struct pump *pump = pump_new(&config);
	struct losses losses;

	while (pump_round(pump, -1))
		continue;
	pump_finish(pump);
	losses = *pump_losses(pump);
	CHECK_EQ_U64(pump_samples(pump), 0);
	pump_free(pump);
	return losses;
}

static struct losses pump_events(const struct event *events, size_t count)
{
	struct fake_source fake;

	fake_source_init(&fake, events, count, 100);
	return pump_all(&fake);
}

TEST(counts_are_summed_by_stack_and_checkpoint)
{
	const struct event events[] = {
		map_event(1000 * MS),
		stack_event(1001 * MS, 0xaaaa, pcs_a),
		stack_event(1002 * MS, 0xbbbb, pcs_b),
		counts_event(1010 * MS, 0xaaaa, 3, 300, 1, 100),
		counts_event(1010 * MS, 0xbbbb, 1, 1000, 0, 0),
		state_event(1010 * MS, 7),
		counts_event(1020 * MS, 0xaaaa, 1, 50, 0, 0),
		/* The next checkpoint frees what the first one allocated. */
		counts_event(1110 * MS, 0xaaaa, 0, 0, 3, 250),
		state_event(1110 * MS, 10),
	};
	struct losses losses = pump_events(events, 9);
	const struct delta *first, *second;

	CHECK_EQ_U64(losses_total(&losses), 0);
	CHECK_EQ_U64(deltas.count, 2);
	first = deltas.items[0];
	second = deltas.items[1];
	CHECK_EQ_U64(first->heap_row_count, 2);
	CHECK_EQ_U64(first->heap_rows[0].stack.v, 1);
	CHECK_EQ_U64(first->heap_rows[0].counts.allocs, 4);
	CHECK_EQ_U64(first->heap_rows[0].counts.alloc_bytes, 350);
	CHECK_EQ_U64(first->heap_rows[0].counts.frees, 1);
	CHECK_EQ_U64(first->heap_rows[1].stack.v, 2);
	CHECK_EQ_U64(first->heap_rows[1].counts.alloc_bytes, 1000);
	CHECK(first->heap.is_counted);
	CHECK_EQ_U64(first->heap.live_bytes, 1250);
	CHECK_EQ_U64(first->heap.live_blocks, 4);
	CHECK_EQ_U64(first->heap.hits, 7);
	CHECK_EQ_U64(second->heap_row_count, 1);
	CHECK_EQ_U64(second->heap_rows[0].stack.v, 1);
	CHECK_EQ_U64(second->heap_rows[0].counts.allocs, 0);
	CHECK_EQ_U64(second->heap_rows[0].counts.free_bytes, 250);
	CHECK_EQ_U64(second->heap.live_bytes, 1000);
	CHECK_EQ_U64(second->heap.live_blocks, 1);
	CHECK_EQ_U64(second->heap.hits, 10);
	CHECK_EQ_U64(second->heap.cost_ns, 19000);
	CHECK_EQ_U64(second->heap.unknown_frees, 3);
	/* The leaf as it is, the caller one byte back; told once. */
	CHECK_EQ_U64(first->stack_count, 2);
	CHECK_EQ_U64(first->frame_count, 3);
	CHECK_EQ_U64(first->frames[0].place.vaddr, 0x20);
	CHECK_EQ_U64(first->frames[1].place.vaddr, 0x10);
	CHECK_EQ_U64(first->frames[2].place.vaddr, 0x30);
	CHECK_EQ_U64(second->stack_count, 0);
	CHECK_EQ_U64(first->row_count, 0);
}

TEST(a_checkpoint_without_a_look_tells_no_heap)
{
	const struct event events[] = {
		map_event(1000 * MS),	   counts_event(1010 * MS, 1, 5, 50, 0, 0),
		state_event(1010 * MS, 7), map_event(1110 * MS),
		state_event(1210 * MS, 9),
	};

	pump_events(events, 5);
	CHECK_EQ_U64(deltas.count, 3);
	CHECK(deltas.items[0]->heap.is_counted);
	CHECK(!deltas.items[1]->heap.is_counted);
	CHECK(deltas.items[2]->heap.is_counted);
	CHECK_EQ_U64(deltas.items[2]->heap.live_bytes, 50);
}

TEST(two_sites_may_be_one_stack_and_one_site_two)
{
	const struct event events[] = {
		map_event(1000 * MS),
		stack_event(1001 * MS, 1, pcs_a),
		stack_event(1001 * MS, 2, pcs_a),
		counts_event(1010 * MS, 1, 1, 10, 0, 0),
		counts_event(1010 * MS, 2, 1, 100, 0, 0),
		stack_event(1011 * MS, 1, pcs_b),
		counts_event(1012 * MS, 1, 1, 1000, 0, 0),
	};

	pump_events(events, 7);
	CHECK_EQ_U64(deltas.items[0]->stack_count, 2);
	CHECK_EQ_U64(deltas.items[0]->heap_row_count, 2);
	CHECK_EQ_U64(deltas.items[0]->heap_rows[0].counts.alloc_bytes, 110);
	CHECK_EQ_U64(deltas.items[0]->heap_rows[1].counts.alloc_bytes, 1000);
	CHECK_EQ_U64(deltas.items[0]->heap.live_bytes, 1110);
}

TEST(what_is_untracked_is_not_live)
{
	struct event events[] = {counts_event(1000 * MS, 1, 10, 1000, 2, 200)};

	events[0].heap_counts.counts.untracked = 3;
	events[0].heap_counts.counts.untracked_bytes = 300;
	pump_events(events, 1);
	CHECK_EQ_U64(deltas.items[0]->heap.live_bytes, 500);
	CHECK_EQ_U64(deltas.items[0]->heap.live_blocks, 5);
	CHECK_EQ_U64(deltas.items[0]->heap_rows[0].counts.untracked, 3);
}

TEST(a_site_that_was_not_told_has_no_stack)
{
	const struct event events[] = {
		map_event(1000 * MS),
		counts_event(1010 * MS, 1, 5, 50, 0, 0),
		counts_event(1010 * MS, 2, 6, 60, 0, 0),
	};
	struct losses losses = pump_events(events, 3);
	const struct delta *delta = deltas.items[0];

	CHECK_EQ_U64(losses_total(&losses), 0);
	CHECK_EQ_U64(delta->stack_count, 1);
	CHECK_EQ_U64(delta->stacks[0].status, STACK_NOT_WALKED);
	CHECK_EQ_U64(delta->stacks[0].node.v, 0);
	CHECK_EQ_U64(delta->heap_row_count, 1);
	CHECK_EQ_U64(delta->heap_rows[0].counts.allocs, 11);
}

TEST(a_stack_without_room_is_counted_without_it)
{
	struct stack_table *stacks = stack_table_new();
	struct pump_heap heap = {0};
	struct losses losses = {0};
	struct event events[] = {counts_event(1, 7, 40, 400, 0, 0),
				 counts_event(2, 7, 0, 0, 40, 1)};

	pump_heap_on_stack(&heap, 7, (stack_id){0});
	pump_heap_on_counts(&heap, &events[0], stacks, &losses);
	pump_heap_on_counts(&heap, &events[1], stacks, &losses);
	CHECK_EQ_U64(losses.count[LOSS_STACKS_FULL], 40);
	CHECK_EQ_U64(heap.rows.rows.count, 1);
	CHECK_EQ_U64(heap.rows.rows.items[0].counts.alloc_bytes, 400);
	CHECK_EQ_U64(stack_table_stack(stacks, heap.rows.rows.items[0].stack)->status,
		     STACK_NOT_WALKED);
	pump_heap_done(&heap);
	stack_table_free(stacks);
}

TEST(without_heap_events_nothing_is_counted)
{
	const struct event events[] = {map_event(1000 * MS)};

	pump_events(events, 1);
	CHECK(!deltas.items[0]->heap.is_counted);
	CHECK_EQ_U64(deltas.items[0]->heap_row_count, 0);
	CHECK_EQ_U64(deltas.items[0]->stack_count, 0);
}

/* A source makes its reasons up as it goes. */
TEST(strings_of_steps_are_the_deltas_own)
{
	char reason[] = "Counting each block cost 23 %.";
	const struct delta_step steps[] = {{1010 * MS, "heap", "sampled", reason}};
	const struct event events[] = {map_event(1000 * MS)};
	struct fake_source fake;

	fake_source_init(&fake, events, 1, 100);
	fake.steps = steps;
	fake.step_count = 1;
	pump_all(&fake);
	reason[0] = 'X';
	CHECK_EQ_U64(deltas.items[0]->step_count, 1);
	CHECK_EQ_U64(deltas.items[0]->steps[0].time_ns, 10 * MS);
	CHECK_EQ_STR(deltas.items[0]->steps[0].mode, "sampled");
	CHECK_EQ_STR(deltas.items[0]->steps[0].reason, "Counting each block cost 23 %.");
}

/* ---- of a live target */

struct live {
	struct child child;
	struct target *target;
	struct fake_source fake;
	struct pump *pump;
};

static void live_begin(struct live *live, const struct event *events, size_t count, bool by_exec,
		       FILE *save)
{
	struct err err = {0};
	struct pump_config config = {.source = &live->fake.source,
				     .maps_come_by_exec = by_exec,
				     .frames_max = 511,
				     .copy_bytes = STACK_BYTES,
				     .interval_ns = 3600 * NS_PER_S,
				     .save_events = save,
				     .deliver = keep};

	live->child = child_start(child_idle, NULL);
	CHECK(target_open_pid(live->child.pid, &live->target, &err) == 0);
	config.target = live->target;
	fake_walker_init(&live->fake, events, count, count);
	live->pump = pump_new(&config);
	pump_prepare(live->pump);
	pump_begin(live->pump, clock_now_ns());
}

static void live_end(struct live *live)
{
	pump_round(live->pump, -1);
	pump_finish(live->pump);
	CHECK_EQ_U64(deltas.count, 1);
}

static void live_done(struct live *live)
{
	pump_free(live->pump);
	target_free(live->target);
	child_end(&live->child);
}

TEST(anonymous_memory_is_looked_at)
{
	struct live live;
	uint64_t bytes;

	live_begin(&live, NULL, 0, false, NULL);
	CHECK_EQ_I64(target_rss_anonymous_bytes(live.target, &bytes), 0);
	CHECK_EQ_U64(pump_anonymous_bytes_at_start(live.pump), bytes);
	CHECK(bytes > 0);
	live_end(&live);
	CHECK_EQ_U64(deltas.items[0]->process.rss_anonymous_bytes, bytes);
	CHECK(deltas.items[0]->process.rss_bytes > bytes);
	live_done(&live);
}

/* Taking probes away takes its time, which is none of the recording's. */
TEST(what_is_told_after_the_end_is_of_the_end)
{
	struct event events[] = {counts_event(0, 1, 2, 20, 0, 0), state_event(0, 2)};
	struct live live;
	uint64_t began, ended;

	began = clock_now_ns();
	live_begin(&live, events, 2, false, NULL);
	pump_end(live.pump);
	ended = clock_now_ns();
	for (int i = 0; i < 2; i++)
		events[i].time_ns = ended + 3600 * NS_PER_S * 2;
	pump_finish(live.pump);
	CHECK_EQ_U64(deltas.count, 1);
	CHECK(deltas.items[0]->end_ns <= ended - began);
	CHECK_EQ_U64(deltas.items[0]->heap_row_count, 1);
	CHECK_EQ_U64(deltas.items[0]->heap.live_bytes, 20);
	CHECK_EQ_U64(deltas.items[0]->heap.hits, 2);
	CHECK_EQ_U64(pump_elapsed_ns(live.pump), deltas.items[0]->end_ns);
	live_done(&live);
}

/* What rsprof's own child allocates until it execs is not the target's. */
TEST(a_heap_before_exec_is_not_the_targets)
{
	struct event events[] = {
		stack_event(0, 1, pcs_a), counts_event(0, 1, 8, 800, 0, 0), state_event(0, 8),
		{.type = EVENT_COMM},	  counts_event(0, 2, 1, 10, 0, 0),
	};
	const char *path = write_file("");
	FILE *save = fopen(path, "w");
	char line[4096];
	int heap_lines = 0;
	struct live live;

	live_begin(&live, events, 5, true, save);
	CHECK_EQ_U64(pump_anonymous_bytes_at_start(live.pump), 0);
	for (int i = 0; i < 5; i++) {
		events[i].time_ns = clock_now_ns();
		events[i].pid = events[i].tid = (uint32_t)live.child.pid;
	}
	events[3].comm.comm = "command";
	events[3].comm.is_exec = true;
	live_end(&live);
	CHECK_EQ_U64(deltas.items[0]->heap_row_count, 1);
	CHECK_EQ_U64(deltas.items[0]->heap_rows[0].counts.allocs, 1);
	CHECK_EQ_U64(deltas.items[0]->heap.live_bytes, 10);
	CHECK_EQ_U64(deltas.items[0]->heap.hits, 0);
	live_done(&live);
	CHECK(fclose(save) == 0);
	save = fopen(path, "r");
	while (fgets(line, sizeof(line), save))
		heap_lines += strncmp(line, "heap-", 5) == 0;
	fclose(save);
	CHECK_EQ_I64(heap_lines, 1);
}

TEST(a_copied_stack_is_unwound_and_saved_as_such)
{
	struct event event = stack_event(0, 0xabc, NULL);
	const char *path = write_file("");
	FILE *save = fopen(path, "w");
	/* Not on the stack that is copied. */
	static char line[16384];
	static struct live live;
	uint64_t frames;
	char want[64];

	deep(20);
	event.heap_stack.pcs = &copy.registers.rip;
	event.heap_stack.pc_count = 1;
	event.heap_stack.registers = &copy.registers;
	event.heap_stack.stack = copy.stack;
	event.heap_stack.stack_bytes = (uint32_t)copy.bytes;
	live_begin(&live, &event, 1, false, save);
	event.time_ns = clock_now_ns();
	live_end(&live);
	CHECK_EQ_U64(deltas.items[0]->stack_count, 1);
	CHECK_EQ_U64(deltas.items[0]->stacks[0].status, STACK_COMPLETE);
	frames = deltas.items[0]->node_count;
	CHECK_BETWEEN(frames, 22, 60);
	live_done(&live);
	CHECK(fclose(save) == 0);
	save = fopen(path, "r");
	while (fgets(line, sizeof(line), save) && strncmp(line, "heap-stack", 10))
		continue;
	fclose(save);
	snprintf(want, sizeof(want), " abc complete %llx ", (unsigned long long)copy.registers.rip);
	CHECK(strstr(line, want));
	for (char *at = strstr(line, " complete "); (at = strchr(at + 1, ' '));)
		frames--;
	CHECK_EQ_U64(frames, 0);
}

/* ---- the share of complete stacks */

static void forget(void *context, struct resolved_batch *batch)
{
	resolved_batch_free(batch);
}

TEST(allocations_do_not_change_the_share_of_complete_samples)
{
	const struct stack_leaf stacks[] = {{.status = STACK_COMPLETE},
					    {.status = STACK_NOT_WALKED}};
	const struct delta_row rows[] = {{.stack = {1}, .count = 3}, {.stack = {2}, .count = 1}};
	const struct delta_heap_row heap_rows[] = {
		{.stack = {1}, .counts = {.allocs = 900, .frees = 5000}},
		{.stack = {2}, .counts = {.allocs = 100}},
	};
	struct symbol_worker *worker = symbol_worker_start(0, forget, NULL);
	struct delta *delta = delta_new();
	struct stack_share share;

	delta->first_frame = delta->first_node = delta->first_stack = 1;
	delta->stacks = stacks;
	delta->stack_count = 2;
	delta->rows = rows;
	delta->row_count = 2;
	delta->heap_rows = heap_rows;
	delta->heap_row_count = 2;
	symbol_worker_add(worker, delta);
	symbol_worker_finish(worker, &share);
	CHECK_EQ_U64(share.samples, 4);
	CHECK_EQ_U64(share.complete, 3);
	CHECK_EQ_U64(share.allocs, 1000);
	CHECK_EQ_U64(share.complete_allocs, 900);
}

KIT_MAIN
