/* heapsites [ROUNDS [now]]: allocates at sites of eight kinds, each on a line of its own, ROUNDS times over,
 * and prints what each did. A second thread, there from before the signal, frees blocks of the first. */

/* target.h is C. */
#define _Atomic
#define _Thread_local thread_local
#include "tests/targets/heap_truth.h"

#include <errno.h>
#include <semaphore.h>

static const size_t LEAKS = 1000, CHURNS = 5000, SERIES = 20, GROWN_MAX = 1 << 20, SHRUNK = 50000,
		    BLOCKS = 300;

static struct site leak = {"LEAK"}, churn = {"CHURN_SITE"}, grow_first = {"GROW_FIRST"},
		   grow = {"GROW"}, grow_null = {"GROW_NULL"}, cleared = {"CALLOC"},
		   aligned = {"ALIGNED"}, posix_aligned = {"ALIGNED_POSIX"}, cross = {"CROSS"},
		   made = {"NEW"}, made_many = {"NEW_ARRAY"}, copied = {"STRDUP"},
		   failing = {"FAILING"};

static void *blocks[BLOCKS];
static size_t sizes[BLOCKS];
static sem_t is_filled, is_empty;

APART static void leak_some()
{
	for (size_t i = 0; i < LEAKS; i++) {
		size_t size = 24 + i % 100 * 8;
		void *block = malloc(size); // LEAK

		ESCAPE(block);
		note_alloc(&leak, block, size);
	}
}

APART static void churn_some()
{
	for (size_t i = 0; i < CHURNS; i++) {
		size_t size = 1 + i % 3000;
		void *block = malloc(size); // CHURN_SITE

		ESCAPE(block);
		note_alloc(&churn, block, size);
		note_free(&churn, block, size);
		free(block);
		/* Nothing. */
		free(NULL);
	}
}

/* One series: doubled from 16 bytes to a megabyte, moved or not; in the end less again. */
APART static void grow_one(bool is_freed)
{
	size_t size = 16;
	struct site *site = &grow_first;
	void *block = malloc(size); // GROW_FIRST
	void *other;

	ESCAPE(block);
	note_alloc(site, block, size);
	while (size != SHRUNK) {
		size_t next = size < GROWN_MAX ? size * 2 : SHRUNK;

		block = realloc(block, next); // GROW
		ESCAPE(block);
		note_realloc(site, size, &grow, block, next);
		site = &grow;
		size = next;
	}
	/* Fails, and leaves the block as it is. */
	other = realloc(block, PTRDIFF_MAX - 4096); // FAILING
	ESCAPE(other);
	if (other)
		abort();
	if (is_freed) {
		note_free(&grow, block, size);
		other = realloc(block, 0); /* frees */
		ESCAPE(other);
	}
	block = realloc(NULL, 40); // GROW_NULL
	ESCAPE(block);
	note_alloc(&grow_null, block, 40);
}

APART static void free_every(size_t step, struct site *site)
{
	for (size_t i = 0; i < BLOCKS; i += step) {
		note_free(site, blocks[i], sizes[i]);
		free(blocks[i]);
	}
}

APART static void clear_some()
{
	for (size_t i = 0; i < BLOCKS; i++) {
		sizes[i] = (i + 1) * 24;
		blocks[i] = calloc(i + 1, 24); // CALLOC
		note_alloc(&cleared, blocks[i], sizes[i]);
	}
	free_every(2, &cleared);
}

APART static void align_some()
{
	for (size_t i = 0; i < BLOCKS; i++) {
		sizes[i] = 64 * (i + 1);
		blocks[i] = aligned_alloc(64, sizes[i]); // ALIGNED
		note_alloc(&aligned, blocks[i], sizes[i]);
	}
	free_every(3, &aligned);
	for (size_t i = 0; i < BLOCKS; i++) {
		sizes[i] = 10 + i;
		if (posix_memalign(&blocks[i], 256, sizes[i])) // ALIGNED_POSIX
			abort();
		note_alloc(&posix_aligned, blocks[i], sizes[i]);
	}
	free_every(1, &posix_aligned);
	/* Refused: 24 is no alignment. */
	if (posix_memalign(&blocks[0], 24, 100) != EINVAL) // FAILING_TOO
		abort();
}

APART static void allocate_for_the_other()
{
	for (size_t i = 0; i < BLOCKS; i++) {
		sizes[i] = 100 + i;
		blocks[i] = malloc(sizes[i]); // CROSS
		note_alloc(&cross, blocks[i], sizes[i]);
	}
	sem_post(&is_filled);
	while (sem_wait(&is_empty))
		;
}

/* Frees all but each tenth. */
static void *free_them(void *)
{
	for (;;) {
		while (sem_wait(&is_filled))
			;
		for (size_t i = 0; i < BLOCKS; i++) {
			if (i % 10 == 9)
				continue;
			note_free(&cross, blocks[i], sizes[i]);
			free(blocks[i]);
		}
		sem_post(&is_empty);
	}
	return NULL;
}

struct thing {
	char bytes[72];
};

APART static void make_some()
{
	thing *things[BLOCKS];

	for (size_t i = 0; i < BLOCKS; i++) {
		things[i] = new thing; // NEW
		ESCAPE(things[i]);
		note_alloc(&made, things[i], sizeof(thing));
	}
	for (size_t i = 0; i < BLOCKS; i += 2) {
		note_free(&made, things[i], sizeof(thing));
		delete things[i];
	}
	for (size_t i = 0; i < BLOCKS; i++) {
		char *many = new char[i + 1]; // NEW_ARRAY

		ESCAPE(many);
		note_alloc(&made_many, many, i + 1);
		if (i % 4) {
			note_free(&made_many, many, i + 1);
			delete[] many;
		}
	}
}

APART static void copy_some()
{
	static const char text[] = "as long as it is";

	for (size_t i = 0; i < BLOCKS; i++) {
		char *copy = strdup(text + i % 10); // STRDUP

		ESCAPE(copy);
		note_alloc(&copied, copy, sizeof(text) - i % 10);
		if (i % 3 == 0) {
			note_free(&copied, copy, sizeof(text) - i % 10);
			free(copy);
		}
	}
}

int main(int argc, char **argv)
{
	static const struct site *const sites[] = {&leak, &churn, &grow_first, &grow, &grow_null,
						   &cleared, &aligned, &posix_aligned, &cross, &made,
						   &made_many, &copied, &failing};
	uint64_t rounds = (uint64_t)number_argument(argc, argv, 1, 1);
	pthread_t thread;

	block_signals();
	sem_init(&is_filled, 0, 0);
	sem_init(&is_empty, 0, 0);
	if (pthread_create(&thread, NULL, free_them, NULL))
		return 1;
	/* What an attach does not see: a block from before, freed during it. */
	void *before = malloc(1000);
	ESCAPE(before);
	if (!is_told_now(argc, argv))
		wait_for_go();
	for (uint64_t round = 0; round < rounds; round++) {
		leak_some();
		churn_some();
		for (size_t i = 0; i < SERIES; i++)
			grow_one(i % 2);
		clear_some();
		align_some();
		allocate_for_the_other();
		make_some();
		copy_some();
	}
	free(before);
	for (const struct site *site : sites)
		print_site(site);
	printf("unknown_frees 1\n");
	if (!is_told_now(argc, argv))
		linger();
	return 0;
}
