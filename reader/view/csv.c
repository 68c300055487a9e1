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

void view_print_csv(FILE *to, const struct view *view)
{
	fputs("cpu_pct,file,line,function,incl_pct,samples,kernel_samples,module\n", to);
	for (size_t i = 0; i < view->row_count; i++) {
		const struct view_row *row = &view->rows[i];

		print_share(to, row->self_pct);
		putc(',', to);
		csv_print_string(to, row->file);
		fprintf(to, ",%" PRIu32 ",", row->line);
		csv_print_string(to, row->function);
		putc(',', to);
		print_share(to, row->incl_pct);
		fprintf(to, ",%" PRIu64 ",%" PRIu64 ",", row->self, row->kernel);
		csv_print_string(to, row->module);
		putc('\n', to);
	}
}
