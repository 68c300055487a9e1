#include "reader/view/sort.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reader/util/own.h"
#include "reader/util/str.h"
#include "reader/view/place.h"

struct sort_key {
	const char *name;
	/* One of the two: numbers go down, text goes up. */
	uint64_t (*number)(const struct sort_order *order, const struct view_row *row);
	const char *(*text)(const struct view_row *row);
	enum {
		KEY_ALWAYS,
		KEY_SAMPLES,  /* not of waits */
		KEY_BY_VALUE, /* of these, where shares are not of samples */
		KEY_WAITS,
	} when;
};

static uint64_t key_self(const struct sort_order *order, const struct view_row *row)
{
	return order->by_value ? row->self_value : row->self;
}

static uint64_t key_incl(const struct sort_order *order, const struct view_row *row)
{
	return order->by_value ? row->incl_value : row->incl;
}

static uint64_t key_samples(const struct sort_order *order, const struct view_row *row)
{
	(void)order;
	return row->self;
}

static uint64_t key_incl_samples(const struct sort_order *order, const struct view_row *row)
{
	(void)order;
	return row->incl;
}

static uint64_t key_kernel(const struct sort_order *order, const struct view_row *row)
{
	(void)order;
	return row->kernel;
}

static uint64_t key_value(const struct sort_order *order, const struct view_row *row)
{
	(void)order;
	return row->self_value;
}

static uint64_t key_incl_value(const struct sort_order *order, const struct view_row *row)
{
	(void)order;
	return row->incl_value;
}

static uint64_t key_run(const struct sort_order *order, const struct view_row *row)
{
	(void)order;
	return row->run_ns;
}

static uint64_t key_line(const struct sort_order *order, const struct view_row *row)
{
	(void)order;
	return row->line;
}

static const char *key_file(const struct view_row *row)
{
	return row->file;
}

static const char *key_function(const struct view_row *row)
{
	return row->function;
}

static const char *key_module(const struct view_row *row)
{
	return row->module;
}

static const char *key_kind(const struct view_row *row)
{
	return wait_kind_names[row->kind];
}

static const struct sort_key keys[] = {
	{"cpu_pct", key_self, NULL, KEY_SAMPLES},
	{"wait_pct", key_self, NULL, KEY_WAITS},
	{"incl_pct", key_incl, NULL, KEY_ALWAYS},
	{"samples", key_samples, NULL, KEY_SAMPLES},
	{"incl_samples", key_incl_samples, NULL, KEY_SAMPLES},
	{"kernel_samples", key_kernel, NULL, KEY_SAMPLES},
	{"value", key_value, NULL, KEY_BY_VALUE},
	{"wait_ns", key_value, NULL, KEY_WAITS},
	{"incl_wait_ns", key_incl_value, NULL, KEY_WAITS},
	{"run_ns", key_run, NULL, KEY_WAITS},
	{"waits", key_samples, NULL, KEY_WAITS},
	{"kind", NULL, key_kind, KEY_WAITS},
	{"file", NULL, key_file, KEY_ALWAYS},
	{"line", key_line, NULL, KEY_ALWAYS},
	{"function", NULL, key_function, KEY_ALWAYS},
	{"module", NULL, key_module, KEY_ALWAYS},
};

enum { KEY_COUNT = sizeof(keys) / sizeof(*keys) };

static bool has_key(const struct selection *selection, const struct sort_key *key)
{
	switch (key->when) {
	case KEY_ALWAYS:
		return true;
	case KEY_SAMPLES:
		return !selection->is_wait;
	case KEY_BY_VALUE:
		return selection->by_value && !selection->is_wait;
	case KEY_WAITS:
		return selection->is_wait;
	}
	return false;
}

int sort_refuse_key(const char *key, const struct str *list, struct err *err)
{
	OWN(str_done) struct str given = {0};

	str_add_scrubbed(&given, key);
	err_set(err, ERR_USAGE, -EINVAL, "Rows cannot be sorted by \"%.200s\".", str_text(&given));
	err_remedy(err, "Use --sort with one of: %s.", str_text(list));
	return -EINVAL;
}

int sort_order_init(struct sort_order *order, const char *key, const struct selection *selection,
		    struct err *err)
{
	OWN(str_done) struct str list = {0};
	const struct sort_key *found = NULL;

	for (size_t i = 0; i < KEY_COUNT; i++) {
		if (!has_key(selection, &keys[i]))
			continue;
		if (key && !strcmp(key, keys[i].name))
			found = &keys[i];
		str_addf(&list, "%s%s", list.length ? ", " : "", keys[i].name);
	}
	if (key && !found)
		return sort_refuse_key(key, &list, err);
	*order = (struct sort_order){
		.key = found, .group = selection->request->group, .by_value = selection->by_value};
	return 0;
}

static int down(uint64_t a, uint64_t b)
{
	return (a < b) - (a > b);
}

static int compare(const void *a_row, const void *b_row, void *context)
{
	const struct sort_order *by = context;
	const struct view_row *a = a_row, *b = b_row;
	int order = 0;

	if (by->key && by->key->number)
		order = down(by->key->number(by, a), by->key->number(by, b));
	else if (by->key)
		order = strcmp(by->key->text(a), by->key->text(b));
	if (!order)
		order = down(key_self(by, a), key_self(by, b));
	if (!order)
		order = down(key_incl(by, a), key_incl(by, b));
	if (order)
		return order;
	return place_compare(by->group, &ROW_PLACE(a), &ROW_PLACE(b));
}

void sort_rows(const struct sort_order *order, struct view_row *rows, size_t count)
{
	if (count > 1)
		qsort_r(rows, count, sizeof(*rows), compare, (void *)order);
}
