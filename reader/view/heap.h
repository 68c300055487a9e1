/* Rows of who holds memory, and their text, JSON and CSV.
 *
 * Live and peak are states: what is held at the end of the window, and the most that was held at a
 * look within it. Totals are of the window. A location's peak is that of the location, not the sum
 * of its stacks' peaks.
 *
 * Of a trace each stack's peak is known at any time. So is that of a location all of whose blocks
 * are of one stack; of several that changed between two looks it is not known how their peaks fell
 * together, and the location's is at least what is told. */
#ifndef RSPROF_VIEW_HEAP_H
#define RSPROF_VIEW_HEAP_H

#include "reader/core/heap.h"
#include "reader/view/view.h"

struct heap_row {
	uint64_t live_bytes, live_blocks, incl_live_bytes;
	uint64_t peak_bytes, peak_ns; /* ns: recorded time */
	struct heap_counts totals;
	bool is_estimate;
	bool is_least; /* what is live is more: blocks found no room to be tracked */
	const char *function, *file, *module; /* never NULL */
	uint32_t line;
	const char *path; /* may be NULL */
	uint32_t group;	  /* of row_map.h */
};

/* Memory in use as /proc tells it, over the polls of the window; 0 where it does not. */
struct heap_memory {
	uint64_t begin_bytes, max_bytes, max_ns, end_bytes; /* ns: recorded time */
};

struct heap_view {
	struct arena arena;
	const struct heap_row *rows;
	size_t row_count, location_count; /* after and before cutting */
	double shown_pct;		  /* of live bytes (of total bytes where nothing is live) */
	double complete_pct;		  /* of allocations: with complete stacks; 100: none */
	uint64_t status_allocs[STACK_STATUSES], judged;
	uint64_t live_bytes, live_blocks, peak_bytes, peak_ns;
	struct heap_counts totals;
	bool is_peak_exact; /* of a trace: not the highest at a look, but the highest of all */
	bool is_estimate;
	bool is_least;	     /* as of rows */
	bool is_totals_only; /* the heap was not counted: no rows, and no numbers but memory's */
	enum heap_mode mode; /* at the window's end */
	/* From when on frees were not seen, so that what is live is of that time; UINT64_MAX: they
	 * were to the end. Recorded time. */
	uint64_t frees_until_ns;
	const struct snapshot_heap_poll *last; /* NULL: nothing was counted in the window */
	struct heap_state state; /* of the window alone; its live_ fields are as above */
	struct heap_memory rss, rss_anonymous;
};

/* ERR_USAGE for what the heap is not kept by (--by thread, --thread), for a sort key that does not
 * exist (with the list), and for a profile without heap (with the reason why). */
int heap_view_build(const struct snapshot *snapshot, const struct view_request *request,
		    struct heap_view **ret_view, struct err *err);
void heap_view_free(struct heap_view *view);
/* How many of the row's allocations were freed before the thread allocated again, of those whose
 * frees somebody watched. Below 0: none of them was watched. */
double heap_row_temporary_pct(const struct heap_row *row, const struct heap_view *view);
/* Does the profile hold a counted heap? */
bool heap_view_is_there(const struct snapshot *snapshot);

void heap_view_print_text(FILE *to, const struct snapshot *snapshot, const struct heap_view *view,
			  const struct view_request *request, const struct view_print *print);
void heap_view_print_json(FILE *to, const struct snapshot *snapshot, const struct heap_view *view);
void heap_view_print_csv(FILE *to, const struct heap_view *view);

#endif
