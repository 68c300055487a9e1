#include "reader/tui/header.h"

#include <string.h>

#include "reader/tui/parts.h"
#include "reader/util/fmt.h"
#include "reader/util/own.h"
#include "reader/view/cell.h"
#include "reader/view/head.h"
#include "reader/view/heap_facts.h"
#include "reader/view/text_head.h"

/* Columns that a name may take from all the rest. */
enum { NAME_MAX_COLUMNS = 32, REASON_MIN = 20, FILE_MIN = 12, TEXT_MIN = 16 };

/* Of CPU and waits; it has reasons too, why it could be taken. */
static const char BEST_SOURCE[] = "bpf";

static const char *const view_names[SHOWN_KINDS] = {"CPU", "Memory", "Both", "Wait"};
static const struct style plain = {.ink = INK_ON_BAR, .ground = GROUND_BAR};
static const struct style dim = {.ink = INK_DIM, .ground = GROUND_BAR};
static const struct style title = {.ink = INK_ACCENT, .ground = GROUND_BAR, .face = FACE_BOLD};
static const struct style accent = {.ink = INK_ACCENT, .ground = GROUND_BAR};
static const struct style good = {.ink = INK_GOOD, .ground = GROUND_BAR, .face = FACE_BOLD};
static const struct style warn = {.ink = INK_WARN, .ground = GROUND_BAR, .face = FACE_BOLD};

static const struct snapshot_recording *recording_of(const struct model *model)
{
	const struct snapshot *snapshot = model ? model->snapshot : NULL;

	return snapshot && snapshot->recording_count
		       ? &snapshot->recordings[snapshot->recording_count - 1]
		       : NULL;
}

static const char *meta(const struct header *header, const char *key)
{
	const char *value = header->model ? snapshot_meta_get(header->model->snapshot, key) : NULL;

	return value ? value : "";
}

static bool is_growing(const struct feed_state *state)
{
	return state->kind == FEED_RECORDING || state->kind == FEED_FOLLOWING;
}

/* ---- first line */

static void add_badge(const struct header *header, const struct canvas *canvas, struct parts *parts)
{
	static const struct {
		const char *word;
		const struct style *style;
	} badges[] = {
		[FEED_OPENING] = {"OPENING", &dim},	 [FEED_RECORDING] = {"RECORDING", &good},
		[FEED_FOLLOWING] = {"FOLLOWING", &good}, [FEED_ENDED] = {"ENDED", &warn},
		[FEED_SAVED] = {"SAVED", &accent},	 [FEED_FAILED] = {"FAILED", &warn},
	};
	enum feed_state_kind kind = header->state->kind;
	struct str *text;

	if (header->is_paused) {
		str_addf(parts_add(parts, PARTS_KEEP, warn), "%s PAUSED",
			 canvas_glyph(canvas, GLYPH_PAUSE));
		str_add(parts_add(parts, 85, warn),
			is_growing(header->state) ? "recording goes on, press p" : "press p");
		return;
	}
	text = parts_add(parts, PARTS_KEEP, *badges[kind].style);
	if (is_growing(header->state))
		str_addf(text, "%s ", canvas_glyph(canvas, GLYPH_BULLET));
	str_add(text, badges[kind].word);
	parts->parts[parts->count - 1].is_joined = true;
}

static void add_process(const struct header *header, struct parts *parts)
{
	const struct snapshot_recording *recording = recording_of(header->model);
	OWN(str_done) struct str name = {0};
	struct str *text;

	if (!recording)
		return;
	cell_add_clean(&name, recording->process_name);
	text = parts_add(parts, 80, plain);
	cell_add_name(text, str_text(&name), NAME_MAX_COLUMNS);
	str_addf(text, " (%u)", recording->pid);
}

static void add_numbers(const struct header *header, struct parts *parts)
{
	const struct feed_state *state = header->state;
	const char *frequency = meta(header, "cpu_freq_hz");
	char number[FMT_MAX];

	str_add(parts_add(parts, 70, plain), fmt_clock(number, state->elapsed_ns));
	str_addf(parts_add(parts, 60, plain), "%s %s", fmt_count(number, state->samples),
		 state->samples == 1 ? "sample" : "samples");
	if (*frequency) {
		struct str *text = parts_add(parts, 30, plain);

		cell_add_clean(text, frequency);
		str_add(text, " Hz");
	}
	if (state->is_heap_live)
		str_addf(parts_add(parts, 50, plain), "heap %s",
			 fmt_bytes(number, state->heap_live_bytes));
	if (state->rss_bytes)
		str_addf(parts_add(parts, 40, plain), "RSS %s",
			 fmt_bytes(number, state->rss_bytes));
}

