/* One thread under ptrace. Everything here is of the calling thread alone: when that ends, the
 * kernel lets go of all that it traces. Private to this room. */
#ifndef RSPROF_TARGET_INJECT_TRACE_H
#define RSPROF_TARGET_INJECT_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

enum inject_stop {
	INJECT_STOPPED,
	INJECT_GONE,	/* it has ended, or the process has */
	INJECT_HELD,	/* by job control: not ours to wake */
	INJECT_BUSY,	/* it does not come out of the kernel */
	INJECT_REFUSED, /* errno says why */
};

/* Stops the thread within some milliseconds. INJECT_STOPPED: by us, at the end of a system call or
 * anywhere in its code; registers can be read. Else it is let go again, or (INJECT_BUSY) will be by
 * inject_trace_late. */
enum inject_stop inject_trace_seize(pid_t tid);
/* The same for one that is traced already and runs. */
enum inject_stop inject_trace_interrupt(pid_t tid, uint64_t patience_ns);
/* Lets a stopped thread run on, untraced. */
void inject_trace_release(pid_t tid);
/* Lets go of threads that stopped only after we had given up. */
void inject_trace_late(void);
/* What has happened to a traced thread that runs: signals go on to it. INJECT_BUSY: it runs. Others
 * that stopped only after we had given up are let go. */
enum inject_stop inject_trace_serve(pid_t tid);
void inject_trace_nap(void);
/* Lets a stopped thread run on, traced. */
bool inject_trace_continue(pid_t tid);

bool inject_trace_get(pid_t tid, struct user_regs_struct *ret_registers);
bool inject_trace_set(pid_t tid, const struct user_regs_struct *registers);
bool inject_trace_get_mask(pid_t tid, uint64_t *ret_mask);
bool inject_trace_set_mask(pid_t tid, uint64_t mask);
/* Code, which cannot be written otherwise; multiples of 8 bytes. */
bool inject_trace_peek(pid_t tid, uint64_t address, void *into, size_t bytes);
bool inject_trace_poke(pid_t tid, uint64_t address, const void *from, size_t bytes);
/* It has a shadow stack, or stands within a restartable sequence that must not be left. */
bool inject_trace_has_shadow_stack(pid_t tid);
bool inject_trace_is_in_sequence(pid_t tid, uint64_t rip);

/* Memory of the process; whole or not at all. */
bool inject_memory_read(pid_t pid, uint64_t address, void *into, size_t bytes);
bool inject_memory_write(pid_t pid, uint64_t address, const void *from, size_t bytes);

#endif
