/* Which file, line or function of a profile is meant. A file is tried first, then a function; and
 * the whole name before a part of it. */
#include "reader/view/annotate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader/util/fmt.h"
#include "reader/util/hash.h"
#include "reader/util/mem.h"
#include "reader/util/near.h"
#include "reader/util/own.h"
#include "reader/util/str.h"
#include "reader/util/vec.h"
#include "reader/view/annotate_sums.h"
#include "reader/view/number.h"

enum {
	LISTED_MAX = 20,
	LIST_BYTES_MAX = 1500, /* fits into an error's sentence */
	NEAR_MAX = 5,	       /* names that are offered */
};

/* What can be meant: a file, or a function in one. */
struct item {
	const struct snapshot_location *location; /* the first of it that has a line, else the first
						   */
	size_t name_length;			  /* of a function */
};

typedef VEC(struct item) item_list;

struct finding {
	const struct snapshot *snapshot;
	bool is_function;
	item_list items;
	uint32_t *item_of;  /* by location; items.count: of none */
	const char *wanted; /* as it was given */
	struct str text;    /* what is looked for, without its line and arguments of generics */
	uint32_t line;
};

/* ---- what is asked for */

/* Takes ":142" off the end; false where there is none. */
static bool take_line(struct str *text, uint32_t *ret_line)
{
	const char *colon = text->length ? strrchr(text->text, ':') : NULL;
	uint64_t line;

	if (!colon || colon == text->text || parse_count(colon + 1, &line) < 0 ||
	    line >= UINT32_MAX)
		return false;
	text->length = (size_t)(colon - text->text);
	text->text[text->length] = '\0';
	*ret_line = (uint32_t)line;
	return true;
}

/* Compilers say the column too: the first number is the line. */
static void parse(struct finding *finding, const char *wanted)
{
	while (str_starts(wanted, "./"))
		wanted += 2;
	str_add(&finding->text, wanted);
	if (take_line(&finding->text, &finding->line))
		take_line(&finding->text, &finding->line);
}

/* ---- what there is */

static void add_file_key(struct str *key, const struct snapshot_location *location)
{
	/* No path begins so: what has none is told apart from what has one. */
	str_add(key, location->path ? location->path : "\n");
	if (!location->path)
		str_add(key, location->file);
}

/* Functions without lines are gathered too: they are there, though they cannot be shown. */
static void gather(struct finding *finding, bool is_function)
{
	const struct snapshot *snapshot = finding->snapshot;
	struct str_map known = {0};
	struct str key = {0};

	free(finding->item_of);
	vec_clear(&finding->items);
	finding->is_function = is_function;
	finding->item_of = mem_array(snapshot->location_count, sizeof(*finding->item_of));
	for (size_t i = 0; i < snapshot->location_count; i++) {
		const struct snapshot_location *location = &snapshot->locations[i];
		size_t name_length = is_function ? annotate_name_length(location->function) : 0;
		uint32_t index;

		finding->item_of[i] = UINT32_MAX;
		if (!is_function && !annotate_is_source(location))
			continue;
		str_clear(&key);
		str_add_bytes(&key, location->function, name_length);
		str_add(&key, "\n");
		add_file_key(&key, location);
		index = str_map_get(&known, str_text(&key));
		if (index == UINT32_MAX) {
			index = (uint32_t)finding->items.count;
			str_map_put(&known, str_text(&key), index);
			*vec_add(&finding->items) = (struct item){location, name_length};
		} else if (!finding->items.items[index].location->line) {
			finding->items.items[index].location = location;
		}
		finding->item_of[i] = index;
	}
	for (size_t i = 0; i < snapshot->location_count; i++) {
		if (finding->item_of[i] == UINT32_MAX)
			finding->item_of[i] = (uint32_t)finding->items.count;
	}
	str_map_done(&known);
	str_done(&key);
}

/* ---- what fits */

enum level { LEVEL_WHOLE, LEVEL_TAIL, LEVEL_PART, LEVELS };

static bool is_tail(const char *text, size_t length, const char *tail, const char *separator)
{
	size_t tail_length = strlen(tail), gap = strlen(separator);

	return tail_length && length >= tail_length + gap &&
	       !memcmp(text + length - tail_length, tail, tail_length) &&
	       !memcmp(text + length - tail_length - gap, separator, gap);
}

