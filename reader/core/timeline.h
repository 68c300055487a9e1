/* What stacks did over time: the part of a profile that charts and trends are drawn from. Beside a
 * snapshot of the same file, whose indexes it uses; immutable. A long stretch has its checkpoints
 * summed to fewer buckets. */
#ifndef RSPROF_CORE_TIMELINE_H
#define RSPROF_CORE_TIMELINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reader/core/wait_kind.h"
#include "reader/util/arena.h"

/* One checkpoint, or several. The process is as it was at its end. */
struct timeline_bucket {
	uint64_t end_ns;    /* recorded time; it begins where the one before it ends */
	uint64_t cpu_ns;    /* user and system time of the target in it */
	uint64_t rss_bytes; /* 0: not known */
	bool is_heap_counted;
	uint64_t heap_live_bytes;
};

struct timeline_row {
	uint32_t bucket, event, thread, stack; /* indexes of the snapshot */
	uint64_t count, value;		       /* as of struct snapshot_row */
};

/* Change of a stack in a bucket. */
struct timeline_heap_row {
	uint32_t bucket, stack;
	int64_t live_bytes;
	uint64_t alloc_bytes;
};

/* What a stack held when the first bucket began. */
struct timeline_held {
	uint32_t stack;
	uint64_t live_bytes;
};

struct timeline {
	struct arena arena;
	uint64_t from_ns; /* where the first bucket begins */
	const struct timeline_bucket *buckets;
	size_t bucket_count;
	const struct timeline_row *rows; /* by bucket */
	size_t row_count;
	void *block; /* where rows are; NULL: in the arena */
	const struct timeline_heap_row *heap_rows; /* by bucket; of the last recording in it */
	size_t heap_row_count;
	const struct timeline_held *held;
	size_t held_count;
	uint64_t interval_ns; /* of checkpoints: what a bucket is at least */
	atomic_uint holders;  /* beside the first one */
};

struct timeline *timeline_hold(struct timeline *timeline);
/* The last one who holds it frees it; NULL allowed. */
void timeline_free(struct timeline *timeline);

#endif
