#include "reader/record/pump.h"
#include "reader/util/vec.h"
#include "tests/lib/fake_source.h"
#include "tests/lib/kit.h"

#define MS UINT64_C(1000000)

static VEC(struct delta *) deltas;

static void keep(void *context, struct delta *delta)
{
	*vec_add(&deltas) = delta;
}

static struct event map_event(uint64_t time_ns, uint64_t start, uint64_t length, const char *path,
			      uint64_t inode)
{
	struct event event = {.time_ns = time_ns, .type = EVENT_MMAP, .pid = 9, .tid = 9};

	event.mmap.start = start;
	event.mmap.length = length;
	event.mmap.path = path;
	event.mmap.inode = inode;
	event.mmap.is_executable = true;
	return event;
}

static struct event sample_event(uint64_t time_ns, uint32_t tid, const uint64_t *pcs,
				 uint32_t count)
{
	struct event event = {.time_ns = time_ns, .type = EVENT_SAMPLE, .pid = 9, .tid = tid};

	event.sample.pcs = pcs;
	event.sample.pc_count = count;
	event.sample.value = 1;
	event.sample.status = count ? STACK_FRAME_POINTERS : STACK_EMPTY;
	return event;
}

static struct event comm_event(uint64_t time_ns, uint32_t tid, const char *comm, bool is_exec)
{
	struct event event = {.time_ns = time_ns, .type = EVENT_COMM, .pid = 9, .tid = tid};

	event.comm.comm = comm;
	event.comm.is_exec = is_exec;
	return event;
}

static struct losses pump_all(const struct event *events, size_t count, size_t per_drain)
{
	struct fake_source fake;
	struct pump_config config = {
		.source = &fake.source, .interval_ns = 100 * MS, .deliver = keep};
	struct pump *pump = pump_new(&config);
	struct losses losses;

	fake_source_init(&fake, events, count, per_drain);
	while (pump_round(pump, -1))
		continue;
	pump_finish(pump);
	losses = *pump_losses(pump);
	/* Modules belong to the pump; the tests below look at numbers only. */
	pump_free(pump);
	return losses;
}

static uint64_t samples_in(const struct delta *delta)
{
	uint64_t samples = 0;

	for (size_t i = 0; i < delta->row_count; i++)
		samples += delta->rows[i].count;
	return samples;
}

static const struct stack_frame *find_frame(uint32_t id)
{
	for (size_t i = 0; i < deltas.count; i++) {
		const struct delta *delta = deltas.items[i];

		if (id >= delta->first_frame && id < delta->first_frame + delta->frame_count)
			return &delta->frames[id - delta->first_frame];
	}
	FAIL("no frame %u", id);
}

TEST(samples_fall_into_the_checkpoint_of_their_time)
{
	static const uint64_t pcs[] = {0x1010, 0x1020};
	struct event events[64];
	size_t count = 0;

	events[count++] = map_event(1000 * MS, 0x1000, 0x1000, "/bin/a", 5);
	/* 3 in the first 100 ms, none in the second, 4 in the third. */
	for (int i = 0; i < 3; i++)
		events[count++] = sample_event((1010 + 10 * (uint64_t)i) * MS, 9, pcs, 2);
	for (int i = 0; i < 4; i++)
		events[count++] = sample_event((1200 + 10 * (uint64_t)i) * MS, 9, pcs, 2);
	pump_all(events, count, 1000);
	CHECK_EQ_U64(deltas.count, 3);
	CHECK_EQ_U64(samples_in(deltas.items[0]), 3);
	CHECK_EQ_U64(samples_in(deltas.items[1]), 0);
	CHECK_EQ_U64(samples_in(deltas.items[2]), 4);
	for (uint32_t i = 0; i < 3; i++)
		CHECK_EQ_U64(deltas.items[i]->checkpoint, i + 1);
	CHECK_EQ_U64(deltas.items[0]->end_ns, 100 * MS);
	CHECK_EQ_U64(deltas.items[1]->end_ns, 200 * MS);
	CHECK_EQ_U64(deltas.items[2]->end_ns, 230 * MS + 1);
	/* One stack, told once: the leaf's own address, the caller's one byte back. */
	CHECK_EQ_U64(deltas.items[0]->frame_count, 2);
	CHECK_EQ_U64(deltas.items[2]->frame_count, 0);
	CHECK_EQ_U64(find_frame(1)->place.vaddr + find_frame(2)->place.vaddr, 0x10 + 0x1f);
}

