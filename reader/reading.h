/* What the verbs that read a saved profile have in common. */
#ifndef RSPROF_READING_H
#define RSPROF_READING_H

#include "reader/core/snapshot.h"
#include "reader/util/err.h"
#include "reader/view/view.h"
#include "reader/view/window.h"

/* The part of the profile that is asked for. */
int reading_open(const char *path, const struct window_request *request,
		 struct snapshot **ret_snapshot, struct err *err);
/* Names what the recording did not resolve, and says on stderr what has no name all the same. */
void reading_resolve(struct snapshot *snapshot);
/* What standard output shows. */
struct view_print reading_terminal(void);

#endif
