/* The lines around the panes, at the widths of terminals. */
#include "tests/lib/kit.h"

#include <locale.h>
#include <stdlib.h>

#include "reader/tui/footer.h"
#include "reader/tui/header.h"
#include "tests/lib/snapshot_builder.h"

static struct snapshot_builder *builder;
static struct model model;
static struct view cpu;
static struct heap_view heap;
static struct feed_state state;
static struct model_request request;

static struct header a_recording(void)
{
	setlocale(LC_ALL, "C.UTF-8");
	builder = builder_new();
	builder_meta(builder, "cpu_freq_hz", "99");
	builder_meta(builder, "cpu_source", "bpf");
	builder_meta(builder, "cpu_source_reason", "bpf is allowed");
	builder_meta(builder, "heap_source", "agent");
	builder_meta(builder, "wait_source", "bpf");
	cpu = (struct view){.complete_pct = 99.94, .judged = 31842};
	heap = (struct heap_view){.mode = HEAP_MODE_EXACT};
	model = (struct model){.cpu = &cpu, .heap = &heap};
	request = (struct model_request){.to_ns = UINT64_MAX, .chart_to_ns = UINT64_MAX};
	state = (struct feed_state){
		.kind = FEED_RECORDING,
		.elapsed_ns = UINT64_C(323) * 1000000000,
		.samples = 31842,
		.judged = 31842,
		.complete = 31823,
		.is_heap_live = true,
		.heap_live_bytes = 89400000,
		.rss_bytes = 131000000,
	};
	return (struct header){
		.model = &model,
		.state = &state,
		.request = &request,
		.thread_name = "",
		.filter = "",
	};
}

static void check(const struct header *header, int width, const char *want)
{
	struct canvas canvas;
	struct str got = {0};

	model.snapshot = (struct snapshot *)builder_snapshot(builder);
	canvas_init(&canvas, width, header_lines(header), true);
	header_draw(header, &canvas, canvas_area(&canvas));
	canvas_print(&canvas, &got);
	CHECK_EQ_STR(str_text(&got), want);
	str_done(&got);
	canvas_done(&canvas);
}

TEST(wide)
{
	struct header header = a_recording();

	check(&header, 128,
	      " rsprof ● RECORDING  my-app (12345)  00:05:23  31,842 samples  99 Hz  heap 89.4 MB  "
	      "RSS 131.0 MB       [CPU] Memory  Both  Wait\n"
	      " cpu bpf 99.9 % complete · heap agent exact · lost 0 · "
	      "rsprof.my-app.250106143022.db\n");
	builder_free(builder);
}

TEST(narrower_leaves_the_least_important_out)
{
	struct header header = a_recording();

	header.shown = SHOWN_HEAP;
	check(&header, 120,
	      " ● RECORDING  my-app (12345)  00:05:23  31,842 samples  99 Hz  heap 89.4 MB  "
	      "RSS 131.0 MB       CPU [Memory] Both  Wait\n"
	      " cpu bpf 99.9 % complete · heap agent exact · lost 0 · "
	      "rsprof.my-app.250106143022.db\n");
	header.shown = SHOWN_WAIT;
	check(&header, 80,
	      " ● RECORDING  my-app (12345)  00:05:23  31,842 samples  CPU  Memory  Both [Wait]\n"
	      " cpu bpf 99.9 % complete · heap agent exact · lost 0 · ….my-app.250106143022.db\n");
	builder_free(builder);
}

TEST(paused)
{
	struct header header = a_recording();

	header.is_paused = true;
	check(&header, 80,
	      " ▐▐ PAUSED  recording goes on, press p  my-app (12345) [CPU] Memory  Both  Wait\n"
	      " cpu bpf 99.9 % complete · heap agent exact · lost 0 · ….my-app.250106143022.db\n");
	builder_free(builder);
}

