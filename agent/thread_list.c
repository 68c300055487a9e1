#include "agent/thread_list.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include "agent/agent.h"

enum { LIST_BYTES = 1024 };

struct directory_entry {
	uint64_t inode;
	int64_t offset;
	uint16_t bytes;
	uint8_t type;
	char name[];
};

static uint32_t tid_of(const struct directory_entry *entry)
{
	uint32_t tid = 0;

	for (const char *digit = entry->name; *digit >= '0' && *digit <= '9'; digit++)
		tid = tid * 10 + (uint32_t)(*digit - '0');
	return tid;
}

bool thread_list_each(void (*act)(void *context, uint32_t tid), void *context)
{
	char list[LIST_BYTES] __attribute__((aligned(8)));
	int fd = sys_open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long bytes;

	if (fd < 0)
		return false;
	while ((bytes = sys_call(SYS_getdents64, fd, (long)list, sizeof(list), 0, 0, 0)) > 0) {
		for (long at = 0; at < bytes;) {
			const struct directory_entry *entry = (const void *)(list + at);
			uint32_t tid = tid_of(entry);

			if (tid)
				act(context, tid);
			at += entry->bytes;
		}
	}
	sys_close(fd);
	return true;
}
