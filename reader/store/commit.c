/* One transaction: what is new since the last one, then each delta's checkpoint with its rows,
 * their sums, and what was resolved. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "reader/store/address.h"
#include "reader/store/write.h"
#include "reader/util/clock.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"

static int insert_module(struct store *store, uint32_t id, const struct module *module,
			 const char *build_id, struct err *err)
{
	sqlite3_stmt *insert = store->statements[WRITE_MODULE];

	sqlite3_bind_int64(insert, 1, id);
	sqlite3_bind_int(insert, 2, (int)module->kind);
	sqlite3_bind_text(insert, 3, module->path, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(insert, 4, module->name, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(insert, 5, build_id, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(insert, 6, (int64_t)module->inode);
	sqlite3_bind_int64(insert, 7, module->device_major);
	sqlite3_bind_int64(insert, 8, module->device_minor);
	sqlite3_bind_text(insert, 9, module->missing, -1, SQLITE_TRANSIENT);
	return sql_run(&store->sql, insert, err);
}

static int write_module(struct store *store, const struct module *module, struct err *err)
{
	char build_id[2 * BUILD_ID_MAX + 1];
	struct str key = {0};
	uint32_t id = UINT32_MAX;

	assert(module->id.v == store->modules.count);
	module_build_id_text(module, build_id);
	if (store->is_append) {
		append_module_key(&key, (int)module->kind, module->path, build_id,
				  (int64_t)module->inode, module->device_major,
				  module->device_minor);
		id = str_map_get(&store->known.modules, str_text(&key));
	}
	if (id != UINT32_MAX) {
		id_map_add_known(&store->modules, id);
		str_done(&key);
		return 0;
	}
	id = id_map_add_new(&store->modules);
	if (store->is_append && id)
		str_map_put(&store->known.modules, str_text(&key), id);
	str_done(&key);
	return id ? insert_module(store, id, module, build_id, err) : write_no_ids(store, err);
}

static int write_thread(struct store *store, const struct delta_thread *thread, struct err *err)
{
	sqlite3_stmt *insert = store->statements[WRITE_THREAD];
	uint32_t id;

	assert(thread->id.v == store->threads.count + 1);
	id = id_map_add_new(&store->threads);
	if (!id)
		return write_no_ids(store, err);
	sqlite3_bind_int64(insert, 1, id);
	sqlite3_bind_int64(insert, 2, store->recording);
	sqlite3_bind_int64(insert, 3, thread->pid);
	sqlite3_bind_int64(insert, 4, thread->tid);
	sqlite3_bind_text(insert, 5, thread->comm, -1, SQLITE_TRANSIENT);
	return sql_run(&store->sql, insert, err);
}

static int write_frame(struct store *store, const struct stack_frame *frame, struct err *err)
{
	uint32_t module = id_map_get(&store->modules, frame->place.module.v), id;
	struct tuple key = append_frame_key(module, frame->place.vaddr);

	if (store->is_append) {
		id = tuple_index_get(&store->known.frames, &key);
		if (id != UINT32_MAX) {
			id_map_add_known(&store->frames, id);
			return 0;
		}
	}
	id = id_map_add_new(&store->frames);
	if (!id)
		return write_no_ids(store, err);
	if (store->is_append)
		tuple_index_put(&store->known.frames, &key, id);
	return write_ints(store, WRITE_FRAME, err, id, module, (int64_t)frame->place.vaddr);
}

static int write_node(struct store *store, const struct stack_node *node, struct err *err)
{
	uint32_t parent = node->parent.v ? id_map_get(&store->nodes, node->parent.v) : 0;
	uint32_t frame = id_map_get(&store->frames, node->frame.v), id;
	uint64_t key = append_pair_key(parent, frame);

	if (store->is_append) {
		id = u64_map_get(&store->known.nodes, key);
		if (id != UINT32_MAX) {
			id_map_add_known(&store->nodes, id);
			return 0;
		}
	}
	id = id_map_add_new(&store->nodes);
	if (!id)
		return write_no_ids(store, err);
	if (store->is_append)
		u64_map_put(&store->known.nodes, key, id);
	return write_ints(store, WRITE_NODE, err, id, parent, frame);
}

/* What a stack is shown as until it is charged: its leaf. */
static int leaf_address(struct store *store, uint32_t node, uint64_t *ret_address, struct err *err)
{
	sqlite3_stmt *leaf = store->statements[READ_LEAF];
	int ret;

	*ret_address = ADDRESS_NO_FRAME;
	if (!node)
		return 0;
	sqlite3_bind_int64(leaf, 1, node);
	ret = sql_step(&store->sql, leaf, err);
	if (ret > 0)
		*ret_address = sqlite3_column_type(leaf, 3) == SQLITE_NULL
				       ? address_of_frame((uint64_t)sqlite3_column_int64(leaf, 0),
							  (uint64_t)sqlite3_column_int64(leaf, 1),
							  (uint64_t)sqlite3_column_int64(leaf, 2))
				       : (uint64_t)sqlite3_column_int64(leaf, 3);
	sqlite3_reset(leaf);
	if (ret == 0)
		return sql_damaged(&store->sql, err, "node %u has no frame", node);
	return ret < 0 ? ret : 0;
}

