/* What a hit of a probe costs on this machine: measured at the start on a child of rsprof's own,
 * whose probed functions do nothing, with programs that count their hits and look at the clock, so
 * that it is the price of the trap; what programs spend for the target they measure themselves. */
#ifndef RSPROF_SOURCE_HEAP_CALIBRATE_H
#define RSPROF_SOURCE_HEAP_CALIBRATE_H

#include "reader/source/heap_probes.h"

struct heap_prices {
	uint32_t call_ns;	 /* a call whose probed instruction is emulated */
	uint32_t stepped_ns;	 /* or single-stepped */
	uint32_t return_ns;	 /* a return, on top of the call */
	bool sees_other_threads; /* probes that were placed for a process fire in its second thread:
				  * some kernels filter by thread */
};

/* Measures as those programs are attached; they are not run themselves. Some 10 ms; then the kernel
 * takes the probes away, which it does behind grace periods of its own, 20 to 60 ms for each link.
 * 0, or -errno: then no probe can be placed here. The child is gone afterwards, whatever happens,
 * and no signal tells of its end. */
int heap_calibrate(const struct heap_programs *programs, struct heap_prices *ret_prices);

#endif
