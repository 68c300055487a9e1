/* Probes on the allocator's functions: placed, held and taken away. All of them go with their
 * descriptors, whatever ends rsprof. */
#ifndef RSPROF_SOURCE_HEAP_PROBES_H
#define RSPROF_SOURCE_HEAP_PROBES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "reader/source/heap_keeper.h"
#include "reader/util/vec.h"

/* How the kernel lets programs see calls and returns; from the best down. */
enum heap_attach {
	HEAP_ATTACH_SESSION, /* 6.13: one probe for both, and the call decides whether the return is
			      * seen */
	HEAP_ATTACH_MULTI,   /* 6.6: many probes in one link */
	HEAP_ATTACH_PERF,    /* a perf event for each */
};

struct heap_probe {
	uint64_t file_offset;
	uint64_t cookie;   /* HEAP_COOKIE; HEAP_COOKIE_RETURNS is added by heap_probes_add */
	bool wants_return; /* of an allocating function */
	bool is_free;	   /* taken away by heap_probes_drop_frees */
};

/* The programs of that attachment: loaded, by descriptor. */
struct heap_programs {
	enum heap_attach attach;
	int call_fd;		    /* entries without return */
	int return_fd;		    /* HEAP_ATTACH_MULTI, _PERF */
	int session_fd;		    /* HEAP_ATTACH_SESSION */
	struct heap_keeper *keeper; /* places and holds the probes; NULL: the caller itself */
};

/* Zero-initialised is nothing. */
struct heap_probes {
	VEC(int) free_fds, other_fds; /* links */
	size_t count, free_count;     /* probed instructions, and those of them that free */
	struct heap_keeper *keeper;   /* has the links instead */
	uint32_t keeper_group;
};

/* For all threads of the process, in the file open at fd. 0; or -errno: probes of this call are
 * gone again then, those of earlier calls stay. */
int heap_probes_add(struct heap_probes *probes, const struct heap_programs *programs, pid_t pid,
		    int fd, const struct heap_probe *list, size_t count);
void heap_probes_drop_frees(struct heap_probes *probes);
void heap_probes_done(struct heap_probes *probes); /* all of them */

#endif
