/* What the terminal shows: one state of a profile, made by a feed's thread, immutable, counted. A
 * live run and a saved file give the same struct.
 *
 * A feed is asked for what is wanted (range, thread, charging) and answers with models, the last
 * question's when there is time. Between checkpoints nothing is made anew. */
#ifndef RSPROF_VIEW_MODEL_H
#define RSPROF_VIEW_MODEL_H

#include <stdatomic.h>

#include "reader/core/snapshot.h"
#include "reader/core/timeline.h"
#include "reader/view/heap.h"
#include "reader/view/view.h"

enum {
	MODEL_TREND = 12,	   /* checkpoints that a row's trend shows */
	MODEL_CHART_BUCKETS = 240, /* what a chart has at most */
	MODEL_THREAD_MAX = 64,
};

enum model_table { MODEL_CPU, MODEL_HEAP, MODEL_WAIT, MODEL_TABLES };

struct model_request {
	uint64_t from_ns, to_ns; /* range of all tables; {0, UINT64_MAX}: the whole profile */
	uint64_t chart_from_ns,
		chart_to_ns; /* what the chart shows; to UINT64_MAX: as far as it goes */
	/* With chart_to_ns UINT64_MAX: only the last so many ns; 0: from chart_from_ns on. */
	uint64_t chart_last_ns;
	bool by_thread; /* rows are threads (not of the heap, which is not kept by thread) */
	char thread[MODEL_THREAD_MAX]; /* only samples of it, "tid" or comm; "": all */
	bool include_internal, no_inline;
};

/* Of a row over the last checkpoints of the range, oldest first; the newest is [MODEL_TREND - 1].
 * CPU: samples; waits: ns; heap: live bytes at the checkpoint's end. */
struct model_trend {
	uint64_t values[MODEL_TREND];
};

/* A table's rows, all of them, beside what is only of the terminal. */
struct model_rows {
	bool is_there; /* the profile has such samples */
	size_t row_count;
	/* By row: of the same index as view->rows or heap->rows. */
	const struct model_trend *trends;
	const double *live_pct; /* share in the last checkpoint; of the heap: of what is live */
	/* By stack of the snapshot: the row it is charged to, SNAPSHOT_NONE: none. NULL where rows
	 * are threads. */
	const uint32_t *row_of_stack;
	uint64_t trend_total[MODEL_TREND]; /* of all rows */
};

struct model {
	atomic_uint references;
	struct arena arena;
	uint64_t serial; /* grows with each model of a feed */
	struct model_request request;
	struct snapshot *snapshot;
	struct view *cpu, *wait; /* NULL where the profile has none */
	struct heap_view *heap;	 /* likewise */
	struct model_rows tables[MODEL_TABLES];
	struct timeline *tail;	/* the last MODEL_TREND checkpoints of the range */
	struct timeline *chart; /* as the request has it; NULL: not read yet, it comes */
	struct model *base;	/* whose snapshot, views, tables and tail these are; NULL: its own */
};

struct model *model_hold(struct model *model);
void model_release(struct model *model); /* NULL allowed */
/* Takes over all that is given, also where it fails; tail and chart are of the same snapshot, chart
 * may be NULL. ERR_USAGE where the request asks for what is not there (a thread). */
int model_build(struct snapshot *snapshot, struct timeline *tail, struct timeline *chart,
		const struct model_request *request, struct model **ret_model, struct err *err);
/* The same but for the chart, which it takes over: the request may differ in what the chart shows.
 */
struct model *model_with_chart(struct model *model, struct timeline *chart,
			       const struct model_request *request);
/* Do they ask for the same rows, whatever the chart shows? */
bool model_request_same_rows(const struct model_request *a, const struct model_request *b);

/* ---- where models come from */

enum feed_state_kind {
	FEED_OPENING,	/* nothing to show yet */
	FEED_RECORDING, /* by this process */
	FEED_FOLLOWING, /* by another rsprof */
	FEED_ENDED,	/* it recorded, and the target is gone or the time is up; saved */
	FEED_SAVED,	/* a file that was complete when it was opened */
	FEED_FAILED,	/* message says why; what was shown stays */
};

/* What moves between models. */
struct feed_state {
	enum feed_state_kind kind;
	uint64_t elapsed_ns, samples, lost;
	uint64_t judged, complete;
	uint64_t rss_bytes; /* 0: not known */
	bool is_heap_live;
	uint64_t heap_live_bytes;
	bool is_busy;	   /* a request is not answered yet */
	char message[256]; /* "my-app exited with 0 after 5m23s; the profile is saved"; "" none */
};

struct feed;

struct feed_ops {
	/* The newest model, a reference of the caller's; NULL as long as there is none. */
	struct model *(*take)(struct feed *feed);
	/* Answers come later, by wake_fd; a question replaces the one before it. */
	void (*ask)(struct feed *feed, const struct model_request *request);
	void (*read_state)(struct feed *feed, struct feed_state *ret_state);
	/* Readable when there is a new model or state; read by feed_ops.take. -1: never. */
	int (*wake_fd)(struct feed *feed);
};

/* The first member of every feed. */
struct feed {
	const struct feed_ops *ops;
};

#endif
