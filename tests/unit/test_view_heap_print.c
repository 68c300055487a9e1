/* What is printed of the heap: text to the last space, JSON that parsers take, CSV that quotes. */
#include <ctype.h>
#include <locale.h>

#include "reader/util/str.h"
#include "tests/unit/heap_profile.h"

static const struct view_request by_line;

static void use_unicode(void)
{
	if (!setlocale(LC_ALL, "C.UTF-8"))
		SKIP("no locale C.UTF-8");
}

enum format { TEXT, JSON, CSV };

/* To be freed. */
static char *print_as(enum format format, struct snapshot_builder *b,
		      const struct view_request *request, const struct view_print *print)
{
	const struct snapshot *snapshot = builder_snapshot(b);
	struct heap_view *view = heap_build(b, request);
	char *text = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&text, &length);

	if (format == TEXT)
		heap_view_print_text(to, snapshot, view, request, print);
	else if (format == JSON)
		heap_view_print_json(to, snapshot, view);
	else
		heap_view_print_csv(to, view);
	fclose(to);
	heap_view_free(view);
	return text;
}

static void check_text(struct snapshot_builder *b, const struct view_request *request,
		       const struct view_print *print, const char *want)
{
	char *got = print_as(TEXT, b, request, print);

	CHECK_EQ_STR(got, want);
	free(got);
}

/* The line of the text that begins so; without its end. */
static void check_line(struct snapshot_builder *b, const char *begin, const char *want)
{
	char *text = print_as(TEXT, b, &by_line, &(struct view_print){0});
	char *line = text;

	while (line && strncmp(line, begin, strlen(begin))) {
		line = strchr(line, '\n');
		line = line && line[1] ? line + 1 : NULL;
	}
	if (!line)
		FAIL("no line \"%s\" in: %s", begin, text);
	*strchr(line, '\n') = '\0';
	CHECK_EQ_STR(line, want);
	free(text);
}

/* What jq prints for the document, joined to one line. */
static void check_jq(const char *document, const char *filter, const char *want)
{
	char path[512], command[1024], answer[4096];
	size_t length;
	FILE *file;

	if (system("command -v jq >/dev/null 2>&1"))
		SKIP("no jq");
	snprintf(path, sizeof(path), "%s/document.json", kit_folder());
	file = fopen(path, "w");
	CHECK(file && fputs(document, file) >= 0 && fclose(file) == 0);
	snprintf(command, sizeof(command), "jq -c '%s' '%s' 2>&1", filter, path);
	file = popen(command, "r");
	CHECK(file);
	length = fread(answer, 1, sizeof(answer) - 1, file);
	CHECK(pclose(file) == 0);
	answer[length] = '\0';
	if (length && answer[length - 1] == '\n')
		answer[length - 1] = '\0';
	CHECK_EQ_STR(answer, want);
}

/* As screens.md draws it. */
static struct snapshot_builder *told_profile(void)
{
	struct snapshot_builder *b = heap_profile();

	builder_file(b, "/profiles/rsprof.my-app.250106143022.db");
	builder_meta(b, "heap_anonymous_bytes_at_attach", "12000000");
	builder_step(b, 0, 0, "heap", "bpf");
	return b;
}

TEST(table_by_line)
{
	static const char table[] =
		"rsprof.my-app.250106143022.db   my-app (12345)   5m23s\n"
		"heap: bpf, exact, 17.2 % complete stacks (82.0 % broken, 0.8 % not walked) · "
		"live 18.1 KB in 8 blocks · peak 37.0 KB at 2s · RSS 131.0 MB · "
		"before attach: ≤ 12.0 MB unknown · lost: 0\n"
		"no line numbers for: libc.so.6 (no debug info)\n"
		"\n"
		"   Live     Peak    Total  Allocs  Temp%  Location          Function\n"
		"13.0 KB  33.0 KB  45.0 KB      18     0%  src/buffer.rs:34  Buffer::extend\n"
		" 5.0 KB   5.0 KB   5.0 KB       3     0%  src/cache.rs:201  Cache::insert\n"
		"   64 B     64 B     64 B       1     0%  [unknown]         [no user stack]\n"
		"    0 B      0 B      0 B       0     0%  src/main.rs:10    main\n"
		"    0 B      0 B      0 B       0     0%  [libc.so.6]       malloc\n"
		"    0 B      0 B   6.4 KB     100    90%  src/buffer.rs:50  Buffer::grow\n"
		"6 of 6 locations, 100.0 % of live bytes\n";
	struct snapshot_builder *b = told_profile();

	use_unicode();
	check_text(b, &by_line, &(struct view_print){0}, table);
	check_text(b, &by_line, &(struct view_print){.columns = 80}, table);
	check_text(b, &by_line, &(struct view_print){.columns = 120}, table);
	builder_free(b);
}