static int views_width(void)
{
	int width = 0;

	for (int i = 0; i < SHOWN_KINDS; i++)
		width += (int)strlen(view_names[i]) + 2;
	return width;
}

static void draw_views(const struct header *header, struct canvas *canvas, struct area area)
{
	int x = area.width - views_width();

	for (int i = 0; i < SHOWN_KINDS; i++) {
		bool is_it = i == (int)header->shown;

		x += canvas_putf(canvas, area, x, 0, is_it ? title : plain, is_it ? "[%s]" : " %s ",
				 view_names[i]);
	}
}

enum shown header_view_at(struct area area, int x)
{
	int left = area.left + area.width - views_width();

	for (int i = 0; i < SHOWN_KINDS; i++) {
		int width = (int)strlen(view_names[i]) + 2;

		if (x >= left && x < left + width)
			return (enum shown)i;
		left += width;
	}
	return SHOWN_KINDS;
}

static void draw_first(const struct header *header, struct canvas *canvas, struct area area)
{
	struct parts parts = {0};

	str_add(parts_add(&parts, 20, title), "rsprof ");
	add_badge(header, canvas, &parts);
	add_process(header, &parts);
	add_numbers(header, &parts);
	parts_draw(&parts, canvas, area, 1, area.width - views_width() - 1, 0, "  ", plain);
	parts_done(&parts);
	draw_views(header, canvas, area);
}

/* ---- second line: what of it is shown, and where it came from */

static void add_limits(const struct header *header, const struct canvas *canvas,
		       struct parts *parts)
{
	const struct model_request *request = header->request;
	char from[FMT_MAX], to[FMT_MAX];
	struct str *text;

	if (request->from_ns || request->to_ns != UINT64_MAX) {
		uint64_t to_ns = request->to_ns;

		if (to_ns == UINT64_MAX)
			to_ns = header->state->elapsed_ns;
		str_addf(parts_add(parts, PARTS_KEEP, title), "%s%s%s",
			 fmt_duration(from, request->from_ns), canvas_glyph(canvas, GLYPH_DASH),
			 fmt_duration(to, to_ns));
	}
	if (*request->thread) {
		text = parts_add(parts, 95, title);
		str_add(text, "thread ");
		cell_add_clean(text, *header->thread_name ? header->thread_name : request->thread);
	}
	if (request->by_thread)
		str_add(parts_add(parts, 94, title), "by thread");
	if (*header->filter) {
		text = parts_add(parts, 96, title);
		str_add(text, "/");
		cell_add_clean(text, header->filter);
		parts->parts[parts->count - 1].width_min = TEXT_MIN;
	}
	if (header->state->is_busy)
		str_addf(parts_add(parts, 90, accent), "reading%s",
			 canvas_glyph(canvas, GLYPH_ELLIPSIS));
}

/* Why it is no better one. */
static void add_reason(struct parts *parts, const char *reason)
{
	struct str *text;

	if (!*reason)
		return;
	text = parts_add(parts, 15, dim);
	str_add(text, " (");
	cell_add_clean(text, reason);
	str_add(text, ")");
	parts->parts[parts->count - 1].is_joined = true;
	parts->parts[parts->count - 1].width_min = REASON_MIN;
}

static void add_share(struct str *text, const struct header *header)
{
	const struct feed_state *state = header->state;
	const struct view *view = header->model->cpu;
	bool is_range = header->request->from_ns || header->request->to_ns != UINT64_MAX;
	double share = view ? view->complete_pct : 100;
	char number[FMT_MAX];

	if (!is_range && state->judged)
		share = 100.0 * (double)state->complete / (double)state->judged;
	if ((view && view->judged) || state->judged)
		str_addf(text, " %s %% complete", text_share(number, share));
}

static void add_cpu(const struct header *header, struct parts *parts)
{
	const char *source = meta(header, "cpu_source");
	struct str *text;

	if (!*source)
		return;
	text = parts_add(parts, 60, plain);
	str_add(text, "cpu ");
	cell_add_clean(text, source);
	if (strcmp(source, "off"))
		add_share(text, header);
	if (strcmp(source, BEST_SOURCE))
		add_reason(parts, meta(header, "cpu_source_reason"));
}

