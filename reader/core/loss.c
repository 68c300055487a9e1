#include "reader/core/loss.h"

#include <string.h>

const struct loss_text loss_texts[LOSS_CAUSES] = {
	[LOSS_RING_FULL] = {"ring_full", "samples", "ring full",
			    "lower --cpu-freq or raise --buffer", LOSS_IS_LOST},
	[LOSS_THROTTLED] = {"throttled", "times", "throttled by the kernel",
			    "lower --cpu-freq, or raise kernel.perf_event_max_sample_rate",
			    LOSS_IS_NOTED},
	[LOSS_EVENTS_UNSAMPLED] = {"events_unsampled", "events", "counted but not sampled",
				   "raise kernel.perf_event_max_sample_rate", LOSS_IS_LOST},
	[LOSS_THREADS_NOT_OPENED] = {"threads_not_opened", "threads", "not sampled on every CPU",
				     "raise the limit of open files (ulimit -Hn)", LOSS_IS_LOST},
	[LOSS_SYSTEM_TIME_MS] = {"system_time_unsampled_ms", "ms of system time",
				 "only user time may be sampled",
				 "run as root, or set kernel.perf_event_paranoid to 1",
				 LOSS_IS_NOTED},
	[LOSS_CPU_UNSAMPLED_MS] = {"cpu_unsampled_ms", "ms of CPU time",
				   "no sample fell into it: threads too short-lived for a timer",
				   "raise --cpu-freq", LOSS_IS_NOTED},
	[LOSS_LATE] = {"late_records", "records", "arrived late, put into a later checkpoint", "",
		       LOSS_IS_NOTED},
	[LOSS_BAD_RECORD] = {"bad_records", "records", "malformed", "", LOSS_IS_LOST},
	[LOSS_STACKS_FULL] = {"stacks_full", "samples", "stack table full",
			      "lower --frames or record for a shorter time", LOSS_IS_LOST},
	[LOSS_MODULES_FULL] = {"modules_full", "mappings", "module table full", "", LOSS_IS_NOTED},
	[LOSS_ADDRESS_UNKNOWN] = {"address_unknown", "frames", "address in no known mapping", "",
				  LOSS_IS_NOTED},
	[LOSS_THREADS_FULL] = {"threads_full", "samples", "thread table full", "", LOSS_IS_LOST},
	[LOSS_TABLES_FULL] = {"unwind_tables_full", "files", "no room for unwind tables",
			      "raise --unwind-memory", LOSS_IS_NOTED},
	[LOSS_CODE_FULL] = {"code_full", "mappings", "more code mapped than can be looked up", "",
			    LOSS_IS_NOTED},
	[LOSS_WAITS_RING_FULL] = {"waits_ring_full", "waits", "ring full", "raise --buffer",
				  LOSS_IS_LOST},
	[LOSS_WAITS_UNWALKED] = {"waits_unwalked", "waits",
				 "counted without a stack to keep the cost down",
				 "raise --max-overhead", LOSS_IS_NOTED},
	[LOSS_SWITCHES_MISSED] = {"switches_missed", "switches",
				  "not told by the kernel; their time is kept, without its stack",
				  "", LOSS_IS_NOTED},
	[LOSS_WAIT_THREADS] = {"wait_threads_full", "switches", "too many threads to watch", "",
			       LOSS_IS_LOST},
	[LOSS_HEAP_BLOCKS_FULL] = {"heap_blocks_full", "allocations",
				   "no room to track them: in the totals, not in what is live",
				   "raise --heap-blocks", LOSS_IS_LOST},
	[LOSS_HEAP_STACKS_FULL] = {"heap_stacks_full", "allocations",
				   "no room for their stack: counted without it",
				   "raise --heap-stacks", LOSS_IS_LOST},
	[LOSS_HEAP_STACKS_LOST] = {"heap_stacks_lost", "allocations",
				   "ring full: counted without their stack", "raise --buffer",
				   LOSS_IS_LOST},
	[LOSS_HEAP_CALLS_MISSED] = {"heap_calls_missed", "calls of the allocator",
				    "could not be followed", "", LOSS_IS_LOST},
	[LOSS_HEAP_TRACE] = {"heap_trace_dropped", "events of the trace",
			     "faster than they were read: counted, but the peak is of looks",
			     "use --heap exact, or let the program wait longer", LOSS_IS_NOTED},
	[LOSS_TIMERS_MISSING] = {"timers_missing", "threads", "got no CPU timer",
				 "raise the limit of pending signals (ulimit -i)", LOSS_IS_LOST},
	[LOSS_TIMER_SAMPLES] = {"timer_samples_lost", "samples", "no lane for them in the agent",
				"", LOSS_IS_LOST},
};

enum loss_cause loss_by_name(const char *name)
{
	int cause = 0;

	while (cause < LOSS_CAUSES && strcmp(loss_texts[cause].name, name))
		cause++;
	return cause;
}

uint64_t losses_total(const struct losses *losses)
{
	uint64_t total = 0;

	for (int cause = 0; cause < LOSS_CAUSES; cause++) {
		if (loss_texts[cause].weight == LOSS_IS_LOST)
			total += losses->count[cause];
	}
	return total;
}