static bool file_fits(const struct item *item, const char *wanted, enum level level)
{
	const char *file = item->location->file, *path = item->location->path;

	switch (level) {
	case LEVEL_WHOLE:
		return !strcmp(file, wanted) || (path && !strcmp(path, wanted));
	case LEVEL_TAIL:
		return is_tail(file, strlen(file), wanted, "/") ||
		       (path && is_tail(path, strlen(path), wanted, "/"));
	default:
		return false;
	}
}

static bool function_fits(const struct item *item, const char *wanted, enum level level)
{
	const char *name = item->location->function;
	OWN(str_done) struct str plain = {0};

	switch (level) {
	case LEVEL_WHOLE:
		return !strcmp(name, wanted) || (strlen(wanted) == item->name_length &&
						 !memcmp(name, wanted, item->name_length));
	case LEVEL_TAIL:
		return is_tail(name, item->name_length, wanted, "::");
	default:
		str_add_bytes(&plain, name, item->name_length);
		return filter_matches(wanted, str_text(&plain));
	}
}

/* A candidate, with what it costs. */
struct candidate {
	const struct item *item;
	struct annotate_line cost;
	bool is_empty;
};

typedef VEC(struct candidate) candidate_list;

static int compare_candidates(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;

	if (a->cost.self_pct != b->cost.self_pct)
		return a->cost.self_pct > b->cost.self_pct ? -1 : 1;
	if (a->cost.incl_pct != b->cost.incl_pct)
		return a->cost.incl_pct > b->cost.incl_pct ? -1 : 1;
	if (a->cost.live_bytes != b->cost.live_bytes)
		return a->cost.live_bytes > b->cost.live_bytes ? -1 : 1;
	return a->item < b->item ? -1 : a->item > b->item;
}

/* The first level at which anything fits. */
static void find_fitting(const struct finding *finding, candidate_list *list)
{
	const char *wanted = str_text(&finding->text);

	for (int level = 0; level < LEVELS && !list->count; level++) {
		for (size_t i = 0; i < finding->items.count; i++) {
			const struct item *item = &finding->items.items[i];

			if (finding->is_function ? function_fits(item, wanted, level)
						 : file_fits(item, wanted, level))
				*vec_add(list) = (struct candidate){.item = item};
		}
	}
}

/* What has nothing gives way to what has something, and what cannot be shown to what can. */
static int weigh(const struct finding *finding, const struct annotate_request *request,
		 candidate_list *list, struct err *err)
{
	OWN(own_free) struct annotate_sum *found = NULL;
	struct annotate_sums sums;
	bool has_any = false, has_source = false;
	size_t kept = 0;
	int r = annotate_sums_init(&sums, finding->snapshot, request, err);

	if (r < 0)
		return r;
	found = annotate_sums_count(&sums, finding->item_of, finding->items.count + 1);
	for (size_t i = 0; i < list->count; i++) {
		struct candidate *candidate = &list->items[i];
		const struct annotate_sum *sum = &found[candidate->item - finding->items.items];

		candidate->cost = annotate_sum_line(&sums, sum);
		candidate->is_empty = annotate_sum_is_empty(sum);
		has_source |= annotate_is_source(candidate->item->location);
	}
	annotate_sums_done(&sums);
	for (size_t i = 0; i < list->count; i++) {
		if (!has_source || annotate_is_source(list->items[i].item->location))
			list->items[kept++] = list->items[i];
	}
	list->count = kept;
	for (size_t i = 0; i < kept; i++)
		has_any |= !list->items[i].is_empty;
	kept = 0;
	for (size_t i = 0; i < list->count; i++) {
		if (!has_any || !list->items[i].is_empty)
			list->items[kept++] = list->items[i];
	}
	list->count = kept;
	qsort(list->items, list->count, sizeof(*list->items), compare_candidates);
	return 0;
}

/* ---- what is said where it is not one */