static int write_stack(struct store *store, const struct stack_leaf *stack, struct err *err)
{
	uint32_t node = stack->node.v ? id_map_get(&store->nodes, stack->node.v) : 0, id;
	uint64_t key = append_pair_key(node, stack->status), address;
	int ret;

	if (store->is_append) {
		id = u64_map_get(&store->known.stacks, key);
		if (id != UINT32_MAX) {
			id_map_add_known(&store->stacks, id);
			return 0;
		}
	}
	id = id_map_add_new(&store->stacks);
	if (!id)
		return write_no_ids(store, err);
	if (store->is_append)
		u64_map_put(&store->known.stacks, key, id);
	ret = leaf_address(store, node, &address, err);
	if (ret < 0)
		return ret;
	return write_ints(store, WRITE_STACK, err, id, node, stack->status, (int64_t)address);
}

static int write_news(struct store *store, const struct delta *delta, struct err *err)
{
	int ret = 0;

	assert(!delta->frame_count || delta->first_frame == store->frames.count + 1);
	assert(!delta->node_count || delta->first_node == store->nodes.count + 1);
	assert(!delta->stack_count || delta->first_stack == store->stacks.count + 1);
	for (size_t i = 0; i < delta->module_count && ret == 0; i++)
		ret = write_module(store, delta->modules[i], err);
	for (size_t i = 0; i < delta->thread_count && ret == 0; i++)
		ret = write_thread(store, &delta->threads[i], err);
	for (size_t i = 0; i < delta->frame_count && ret == 0; i++)
		ret = write_frame(store, &delta->frames[i], err);
	for (size_t i = 0; i < delta->node_count && ret == 0; i++)
		ret = write_node(store, &delta->nodes[i], err);
	for (size_t i = 0; i < delta->stack_count && ret == 0; i++)
		ret = write_stack(store, &delta->stacks[i], err);
	return ret;
}

static int write_row(struct store *store, int64_t checkpoint, const struct delta_row *row,
		     struct err *err)
{
	int64_t count = (int64_t)row->count, kernel = (int64_t)row->kernel_count,
		value = (int64_t)row->value, run = (int64_t)row->run_ns;
	int ret = write_ints(store, WRITE_SAMPLE, err, checkpoint, row->event_index, row->thread.v,
			     row->stack.v, row->kind, count, kernel, value, run);

	if (ret == 0)
		ret = write_ints(store, WRITE_TOTAL, err, row->event_index, row->thread.v,
				 row->stack.v, row->kind, count, kernel, value, run);
	rollup_add(&store->rollup, row);
	return ret;
}

static int write_rows(struct store *store, int64_t checkpoint, const struct delta *delta,
		      struct err *err)
{
	OWN(own_free) struct delta_row *rows = NULL;
	int ret = 0;