TEST(table_in_ascii_where_the_locale_has_no_more)
{
	struct snapshot_builder *b = told_profile();

	setlocale(LC_ALL, "C");
	builder_loss(b, LOSS_HEAP_BLOCKS_FULL, 3);
	builder_heap_row(b, 3, HEAP_STACK_EXTEND,
			 (struct heap_counts){.allocs = 1, .untracked = 1});
	check_text(
		b, &(struct view_request){.top = 1}, &(struct view_print){.columns = 60},
		"rsprof.my-app.250106143022.db   my-app (12345)   5m23s\n"
		"heap: bpf, exact, 17.9 % complete stacks (81.3 % broken, 0.8 % not walked) - "
		"live >=18.1 KB in 8 blocks - peak >=37.0 KB at 2s - RSS 131.0 MB - "
		"before attach: <= 12.0 MB unknown - lost: 3\n"
		"lost 3 allocations (no room to track them: in the totals, not in what is live): "
		"raise --heap-blocks\n"
		"\n"
		"     Live       Peak    Total  Allocs  Temp%  Location  Function\n"
		">=13.0 KB  >=33.0 KB  45.0 KB      19     0%  ...rs:34  extend\n"
		"1 of 6 locations, 72.0 % of live bytes\n");
	builder_free(b);
}

TEST(text_columns_follow_the_terminal)
{
	struct snapshot_builder *b = heap_program();
	const char *name = "my_app::storage::cache::lru::Cache::insert";
	uint32_t line = builder_location(b, 0, name, "serde_json/src/private/de/mod.rs", 89);
	uint32_t frame = builder_frame_at(b, line);
	uint32_t stack = builder_stack(b, &frame, 1, STACK_COMPLETE, line);

	use_unicode();
	heap_poll_at(b, 0, 0, 0);
	heap_poll_at(b, 1000, 0, 0);
	builder_heap_row(b, 1, stack,
			 (struct heap_counts){.allocs = 1000, .alloc_bytes = 48300000});
	builder_heap_sum(b);
	check_text(
		b, &by_line, &(struct view_print){.columns = 120},
		"rsprof.my-app.250106143022.db   my-app (12345)   5m23s\n"
		"heap: bpf, exact · live 48.3 MB in 1,000 blocks · peak 48.3 MB at 1s · lost: 0\n"
		"\n"
		"   Live     Peak    Total  Allocs  Temp%  Location                             "
		"Function\n"
		"48.3 MB  48.3 MB  48.3 MB   1,000     0%  serde_json/src/private/de/mod.rs:89  "
		"…::storage::cache::lru::Cache::insert\n"
		"1 of 1 locations, 100.0 % of live bytes\n");
	check_text(
		b, &by_line, &(struct view_print){.columns = 80},
		"rsprof.my-app.250106143022.db   my-app (12345)   5m23s\n"
		"heap: bpf, exact · live 48.3 MB in 1,000 blocks · peak 48.3 MB at 1s · lost: 0\n"
		"\n"
		"   Live     Peak    Total  Allocs  Temp%  Location            Function\n"
		"48.3 MB  48.3 MB  48.3 MB   1,000     0%  …/de/mod.rs:89      …::Cache::insert\n"
		"1 of 1 locations, 100.0 % of live bytes\n");
	builder_free(b);
}