static void add_place(struct str *to, const struct candidate *candidate, bool is_function)
{
	const struct snapshot_location *location = candidate->item->location;

	/* The short form of two files may be the same. */
	str_add_scrubbed(to, location->path ? location->path : location->file);
	if (is_function && location->line)
		str_addf(to, ":%u", location->line);
}

static void add_candidate(struct str *list, const struct candidate *candidate, bool is_function)
{
	OWN(str_done) struct str name = {0};
	char number[FMT_MAX], bytes[FMT_MAX];

	str_addf(list, "\n%6s%%  ", number_decimal(number, candidate->cost.self_pct, 1));
	if (candidate->cost.live_bytes)
		str_addf(list, "%s  ", fmt_bytes(bytes, candidate->cost.live_bytes));
	add_place(list, candidate, is_function);
	if (!is_function)
		return;
	str_add_bytes(&name, candidate->item->location->function, candidate->item->name_length);
	str_add(list, "  ");
	str_add_scrubbed(list, str_text(&name));
}

static int refuse_several(const struct finding *finding, const candidate_list *list,
			  struct err *err)
{
	OWN(str_done) struct str text = {0}, wanted = {0}, first = {0};
	size_t shown = 0;

	str_add_scrubbed(&wanted, finding->wanted);
	for (; shown < list->count && shown < LISTED_MAX; shown++) {
		OWN(str_done) struct str one = {0};

		add_candidate(&one, &list->items[shown], finding->is_function);
		if (text.length + one.length > LIST_BYTES_MAX)
			break;
		str_add(&text, str_text(&one));
	}
	if (shown < list->count)
		str_addf(&text, "\n         and %zu more", list->count - shown);
	add_place(&first, &list->items[0], finding->is_function);
	if (!finding->is_function && finding->line)
		str_addf(&first, ":%u", finding->line);
	err_set(err, ERR_USAGE, -EINVAL, "%zu %s match \"%.200s\":%s", list->count,
		finding->is_function ? "functions" : "files", str_text(&wanted), str_text(&text));
	err_remedy(err, "Name one of them by its place: %.900s", str_text(&first));
	return -EINVAL;
}

static int refuse_lineless(const struct item *item, struct err *err)
{
	OWN(str_done) struct str name = {0}, module = {0};

	str_add_scrubbed(&name, item->location->function);
	str_add_scrubbed(&module, item->location->file);
	err_set(err, ERR_USAGE, -EINVAL, "%.400s has no known lines: %.400s has no debug info.",
		str_text(&name), str_text(&module));
	err_remedy(err, "Build it with -g (in Rust debug = true) and record again.");
	return -EINVAL;
}

/* Names that are a slip away, the nearest first. */
struct near_names {
	const char *names[NEAR_MAX];
	size_t lengths[NEAR_MAX], distances[NEAR_MAX];
	size_t count;
};

static void offer(struct near_names *near, const char *wanted, const char *name, size_t length)
{
	size_t wanted_length = strlen(wanted), distance, at;
	char text[NEAR_LENGTH_MAX + 1];

	if (length > NEAR_LENGTH_MAX || length + NEAR_EDITS_MAX < wanted_length ||
	    wanted_length + NEAR_EDITS_MAX < length)
		return;
	memcpy(text, name, length);
	text[length] = '\0';
	distance = NEAR_EDITS_MAX + 1;
	if (!near_is_better(wanted, text, &distance))
		return;
	for (at = 0; at < near->count; at++) {
		if (near->lengths[at] == length && !memcmp(near->names[at], name, length))
			return;
	}
	if (near->count < NEAR_MAX)
		near->count++;
	else if (near->distances[NEAR_MAX - 1] <= distance)
		return;
	for (at = near->count - 1; at > 0 && near->distances[at - 1] > distance; at--) {
		near->names[at] = near->names[at - 1];
		near->lengths[at] = near->lengths[at - 1];
		near->distances[at] = near->distances[at - 1];
	}
	near->names[at] = name;
	near->lengths[at] = length;
	near->distances[at] = distance;
}

/* Every tail of a name is a name for it, too. */
static void offer_tails(struct near_names *near, const char *wanted, const char *name,
			size_t length, const char *separator)
{
	const char *end = name + length;

	while (name < end) {
		const char *next = strstr(name, separator);

		offer(near, wanted, name, (size_t)(end - name));
		if (!next || next >= end)
			return;
		name = next + strlen(separator);
	}
}

