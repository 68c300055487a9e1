#include "reader/core/wait_kind.h"

const char *const wait_kind_names[WAIT_KINDS] = {
	[WAIT_NONE] = "",     [WAIT_OTHER] = "other", [WAIT_RUN_QUEUE] = "run queue",
	[WAIT_LOCK] = "lock", [WAIT_SLEEP] = "sleep", [WAIT_IO] = "io",
	[WAIT_POLL] = "poll", [WAIT_FAULT] = "fault", [WAIT_CHILD] = "child",
};
