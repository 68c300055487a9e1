/* Reading and writing the hash maps of BPF programs. */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <string.h>

#include "reader/source/bpf_load.h"

enum {
	/* At first; a bucket that holds more than that makes it grow. */
	BATCH = 1024,
};

static void add_state(bpf_thread_states *states, uint32_t tid, const struct bpf_thread *thread)
{
	*vec_add(states) = (struct bpf_thread_state){.tid = tid, .thread = *thread};
}

/* One by one, on kernels without batches. A thread that ends meanwhile makes the walk begin anew,
 * which tells threads twice; it is then left as it is. */
static void read_threads_singly(int fd, bpf_thread_states *states)
{
	uint32_t key, next, *before = NULL;

	for (uint32_t count = 0;
	     count < BPF_THREADS_MAX && !bpf_map_get_next_key(fd, before, &next); count++) {
		struct bpf_thread thread;

		key = next;
		before = &key;
		if (!bpf_map_lookup_elem(fd, &key, &thread))
			add_state(states, key, &thread);
	}
}

/* Hands over all that a map holds, many at a time. 0: that was all; or -errno, and what was handed
 * over was not all. is_taken: it is gone from the map then. */
static int read_all(int fd, size_t key_bytes, size_t value_bytes, bool is_taken,
		    void (*add)(void *context, const void *key, const void *value), void *context)
{
	/* The kernel's place in the map is a number of 4 bytes, however long the keys are. */
	uint32_t room = BATCH, cursor = 0, next = 0, count;
	char *keys = mem_array(room, key_bytes), *values = mem_array(room, value_bytes);
	bool is_first = true;
	int ret = 0;

	while (!ret) {
		uint32_t *from = is_first ? NULL : &cursor;

		count = room;
		ret = is_taken ? bpf_map_lookup_and_delete_batch(fd, from, &next, keys, values,
								 &count, NULL)
			       : bpf_map_lookup_batch(fd, from, &next, keys, values, &count, NULL);
		if (ret == -ENOSPC) {
			room *= 2;
			keys = mem_grow(keys, room, key_bytes);
			values = mem_grow(values, room, value_bytes);
			ret = 0;
			continue;
		}
		if (ret && ret != -ENOENT)
			break;
		for (uint32_t i = 0; add && i < count; i++)
			add(context, keys + i * key_bytes, values + i * value_bytes);
		cursor = next;
		is_first = false;
	}
	free(keys);
	free(values);
	return ret == -ENOENT ? 0 : ret;
}

static void add_thread(void *states, const void *tid, const void *thread)
{
	add_state(states, *(const uint32_t *)tid, thread);
}

void bpf_read_threads(struct bpf_loaded *loaded, bpf_thread_states *states)
{
	size_t before = states->count;

	if (read_all(loaded->threads_fd, sizeof(uint32_t), sizeof(struct bpf_thread), false,
		     add_thread, states) &&
	    states->count == before)
		read_threads_singly(loaded->threads_fd, states);
}

bool bpf_is_thread_still(struct bpf_loaded *loaded, const struct bpf_thread_state *state)
{
	struct bpf_thread now;

	return bpf_map_lookup_elem(loaded->threads_fd, &state->tid, &now) == 0 &&
	       memcmp(&now, &state->thread, sizeof(now)) == 0;
}

int bpf_add_thread(struct bpf_loaded *loaded, uint32_t tid, const struct bpf_thread *thread)
{
	return bpf_map_update_elem(loaded->threads_fd, &tid, thread, BPF_NOEXIST);
}

int bpf_add_late_thread(struct bpf_loaded *loaded, uint32_t tid)
{
	uint32_t one = 1;

	return bpf_map_update_elem(loaded->late_threads_fd, &tid, &one, BPF_ANY);
}

void bpf_remove_late_thread(struct bpf_loaded *loaded, uint32_t tid)
{
	bpf_map_delete_elem(loaded->late_threads_fd, &tid);
}

/* A key is deleted when the one behind it is known: behind a key that is gone the kernel begins
 * anew. Both have room for a key. */
static void clear(int fd, void *key, void *next, uint32_t most)
{
	bool has_next = !bpf_map_get_next_key(fd, NULL, key);

	for (uint32_t i = 0; has_next && i < most; i++) {
		has_next = !bpf_map_get_next_key(fd, key, next);
		bpf_map_delete_elem(fd, key);
		if (has_next) {
			void *done = key;

			key = next;
			next = done;
		}
	}
}

void bpf_clear_late_threads(struct bpf_loaded *loaded)
{
	uint32_t tids[2];

	clear(loaded->late_threads_fd, &tids[0], &tids[1], BPF_LATE_THREADS_MAX);
}

void bpf_clear_stacks(struct bpf_loaded *loaded)
{
	uint64_t hashes[2];

	clear(loaded->stacks_fd, &hashes[0], &hashes[1], BPF_STACKS_MAX);
}

/* ---- the heap. Its programs need a newer kernel than batches do. */

static void add_heap_site(void *context, const void *key, const void *site)
{
	bpf_heap_site_rows *rows = context;
	struct bpf_heap_site_row *row = vec_add(rows);

	memcpy(&row->key, key, sizeof(row->key));
	memcpy(&row->site, site, sizeof(row->site));
}

void bpf_read_heap_sites(struct bpf_loaded *loaded, bpf_heap_site_rows *rows)
{
	read_all(loaded->heap_sites_fd, sizeof(uint64_t), sizeof(struct bpf_heap_site), false,
		 add_heap_site, rows);
}

static void add_heap_thread(void *context, const void *tid, const void *thread)
{
	bpf_heap_thread_rows *rows = context;
	struct bpf_heap_thread_row *row = vec_add(rows);

	memcpy(&row->tid, tid, sizeof(row->tid));
	memcpy(&row->thread, thread, sizeof(row->thread));
}

void bpf_read_heap_threads(struct bpf_loaded *loaded, bpf_heap_thread_rows *rows)
{
	read_all(loaded->heap_threads_fd, sizeof(uint32_t), sizeof(struct bpf_heap_thread), false,
		 add_heap_thread, rows);
}

void bpf_remove_heap_thread(struct bpf_loaded *loaded, uint32_t tid)
{
	bpf_map_delete_elem(loaded->heap_threads_fd, &tid);
}

void bpf_clear_heap_blocks(struct bpf_loaded *loaded)
{
	read_all(loaded->heap_blocks_fd, sizeof(uint64_t), sizeof(struct bpf_heap_block), true,
		 NULL, NULL);
}