static void add_near(struct finding *finding, struct near_names *near)
{
	const char *wanted = str_text(&finding->text);

	for (size_t i = 0; i < finding->snapshot->location_count; i++) {
		const struct snapshot_location *location = &finding->snapshot->locations[i];

		if (!annotate_is_source(location))
			continue;
		offer_tails(near, wanted, location->file, strlen(location->file), "/");
		offer_tails(near, wanted, location->function,
			    annotate_name_length(location->function), "::");
	}
}

static int refuse_unknown(struct finding *finding, struct err *err)
{
	OWN(str_done) struct str wanted = {0}, list = {0}, profile = {0};
	struct near_names near = {0};
	bool has_source = false;

	for (size_t i = 0; i < finding->snapshot->location_count; i++)
		has_source |= annotate_is_source(&finding->snapshot->locations[i]);
	str_add_scrubbed(&wanted, str_text(&finding->text));
	str_add_scrubbed(&profile, finding->snapshot->file);
	if (!has_source) {
		err_set(err, ERR_USAGE, -EINVAL, "This profile knows no lines of source.");
		err_remedy(err,
			   "Build the program with -g (in Rust debug = true) and record again.");
		return -EINVAL;
	}
	err_set(err, ERR_USAGE, -EINVAL, "This profile has no file or function \"%.200s\".",
		str_text(&wanted));
	add_near(finding, &near);
	for (size_t i = 0; i < near.count; i++) {
		OWN(str_done) struct str name = {0};

		str_add_bytes(&name, near.names[i], near.lengths[i]);
		str_add(&list, i ? ", " : "");
		str_add_scrubbed(&list, str_text(&name));
	}
	if (near.count)
		err_remedy(err, "Did you mean %s?", str_text(&list));
	else
		err_remedy(err, "It has these files: rsprof top cpu %.400s --by file",
			   str_text(&profile));
	return -EINVAL;
}

/* ---- all of it */

static int choose(const struct finding *finding, const candidate_list *list,
		  struct annotate_target *ret_target, struct err *err)
{
	const struct item *item = list->items[0].item;

	if (!annotate_is_source(item->location))
		return refuse_lineless(item, err);
	if (list->count > 1)
		return refuse_several(finding, list, err);
	*ret_target = (struct annotate_target){
		.file = mem_strdup(item->location->file),
		.path = mem_strdup(item->location->path),
		.line = finding->is_function ? 0 : finding->line,
	};
	if (finding->is_function) {
		struct str name = {0};

		str_add_bytes(&name, item->location->function, item->name_length);
		ret_target->function = name.text;
	}
	return 0;
}

static int find(struct finding *finding, const struct annotate_request *request, const char *wanted,
		struct annotate_target *ret_target, struct err *err)
{
	candidate_list list = {0};
	int r;

	gather(finding, false);
	find_fitting(finding, &list);
	/* "parse:12" is no function, and what has a line is none. */
	if (!list.count && !finding->line) {
		gather(finding, true);
		finding->text.length = annotate_name_length(finding->text.text);
		finding->text.text[finding->text.length] = '\0';
		find_fitting(finding, &list);
	}
	if (!list.count) {
		r = refuse_unknown(finding, err);
	} else {
		r = weigh(finding, request, &list, err);
		if (r == 0)
			r = choose(finding, &list, ret_target, err);
	}
	vec_done(&list);
	return r;
}

int annotate_find(const struct snapshot *snapshot, const struct annotate_request *request,
		  const char *wanted, struct annotate_target *ret_target, struct err *err)
{
	struct finding finding = {.snapshot = snapshot, .wanted = wanted};
	int r;

	parse(&finding, wanted);
	if (!finding.text.length) {
		err_set(err, ERR_USAGE, -EINVAL, "The file or function is empty.");
		err_remedy(err, "Name one, as src/parser.rs:142 or parse_header.");
		r = -EINVAL;
	} else {
		r = find(&finding, request, wanted, ret_target, err);
	}
	str_done(&finding.text);
	free(finding.item_of);
	vec_done(&finding.items);
	return r;
}
