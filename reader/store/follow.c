#include "reader/store/follow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reader/core/event_kind.h"
#include "reader/store/follow_parts.h"
#include "reader/util/clock.h"
#include "reader/util/mem.h"
#include "reader/util/str.h"

/* What an update can change. */
struct follow_state {
	uint64_t counts[14];
};

static bool is_finished(const struct load *load)
{
	size_t count = load->tables.recordings.count;

	return count && load->tables.recordings.items[count - 1].is_finished;
}

static struct follow_state state_of(const struct load *load)
{
	struct follow_state state;

	memset(&state, 0, sizeof(state));
	state.counts[0] = load->tables.recordings.count;
	state.counts[1] = load->tables.locations.count;
	state.counts[2] = load->tables.frames.count;
	state.counts[3] = load->tables.lines.count;
	state.counts[4] = load->tables.nodes.count;
	state.counts[5] = load->tables.stacks.count;
	state.counts[6] = load->tables.steps.count;
	state.counts[7] = load->tables.meta.count;
	state.counts[8] = load->tables.threads.count;
	state.counts[9] = load->open_frames.count;
	state.counts[10] = load->open_stacks.count;
	state.counts[11] = load->checkpoints.count;
	state.counts[12] = load->tables.duration_ns;
	state.counts[13] = is_finished(load);
	return state;
}

static int refuse_replaced(const struct store_follow *follow, struct err *err)
{
	struct str shown = {0};

	str_add_scrubbed(&shown, follow->path);
	err_set(err, ERR_DATABASE, -ESTALE, "%s was replaced by another file.", str_text(&shown));
	str_done(&shown);
	return -ESTALE;
}

/* stat, not open: as for a reader. */
static int check_identity(const struct store_follow *follow, struct err *err)
{
	struct stat status;

	if (stat(follow->path, &status) == 0 &&
	    (status.st_dev != follow->device || status.st_ino != follow->inode))
		return refuse_replaced(follow, err);
	return 0;
}

int follow_begin(struct store_follow *follow, struct err *err)
{
	int ret;

	if (!follow->reader) {
		ret = check_identity(follow, err);
		if (ret == 0)
			ret = store_reader_reopen(follow->path, &follow->reader, err);
		if (ret == 0)
			ret = check_identity(follow, err);
		if (ret < 0) {
			store_follow_let_go(follow);
			return ret;
		}
	}
	follow->load.reader = follow->reader;
	follow->load.err = err;
	follow->load.strings = &follow->strings;
	return 0;
}

int follow_end(struct store_follow *follow, int ret, const struct err *from, struct err *err)
{
	follow->load.err = NULL;
	if (ret < 0 && follow->is_cancelled && atomic_load(follow->is_cancelled))
		return -ECANCELED;
	if (ret < 0 && err)
		*err = *from;
	return ret;
}

int store_follow_open(const char *path, struct store_follow **ret_follow, struct err *err)
{
	struct store_follow *follow;
	struct store_reader *reader;
	struct stat status;
	int ret = store_reader_open(path, &reader, err);

	if (ret < 0)
		return ret;
	follow = mem_zalloc(sizeof(*follow));
	follow->path = mem_strdup(path);
	follow->reader = reader;
	if (stat(path, &status) < 0) {
		ret = refuse_replaced(follow, err);
		store_follow_close(follow);
		return ret;
	}
	follow->device = status.st_dev;
	follow->inode = status.st_ino;
	*ret_follow = follow;
	return 0;
}

void store_follow_close(struct store_follow *follow)
{
	if (!follow)
		return;
	store_follow_let_go(follow);
	load_done(&follow->load);
	arena_done(&follow->strings);
	free(follow->path);
	free(follow);
}

void store_follow_let_go(struct store_follow *follow)
{
	store_reader_close(follow->reader);
	follow->reader = NULL;
}

void store_follow_cancel_by(struct store_follow *follow, const atomic_bool *is_cancelled)
{
	follow->is_cancelled = is_cancelled;
}

/* One state of the file. What others hold locked is met here, not half-way. */
static int begin_reading(struct store_follow *follow, struct err *err)
{
	struct sql *sql = &follow->reader->sql;
	int64_t count;
	int ret = sql_exec(sql, "BEGIN", err);

	if (ret < 0)
		return ret;
	ret = sql_get_int(sql, "SELECT COUNT(*) FROM meta", 0, &count, err);
	if (ret < 0)
		sqlite3_exec(sql->db, "ROLLBACK", NULL, NULL, NULL);
	return ret;
}

static int read_news(struct load *load)
{
	static int (*const parts[])(struct load * load) = {load_tables, load_checkpoints,
							   load_spans, load_whole};
	int ret = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts) && ret == 0; i++)
		ret = parts[i](load);
	return ret;
}

