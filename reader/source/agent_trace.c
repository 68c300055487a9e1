#include "reader/source/agent_trace.h"

#include <stdlib.h>

#include "reader/util/mem.h"

void agent_trace_start(struct agent_trace *trace, uint32_t first_site, uint32_t site_count)
{
	trace->first_site = first_site;
	trace->site_count = site_count;
	trace->sites = mem_array(site_count, sizeof(*trace->sites));
}

void agent_trace_done(struct agent_trace *trace)
{
	free(trace->sites);
	vec_done(&trace->risen);
	*trace = (struct agent_trace){0};
}

void agent_trace_tell(struct agent_trace *trace, agent_trace_sink sink, void *context)
{
	size_t kept = 0;

	for (size_t i = 0; i < trace->risen.count; i++) {
		uint32_t number = trace->risen.items[i];
		struct agent_trace_site *site = &trace->sites[number];
		uint64_t live = site->live_bytes > 0 ? (uint64_t)site->live_bytes : 0;

		if (site->peak_bytes > live && !sink(context, number, site->peak_bytes)) {
			trace->risen.items[kept++] = number;
			continue;
		}
		site->peak_bytes = live;
		site->has_risen = false;
	}
	trace->risen.count = kept;
}
