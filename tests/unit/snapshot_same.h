/* Do two snapshots tell the same, member by member? Rows may lie in another order. */
#ifndef RSPROF_TESTS_UNIT_SNAPSHOT_SAME_H
#define RSPROF_TESTS_UNIT_SNAPSHOT_SAME_H

#include <stdlib.h>

#include "reader/core/snapshot.h"
#include "reader/util/mem.h"
#include "tests/lib/kit.h"

static inline int compare_rows(const void *left, const void *right)
{
	const struct snapshot_row *a = left, *b = right;

	if (a->event != b->event)
		return a->event < b->event ? -1 : 1;
	if (a->thread != b->thread)
		return a->thread < b->thread ? -1 : 1;
	if (a->stack != b->stack)
		return a->stack < b->stack ? -1 : 1;
	return (a->kind > b->kind) - (a->kind < b->kind);
}

static inline void check_same_text(const char *a, const char *b)
{
	if (!a || !b)
		CHECK(a == b);
	else
		CHECK_EQ_STR(a, b);
}

static inline void check_same_places(const struct snapshot *a, const struct snapshot *b)
{
	CHECK_EQ_U64(a->location_count, b->location_count);
	for (size_t i = 0; i < a->location_count; i++) {
		const struct snapshot_location *x = &a->locations[i], *y = &b->locations[i];

		check_same_text(x->function, y->function);
		check_same_text(x->file, y->file);
		check_same_text(x->path, y->path);
		CHECK_EQ_U64(x->line, y->line);
		CHECK_EQ_U64(x->module, y->module);
		CHECK_EQ_U64(x->address, y->address);
		CHECK(x->is_internal == y->is_internal);
	}
	CHECK_EQ_U64(a->frame_count, b->frame_count);
	for (size_t i = 0; i < a->frame_count; i++) {
		const struct snapshot_frame *x = &a->frames[i], *y = &b->frames[i];

		CHECK_EQ_U64(x->module, y->module);
		CHECK_EQ_U64(x->vaddr, y->vaddr);
		CHECK_EQ_U64(x->quality, y->quality);
		CHECK(x->is_resolved == y->is_resolved);
		CHECK_EQ_U64(x->first_line, y->first_line);
		CHECK_EQ_U64(x->line_count, y->line_count);
	}
	CHECK_EQ_U64(a->line_count, b->line_count);
	for (size_t i = 0; i < a->line_count; i++)
		CHECK_EQ_U64(a->lines[i], b->lines[i]);
	CHECK_EQ_U64(a->node_count, b->node_count);
	for (size_t i = 0; i < a->node_count; i++) {
		CHECK_EQ_U64(a->nodes[i].parent, b->nodes[i].parent);
		CHECK_EQ_U64(a->nodes[i].frame, b->nodes[i].frame);
	}
	CHECK_EQ_U64(a->stack_count, b->stack_count);
	for (size_t i = 0; i < a->stack_count; i++) {
		CHECK_EQ_U64(a->stacks[i].node, b->stacks[i].node);
		CHECK_EQ_U64(a->stacks[i].status, b->stacks[i].status);
		CHECK_EQ_U64(a->stacks[i].charged_location, b->stacks[i].charged_location);
		CHECK_EQ_U64(a->stacks[i].raw_location, b->stacks[i].raw_location);
	}
}

static inline void check_same_names(const struct snapshot *a, const struct snapshot *b)
{
	check_same_text(a->file, b->file);
	CHECK_EQ_U64(a->recording_count, b->recording_count);
	for (size_t i = 0; i < a->recording_count; i++) {
		const struct snapshot_recording *x = &a->recordings[i], *y = &b->recordings[i];

		CHECK_EQ_U64(x->pid, y->pid);
		check_same_text(x->process_name, y->process_name);
		check_same_text(x->exe_path, y->exe_path);
		check_same_text(x->command_line, y->command_line);
		CHECK_EQ_U64(x->start_unix_ns, y->start_unix_ns);
		CHECK_EQ_U64(x->offset_ns, y->offset_ns);
		CHECK_EQ_U64(x->duration_ns, y->duration_ns);
		CHECK(x->is_finished == y->is_finished);
	}
	CHECK_EQ_U64(a->event_count, b->event_count);
	for (size_t i = 0; i < a->event_count; i++) {
		check_same_text(a->events[i].name, b->events[i].name);
		check_same_text(a->events[i].unit_name, b->events[i].unit_name);
		CHECK(a->events[i].is_cpu == b->events[i].is_cpu);
	}
	CHECK_EQ_U64(a->thread_count, b->thread_count);
	for (size_t i = 0; i < a->thread_count; i++) {
		check_same_text(a->threads[i].comm, b->threads[i].comm);
		CHECK_EQ_U64(a->threads[i].tid, b->threads[i].tid);
		CHECK_EQ_U64(a->threads[i].pid, b->threads[i].pid);
		CHECK_EQ_U64(a->threads[i].recording, b->threads[i].recording);
	}
	CHECK_EQ_U64(a->module_count, b->module_count);
	for (size_t i = 0; i < a->module_count; i++) {
		check_same_text(a->modules[i].path, b->modules[i].path);
		check_same_text(a->modules[i].name, b->modules[i].name);
		check_same_text(a->modules[i].build_id, b->modules[i].build_id);
		CHECK_EQ_U64(a->modules[i].kind, b->modules[i].kind);
	}
	CHECK_EQ_U64(a->step_count, b->step_count);
	for (size_t i = 0; i < a->step_count; i++) {
		CHECK_EQ_U64(a->steps[i].recording, b->steps[i].recording);
		CHECK_EQ_U64(a->steps[i].time_ns, b->steps[i].time_ns);
		check_same_text(a->steps[i].signal, b->steps[i].signal);
		check_same_text(a->steps[i].mode, b->steps[i].mode);
		check_same_text(a->steps[i].reason, b->steps[i].reason);
	}
	CHECK_EQ_U64(a->meta_count, b->meta_count);
	for (size_t i = 0; i < a->meta_count; i++) {
		check_same_text(a->meta[i].key, b->meta[i].key);
		check_same_text(a->meta[i].value, b->meta[i].value);
	}
}