TEST(states_have_their_words)
{
	static const struct {
		enum feed_state_kind kind;
		const char *word;
	} words[] = {
		{FEED_OPENING, " rsprof OPENING"},	 {FEED_RECORDING, " rsprof ● RECORDING"},
		{FEED_FOLLOWING, " rsprof ● FOLLOWING"}, {FEED_ENDED, " rsprof ENDED"},
		{FEED_SAVED, " rsprof SAVED"},		 {FEED_FAILED, " rsprof FAILED"},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		struct header header = a_recording();
		struct str got = {0};
		struct canvas canvas;

		state.kind = words[i].kind;
		/* There is nothing yet. */
		header.model = NULL;
		canvas_init(&canvas, 100, 2, true);
		header_draw(&header, &canvas, canvas_area(&canvas));
		canvas_print(&canvas, &got);
		CHECK(str_starts(str_text(&got), words[i].word));
		CHECK(strstr(str_text(&got), " lost 0\n"));
		str_done(&got);
		canvas_done(&canvas);
		builder_free(builder);
	}
}

TEST(what_is_missing_and_how_it_ended)
{
	struct header header = a_recording();

	builder_loss(builder, LOSS_RING_FULL, 312);
	builder_loss(builder, LOSS_STACKS_FULL, 2);
	/* Noted, not lost. */
	builder_loss(builder, LOSS_LATE, 5);
	state.lost = 314;
	state.kind = FEED_ENDED;
	snprintf(state.message, sizeof(state.message), "%s",
		 "my-app exited with 0 after 5m23s; the profile is saved");
	model.snapshot = (struct snapshot *)builder_snapshot(builder);
	CHECK_EQ_I64(header_lines(&header), 4);
	check(&header, 100,
	      " ENDED  my-app (12345)  00:05:23  31,842 samples  heap 89.4 MB             [CPU] "
	      "Memory  Both  Wait\n"
	      " cpu bpf 99.9 % complete · heap agent exact · lost 314 · "
	      "rsprof.my-app.250106143022.db\n"
	      " lost 312 samples (ring full): lower --cpu-freq or raise --buffer (and 1 more: "
	      "rsprof "
	      "top)\n"
	      " ended: my-app exited with 0 after 5m23s; the profile is saved\n");
	builder_free(builder);
}

TEST(losses_are_told_in_the_warning_colour)
{
	struct header header = a_recording();
	struct str got = {0};
	struct canvas canvas;

	builder_loss(builder, LOSS_RING_FULL, 312);
	state.lost = 312;
	model.snapshot = (struct snapshot *)builder_snapshot(builder);
	canvas_init(&canvas, 100, 3, true);
	header_draw(&header, &canvas, canvas_area(&canvas));
	canvas_print(&canvas, &got);
	for (int y = 1; y < 3; y++) {
		const char *line = str_text(&got);
		int x = 0;

		for (int i = 0; i < y; i++)
			line = strchr(line, '\n') + 1;
		while (strncmp(canvas.cells[y * 100 + x].text, "l", 1) ||
		       strncmp(canvas.cells[y * 100 + x + 5].text, "3", 1))
			x++;
		CHECK(strstr(line, "lost 312"));
		CHECK_EQ_I64(canvas.cells[y * 100 + x].style.ink, INK_WARN);
	}
	str_done(&got);
	canvas_done(&canvas);
	builder_free(builder);
}

TEST(a_lesser_source_has_its_reason)
{
	struct header header = a_recording();

	builder_free(builder);
	builder = builder_new();
	builder_meta(builder, "cpu_source", "perf");
	builder_meta(builder, "cpu_source_reason", "bpf needs CAP_BPF");
	builder_meta(builder, "heap_source", "off");
	builder_meta(builder, "heap_source_reason", "no agent, no bpf");
	model.heap = NULL;
	state.is_heap_live = false;
	check(&header, 120,
	      " rsprof ● RECORDING  my-app (12345)  00:05:23  31,842 samples  RSS 131.0 MB         "
	      "  "
	      "         [CPU] Memory  Both  Wait\n"
	      " cpu perf 99.9 % complete (bpf needs CAP_BPF) · heap off (no agent, no bpf) · lost "
	      "0 · "
	      "rsprof.my-app.250106143022.db\n");
	builder_free(builder);
}

