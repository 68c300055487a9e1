/* What is printed: text to the last space, JSON that parsers take, CSV that quotes. */
#include "tests/lib/kit.h"

#include <ctype.h>
#include <locale.h>
#include <stdlib.h>

#include "reader/util/str.h"
#include "reader/view/cell.h"
#include "reader/view/number.h"
#include "reader/view/view.h"
#include "tests/lib/sample_profile.h"

enum { LONG_NAME = 10000 };

static const struct view_request by_line;

static void use_unicode(void)
{
	if (!setlocale(LC_ALL, "C.UTF-8"))
		SKIP("no locale C.UTF-8");
}

static struct view *build(struct snapshot_builder *b, const struct view_request *request)
{
	struct view *view = NULL;
	struct err err = {0};

	if (view_build(builder_snapshot(b), request, &view, &err) < 0)
		FAIL("view_build: %s", err.sentence);
	return view;
}

static char *text_of(struct snapshot_builder *b, const struct view_request *request,
		     const struct view_print *print)
{
	struct view *view = build(b, request);
	char *text = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&text, &length);

	view_print_text(to, builder_snapshot(b), view, request, print);
	fclose(to);
	view_free(view);
	return text;
}

static char *json_of(struct snapshot_builder *b, const struct view_request *request)
{
	struct view *view = build(b, request);
	char *text = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&text, &length);

	view_print_json(to, builder_snapshot(b), view);
	fclose(to);
	view_free(view);
	return text;
}

static char *csv_of(struct snapshot_builder *b, const struct view_request *request)
{
	struct view *view = build(b, request);
	char *text = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&text, &length);

	view_print_csv(to, view);
	fclose(to);
	view_free(view);
	return text;
}

static void check_text(struct snapshot_builder *b, const struct view_request *request,
		       const struct view_print *print, const char *want)
{
	char *got = text_of(b, request, print);

	CHECK_EQ_STR(got, want);
	free(got);
}

/* What `jq FILTER` prints for the document, without its last newline; for the caller to free. */
static char *jq(const char *document, const char *filter)
{
	char path[512], command[1024], *answer = NULL;
	size_t room = 0, length;
	FILE *file;

	if (system("command -v jq >/dev/null 2>&1"))
		SKIP("no jq");
	snprintf(path, sizeof(path), "%s/document.json", kit_folder());
	file = fopen(path, "w");
	CHECK(file && fputs(document, file) >= 0 && fclose(file) == 0);
	snprintf(command, sizeof(command), "jq -c -r '%s' '%s' 2>&1", filter, path);
	file = popen(command, "r");
	CHECK(file);
	if (getdelim(&answer, &room, '\0', file) < 0)
		FAIL("jq printed nothing");
	if (pclose(file))
		FAIL("jq: %s", answer);
	length = strlen(answer);
	if (length && answer[length - 1] == '\n')
		answer[length - 1] = '\0';
	return answer;
}

static void check_jq(const char *document, const char *filter, const char *want)
{
	char *got = jq(document, filter);

	CHECK_EQ_STR(got, want);
	free(got);
}

TEST(table_by_line)
{
	struct snapshot_builder *b = sample_profile();

	use_unicode();
	builder_file(b, "/profiles/rsprof.my-app.250106143022.db");
	check_text(b, &by_line, &(struct view_print){0},
		   "rsprof.my-app.250106143022.db   my-app (12345)   5m23s at 99 Hz   100 samples\n"
		   "cpu: perf, 85.0 % complete stacks (10.0 % broken, 5.0 % no user frames) · "
		   "lost: 0\n"
		   "no line numbers for: libc.so.6 (no debug info)\n"
		   "\n"
		   "  CPU%   Incl%  Location           Function\n"
		   " 50.0%   70.0%  src/parser.rs:142  parse_header\n"
		   " 20.0%   20.0%  src/parser.rs:89   tokenize\n"
		   " 15.0%   15.0%  src/util.rs:7      clamp\n"
		   " 10.0%   10.0%  src/tree.rs:5      walk\n"
		   "  5.0%    5.0%  [kernel]           [no user stack]\n"
		   "  0.0%   95.0%  src/main.rs:10     main\n"
		   "  0.0%   15.0%  src/buffer.rs:34   Buffer::fill\n"
		   "  0.0%   10.0%  [libc.so.6]        read\n"
		   "8 of 8 locations, 100.0 % of samples\n");
	builder_free(b);
}