static inline void check_same_rows(const struct snapshot *a, const struct snapshot *b)
{
	struct snapshot_row *x = mem_copy(a->rows, a->row_count * sizeof(*x));
	struct snapshot_row *y = mem_copy(b->rows, b->row_count * sizeof(*y));

	CHECK_EQ_U64(a->row_count, b->row_count);
	if (a->row_count) {
		qsort(x, a->row_count, sizeof(*x), compare_rows);
		qsort(y, b->row_count, sizeof(*y), compare_rows);
	}
	for (size_t i = 0; i < a->row_count; i++) {
		CHECK(!compare_rows(&x[i], &y[i]));
		CHECK_EQ_U64(x[i].count, y[i].count);
		CHECK_EQ_U64(x[i].kernel_count, y[i].kernel_count);
		CHECK_EQ_U64(x[i].value, y[i].value);
		CHECK_EQ_U64(x[i].run_ns, y[i].run_ns);
	}
	free(x);
	free(y);
}

static inline void check_same_state(const struct heap_state *a, const struct heap_state *b)
{
	CHECK(a->is_counted == b->is_counted);
	CHECK_EQ_U64(a->live_bytes, b->live_bytes);
	CHECK_EQ_U64(a->live_blocks, b->live_blocks);
	CHECK_EQ_U64(a->unknown_frees, b->unknown_frees);
	CHECK_EQ_U64(a->mmap_count, b->mmap_count);
	CHECK_EQ_U64(a->munmap_bytes, b->munmap_bytes);
	CHECK_EQ_I64(a->brk_bytes, b->brk_bytes);
	CHECK_EQ_U64(a->hits, b->hits);
	CHECK_EQ_U64(a->cost_ns, b->cost_ns);
}

static inline void check_same_heap(const struct snapshot *a, const struct snapshot *b)
{
	CHECK_EQ_U64(a->heap_poll_count, b->heap_poll_count);
	for (size_t i = 0; i < a->heap_poll_count; i++) {
		CHECK_EQ_U64(a->heap_polls[i].recording, b->heap_polls[i].recording);
		CHECK_EQ_U64(a->heap_polls[i].time_ns, b->heap_polls[i].time_ns);
		CHECK_EQ_U64(a->heap_polls[i].rss_bytes, b->heap_polls[i].rss_bytes);
		CHECK_EQ_U64(a->heap_polls[i].rss_anonymous_bytes,
			     b->heap_polls[i].rss_anonymous_bytes);
		check_same_state(&a->heap_polls[i].state, &b->heap_polls[i].state);
	}
	CHECK_EQ_U64(a->heap_row_count, b->heap_row_count);
	for (size_t i = 0; i < a->heap_row_count; i++) {
		CHECK_EQ_U64(a->heap_rows[i].poll, b->heap_rows[i].poll);
		CHECK_EQ_U64(a->heap_rows[i].stack, b->heap_rows[i].stack);
		CHECK(!memcmp(&a->heap_rows[i].counts, &b->heap_rows[i].counts,
			      sizeof(a->heap_rows[i].counts)));
	}
	CHECK_EQ_U64(a->heap_peak_count, b->heap_peak_count);
	for (size_t i = 0; i < a->heap_peak_count; i++) {
		CHECK_EQ_U64(a->heap_peaks[i].poll, b->heap_peaks[i].poll);
		CHECK_EQ_U64(a->heap_peaks[i].stack, b->heap_peaks[i].stack);
		CHECK_EQ_U64(a->heap_peaks[i].bytes, b->heap_peaks[i].bytes);
	}
	CHECK_EQ_U64(a->heap_resolution_ns, b->heap_resolution_ns);
}

static inline void check_same_snapshot(const struct snapshot *a, const struct snapshot *b)
{
	check_same_names(a, b);
	check_same_places(a, b);
	check_same_rows(a, b);
	check_same_heap(a, b);
	CHECK(!memcmp(&a->losses, &b->losses, sizeof(a->losses)));
	CHECK_EQ_U64(a->duration_ns, b->duration_ns);
	CHECK_EQ_U64(a->window_from_ns, b->window_from_ns);
	CHECK_EQ_U64(a->window_to_ns, b->window_to_ns);
	CHECK_EQ_U64(a->checkpoint_count, b->checkpoint_count);
	CHECK_EQ_U64(a->unresolved_count, b->unresolved_count);
}

#endif
