/* What every printer says about a profile before its rows. */
#ifndef RSPROF_VIEW_HEAD_H
#define RSPROF_VIEW_HEAD_H

#include <stdint.h>

#include "reader/core/event_kind.h"
#include "reader/core/snapshot.h"
#include "reader/view/view.h"

/* NULL for an empty profile, and for an event that this version does not know. */
const struct event_kind *head_event_kind(const struct view *view);
/* Are shares of values (cycles), not of samples? */
bool head_is_by_value(const struct view *view);
/* The window as it is: both ends within the recording. */
void head_window(const struct snapshot *snapshot, uint64_t *ret_from_ns, uint64_t *ret_to_ns);
/* System time of the target that could not be sampled; false where the file does not tell. */
bool head_unsampled_ms(const struct snapshot *snapshot, uint64_t *ret_ms);

#endif
