/* Walks of the same sample, where the two walkers do not see the same record: found again by
 * thread, place and time. */
#ifndef RSPROF_RECORD_TRUTH_MATCH_H
#define RSPROF_RECORD_TRUTH_MATCH_H

#include "reader/record/truth.h"
#include "reader/util/vec.h"

struct truth_pair {
	uint32_t ours, libdw; /* indices */
};

/* Puts together walks of one thread, one rip, one rsp (where both are told) that are at most
 * apart_ns_max apart, the nearest first; each walk is used once. pairs has room for the smaller of
 * the counts. Returns the number of pairs, sorted by `ours`. */
size_t truth_match(const struct truth_walk *ours, size_t our_count, const struct truth_walk *libdw,
		   size_t libdw_count, uint64_t apart_ns_max, struct truth_pair *pairs);

/* Walks that wait for their like. Zero-initialised is empty; each is added in the order of time. */
struct truth_lists {
	VEC(struct truth_walk) ours, libdw;
	uint64_t apart_ns_max;
	uint64_t unmatched; /* walks given up */
};

/* Copies the walk. */
void truth_lists_add(struct truth_lists *lists, bool is_ours, const struct truth_walk *walk);
/* Adds all pairs to truth. What has no like stays, and is given up once it is older than the newest
 * by more than keep_ns. */
void truth_lists_match(struct truth_lists *lists, uint64_t keep_ns, struct truth *truth);
void truth_lists_done(struct truth_lists *lists);

#endif
