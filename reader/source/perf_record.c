/* All events are opened with one sample_type, so all records have one shape:
 *
 *     PERF_RECORD_SAMPLE   identifier, ip, pid, tid, time, period, and then either
 *                          nr, nr call chain entries, or (has_stacks)
 *                          abi, the registers where abi is not 0, size, and where that is not 0
 *                          size bytes of the stack and how many of them were filled
 *     everything else      the record's own fields, then pid, tid, time, identifier (sample_id_all)
 *
 * Whose they are: a record of another process than the target (a fork child on kernels that
 * cannot inherit by thread only) is left out. A task that is already unhashed has pid and tid
 * -1; the kernel removes a task's events before that, so such a sample is not expected. Should
 * one come where only the target's threads can have the event, it is counted as a bad record,
 * because no thread can be charged with it; where other processes inherit too, it is not known
 * to be ours and left out. */
#include "reader/source/perf_record.h"

#include <linux/perf_event.h>
#include <string.h>
#include <sys/mman.h>

#include "reader/source/perf_sample.h"

enum { NO_PID = UINT32_MAX, UNKNOWN = UINT32_MAX };

struct sample_head {
	uint64_t id, ip;
	uint32_t pid, tid;
	uint64_t time, period;
};

struct sample_trailer {
	uint32_t pid, tid;
	uint64_t time, id;
};

struct mmap_body {
	uint32_t pid, tid;
	uint64_t start, length, file_offset;
};

struct mmap2_body {
	struct mmap_body mmap;
	uint32_t device_major, device_minor;
	uint64_t inode, inode_generation;
	uint32_t protection, flags;
};

struct task_body {
	uint32_t pid, parent_pid, tid, parent_tid;
	uint64_t time;
};

struct comm_body {
	uint32_t pid, tid;
};

_Static_assert(sizeof(struct sample_head) == 40, "layout of the kernel");
_Static_assert(sizeof(struct sample_trailer) == 24, "layout of the kernel");
_Static_assert(sizeof(struct mmap2_body) == 64, "layout of the kernel");
_Static_assert(sizeof(struct task_body) == 24, "layout of the kernel");

/* A record that is not a sample, between its header and its trailer. */
struct body {
	const unsigned char *bytes;
	size_t size;
	struct sample_trailer trailer;
};

void perf_decoder_add_stream(struct perf_decoder *decoder, uint64_t id, uint32_t tid,
			     uint32_t event_index)
{
	u64_map_put(&decoder->ids, id, (uint32_t)decoder->streams.count);
	*vec_add(&decoder->streams) = (struct perf_stream){tid, event_index};
}

void perf_decoder_add_late_thread(struct perf_decoder *decoder, uint32_t tid)
{
	u64_map_put(&decoder->late_threads, tid, 1);
}

void perf_decoder_done(struct perf_decoder *decoder)
{
	u64_map_done(&decoder->ids);
	u64_map_done(&decoder->late_threads);
	vec_done(&decoder->streams);
}

void perf_decoder_lost(struct perf_decoder *decoder, uint64_t time_ns, enum loss_cause cause,
		       uint64_t count)
{
	struct event event = {
		.time_ns = time_ns,
		.type = EVENT_LOST,
		.pid = decoder->target_pid,
		.tid = decoder->target_pid,
		.lost = {.count = count, .cause = cause},
	};

	decoder->sink(decoder->context, &event);
}

/* Its own time is not to be trusted: it happened after the record before it. */
static void count_bad(struct perf_decoder *decoder)
{
	perf_decoder_lost(decoder, decoder->last_ns, LOSS_BAD_RECORD, 1);
}

/* A thread that was found late may have inherited an event and been given its own; its own
 * counts. */
static bool is_double(const struct perf_decoder *decoder, const struct perf_stream *stream,
		      uint32_t tid)
{
	return decoder->late_threads.count && stream->tid != tid &&
	       u64_map_get(&decoder->late_threads, tid) == 1;
}

