/* What is told of the heap beside its rows: how it was counted, and the process around it. */
#ifndef RSPROF_VIEW_HEAP_FACTS_H
#define RSPROF_VIEW_HEAP_FACTS_H

#include "reader/util/str.h"
#include "reader/view/heap.h"

/* Was the heap looked at from outside alone: memory in use, no blocks? */
bool heap_facts_is_totals_only(const struct snapshot *snapshot);
/* Appends where it came from, "bpf"; "unknown source" where the file does not tell. */
void heap_facts_add_source(struct str *line, const struct snapshot *snapshot);
/* Why it was not counted, or what is watched; "" where the file does not tell. */
const char *heap_facts_reason(const struct snapshot *snapshot);
/* Why it is not the agent that counted it, though one was looked for; "" where that is no news. */
const char *heap_facts_agent_reason(const struct snapshot *snapshot);
/* Does the step belong to the heap of the process that rows are of, and begin before the window
 * ends? */
bool heap_facts_has_step(const struct snapshot *snapshot, const struct snapshot_step *step);
/* Writes mode, frees_until_ns, last, state, rss and rss_anonymous; is_estimate where not every
 * block was counted some time in the window. */
void heap_facts_fill(const struct snapshot *snapshot, struct heap_view *view);
/* The value of a key of meta, which tells of the last recording alone; NULL where it is absent, or
 * rows are of an earlier one. */
const char *heap_facts_text(const struct snapshot *snapshot, const char *key);
/* Its number; false where it is none. */
bool heap_facts_meta(const struct snapshot *snapshot, const char *key, uint64_t *ret_value);
/* Where each call was traced, the peak is known better than by the looks of each checkpoint: writes
 * is_peak_exact, and then peak_bytes and peak_ns. */
void heap_facts_find_peak(const struct snapshot *snapshot, struct heap_view *view);
/* The mode that the recording began in; exact where the file does not tell. */
enum heap_mode heap_facts_first_mode(const struct snapshot *snapshot);
/* The mode from that step on, "bpf, sampled" or "off"; the one before it where the step names none.
 */
enum heap_mode heap_facts_step_mode(const struct snapshot_step *step, enum heap_mode before);

#endif
