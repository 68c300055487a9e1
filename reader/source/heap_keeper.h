/* The process that holds the probes: a child of rsprof's own.
 *
 * A thread that is killed while the kernel places or removes probes leaves some of them in the
 * target: the kernel gives up where a SIGKILL is pending, and a second Ctrl-C means just that to
 * rsprof's other threads. So a child places and removes them. It takes no signal, no terminal
 * reaches it, and once nobody speaks to it any more it removes what is left and ends. */
#ifndef RSPROF_SOURCE_HEAP_KEEPER_H
#define RSPROF_SOURCE_HEAP_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct heap_probe;
struct heap_programs;

struct heap_keeper {
	pid_t pid;
	int fd;
	uint32_t groups; /* numbers that were given */
};

/* 0 or -errno. */
int heap_keeper_start(struct heap_keeper *keeper, const struct heap_programs *programs);
/* Nothing where it was not started. */
void heap_keeper_end(struct heap_keeper *keeper);
bool heap_keeper_is_gone(const struct heap_keeper *keeper);

/* As heap_probes_add, of a group of probes; *group is 0 for a new one. */
int heap_keeper_add(struct heap_keeper *keeper, uint32_t *group, pid_t pid, int fd,
		    const struct heap_probe *list, size_t count);
/* They are gone when this returns. */
void heap_keeper_drop_frees(struct heap_keeper *keeper, uint32_t group);
void heap_keeper_drop(struct heap_keeper *keeper, uint32_t group);

#endif
