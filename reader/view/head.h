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
/* Where the event came from. */
const char *head_source(const struct snapshot *snapshot, const struct view *view);
/* How waits are told at the end of the window, and since when, where that is not as the source
 * began: its mode without what it began as ("bpf, 1 of 4 stacks" after "bpf": "1 of 4 stacks").
 * Else NULL. */
const char *head_wait_step(const struct snapshot *snapshot, uint64_t *ret_since_ns);
/* The window as it is: both ends within the recording. */
void head_window(const struct snapshot *snapshot, uint64_t *ret_from_ns, uint64_t *ret_to_ns);
/* System time of the target that could not be sampled; false where the file does not tell. */
bool head_unsampled_ms(const struct snapshot *snapshot, uint64_t *ret_ms);

#endif
