/* Samples a second that one core takes from a source to a closed checkpoint: merge by time, address
 * to place, interned stack, count. pump_bench [SAMPLES [DEPTH [STACKS]]] */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "reader/record/pump.h"
#include "reader/util/mem.h"
#include "tests/lib/fake_source.h"

static void let_go(void *context, struct delta *delta)
{
	delta_release(delta);
}

static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	size_t samples = argc > 1 ? strtoul(argv[1], NULL, 10) : 2000000;
	size_t depth = argc > 2 ? strtoul(argv[2], NULL, 10) : 16;
	size_t stacks = argc > 3 ? strtoul(argv[3], NULL, 10) : 1000;
	struct event *events = mem_array(samples + 1, sizeof(*events));
	uint64_t *pcs = mem_array(stacks * depth, sizeof(*pcs));
	struct fake_source fake;
	struct pump_config config = {
		.source = &fake.source, .interval_ns = 1000000000, .deliver = let_go};
	struct pump *pump = pump_new(&config);
	double start;

	for (size_t i = 0; i < stacks * depth; i++)
		pcs[i] = 0x400000 + (i % depth + 1) * 0x1000 + (i / depth) * 16 / (i % depth + 1);
	events[0] = (struct event){.time_ns = 1, .type = EVENT_MMAP, .pid = 9, .tid = 9};
	events[0].mmap.start = 0x400000;
	events[0].mmap.length = 0x10000000;
	events[0].mmap.path = "/bin/x";
	events[0].mmap.inode = 1;
	events[0].mmap.is_executable = true;
	for (size_t i = 1; i <= samples; i++) {
		/* Two rings, each in order, every drain: the merge has to sort. */
		uint64_t time_ns = 1000 + (i / 4096) * 4096000 + (i % 2048) * 2000 + (i / 2048 % 2);

		events[i] = (struct event){.time_ns = time_ns,
					   .type = EVENT_SAMPLE,
					   .pid = 9,
					   .tid = (uint32_t)(i % 8)};
		events[i].sample.pcs = &pcs[i * 7919 % stacks * depth];
		events[i].sample.pc_count = (uint32_t)depth;
		events[i].sample.value = 1;
		events[i].sample.status = STACK_FRAME_POINTERS;
	}
	fake_source_init(&fake, events, samples + 1, 4096);
	start = cpu_seconds();
	while (pump_round(pump, -1))
		continue;
	pump_finish(pump);
	printf("pump: %zu samples, %zu frames, %zu stacks: %.2f M samples/s\n", samples, depth,
	       stacks, (double)samples / (cpu_seconds() - start) / 1e6);
	pump_free(pump);
	free(events);
	free(pcs);
	return 0;
}
