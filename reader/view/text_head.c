#include "reader/view/text_head.h"

#include <string.h>

#include "reader/util/hash.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"
#include "reader/view/cell.h"
#include "reader/view/head.h"
#include "reader/view/number.h"
#include "reader/view/text_table.h"

enum {
	NOTED_MODULES_MAX = 8, /* named in the note on line numbers; a line, not a list */
};

static const char *const group_nouns[] = {
	[VIEW_BY_LINE] = "locations", [VIEW_BY_FUNCTION] = "functions", [VIEW_BY_FILE] = "files",
	[VIEW_BY_MODULE] = "modules", [VIEW_BY_THREAD] = "threads",
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

const char *text_share(char buffer[FMT_MAX], double share)
{
	return number_decimal(buffer, share < 100 && share > 99.9 ? 99.9 : share, 1);
}

static void add_process(struct str *line, const struct snapshot *snapshot)
{
	const char *name = snapshot_meta_get(snapshot, "process_name");
	const char *pid = snapshot_meta_get(snapshot, "pid");

	if (snapshot->recording_count) {
		cell_add_clean(line, snapshot->recordings[0].process_name);
		str_addf(line, " (%u)", snapshot->recordings[0].pid);
		if (snapshot->recording_count > 1)
			str_addf(line, " and %zu more", snapshot->recording_count - 1);
		return;
	}
	cell_add_clean(line, name ? name : "?");
	str_add(line, " (");
	cell_add_clean(line, pid ? pid : "?");
	str_add(line, ")");
}

static void add_length(struct str *line, const struct snapshot *snapshot)
{
	char number[FMT_MAX];
	uint64_t from, to;

	head_window(snapshot, &from, &to);
	if (from || to < snapshot->duration_ns) {
		str_addf(line, "%s%s", fmt_duration(number, from), cell_dash());
		str_addf(line, "%s of ", fmt_duration(number, to));
	}
	str_add(line, fmt_duration(number, snapshot->duration_ns));
}

void text_add_title(struct str *line, const struct snapshot *snapshot)
{
	cell_add_clean(line, base_name(snapshot->file));
	str_add(line, "   ");
	add_process(line, snapshot);
	str_add(line, "   ");
	add_length(line, snapshot);
}

/* The best that is known of any frame of the modules of this name. */
static enum symbol_quality best_quality(const struct snapshot *snapshot, const char *name)
{
	OWN(own_free) bool *is_named = mem_array(snapshot->module_count, sizeof(*is_named));
	enum symbol_quality best = SYMBOL_NONE;

	for (size_t i = 0; i < snapshot->module_count; i++)
		is_named[i] = !strcmp(snapshot->modules[i].name, name);
	for (size_t i = 0; i < snapshot->frame_count; i++) {
		const struct snapshot_frame *frame = &snapshot->frames[i];

		if (frame->is_resolved && frame->quality > best &&
		    frame->module < snapshot->module_count && is_named[frame->module])
			best = frame->quality;
	}
	return best;
}

/* Names of modules that are files, which could have line numbers. */
static void find_file_modules(const struct snapshot *snapshot, struct str_map *names)
{
	for (size_t i = 0; i < snapshot->module_count; i++) {
		if (snapshot->modules[i].kind == MODULE_FILE)
			str_map_put(names, snapshot->modules[i].name, 0);
	}
}

void text_add_missing_lines(struct str *line, const struct snapshot *snapshot,
			    const struct row_place *places, size_t count)
{
	struct str_map files = {0}, seen = {0};
	size_t named = 0, more = 0;

	find_file_modules(snapshot, &files);
	for (size_t i = 0; i < count; i++) {
		const struct row_place *place = &places[i];
		enum symbol_quality best;

		if (place->line || *place->file != '[' ||
		    str_map_get(&files, place->module) == UINT32_MAX ||
		    str_map_get(&seen, place->module) != UINT32_MAX)
			continue;
		str_map_put(&seen, place->module, 0);
		best = best_quality(snapshot, place->module);
		/* Code without lines in a file that has them: the start of a program, say. */
		if (best == SYMBOL_LINE)
			continue;
		if (named == NOTED_MODULES_MAX) {
			more++;
			continue;
		}
		str_add(line, named++ ? ", " : "no line numbers for: ");
		cell_add_clean(line, place->module);
		str_add(line, best == SYMBOL_FUNCTION ? " (no debug info)" : " (stripped)");
	}
	if (more)
		str_addf(line, " and %zu more", more);
	if (named)
		str_add(line, "\n");
	str_map_done(&files);
	str_map_done(&seen);
}

void text_print_losses(FILE *to, const struct snapshot *snapshot, bool colour)
{
	if (!losses_total(&snapshot->losses))
		colour = false;
	if (colour)
		fputs(SGR_WARM, to);
	view_print_losses(to, &snapshot->losses);
	if (colour)
		fputs(SGR_END, to);
}

void text_print_shown(FILE *to, enum view_group group, size_t row_count, size_t location_count,
		      double share, const char *what)
{
	char shown[FMT_MAX], all[FMT_MAX], number[FMT_MAX];

	fprintf(to, "%s of %s %s, %s %% of %s\n", fmt_count(shown, row_count),
		fmt_count(all, location_count), group_nouns[group], text_share(number, share),
		what);
}
