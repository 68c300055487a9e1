#include "reader/view/heap_keys.h"

#include <stdlib.h>
#include <string.h>

#include "reader/util/own.h"
#include "reader/view/place.h"
#include "reader/view/sort.h"

static uint64_t key_bytes(const struct heap_row *row)
{
	return row->live_bytes;
}

static uint64_t key_incl_bytes(const struct heap_row *row)
{
	return row->incl_live_bytes;
}

static uint64_t key_blocks(const struct heap_row *row)
{
	return row->live_blocks;
}

static uint64_t key_peak_bytes(const struct heap_row *row)
{
	return row->peak_bytes;
}

static uint64_t key_peak_ms(const struct heap_row *row)
{
	return row->peak_ns / 1000000;
}

static uint64_t key_alloc_bytes(const struct heap_row *row)
{
	return row->totals.alloc_bytes;
}

static uint64_t key_free_bytes(const struct heap_row *row)
{
	return row->totals.free_bytes;
}

static uint64_t key_allocs(const struct heap_row *row)
{
	return row->totals.allocs;
}

static uint64_t key_frees(const struct heap_row *row)
{
	return row->totals.frees;
}

static uint64_t key_temporary(const struct heap_row *row)
{
	return row->totals.temporary;
}

static uint64_t key_reallocs(const struct heap_row *row)
{
	return row->totals.reallocs;
}

static uint64_t key_growth_bytes(const struct heap_row *row)
{
	return row->totals.growth_bytes;
}

static uint64_t key_untracked(const struct heap_row *row)
{
	return row->totals.untracked;
}

static uint64_t key_untracked_bytes(const struct heap_row *row)
{
	return row->totals.untracked_bytes;
}

static uint64_t key_is_estimate(const struct heap_row *row)
{
	return row->is_estimate;
}

static uint64_t key_line(const struct heap_row *row)
{
	return row->line;
}

static const char *key_file(const struct heap_row *row)
{
	return row->file;
}

static const char *key_function(const struct heap_row *row)
{
	return row->function;
}

static const char *key_module(const struct heap_row *row)
{
	return row->module;
}

const struct heap_key heap_keys[] = {
	{.name = "bytes", .number = key_bytes},
	{.name = "incl_bytes", .number = key_incl_bytes},
	{.name = "blocks", .number = key_blocks},
	{.name = "peak_bytes", .number = key_peak_bytes},
	{.name = "peak_ms", .number = key_peak_ms},
	{.name = "total_alloc_bytes", .number = key_alloc_bytes},
	{.name = "total_free_bytes", .number = key_free_bytes},
	{.name = "total_allocs", .number = key_allocs},
	{.name = "total_frees", .number = key_frees},
	{.name = "temporary", .number = key_temporary},
	{.name = "reallocs", .number = key_reallocs},
	{.name = "growth_bytes", .number = key_growth_bytes},
	{.name = "untracked", .number = key_untracked},
	{.name = "untracked_bytes", .number = key_untracked_bytes},
	{.name = "is_estimate", .number = key_is_estimate, .is_bool = true},
	{.name = "file", .text = key_file},
	{.name = "line", .number = key_line},
	{.name = "function", .text = key_function},
	{.name = "module", .text = key_module},
	{.name = NULL},
};

const struct heap_key *heap_key_by_name(const char *name)
{
	for (const struct heap_key *key = heap_keys; key->name; key++) {
		if (!strcmp(name, key->name))
			return key;
	}
	return NULL;
}

int heap_key_choose(const char *name, const struct heap_key **ret_key, struct err *err)
{
	OWN(str_done) struct str list = {0};
	const struct heap_key *found = name ? heap_key_by_name(name) : NULL;

	for (const struct heap_key *key = heap_keys; key->name; key++)
		str_addf(&list, "%s%s", list.length ? ", " : "", key->name);
	if (name && !found)
		return sort_refuse_key(name, &list, err);
	*ret_key = found;
	return 0;
}

struct heap_order {
	const struct heap_key *key;
	enum view_group group;
};

static int down(uint64_t a, uint64_t b)
{
	return (a < b) - (a > b);
}

static int compare(const void *a_row, const void *b_row, void *context)
{
	const struct heap_order *by = context;
	const struct heap_row *a = a_row, *b = b_row;
	int order = 0;

	/* Numbers go down, text goes up. */
	if (by->key && by->key->number)
		order = down(by->key->number(a), by->key->number(b));
	else if (by->key)
		order = strcmp(by->key->text(a), by->key->text(b));
	if (!order)
		order = down(a->live_bytes, b->live_bytes);
	if (!order)
		order = down(a->incl_live_bytes, b->incl_live_bytes);
	if (!order)
		order = down(a->totals.alloc_bytes, b->totals.alloc_bytes);
	return order ? order : place_compare(by->group, &ROW_PLACE(a), &ROW_PLACE(b));
}

void heap_rows_sort(const struct heap_key *key, enum view_group group, struct heap_row *rows,
		    size_t count)
{
	struct heap_order order = {key, group};

	if (count > 1)
		qsort_r(rows, count, sizeof(*rows), compare, &order);
}
