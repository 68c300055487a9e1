/* Which stretches of code does a direct jump or call lead into? Looked for at every byte of the
 * text, not only where instructions begin: what is found may be no jump, but none is missed. */
#ifndef RSPROF_TARGET_JUMP_SCAN_H
#define RSPROF_TARGET_JUMP_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JUMP_WINDOW_BYTES_MAX = 64 };

/* Targets t with start < t <= end are looked for. From start to end, instructions were decoded
 * that do not branch: no jump begins within. */
struct jump_window {
	uint64_t start, end; /* at most JUMP_WINDOW_BYTES_MAX apart */
	bool is_reached;
};

/* Executable bytes of the file. */
struct jump_text {
	uint64_t vaddr, offset, size;
};

/* Windows by their start, in order to find the few addresses that lie in one fast. */
struct jump_windows {
	struct jump_window *items; /* sorted by start; the caller's */
	size_t count;
	uint64_t maybe[4096]; /* bits, by address */
};

void jump_windows_init(struct jump_windows *windows, struct jump_window *items, size_t count);
/* Marks those that the address lies in. */
void jump_windows_mark(struct jump_windows *windows, uint64_t vaddr);

/* 0; or the errors of elf_read_bytes. */
int jump_scan(int fd, const struct jump_text *texts, size_t text_count,
	      struct jump_windows *windows);

#endif
