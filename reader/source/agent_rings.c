#include "reader/source/agent_rings.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "reader/util/clock.h"
#include "reader/util/mem.h"

enum {
	/* Of all lanes together, read at a time: 8 MiB. */
	HELD_EVENTS = 256 * 1024,
	/* At least of a lane, however many have something. */
	LANE_EVENTS_MIN = 64,
	/* In one drain; a target that writes faster than that is drained again soon. */
	ROUNDS_MAX = 8,
	/* At the end: a target that goes on writing does not keep us. */
	ROUNDS_LAST = 1024,
};
/* More were never put into a ring. */
#define EVENTS_MAX (UINT64_C(1) << 44)
/* The agent believes that it is followed for so long after we have last said so. */
#define FOLLOW_NS NS_PER_S

struct ring_lane {
	uint64_t cursor; /* events below are read */
	uint64_t dropped;
	uint64_t newest; /* the time of the last that was read */
	struct rsprof_shm_lane shared;
	/* What is at hand: [at, end) of the held events. */
	const struct rsprof_shm_event *at, *end;
};

struct agent_rings {
	VEC(struct ring_lane) lanes;
	VEC(uint32_t) heap; /* lanes with something at hand, the one with the oldest event first */
	struct rsprof_shm_event *held;
	uint8_t *raw_lanes;
	uint8_t *raw_events; /* of strides that are not ours */
	struct agent_rings_lost lost;
	bool is_follower, is_whole;
	uint32_t wait_us;
	uint64_t follow_ns; /* as last told */
};

struct agent_rings *agent_rings_new(void)
{
	return mem_zalloc(sizeof(struct agent_rings));
}

void agent_rings_free(struct agent_rings *rings)
{
	if (!rings)
		return;
	vec_done(&rings->lanes);
	vec_done(&rings->heap);
	free(rings->held);
	free(rings->raw_lanes);
	free(rings->raw_events);
	free(rings);
}

static void tell_follow(struct agent_rings *rings, struct agent_region *region)
{
	uint64_t now = clock_now_ns();

	if (!rings->is_follower || now + FOLLOW_NS / 2 < rings->follow_ns)
		return;
	rings->follow_ns = now + FOLLOW_NS;
	agent_region_write(region, RSPROF_SHM_CONTROL,
			   offsetof(struct rsprof_shm_control, follow_ns), &rings->follow_ns,
			   sizeof(rings->follow_ns));
}

static int read_lane(const struct agent_region *region, uint32_t lane,
		     struct rsprof_shm_lane *ret_lane)
{
	return agent_region_read_element(region, RSPROF_SHM_LANES, lane, ret_lane,
					 sizeof(*ret_lane));
}

static void tell_tail(const struct agent_rings *rings, struct agent_region *region, uint32_t lane)
{
	uint64_t at = lane * region->layout.sections[RSPROF_SHM_LANES].stride;

	if (rings->is_follower)
		agent_region_write(region, RSPROF_SHM_LANES,
				   at + offsetof(struct rsprof_shm_lane, tail),
				   &rings->lanes.items[lane].cursor, sizeof(uint64_t));
}

bool agent_rings_start(struct agent_rings *rings, struct agent_region *region, bool is_follower,
		       uint32_t wait_us)
{
	uint32_t ring = region->layout.ring_events;
	struct rsprof_shm_control control;

	rings->is_whole = true;
	for (uint32_t i = 0; i < region->layout.lanes; i++) {
		struct rsprof_shm_lane shared = {0};
		struct ring_lane *lane = vec_add(&rings->lanes);

		read_lane(region, i, &shared);
		*lane = (struct ring_lane){0};
		if (shared.dropped <= EVENTS_MAX)
			lane->dropped = shared.dropped;
		if (shared.head > ring && shared.head <= EVENTS_MAX)
			lane->cursor = shared.head - ring;
		rings->is_whole &= !lane->cursor && !shared.dropped;
	}
	if (!is_follower ||
	    agent_region_read(region, RSPROF_SHM_CONTROL, 0, &control, sizeof(control)) < 0 ||
	    control.follow_ns > clock_now_ns())
		return false;
	rings->is_follower = region->is_writable;
	/* Tails first: from the moment that it is followed, the agent holds events against them. */
	for (uint32_t i = 0; i < region->layout.lanes; i++) {
		if (rings->lanes.items[i].cursor)
			tell_tail(rings, region, i);
	}
	agent_region_write(region, RSPROF_SHM_CONTROL, offsetof(struct rsprof_shm_control, wait_us),
			   &wait_us, sizeof(wait_us));
	tell_follow(rings, region);
	return rings->is_follower;
}