TEST(what_is_shown_of_it)
{
	struct header header = a_recording();

	request.from_ns = UINT64_C(120) * 1000000000;
	request.to_ns = UINT64_C(210) * 1000000000;
	strcpy(request.thread, "12346");
	header.thread_name = "worker (12346)";
	header.filter = "parse\033[2J";
	cpu.complete_pct = 50;
	check(&header, 120,
	      " ● RECORDING  my-app (12345)  00:05:23  31,842 samples  99 Hz  heap 89.4 MB  RSS "
	      "131.0 MB      [CPU] Memory  Both  Wait\n"
	      " 2m00s–3m30s · thread worker (12346) · /parse?[2J · cpu bpf 50.0 % complete · heap "
	      "agent exact · lost 0 · …106143022.db\n");
	builder_free(builder);
}

TEST(names_are_foreign)
{
	struct header header = a_recording();
	char *name = malloc(10001);
	struct snapshot snapshot;
	struct snapshot_recording recording;
	struct str got = {0};
	struct canvas canvas;

	memset(name, '\033', 10000);
	name[10000] = '\0';
	snapshot = *builder_snapshot(builder);
	recording = snapshot.recordings[0];
	recording.process_name = name;
	snapshot.recordings = &recording;
	snapshot.file = name;
	model.snapshot = &snapshot;
	canvas_init(&canvas, 120, 2, true);
	header_draw(&header, &canvas, canvas_area(&canvas));
	canvas_print(&canvas, &got);
	CHECK(!strchr(str_text(&got), '\033'));
	CHECK(strstr(str_text(&got), "[CPU] Memory  Both  Wait\n"));
	CHECK(strstr(str_text(&got), "lost 0"));
	str_done(&got);
	canvas_done(&canvas);
	free(name);
	builder_free(builder);
}

TEST(views_are_found_where_they_are)
{
	struct area area = {0, 0, 80, 2};

	CHECK_EQ_I64(header_view_at(area, 54), SHOWN_KINDS);
	CHECK_EQ_I64(header_view_at(area, 56), SHOWN_CPU);
	CHECK_EQ_I64(header_view_at(area, 63), SHOWN_HEAP);
	CHECK_EQ_I64(header_view_at(area, 70), SHOWN_BOTH);
	CHECK_EQ_I64(header_view_at(area, 76), SHOWN_WAIT);
	CHECK_EQ_I64(header_view_at(area, 80), SHOWN_KINDS);
}

/* ---- the last line */

static void check_footer(const struct footer *footer, int width, const char *want)
{
	struct canvas canvas;
	struct str got = {0};

	setlocale(LC_ALL, "C.UTF-8");
	canvas_init(&canvas, width, 1, true);
	footer_draw(footer, &canvas, canvas_area(&canvas));
	canvas_print(&canvas, &got);
	CHECK_EQ_STR(str_text(&got), want);
	str_done(&got);
	canvas_done(&canvas);
}

TEST(footer_has_what_fits)
{
	struct footer footer = {.message = ""};

	check_footer(
		&footer, 130,
		" q quit  ? help  1-4 views  Enter chart  o callers  F flame  a source  / filter  "
		"s sort  p pause  Tab focus  [ ] range\n");
	check_footer(&footer, 80,
		     " q quit  ? help  1-4 views  Enter chart  o callers  F flame  a source  / "
		     "filter\n");
	check_footer(&footer, 40, " q quit  ? help  1-4 views  Enter chart\n");
	footer.is_overlay = true;
	footer.is_search = true;
	footer.pane_words = "Enter zoom";
	check_footer(&footer, 80, " q quit  ? help  Esc back  / search  Enter zoom\n");
}

TEST(footer_is_a_prompt)
{
	struct footer footer = {.message = "no", .typed = "pars\033"};

	check_footer(&footer, 80, " filter /pars?▏   Enter keeps  Esc clears\n");
	footer.typed = "0123456789012345678901234567890123456789";
	check_footer(&footer, 80,
		     " filter /…12345678901234567890123456789▏   Enter keeps  Esc clears\n");
	footer.typed = NULL;
	check_footer(&footer, 80, " no\n");
}

KIT_MAIN