TEST(table_by_each_wider_group)
{
	static const struct {
		enum view_group group;
		const char *table;
	} cases[] = {
		{VIEW_BY_FUNCTION,
		 "   Live     Peak    Total  Allocs  Temp%  Location          Function\n"
		 "13.0 KB  33.0 KB  45.0 KB      18     0%  src/buffer.rs:34  Buffer::extend\n"
		 "1 of 6 functions, 72.0 % of live bytes\n"},
		{VIEW_BY_FILE,
		 "   Live     Peak    Total  Allocs  Temp%  File           Hottest line\n"
		 "13.0 KB  33.0 KB  51.4 KB     118    76%  src/buffer.rs  src/buffer.rs:34 "
		 "Buffer::extend\n"
		 "1 of 5 files, 72.0 % of live bytes\n"},
		{VIEW_BY_MODULE,
		 "   Live     Peak    Total  Allocs  Temp%  Module  Hottest line\n"
		 "18.0 KB  37.0 KB  56.4 KB     121    74%  my-app  src/buffer.rs:34 "
		 "Buffer::extend\n"
		 "1 of 3 modules, 99.6 % of live bytes\n"},
	};
	struct snapshot_builder *b = heap_profile();

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct view_request request = {.group = cases[i].group, .top = 1};
		char *text = print_as(TEXT, b, &request, &(struct view_print){0});

		CHECK_EQ_STR(strstr(text, "\n\n") + 2, cases[i].table);
		free(text);
	}
	builder_free(b);
}

TEST(live_bytes_are_coloured_by_heat)
{
	struct snapshot_builder *b = heap_profile();
	char *text = print_as(TEXT, b, &by_line, &(struct view_print){.colour = true});

	CHECK(strstr(text, "\n\033[31m13.0 KB\033[0m  33.0 KB  45.0 KB "));
	CHECK(strstr(text, "\n\033[2m   64 B\033[0m     64 B "));
	free(text);
	text = print_as(TEXT, b, &by_line, &(struct view_print){0});
	CHECK(!strchr(text, '\033'));
	free(text);
	builder_free(b);
}

TEST(steps_down_are_told_with_their_reason)
{
	struct snapshot_builder *b = heap_profile();
	char *text;

	use_unicode();
	builder_step(b, 0, 0, "heap", "bpf");
	heap_step(b, 2 * SECOND, "bpf, sampled",
		  "Counting each block cost 23 % of the busiest thread.");
	builder_heap_row(b, 3, HEAP_STACK_EXTEND, (struct heap_counts){.estimated = 1});
	builder_window(b, 0, 3 * SECOND);
	text = print_as(TEXT, b, &(struct view_request){.top = 2},
			&(struct view_print){.colour = true});
	CHECK_EQ_STR(
		text,
		"rsprof.my-app.250106143022.db   my-app (12345)   0s–3s of 5m23s\n"
		"heap: bpf, sampled, 17.2 % complete stacks (82.0 % broken, 0.8 % not walked)"
		" · live ~18.1 KB in ~8 blocks · peak ~37.0 KB at 2s · RSS 131.0 MB · lost: 0\n"
		"\033[33msampled since 2s: Counting each block cost 23 % of the busiest thread.\n"
		"~ estimated: not each block was counted, but a sample by bytes\n"
		"\033[0m\n"
		"\033[1m    Live      Peak     Total  Allocs  Temp%  Location          Function"
		"\033[0m\n"
		"\033[31m~13.0 KB\033[0m  ~33.0 KB  ~45.0 KB     ~18     0%  "
		"src/buffer.rs:34  Buffer::extend\n"
		"\033[31m ~5.0 KB\033[0m   ~5.0 KB   ~5.0 KB      ~3     0%  "
		"src/cache.rs:201  Cache::insert\n"
		"2 of 6 locations, 99.6 % of live bytes\n");
	free(text);
	builder_window(b, 0, UINT64_MAX);
	builder_step(b, 0, 3 * SECOND, "heap", "bpf, allocations only");
	check_line(b, "heap:",
		   "heap: bpf, allocations only, 17.2 % complete stacks (82.0 % broken, "
		   "0.8 % not walked) · live ~18.1 KB in ~8 blocks as of 3s · peak ~37.0 KB at 2s "
		   "· RSS 131.0 MB · lost: 0");
	check_line(b, "allocations only", "allocations only since 3s");
	heap_step(b, 4 * SECOND, "off", "Even that cost too much.");
	check_line(b, "off", "off since 4s: Even that cost too much.");
	builder_free(b);
}

