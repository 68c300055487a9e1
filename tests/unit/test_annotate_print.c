/* Annotated source as it is shown: rows, and text to the last space. */
#include "tests/lib/kit.h"

#include <locale.h>
#include <stdlib.h>

#include "reader/view/annotate_page.h"
#include "tests/unit/annotate_profile.h"

static const struct annotate_request plain;

static struct annotation *build(struct snapshot_builder *b, const struct annotate_request *request,
				const char *wanted)
{
	struct annotate_target target = {0};
	struct annotation *annotation = NULL;
	struct err err = {0};

	if (annotate_find(builder_snapshot(b), request, wanted, &target, &err) < 0 ||
	    annotate_build(builder_snapshot(b), request, &target, &annotation, &err) < 0)
		FAIL("%s: %s %s", wanted, err.sentence, err.remedy);
	annotate_target_done(&target);
	return annotation;
}

/* Lines of text, 1..count, as a source that was found. */
static void make_source(struct source_text *source, size_t count)
{
	struct str text = {0};

	*source = (struct source_text){.state = SOURCE_UNCHANGED};
	source->path = strdup(ANNOTATE_ROOT "src/parser.rs");
	source->begins = calloc(count + 1, sizeof(*source->begins));
	for (size_t i = 0; i < count; i++) {
		source->begins[i] = (uint32_t)text.length;
		str_addf(&text, "\tline %zu,\n", i + 1);
	}
	source->line_count = count;
	source->text = text.text;
	source->length = text.length;
}

TEST(rows_are_the_text_and_what_is_behind_it)
{
	struct snapshot_builder *b = annotate_profile();
	struct annotation *annotation = build(b, &plain, "parser.rs");
	struct source_text source;

	make_source(&source, 145);
	CHECK_EQ_U64(annotate_row_count(annotation, &source), 147);
	CHECK_EQ_U64(annotate_row_line(annotation, &source, 144), 145);
	CHECK_EQ_U64(annotate_row_line(annotation, &source, 145), 150);
	CHECK_EQ_U64(annotate_row_line(annotation, &source, 146), 200);
	CHECK_EQ_U64(annotate_row_of(annotation, &source, 142), 141);
	CHECK_EQ_U64(annotate_row_of(annotation, &source, 150), 145);
	CHECK_EQ_U64(annotate_row_of(annotation, &source, 151), 146);
	CHECK_EQ_U64(annotate_row_of(annotation, &source, 900), 146);
	CHECK_EQ_U64(annotate_row_of(annotation, &source, 0), 146);
	source_text_done(&source);
	CHECK_EQ_U64(annotate_row_count(annotation, &source), 4);
	CHECK_EQ_U64(annotate_row_line(annotation, &source, 0), 89);
	CHECK_EQ_U64(annotate_row_of(annotation, &source, 142), 1);
	annotate_free(annotation);
	builder_free(b);
}

enum print { PRINT_TEXT, PRINT_JSON, PRINT_CSV };

static char *printed(const char *wanted, size_t text_lines, uint32_t context, enum print how,
		     size_t columns)
{
	struct snapshot_builder *b = annotate_profile();
	const struct view_print print = {.columns = columns};
	struct annotate_target target = {0};
	struct annotation *annotation = NULL;
	struct source_text source;
	struct annotate_page page = {.snapshot = builder_snapshot(b),
				     .source = &source,
				     .target = &target,
				     .context = context};
	char *text = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&text, &length);

	make_source(&source, text_lines);
	if (!text_lines) {
		source_text_done(&source);
		str_add(&source.why, "not found");
		str_add(&source.tried, "/nowhere");
	}
	CHECK(annotate_find(page.snapshot, &plain, wanted, &target, NULL) == 0);
	CHECK(annotate_build(page.snapshot, &plain, &target, &annotation, NULL) == 0);
	page.annotation = annotation;
	if (how == PRINT_TEXT)
		annotate_print_text(to, &page, &print);
	else if (how == PRINT_JSON)
		annotate_print_json(to, &page);
	else
		annotate_print_csv(to, &page);
	fclose(to);
	annotate_free(annotation);
	source_text_done(&source);
	annotate_target_done(&target);
	builder_free(b);
	return text;
}

