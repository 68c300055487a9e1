#include "reader/util/wrap.h"

#include <stdbool.h>
#include <string.h>

void wrap_print(FILE *to, const char *text, size_t length, size_t column, size_t indent)
{
	const char *end = text + length;
	size_t at = column;
	bool is_first = true;

	while (text < end) {
		const char *word, *word_end;

		while (text < end && (*text == ' ' || *text == '\n'))
			text++;
		word = text;
		while (text < end && *text != ' ' && *text != '\n')
			text++;
		word_end = text;
		if (word == word_end)
			break;
		if (!is_first && at + 1 + (size_t)(word_end - word) > WRAP_COLUMNS) {
			fprintf(to, "\n%*s", (int)indent, "");
			at = indent;
		} else if (!is_first) {
			fputc(' ', to);
			at++;
		}
		fwrite(word, 1, (size_t)(word_end - word), to);
		at += (size_t)(word_end - word);
		is_first = false;
	}
	fputc('\n', to);
}

const char *wrap_paragraph(const char *text, const char **ret_start, size_t *ret_length)
{
	const char *end;

	while (*text == '\n')
		text++;
	if (!*text)
		return NULL;
	end = strstr(text, "\n\n");
	*ret_start = text;
	*ret_length = end ? (size_t)(end - text) : strlen(text);
	while (*ret_length && text[*ret_length - 1] == '\n')
		(*ret_length)--;
	return text + *ret_length;
}

void wrap_print_paragraphs(FILE *to, const char *text, size_t indent)
{
	const char *start;
	size_t length;
	bool is_first = true;

	while ((text = wrap_paragraph(text, &start, &length))) {
		if (!is_first)
			fputc('\n', to);
		is_first = false;
		if (*start == ' ' || *start == '\t') {
			fwrite(start, 1, length, to);
			fputc('\n', to);
			continue;
		}
		fprintf(to, "%*s", (int)indent, "");
		wrap_print(to, start, length, indent, indent);
	}
}
