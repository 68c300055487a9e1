/* Whole stacks, interned as a tree. A frame is a place; a node is (parent node, frame) with the
 * root of the thread at the top; a stack is (leaf node, status). Ids are dense, from 1, append
 * only; 0 is "none". Owned by the pump; what is new leaves in a delta as plain copies. */
#ifndef RSPROF_CORE_STACK_TABLE_H
#define RSPROF_CORE_STACK_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "reader/core/event.h"
#include "reader/core/module.h"

typedef struct {
	uint32_t v;
} frame_id;

typedef struct {
	uint32_t v;
} node_id;

typedef struct {
	uint32_t v;
} stack_id;

enum {
	/* 16 M nodes are 384 MB here; a recording that needs more is told so by LOSS_STACKS_FULL.
	 */
	STACK_NODES_MAX = 16 * 1024 * 1024,
};

struct stack_frame {
	struct place place; /* of the instruction that runs or called: return addresses are already
			     * moved back by one, so that a look-up finds the call */
};

struct stack_node {
	node_id parent; /* 0 at the root */
	frame_id frame;
};

struct stack_leaf {
	node_id node; /* 0: no user frame (STACK_EMPTY) */
	enum stack_status status;
};

struct stack_table;

struct stack_table *stack_table_new(void);
void stack_table_free(struct stack_table *table);
/* Places leaf first. 0, or -ENOSPC where the table is full. */
int stack_table_intern(struct stack_table *table, const struct place *places, size_t count,
		       enum stack_status status, stack_id *ret_id);

size_t stack_table_frame_count(const struct stack_table *table); /* ids are 1..count */
size_t stack_table_node_count(const struct stack_table *table);
size_t stack_table_stack_count(const struct stack_table *table);
const struct stack_frame *stack_table_frame(const struct stack_table *table, frame_id id);
const struct stack_node *stack_table_node(const struct stack_table *table, node_id id);
const struct stack_leaf *stack_table_stack(const struct stack_table *table, stack_id id);

#endif