/* A window between two looks, or a program that was over before its allocator was found. */
TEST(where_nobody_looked_nothing_is_said_of_blocks)
{
	struct snapshot_builder *b = heap_program();
	char *text;

	use_unicode();
	text = print_as(TEXT, b, &by_line, &(struct view_print){0});
	CHECK_EQ_STR(strchr(text, '\n'),
		     "\nheap: bpf, exact · not looked at in this time · lost: 0\n\n");
	free(text);
	builder_free(b);
}

TEST(steps_that_change_no_mode_tell_what_is_watched)
{
	struct snapshot_builder *b = heap_program();
	char *text;

	use_unicode();
	builder_heap_poll(
		b, (struct snapshot_heap_poll){.time_ns = 2 * SECOND, .state.is_counted = true});
	heap_step(b, 0, "bpf", "glibc malloc in libc.so.6: 10 functions");
	heap_step(b, SECOND, "bpf, exact", "Watched from here on: jemalloc in libjemalloc.so.2.");
	text = print_as(TEXT, b, &by_line, &(struct view_print){.colour = true});
	CHECK_EQ_STR(strchr(text, '\n'),
		     "\nheap: bpf, exact · live 0 B in 0 blocks · lost: 0\n"
		     "at 1s: Watched from here on: jemalloc in libjemalloc.so.2.\n"
		     "\n"
		     "nothing was allocated\n");
	free(text);
	builder_free(b);
}

/* No allocator was known when the recording began. */
TEST(a_source_that_comes_later_is_named)
{
	struct snapshot_builder *b = builder_new();

	use_unicode();
	builder_meta(b, "heap_source", "totals");
	builder_meta(b, "heap_mode", "off");
	heap_step(b, 0, "totals", "no known allocator");
	heap_step(b, SECOND, "bpf, exact", "Watched from here on: jemalloc in libjemalloc.so.2.");
	heap_poll_at(b, 0, 0, 0);
	heap_poll_at(b, 2000, 1, 1);
	builder_heap_sum(b);
	check_line(b, "heap:", "heap: bpf, exact · live 0 B in 0 blocks · RSS 1 B · lost: 0");
	check_line(b, "exact since",
		   "exact since 1s: Watched from here on: jemalloc in libjemalloc.so.2.");
	builder_free(b);
}

TEST(frees_of_blocks_from_before_are_told)
{
	struct snapshot_builder *b = heap_program();
	struct snapshot_heap_poll poll = {.time_ns = SECOND,
					  .state = {.is_counted = true, .unknown_frees = 1204}};

	use_unicode();
	heap_poll_at(b, 0, 0, 0);
	builder_heap_poll(b, poll);
	check_line(b, "heap:",
		   "heap: bpf, exact · live 0 B in 0 blocks · 1,204 frees of blocks from before · "
		   "lost: 0");
	builder_loss(b, LOSS_HEAP_BLOCKS_FULL, 1);
	check_line(b, "heap:",
		   "heap: bpf, exact · live ≥0 B in 0 blocks · 1,204 frees of blocks from before, "
		   "or not tracked · lost: 1");
	builder_free(b);
}

TEST(an_empty_heap_says_so)
{
	struct snapshot_builder *b = heap_program();

	use_unicode();
	heap_poll_at(b, 0, 0, 0);
	heap_poll_at(b, 1000, 5000, 4000);
	builder_heap_sum(b);
	check_text(b, &by_line, &(struct view_print){.columns = 80, .colour = true},
		   "rsprof.my-app.250106143022.db   my-app (12345)   5m23s\n"
		   "heap: bpf, exact · live 0 B in 0 blocks · RSS 5.0 KB · lost: 0\n"
		   "\n"
		   "nothing was allocated\n");
	builder_free(b);
}

static struct snapshot_builder *totals_profile(void)
{
	struct snapshot_builder *b = builder_new();

	builder_meta(b, "cpu_source", "perf");
	builder_meta(b, "heap_source", "totals");
	builder_meta(b, "heap_source_reason", "the source perf counts no heap");
	heap_poll_at(b, 0, 0, 0);
	heap_poll_at(b, 1000, 90000000, 80000000);
	heap_poll_at(b, 192000, 131000000, 119000000);
	heap_poll_at(b, 323000, 70000000, 60000000);
	return b;
}

