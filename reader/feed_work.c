/* The feed's thread at work: looks at the file, judges who writes it, makes models. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "reader/feed_parts.h"
#include "reader/store/store_file.h"
#include "reader/util/clock.h"
#include "reader/util/str.h"

enum {
	/* Of a core, live: what a look costs, so many times apart. */
	FEED_COST_FACTOR = 50,
	/* Checkpoints of a chart that is read before the first rows are shown. */
	FEED_QUICK_CHART = 600,
	/* A file that nobody holds and that has not grown for so many checkpoints is not written.
	 */
	FEED_QUIET_INTERVALS = 5,
	FEED_LOOK_MS_MIN = 200,
	FEED_LOOK_MS_MAX = 1000,
};

uint64_t feed_pause_ns(const struct file_feed *feed)
{
	uint64_t pause = feed->extent.interval_ns, rest = FEED_COST_FACTOR * feed->live_cost_ns;

	if (!pause || pause > FEED_LOOK_MS_MAX * NS_PER_MS)
		pause = FEED_LOOK_MS_MAX * NS_PER_MS;
	if (pause < FEED_LOOK_MS_MIN * NS_PER_MS)
		pause = FEED_LOOK_MS_MIN * NS_PER_MS;
	return rest > pause ? rest : pause;
}

/* ---- what is told */

static void say(char message[256], const char *text)
{
	snprintf(message, 256, "%.255s", text);
}

static void wake(struct file_feed *feed)
{
	static const uint64_t one = 1;
	ssize_t written = write(feed->wake_fd, &one, sizeof(one));

	(void)written; /* an eventfd takes it, or is readable already */
}

/* Says how things stand, and that the question is answered (0: it is not). */
static void tell_state(struct file_feed *feed, enum feed_state_kind kind, uint64_t answered)
{
	const struct store_extent *extent = &feed->extent;
	struct feed_state state;
	bool is_new;

	memset(&state, 0, sizeof(state));
	state.kind = kind;
	state.elapsed_ns = extent->duration_ns;
	state.samples = extent->samples;
	state.lost = extent->lost;
	state.judged = extent->judged;
	state.complete = extent->complete;
	state.rss_bytes = extent->rss_bytes;
	state.is_heap_live = extent->is_heap_counted;
	state.heap_live_bytes = extent->heap_live_bytes;
	say(state.message, feed->refusal[0] ? feed->refusal : feed->message);
	pthread_mutex_lock(&feed->lock);
	if (answered > feed->answered)
		feed->answered = answered;
	state.is_busy = feed->asked != feed->answered;
	is_new = memcmp(&state, &feed->state, sizeof(state)) != 0;
	feed->state = state;
	pthread_mutex_unlock(&feed->lock);
	if (is_new)
		wake(feed);
}

static void tell_model(struct file_feed *feed, struct model *model)
{
	struct model *before;

	model->serial = ++feed->serial;
	pthread_mutex_lock(&feed->lock);
	before = feed->newest;
	feed->newest = model;
	pthread_mutex_unlock(&feed->lock);
	model_release(before);
	wake(feed);
}

/* ---- models */

static struct store_window chart_window(const struct file_feed *feed,
					const struct model_request *request)
{
	struct store_window window = {request->chart_from_ns, request->chart_to_ns};
	uint64_t end = feed->extent.duration_ns;

	if (request->chart_to_ns == UINT64_MAX && request->chart_last_ns)
		window.from_ns = end > request->chart_last_ns ? end - request->chart_last_ns : 0;
	return window;
}

/* Saved, so that nobody else will find the names. */
static bool wants_names(const struct file_feed *feed, const struct snapshot *snapshot)
{
	return snapshot->unresolved_count && (!feed->is_recording || feed->is_ended) &&
	       (feed->extent.is_finished || feed->is_ended || !feed->was_followed);
}

/* What rows are made of. may_wait: also for names that have to be looked for. */
static int read_rows(struct file_feed *feed, const struct model_request *request, bool may_wait,
		     struct snapshot **ret_snapshot, struct timeline **ret_tail, bool *ret_is_named,
		     struct err *err)
{
	struct store_window window = {request->from_ns, request->to_ns};
	struct snapshot *snapshot;
	int ret = store_follow_snapshot(feed->follow, window, &snapshot, err);

