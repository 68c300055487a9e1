/* Who a thread is at a moment: a row for each (thread, name) pair, so that a sample keeps the name
 * that its thread had, and a reused tid is somebody new. */
#ifndef RSPROF_CORE_THREAD_TABLE_H
#define RSPROF_CORE_THREAD_TABLE_H

#include <stddef.h>

#include "reader/core/delta.h"
#include "reader/core/event.h"

enum {
	/* A million short threads is a day of a thread a request; what comes after is counted as
	 * LOSS_THREADS_FULL. */
	THREADS_MAX = 1024 * 1024,
};

struct thread_table;

struct thread_table *thread_table_new(void);
void thread_table_free(struct thread_table *table);
/* The thread is called comm from now on. */
void thread_table_name(struct thread_table *table, uint32_t tid, const char *comm);
/* A new thread has that tid, under its parent's name. */
void thread_table_fork(struct thread_table *table, uint32_t tid, uint32_t parent_tid);
/* The row of the thread as it is called now, made on first use. 0, or -ENOSPC. */
int thread_table_get(struct thread_table *table, uint32_t pid, uint32_t tid, thread_id *ret_id);

size_t thread_table_count(const struct thread_table *table); /* ids are 1..count */
const struct delta_thread *thread_table_row(const struct thread_table *table, thread_id id);

#endif