	if (!delta->row_count)
		return 0;
	rows = mem_copy(delta->rows, delta->row_count * sizeof(*rows));
	for (size_t i = 0; i < delta->row_count; i++) {
		assert(rows[i].event_index < store->event_count);
		rows[i].event_index = store->events[rows[i].event_index];
		rows[i].thread.v = id_map_get(&store->threads, rows[i].thread.v);
		rows[i].stack.v = id_map_get(&store->stacks, rows[i].stack.v);
	}
	rollup_sort(rows, delta->row_count);
	for (size_t i = 0; i < delta->row_count && ret == 0; i++)
		ret = write_row(store, checkpoint, &rows[i], err);
	return ret;
}

static int write_losses(struct store *store, const struct losses *losses, struct err *err)
{
	sqlite3_stmt *insert = store->statements[WRITE_LOSS];
	int ret = 0;

	for (int cause = 0; cause < LOSS_CAUSES && ret == 0; cause++) {
		if (losses->count[cause] == store->losses.count[cause])
			continue;
		sqlite3_bind_int64(insert, 1, store->recording);
		sqlite3_bind_text(insert, 2, loss_texts[cause].name, -1, SQLITE_STATIC);
		sqlite3_bind_int64(insert, 3, (int64_t)losses->count[cause]);
		ret = sql_run(&store->sql, insert, err);
	}
	store->losses = *losses;
	return ret;
}

static int write_steps(struct store *store, const struct delta *delta, struct err *err)
{
	int ret = 0;

	for (size_t i = 0; i < delta->step_count && ret == 0; i++) {
		const struct delta_step *step = &delta->steps[i];

		ret = write_step(store, step->time_ns, step->signal, step->mode, step->reason, err);
	}
	return ret;
}

static int write_delta(struct store *store, const struct delta *delta, struct err *err)
{
	int64_t checkpoint = (int64_t)store->checkpoint_base + delta->checkpoint;
	int ret;

	assert(delta->checkpoint > store->last_checkpoint);
	assert(delta->end_ns >= store->duration_ns);
	if (checkpoint > IDS_MAX)
		return write_no_ids(store, err);
	ret = write_news(store, delta, err);
	if (ret == 0)
		ret = write_ints(store, WRITE_CHECKPOINT, err, checkpoint,
				 (int64_t)((store->offset_ns + delta->end_ns) / NS_PER_MS),
				 store->recording, (int64_t)delta->process.user_ms,
				 (int64_t)delta->process.system_ms,
				 (int64_t)delta->process.rss_bytes,
				 (int64_t)delta->process.rss_anonymous_bytes);
	if (ret == 0)
		ret = write_rows(store, checkpoint, delta, err);
	if (ret == 0)
		ret = heap_write(store, checkpoint, delta, err);
	if (ret == 0)
		ret = rollup_end_checkpoint(&store->rollup, (uint32_t)checkpoint, err);
	if (ret == 0)
		ret = write_losses(store, &delta->losses, err);
	if (ret == 0)
		ret = write_steps(store, delta, err);
	store->last_checkpoint = delta->checkpoint;
	store->duration_ns = delta->end_ns;
	return ret;
}

static int write_all(struct store *store, struct delta *const *deltas, size_t delta_count,
		     const struct resolved_batch *batches, struct err *err)
{
	int ret = 0;

	for (size_t i = 0; i < delta_count && ret == 0; i++)
		ret = write_delta(store, deltas[i], err);
	for (; batches && ret == 0; batches = batches->next)
		ret = resolved_write(store, batches, err);
	if (ret == 0 && delta_count)
		ret = write_ints(store, WRITE_DURATION, err, store->recording,
				 (int64_t)store->duration_ns, 0);
	return ret;
}

int store_commit(struct store *store, struct delta *const *deltas, size_t delta_count,
		 const struct resolved_batch *batches, struct err *err)
{
	struct err failure = {0};
	int ret = store->failure;

	if (ret == 0) {
		ret = write_begin(store, &failure);
		if (ret == 0)
			ret = write_all(store, deltas, delta_count, batches, &failure);
		if (ret == 0)
			ret = write_end(store, &failure);
		if (ret < 0) {
			/* The ids in memory are ahead of the file now: nothing can follow. */
			write_roll_back(store);
			store->failure = ret;
			store->failure_err = failure;
		}
	}
	if (ret < 0 && err)
		*err = store->failure_err;
	return ret;
}