	if (ret < 0)
		return ret;
	*ret_is_named = wants_names(feed, snapshot) &&
			(may_wait || late_names_are_known(feed->names, feed->state_of_file));
	if (*ret_is_named)
		ret = late_names_apply(&feed->names, feed->follow, feed->state_of_file, snapshot,
				       err);
	if (ret == 0)
		ret = store_follow_timeline(feed->follow,
					    store_follow_tail(feed->follow, window, MODEL_TREND),
					    MODEL_TREND, ret_tail, err);
	if (ret < 0)
		snapshot_free(snapshot);
	else
		*ret_snapshot = snapshot;
	return ret;
}

/* The same time, whichever threads are asked for. */
static bool has_rows(const struct file_feed *feed, const struct model_request *request)
{
	const struct model *current = feed->current;

	return current && feed->state_of_current == feed->state_of_file &&
	       current->request.from_ns == request->from_ns &&
	       current->request.to_ns == request->to_ns &&
	       (feed->is_current_named || !wants_names(feed, current->snapshot));
}

/* Tables and trends, without the chart. */
static int make_tables(struct file_feed *feed, const struct model_request *request, bool may_wait,
		       struct err *err)
{
	struct snapshot *snapshot;
	struct timeline *tail;
	struct model *model;
	bool is_named = feed->is_current_named;
	int ret = 0;

	if (has_rows(feed, request)) {
		snapshot = snapshot_hold(feed->current->snapshot);
		tail = timeline_hold(feed->current->tail);
	} else {
		ret = read_rows(feed, request, may_wait, &snapshot, &tail, &is_named, err);
	}
	if (ret < 0)
		return ret;
	ret = model_build(snapshot, tail, NULL, request, &model, err);
	if (ret < 0)
		return ret;
	model_release(feed->current);
	feed->current = model;
	feed->state_of_current = feed->state_of_file;
	feed->is_current_named = is_named;
	return 0;
}

static bool has_chart(const struct file_feed *feed, struct store_window window)
{
	return feed->chart && feed->state_of_chart == feed->state_of_file &&
	       feed->chart_window.from_ns == window.from_ns &&
	       feed->chart_window.to_ns == window.to_ns;
}

/* That of a long time is large: the one before goes first. */
static int read_chart(struct file_feed *feed, struct store_window window, struct err *err)
{
	int ret;

	timeline_free(feed->chart);
	feed->chart = NULL;
	ret = store_follow_timeline(feed->follow, window, MODEL_CHART_BUCKETS, &feed->chart, err);
	feed->chart_window = window;
	feed->state_of_chart = feed->state_of_file;
	return ret;
}

static int add_chart(struct file_feed *feed, const struct model_request *request, struct err *err)
{
	struct store_window window = chart_window(feed, request);
	int ret = has_chart(feed, window) ? 0 : read_chart(feed, window, err);

	if (ret == 0)
		tell_model(feed,
			   model_with_chart(feed->current, timeline_hold(feed->chart), request));
	return ret;
}

/* The tables are as they would be made again. */
static bool is_there(const struct file_feed *feed, const struct model_request *request)
{
	return has_rows(feed, request) && model_request_same_rows(&feed->current->request, request);
}

/* is_asked: somebody waits for it; else what was shown stays until all is there. */
static int answer(struct file_feed *feed, const struct model_request *request, bool is_asked,
		  struct err *err)
{
	struct store_window window = chart_window(feed, request);
	bool is_long = !has_chart(feed, window) &&
		       store_follow_count(feed->follow, window) > FEED_QUICK_CHART;
	int ret = 0;

	if (!is_there(feed, request)) {
		ret = make_tables(feed, request, !is_asked, err);
		/* Rows come first, then their names, then the chart. */
		if (ret == 0 && is_asked && (is_long || !is_there(feed, request)))
			tell_model(feed, model_with_chart(feed->current, NULL, request));
	}
	if (ret == 0 && !is_there(feed, request))
		ret = make_tables(feed, request, true, err);
	return ret < 0 ? ret : add_chart(feed, request, err);
}

/* ---- the file */

static void trace_file(const char *path, const char *suffix, struct file_trace *trace, int at)
{
	struct str name = {0};
	struct stat status;

	str_addf(&name, "%s%s", path, suffix);
	if (stat(str_text(&name), &status) == 0) {
		trace->times[at] = status.st_mtim;
		trace->sizes[at] = status.st_size;
	}
	str_done(&name);
}

