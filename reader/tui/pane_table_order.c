/* Which rows of a model are in the table, and in which order: arrays of indexes, made anew when the
 * model, the filter or the column changes. */
#include "reader/tui/pane_table.h"

#include <stdlib.h>
#include <string.h>

#include "reader/util/mem.h"
#include "reader/view/rows.h"

void table_order_done(struct table_order *order)
{
	free(order->rows);
	memset(order, 0, sizeof(*order));
}

/* Neighbours often have the same file and module. */
struct remembered {
	const char *text;
	bool is_match;
};

static bool matches(struct remembered *last, const char *filter, const char *text)
{
	if (text != last->text) {
		last->is_match = filter_matches(filter, text);
		last->text = text;
	}
	return last->is_match;
}

static void choose_rows(struct table_order *order, const struct table_source *source,
			const char *filter)
{
	struct remembered file = {0}, module = {0};

	if (source->count > order->capacity) {
		order->rows = mem_grow(order->rows, source->count, sizeof(*order->rows));
		order->capacity = source->count;
	}
	order->count = 0;
	for (uint32_t i = 0; i < source->count; i++) {
		if (*filter) {
			struct row_place place = table_place(source, i);

			if (!filter_matches(filter, place.function) &&
			    !matches(&file, filter, place.file) &&
			    !matches(&module, filter, place.module))
				continue;
		}
		order->rows[order->count++] = i;
	}
}

struct numbered {
	uint64_t number;
	uint32_t row;
};

/* By bytes of the number from the lowest on, those that are the same in all rows left out. Rows of
 * the same number stay as they are. */
static void sort_numbers(struct numbered **items, struct numbered **spare, size_t count)
{
	for (unsigned int shift = 0; shift < 64; shift += 8) {
		size_t starts[257] = {0};
		struct numbered *from = *items, *to = *spare;

		for (size_t i = 0; i < count; i++)
			starts[(from[i].number >> shift & 0xff) + 1]++;
		if (starts[(from[0].number >> shift & 0xff) + 1] == count)
			continue;
		for (size_t i = 1; i < 257; i++)
			starts[i] += starts[i - 1];
		for (size_t i = 0; i < count; i++)
			to[starts[from[i].number >> shift & 0xff]++] = from[i];
		*items = to;
		*spare = from;
	}
}

static void order_by_number(struct table_order *order, const struct table_source *source,
			    enum table_column by, bool is_rising)
{
	struct numbered *items = mem_array(order->count, sizeof(*items));
	struct numbered *spare = mem_array(order->count, sizeof(*spare));

	for (size_t i = 0; i < order->count; i++) {
		uint64_t number = table_number(source, by, order->rows[i]);

		items[i] = (struct numbered){is_rising ? number : ~number, order->rows[i]};
	}
	sort_numbers(&items, &spare, order->count);
	for (size_t i = 0; i < order->count; i++)
		order->rows[i] = items[i].row;
	free(items);
	free(spare);
}

/* Letters are compared eight at a time, as a number: each name is looked at once for them. */
struct named {
	uint64_t letters;
	const char *rest; /* behind them; NULL: the name has ended */
	uint32_t line, row;
};

static void read_letters(struct named *item)
{
	const unsigned char *at = (const unsigned char *)item->rest;
	int count = 0;

	for (item->letters = 0; count < 8 && at && at[count]; count++)
		item->letters |= (uint64_t)at[count] << (56 - 8 * count);
	item->rest = count == 8 ? item->rest + 8 : NULL;
}

static int compare_names(const struct named *a, const struct named *b)
{
	int order = (a->letters > b->letters) - (a->letters < b->letters);

	if (!order)
		order = strcmp(a->rest ? a->rest : "", b->rest ? b->rest : "");
	if (!order)
		order = (a->line > b->line) - (a->line < b->line);
	return order ? order : (a->row > b->row) - (a->row < b->row);
}

static int compare_items(const void *a, const void *b)
{
	return compare_names(a, b);
}

static void sort_few(struct named *items, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct named moving = items[i];
		size_t at = i;

		for (; at && compare_names(&moving, &items[at - 1]) < 0; at--)
			items[at] = items[at - 1];
		items[at] = moving;
	}
}

struct names {
	struct named *items;
	size_t count;
	bool is_same; /* in the letters that were read */
};

/* Three parts, by the letters of the one in the middle: below them, the same, above them. */
static void part_names(const struct names *names, struct names parts[3])
{
	struct named *items = names->items;
	uint64_t middle = items[names->count / 2].letters;
	size_t less = 0, at = 0, more = names->count;

	while (at < more) {
		uint64_t here = items[at].letters;
		size_t with = here < middle ? less++ : here > middle ? --more : at;
		struct named moved = items[with];

		items[with] = items[at];
		items[at] = moved;
		at += here <= middle;
	}
	parts[0] = (struct names){items, less, false};
	parts[1] = (struct names){items + less, more - less, true};
	parts[2] = (struct names){items + more, names->count - more, false};
}

/* Names begin alike for long: what is the same so far is not compared again. The largest part is
 * done here, so that no names make it go deep. */
static void sort_names(struct names names)
{
	while (names.count > 8) {
		struct names parts[3];
		int largest = 0;

		if (names.is_same && !names.items[0].rest)
			break;
		for (size_t i = 0; i < names.count && names.is_same; i++)
			read_letters(&names.items[i]);
		part_names(&names, parts);
		for (int i = 1; i < 3; i++) {
			if (parts[i].count > parts[largest].count)
				largest = i;
		}
		for (int i = 0; i < 3; i++) {
			if (i != largest)
				sort_names(parts[i]);
		}
		names = parts[largest];
	}
	/* What is left of many has the same name. */
	if (names.count > 8)
		qsort(names.items, names.count, sizeof(*names.items), compare_items);
	else
		sort_few(names.items, names.count);
}

static void order_by_text(struct table_order *order, const struct table_source *source,
			  enum table_column by)
{
	struct named *items = mem_array(order->count, sizeof(*items));

	for (size_t i = 0; i < order->count; i++)
		items[i] = (struct named){
			.rest = table_text(source, by, order->rows[i]),
			.line = by == COLUMN_KIND ? 0 : table_place(source, order->rows[i]).line,
			.row = order->rows[i],
		};
	sort_names((struct names){items, order->count, true});
	for (size_t i = 0; i < order->count; i++)
		order->rows[i] = items[i].row;
	free(items);
}

static void reverse(struct table_order *order)
{
	for (size_t i = 0; i < order->count / 2; i++) {
		uint32_t moved = order->rows[i];

		order->rows[i] = order->rows[order->count - 1 - i];
		order->rows[order->count - 1 - i] = moved;
	}
}

void table_order_build(struct table_order *order, const struct table_source *source,
		       const char *filter, enum table_column by, bool is_reversed)
{
	choose_rows(order, source, filter);
	if (order->count < 2)
		return;
	if (table_column_is_text(by)) {
		order_by_text(order, source, by);
		if (is_reversed)
			reverse(order);
	} else if (by != table_rank_column(source->table) || is_reversed) {
		order_by_number(order, source, by, is_reversed);
	}
}
