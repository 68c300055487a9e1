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

void bpf_read_threads(struct bpf_loaded *loaded, bpf_thread_states *states)
{
	uint32_t room = BATCH, cursor = 0;
	uint32_t *tids = mem_array(room, sizeof(*tids));
	struct bpf_thread *threads = mem_array(room, sizeof(*threads));
	size_t before = states->count;
	bool is_first = true;
	int ret = 0;

	while (!ret) {
		uint32_t next = 0, count = room;

		ret = bpf_map_lookup_batch(loaded->threads_fd, is_first ? NULL : &cursor, &next,
					   tids, threads, &count, NULL);
		if (ret == -ENOSPC) {
			room *= 2;
			tids = mem_grow(tids, room, sizeof(*tids));
			threads = mem_grow(threads, room, sizeof(*threads));
			ret = 0;
			continue;
		}
		if (ret && ret != -ENOENT)
			break;
		for (uint32_t i = 0; i < count; i++)
			add_state(states, tids[i], &threads[i]);
		cursor = next;
		is_first = false;
	}
	free(tids);
	free(threads);
	/* -ENOENT: that was all. */
	if (ret != -ENOENT && states->count == before)
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