int store_follow_update(struct store_follow *follow, bool *ret_is_changed, struct err *err)
{
	struct follow_state before = state_of(&follow->load), after;
	struct err failure = {0};
	int ret;

	if (follow->failure) {
		if (err)
			*err = follow->failure_err;
		return follow->failure;
	}
	ret = follow_begin(follow, err);
	if (ret == 0)
		ret = begin_reading(follow, err);
	if (ret < 0)
		return ret;
	follow->load.err = &failure;
	ret = read_news(&follow->load);
	sqlite3_exec(follow->reader->sql.db, "ROLLBACK", NULL, NULL, NULL);
	follow->load.err = NULL;
	if (ret < 0) {
		follow->failure = ret;
		follow->failure_err = failure;
		if (err)
			*err = failure;
		return ret;
	}
	after = state_of(&follow->load);
	*ret_is_changed = memcmp(&before, &after, sizeof(before)) != 0;
	return 0;
}

/* The event that stands for CPU time, else the first that is no waiting. */
static uint32_t main_event(const struct load *load)
{
	uint32_t found = SNAPSHOT_NONE;

	for (size_t i = load->tables.events.count; i-- > 0;) {
		const struct snapshot_event *event = &load->tables.events.items[i];
		const struct event_kind *kind =
			event_kind_by_name(event->name, strlen(event->name));

		if (kind && kind->unit == EVENT_UNIT_TIME)
			continue;
		if (event->is_cpu || found == SNAPSHOT_NONE ||
		    !load->tables.events.items[found].is_cpu)
			found = (uint32_t)i;
	}
	return found;
}

static void sum_samples(const struct load *load, struct store_extent *extent)
{
	uint32_t event = main_event(load);
	const struct delta_row *rows = NULL;
	size_t count = 0;

	if (load->whole.aggregate)
		rows = aggregate_rows(load->whole.aggregate, &count);
	for (size_t i = 0; i < count; i++) {
		if (rows[i].event_index != event)
			continue;
		extent->samples += rows[i].count;
		if (load->tables.stacks.items[rows[i].stack.v].status == STACK_COMPLETE)
			extent->complete += rows[i].count;
	}
	extent->judged = extent->samples;
	extent->lost = losses_total(&load->tables.losses);
}

void store_follow_extent(const struct store_follow *follow, struct store_extent *ret_extent)
{
	const struct load *load = &follow->load;
	size_t recordings = load->tables.recordings.count;
	struct store_extent extent = {
		.duration_ns = load->tables.duration_ns,
		.checkpoint_count = load->checkpoints.count,
		.is_finished = is_finished(load),
		.is_heap_counted = load->last_heap.is_counted,
		.heap_live_bytes = load->last_heap.live_bytes,
	};

	if (recordings)
		extent.interval_ns = load->tables.intervals.items[recordings - 1];
	if (load->checkpoints.count)
		extent.rss_bytes = load->checkpoints.items[load->checkpoints.count - 1].rss_bytes;
	sum_samples(load, &extent);
	*ret_extent = extent;
}

static int ask_cancelled(void *context)
{
	const atomic_bool *is_cancelled = context;

	return atomic_load(is_cancelled);
}

/* Rows are of checkpoints that were there at the last update, and those do not change: it needs no
 * transaction of that time. */
int store_follow_snapshot(struct store_follow *follow, struct store_window window,
			  struct snapshot **ret_snapshot, struct err *err)
{
	struct snapshot *snapshot;
	struct err failure = {0};
	int ret;

	if (follow->failure) {
		if (err)
			*err = follow->failure_err;
		return follow->failure;
	}
	ret = follow_begin(follow, &failure);
	if (ret < 0)
		return follow_end(follow, ret, &failure, err);
	snapshot = mem_zalloc(sizeof(*snapshot));
	snapshot->file = arena_strdup(&snapshot->arena, follow->path);
	follow->load.snapshot = snapshot;
	follow_watch(follow);
	ret = load_make(&follow->load, window);
	follow_unwatch(follow);
	follow->load.snapshot = NULL;
	if (ret < 0) {
		snapshot_free(snapshot);
		return follow_end(follow, ret, &failure, err);
	}
	*ret_snapshot = snapshot;
	return follow_end(follow, 0, NULL, NULL);
}

void follow_watch(struct store_follow *follow)
{
	enum { STEPS_BETWEEN = 20000 }; /* of SQLite's own: a millisecond or two */

	follow->load.is_cancelled = follow->is_cancelled;
	if (follow->is_cancelled)
		sqlite3_progress_handler(follow->reader->sql.db, STEPS_BETWEEN, ask_cancelled,
					 (void *)follow->is_cancelled);
}

void follow_unwatch(struct store_follow *follow)
{
	follow->load.is_cancelled = NULL;
	sqlite3_progress_handler(follow->reader->sql.db, 0, NULL, NULL);
}

size_t store_follow_count(const struct store_follow *follow, struct store_window window)
{
	size_t first;

	return load_find_window(&follow->load, window, &first);
}

struct store_window store_follow_tail(const struct store_follow *follow, struct store_window window,
				      size_t checkpoint_count)
{
	size_t first = 0, count = load_find_window(&follow->load, window, &first);

	if (count > checkpoint_count)
		window.from_ns = (uint64_t)follow->load.checkpoints
					 .items[first + count - checkpoint_count - 1]
					 .timestamp_ms *
				 NS_PER_MS;
	return window;
}