static void decode_sample(struct perf_decoder *decoder, const struct perf_event_header *header,
			  const unsigned char *bytes, size_t size)
{
	uint16_t mode = header->misc & PERF_RECORD_MISC_CPUMODE_MASK;
	struct sample_head head;
	const struct perf_stream *stream;
	struct event_registers registers;
	struct event event = {.type = EVENT_SAMPLE};
	uint32_t index;

	if (size < sizeof(head)) {
		count_bad(decoder);
		return;
	}
	memcpy(&head, bytes, sizeof(head));
	bytes += sizeof(head);
	size -= sizeof(head);
	index = u64_map_get(&decoder->ids, head.id);
	if (index == UNKNOWN ||
	    !(decoder->has_stacks ? perf_sample_stack(bytes, size, &registers, &event)
				  : perf_sample_chain(decoder, bytes, size, &event))) {
		count_bad(decoder);
		return;
	}
	stream = &decoder->streams.items[index];
	decoder->last_ns = head.time;
	decoder->sampled[stream->event_index]++;
	if (head.pid != decoder->target_pid) {
		if (head.pid == NO_PID && decoder->threads_only)
			count_bad(decoder);
		return;
	}
	if (is_double(decoder, stream, head.tid))
		return;

	event.time_ns = head.time;
	event.pid = head.pid;
	event.tid = head.tid;
	event.sample.event_index = stream->event_index;
	event.sample.value = decoder->value_is_period[stream->event_index] ? head.period : 1;
	event.sample.in_kernel = mode == PERF_RECORD_MISC_KERNEL;
	if (!event.sample.pc_count && mode == PERF_RECORD_MISC_USER) {
		/* The kernel had no buffer for the stack, but the leaf is known. */
		event.sample.pcs = &head.ip;
		event.sample.pc_count = 1;
		event.sample.status = STACK_BROKEN;
	}
	decoder->sink(decoder->context, &event);
}

/* The text that ends a record: NULL where it does not end within it, or is longer than can be. */
static const char *text_at(const struct body *body, size_t offset, size_t max)
{
	const char *text = (const char *)body->bytes + offset;
	const char *end = memchr(text, '\0', body->size - offset);

	return end && (size_t)(end - text) < max ? text : NULL;
}

static bool decode_mmap(struct perf_decoder *decoder, const struct perf_event_header *header,
			const struct body *body)
{
	bool is_mmap2 = header->type == PERF_RECORD_MMAP2;
	size_t fixed = is_mmap2 ? sizeof(struct mmap2_body) : sizeof(struct mmap_body);
	struct mmap2_body map = {.protection = PROT_EXEC};
	struct event event = {.time_ns = body->trailer.time, .type = EVENT_MMAP};
	const char *path;

	if (body->size < fixed)
		return false;
	memcpy(&map, body->bytes, fixed);
	path = text_at(body, fixed, EVENT_PATH_MAX);
	if (!path || !map.mmap.length || map.mmap.start + map.mmap.length < map.mmap.start)
		return false;
	if (map.mmap.pid != decoder->target_pid)
		return true;
	event.pid = map.mmap.pid;
	event.tid = map.mmap.tid;
	event.mmap.start = map.mmap.start;
	event.mmap.length = map.mmap.length;
	event.mmap.file_offset = map.mmap.file_offset;
	/* With a build-id in it the record has no device and inode; never asked for. */
	if (!(header->misc & PERF_RECORD_MISC_MMAP_BUILD_ID)) {
		event.mmap.inode = map.inode;
		event.mmap.device_major = map.device_major;
		event.mmap.device_minor = map.device_minor;
	}
	event.mmap.is_executable =
		(map.protection & PROT_EXEC) && !(header->misc & PERF_RECORD_MISC_MMAP_DATA);
	event.mmap.path = path;
	decoder->sink(decoder->context, &event);
	return true;
}

