/* The rows of the heap as csv.c prints others: the number, the place, the rest. */
#include "reader/view/heap.h"

#include <inttypes.h>
#include <string.h>

#include "reader/view/heap_keys.h"

static const char *const first_keys[] = {"bytes", "file", "line", "function"};

enum { FIRST_KEYS = sizeof(first_keys) / sizeof(*first_keys) };

static bool is_first(const struct heap_key *key)
{
	for (size_t i = 0; i < FIRST_KEYS; i++) {
		if (!strcmp(key->name, first_keys[i]))
			return true;
	}
	return false;
}

/* The heading where row is NULL. */
static void print_value(FILE *to, const struct heap_key *key, const struct heap_row *row)
{
	if (!row)
		fputs(key->name, to);
	else if (key->text)
		csv_print_string(to, key->text(row));
	else if (key->is_bool)
		fputs(key->number(row) ? "true" : "false", to);
	else
		fprintf(to, "%" PRIu64, key->number(row));
}

static void print_line(FILE *to, const struct heap_row *row)
{
	for (size_t i = 0; i < FIRST_KEYS; i++) {
		fputs(i ? "," : "", to);
		print_value(to, heap_key_by_name(first_keys[i]), row);
	}
	for (const struct heap_key *key = heap_keys; key->name; key++) {
		if (is_first(key))
			continue;
		putc(',', to);
		print_value(to, key, row);
	}
	putc('\n', to);
}

void heap_view_print_csv(FILE *to, const struct heap_view *view)
{
	print_line(to, NULL);
	for (size_t i = 0; i < view->row_count; i++)
		print_line(to, &view->rows[i]);
}