/* Was it written to since the last time? */
static bool has_moved(struct file_feed *feed)
{
	struct file_trace trace;

	memset(&trace, 0, sizeof(trace));
	trace_file(feed->path, "", &trace, 0);
	trace_file(feed->path, "-wal", &trace, 1);
	if (feed->is_read && memcmp(&trace, &feed->trace, sizeof(trace)) == 0)
		return false;
	feed->trace = trace;
	return true;
}

static int read_news(struct file_feed *feed, struct err *err)
{
	bool is_changed = false;
	int ret = store_follow_update(feed->follow, &is_changed, err);

	if (ret < 0)
		return ret;
	if (is_changed || !feed->is_read)
		feed->state_of_file++;
	if (is_changed && feed->is_read) {
		feed->grown_ns = clock_now_ns();
		feed->was_followed |= !feed->is_recording;
	}
	feed->is_read = true;
	store_follow_extent(feed->follow, &feed->extent);
	return 0;
}

/* Grew lately; a file that nobody can tell of is waited for once. */
static bool is_growing(const struct file_feed *feed, bool is_unknown)
{
	uint64_t interval = feed->extent.interval_ns ? feed->extent.interval_ns : NS_PER_S;
	uint64_t since = feed->grown_ns;

	if (!since && is_unknown)
		since = feed->opened_ns;
	/* An interval of days is a damaged file's. */
	if (interval > 60 * NS_PER_S)
		interval = 60 * NS_PER_S;
	return since && clock_now_ns() - since < FEED_QUIET_INTERVALS * interval;
}

static enum feed_state_kind judge(struct file_feed *feed)
{
	enum store_holder holder;

	if (feed->has_failed)
		return FEED_FAILED;
	if (feed->is_recording)
		return feed->is_ended ? FEED_ENDED : FEED_RECORDING;
	if (feed->extent.is_finished) {
		say(feed->message,
		    feed->was_followed ? "the recording ended; the profile is complete" : "");
		feed->grown_ns = 0;
		return FEED_SAVED;
	}
	/* Closing what it opens would drop SQLite's locks: none are held now. */
	store_follow_let_go(feed->follow);
	holder = store_file_holder(feed->path);
	if (holder == STORE_HELD || is_growing(feed, holder == STORE_HOLDER_UNKNOWN)) {
		feed->was_followed = true;
		say(feed->message, "");
		return FEED_FOLLOWING;
	}
	feed->was_followed = false;
	say(feed->message, "the recording was cut off; what was committed is shown");
	return FEED_SAVED;
}

static bool is_passing(int ret)
{
	return ret == -EBUSY || ret == -ECANCELED;
}

/* true: there may be something new to show. */
static bool look(struct file_feed *feed, bool has_ended)
{
	struct err err = {0};
	int ret;

	if (feed->has_failed || (!has_moved(feed) && !has_ended))
		return false;
	ret = read_news(feed, &err);
	if (ret < 0 && is_passing(ret)) {
		memset(&feed->trace, 0, sizeof(feed->trace));
		return false;
	}
	if (ret < 0) {
		feed->has_failed = true;
		say(feed->message, err.sentence);
		return false;
	}
	return feed->state_of_file != feed->state_of_current;
}

void feed_do(struct file_feed *feed, const struct feed_work *work)
{
	uint64_t began_ns = clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
	bool is_new = false, is_answered = work->is_asked;
	enum feed_state_kind kind;
	struct err err = {0};
	int ret = 0;

	if (work->has_ended) {
		feed->is_ended = true;
		say(feed->message, feed->end_message);
	}
	if (work->is_look || work->has_ended)
		is_new = look(feed, work->has_ended);
	kind = judge(feed);
	/* Names that nobody else will find are looked for now. */
	is_new |= kind != feed->kind && feed->current;
	feed->kind = kind;
	if ((is_new || work->is_asked) && feed->is_read)
		ret = answer(feed, &work->wanted, work->is_asked, &err);
	/* Done anew, or tried again. */
	if (is_passing(ret))
		is_answered = false;
	else if (ret < 0 || work->is_asked)
		say(feed->refusal, ret < 0 ? err.sentence : "");
	if (work->is_look && !work->is_asked)
		feed->live_cost_ns = clock_read_ns(CLOCK_THREAD_CPUTIME_ID) - began_ns;
	if (kind == FEED_RECORDING || kind == FEED_FOLLOWING)
		store_follow_let_go(feed->follow);
	tell_state(feed, kind, is_answered ? work->asked : 0);
}
