/* Reading a ring that the test fills in the kernel's place. */
#include <stdlib.h>

#include "reader/source/perf_ring.h"
#include "tests/lib/kit.h"

enum { DATA_BYTES = 4096 };

struct fake {
	struct perf_ring ring;
	struct perf_event_mmap_page page;
	_Alignas(8) unsigned char data[DATA_BYTES];
	_Alignas(8) unsigned char scratch[PERF_RING_RECORD_MAX];
	uint64_t head;
};

static struct fake *fake_new(uint64_t start)
{
	struct fake *fake = calloc(1, sizeof(*fake));

	fake->ring = (struct perf_ring){.page = &fake->page,
					.data = fake->data,
					.data_bytes = DATA_BYTES,
					.tail = start,
					.scratch = fake->scratch};
	fake->head = start;
	return fake;
}

/* A record of `size` bytes, numbered in its type; each byte after the header is the number too. */
static void put(struct fake *fake, uint32_t number, uint16_t size)
{
	struct perf_event_header header = {.type = number, .size = size};
	unsigned char record[4096];

	memset(record, (int)number, sizeof(record));
	memcpy(record, &header, sizeof(header));
	for (uint16_t i = 0; i < size; i++)
		fake->data[(fake->head + i) % DATA_BYTES] = record[i];
	fake->head += size;
	__atomic_store_n(&fake->page.data_head, fake->head, __ATOMIC_RELEASE);
}

struct seen {
	uint32_t count, next_number;
	uint64_t bytes;
};

static void see(void *context, const void *record, size_t size)
{
	const struct perf_event_header *header = record;
	const unsigned char *bytes = record;
	struct seen *seen = context;

	CHECK_EQ_U64((uintptr_t)record % 8, 0);
	CHECK_EQ_U64(header->size, size);
	CHECK_EQ_U64(header->type, seen->next_number);
	for (size_t i = sizeof(*header); i < size; i++)
		CHECK_EQ_U64(bytes[i], seen->next_number & 0xff);
	seen->next_number++;
	seen->count++;
	seen->bytes += size;
}

TEST(an_empty_ring_has_nothing)
{
	struct fake *fake = fake_new(0);
	struct seen seen = {0};

	CHECK(perf_ring_read(&fake->ring, see, &seen));
	CHECK_EQ_U64(seen.count, 0);
	free(fake);
}

TEST(records_come_whole_and_in_order_round_and_round)
{
	/* Not from zero: heads only grow, and the sizes do not divide the ring. */
	struct fake *fake = fake_new(UINT64_C(3) << 32 | 4088);
	struct seen seen = {0};
	uint32_t number = 0;
	uint64_t bytes = 0;

	for (int round = 0; round < 500; round++) {
		for (int i = 0; i < 7; i++) {
			uint16_t size = (uint16_t)(8 + 8 * (number * 37 % 70));

			put(fake, number++, size);
			bytes += size;
		}
		CHECK(perf_ring_read(&fake->ring, see, &seen));
		CHECK_EQ_U64(fake->page.data_tail, fake->head);
	}
	CHECK_EQ_U64(seen.count, number);
	CHECK_EQ_U64(seen.bytes, bytes);
	free(fake);
}

TEST(a_full_ring_is_read)
{
	struct fake *fake = fake_new(40);
	struct seen seen = {0};

	put(fake, 0, DATA_BYTES - 8);
	put(fake, 1, 8);
	CHECK(perf_ring_read(&fake->ring, see, &seen));
	CHECK_EQ_U64(seen.count, 2);
	free(fake);
}

static void check_thrown_away(struct fake *fake, uint32_t good)
{
	struct seen seen = {0};

	CHECK(!perf_ring_read(&fake->ring, see, &seen));
	CHECK_EQ_U64(seen.count, good);
	CHECK_EQ_U64(fake->page.data_tail, fake->head & ~UINT64_C(7));
	/* And it goes on with what comes then. */
	fake->head &= ~UINT64_C(7);
	put(fake, good, 64);
	CHECK(perf_ring_read(&fake->ring, see, &seen));
	CHECK_EQ_U64(seen.count, good + 1);
	free(fake);
}

static void put_header(struct fake *fake, uint16_t size, uint64_t head_moves)
{
	struct perf_event_header header = {.type = 1, .size = size};

	memcpy(fake->data + fake->head % DATA_BYTES, &header, sizeof(header));
	fake->head += head_moves;
	fake->page.data_head = fake->head;
}

TEST(a_size_that_cannot_be_ends_the_chain)
{
	static const uint16_t sizes[] = {0, 1, 7, 9, 20, 65535, 72};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct fake *fake = fake_new(0);

		put(fake, 0, 32);
		put_header(fake, sizes[i], 64);
		check_thrown_away(fake, 1);
	}
}

TEST(a_head_that_cannot_be_is_not_followed)
{
	static const uint64_t moves[] = {DATA_BYTES + 8, UINT64_C(1) << 40, 12, UINT64_MAX - 7};

	for (size_t i = 0; i < sizeof(moves) / sizeof(*moves); i++) {
		struct fake *fake = fake_new(0);

		put_header(fake, 8, moves[i]);
		check_thrown_away(fake, 0);
	}
}

struct watcher {
	const struct fake *fake;
	uint64_t most_held;
};

static void watch(void *context, const void *record, size_t size)
{
	struct watcher *watcher = context;
	uint64_t held = watcher->fake->ring.tail - watcher->fake->page.data_tail;

	watcher->most_held = held > watcher->most_held ? held : watcher->most_held;
}

TEST(room_is_given_back_while_reading)
{
	enum { BIG_BYTES = 1 << 20, RECORD_BYTES = 4096 };
	struct fake *fake = fake_new(0);
	struct watcher watcher = {.fake = fake};
	struct perf_event_header header = {.size = RECORD_BYTES};

	fake->ring.data = calloc(1, BIG_BYTES);
	fake->ring.data_bytes = BIG_BYTES;
	for (int at = 0; at < BIG_BYTES; at += RECORD_BYTES)
		memcpy(fake->ring.data + at, &header, sizeof(header));
	fake->page.data_head = BIG_BYTES;
	CHECK(perf_ring_read(&fake->ring, watch, &watcher));
	CHECK_EQ_U64(fake->page.data_tail, BIG_BYTES);
	CHECK_BETWEEN(watcher.most_held, RECORD_BYTES, 64 * 1024);
	free(fake->ring.data);
	free(fake);
}

KIT_MAIN
