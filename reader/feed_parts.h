/* What the parts of a feed share. */
#ifndef RSPROF_FEED_PARTS_H
#define RSPROF_FEED_PARTS_H

#include <pthread.h>
#include <sys/stat.h>

#include "reader/feed.h"
#include "reader/store/follow.h"

/* Names of frames that the recording did not resolve: found once, for all snapshots of the same
 * state of the file. */
struct late_names {
	struct snapshot *from;
	uint64_t state;		  /* of the file, as its feed counts */
	struct late_names *older; /* that models may still use */
};

/* Gives the snapshot the names. Looks for them where they are not known; that takes its time. */
int late_names_apply(struct late_names **names, struct store_follow *follow, uint64_t state,
		     struct snapshot *snapshot, struct err *err);
bool late_names_are_known(const struct late_names *names, uint64_t state);
void late_names_free(struct late_names *names);

/* What tells that a file was written to. */
struct file_trace {
	struct timespec times[2];
	off_t sizes[2];
};

struct file_feed {
	struct feed feed;
	char *path;
	bool is_recording;
	bool (*progress)(void *context, struct feed_state *state);
	void *context;
	bool has_progress; /* of the thread that reads states */
	int wake_fd;
	pthread_t thread;
	atomic_bool is_cancelled; /* work that a newer question replaces */

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	struct model *newest;
	struct model_request wanted;
	uint64_t asked, answered; /* questions */
	struct feed_state state;
	bool is_stopping, is_let_go, has_let_go, has_ended;
	char end_message[256];

	/* The rest is the thread's own. */
	struct store_follow *follow;
	struct model *current; /* the last one with tables of its own; a reference */
	uint64_t serial;
	uint64_t state_of_file; /* grows with each update that changed anything */
	uint64_t state_of_current;
	bool is_current_named; /* what late names there are */
	/* The last one, and what it is of: other rows beside it need no other one. */
	struct timeline *chart;
	struct store_window chart_window;
	uint64_t state_of_chart;
	struct late_names *names;
	struct file_trace trace;
	struct store_extent extent;
	bool is_read, is_ended, has_failed;
	enum feed_state_kind kind;
	bool was_followed;	      /* it grew, or somebody recorded to it */
	uint64_t opened_ns, grown_ns; /* grown_ns 0: never */
	uint64_t live_cost_ns;	      /* of the last look, and of what it led to */
	char message[256];	      /* why the file is as it is */
	char refusal[256];	      /* of the last question */
};

/* feed_work.c: what the thread does between waits. */
struct feed_work {
	bool is_look;  /* at the file: its time has come */
	bool is_asked; /* wanted is new */
	bool has_ended;
	struct model_request wanted;
	uint64_t asked;
};

void feed_do(struct file_feed *feed, const struct feed_work *work);
/* Until the next look. */
uint64_t feed_pause_ns(const struct file_feed *feed);

#endif
