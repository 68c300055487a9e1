#include "reader/view/heap_facts.h"

#include <string.h>

#include "reader/util/fmt.h"
#include "reader/util/own.h"
#include "reader/view/cell.h"

/* Between the source and its mode, in what a step says. */
static const char MODE_BREAK[] = ", ";

/* Rows are of the last recording of the window. */
static uint32_t the_recording(const struct snapshot *snapshot)
{
	uint32_t recording = 0;

	if (snapshot->heap_poll_count)
		return snapshot->heap_polls[snapshot->heap_poll_count - 1].recording;
	for (size_t i = 0; i < snapshot->recording_count; i++) {
		if (!i || snapshot->recordings[i].offset_ns < snapshot->window_to_ns)
			recording = (uint32_t)i;
	}
	return recording;
}

bool heap_facts_has_step(const struct snapshot *snapshot, const struct snapshot_step *step)
{
	return !strcmp(step->signal, "heap") && step->recording == the_recording(snapshot) &&
	       step->time_ns < snapshot->window_to_ns;
}

/* NULL where there is none. */
static const struct snapshot_step *first_step(const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->step_count; i++) {
		if (heap_facts_has_step(snapshot, &snapshot->steps[i]))
			return &snapshot->steps[i];
	}
	return NULL;
}

/* An appended file has the source of each recording in its first step; "off" is said of a recording
 * without any. */
static const char *source_name(const struct snapshot *snapshot)
{
	const struct snapshot_step *first = first_step(snapshot);

	return first ? first->mode : snapshot_meta_get(snapshot, "heap_source");
}

static bool is_source(const struct snapshot *snapshot, const char *name)
{
	const char *source = source_name(snapshot);

	return source && !strcmp(source, name);
}

bool heap_facts_is_totals_only(const struct snapshot *snapshot)
{
	return is_source(snapshot, "totals");
}

bool heap_view_is_there(const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->heap_poll_count; i++) {
		if (snapshot->heap_polls[i].state.is_counted)
			return true;
	}
	/* Not looked at before it ended. */
	return source_name(snapshot) && !is_source(snapshot, "off") &&
	       !is_source(snapshot, "totals");
}

/* One that found no allocator at first names itself in a later step. */
void heap_facts_add_source(struct str *line, const struct snapshot *snapshot)
{
	const char *source = source_name(snapshot), *end;
	OWN(str_done) struct str name = {0};

	if (!source)
		source = "unknown source";
	for (size_t i = 0; i < snapshot->step_count; i++) {
		const struct snapshot_step *step = &snapshot->steps[i];

		if (heap_facts_has_step(snapshot, step) && strstr(step->mode, MODE_BREAK))
			source = step->mode;
	}
	end = strstr(source, MODE_BREAK);
	str_add_bytes(&name, source, end ? (size_t)(end - source) : strlen(source));
	cell_add_clean(line, str_text(&name));
}

const char *heap_facts_reason(const struct snapshot *snapshot)
{
	const struct snapshot_step *first = first_step(snapshot);
	const char *reason = first ? first->reason : "";

	if (!*reason)
		reason = snapshot_meta_get(snapshot, "heap_source_reason");
	return reason ? reason : "";
}

const char *heap_facts_text(const struct snapshot *snapshot, const char *key)
{
	if (the_recording(snapshot) + 1 < snapshot->recording_count)
		return NULL;
	return snapshot_meta_get(snapshot, key);
}

bool heap_facts_meta(const struct snapshot *snapshot, const char *key, uint64_t *ret_value)
{
	const char *text = heap_facts_text(snapshot, key);

	return text && parse_count(text, ret_value) == 0;
}

void heap_facts_find_peak(const struct snapshot *snapshot, struct heap_view *view)
{
	uint32_t recording = the_recording(snapshot);
	uint64_t begin_ns =
		snapshot->recording_count ? snapshot->recordings[recording].offset_ns : 0;
	uint64_t resolution_ms, bytes, at_ms;

	/* It is told of a recording as a whole. */
	if (snapshot->window_from_ns > begin_ns || snapshot->window_to_ns < snapshot->duration_ns ||
	    !heap_facts_meta(snapshot, "peak_resolution_ms", &resolution_ms) || resolution_ms ||
	    !heap_facts_meta(snapshot, "heap_peak_bytes", &bytes) ||
	    !heap_facts_meta(snapshot, "heap_peak_ms", &at_ms) || at_ms > UINT64_MAX / 1000000)
		return;
	view->is_peak_exact = true;
	view->peak_bytes = bytes;
	view->peak_ns = at_ms * 1000000;
}