bool agent_rings_is_whole(const struct agent_rings *rings)
{
	return rings->is_whole;
}

const struct agent_rings_lost *agent_rings_lost(const struct agent_rings *rings)
{
	return &rings->lost;
}

void agent_rings_stop(struct agent_rings *rings, struct agent_region *region)
{
	static const uint64_t nobody = 0;

	if (rings->is_follower)
		agent_region_write(region, RSPROF_SHM_CONTROL,
				   offsetof(struct rsprof_shm_control, follow_ns), &nobody,
				   sizeof(nobody));
	rings->is_follower = false;
}

/* ---- one lane */

/* Events [from, from + count) of a lane's ring, which do not wrap. */
static int read_run(struct agent_rings *rings, const struct agent_region *region, uint32_t lane,
		    uint64_t from, uint64_t count, struct rsprof_shm_event *to)
{
	uint64_t stride = region->layout.sections[RSPROF_SHM_RINGS].stride;
	uint64_t at = ((uint64_t)lane * region->layout.ring_events +
		       (from & (region->layout.ring_events - 1))) *
		      stride;
	int ret;

	if (stride == sizeof(*to))
		return agent_region_read(region, RSPROF_SHM_RINGS, at, to, count * stride);
	if (!rings->raw_events)
		rings->raw_events = mem_alloc(AGENT_STRIDE_MAX * LANE_EVENTS_MIN);
	for (uint64_t done = 0; done < count;) {
		uint64_t now = count - done < LANE_EVENTS_MIN ? count - done : LANE_EVENTS_MIN;

		ret = agent_region_read(region, RSPROF_SHM_RINGS, at + done * stride,
					rings->raw_events, now * stride);
		if (ret < 0)
			return ret;
		for (uint64_t i = 0; i < now; i++)
			memcpy(&to[done + i], rings->raw_events + i * stride, sizeof(*to));
		done += now;
	}
	return 0;
}

static int read_events(struct agent_rings *rings, const struct agent_region *region, uint32_t lane,
		       uint64_t from, uint64_t count, struct rsprof_shm_event *to)
{
	uint64_t ring = region->layout.ring_events;
	uint64_t first = ring - (from & (ring - 1));
	int ret;

	if (first > count)
		first = count;
	ret = read_run(rings, region, lane, from, first, to);
	if (ret == 0 && count > first)
		ret = read_run(rings, region, lane, from + first, count - first, to + first);
	return ret;
}

/* How many of the events from the cursor on have been overwritten, by a head read after them. The
 * one beyond the head may be under way, unless the agent waits for us with it. */
static uint64_t overwritten(const struct agent_rings *rings, const struct ring_lane *lane,
			    uint64_t head, uint64_t ring)
{
	bool waits = rings->is_follower && !(lane->shared.flags & RSPROF_SHM_LANE_SHARED);
	uint64_t oldest = head + (waits ? 0 : 1);

	oldest = oldest > ring ? oldest - ring : 0;
	return oldest > lane->cursor ? oldest - lane->cursor : 0;
}

/* Times of a lane go on. A handler's event may stand before that of what it interrupted: it is of
 * the same moment then. */