TEST(totals_alone_are_told_in_words)
{
	struct snapshot_builder *b = totals_profile();
	char *text;

	use_unicode();
	check_text(
		b, &by_line, &(struct view_print){.columns = 80},
		"rsprof.my-app.250106143022.db   my-app (12345)   5m23s\n"
		"heap: totals only · lost: 0\n"
		"not counted by line: the source perf counts no heap\n"
		"\n"
		"RSS: 90.0 MB at the beginning, at most 131.0 MB (at 3m12s), 70.0 MB at the end\n"
		"anonymous RSS: 80.0 MB at the beginning, at most 119.0 MB (at 3m12s), 60.0 MB "
		"at the end\n");
	text = print_as(CSV, b, &by_line, NULL);
	CHECK_EQ_STR(strchr(text, '\n'), "\n");
	free(text);
	text = print_as(JSON, b, &by_line, NULL);
	check_jq(text,
		 "[.mode, .source.heap, .is_estimate, .live_bytes, .peak_bytes, .total_allocs, "
		 ".rss_begin_bytes, .rss_max_bytes, .rss_max_ms, .rss_bytes, "
		 ".rss_anonymous_begin_bytes, .rss_anonymous_max_bytes, .rss_anonymous_bytes, "
		 ".unknown_frees, .entries]",
		 "[\"off\",\"totals\",false,null,null,null,90000000,131000000,192000,70000000,"
		 "80000000,119000000,60000000,null,[]]");
	free(text);
	builder_free(b);
}

TEST(json_document)
{
	struct snapshot_builder *b = told_profile();
	char *json;

	builder_file(b, "/profiles/x.db");
	builder_loss(b, LOSS_HEAP_CALLS_MISSED, 7);
	builder_meta(b, "heap_hits", "236");
	builder_meta(b, "heap_cost_pct", "0.42");
	json = print_as(JSON, b, &(struct view_request){.top = 2}, NULL);
	CHECK_EQ_STR(
		json,
		"{\n"
		"  \"file\": \"/profiles/x.db\",\n"
		"  \"duration_ms\": 323000,\n"
		"  \"source\": {\"cpu\": \"bpf\", \"heap\": \"bpf\"},\n"
		"  \"mode\": \"exact\",\n"
		"  \"is_estimate\": false,\n"
		"  \"complete_stacks_pct\": 17.2131,\n"
		"  \"losses\": {\"heap_calls_missed\": 7},\n"
		"  \"stack_status\": {\"complete\": 21, \"frame_pointers\": 0, \"broken\": 100, "
		"\"truncated\": 0, \"no_mapping\": 0, \"no_table\": 0, \"read_error\": 0, "
		"\"hidden_caller\": 0, \"empty\": 0, \"used_frame_pointers\": 0, "
		"\"not_walked\": 1},\n"
		"  \"live_bytes\": 18064,\n"
		"  \"live_blocks\": 8,\n"
		"  \"live_is_least\": false,\n"
		"  \"live_as_of_ms\": null,\n"
		"  \"peak_bytes\": 37000,\n"
		"  \"peak_ms\": 2000,\n"
		"  \"peak_resolution_ms\": 1000,\n"
		"  \"total_alloc_bytes\": 56464,\n"
		"  \"total_free_bytes\": 38400,\n"
		"  \"total_allocs\": 122,\n"
		"  \"total_frees\": 114,\n"
		"  \"temporary\": 90,\n"
		"  \"rss_bytes\": 131000000,\n"
		"  \"rss_begin_bytes\": 90000000,\n"
		"  \"rss_max_bytes\": 140000000,\n"
		"  \"rss_max_ms\": 2000,\n"
		"  \"rss_anonymous_bytes\": 119000000,\n"
		"  \"rss_anonymous_begin_bytes\": 80000000,\n"
		"  \"rss_anonymous_max_bytes\": 120000000,\n"
		"  \"rss_anonymous_max_ms\": 2000,\n"
		"  \"before_attach_max_bytes\": 12000000,\n"
		"  \"unknown_frees\": 0,\n"
		"  \"mmap_count\": 0,\n"
		"  \"mmap_bytes\": 0,\n"
		"  \"munmap_count\": 0,\n"
		"  \"munmap_bytes\": 0,\n"
		"  \"brk_bytes\": 0,\n"
		"  \"heap_hits\": 236,\n"
		"  \"heap_cost_pct\": 0.42,\n"
		"  \"steps\": [{\"time_ms\": 0, \"mode\": \"bpf\", \"reason\": \"\"}],\n"
		"  \"entries\": [\n"
		"    {\"bytes\": 13000, \"incl_bytes\": 13000, \"blocks\": 4, "
		"\"peak_bytes\": 33000, \"peak_ms\": 2000, \"total_alloc_bytes\": 45000, "
		"\"total_free_bytes\": 32000, \"total_allocs\": 18, \"total_frees\": 14, "
		"\"temporary\": 0, \"reallocs\": 0, \"growth_bytes\": 0, \"untracked\": 0, "
		"\"untracked_bytes\": 0, \"is_estimate\": false, \"file\": \"src/buffer.rs\", "
		"\"line\": 34, \"function\": \"Buffer::extend\", \"module\": \"my-app\"},\n"
		"    {\"bytes\": 5000, \"incl_bytes\": 15000, \"blocks\": 3, "
		"\"peak_bytes\": 5000, \"peak_ms\": 3000, \"total_alloc_bytes\": 5000, "
		"\"total_free_bytes\": 0, \"total_allocs\": 3, \"total_frees\": 0, "
		"\"temporary\": 0, \"reallocs\": 1, \"growth_bytes\": 500, \"untracked\": 0, "
		"\"untracked_bytes\": 0, \"is_estimate\": false, \"file\": \"src/cache.rs\", "
		"\"line\": 201, \"function\": \"Cache::insert\", \"module\": \"my-app\"}\n"
		"  ]\n"
		"}\n");
	check_jq(json, "[.entries[].bytes] | add", "18000");
	free(json);
	builder_free(b);
}

