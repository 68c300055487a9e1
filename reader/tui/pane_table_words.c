/* What a table says where it has no rows: why, and what to do. */
#include "reader/tui/pane_table.h"

#include <string.h>

#include "reader/util/own.h"
#include "reader/view/heap_facts.h"

/* Lines to be wrapped; what is foreign is scrubbed where it is put. */
struct words {
	struct str why, remedy;
};

/* "heap: not recorded: no such privilege" without a stop at its end. */
static void add_absent(struct words *words, const char *signal, const char *reason,
		       const char *remedy)
{
	str_addf(&words->why, "%s: not recorded%s%s", signal, reason && *reason ? ": " : "",
		 reason ? reason : "");
	str_add(&words->remedy, remedy);
}

static void add_heap(struct words *words, const struct snapshot *snapshot)
{
	static const char again[] = "For heap by line record again: rsprof run -- PROGRAM, or as "
				    "root: rsprof -p PID --heap auto";

	if (!heap_facts_is_totals_only(snapshot)) {
		add_absent(words, "heap", heap_facts_reason(snapshot), again);
		return;
	}
	str_addf(&words->why, "heap: totals only%s%s",
		 *heap_facts_reason(snapshot) ? ", not counted by line: " : "",
		 heap_facts_reason(snapshot));
	str_add(&words->remedy, again);
}

static void add_not_recorded(struct words *words, const struct snapshot *snapshot,
			     enum model_table table)
{
	switch (table) {
	case MODEL_HEAP:
		add_heap(words, snapshot);
		break;
	case MODEL_WAIT:
		add_absent(words, "wait", snapshot_meta_get(snapshot, "wait_source_reason"),
			   "For waits by line record again as root: rsprof -p PID -e "
			   "cpu-clock,wait-time");
		break;
	default:
		add_absent(words, "cpu", snapshot_meta_get(snapshot, "cpu_source_reason"), "");
		break;
	}
}

static void add_opening(struct words *words, const struct feed_state *state)
{
	if (state && *state->message)
		str_add(&words->why, state->message);
	else
		str_add(&words->why, state && state->kind == FEED_FAILED ? "It cannot be read."
									 : "reading the profile");
}

static bool is_live(const struct feed_state *state)
{
	return state && (state->kind == FEED_RECORDING || state->kind == FEED_FOLLOWING);
}

static void add_no_rows(struct words *words, const struct pane_context *context,
			const struct table_source *source)
{
	const struct model_request *request = &source->model->request;
	bool is_range = request->from_ns || request->to_ns != UINT64_MAX;
	static const char *const nouns[MODEL_TABLES] = {
		[MODEL_CPU] = "no samples",
		[MODEL_HEAP] = "nothing was allocated",
		[MODEL_WAIT] = "no waits",
	};

	str_add(&words->why, nouns[source->table]);
	if (is_range)
		str_add(&words->why, " in this range");
	else if (is_live(context->state))
		str_add(&words->why, " yet");
	if (is_range)
		str_add(&words->remedy, "Esc shows the whole profile again.");
}

static void choose_words(struct words *words, const struct pane_context *context,
			 const struct table_source *source)
{
	if (!source->model) {
		add_opening(words, context->state);
	} else if (source->count) {
		str_addf(&words->why, "Nothing matches \"%s\".",
			 context->filter ? context->filter : "");
		str_add(&words->remedy, "Esc clears the filter.");
	} else if (!source->rows->is_there || (source->heap && source->heap->is_totals_only)) {
		add_not_recorded(words, source->model->snapshot, source->table);
	} else {
		add_no_rows(words, context, source);
	}
}

/* Words in lines of the area from line y on; returns the line behind them. */
static int draw_wrapped(struct canvas *canvas, struct area area, int y, struct style style,
			const char *text)
{
	OWN(str_done) struct str clean = {0}, word = {0};
	const char *at;
	int x = 0;

	str_add_scrubbed(&clean, text);
	for (at = str_text(&clean); *at;) {
		size_t length = strcspn(at, " ");
		int width;

		str_clear(&word);
		str_add_bytes(&word, at, length);
		width = (int)str_width(str_text(&word));
		if (x && x + 1 + width > area.width) {
			x = 0;
			y++;
		}
		x += x ? 1 : 0;
		x += canvas_put(canvas, area, x, y, style, str_text(&word));
		at += length;
		at += strspn(at, " ");
	}
	return *str_text(&clean) ? y + 1 : y;
}

void pane_table_draw_words(const struct pane_context *context, const struct table_source *source,
			   const struct pane_table *table, struct canvas *canvas,
			   struct area inside)
{
	struct area room = {inside.left + 2, inside.top + 1, inside.width - 4, inside.height - 1};
	struct words words = {0};
	int y;

	(void)table;
	choose_words(&words, context, source);
	y = draw_wrapped(canvas, room, 0, (struct style){.ink = INK_NORMAL}, str_text(&words.why));
	draw_wrapped(canvas, room, y + 1, (struct style){.ink = INK_DIM}, str_text(&words.remedy));
	str_done(&words.why);
	str_done(&words.remedy);
}
