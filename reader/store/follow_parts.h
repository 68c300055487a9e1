/* What the parts of a follow share. */
#ifndef RSPROF_STORE_FOLLOW_PARTS_H
#define RSPROF_STORE_FOLLOW_PARTS_H

#include <sys/stat.h>

#include "reader/store/follow.h"
#include "reader/store/read.h"

struct store_follow {
	char *path;
	dev_t device;
	ino_t inode;
	struct store_reader *reader; /* NULL: let go */
	struct arena strings;	     /* of all snapshots */
	struct load load;
	const atomic_bool *is_cancelled;
	int failure; /* of an update half-way: what was read may not fit together */
	struct err failure_err;
};

/* Opens what was let go, and readies follow.load for reading. */
int follow_begin(struct store_follow *follow, struct err *err);
/* Between the two, reading ends when it is cancelled. */
void follow_watch(struct store_follow *follow);
void follow_unwatch(struct store_follow *follow);
/* ret as it is to be given to the caller, with the sentence that goes with it. */
int follow_end(struct store_follow *follow, int ret, const struct err *from, struct err *err);

#endif
