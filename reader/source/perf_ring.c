#include "reader/source/perf_ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	/* The kernel gets room back each time this much was read, not only at the end: it goes on
	 * writing while we read. Small against any ring, large against a record. */
	RELEASE_BYTES = 64 * 1024,
	RECORD_ALIGNMENT = 8,
};

int perf_ring_map(struct perf_ring *ring, int fd, size_t data_pages, unsigned char *scratch)
{
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	size_t bytes = (data_pages + 1) * page_bytes;
	void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (base == MAP_FAILED)
		return -errno;
	*ring = (struct perf_ring){
		.page = base,
		.data = (unsigned char *)base + page_bytes,
		.data_bytes = data_pages * page_bytes,
		.scratch = scratch,
	};
	return 0;
}

void perf_ring_unmap(struct perf_ring *ring)
{
	if (ring->page)
		munmap(ring->page,
		       (size_t)(ring->data - (unsigned char *)ring->page) + ring->data_bytes);
	*ring = (struct perf_ring){0};
}

/* Pairs with the kernel's reading of data_tail in ring_buffer.c: it writes over what lies before it
 * only after it has seen this. */
static void release(struct perf_ring *ring)
{
	__atomic_store_n(&ring->page->data_tail, ring->tail, __ATOMIC_RELEASE);
}

/* The record at the tail in one piece: in place, or put together where it wraps. */
static const unsigned char *whole_record(const struct perf_ring *ring, size_t size)
{
	uint64_t at = ring->tail & (ring->data_bytes - 1);
	size_t first = ring->data_bytes - at;

	if (size <= first)
		return ring->data + at;
	memcpy(ring->scratch, ring->data + at, first);
	memcpy(ring->scratch + first, ring->data, size - first);
	return ring->scratch;
}

bool perf_ring_read(struct perf_ring *ring, perf_ring_visitor visit, void *context)
{
	/* Pairs with the kernel's release of data_head: what it wrote before is seen after this. */
	uint64_t head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
	uint64_t released = ring->tail;
	bool is_sound = head - ring->tail <= ring->data_bytes && head % RECORD_ALIGNMENT == 0;

	while (is_sound && ring->tail != head) {
		const struct perf_event_header *header;
		size_t size;

		/* Records and the ring are multiples of 8 bytes: a header never wraps. */
		header = (const void *)(ring->data + (ring->tail & (ring->data_bytes - 1)));
		size = header->size;
		is_sound = size >= sizeof(*header) && size % RECORD_ALIGNMENT == 0 &&
			   size <= head - ring->tail;
		if (!is_sound)
			break;
		visit(context, whole_record(ring, size), size);
		ring->tail += size;
		if (ring->tail - released >= RELEASE_BYTES) {
			release(ring);
			released = ring->tail;
		}
	}
	/* Where the next record begins cannot be known, so all up to the head goes. */
	ring->tail = head & ~(uint64_t)(RECORD_ALIGNMENT - 1);
	release(ring);
	return is_sound;
}
