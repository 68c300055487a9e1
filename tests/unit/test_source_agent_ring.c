/* The rings of an agent: in the order of time over all lanes, each event once, and every event that
 * was not read counted. */
#include <sys/wait.h>

#include "reader/source/agent_rings.h"
#include "reader/source/agent_trace.h"
#include "reader/util/own.h"
#include "reader/util/str.h"
#include "tests/unit/agent_region_maker.h"

enum { KEPT = 4096 };

static struct {
	uint64_t times[KEPT], count, last, sum;
} got;

static void take(void *context, const struct rsprof_shm_event *event)
{
	if (event->time < got.last)
		FAIL("%" PRIu64 " comes after %" PRIu64, event->time, got.last);
	got.last = event->time;
	got.sum += event->value;
	if (got.count < KEPT)
		got.times[got.count] = event->time;
	got.count++;
}

static const struct agent_clock monotonic;

static void drain(struct agent_rings *rings, struct agent_region *region, bool is_last)
{
	CHECK_EQ_I64(agent_rings_drain(rings, region, &monotonic, is_last, take, NULL), 0);
}

static void put(struct maker *maker, uint32_t lane, uint64_t time, uint64_t value)
{
	maker_event(maker, lane, RSPROF_SHM_EVENT_ALLOC, time, RSPROF_SHM_SITE_FIRST, value);
}

TEST(lanes_are_merged_by_time)
{
	struct maker maker = maker_open();
	struct agent_region *region = maker_region(&maker);
	struct agent_rings *rings = agent_rings_new();

	agent_rings_start(rings, region, false, 0);
	CHECK(agent_rings_is_whole(rings));
	for (uint64_t time = 1; time <= 200; time++)
		put(&maker, (uint32_t)(time * 7 / 3) % MAKER_LANES, time, time);
	drain(rings, region, false);
	CHECK_EQ_U64(got.count, 200);
	CHECK_EQ_U64(got.sum, 200 * 201 / 2);
	drain(rings, region, false);
	CHECK_EQ_U64(got.count, 200);
	CHECK_EQ_U64(agent_rings_lost(rings)->missed, 0);
	agent_rings_free(rings);
	agent_region_close(region);
	maker_close(&maker);
}

TEST(what_is_younger_than_the_look_waits)
{
	struct maker maker = maker_open();
	struct agent_region *region = maker_region(&maker);
	struct agent_rings *rings = agent_rings_new();
	uint64_t later = clock_now_ns() + 3600 * NS_PER_S;

	agent_rings_start(rings, region, false, 0);
	put(&maker, 0, 5, 1);
	put(&maker, 0, later, 1);
	put(&maker, 1, 6, 1);
	drain(rings, region, false);
	CHECK_EQ_U64(got.count, 2);
	drain(rings, region, false);
	CHECK_EQ_U64(got.count, 2);
	put(&maker, 1, 7, 1);
	drain(rings, region, true);
	CHECK_EQ_U64(got.count, 4);
	CHECK_EQ_U64(got.times[2], 7);
	CHECK_EQ_U64(agent_rings_lost(rings)->bad, 0);
	agent_rings_free(rings);
	agent_region_close(region);
	maker_close(&maker);
}

TEST(what_was_overwritten_is_counted)
{
	struct maker maker = maker_open();
	struct agent_region *region = maker_region(&maker);
	struct agent_rings *rings = agent_rings_new();

	agent_rings_start(rings, region, false, 0);
	for (uint64_t i = 1; i <= MAKER_RING * 3 + 5; i++)
		put(&maker, 2, i, 1);
	drain(rings, region, false);
	/* The oldest may be under way: the agent writes there next. */
	CHECK_EQ_U64(got.count, MAKER_RING - 1);
	CHECK_EQ_U64(agent_rings_lost(rings)->missed, MAKER_RING * 2 + 6);
	CHECK_EQ_U64(got.times[0], MAKER_RING * 2 + 7);
	agent_rings_free(rings);
	agent_region_close(region);
	maker_close(&maker);
}

TEST(a_late_reader_does_not_count_what_was_before)
{
	struct maker maker = maker_open();
	struct agent_region *region = maker_region(&maker);
	struct agent_rings *rings = agent_rings_new();

	for (uint64_t i = 1; i <= MAKER_RING * 3; i++)
		put(&maker, 0, i, 1);
	agent_rings_start(rings, region, false, 0);
	CHECK(!agent_rings_is_whole(rings));
	drain(rings, region, false);
	CHECK_EQ_U64(got.count, MAKER_RING - 1);
	CHECK_EQ_U64(agent_rings_lost(rings)->missed, 1);
	agent_rings_free(rings);
	agent_region_close(region);
	maker_close(&maker);
}

