#include "reader/record/writer.h"

#include <pthread.h>
#include <stdint.h>
#include <unistd.h>

#include "reader/record/delta_merge.h"
#include "reader/util/mem.h"
#include "reader/util/vec.h"

struct writer {
	pthread_t thread;
	struct store *store;
	int failed_fd;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	VEC(struct delta *) deltas;
	struct resolved_batch *first, *last; /* oldest first */
	bool closed;
	int result; /* of the first commit that failed */
	struct err err;
};

static void free_batches(struct resolved_batch *batch)
{
	while (batch) {
		struct resolved_batch *next = batch->next;

		resolved_batch_free(batch);
		batch = next;
	}
}

/* Waits for work and takes all of it; false when there will be none. A batch alone waits for the
 * next delta, so that there is one transaction a checkpoint. */
static bool take(struct writer *writer, struct delta **deltas, size_t *ret_count,
		 struct resolved_batch **ret_batches)
{
	bool more;

	pthread_mutex_lock(&writer->lock);
	while (!writer->deltas.count && !writer->closed)
		pthread_cond_wait(&writer->changed, &writer->lock);
	*ret_count = writer->deltas.count;
	for (size_t i = 0; i < writer->deltas.count; i++)
		deltas[i] = writer->deltas.items[i];
	vec_clear(&writer->deltas);
	*ret_batches = writer->first;
	writer->first = writer->last = NULL;
	more = *ret_count || *ret_batches || !writer->closed;
	pthread_mutex_unlock(&writer->lock);
	return more;
}

static void commit(struct writer *writer, struct delta *const *deltas, size_t count,
		   const struct resolved_batch *batches)
{
	static const uint64_t one = 1;
	struct err err = {0};
	int result = store_commit(writer->store, deltas, count, batches, &err);

	if (result < 0) {
		ssize_t written;

		pthread_mutex_lock(&writer->lock);
		writer->result = result;
		writer->err = err;
		pthread_mutex_unlock(&writer->lock);
		written = write(writer->failed_fd, &one, sizeof(one));
		(void)written; /* an eventfd takes it, or is readable already */
	}
}

static void *run(void *argument)
{
	struct writer *writer = argument;
	struct delta *deltas[WRITER_QUEUE_MAX];
	struct resolved_batch *batches;
	size_t count;

	while (take(writer, deltas, &count, &batches)) {
		/* After a failure the rest is let go: a later commit would leave a hole before it.
		 */
		if (!writer->result)
			commit(writer, deltas, count, batches);
		for (size_t i = 0; i < count; i++)
			delta_release(deltas[i]);
		free_batches(batches);
	}
	return NULL;
}

struct writer *writer_start(struct store *store, int failed_fd)
{
	struct writer *writer = mem_zalloc(sizeof(*writer));

	writer->store = store;
	writer->failed_fd = failed_fd;
	pthread_mutex_init(&writer->lock, NULL);
	pthread_cond_init(&writer->changed, NULL);
	if (pthread_create(&writer->thread, NULL, run, writer)) {
		free(writer);
		return NULL;
	}
	return writer;
}

void writer_add(struct writer *writer, struct delta *delta)
{
	pthread_mutex_lock(&writer->lock);
	if (writer->deltas.count == WRITER_QUEUE_MAX) {
		struct delta **newest = &writer->deltas.items[writer->deltas.count - 1];
		struct delta *merged = delta_merge(*newest, delta);

		delta_release(*newest);
		delta_release(delta);
		*newest = merged;
	} else {
		*vec_add(&writer->deltas) = delta;
	}
	pthread_cond_signal(&writer->changed);
	pthread_mutex_unlock(&writer->lock);
}

void writer_add_resolved(struct writer *writer, struct resolved_batch *batch)
{
	batch->next = NULL;
	pthread_mutex_lock(&writer->lock);
	if (writer->last)
		writer->last->next = batch;
	else
		writer->first = batch;
	writer->last = batch;
	pthread_mutex_unlock(&writer->lock);
}

int writer_finish(struct writer *writer, struct err *err)
{
	int result;

	pthread_mutex_lock(&writer->lock);
	writer->closed = true;
	pthread_cond_signal(&writer->changed);
	pthread_mutex_unlock(&writer->lock);
	pthread_join(writer->thread, NULL);
	result = writer->result;
	if (result < 0 && err)
		*err = writer->err;
	pthread_mutex_destroy(&writer->lock);
	pthread_cond_destroy(&writer->changed);
	vec_done(&writer->deltas);
	free(writer);
	return result;
}
