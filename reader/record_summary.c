#include "reader/record_summary.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "reader/store/store.h"
#include "reader/util/clock.h"
#include "reader/util/fmt.h"
#include "reader/view/heap.h"
#include "reader/view/view.h"

enum { SUMMARY_ROWS = 10 };

/* All of rsprof's own, opening and building tables included, over all of its time. */
static void print_own_cost(FILE *to, uint64_t elapsed_ns)
{
	struct rusage usage;
	char memory[FMT_MAX];
	double cpu_ns;

	getrusage(RUSAGE_SELF, &usage);
	cpu_ns = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e9 +
		 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e3;
	fprintf(to, "rsprof used %.1f %% CPU, %s\n",
		elapsed_ns ? 100 * cpu_ns / (double)elapsed_ns : 0,
		fmt_bytes(memory, (uint64_t)usage.ru_maxrss * 1024));
}

/* The first rows of `rsprof top`; nothing where the event has nothing to show and need not. */
static int print_top(FILE *to, const struct snapshot *snapshot, const char *event, bool skip_empty,
		     struct err *err)
{
	struct view_request request = {.top = SUMMARY_ROWS, .event = event};
	struct view_print print = {0};
	struct view *view;
	int result = view_build(snapshot, &request, &view, err);

	if (result < 0)
		return result;
	if (!skip_empty || view->total_wait_ns) {
		view_print_text(to, snapshot, view, &request, &print);
		fputc('\n', to);
	}
	view_free(view);
	return 0;
}

/* Likewise, of `rsprof top heap`; nothing where nothing was allocated. */
static int print_top_heap(FILE *to, const struct snapshot *snapshot, struct err *err)
{
	struct view_request request = {.top = SUMMARY_ROWS};
	struct view_print print = {0};
	struct heap_view *view;
	int result = heap_view_build(snapshot, &request, &view, err);

	if (result < 0)
		return result;
	if (view->location_count) {
		heap_view_print_text(to, snapshot, view, &request, &print);
		fputc('\n', to);
	}
	heap_view_free(view);
	return 0;
}

/* What the heap's probes did to the target. */
static void print_probe_cost(FILE *to, const struct snapshot *snapshot, bool is_utf8)
{
	const char *share = snapshot_meta_get(snapshot, "heap_cost_pct");
	const struct snapshot_heap_poll *last;
	char hits[FMT_MAX];

	if (!snapshot->heap_poll_count)
		return;
	last = &snapshot->heap_polls[snapshot->heap_poll_count - 1];
	if (!last->state.hits || !last->state.cost_ns)
		return;
	fprintf(to, "heap probes: %s hits x %.1f %s", fmt_count(hits, last->state.hits),
		(double)last->state.cost_ns / (double)last->state.hits / 1000,
		is_utf8 ? "µs" : "us");
	if (share)
		fprintf(to, " = %.1f %% of the target's CPU time", strtod(share, NULL));
	fputs(" (estimate)\n", to);
}

static void print_place(FILE *to, const char *output, const char *next)
{
	fprintf(to, "saved: %s\nnext: rsprof %s %s\n", output, next, output);
}

static int print_tables(FILE *to, const struct snapshot *snapshot, bool *ret_has_samples,
			struct err *err)
{
	bool is_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	const char *wait = view_wait_event(snapshot);
	bool has_samples = view_has_samples(snapshot) || !wait;
	int result = 0;

	*ret_has_samples = has_samples;
	if (has_samples)
		result = print_top(to, snapshot, NULL, false, err);
	if (result == 0 && wait)
		result = print_top(to, snapshot, wait, has_samples, err);
	if (result < 0 || !heap_view_is_there(snapshot))
		return result;
	result = print_top_heap(to, snapshot, err);
	if (result == 0)
		print_probe_cost(to, snapshot, is_utf8);
	return result;
}

int record_print_summary(FILE *to, const char *output, uint64_t began_ns, struct err *err)
{
	struct store_window everything = {0, UINT64_MAX};
	struct store_reader *reader;
	struct snapshot *snapshot = NULL;
	bool has_samples;
	int result = store_reader_open(output, &reader, err);

	if (result < 0)
		return result;
	result = store_reader_snapshot(reader, everything, &snapshot, err);
	if (result == 0)
		result = print_tables(to, snapshot, &has_samples, err);
	if (result == 0) {
		print_own_cost(to, clock_now_ns() - began_ns);
		print_place(to, output, has_samples ? "top cpu" : "top wait");
	}
	snapshot_free(snapshot);
	store_reader_close(reader);
	return result;
}

void record_print_end(FILE *to, const char *output, uint64_t began_ns)
{
	print_own_cost(to, clock_now_ns() - began_ns);
	print_place(to, output, "view");
}