static void order(const struct ring_lane *lane, struct rsprof_shm_event *events, uint64_t count)
{
	uint64_t newest = lane->newest;

	for (uint64_t i = 0; i < count; i++) {
		if (events[i].time < newest)
			events[i].time = newest;
		newest = events[i].time;
	}
}

static void look_at_dropped(struct agent_rings *rings, struct ring_lane *lane)
{
	if (lane->shared.dropped < lane->dropped || lane->shared.dropped > EVENTS_MAX) {
		rings->lost.bad++;
		return;
	}
	rings->lost.dropped += lane->shared.dropped - lane->dropped;
	lane->dropped = lane->shared.dropped;
}

/* How many events there are to read; the cursor is moved over those that are gone. */
static uint64_t available(struct agent_rings *rings, struct ring_lane *lane, uint64_t head,
			  uint64_t ring)
{
	if (head < lane->cursor || head > EVENTS_MAX) {
		rings->lost.bad++;
		return 0;
	}
	if (head - lane->cursor > ring) {
		rings->lost.missed += head - lane->cursor - ring;
		lane->cursor = head - ring;
	}
	return head - lane->cursor;
}

/* Up to `most` events become at hand. Returns how many, or -EBADMSG; *is_more: there are others. */
static int64_t fill(struct agent_rings *rings, const struct agent_region *region, uint32_t index,
		    uint64_t most, struct rsprof_shm_event *to, bool *is_more)
{
	struct ring_lane *lane = &rings->lanes.items[index];
	uint64_t ring = region->layout.ring_events, count, gone;

	lane->at = lane->end = to;
	look_at_dropped(rings, lane);
	count = available(rings, lane, lane->shared.head, ring);
	if (!count)
		return 0;
	*is_more |= count > most;
	if (count > most)
		count = most;
	if (read_events(rings, region, index, lane->cursor, count, to) < 0 ||
	    read_lane(region, index, &lane->shared) < 0)
		return -EBADMSG;
	gone = overwritten(rings, lane, lane->shared.head, ring);
	if (gone > count)
		gone = count;
	rings->lost.missed += gone;
	lane->cursor += gone;
	lane->at = to + gone;
	lane->end = to + count;
	order(lane, to + gone, count - gone);
	return (int64_t)count;
}

/* ---- all lanes */

static uint64_t time_of(const struct agent_rings *rings, size_t at)
{
	return rings->lanes.items[rings->heap.items[at]].at->time;
}

static void sift_down(struct agent_rings *rings, size_t at)
{
	size_t count = rings->heap.count;

	for (;;) {
		size_t least = at, left = 2 * at + 1;
		uint32_t moved;

		if (left < count && time_of(rings, left) < time_of(rings, least))
			least = left;
		if (left + 1 < count && time_of(rings, left + 1) < time_of(rings, least))
			least = left + 1;
		if (least == at)
			return;
		moved = rings->heap.items[at];
		rings->heap.items[at] = rings->heap.items[least];
		rings->heap.items[least] = moved;
		at = least;
	}
}

/* As long as one lane has the oldest events, they go without a look at the others. */
static uint64_t next_time(const struct agent_rings *rings)
{
	uint64_t next = UINT64_MAX;

	for (size_t at = 1; at < rings->heap.count && at <= 2; at++) {
		if (time_of(rings, at) < next)
			next = time_of(rings, at);
	}
	return next;
}

static void hand_over(struct agent_rings *rings, uint64_t horizon, agent_event_sink sink,
		      void *context, bool *handed_over)
{
	for (size_t at = rings->heap.count / 2; at-- > 0;)
		sift_down(rings, at);
	while (rings->heap.count) {
		struct ring_lane *lane = &rings->lanes.items[rings->heap.items[0]];
		uint64_t limit = next_time(rings);

		if (lane->at->time > horizon)
			return;
		if (limit > horizon)
			limit = horizon;
		while (lane->at < lane->end && lane->at->time <= limit) {
			lane->newest = lane->at->time;
			sink(context, lane->at++);
			lane->cursor++;
			*handed_over = true;
		}
		if (lane->at == lane->end)
			rings->heap.items[0] = rings->heap.items[--rings->heap.count];
		sift_down(rings, 0);
	}
}

