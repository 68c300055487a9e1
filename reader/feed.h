/* Models of a file, made by a thread of its own: one that another rsprof writes, one that this
 * process records to, or a saved one. */
#ifndef RSPROF_FEED_H
#define RSPROF_FEED_H

#include "reader/util/err.h"
#include "reader/view/model.h"

struct feed_options {
	const char *path;
	struct model_request request; /* what is asked for at first */
	/* This process records to it; feed_let_go before the recording ends, feed_set_ended after.
	 */
	bool is_recording;
	/* Of a recording: writes what moves between checkpoints; false: nothing is known. Called by
	 * feed_ops.read_state, by the same thread, until feed_let_go. May be NULL. */
	bool (*progress)(void *context, struct feed_state *state);
	void *context;
};

/* Refuses what store_reader_open refuses. */
int feed_open(const struct feed_options *options, struct feed **ret_feed, struct err *err);
/* Models go first: their strings are the feed's. NULL allowed. */
void feed_close(struct feed *feed);
/* Closes the file and reads no more, so that the recording can be ended cleanly. */
void feed_let_go(struct feed *feed);
/* The recording has ended; message as of struct feed_state. The file is read once more. */
void feed_set_ended(struct feed *feed, const char *message);

#endif
