#include "reader/source/mapping_event.h"

struct event mapping_event(const struct target *target, const struct target_mapping *mapping,
			   uint64_t time_ns)
{
	uint32_t pid = (uint32_t)target->pid;
	struct event event = {.time_ns = time_ns, .type = EVENT_MMAP, .pid = pid, .tid = pid};

	event.mmap.start = mapping->start;
	event.mmap.length = mapping->end - mapping->start;
	event.mmap.file_offset = mapping->file_offset;
	event.mmap.inode = mapping->inode;
	event.mmap.device_major = mapping->device_major;
	event.mmap.device_minor = mapping->device_minor;
	event.mmap.is_executable = mapping->is_executable;
	event.mmap.path = mapping->path;
	return event;
}
