#include "reader/core/thread_table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "reader/util/hash.h"
#include "reader/util/vec.h"

/* The thread that has a tid now. */
struct present {
	char comm[EVENT_COMM_MAX];
	thread_id row; /* 0: no sample since it got its name */
};

struct thread_table {
	struct arena arena; /* names of rows */
	VEC(struct delta_thread) rows;
	VEC(struct present) present;
	struct u64_map by_tid; /* tid → present */
};

struct thread_table *thread_table_new(void)
{
	return mem_zalloc(sizeof(struct thread_table));
}

void thread_table_free(struct thread_table *table)
{
	if (!table)
		return;
	arena_done(&table->arena);
	vec_done(&table->rows);
	vec_done(&table->present);
	u64_map_done(&table->by_tid);
	free(table);
}

static struct present *find(struct thread_table *table, uint32_t tid)
{
	uint32_t index = u64_map_get(&table->by_tid, tid);

	return index == UINT32_MAX ? NULL : &table->present.items[index];
}

static struct present *find_or_add(struct thread_table *table, uint32_t tid)
{
	struct present *present = find(table, tid);

	if (!present) {
		u64_map_put(&table->by_tid, tid, (uint32_t)table->present.count);
		present = vec_add(&table->present);
		memset(present, 0, sizeof(*present));
	}
	return present;
}

void thread_table_name(struct thread_table *table, uint32_t tid, const char *comm)
{
	struct present *present = find_or_add(table, tid);

	if (strncmp(present->comm, comm, sizeof(present->comm) - 1) == 0 && present->comm[0])
		return;
	snprintf(present->comm, sizeof(present->comm), "%s", comm);
	present->row.v = 0;
}

void thread_table_fork(struct thread_table *table, uint32_t tid, uint32_t parent_tid)
{
	struct present *present = find_or_add(table, tid);
	const struct present *parent = find(table, parent_tid);

	if (parent && parent != present)
		memcpy(present->comm, parent->comm, sizeof(present->comm));
	present->row.v = 0;
}

int thread_table_get(struct thread_table *table, uint32_t pid, uint32_t tid, thread_id *ret_id)
{
	struct present *present = find_or_add(table, tid);

	if (!present->row.v) {
		if (table->rows.count >= THREADS_MAX)
			return -ENOSPC;
		present->row.v = (uint32_t)table->rows.count + 1;
		*vec_add(&table->rows) = (struct delta_thread){
			present->row, pid, tid, arena_strdup(&table->arena, present->comm)};
	}
	*ret_id = present->row;
	return 0;
}

size_t thread_table_count(const struct thread_table *table)
{
	return table->rows.count;
}

const struct delta_thread *thread_table_row(const struct thread_table *table, thread_id id)
{
	return &table->rows.items[id.v - 1];
}
