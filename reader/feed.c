#include "reader/feed.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "reader/feed_parts.h"
#include "reader/util/clock.h"
#include "reader/util/mem.h"

enum { BLOCK_BYTES = 256 * 1024 };

static struct model *take(struct feed *base)
{
	struct file_feed *feed = (struct file_feed *)base;
	struct model *model;
	uint64_t count;
	ssize_t size = read(feed->wake_fd, &count, sizeof(count));

	(void)size; /* empty is fine */
	pthread_mutex_lock(&feed->lock);
	model = feed->newest ? model_hold(feed->newest) : NULL;
	pthread_mutex_unlock(&feed->lock);
	return model;
}

static void ask(struct feed *base, const struct model_request *request)
{
	struct file_feed *feed = (struct file_feed *)base;

	pthread_mutex_lock(&feed->lock);
	feed->wanted = *request;
	feed->asked++;
	feed->state.is_busy = true;
	atomic_store(&feed->is_cancelled, true);
	pthread_cond_broadcast(&feed->changed);
	pthread_mutex_unlock(&feed->lock);
}

static void read_state(struct feed *base, struct feed_state *ret_state)
{
	struct file_feed *feed = (struct file_feed *)base;

	pthread_mutex_lock(&feed->lock);
	*ret_state = feed->state;
	pthread_mutex_unlock(&feed->lock);
	if (feed->has_progress)
		feed->progress(feed->context, ret_state);
}

static int wake_fd(struct feed *base)
{
	return ((struct file_feed *)base)->wake_fd;
}

static const struct feed_ops ops = {take, ask, read_state, wake_fd};

/* Waits for work until then. Holds the lock; false: it is to stop. */
static bool wait_for_work(struct file_feed *feed, uint64_t look_ns, struct feed_work *ret_work)
{
	struct timespec until = {(time_t)(look_ns / NS_PER_S), (long)(look_ns % NS_PER_S)};
	struct feed_work work = {0};

	while (!feed->is_stopping) {
		bool may_read = !feed->is_let_go || feed->has_ended;

		work.has_ended = feed->has_ended && !feed->is_ended;
		work.is_asked = may_read && feed->asked != feed->answered;
		work.is_look = may_read && clock_now_ns() >= look_ns;
		if (work.has_ended || work.is_asked || work.is_look)
			break;
		if (feed->is_let_go && !feed->has_let_go) {
			store_follow_let_go(feed->follow);
			feed->has_let_go = true;
			pthread_cond_broadcast(&feed->changed);
		}
		if (may_read)
			pthread_cond_timedwait(&feed->changed, &feed->lock, &until);
		else
			pthread_cond_wait(&feed->changed, &feed->lock);
	}
	/* From here on a newer question cancels. */
	atomic_store(&feed->is_cancelled, feed->is_stopping);
	work.wanted = feed->wanted;
	work.asked = feed->asked;
	*ret_work = work;
	return !feed->is_stopping;
}

static void *run(void *argument)
{
	struct file_feed *feed = argument;
	uint64_t look_ns = 0;
	struct feed_work work;

	pthread_mutex_lock(&feed->lock);
	while (wait_for_work(feed, look_ns, &work)) {
		pthread_mutex_unlock(&feed->lock);
		feed_do(feed, &work);
		if (work.is_look)
			look_ns = clock_now_ns() + feed_pause_ns(feed);
		pthread_mutex_lock(&feed->lock);
	}
	pthread_mutex_unlock(&feed->lock);
	return NULL;
}

/* Signals are for the thread that has the terminal. */
static int start(struct file_feed *feed)
{
	sigset_t all, before;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&feed->thread, NULL, run, feed);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return ret;
}

static void feed_free(struct file_feed *feed)
{
	model_release(feed->newest);
	model_release(feed->current);
	timeline_free(feed->chart);
	late_names_free(feed->names);
	store_follow_close(feed->follow);
	if (feed->wake_fd >= 0)
		close(feed->wake_fd);
	pthread_mutex_destroy(&feed->lock);
	pthread_cond_destroy(&feed->changed);
	free(feed->path);
	free(feed);
}

/* Models come and go in large blocks. Left alone, malloc takes what it has freed of them for a sign
 * to keep the next ones, and a day's profile ends up in twice the memory. */
static void give_blocks_back(void)
{
#ifdef M_MMAP_THRESHOLD
	mallopt(M_MMAP_THRESHOLD, BLOCK_BYTES);
#endif
}

static struct file_feed *feed_new(const struct feed_options *options)
{
	struct file_feed *feed = mem_zalloc(sizeof(*feed));
	pthread_condattr_t attributes;

	feed->feed.ops = &ops;
	feed->path = mem_strdup(options->path);
	feed->is_recording = options->is_recording;
	feed->progress = options->progress;
	feed->context = options->context;
	feed->has_progress = options->is_recording && options->progress;
	feed->wanted = options->request;
	feed->asked = 1;
	feed->state.is_busy = true;
	feed->opened_ns = clock_now_ns();
	feed->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&feed->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&feed->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	return feed;
}

int feed_open(const struct feed_options *options, struct feed **ret_feed, struct err *err)
{
	struct file_feed *feed = feed_new(options);
	int ret = store_follow_open(options->path, &feed->follow, err);

	give_blocks_back();

	if (ret == 0 && feed->wake_fd < 0)
		ret = err_set(err, ERR_GENERAL, -EMFILE, "rsprof has no descriptors left.");
	if (ret == 0) {
		store_follow_cancel_by(feed->follow, &feed->is_cancelled);
		ret = start(feed);
		if (ret)
			ret = err_set(err, ERR_GENERAL, -ret, "rsprof cannot start a thread: %s.",
				      strerror(ret));
	}
	if (ret < 0) {
		feed_free(feed);
		return ret;
	}
	*ret_feed = &feed->feed;
	return 0;
}

void feed_close(struct feed *base)
{
	struct file_feed *feed = (struct file_feed *)base;

	if (!feed)
		return;
	pthread_mutex_lock(&feed->lock);
	feed->is_stopping = true;
	atomic_store(&feed->is_cancelled, true);
	pthread_cond_broadcast(&feed->changed);
	pthread_mutex_unlock(&feed->lock);
	pthread_join(feed->thread, NULL);
	feed_free(feed);
}

void feed_let_go(struct feed *base)
{
	struct file_feed *feed = (struct file_feed *)base;

	feed->has_progress = false;
	pthread_mutex_lock(&feed->lock);
	feed->is_let_go = true;
	atomic_store(&feed->is_cancelled, true);
	pthread_cond_broadcast(&feed->changed);
	while (!feed->has_let_go)
		pthread_cond_wait(&feed->changed, &feed->lock);
	pthread_mutex_unlock(&feed->lock);
}

void feed_set_ended(struct feed *base, const char *message)
{
	struct file_feed *feed = (struct file_feed *)base;

	feed->has_progress = false;
	pthread_mutex_lock(&feed->lock);
	snprintf(feed->end_message, sizeof(feed->end_message), "%s", message ? message : "");
	feed->has_ended = true;
	atomic_store(&feed->is_cancelled, true);
	pthread_cond_broadcast(&feed->changed);
	pthread_mutex_unlock(&feed->lock);
}
