/* How many samples a second one core takes out of a ring and decodes: the path of src_perf's
 * drain, on a ring that is filled here as the kernel fills it. Prints records a second for some
 * stack depths. */
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "reader/source/perf_record.h"
#include "reader/source/perf_ring.h"

enum {
	RING_BYTES = 1 << 20,
	THREADS = 64, /* identifiers the decoder knows, on two CPUs */
	PID = 1000,
};

#define RUN_NS UINT64_C(1000000000)

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* What any consumer does at least: looks at each address. */
static void take(void *context, const struct event *event)
{
	uint64_t *sum = context;

	for (uint32_t i = 0; i < event->sample.pc_count; i++)
		*sum += event->sample.pcs[i];
}

/* One record at the head; returns its size. */
static size_t put_sample(struct perf_ring *ring, uint64_t head, uint64_t number, size_t frames)
{
	uint64_t words[7 + 1 + 512];
	struct perf_event_header header = {
		.type = PERF_RECORD_SAMPLE,
		.misc = PERF_RECORD_MISC_USER,
		.size = (uint16_t)((8 + frames) * sizeof(*words)),
	};

	memcpy(words, &header, sizeof(header));
	words[1] = 1 + number % (2 * THREADS);
	words[2] = 0x401000;
	words[3] = (PID + number % THREADS) << 32 | PID;
	words[4] = number;
	words[5] = 1;
	words[6] = frames + 1;
	words[7] = (uint64_t)PERF_CONTEXT_USER;
	for (size_t i = 0; i < frames; i++)
		words[8 + i] = 0x401000 + i * 64;
	for (size_t i = 0; i < header.size; i++)
		ring->data[(head + i) % RING_BYTES] = ((unsigned char *)words)[i];
	return header.size;
}

static void run(size_t frames)
{
	struct perf_event_mmap_page page = {0};
	uint64_t sum = 0, rounds = 0, in_ring = 0, start, took;
	struct perf_decoder decoder = {.target_pid = PID,
				       .threads_only = true,
				       .frames_kept = 511,
				       .frames_cut = 512,
				       .sink = take,
				       .context = &sum};
	struct perf_ring ring = {.page = &page,
				 .data = aligned_alloc(64, RING_BYTES),
				 .data_bytes = RING_BYTES,
				 .scratch = aligned_alloc(64, PERF_RING_RECORD_MAX)};

	if (!ring.data || !ring.scratch)
		exit(1);
	for (uint64_t id = 1; id <= 2 * THREADS; id++)
		perf_decoder_add_stream(&decoder, id, (uint32_t)(PID + id % THREADS), 0);
	while (page.data_head + (8 + frames) * 8 <= RING_BYTES)
		page.data_head += put_sample(&ring, page.data_head, in_ring++, frames);
	start = now_ns();
	do {
		/* The same ring again, as if the kernel had filled it anew. */
		ring.tail = 0;
		if (!perf_ring_read(&ring, perf_record_decode, &decoder))
			exit(1);
		rounds++;
		took = now_ns() - start;
	} while (took < RUN_NS);
	if (decoder.sampled[0] != rounds * in_ring || !sum)
		exit(1);
	printf("perf decode, %3zu frames: %.1f M samples/s, %.1f ns a sample\n", frames,
	       (double)(rounds * in_ring) / (double)took * 1e3,
	       (double)took / (double)(rounds * in_ring));
	perf_decoder_done(&decoder);
	free(ring.data);
	free(ring.scratch);
}

int main(void)
{
	run(4);
	run(16);
	run(127);
	return 0;
}