static void add_heap(const struct header *header, struct parts *parts)
{
	const struct snapshot *snapshot = header->model->snapshot;
	const struct heap_view *heap = header->model->heap;
	struct str *text = parts_add(parts, 50, plain);

	str_add(text, "heap ");
	if (heap || heap_facts_is_totals_only(snapshot)) {
		heap_facts_add_source(text, snapshot);
		if (heap && !heap->is_totals_only)
			str_addf(text, " %s", heap_mode_names[heap->mode]);
	} else {
		str_add(text, "off");
	}
	if (!heap || heap->is_totals_only)
		add_reason(parts, heap_facts_reason(snapshot));
	else
		add_reason(parts, heap_facts_agent_reason(snapshot));
}

static void add_wait(const struct header *header, struct parts *parts)
{
	const char *source = meta(header, "wait_source");
	struct str *text;

	/* It is nearly always that of the CPU. */
	if (!*source || !strcmp(source, meta(header, "cpu_source")) || !strcmp(source, "off"))
		return;
	text = parts_add(parts, 25, plain);
	str_add(text, "wait ");
	cell_add_clean(text, source);
	if (strcmp(source, BEST_SOURCE))
		add_reason(parts, meta(header, "wait_source_reason"));
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static void draw_second(const struct header *header, struct canvas *canvas, struct area area)
{
	OWN(str_done) struct str separator = {0};
	struct parts parts = {0};
	char number[FMT_MAX];

	str_addf(&separator, " %s ", canvas_glyph(canvas, GLYPH_DOT));
	add_limits(header, canvas, &parts);
	if (header->model) {
		add_cpu(header, &parts);
		add_heap(header, &parts);
		add_wait(header, &parts);
	}
	str_addf(parts_add(&parts, 85, header->state->lost ? warn : plain), "lost %s",
		 fmt_count(number, header->state->lost));
	if (header->model) {
		cell_add_clean(parts_add(&parts, 20, dim),
			       base_name(header->model->snapshot->file));
		parts.parts[parts.count - 1].width_min = FILE_MIN;
	}
	parts_draw(&parts, canvas, area, 1, area.width - 1, 1, str_text(&separator), dim);
	parts_done(&parts);
}

/* ---- notices */

static void add_losses(struct str *text, const struct header *header)
{
	const struct losses *losses = header->model ? &header->model->snapshot->losses : NULL;
	size_t shown = 0, more = 0;

	for (int cause = 0; losses && cause < LOSS_CAUSES; cause++) {
		if (!losses->count[cause] || loss_texts[cause].weight != LOSS_IS_LOST)
			continue;
		if (shown++)
			more++;
		else
			view_add_loss(text, losses, (enum loss_cause)cause);
	}
	if (more)
		str_addf(text, " (and %zu more: rsprof top)", more);
}

/* One line: what feeds say may be long, and comes from names. */
static void add_message(struct str *text, const struct header *header)
{
	const struct feed_state *state = header->state;

	if (!*state->message)
		return;
	if (state->kind == FEED_ENDED)
		str_add(text, "ended: ");
	cell_add_clean(text, state->message);
}

int header_lines(const struct header *header)
{
	OWN(str_done) struct str losses = {0};

	add_losses(&losses, header);
	return 2 + (losses.length > 0) + (*header->state->message != '\0');
}

static void draw_notice(struct canvas *canvas, struct area area, int *y, const struct str *text)
{
	int room = area.width - 2;

	if (!text->length)
		return;
	if ((int)str_width(str_text(text)) > room) {
		const char *ellipsis = canvas_glyph(canvas, GLYPH_ELLIPSIS);
		struct area most = area;

		most.width = room + 1 - (int)str_width(ellipsis);
		canvas_put_right(canvas, area, room + 1, *y, warn, ellipsis);
		area = most;
	}
	canvas_put(canvas, area, 1, (*y)++, warn, str_text(text));
}

void header_draw(const struct header *header, struct canvas *canvas, struct area area)
{
	OWN(str_done) struct str losses = {0}, message = {0};
	int y = 2;

	canvas_paint(canvas, area, GROUND_BAR, 0);
	draw_first(header, canvas, area);
	draw_second(header, canvas, area);
	add_losses(&losses, header);
	add_message(&message, header);
	draw_notice(canvas, area, &y, &losses);
	draw_notice(canvas, area, &y, &message);
}