static bool decode_comm(struct perf_decoder *decoder, const struct perf_event_header *header,
			const struct body *body)
{
	struct comm_body comm;
	struct event event = {.time_ns = body->trailer.time, .type = EVENT_COMM};

	if (body->size < sizeof(comm))
		return false;
	memcpy(&comm, body->bytes, sizeof(comm));
	event.comm.comm = text_at(body, sizeof(comm), EVENT_COMM_MAX);
	if (!event.comm.comm)
		return false;
	if (comm.pid != decoder->target_pid)
		return true;
	event.pid = comm.pid;
	event.tid = comm.tid;
	event.comm.is_exec = header->misc & PERF_RECORD_MISC_COMM_EXEC;
	/* One thread is left, and it may bear another's number from now on. */
	if (event.comm.is_exec)
		u64_map_clear(&decoder->late_threads);
	decoder->sink(decoder->context, &event);
	return true;
}

static bool decode_task(struct perf_decoder *decoder, const struct perf_event_header *header,
			const struct body *body)
{
	bool is_fork = header->type == PERF_RECORD_FORK;
	struct task_body task;
	struct event event = {.type = is_fork ? EVENT_FORK : EVENT_EXIT};

	if (body->size < sizeof(task))
		return false;
	memcpy(&task, body->bytes, sizeof(task));
	/* A child process is announced by its parent, the target, and not heard of again. */
	if ((is_fork ? task.parent_pid : task.pid) != decoder->target_pid)
		return true;
	event.time_ns = task.time;
	event.pid = task.pid;
	event.tid = task.tid;
	if (is_fork) {
		event.fork.parent_pid = task.parent_pid;
		event.fork.parent_tid = task.parent_tid;
	} else if (u64_map_get(&decoder->late_threads, task.tid) == 1) {
		u64_map_put(&decoder->late_threads, task.tid, 0);
	}
	decoder->sink(decoder->context, &event);
	return true;
}

/* The kernel does not say of what kind the records were that found no room. */
static bool decode_lost(struct perf_decoder *decoder, const struct perf_event_header *header,
			const struct body *body)
{
	size_t offset = header->type == PERF_RECORD_LOST ? sizeof(uint64_t) : 0;
	uint64_t count;

	if (body->size < offset + sizeof(count))
		return false;
	memcpy(&count, body->bytes + offset, sizeof(count));
	/* LOST_SAMPLES never reached the ring: the hardware dropped them. */
	if (header->type == PERF_RECORD_LOST)
		decoder->told_lost += count;
	if (count)
		perf_decoder_lost(decoder, body->trailer.time, LOSS_RING_FULL, count);
	return true;
}

static bool decode_other(struct perf_decoder *decoder, const struct perf_event_header *header,
			 const struct body *body)
{
	switch (header->type) {
	case PERF_RECORD_MMAP:
	case PERF_RECORD_MMAP2:
		return decode_mmap(decoder, header, body);
	case PERF_RECORD_COMM:
		return decode_comm(decoder, header, body);
	case PERF_RECORD_FORK:
	case PERF_RECORD_EXIT:
		return decode_task(decoder, header, body);
	case PERF_RECORD_LOST:
	case PERF_RECORD_LOST_SAMPLES:
		return decode_lost(decoder, header, body);
	case PERF_RECORD_THROTTLE:
		perf_decoder_lost(decoder, body->trailer.time, LOSS_THROTTLED, 1);
		return true;
	default:
		/* UNTHROTTLE, and what newer kernels may add: nothing of ours. */
		return true;
	}
}

void perf_record_decode(void *context, const void *record, size_t size)
{
	struct perf_decoder *decoder = context;
	const unsigned char *bytes = record;
	struct perf_event_header header;
	struct body body;

	if (size < sizeof(header)) {
		count_bad(decoder);
		return;
	}
	memcpy(&header, bytes, sizeof(header));
	bytes += sizeof(header);
	size -= sizeof(header);
	if (header.type == PERF_RECORD_SAMPLE) {
		decode_sample(decoder, &header, bytes, size);
		return;
	}
	if (size < sizeof(body.trailer)) {
		count_bad(decoder);
		return;
	}
	body.bytes = bytes;
	body.size = size - sizeof(body.trailer);
	memcpy(&body.trailer, bytes + body.size, sizeof(body.trailer));
	if (decode_other(decoder, &header, &body))
		decoder->last_ns = body.trailer.time;
	else
		count_bad(decoder);
}