TEST(an_address_belongs_to_what_was_mapped_at_its_time)
{
	static const uint64_t pcs[] = {0x1010};
	/* Unordered as two rings would be: b replaces a at the same address. */
	const struct event events[] = {
		sample_event(1030 * MS, 9, pcs, 1),
		map_event(1020 * MS, 0x1000, 0x1000, "/lib/b.so", 6),
		map_event(1000 * MS, 0x1000, 0x1000, "/lib/a.so", 5),
		sample_event(1010 * MS, 9, pcs, 1),
	};
	struct losses losses = pump_all(events, 4, 100);

	CHECK_EQ_U64(losses.count[LOSS_LATE], 0);
	CHECK_EQ_U64(deltas.items[0]->frame_count, 2);
	CHECK_EQ_U64(find_frame(1)->place.module.v, 1);
	CHECK_EQ_U64(find_frame(2)->place.module.v, 2);
	CHECK_EQ_U64(find_frame(2)->place.vaddr, 0x10);
}

TEST(exec_forgets_all_mappings)
{
	static const uint64_t pcs[] = {0x1010};
	const struct event events[] = {
		map_event(1000 * MS, 0x1000, 0x1000, "/bin/a", 5),
		sample_event(1010 * MS, 9, pcs, 1),
		comm_event(1020 * MS, 9, "b", true),
		sample_event(1030 * MS, 9, pcs, 1),
		map_event(1040 * MS, 0x1000, 0x1000, "/bin/b", 6),
		sample_event(1050 * MS, 9, pcs, 1),
	};
	struct losses losses = pump_all(events, 6, 100);

	CHECK_EQ_U64(losses.count[LOSS_ADDRESS_UNKNOWN], 1);
	CHECK_EQ_U64(samples_in(deltas.items[0]), 3);
	CHECK_EQ_U64(deltas.items[0]->row_count, 3);
	CHECK_EQ_U64(find_frame(2)->place.module.v, 0);
	CHECK_EQ_U64(find_frame(3)->place.module.v, 2);
}

TEST(a_frame_pointer_walk_is_cut_where_it_leaves_the_code)
{
	static const uint64_t pcs[] = {0x1010, 0x1020, 0xdeadbeef, 0x1030};
	const struct event events[] = {
		map_event(1000 * MS, 0x1000, 0x1000, "/bin/a", 5),
		sample_event(1010 * MS, 9, pcs, 4),
	};
	struct losses losses = pump_all(events, 2, 100);

	CHECK_EQ_U64(deltas.items[0]->frame_count, 2);
	CHECK_EQ_U64(losses.count[LOSS_ADDRESS_UNKNOWN], 0);
	CHECK_EQ_U64(deltas.items[0]->stacks[0].status, STACK_FRAME_POINTERS);
}

TEST(samples_keep_the_name_their_thread_had)
{
	static const uint64_t pcs[] = {0x1010};
	const struct event events[] = {
		map_event(1000 * MS, 0x1000, 0x1000, "/bin/a", 5),
		comm_event(1001 * MS, 11, "loader", false),
		sample_event(1010 * MS, 11, pcs, 1),
		comm_event(1020 * MS, 11, "worker", false),
		sample_event(1030 * MS, 11, pcs, 1),
		sample_event(1040 * MS, 11, pcs, 1),
	};

	pump_all(events, 6, 100);
	CHECK_EQ_U64(deltas.items[0]->thread_count, 2);
	CHECK_EQ_STR(deltas.items[0]->threads[0].comm, "loader");
	CHECK_EQ_STR(deltas.items[0]->threads[1].comm, "worker");
	CHECK_EQ_U64(deltas.items[0]->row_count, 2);
	CHECK_EQ_U64(deltas.items[0]->rows[0].count, 1);
	CHECK_EQ_U64(deltas.items[0]->rows[1].count, 2);
}

TEST(losses_are_counted_by_cause_and_late_ones_too)
{
	static const uint64_t pcs[] = {0x1010};
	struct event events[] = {
		map_event(1000 * MS, 0x1000, 0x1000, "/bin/a", 5),
		{.time_ns = 1005 * MS, .type = EVENT_LOST},
		sample_event(1050 * MS, 9, pcs, 1),
		sample_event(1010 * MS, 9, pcs, 1), /* in a later drain: late */
		sample_event(1060 * MS, 9, NULL, 0),
	};
	struct losses losses;

	events[1].lost.cause = LOSS_RING_FULL;
	events[1].lost.count = 42;
	losses = pump_all(events, 5, 3);
	CHECK_EQ_U64(losses.count[LOSS_RING_FULL], 42);
	CHECK_EQ_U64(losses.count[LOSS_LATE], 1);
	CHECK_EQ_U64(losses_total(&losses), 42);
	CHECK_EQ_U64(samples_in(deltas.items[0]), 3);
}

TEST(a_recording_without_events_has_one_checkpoint)
{
	pump_all(NULL, 0, 10);
	CHECK_EQ_U64(deltas.count, 1);
	CHECK_EQ_U64(samples_in(deltas.items[0]), 0);
}

KIT_MAIN
