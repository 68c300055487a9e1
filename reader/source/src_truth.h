/* The bpf source beside perf's copies: each event runs the program, which walks the stack, and
 * then writes a record with registers and a copy of the stack, so that the walk can be checked. Not
 * for recordings: it costs both.
 *
 * Each sample comes twice, as two events: with event_index TRUTH_WALKED what the program told (also
 * where it sent a copy of its own, because it had no table yet), with TRUTH_COPIED what perf wrote.
 * What the target maps, starts and ends comes as from any source. */
#ifndef RSPROF_SOURCE_SRC_TRUTH_H
#define RSPROF_SOURCE_SRC_TRUTH_H

#include "reader/source/source.h"

enum { TRUTH_WALKED = 0, TRUTH_COPIED = 1 };

/* Takes one event, which is no wait; stack_bytes is not 0. */
extern const struct source_ops source_truth;

#endif
