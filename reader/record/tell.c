#include "reader/record/tell.h"

void tell_modules(struct told *told, const struct module_table *table, struct delta *delta)
{
	size_t count = module_table_count(table) - told->modules;
	const struct module **modules = arena_alloc(&delta->arena, count * sizeof(*modules));

	for (size_t i = 0; i < count; i++)
		modules[i] = module_table_get(table, (module_id){(uint32_t)(told->modules + i)});
	delta->modules = modules;
	delta->module_count = count;
	told->modules += count;
}

void tell_threads(struct told *told, const struct thread_table *table, struct delta *delta)
{
	size_t count = thread_table_count(table) - told->threads;
	struct delta_thread *threads = arena_alloc(&delta->arena, count * sizeof(*threads));

	for (size_t i = 0; i < count; i++) {
		threads[i] =
			*thread_table_row(table, (thread_id){(uint32_t)(told->threads + i + 1)});
		threads[i].comm = arena_strdup(&delta->arena, threads[i].comm);
	}
	delta->threads = threads;
	delta->thread_count = count;
	told->threads += count;
}

void tell_stacks(struct told *told, const struct stack_table *table, struct delta *delta)
{
	delta->first_frame = (uint32_t)told->frames + 1;
	delta->frame_count = stack_table_frame_count(table) - told->frames;
	if (delta->frame_count)
		delta->frames = arena_copy(&delta->arena,
					   stack_table_frame(table, (frame_id){delta->first_frame}),
					   delta->frame_count * sizeof(*delta->frames));
	delta->first_node = (uint32_t)told->nodes + 1;
	delta->node_count = stack_table_node_count(table) - told->nodes;
	if (delta->node_count)
		delta->nodes = arena_copy(&delta->arena,
					  stack_table_node(table, (node_id){delta->first_node}),
					  delta->node_count * sizeof(*delta->nodes));
	delta->first_stack = (uint32_t)told->stacks + 1;
	delta->stack_count = stack_table_stack_count(table) - told->stacks;
	if (delta->stack_count)
		delta->stacks = arena_copy(&delta->arena,
					   stack_table_stack(table, (stack_id){delta->first_stack}),
					   delta->stack_count * sizeof(*delta->stacks));
	told->frames += delta->frame_count;
	told->nodes += delta->node_count;
	told->stacks += delta->stack_count;
}

void tell_steps(const struct delta_step *steps, size_t count, uint64_t start_ns,
		struct delta *delta)
{
	struct delta_step *copies;

	if (!count)
		return;
	copies = arena_alloc(&delta->arena, count * sizeof(*copies));
	for (size_t i = 0; i < count; i++) {
		uint64_t time_ns = steps[i].time_ns;

		copies[i].time_ns = time_ns > start_ns ? time_ns - start_ns : 0;
		copies[i].signal = arena_strdup(&delta->arena, steps[i].signal);
		copies[i].mode = arena_strdup(&delta->arena, steps[i].mode);
		copies[i].reason = arena_strdup(&delta->arena, steps[i].reason);
	}
	delta->steps = copies;
	delta->step_count = count;
}