TEST(table_in_ascii_where_the_locale_has_no_more)
{
	struct snapshot_builder *b = sample_profile();

	setlocale(LC_ALL, "C");
	check_text(b, &(struct view_request){.top = 1}, &(struct view_print){.columns = 40},
		   "rsprof.my-app.250106143022.db   my-app (12345)   5m23s at 99 Hz   100 samples\n"
		   "cpu: perf, 85.0 % complete stacks (10.0 % broken, 5.0 % no user frames) - "
		   "lost: 0\n"
		   "\n"
		   "  CPU%   Incl%  Location     Function\n"
		   " 50.0%   70.0%  ...r.rs:142  parse_he...\n"
		   "1 of 8 locations, 50.0 % of samples\n");
	builder_free(b);
}

TEST(table_by_each_wider_group)
{
	static const struct {
		enum view_group group;
		const char *table;
	} cases[] = {
		{VIEW_BY_FUNCTION, "  CPU%   Incl%  Location           Function\n"
				   " 50.0%   70.0%  src/parser.rs:142  parse_header\n"
				   " 20.0%   20.0%  src/parser.rs:89   tokenize\n"
				   "2 of 8 functions, 70.0 % of samples\n"},
		{VIEW_BY_FILE, "  CPU%   Incl%  File           Hottest line\n"
			       " 70.0%   70.0%  src/parser.rs  src/parser.rs:142 parse_header\n"
			       " 15.0%   15.0%  src/util.rs    src/util.rs:7 clamp\n"
			       "2 of 7 files, 85.0 % of samples\n"},
		{VIEW_BY_MODULE, "  CPU%   Incl%  Module    Hottest line\n"
				 " 95.0%   95.0%  my-app    src/parser.rs:142 parse_header\n"
				 "  5.0%    5.0%  [kernel]  [kernel] [no user stack]\n"
				 "2 of 3 modules, 100.0 % of samples\n"},
		{VIEW_BY_THREAD, "  CPU%   Incl%  Thread\n"
				 " 55.0%   55.0%  my-app (12345)\n"
				 " 35.0%   35.0%  worker (12346)\n"
				 "2 of 3 threads, 90.0 % of samples\n"},
	};
	struct snapshot_builder *b = sample_profile();

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct view_request request = {.group = cases[i].group, .top = 2};
		char *text = text_of(b, &request, &(struct view_print){0});

		CHECK_EQ_STR(strstr(text, "\n\n") + 2, cases[i].table);
		free(text);
	}
	builder_free(b);
}

TEST(losses_are_listed_below_their_sum)
{
	struct snapshot_builder *b = sample_profile();
	char *text;

	use_unicode();
	builder_loss(b, LOSS_RING_FULL, 1312);
	builder_loss(b, LOSS_LATE, 3);
	builder_meta(b, "cpu_time_unsampled_ms", "1900");
	text = text_of(b, &(struct view_request){.top = 1}, &(struct view_print){0});
	CHECK_EQ_STR(strchr(text, '\n') + 1,
		     "cpu: perf, 85.0 % complete stacks (10.0 % broken, 5.0 % no user frames) · "
		     "lost: 1,312 · system time not sampled: 1.9s\n"
		     "lost 1,312 samples (ring full): lower --cpu-freq or raise --buffer\n"
		     "noted 3 records (arrived late, put into a later checkpoint)\n"
		     "\n"
		     "  CPU%   Incl%  Location           Function\n"
		     " 50.0%   70.0%  src/parser.rs:142  parse_header\n"
		     "1 of 8 locations, 50.0 % of samples\n");
	free(text);
	builder_free(b);
}

TEST(a_window_is_told)
{
	struct snapshot_builder *b = sample_profile();
	char *text, *json;

	use_unicode();
	builder_window(b, UINT64_C(120000000000), UINT64_C(210000000000));
	text = text_of(b, &by_line, &(struct view_print){0});
	*strchr(text, '\n') = '\0';
	CHECK_EQ_STR(text,
		     "rsprof.my-app.250106143022.db   my-app (12345)   2m00s–3m30s of 5m23s at "
		     "99 Hz   100 samples");
	free(text);
	json = json_of(b, &by_line);
	CHECK(strstr(json, "\"duration_ms\": 90000,\n"));
	free(json);
	builder_free(b);
}

