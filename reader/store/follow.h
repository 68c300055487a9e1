/* A file that is read again and again while it grows: by the terminal, live or saved. What was read
 * once is kept, so that looking again costs what is new. One thread's own. */
#ifndef RSPROF_STORE_FOLLOW_H
#define RSPROF_STORE_FOLLOW_H

#include <stdatomic.h>

#include "reader/core/timeline.h"
#include "reader/store/store.h"

struct store_follow;

/* As store_reader_open; never writes, whoever else does. */
int store_follow_open(const char *path, struct store_follow **ret_follow, struct err *err);
/* Strings of its snapshots are the follow's: they go first. */
void store_follow_close(struct store_follow *follow); /* NULL allowed */
/* Reads what is new since the last call. *ret_is_changed: anything was. */
int store_follow_update(struct store_follow *follow, bool *ret_is_changed, struct err *err);

/* Closes the file until it is needed again: whoever records to it can then end it cleanly. What was
 * read stays. */
void store_follow_let_go(struct store_follow *follow);
/* From now on snapshots and timelines are given up, -ECANCELED without a message, when it is true;
 * NULL: they are not. */
void store_follow_cancel_by(struct store_follow *follow, const atomic_bool *is_cancelled);

/* How far the file goes, by the last update. */
struct store_extent {
	uint64_t duration_ns;
	uint64_t interval_ns; /* of checkpoints, of the last recording */
	uint64_t checkpoint_count;
	bool is_finished; /* the last recording ended cleanly */
	/* Of the file: what is sampled of CPU time, else of the first event. */
	uint64_t samples, judged, complete, lost;
	uint64_t rss_bytes; /* at its end */
	bool is_heap_counted;
	uint64_t heap_live_bytes;
};
void store_follow_extent(const struct store_follow *follow, struct store_extent *ret_extent);

/* The same as store_reader_snapshot gives of the file as of the last update. Several may be alive,
 * and be read by other threads while the follow goes on. */
int store_follow_snapshot(struct store_follow *follow, struct store_window window,
			  struct snapshot **ret_snapshot, struct err *err);
/* The part of the window that its last checkpoints are, so many or fewer. */
struct store_window store_follow_tail(const struct store_follow *follow, struct store_window window,
				      size_t checkpoint_count);
/* How many checkpoints end in it. */
size_t store_follow_count(const struct store_follow *follow, struct store_window window);
/* What happened in the window, in at most bucket_max buckets, whole checkpoints each. Its indexes
 * are those of snapshots taken since the last update. */
int store_follow_timeline(struct store_follow *follow, struct store_window window,
			  size_t bucket_max, struct timeline **ret_timeline, struct err *err);

#endif