TEST(who_follows_moves_the_tails)
{
	struct maker maker = maker_open();
	struct agent_region *region = maker_region(&maker);
	struct agent_rings *rings = agent_rings_new(), *second = agent_rings_new();

	CHECK(agent_rings_start(rings, region, true, 500));
	CHECK(maker.control->follow_ns > clock_now_ns());
	CHECK_EQ_U64(maker.control->wait_us, 500);
	CHECK(!agent_rings_start(second, region, true, 9));
	CHECK_EQ_U64(maker.control->wait_us, 500);
	for (uint64_t i = 1; i <= MAKER_RING; i++)
		put(&maker, 1, i, 1);
	drain(rings, region, false);
	CHECK_EQ_U64(got.count, MAKER_RING);
	CHECK_EQ_U64(maker.lanes[1].tail, MAKER_RING);
	CHECK_EQ_U64(agent_rings_lost(rings)->missed, 0);
	maker.lanes[1].dropped = 12;
	drain(rings, region, false);
	CHECK_EQ_U64(agent_rings_lost(rings)->dropped, 12);
	agent_rings_stop(rings, region);
	CHECK_EQ_U64(maker.control->follow_ns, 0);
	agent_rings_free(rings);
	agent_rings_free(second);
	agent_region_close(region);
	maker_close(&maker);
}

TEST(heads_and_counts_that_go_back_are_counted)
{
	struct maker maker = maker_open();
	struct agent_region *region = maker_region(&maker);
	struct agent_rings *rings = agent_rings_new();

	for (uint64_t i = 1; i <= 10; i++)
		put(&maker, 0, i, 1);
	maker.lanes[1].dropped = 5;
	agent_rings_start(rings, region, false, 0);
	drain(rings, region, false);
	maker.lanes[0].head = 3;
	maker.lanes[1].dropped = 1;
	drain(rings, region, false);
	CHECK_EQ_U64(agent_rings_lost(rings)->bad, 2);
	CHECK_EQ_U64(got.count, 10);
	maker.lanes[0].head = UINT64_MAX;
	maker.lanes[1].dropped = UINT64_MAX;
	drain(rings, region, false);
	CHECK_EQ_U64(got.count, 10);
	CHECK_EQ_U64(agent_rings_lost(rings)->bad, 4);
	CHECK_EQ_U64(agent_rings_lost(rings)->missed, 0);
	CHECK_EQ_U64(agent_rings_lost(rings)->dropped, 0);
	maker.lanes[0].head = 10;
	maker.lanes[1].dropped = 5;
	put(&maker, 0, 11, 1);
	drain(rings, region, false);
	CHECK_EQ_U64(got.count, 11);
	CHECK_EQ_U64(agent_rings_lost(rings)->bad, 4);
	agent_rings_free(rings);
	agent_region_close(region);
	maker_close(&maker);
}

/* ---- writers at work */

enum { WRITTEN = 2000000 };

static void write_lane(struct maker *maker, uint32_t lane)
{
	for (uint64_t i = 0; i < WRITTEN; i++)
		maker_event(maker, lane, RSPROF_SHM_EVENT_ALLOC, clock_now_ns(),
			    RSPROF_SHM_SITE_FIRST, i);
}

TEST(every_event_is_read_or_counted_as_missed)
{
	struct maker maker = maker_open_rings(1024);
	struct agent_region *region = maker_region(&maker);
	struct agent_rings *rings = agent_rings_new();
	pid_t writers[2];
	int left = 2;

	agent_rings_start(rings, region, false, 0);
	for (uint32_t lane = 0; lane < 2; lane++) {
		writers[lane] = fork();
		if (writers[lane] == 0) {
			write_lane(&maker, lane);
			_exit(0);
		}
	}
	while (left) {
		/* Late ones among lanes are possible here: a writer may be off its CPU. */
		got.last = 0;
		drain(rings, region, false);
		left -= waitpid(-1, NULL, WNOHANG) > 0;
	}
	got.last = 0;
	drain(rings, region, true);
	CHECK_EQ_U64(got.count + agent_rings_lost(rings)->missed, 2 * (uint64_t)WRITTEN);
	CHECK_EQ_U64(agent_rings_lost(rings)->bad, 0);
	CHECK(got.count > 0);
	agent_rings_free(rings);
	agent_region_close(region);
	maker_close(&maker);
}

