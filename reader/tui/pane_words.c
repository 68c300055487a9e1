#include "reader/tui/pane_words.h"

#include "reader/util/fmt.h"

void pane_words_add_range(struct str *to, const struct pane_context *context, bool is_unicode)
{
	const struct snapshot *snapshot = context->model->snapshot;
	const struct model_request *request = &context->model->request;
	uint64_t end =
		request->to_ns < snapshot->duration_ns ? request->to_ns : snapshot->duration_ns;
	char from[FMT_MAX], until[FMT_MAX];

	if (snapshot->recording_count)
		str_addf(to, "  %s",
			 snapshot->recordings[snapshot->recording_count - 1].process_name);
	if (request->from_ns || request->to_ns < snapshot->duration_ns)
		str_addf(to, "  %s%s%s", fmt_duration(from, request->from_ns),
			 is_unicode ? "–" : "-", fmt_duration(until, end));
	/* The heap is not kept by thread. */
	if (*request->thread && context->table != MODEL_HEAP)
		str_addf(to, "  thread %s", request->thread);
}

void pane_words_add_place(struct str *to, const struct snapshot_location *location)
{
	if (!location || !*location->file)
		return;
	str_add(to, location->file);
	if (location->line)
		str_addf(to, ":%u", location->line);
}

const char *pane_words_empty(const struct pane_context *context)
{
	const struct model *model = context->model;
	bool is_part;

	if (!model)
		return context->state && context->state->kind == FEED_FAILED
			       ? context->state->message
			       : "Opening the profile.";
	is_part = model->request.from_ns || model->request.to_ns < model->snapshot->duration_ns ||
		  *model->request.thread;
	switch (context->table) {
	case MODEL_HEAP:
		if (!model->tables[MODEL_HEAP].is_there)
			return "The heap was not recorded.";
		return is_part ? "Nothing was live in this range of time."
			       : "Nothing was allocated yet.";
	case MODEL_WAIT:
		if (!model->wait)
			return "Waits were not recorded.";
		return is_part ? "Nobody waited in this range of time." : "Nobody waited yet.";
	default:
		if (!model->cpu)
			return "CPU samples were not recorded.";
		return is_part ? "No samples in this range of time." : "No samples yet.";
	}
}

void pane_words_put(struct canvas *canvas, struct area area, const char *words)
{
	int x = (area.width - (int)str_width(words)) / 2;

	canvas_put(canvas, area, x > 0 ? x : 0, area.height / 2, (struct style){.ink = INK_DIM},
		   words);
}
