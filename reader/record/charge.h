/* Who is charged for a stack, and whether the stack is complete, from what resolution says of its
 * frames: one rule, used while recording and when a profile is resolved late. */
#ifndef RSPROF_RECORD_CHARGE_H
#define RSPROF_RECORD_CHARGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reader/core/delta.h"

#define CHARGE_NO_DEPTH UINT32_MAX

/* What of a resolved frame matters here. */
struct frame_verdict {
	uint32_t
		user_depth; /* index of the first line that is the user's own, or CHARGE_NO_DEPTH */
	bool is_root;	    /* the function is where a thread begins */
	enum frame_base base;
};

struct frame_verdict frame_verdict_of(const struct source_line *lines, size_t count,
				      enum frame_base base, const char *module_path);

/* A walk by frame pointers is complete when it ends in a root function and every frame before it
 * finds its caller by the frame pointer; a frame that does not hides its caller. Verdicts leaf
 * first. Other statuses stay as they are. */
enum stack_status stack_verdict(enum stack_status status, const struct frame_verdict *frames,
				size_t count);

#endif