static bool take_peak(void *context, uint32_t site, uint64_t peak_bytes)
{
	struct str *told = context;

	if (site == RSPROF_SHM_SITE_FIRST + 2)
		return false;
	str_addf(told, "%u:%" PRIu64 " ", site - RSPROF_SHM_SITE_FIRST, peak_bytes);
	return true;
}

static void add_event(struct agent_trace *trace, uint32_t kind, uint32_t site, uint64_t bytes)
{
	agent_trace_add(trace, &(struct rsprof_shm_event){
				       .site = site, .value = bytes, .tid_kind = kind << 24});
}

TEST(sites_peak_between_two_looks)
{
	enum { A = RSPROF_SHM_SITE_FIRST, B, WAITS, BEYOND };
	enum { ALLOC = RSPROF_SHM_EVENT_ALLOC, FREE = RSPROF_SHM_EVENT_FREE };
	static const struct {
		uint32_t kind, site, bytes;
	} steps[] = {
		{ALLOC, A, 100}, {ALLOC, B, 7},	    {ALLOC, A, 50},	 {FREE, A, 100},
		{ALLOC, A, 20},	 {ALLOC, WAITS, 9}, {ALLOC, BEYOND, 99}, {FREE, WAITS, 9},
		{FREE, B, 70}, /* of nothing: what is live is never less than none */
	};
	struct agent_trace trace = {0};
	OWN(str_done) struct str told = {0};

	agent_trace_start(&trace, RSPROF_SHM_SITE_FIRST, BEYOND);
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
		add_event(&trace, steps[i].kind, steps[i].site, steps[i].bytes);
	agent_trace_tell(&trace, take_peak, &told);
	CHECK_EQ_STR(str_text(&told), "0:150 1:7 ");
	/* 70 were live of A then: more, that is still there, is no peak. */
	add_event(&trace, ALLOC, A, 30);
	str_clear(&told);
	agent_trace_tell(&trace, take_peak, &told);
	CHECK_EQ_STR(str_text(&told), "");
	add_event(&trace, FREE, A, 1);
	agent_trace_tell(&trace, take_peak, &told);
	CHECK_EQ_STR(str_text(&told), "");
	/* From what was told last. */
	add_event(&trace, ALLOC, A, 11);
	add_event(&trace, FREE, A, 5);
	agent_trace_tell(&trace, take_peak, &told);
	CHECK_EQ_STR(str_text(&told), "0:110 ");
	agent_trace_done(&trace);
}

/* ---- times, and what a trace tells */

TEST(the_counter_of_time_stamps_is_calibrated)
{
	struct agent_clock clock = {0};
	uint64_t before, after, ns;

	agent_clock_start(&clock, true);
	before = clock_now_ns();
	ns = agent_clock_ns(&clock, agent_clock_ticks(&clock));
	after = clock_now_ns();
	/* The clock is adjusted by 500 millionths at most. */
	CHECK(ns + NS_PER_MS > before && ns < after + NS_PER_MS);
	CHECK(agent_clock_ns(&clock, 0) < before);
	CHECK(agent_clock_ns(&clock, UINT64_MAX) > after);
}

TEST(the_peak_is_that_of_the_events)
{
	static const struct {
		bool is_alloc;
		uint64_t bytes;
		uint32_t site;
	} steps[] = {
		{true, 100, 16}, {true, 50, 17},   {false, 100, 16}, {true, 200, 17},
		{false, 50, 17}, {false, 9, 0},	   {false, 70, 9},   {true, 1000, 2},
		{true, 3, 1},	 {false, 200, 17},
	};
	struct agent_trace trace = {.first_site = RSPROF_SHM_SITE_FIRST};
	struct rsprof_shm_event event = {0};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		event.time = i + 1;
		event.value = steps[i].bytes;
		event.site = steps[i].site;
		event.tid_kind = (uint32_t)(steps[i].is_alloc ? RSPROF_SHM_EVENT_ALLOC
							      : RSPROF_SHM_EVENT_FREE)
				 << 24;
		agent_trace_add(&trace, &event);
	}
	CHECK_EQ_U64(trace.peak_bytes, 250);
	CHECK_EQ_U64(trace.peak_ticks, 4);
	CHECK_EQ_I64(trace.live_bytes, 3);
	event.value = UINT64_MAX;
	agent_trace_add(&trace, &event);
	event.value = INT64_MAX;
	event.tid_kind = (uint32_t)RSPROF_SHM_EVENT_ALLOC << 24;
	agent_trace_add(&trace, &event);
	CHECK_EQ_U64(trace.bad, 2);
	CHECK_EQ_U64(trace.peak_bytes, 250);
}

KIT_MAIN