TEST(occurrences_have_a_name_and_no_frequency)
{
	struct snapshot_builder *b = sample_profile();

	use_unicode();
	check_text(b, &(struct view_request){.event = "faults", .top = 1}, &(struct view_print){0},
		   "rsprof.my-app.250106143022.db   my-app (12345)   5m23s   8 faults\n"
		   "page-faults: perf, 100.0 % complete stacks · lost: 0\n"
		   "\n"
		   "Fault%   Incl%  Location          Function\n"
		   "100.0%  100.0%  src/parser.rs:89  tokenize\n"
		   "1 of 3 locations, 100.0 % of faults\n");
	builder_free(b);
}

TEST(an_empty_profile_says_so)
{
	struct snapshot_builder *b = builder_new();

	use_unicode();
	check_text(b, &by_line, &(struct view_print){.columns = 80, .colour = true},
		   "rsprof.my-app.250106143022.db   my-app (12345)   5m23s   0 samples\n"
		   "cpu: unknown source, 100.0 % complete stacks · lost: 0\n"
		   "\n"
		   "no samples\n");
	builder_free(b);
}

TEST(shares_are_coloured_by_heat)
{
	struct snapshot_builder *b = sample_profile();
	char *text;

	use_unicode();
	text = text_of(b, &by_line, &(struct view_print){.colour = true});
	CHECK(strstr(text, "\033[31m 50.0%\033[0m  \033[31m 70.0%\033[0m  src/parser.rs:142"));
	CHECK(strstr(text, "\033[33m 10.0%\033[0m  \033[33m 10.0%\033[0m  src/tree.rs:5"));
	CHECK(strstr(text, "\033[2m  0.0%\033[0m  \033[31m 95.0%\033[0m  src/main.rs:10"));
	free(text);
	text = text_of(b, &by_line, &(struct view_print){0});
	CHECK(!strchr(text, '\033'));
	free(text);
	builder_free(b);
}

static struct snapshot_builder *long_names(void)
{
	struct snapshot_builder *b = builder_new();
	uint32_t event = builder_event(b, "cpu-clock", true);
	uint32_t thread = builder_thread(b, 1, "t"), app = builder_module(b, "/a");
	uint32_t line = builder_location(b, app, "my_app::storage::cache::lru::Cache::insert",
					 "serde_json/src/private/de/mod.rs", 89);
	uint32_t frame = builder_frame_at(b, line);

	builder_row(b, event, thread, builder_stack(b, &frame, 1, STACK_COMPLETE, line), 1, 0, 1);
	return b;
}

TEST(columns_follow_the_terminal)
{
	static const struct {
		size_t columns;
		const char *row;
	} cases[] = {
		{0, "100.0%  100.0%  serde_json/src/private/de/mod.rs:89  "
		    "my_app::storage::cache::lru::Cache::insert\n"},
		{120, "100.0%  100.0%  serde_json/src/private/de/mod.rs:89  "
		      "my_app::storage::cache::lru::Cache::insert\n"},
		{95, "100.0%  100.0%  serde_json/src/private/de/mod.rs:89  "
		     "my_app::storage::cache::lru::Cache::insert\n"},
		{94, "100.0%  100.0%  serde_json/src/private/de/mod.rs:89  "
		     "…::storage::cache::lru::Cache::insert\n"},
		{66, "100.0%  100.0%  …/private/de/mod.rs:89    …::lru::Cache::insert\n"},
		{50, "100.0%  100.0%  …/de/mod.rs:89    …::Cache::insert\n"},
		{30, "100.0%  100.0%  …d.rs:89  insert\n"},
		{1, "100.0%  100.0%  …d.rs:89  insert\n"},
	};
	struct snapshot_builder *b = long_names();

	use_unicode();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct view_print print = {.columns = cases[i].columns};
		char *text = text_of(b, &by_line, &print);
		char *row = strstr(text, "100.0%  100.0%");

		*(strchr(row, '\n') + 1) = '\0';
		CHECK_EQ_STR(row, cases[i].row);
		*strchr(row, '\n') = '\0';
		if (cases[i].columns >= 34)
			CHECK(str_width(row) <= cases[i].columns);
		free(text);
	}
	builder_free(b);
}

static void check_cell(void (*add)(struct str *to, const char *clean, size_t width),
		       const char *text, size_t width, const char *want)
{
	struct str cell = {0};

	add(&cell, text, width);
	CHECK_EQ_STR(str_text(&cell), want);
	str_done(&cell);
}

