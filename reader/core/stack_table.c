#include "reader/core/stack_table.h"

#include <errno.h>
#include <string.h>

#include "reader/util/hash.h"
#include "reader/util/vec.h"

/* Open addressing over ids: the key stays in the array it indexes, so a slot is four bytes. */
struct index {
	uint32_t *slots; /* id, 0 = empty */
	size_t capacity;
};

struct stack_table {
	VEC(struct stack_frame) frames; /* element 0 is id 1 */
	VEC(struct stack_node) nodes;
	VEC(struct stack_leaf) stacks;
	struct index frame_index, node_index, stack_index;
};

struct stack_table *stack_table_new(void)
{
	return mem_zalloc(sizeof(struct stack_table));
}

void stack_table_free(struct stack_table *table)
{
	if (!table)
		return;
	vec_done(&table->frames);
	vec_done(&table->nodes);
	vec_done(&table->stacks);
	free(table->frame_index.slots);
	free(table->node_index.slots);
	free(table->stack_index.slots);
	free(table);
}

static uint64_t frame_hash(const struct stack_frame *frame)
{
	return hash_two(frame->place.module.v, frame->place.vaddr);
}

static uint64_t node_hash(const struct stack_node *node)
{
	return hash_two(node->parent.v, node->frame.v);
}

static uint64_t stack_hash(const struct stack_leaf *stack)
{
	return hash_two(stack->node.v, stack->status);
}

static bool frame_same(const struct stack_frame *a, const struct stack_frame *b)
{
	return a->place.module.v == b->place.module.v && a->place.vaddr == b->place.vaddr;
}

static bool node_same(const struct stack_node *a, const struct stack_node *b)
{
	return a->parent.v == b->parent.v && a->frame.v == b->frame.v;
}

static bool stack_same(const struct stack_leaf *a, const struct stack_leaf *b)
{
	return a->node.v == b->node.v && a->status == b->status;
}

/* One intern function a type: finds the item or appends it; an id of 0 means full. */
#define DEFINE_INTERN(name, type, items_of, index_of)                                              \
	static void name##_grow(struct stack_table *table)                                         \
	{                                                                                          \
		struct index *index = &table->index_of;                                            \
		size_t capacity = index->capacity ? index->capacity * 2 : 1024;                    \
		uint32_t *slots = mem_array(capacity, sizeof(*slots));                             \
                                                                                                   \
		for (size_t i = 0; i < table->items_of.count; i++) {                               \
			size_t slot = name##_hash(&table->items_of.items[i]) & (capacity - 1);     \
                                                                                                   \
			while (slots[slot])                                                        \
				slot = (slot + 1) & (capacity - 1);                                \
			slots[slot] = (uint32_t)i + 1;                                             \
		}                                                                                  \
		free(index->slots);                                                                \
		index->slots = slots;                                                              \
		index->capacity = capacity;                                                        \
	}                                                                                          \
                                                                                                   \
	static uint32_t name##_intern(struct stack_table *table, type item)                        \
	{                                                                                          \
		struct index *index = &table->index_of;                                            \
		size_t slot;                                                                       \
                                                                                                   \
		if ((table->items_of.count + 1) * 3 > index->capacity * 2)                         \
			name##_grow(table);                                                        \
		slot = name##_hash(&item) & (index->capacity - 1);                                 \
		while (index->slots[slot]) {                                                       \
			if (name##_same(&table->items_of.items[index->slots[slot] - 1], &item))    \
				return index->slots[slot];                                         \
			slot = (slot + 1) & (index->capacity - 1);                                 \
		}                                                                                  \
		if (table->items_of.count >= STACK_NODES_MAX)                                      \
			return 0;                                                                  \
		*vec_add(&table->items_of) = item;                                                 \
		index->slots[slot] = (uint32_t)table->items_of.count;                              \
		return index->slots[slot];                                                         \
	}

DEFINE_INTERN(frame, struct stack_frame, frames, frame_index)
DEFINE_INTERN(node, struct stack_node, nodes, node_index)
DEFINE_INTERN(stack, struct stack_leaf, stacks, stack_index)

int stack_table_intern(struct stack_table *table, const struct place *places, size_t count,
		       enum stack_status status, stack_id *ret_id)
{
	struct stack_leaf leaf = {{0}, status};

	for (size_t i = count; i-- > 0;) {
		struct stack_node node = {leaf.node, {0}};

		node.frame.v = frame_intern(table, (struct stack_frame){places[i]});
		if (!node.frame.v)
			return -ENOSPC;
		leaf.node.v = node_intern(table, node);
		if (!leaf.node.v)
			return -ENOSPC;
	}
	ret_id->v = stack_intern(table, leaf);
	return ret_id->v ? 0 : -ENOSPC;
}

size_t stack_table_frame_count(const struct stack_table *table)
{
	return table->frames.count;
}

size_t stack_table_node_count(const struct stack_table *table)
{
	return table->nodes.count;
}

size_t stack_table_stack_count(const struct stack_table *table)
{
	return table->stacks.count;
}

const struct stack_frame *stack_table_frame(const struct stack_table *table, frame_id id)
{
	return &table->frames.items[id.v - 1];
}

const struct stack_node *stack_table_node(const struct stack_table *table, node_id id)
{
	return &table->nodes.items[id.v - 1];
}

const struct stack_leaf *stack_table_stack(const struct stack_table *table, stack_id id)
{
	return &table->stacks.items[id.v - 1];
}
