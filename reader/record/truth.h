/* Two walks of one sample, frame by frame: what rsprof makes of it, and what libdw makes of it. */
#ifndef RSPROF_RECORD_TRUTH_H
#define RSPROF_RECORD_TRUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reader/util/str.h"

enum truth_kind {
	TRUTH_IDENTICAL,
	TRUTH_OURS_LONGER,  /* libdw's frames are the first of ours */
	TRUTH_LIBDW_LONGER, /* ours are the first of libdw's */
	TRUTH_DIFFERENT,
	TRUTH_KINDS
};

/* Stable names, JSON's keys. Indexed by enum truth_kind. */
extern const char *const truth_kind_names[TRUTH_KINDS];

enum {
	/* Of each kind; a person looks at some, and the numbers tell the rest. */
	TRUTH_EXAMPLES_MAX = 5,
};

/* One sample as one walker saw it. */
struct truth_walk {
	uint32_t tid;
	uint64_t time_ns;
	uint64_t rip, rsp;   /* rsp 0: not told */
	bool is_complete;    /* it reached the root */
	const uint64_t *pcs; /* leaf first, return addresses after the leaf */
	uint32_t pc_count;
};

/* *ret_index: how many frames are the same. */
enum truth_kind truth_compare(const struct truth_walk *ours, const struct truth_walk *libdw,
			      uint32_t *ret_index);

struct truth_example {
	uint32_t tid;
	uint64_t time_ns;
	uint32_t index; /* of the first frame that is not the same */
	uint32_t our_count, libdw_count;
	/* Names of frames; "" where the stack ends before it. */
	char *last_common, *our_frame, *libdw_frame;
};

/* Adds the name of the frame at pc; is_leaf: pc is no return address. */
typedef void (*truth_name_fn)(void *context, uint64_t pc, bool is_leaf, struct str *to);

/* Zero-initialised but for name and context is "no sample yet". */
struct truth {
	truth_name_fn name;
	void *context;
	uint64_t samples; /* compared */
	uint64_t kinds[TRUTH_KINDS];
	uint64_t our_complete, libdw_complete;
	struct truth_example examples[TRUTH_KINDS][TRUTH_EXAMPLES_MAX];
	uint32_t example_counts[TRUTH_KINDS];
};

void truth_add(struct truth *truth, const struct truth_walk *ours, const struct truth_walk *libdw);
void truth_done(struct truth *truth);
/* count / all in percent; 0 where all is 0. */
double truth_share(uint64_t count, uint64_t all);

#endif