TEST(names_keep_their_last_component)
{
	use_unicode();
	check_cell(cell_add_name, "a::b::insert", 12, "a::b::insert");
	check_cell(cell_add_name, "a::b::insert", 11, "…::insert");
	check_cell(cell_add_name, "aa::bb::insert", 13, "…::bb::insert");
	check_cell(cell_add_name, "a::insert", 6, "insert");
	check_cell(cell_add_name, "a::insert", 5, "inse…");
	check_cell(cell_add_name, "one_long_name", 5, "one_…");
	check_cell(cell_add_name, "<a::B as c::Trait>::go", 10, "…::go");
	check_cell(cell_add_name, "ns::f(std::string const&)", 24, "…::f(std::string const&)");
	check_cell(cell_add_name, "a::apply<fn(b::C) -> d::E>", 26, "a::apply<fn(b::C) -> d::E>");
	check_cell(cell_add_name, "a::apply<fn(b::C) -> d::E>", 25, "apply<fn(b::C) -> d::E>");
	check_cell(cell_add_name, "a::b::{{closure}}", 16, "…::{{closure}}");
	check_cell(cell_add_name, "", 0, "");
	check_cell(cell_add_name, "abc", 0, "");
	check_cell(cell_add_name, "日本語::日本", 7, "…::日本");
}

TEST(paths_keep_their_tail)
{
	use_unicode();
	check_cell(cell_add_path, "a/b/mod.rs:89", 13, "a/b/mod.rs:89");
	check_cell(cell_add_path, "a/b/mod.rs:89", 12, "…/mod.rs:89");
	check_cell(cell_add_path, "aa/b/mod.rs:89", 13, "…/b/mod.rs:89");
	check_cell(cell_add_path, "a/b/mod.rs:89", 6, "…rs:89");
	check_cell(cell_add_path, "a/b/mod.rs:89", 1, "…");
	check_cell(cell_add_path, "a/b/mod.rs:89", 0, "");
	check_cell(cell_add_path, "日本/日本.rs", 7, "…本.rs");
}

/* Escape sequences, line ends, quotes, separators, C1 controls, reordering, bytes that are not
 * UTF-8: whatever a binary may be called. */
static const char hostile_function[] = "f\033[2J\n\r\t\"\\,\xc2\x9b"
				       "31m\xe2\x80\xae\xff\xc3(\xed\xa0\x80\x7f"
				       "end";
static const char hostile_file[] = "a,\"b\"\033]0;x\007.c";

static struct snapshot_builder *hostile_profile(void)
{
	struct snapshot_builder *b = builder_new();
	uint32_t event = builder_event(b, "cpu-clock", true);
	uint32_t thread = builder_thread(b, 1, "t\033[0m");
	uint32_t app = builder_module(b, "/bin/\033[7mapp");
	char *name = malloc(LONG_NAME + 1);
	uint32_t lines[3];

	memset(name, 'x', LONG_NAME);
	name[LONG_NAME] = '\0';
	for (size_t i = 100; i + 2 < LONG_NAME; i += 100)
		memcpy(name + i, "::", 2);
	lines[0] = builder_location(b, app, hostile_function, hostile_file, 1);
	lines[1] = builder_location(b, app, name, "long.c", 2);
	memset(name, '/', LONG_NAME);
	lines[2] = builder_location(b, app, "", name, UINT32_MAX);
	free(name);
	builder_file(b, "dir/\033c\n.db");
	builder_meta(b, "cpu_source", "perf\033[1m");
	builder_meta(b, "cpu_freq_hz", "\n99");
	for (size_t i = 0; i < 3; i++) {
		uint32_t frame = builder_frame_at(b, lines[i]);

		builder_row(b, event, thread, builder_stack(b, &frame, 1, STACK_COMPLETE, lines[i]),
			    1, 0, 1);
	}
	return b;
}

static size_t count_lines(const char *text)
{
	size_t lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

static void check_harmless(const char *text)
{
	for (; *text; text++) {
		if (iscntrl((unsigned char)*text) && *text != '\n')
			FAIL("byte %#x in: %s", (unsigned char)*text, text);
		if (!strncmp(text, "\xc2\x9b", 2) || !strncmp(text, "\xe2\x80\xae", 3))
			FAIL("harmful character in: %s", text);
	}
}

TEST(hostile_names_cannot_reach_the_terminal)
{
	static const enum view_group groups[] = {VIEW_BY_LINE, VIEW_BY_FUNCTION, VIEW_BY_FILE,
						 VIEW_BY_MODULE, VIEW_BY_THREAD};
	struct snapshot_builder *b = hostile_profile();

	for (int unicode = 0; unicode < 2; unicode++) {
		setlocale(LC_ALL, unicode ? "C.UTF-8" : "C");
		for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++) {
			struct view_request request = {.group = groups[i]};
			char *text = text_of(b, &request, &(struct view_print){.columns = 80});
			size_t rows =
				groups[i] == VIEW_BY_MODULE || groups[i] == VIEW_BY_THREAD ? 1 : 3;

			check_harmless(text);
			CHECK_EQ_U64(count_lines(text), 5 + rows);
			for (const char *line = strstr(text, "\n\n") + 2; *line;
			     line = strchr(line, '\n') + 1) {
				char copy[512] = "";

				CHECK(strchr(line, '\n') - line < (ptrdiff_t)sizeof(copy));
				memcpy(copy, line, (size_t)(strchr(line, '\n') - line));
				CHECK(str_width(copy) <= 80);
			}
			free(text);
		}
	}
	builder_free(b);
}

