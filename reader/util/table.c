#include "reader/util/table.h"

#include <stdlib.h>

#include "reader/util/arena.h"
#include "reader/util/mem.h"
#include "reader/util/str.h"
#include "reader/util/vec.h"

enum { TABLE_GAP = 2 }; /* blanks between columns */

struct column {
	size_t width;
	bool is_right, is_decided;
};

struct table {
	FILE *to;
	struct arena arena; /* cells that are kept */
	struct column *columns;
	size_t column_count;
	VEC(const char *) cells; /* row by row, the headings first */
	bool is_streaming;
	struct str scratch;
};

static const char *scrubbed(struct str *scratch, const char *text)
{
	str_clear(scratch);
	str_add_scrubbed(scratch, text);
	return str_text(scratch);
}

static void keep(struct table *table, size_t column, const char *text)
{
	const char *kept = arena_strdup(&table->arena, scrubbed(&table->scratch, text));
	size_t width = str_width(kept);

	if (width > table->columns[column].width)
		table->columns[column].width = width;
	*vec_add(&table->cells) = kept;
}

struct table *table_new(FILE *to, const char *const *headings, size_t column_count)
{
	struct table *table = mem_zalloc(sizeof(*table));

	table->to = to;
	table->columns = mem_array(column_count, sizeof(*table->columns));
	table->column_count = column_count;
	for (size_t i = 0; i < column_count; i++)
		keep(table, i, headings[i]);
	return table;
}

static void print_blanks(FILE *to, size_t count)
{
	while (count--)
		putc(' ', to);
}

static void print_cell(struct table *table, size_t index, const char *text)
{
	const struct column *column = &table->columns[index];
	size_t width = str_width(text);
	size_t blanks = width < column->width ? column->width - width : 0;
	bool is_last = index + 1 == table->column_count;

	if (column->is_right)
		print_blanks(table->to, blanks);
	fputs(text, table->to);
	/* No blanks at the end of a line. */
	if (!column->is_right && !is_last)
		print_blanks(table->to, blanks);
	print_blanks(table->to, is_last ? 0 : TABLE_GAP);
	if (is_last)
		putc('\n', table->to);
}

static void print_kept(struct table *table)
{
	for (size_t i = 0; i < table->cells.count; i++)
		print_cell(table, i % table->column_count, table->cells.items[i]);
	vec_clear(&table->cells);
	arena_done(&table->arena);
}

void table_add(struct table *table, const struct table_cell *cells)
{
	if (!table->is_streaming && table->cells.count / table->column_count > TABLE_ROWS_KEPT) {
		print_kept(table);
		table->is_streaming = true;
	}
	for (size_t i = 0; i < table->column_count; i++) {
		const char *text = cells[i].text ? cells[i].text : "";
		struct column *column = &table->columns[i];

		if (!column->is_decided && *text) {
			column->is_right = cells[i].is_number;
			column->is_decided = true;
		}
		if (table->is_streaming)
			print_cell(table, i, scrubbed(&table->scratch, text));
		else
			keep(table, i, text);
	}
}

void table_end(struct table *table)
{
	if (!table)
		return;
	print_kept(table);
	arena_done(&table->arena);
	vec_done(&table->cells);
	str_done(&table->scratch);
	free(table->columns);
	free(table);
}
