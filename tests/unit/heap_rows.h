/* Rows of the heap's view as text, for tests of them. */
#ifndef RSPROF_TESTS_UNIT_HEAP_ROWS_H
#define RSPROF_TESTS_UNIT_HEAP_ROWS_H

#include <inttypes.h>
#include <stdio.h>

#include "tests/unit/heap_profile.h"

static const struct view_request by_line;

/* "function live/incl in blocks peak@ms total×allocs", a line a row. */
static inline void check_rows_of(struct snapshot_builder *b, const struct view_request *request,
				 const char *want)
{
	struct heap_view *view = heap_build(b, request);
	char *text = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&text, &length);

	for (size_t i = 0; i < view->row_count; i++) {
		const struct heap_row *row = &view->rows[i];

		fprintf(to,
			"%s %" PRIu64 "/%" PRIu64 " in %" PRIu64 " peak %" PRIu64 "@%" PRIu64
			" total %" PRIu64 "x%" PRIu64 "\n",
			row->function, row->live_bytes, row->incl_live_bytes, row->live_blocks,
			row->peak_bytes, row->peak_ns / MS, row->totals.alloc_bytes,
			row->totals.allocs);
	}
	fclose(to);
	CHECK_EQ_STR(text, want);
	free(text);
	heap_view_free(view);
}

static inline void check_rows(const struct view_request *request, const char *want)
{
	struct snapshot_builder *b = heap_profile();

	check_rows_of(b, request, want);
	builder_free(b);
}

/* The last two seconds of heap_profile(): what was before is one poll. */
static inline struct snapshot_builder *heap_window_profile(void)
{
	struct snapshot_builder *b = heap_program();
	uint32_t second, third;

	builder_window(b, SECOND, 3 * SECOND);
	heap_poll_at(b, 1000, 90000000, 80000000);
	builder_heap_row(b, 0, HEAP_STACK_EXTEND,
			 (struct heap_counts){.allocs = 10, .alloc_bytes = 10000});
	builder_heap_row(b, 0, HEAP_STACK_INSERT,
			 (struct heap_counts){.allocs = 2, .alloc_bytes = 4000});
	builder_heap_row(b, 0, HEAP_STACK_GROW,
			 (struct heap_counts){.allocs = 100,
					      .alloc_bytes = 6400,
					      .frees = 100,
					      .free_bytes = 6400,
					      .estimated = 100});
	second = heap_poll_at(b, 2000, 140000000, 120000000);
	builder_heap_row(b, second, HEAP_STACK_EXTEND,
			 (struct heap_counts){.frees = 9, .free_bytes = 9500});
	third = heap_poll_at(b, 3000, 131000000, 119000000);
	builder_heap_row(b, third, HEAP_STACK_BOTH,
			 (struct heap_counts){.allocs = 1, .alloc_bytes = 600});
	builder_heap_sum(b);
	return b;
}

#endif
