#include "reader/view/annotate.h"

#include <stdlib.h>
#include <string.h>

#include "reader/util/hash.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"
#include "reader/util/vec.h"
#include "reader/view/annotate_sums.h"

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

/* A path tells two files apart that are shortened to the same text; one file may be shortened in
 * two ways, by where it was compiled. */
static bool is_of_file(const struct snapshot_location *location,
		       const struct annotate_target *target)
{
	if (!annotate_is_source(location))
		return false;
	if (location->path || target->path)
		return same_text(location->path, target->path);
	return !strcmp(location->file, target->file);
}

/* Where the brackets that end at `end` begin; end itself where they do not pair. */
static size_t bracket_begin(const char *text, size_t end)
{
	size_t depth = 0, at = end;

	while (at > 0) {
		at--;
		/* The arrow of a function's type is no bracket. */
		if (text[at] == '>' && !(at && text[at - 1] == '-'))
			depth++;
		else if (text[at] == '<' && depth && --depth == 0)
			return at;
	}
	return end;
}

/* "operator>", "operator->", "operator<=>": their brackets are the name. */
static bool is_operator(const char *function, size_t length)
{
	static const char word[] = "operator";

	while (length && strchr("<>=-", function[length - 1]))
		length--;
	return length >= strlen(word) &&
	       !memcmp(function + length - strlen(word), word, strlen(word));
}

size_t annotate_name_length(const char *function)
{
	size_t length = strlen(function), begin;

	if (!length || function[length - 1] != '>' || is_operator(function, length))
		return length;
	begin = bracket_begin(function, length);
	if (begin >= length)
		return length;
	if (begin >= 2 && !memcmp(function + begin - 2, "::", 2))
		begin -= 2;
	return begin ? begin : length;
}

static bool is_of_function(const struct snapshot_location *location,
			   const struct annotate_target *target)
{
	size_t length = annotate_name_length(location->function);

	return target->function && strlen(target->function) == length &&
	       !memcmp(location->function, target->function, length);
}

/* The lines of the file, numbered in the order that they are found; all other locations are of one
 * more group. */
struct lines {
	uint32_t *group_of;
	VEC(uint32_t) numbers;
};

static void find_lines(struct lines *lines, const struct snapshot *snapshot,
		       const struct annotate_target *target)
{
	struct u64_map known = {0};

	lines->group_of = mem_array(snapshot->location_count, sizeof(*lines->group_of));
	for (size_t i = 0; i < snapshot->location_count; i++) {
		const struct snapshot_location *location = &snapshot->locations[i];
		uint32_t group = UINT32_MAX;

		if (is_of_file(location, target)) {
			group = u64_map_get(&known, location->line);
			if (group == UINT32_MAX) {
				group = (uint32_t)lines->numbers.count;
				u64_map_put(&known, location->line, group);
				*vec_add(&lines->numbers) = location->line;
			}
		}
		lines->group_of[i] = group;
	}
	for (size_t i = 0; i < snapshot->location_count; i++) {
		if (lines->group_of[i] == UINT32_MAX)
			lines->group_of[i] = (uint32_t)lines->numbers.count;
	}
	u64_map_done(&known);
}

/* The file as one group: a sample with two of its lines on the stack is one of the file's. */
static void add_sum(struct annotation *annotation, const struct annotate_sums *sums,
		    const struct lines *lines)
{
	const struct snapshot *snapshot = sums->snapshot;
	OWN(own_free) uint32_t *group_of = mem_array(snapshot->location_count, sizeof(*group_of));
	OWN(own_free) struct annotate_sum *found = NULL;

	for (size_t i = 0; i < snapshot->location_count; i++)
		group_of[i] = lines->group_of[i] == lines->numbers.count;
	found = annotate_sums_count(sums, group_of, 2);
	annotation->sum = annotate_sum_line(sums, &found[0]);
}

static int compare_lines(const void *a, const void *b)
{
	/* 0 becomes the largest. */
	uint32_t left = ((const struct annotate_line *)a)->line - 1;
	uint32_t right = ((const struct annotate_line *)b)->line - 1;

	return (left > right) - (left < right);
}

static void add_lines(struct annotation *annotation, const struct annotate_sums *sums,
		      const struct lines *lines)
{
	OWN(own_free) struct annotate_sum *found = NULL;
	VEC(struct annotate_line) kept = {0};

	found = annotate_sums_count(sums, lines->group_of, lines->numbers.count + 1);
	for (size_t i = 0; i < lines->numbers.count; i++) {
		struct annotate_line line;

		if (annotate_sum_is_empty(&found[i]))
			continue;
		line = annotate_sum_line(sums, &found[i]);
		line.line = lines->numbers.items[i];
		*vec_add(&kept) = line;
	}
	if (kept.count)
		qsort(kept.items, kept.count, sizeof(*kept.items), compare_lines);
	annotation->lines =
		arena_copy(&annotation->arena, kept.items, kept.count * sizeof(*kept.items));
	annotation->line_count = kept.count;
	vec_done(&kept);
}

static void find_function(struct annotation *annotation, const struct snapshot *snapshot,
			  const struct annotate_target *target)
{
	for (size_t i = 0; i < snapshot->location_count; i++) {
		const struct snapshot_location *location = &snapshot->locations[i];

		if (!location->line || !is_of_function(location, target) ||
		    !is_of_file(location, target) || !annotate_line_at(annotation, location->line))
			continue;
		if (!annotation->function_from || location->line < annotation->function_from)
			annotation->function_from = location->line;
		if (location->line > annotation->function_to)
			annotation->function_to = location->line;
	}
}

int annotate_build(const struct snapshot *snapshot, const struct annotate_request *request,
		   const struct annotate_target *target, struct annotation **ret_annotation,
		   struct err *err)
{
	struct annotate_sums sums;
	struct annotation *annotation;
	struct lines lines = {0};
	int r = annotate_sums_init(&sums, snapshot, request, err);

	if (r < 0)
		return r;
	annotation = mem_zalloc(sizeof(*annotation));
	annotation->file = arena_strdup(&annotation->arena, target->file);
	annotation->path = arena_strdup(&annotation->arena, target->path);
	if (sums.samples.event != SNAPSHOT_NONE)
		annotation->event =
			arena_strdup(&annotation->arena, snapshot->events[sums.samples.event].name);
	annotation->has_heap = sums.heap != NULL;
	annotation->has_wait = sums.waits.event != SNAPSHOT_NONE;
	annotation->total_samples = sums.total_samples;
	if (snapshot->recording_count)
		annotation->start_unix_ns = snapshot->recordings[0].start_unix_ns;
	find_lines(&lines, snapshot, target);
	add_lines(annotation, &sums, &lines);
	if (!request->without_sum)
		add_sum(annotation, &sums, &lines);
	if (target->function)
		find_function(annotation, snapshot, target);
	free(lines.group_of);
	vec_done(&lines.numbers);
	annotate_sums_done(&sums);
	*ret_annotation = annotation;
	return 0;
}

void annotate_free(struct annotation *annotation)
{
	if (!annotation)
		return;
	arena_done(&annotation->arena);
	free(annotation);
}

const struct annotate_line *annotate_line_at(const struct annotation *annotation, uint32_t line)
{
	const struct annotate_line key = {.line = line};

	if (!annotation->line_count)
		return NULL;
	return bsearch(&key, annotation->lines, annotation->line_count, sizeof(key), compare_lines);
}

void annotate_target_done(struct annotate_target *target)
{
	free(target->file);
	free(target->path);
	free(target->function);
	memset(target, 0, sizeof(*target));
}
