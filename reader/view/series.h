/* Numbers over time, as charts draw them: of one row of a model or of the whole, out of the model's
 * timeline.
 *
 * CPU is told in percent of one core: the process's own CPU time in a bucket, as its samples share
 * it. Where the file has no CPU time, a sample stands for one period of the clock that took it, and
 * without such a clock it is samples per second. Heap and RSS are what is held when a bucket ends,
 * waits the time waited per second of time. */
#ifndef RSPROF_VIEW_SERIES_H
#define RSPROF_VIEW_SERIES_H

#include "reader/util/fmt.h"
#include "reader/view/model.h"
#include "reader/view/row_key.h"

enum series_kind { SERIES_CPU, SERIES_HEAP, SERIES_RSS, SERIES_WAIT };

enum series_unit {
	SERIES_CORE_PCT,  /* 100: one core was busy */
	SERIES_PER_S,	  /* samples, or what the event counts, per second */
	SERIES_BYTES,	  /* held */
	SERIES_WAIT_PER_S /* nanoseconds waited per second */
};

/* A bucket of the timeline. */
struct series_point {
	uint64_t from_ns, to_ns; /* recorded time; the value is of what lies between, or of to_ns */
	double value;		 /* never negative, never infinite */
	bool is_known;
	bool is_apart; /* another recording begins in it: nothing joins it to the one before */
};

struct series {
	enum series_kind kind;
	enum series_unit unit;
	struct series_point *points; /* by bucket; without a gap in time */
	size_t count;
};

/* row: an index of the model's table of that kind; SNAPSHOT_NONE: of all (of RSS always). A model
 * without a chart has no points. */
void series_init(struct series *series, const struct model *model, enum series_kind kind,
		 uint32_t row);
void series_done(struct series *series); /* zero-initialised allowed */

/* Where a point is in time: a rate in the middle of its bucket, a state at its end. */
uint64_t series_point_ns(const struct series *series, size_t index);
/* The point whose bucket has that time in it, its end included and its begin not, but for the
 * first's; SIZE_MAX: none. */
size_t series_find(const struct series *series, uint64_t time_ns);

/* For an axis with such steps: "20%", "50.0 MB", "100ms". */
const char *series_label(char buffer[FMT_MAX], enum series_unit unit, double value, double step);
/* By itself: "18.4%", "48.3 MB", "310ms/s", "99/s". */
const char *series_value(char buffer[FMT_MAX], enum series_unit unit, double value);
/* The smallest step whose labels differ on an axis that goes up to high. */
double series_step_min(enum series_unit unit, double high);

/* The row that the key names in the model's table; SNAPSHOT_NONE: none. */
uint32_t series_row(const struct model *model, enum model_table table, const struct row_key *key);

#endif
