#include "reader/core/event.h"

const char *const stack_status_names[STACK_STATUSES] = {
	[STACK_COMPLETE] = "complete",	   [STACK_FRAME_POINTERS] = "frame_pointers",
	[STACK_BROKEN] = "broken",	   [STACK_TRUNCATED] = "truncated",
	[STACK_NO_MAPPING] = "no_mapping", [STACK_NO_TABLE] = "no_table",
	[STACK_READ_ERROR] = "read_error", [STACK_HIDDEN_CALLER] = "hidden_caller",
	[STACK_EMPTY] = "empty",	   [STACK_USED_FRAME_POINTERS] = "used_frame_pointers",
	[STACK_NOT_WALKED] = "not_walked",
};
