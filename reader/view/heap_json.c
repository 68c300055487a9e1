/* The heap as one document; as json.c says. What the file does not tell is null. */
#include "reader/view/heap.h"

#include <inttypes.h>
#include <string.h>

#include "reader/view/heap_facts.h"
#include "reader/view/heap_keys.h"
#include "reader/view/json_parts.h"

static void print_number(FILE *to, const char *key, uint64_t value)
{
	fprintf(to, "  \"%s\": %" PRIu64 ",\n", key, value);
}

/* null unless it is known. */
static void print_known(FILE *to, const char *key, bool is_known, uint64_t value)
{
	if (is_known)
		print_number(to, key, value);
	else
		fprintf(to, "  \"%s\": null,\n", key);
}

static void print_meta(FILE *to, const struct snapshot *snapshot, const char *key,
		       const char *meta_key)
{
	uint64_t value = 0;
	bool is_known = heap_facts_meta(snapshot, meta_key, &value);

	print_known(to, key, is_known, value);
}

/* "0.42": taken over as it is where it is a number of JSON. */
static bool is_decimal(const char *text)
{
	size_t whole = strspn(text, "0123456789"), part;

	if (!whole || (*text == '0' && whole > 1))
		return false;
	if (!text[whole])
		return true;
	part = strspn(text + whole + 1, "0123456789");
	return text[whole] == '.' && part && !text[whole + 1 + part];
}

static void print_memory(FILE *to, const char *name, const struct heap_memory *memory)
{
	static const struct {
		const char *format;
		size_t offset;
	} keys[] = {
		{"%s_bytes", offsetof(struct heap_memory, end_bytes)},
		{"%s_begin_bytes", offsetof(struct heap_memory, begin_bytes)},
		{"%s_max_bytes", offsetof(struct heap_memory, max_bytes)},
	};
	char key[64];

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		uint64_t value = *(const uint64_t *)((const char *)memory + keys[i].offset);

		snprintf(key, sizeof(key), keys[i].format, name);
		print_known(to, key, value > 0, value);
	}
	snprintf(key, sizeof(key), "%s_max_ms", name);
	print_known(to, key, memory->max_bytes > 0, memory->max_ns / 1000000);
}

static void print_process(FILE *to, const struct snapshot *snapshot, const struct heap_view *view)
{
	const char *cost = heap_facts_text(snapshot, "heap_cost_pct");
	const struct heap_state *state = &view->state;
	bool is_counted = !view->is_totals_only && view->last;

	print_memory(to, "rss", &view->rss);
	print_memory(to, "rss_anonymous", &view->rss_anonymous);
	print_meta(to, snapshot, "before_attach_max_bytes", "heap_anonymous_bytes_at_attach");
	print_known(to, "unknown_frees", is_counted, state->unknown_frees);
	print_known(to, "mmap_count", is_counted, state->mmap_count);
	print_known(to, "mmap_bytes", is_counted, state->mmap_bytes);
	print_known(to, "munmap_count", is_counted, state->munmap_count);
	print_known(to, "munmap_bytes", is_counted, state->munmap_bytes);
	if (is_counted)
		fprintf(to, "  \"brk_bytes\": %" PRId64 ",\n", state->brk_bytes);
	else
		fputs("  \"brk_bytes\": null,\n", to);
	print_meta(to, snapshot, "heap_hits", "heap_hits");
	fprintf(to, "  \"heap_cost_pct\": %s,\n", cost && is_decimal(cost) ? cost : "null");
}

static void print_totals(FILE *to, const struct snapshot *snapshot, const struct heap_view *view)
{
	const struct heap_counts *totals = &view->totals;
	bool is_counted = !view->is_totals_only && view->last;

	print_known(to, "live_bytes", is_counted, view->live_bytes);
	print_known(to, "live_blocks", is_counted, view->live_blocks);
	fprintf(to, "  \"live_is_least\": %s,\n", view->is_least ? "true" : "false");
	print_known(to, "live_as_of_ms", view->frees_until_ns != UINT64_MAX && is_counted,
		    view->frees_until_ns / 1000000);
	print_known(to, "peak_bytes", is_counted, view->peak_bytes);
	print_known(to, "peak_ms", is_counted, view->peak_ns / 1000000);
	print_known(to, "peak_resolution_ms", is_counted,
		    view->is_peak_exact ? 0 : snapshot->heap_resolution_ns / 1000000);
	print_known(to, "total_alloc_bytes", is_counted, totals->alloc_bytes);
	print_known(to, "total_free_bytes", is_counted, totals->free_bytes);
	print_known(to, "total_allocs", is_counted, totals->allocs);
	print_known(to, "total_frees", is_counted, totals->frees);
	print_known(to, "temporary", is_counted, totals->temporary);
}

static void print_entry(FILE *to, const struct heap_row *row)
{
	fputs("    {", to);
	for (const struct heap_key *key = heap_keys; key->name; key++) {
		/* The place comes last, and all of it at once. */
		if (key->text)
			break;
		if (key->is_bool)
			fprintf(to, "\"%s\": %s, ", key->name, key->number(row) ? "true" : "false");
		else
			fprintf(to, "\"%s\": %" PRIu64 ", ", key->name, key->number(row));
	}
	json_place(to, &ROW_PLACE(row));
}

void heap_view_print_json(FILE *to, const struct snapshot *snapshot, const struct heap_view *view)
{
	json_head(to, snapshot);
	json_sources(to, snapshot);
	fputs("  ", to);
	json_text(to, "mode", heap_mode_names[view->mode]);
	fprintf(to, ",\n  \"is_estimate\": %s,\n  ", view->is_estimate ? "true" : "false");
	json_share(to, "complete_stacks_pct", view->complete_pct);
	fputs(",\n", to);
	json_losses(to, &snapshot->losses);
	json_status(to, view->status_allocs);
	print_totals(to, snapshot, view);
	print_process(to, snapshot, view);
	json_steps(to, snapshot, "heap");
	fputs("  \"entries\": [", to);
	for (size_t i = 0; i < view->row_count; i++) {
		fputs(i ? ",\n" : "\n", to);
		print_entry(to, &view->rows[i]);
	}
	fputs(view->row_count ? "\n  ]\n}\n" : "]\n}\n", to);
}