/* That none is loaded is so of most processes. */
const char *heap_facts_agent_reason(const struct snapshot *snapshot)
{
	const char *reason = heap_facts_text(snapshot, "heap_agent_reason");

	return reason && strcmp(reason, "no agent is loaded") ? reason : "";
}

enum heap_mode heap_facts_first_mode(const struct snapshot *snapshot)
{
	const char *name = snapshot_meta_get(snapshot, "heap_mode");
	enum heap_mode mode = name ? heap_mode_by_name(name) : HEAP_MODES;

	return mode < HEAP_MODES ? mode : HEAP_MODE_EXACT;
}

enum heap_mode heap_facts_step_mode(const struct snapshot_step *step, enum heap_mode before)
{
	enum heap_mode mode = heap_mode_by_step(step->mode);

	return mode < HEAP_MODES ? mode : before;
}

static void follow_steps(const struct snapshot *snapshot, struct heap_view *view)
{
	enum heap_mode at_begin = heap_facts_first_mode(snapshot);

	view->mode = at_begin;
	view->frees_until_ns = UINT64_MAX;
	for (size_t i = 0; i < snapshot->step_count; i++) {
		const struct snapshot_step *step = &snapshot->steps[i];

		if (!heap_facts_has_step(snapshot, step))
			continue;
		view->mode = heap_facts_step_mode(step, view->mode);
		if (step->time_ns <= snapshot->window_from_ns)
			at_begin = view->mode;
		else if (view->mode == HEAP_MODE_SAMPLED || view->mode == HEAP_MODE_ALLOCS)
			view->is_estimate = true;
		if (heap_mode_sees_frees(view->mode))
			view->frees_until_ns = UINT64_MAX;
		else if (view->frees_until_ns == UINT64_MAX)
			view->frees_until_ns = step->time_ns;
	}
	if (at_begin == HEAP_MODE_SAMPLED || at_begin == HEAP_MODE_ALLOCS)
		view->is_estimate = true;
}

static uint64_t less(uint64_t end, uint64_t begin)
{
	return end > begin ? end - begin : 0;
}

/* The state is kept since the recording began. */
static struct heap_state state_between(const struct heap_state *begin, const struct heap_state *end)
{
	struct heap_state state = {
		.is_counted = end->is_counted,
		.live_bytes = end->live_bytes,
		.live_blocks = end->live_blocks,
		.unknown_frees = less(end->unknown_frees, begin->unknown_frees),
		.mmap_count = less(end->mmap_count, begin->mmap_count),
		.mmap_bytes = less(end->mmap_bytes, begin->mmap_bytes),
		.munmap_count = less(end->munmap_count, begin->munmap_count),
		.munmap_bytes = less(end->munmap_bytes, begin->munmap_bytes),
		.brk_count = less(end->brk_count, begin->brk_count),
		.hits = less(end->hits, begin->hits),
		.cost_ns = less(end->cost_ns, begin->cost_ns),
	};

	if (__builtin_sub_overflow(end->brk_bytes, begin->brk_bytes, &state.brk_bytes))
		state.brk_bytes = end->brk_bytes;
	return state;
}

static void follow_memory(struct heap_memory *memory, uint64_t bytes, uint64_t time_ns)
{
	if (!bytes)
		return;
	if (!memory->begin_bytes)
		memory->begin_bytes = bytes;
	if (bytes > memory->max_bytes) {
		memory->max_bytes = bytes;
		memory->max_ns = time_ns;
	}
	memory->end_bytes = bytes;
}

void heap_facts_fill(const struct snapshot *snapshot, struct heap_view *view)
{
	follow_steps(snapshot, view);
	for (size_t i = 0; i < snapshot->heap_poll_count; i++) {
		const struct snapshot_heap_poll *poll = &snapshot->heap_polls[i];

		follow_memory(&view->rss, poll->rss_bytes, poll->time_ns);
		follow_memory(&view->rss_anonymous, poll->rss_anonymous_bytes, poll->time_ns);
		if (poll->state.is_counted)
			view->last = poll;
	}
	if (view->last)
		view->state = state_between(&snapshot->heap_polls[0].state, &view->last->state);
}