TEST(eight_bit_terminals_get_no_utf8_bytes)
{
	struct str clean = {0};

	setlocale(LC_ALL, "C");
	cell_add_clean(&clean, "na\xc3\xafve \xe6\x97\xa5\033");
	CHECK_EQ_STR(str_text(&clean), "na?ve ??");
	str_done(&clean);
}

TEST(json_document)
{
	struct snapshot_builder *b = sample_profile();
	char *json;

	builder_file(b, "/profiles/x.db");
	builder_loss(b, LOSS_RING_FULL, 7);
	builder_meta(b, "cpu_time_unsampled_ms", "1913");
	json = json_of(b, &(struct view_request){.top = 2});
	CHECK_EQ_STR(
		json,
		"{\n"
		"  \"file\": \"/profiles/x.db\",\n"
		"  \"duration_ms\": 323000,\n"
		"  \"total_samples\": 100,\n"
		"  \"source\": {\"cpu\": \"perf\"},\n"
		"  \"complete_stacks_pct\": 85.0000,\n"
		"  \"losses\": {\"ring_full\": 7},\n"
		"  \"cpu_time_unsampled_ms\": 1913,\n"
		"  \"event\": \"cpu-clock\",\n"
		"  \"stack_status\": {\"complete\": 85, \"frame_pointers\": 0, \"broken\": 10, "
		"\"truncated\": 0, \"no_mapping\": 0, \"no_table\": 0, \"read_error\": 0, "
		"\"hidden_caller\": 0, \"empty\": 5, \"used_frame_pointers\": 0, \"not_walked\": "
		"0},\n"
		"  \"entries\": [\n"
		"    {\"cpu_pct\": 50.0000, \"incl_pct\": 70.0000, \"samples\": 50, "
		"\"incl_samples\": 70, \"kernel_samples\": 10, \"file\": \"src/parser.rs\", "
		"\"line\": 142, \"function\": \"parse_header\", \"module\": \"my-app\"},\n"
		"    {\"cpu_pct\": 20.0000, \"incl_pct\": 20.0000, \"samples\": 20, "
		"\"incl_samples\": 20, \"kernel_samples\": 0, \"file\": \"src/parser.rs\", "
		"\"line\": 89, \"function\": \"tokenize\", \"module\": \"my-app\"}\n"
		"  ]\n"
		"}\n");
	check_jq(json, "[.entries[].samples] | add", "70");
	check_jq(json, "[.. | numbers] | length", "28");
	free(json);
	builder_free(b);
}

TEST(json_of_an_empty_profile)
{
	struct snapshot_builder *b = builder_new();
	char *json = json_of(b, &by_line);

	check_jq(json, "[.total_samples, .complete_stacks_pct, .event, .source, .losses, .entries]",
		 "[0,100,null,{},{},[]]");
	free(json);
	builder_free(b);
}

TEST(json_has_values_where_shares_are_of_values)
{
	struct snapshot_builder *b = builder_new();
	uint32_t event = builder_event(b, "cpu-cycles", true);
	uint32_t stack = builder_stack(b, NULL, 0, STACK_EMPTY, SNAPSHOT_NONE);
	char *json;

	builder_row(b, event, builder_thread(b, 1, "t"), stack, 3, 3, 123456789);
	json = json_of(b, &by_line);
	check_jq(json, ".entries[0] | [.samples, .value, .kernel_samples]", "[3,123456789,3]");
	free(json);
	builder_free(b);
}

