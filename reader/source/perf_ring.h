/* A ring that the kernel writes perf records into and rsprof reads: one writer, one reader. */
#ifndef RSPROF_SOURCE_PERF_RING_H
#define RSPROF_SOURCE_PERF_RING_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	/* Its size has 16 bits in the header, so no record is longer. */
	PERF_RING_RECORD_MAX = 65536,
};

struct perf_ring {
	struct perf_event_mmap_page *page;
	unsigned char *data;
	uint64_t data_bytes; /* a power of two */
	uint64_t tail;	     /* all before it has been read */
	/* For records that wrap: PERF_RING_RECORD_MAX bytes, 8-aligned; rings of one reader may
	 * share it. */
	unsigned char *scratch;
};

typedef void (*perf_ring_visitor)(void *context, const void *record, size_t size);

/* data_pages is a power of two. 0 or -errno: -EPERM where the memory lock limit forbids it. */
int perf_ring_map(struct perf_ring *ring, int fd, size_t data_pages, unsigned char *scratch);
void perf_ring_unmap(struct perf_ring *ring);

/* Visits all records that are there now and gives their room back. A record is valid during its
 * visit only. Returns false where the rest was no chain of records and was thrown away. */
bool perf_ring_read(struct perf_ring *ring, perf_ring_visitor visit, void *context);

#endif