/* Frees that nobody watches are no sign of blocks that stay. */
TEST(temporary_is_a_share_of_what_was_watched)
{
	struct snapshot_builder *b = heap_program();
	char *text;

	heap_poll_at(b, 0, 0, 0);
	heap_poll_at(b, 1000, 1, 1);
	builder_heap_row(b, 1, HEAP_STACK_EXTEND,
			 (struct heap_counts){.allocs = 10,
					      .alloc_bytes = 1000,
					      .frees = 2,
					      .free_bytes = 200,
					      .untracked = 6,
					      .untracked_bytes = 600,
					      .temporary = 2});
	builder_heap_row(
		b, 1, HEAP_STACK_INSERT,
		(struct heap_counts){
			.allocs = 3, .alloc_bytes = 30, .untracked = 3, .untracked_bytes = 30});
	builder_heap_sum(b);
	use_unicode();
	/* Untracked by an exec: their frees were watched until then. */
	text = print_as(TEXT, b, &by_line, &(struct view_print){0});
	CHECK(strstr(text, " 20%  src/buffer.rs:34") && strstr(text, " 0%  src/cache.rs:201"));
	free(text);
	builder_step(b, 0, SECOND / 2, "heap", "bpf, allocations only");
	text = print_as(TEXT, b, &by_line, &(struct view_print){0});
	CHECK(strstr(text, " 50%  src/buffer.rs:34") && strstr(text, " –  src/cache.rs:201"));
	free(text);
	builder_free(b);
}

TEST(json_of_an_empty_heap)
{
	struct snapshot_builder *b = heap_program();
	char *json = print_as(JSON, b, &by_line, NULL);

	check_jq(json,
		 "[.mode, .live_bytes, .peak_bytes, .rss_bytes, .rss_max_ms, .unknown_frees, "
		 ".heap_hits, .heap_cost_pct, .steps, .entries]",
		 "[\"exact\",null,null,null,null,null,null,null,[],[]]");
	free(json);
	builder_free(b);
}

