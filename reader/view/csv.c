/* Comma-separated values, quoted as RFC 4180 says, one row a line. */
#include "reader/view/view.h"

#include <inttypes.h>
#include <string.h>

#include "reader/view/number.h"
#include "reader/util/utf8.h"

/* The RFC has no controls but line ends, and no way to write them: they become '?', like bytes that
 * are not UTF-8. Tabs stay. */
static size_t clean_bytes(const char *text)
{
	uint32_t point;
	size_t bytes = utf8_decode(text, &point);

	if (bytes && utf8_is_harmful(point) && !strchr("\r\n\t", *text))
		return 0;
	return bytes;
}

void csv_print_string(FILE *to, const char *text)
{
	size_t length = strlen(text);
	bool is_quoted = text[strcspn(text, ",\"\r\n")] || *text == ' ' ||
			 (length && text[length - 1] == ' ');

	if (is_quoted)
		putc('"', to);
	while (*text) {
		size_t bytes = clean_bytes(text);
		uint32_t point;

		if (*text == '"')
			putc('"', to);
		if (bytes) {
			fwrite(text, 1, bytes, to);
		} else {
			putc('?', to);
			bytes = utf8_decode(text, &point);
		}
		text += bytes ? bytes : 1;
	}
	if (is_quoted)
		putc('"', to);
}

static void print_share(FILE *to, double share)
{
	char number[FMT_MAX];

	fputs(number_decimal(number, share, NUMBER_SHARE_DECIMALS), to);
}

/* The columns that both tables begin with. */
static void print_start(FILE *to, const struct view_row *row)
{
	print_share(to, row->self_pct);
	putc(',', to);
	csv_print_string(to, row->file);
	fprintf(to, ",%" PRIu32 ",", row->line);
	csv_print_string(to, row->function);
	putc(',', to);
	print_share(to, row->incl_pct);
}

static void print_sample_rows(FILE *to, const struct view *view)
{
	fputs("cpu_pct,file,line,function,incl_pct,samples,kernel_samples,module\n", to);
	for (size_t i = 0; i < view->row_count; i++) {
		const struct view_row *row = &view->rows[i];

		print_start(to, row);
		fprintf(to, ",%" PRIu64 ",%" PRIu64 ",", row->self, row->kernel);
		csv_print_string(to, row->module);
		putc('\n', to);
	}
}

/* "run_queue_ns" */
static void print_kind_column(FILE *to, enum wait_kind kind)
{
	for (const char *name = wait_kind_names[kind]; *name; name++)
		putc(*name == ' ' ? '_' : *name, to);
	fputs("_ns", to);
}

static void print_wait_rows(FILE *to, const struct view *view)
{
	fputs("wait_pct,file,line,function,incl_pct,wait_ns,incl_wait_ns,run_ns,waits,kind,module",
	      to);
	for (int kind = WAIT_NONE + 1; kind < WAIT_KINDS; kind++) {
		putc(',', to);
		print_kind_column(to, (enum wait_kind)kind);
	}
	putc('\n', to);
	for (size_t i = 0; i < view->row_count; i++) {
		const struct view_row *row = &view->rows[i];

		print_start(to, row);
		fprintf(to, ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%s,", row->self_value,
			row->incl_value, row->run_ns, row->self, wait_kind_names[row->kind]);
		csv_print_string(to, row->module);
		for (int kind = WAIT_NONE + 1; kind < WAIT_KINDS; kind++)
			fprintf(to, ",%" PRIu64, row->kind_ns[kind]);
		putc('\n', to);
	}
}

void view_print_csv(FILE *to, const struct view *view)
{
	if (view->is_wait)
		print_wait_rows(to, view);
	else
		print_sample_rows(to, view);
}
