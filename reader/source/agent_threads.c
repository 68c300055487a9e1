#include "reader/source/agent_threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader/target/proc.h"
#include "reader/util/own.h"

enum { STATUS_BYTES_MAX = 65536 };

void agent_threads_done(struct agent_threads *threads)
{
	u64_map_done(&threads->outer);
	u64_map_done(&threads->names);
}

/* The last of the thread's numbers. */
static void learn_inner(struct agent_threads *threads, pid_t tid)
{
	OWN(str_done) struct str text = {0};
	unsigned long number = 0;
	const char *line;
	char path[64], *end;

	snprintf(path, sizeof(path), "task/%d/status", tid);
	if (proc_read(threads->target->proc_fd, path, STATUS_BYTES_MAX, &text) < 0)
		return;
	line = strstr(str_text(&text), "\nNSpid:");
	if (!line)
		return;
	for (line += strlen("\nNSpid:"); *line == ' ' || *line == '\t'; line = end) {
		unsigned long next = strtoul(line, &end, 10);

		if (end == line)
			break;
		number = next;
	}
	u64_map_put(&threads->outer, number, (uint32_t)tid);
}

static void tell_name(struct agent_threads *threads, const struct target_thread *thread,
		      uint64_t time_ns, source_sink sink, void *context)
{
	uint32_t hash = (uint32_t)hash_bytes(thread->comm, strlen(thread->comm)) & INT32_MAX;
	struct event event = {
		.time_ns = time_ns,
		.type = EVENT_COMM,
		.pid = (uint32_t)threads->target->pid,
		.tid = (uint32_t)thread->tid,
		.comm = {.comm = thread->comm},
	};

	if (u64_map_get(&threads->names, event.tid) == hash)
		return;
	u64_map_put(&threads->names, event.tid, hash);
	if (threads->is_inner)
		learn_inner(threads, thread->tid);
	sink(context, &event);
}

void agent_threads_look(struct agent_threads *threads, uint64_t time_ns, source_sink sink,
			void *context)
{
	target_threads list = {0};

	if (target_list_threads(threads->target, &list) == 0) {
		for (size_t i = 0; i < list.count; i++)
			tell_name(threads, &list.items[i], time_ns, sink, context);
	}
	vec_done(&list);
}

uint32_t agent_threads_tid(const struct agent_threads *threads, uint32_t inner)
{
	uint32_t tid = threads->is_inner ? u64_map_get(&threads->outer, inner) : inner;

	return tid == UINT32_MAX ? inner : tid;
}