static void check_printed(const char *wanted, size_t text_lines, uint32_t context, size_t columns,
			  const char *want)
{
	char *text;

	if (!setlocale(LC_ALL, "C.UTF-8"))
		SKIP("no locale C.UTF-8");
	text = printed(wanted, text_lines, context, PRINT_TEXT, columns);
	CHECK_EQ_STR(text, want);
	free(text);
}

TEST(a_file_is_shown_where_it_has_anything)
{
	check_printed(
		"parser.rs", 300, 1, 80,
		"rsprof.my-app.250106143022.db   my-app (12345)   5m23s   100 samples\n"
		"src/parser.rs  (unchanged since recording)   65.0 % of samples · 4.1 KB live "
		"· 300ms waited\n"
		"\n"
		"  CPU%    Live    Wait     line  source\n"
		"             –       –       88          line 88,\n"
		" 20.0%  4.1 KB       –       89          line 89,\n"
		"             –       –       90          line 90,\n"
		"   …\n"
		"             –       –      141          line 141,\n"
		" 45.0%       –   300ms      142          line 142,\n"
		"             –       –      143          line 143,\n"
		"   …\n"
		"             –       –      149          line 149,\n"
		"             –       –      150          line 150,\n"
		"             –       –      151          line 151,\n"
		"   …\n"
		"             –       –      199          line 199,\n"
		"             –       –      200          line 200,\n"
		"             –       –      201          line 201,\n");
}

TEST(a_place_is_marked_among_its_neighbours)
{
	check_printed("parser.rs:142", 143, 2, 100,
		      "rsprof.my-app.250106143022.db   my-app (12345)   5m23s   100 samples\n"
		      "src/parser.rs  (unchanged since recording)\n"
		      "\n"
		      "  CPU%   Incl%    Live    Wait     line  source\n"
		      "                     –       –      140          line 140,\n"
		      "                     –       –      141          line 141,\n"
		      " 45.0%   45.0%       –   300ms  ▌   142          line 142,\n"
		      "                     –       –      143          line 143,\n");
}

TEST(without_the_text_the_numbers_are_shown_alone)
{
	check_printed("parse_header", 0, 3, 80,
		      "rsprof.my-app.250106143022.db   my-app (12345)   5m23s   100 samples\n"
		      "src/parser.rs  app::parse_header  (source not found)\n"
		      "source not found: say where it is with --source DIR; tried /nowhere\n"
		      "\n"
		      "  CPU%    Live    Wait     line  source\n"
		      " 45.0%       –   300ms      142\n"
		      "             –       –      150\n");
}

TEST(json_has_stable_keys)
{
	char *text = printed("parser.rs:89", 100, 0, PRINT_JSON, 0);

	CHECK_EQ_STR(text, "{\n  \"file\": \"src/parser.rs\",\n"
			   "  \"path\": \"" ANNOTATE_ROOT "src/parser.rs\",\n"
			   "  \"source\": \"unchanged\",\n"
			   "  \"source_path\": \"" ANNOTATE_ROOT "src/parser.rs\",\n"
			   "  \"function\": null,\n"
			   "  \"profile\": \"rsprof.my-app.250106143022.db\",\n"
			   "  \"duration_ms\": 323000,\n"
			   "  \"event\": \"cpu-clock\",\n"
			   "  \"total_samples\": 100,\n"
			   "  \"losses\": {},\n"
			   "  \"lines\": [\n"
			   "    {\"line\": 89, \"cpu_pct\": 20.0000, \"incl_pct\": 20.0000, "
			   "\"samples\": 20, \"incl_samples\": 20, \"live_bytes\": 4096, "
			   "\"total_alloc_bytes\": 6096, \"wait_ns\": 0, "
			   "\"text\": \"\\tline 89,\"}\n  ]\n}\n");
	free(text);
}

TEST(csv_quotes_the_text)
{
	char *text = printed("parser.rs:142", 145, 1, PRINT_CSV, 0);

	CHECK_EQ_STR(text,
		     "cpu_pct,file,line,incl_pct,samples,incl_samples,live_bytes,total_alloc_bytes,"
		     "wait_ns,text\n"
		     "0.0000,src/parser.rs,141,0.0000,0,0,0,0,0,\"\tline 141,\"\n"
		     "45.0000,src/parser.rs,142,45.0000,45,45,0,0,300000000,\"\tline 142,\"\n"
		     "0.0000,src/parser.rs,143,0.0000,0,0,0,0,0,\"\tline 143,\"\n");
	free(text);
}

KIT_MAIN