TEST(json_takes_every_name)
{
	struct snapshot_builder *b = hostile_profile();
	char *json = json_of(b, &by_line);

	check_harmless(json);
	check_jq(json, ".entries | length", "3");
	check_jq(json, "[.entries[].function | length] | sort", "[0,26,10000]");
	check_jq(json, "[.entries[] | select(.line == 1)][0].function | explode",
		 "[102,27,91,50,74,10,13,9,34,92,44,155,51,49,109,8238,65533,65533,40,65533,65533,"
		 "65533,127,101,110,100]");
	free(json);
	builder_free(b);
}

TEST(json_strings)
{
	char *text = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&text, &length);

	json_print_string(to, "");
	json_print_string(to, "a\"b\\c/\x01\x1f");
	json_print_string(to, "\xc3\xa9\xf0\x9f\x98\x80");
	/* Cut in the middle of a character, written too long, a surrogate, beyond the last. */
	json_print_string(to, "\xf0\x9f\x98");
	json_print_string(to, "\xc0\x80\xed\xa0\x80\xf4\x90\x80\x80");
	fclose(to);
	CHECK_EQ_STR(text, "\"\"\"a\\\"b\\\\c/\\u0001\\u001f\"\"\xc3\xa9\xf0\x9f\x98\x80\""
			   "\"\\ufffd\\ufffd\\ufffd\""
			   "\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\"");
	free(text);
}

TEST(csv_document)
{
	struct snapshot_builder *b = sample_profile();
	char *csv = csv_of(b, &(struct view_request){.top = 2});

	CHECK_EQ_STR(csv, "cpu_pct,file,line,function,incl_pct,samples,kernel_samples,module\n"
			  "50.0000,src/parser.rs,142,parse_header,70.0000,50,10,my-app\n"
			  "20.0000,src/parser.rs,89,tokenize,20.0000,20,0,my-app\n");
	free(csv);
	builder_free(b);
}

TEST(csv_of_an_empty_profile_has_its_header)
{
	struct snapshot_builder *b = builder_new();
	char *csv = csv_of(b, &by_line);

	CHECK_EQ_STR(csv, "cpu_pct,file,line,function,incl_pct,samples,kernel_samples,module\n");
	free(csv);
	builder_free(b);
}

TEST(csv_strings)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"", ""},
		{"plain", "plain"},
		{"a,b", "\"a,b\""},
		{"say \"x\"", "\"say \"\"x\"\"\""},
		{"two\nlines", "\"two\nlines\""},
		{"cr\r", "\"cr\r\""},
		{" edge", "\" edge\""},
		{"edge ", "\"edge \""},
		{"inner space", "inner space"},
		{"tab\there", "tab\there"},
		{"\033[2J\x7f\xc2\x9b\xff", "?[2J???"},
		{"\xc3\xa9", "\xc3\xa9"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *text = NULL;
		size_t length = 0;
		FILE *to = open_memstream(&text, &length);

		csv_print_string(to, cases[i].text);
		fclose(to);
		CHECK_EQ_STR(text, cases[i].want);
		free(text);
	}
}

TEST(numbers_have_a_point_in_every_locale)
{
	static const struct {
		double value;
		int decimals;
		const char *want;
	} cases[] = {
		{0, 1, "0.0"},
		{12.34, 1, "12.3"},
		{12.35, 1, "12.4"},
		{99.96, 1, "100.0"},
		{100, 4, "100.0000"},
		{0.00004, 4, "0.0000"},
		{33.33335, 4, "33.3334"},
		{7.6, 0, "8"},
		{-1, 1, "0.0"},
		{0.0 / 0.0, 1, "0.0"},
		{1.0 / 0.0, 0, "1000000000000"},
	};
	char number[FMT_MAX];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		CHECK_EQ_STR(number_decimal(number, cases[i].value, cases[i].decimals),
			     cases[i].want);
}

TEST(almost_all_is_not_all)
{
	struct snapshot_builder *b = builder_new();
	uint32_t event = builder_event(b, "cpu-clock", true), thread = builder_thread(b, 1, "t");
	uint32_t app = builder_module(b, "/a");
	uint32_t line = builder_location(b, app, "f", "a.c", 1);
	uint32_t frame = builder_frame_at(b, line);
	char *text;

	builder_row(b, event, thread, builder_stack(b, &frame, 1, STACK_COMPLETE, line), 99999, 0,
		    99999);
	builder_row(b, event, thread, builder_stack(b, &frame, 1, STACK_BROKEN, line), 1, 0, 1);
	text = text_of(b, &by_line, &(struct view_print){0});
	CHECK(strstr(text, "99.9 % complete stacks"));
	CHECK(strstr(text, "100.0 % of samples"));
	free(text);
	builder_free(b);
}

KIT_MAIN