/* That a process has none is no news, and where it counts there is nothing to say. */
TEST(why_it_was_not_the_agent_is_told)
{
	static const char *const silent[] = {"", "no agent is loaded"};
	struct snapshot_builder *b = heap_profile();
	char *text;

	builder_meta(b, "heap_agent_reason", "./app is statically linked");
	check_line(b, "not counted by the agent",
		   "not counted by the agent: ./app is statically linked");
	builder_free(b);
	for (size_t i = 0; i < sizeof(silent) / sizeof(*silent); i++) {
		b = heap_profile();
		builder_meta(b, "heap_agent_reason", silent[i]);
		text = print_as(TEXT, b, &by_line, &(struct view_print){0});
		CHECK(!strstr(text, "not counted by the agent"));
		free(text);
		builder_free(b);
	}
}

TEST(json_takes_only_numbers_from_meta)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"0", "0"},	 {"12.5", "12.5"}, {"0.04", "0.04"}, {"", "null"},
		{".5", "null"},	 {"5.", "null"},   {"007", "null"},  {"nan", "null"},
		{"-1", "null"},	 {"1e9", "null"},  {"1,5", "null"},  {"1.2.3", "null"},
		{"1\"", "null"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct snapshot_builder *b = heap_program();
		char *json;

		builder_meta(b, "heap_cost_pct", cases[i].text);
		json = print_as(JSON, b, &by_line, NULL);
		check_jq(json, ".heap_cost_pct", cases[i].want);
		free(json);
		builder_free(b);
	}
}

TEST(csv_document)
{
	struct snapshot_builder *b = heap_profile();
	char *csv = print_as(CSV, b, &(struct view_request){.top = 2}, NULL);

	CHECK_EQ_STR(csv,
		     "bytes,file,line,function,incl_bytes,blocks,peak_bytes,peak_ms,"
		     "total_alloc_bytes,total_free_bytes,total_allocs,total_frees,temporary,"
		     "reallocs,growth_bytes,untracked,untracked_bytes,is_estimate,module\n"
		     "13000,src/buffer.rs,34,Buffer::extend,13000,4,33000,2000,45000,32000,18,14,0,"
		     "0,0,0,0,false,my-app\n"
		     "5000,src/cache.rs,201,Cache::insert,15000,3,5000,3000,5000,0,3,0,0,1,500,0,0,"
		     "false,my-app\n");
	free(csv);
	builder_free(b);
}

TEST(hostile_names_reach_neither_terminal_nor_parser)
{
	struct snapshot_builder *b = builder_new();
	uint32_t app = builder_module(b, "/bin/\033[7mapp");
	uint32_t line = builder_location(b, app, "f\033[2J\n\r\t\"\\,\xc2\x9b\xff end",
					 "a,\"b\"\033]0;x\007.c", 1);
	uint32_t frame = builder_frame_at(b, line);
	char *text;

	builder_stack(b, &frame, 1, STACK_COMPLETE, line);
	builder_meta(b, "heap_source", "bpf\033[1m");
	builder_step(b, 0, 0, "heap", "bpf\033[1m");
	heap_step(b, SECOND, "bpf, \033[5mblink", "\033c\n");
	heap_poll_at(b, 0, 0, 0);
	heap_poll_at(b, 1000, 1, 1);
	builder_heap_row(b, 1, 0, (struct heap_counts){.allocs = 1, .alloc_bytes = 10});
	builder_heap_sum(b);
	for (int unicode = 0; unicode < 2; unicode++) {
		size_t lines = 0;

		setlocale(LC_ALL, unicode ? "C.UTF-8" : "C");
		text = print_as(TEXT, b, &by_line, &(struct view_print){.columns = 80});
		for (const char *at = text; *at; at++) {
			lines += *at == '\n';
			CHECK(*at == '\n' || !iscntrl((unsigned char)*at));
		}
		CHECK_EQ_U64(lines, 7);
		free(text);
	}
	text = print_as(JSON, b, &by_line, NULL);
	for (const char *at = text; *at; at++)
		CHECK(*at == '\n' || !iscntrl((unsigned char)*at));
	check_jq(text, ".entries | length", "1");
	free(text);
	text = print_as(CSV, b, &by_line, NULL);
	CHECK(!strchr(text, '\033'));
	free(text);
	builder_free(b);
}

KIT_MAIN