static int read_lanes(struct agent_rings *rings, const struct agent_region *region)
{
	uint64_t stride = region->layout.sections[RSPROF_SHM_LANES].stride;
	size_t bytes = rings->lanes.count * stride;

	if (!rings->raw_lanes)
		rings->raw_lanes = mem_alloc(bytes);
	if (agent_region_read(region, RSPROF_SHM_LANES, 0, rings->raw_lanes, bytes) < 0)
		return -EBADMSG;
	for (size_t i = 0; i < rings->lanes.count; i++)
		memcpy(&rings->lanes.items[i].shared, rings->raw_lanes + i * stride,
		       sizeof(struct rsprof_shm_lane));
	return 0;
}

/* How much of a lane is read at a time, where so many have something. */
static uint64_t share_of_lane(struct agent_rings *rings, const struct agent_region *region)
{
	uint64_t busy = 1, share;

	for (size_t i = 0; i < rings->lanes.count; i++)
		busy += rings->lanes.items[i].shared.head != rings->lanes.items[i].cursor;
	share = HELD_EVENTS / busy;
	if (share < LANE_EVENTS_MIN)
		share = LANE_EVENTS_MIN;
	return share < region->layout.ring_events ? share : region->layout.ring_events;
}

/* Of a lane of which there is more, nothing beyond its last event may be handed over yet. */
static int fill_all(struct agent_rings *rings, const struct agent_region *region, uint64_t *horizon,
		    bool *ret_more)
{
	uint64_t share = share_of_lane(rings, region);
	size_t used = 0;

	*ret_more = false;
	vec_clear(&rings->heap);
	for (uint32_t i = 0; i < rings->lanes.count; i++) {
		const struct ring_lane *lane = &rings->lanes.items[i];
		bool is_more = false;
		int64_t got = fill(rings, region, i, share, rings->held + used, &is_more);

		if (got < 0)
			return (int)got;
		if (lane->at < lane->end)
			*vec_add(&rings->heap) = i;
		if (is_more && lane->at < lane->end && lane->end[-1].time < *horizon)
			*horizon = lane->end[-1].time;
		*ret_more |= is_more;
		used += (size_t)got;
	}
	return 0;
}

/* No more than the rings hold. */
static struct rsprof_shm_event *new_held(const struct agent_rings *rings,
					 const struct agent_region *region)
{
	size_t events = HELD_EVENTS + rings->lanes.count * LANE_EVENTS_MIN;
	size_t all = rings->lanes.count * region->layout.ring_events;

	return mem_alloc((all < events ? all : events) * sizeof(struct rsprof_shm_event));
}

int agent_rings_drain(struct agent_rings *rings, struct agent_region *region,
		      const struct agent_clock *clock, bool is_last, agent_event_sink sink,
		      void *context)
{
	/* What is younger may still have something older behind it in another lane. */
	uint64_t begin = is_last ? UINT64_MAX : agent_clock_ticks(clock);
	bool is_more = true;

	if (!region->layout.ring_events)
		return 0;
	if (!rings->held)
		rings->held = new_held(rings, region);
	for (int round = 0; is_more && round < (is_last ? ROUNDS_LAST : ROUNDS_MAX); round++) {
		uint64_t horizon = begin;
		bool handed_over = false;

		tell_follow(rings, region);
		if (read_lanes(rings, region) < 0 ||
		    fill_all(rings, region, &horizon, &is_more) < 0)
			return -EBADMSG;
		hand_over(rings, horizon, sink, context, &handed_over);
		if (!handed_over)
			return 0;
		for (uint32_t i = 0; i < rings->lanes.count && rings->is_follower; i++)
			tell_tail(rings, region, i);
	}
	return 0;
}
