/* What the program calls (include/rsprof/rsprof.h), and who answers it where there are two agents.
 *
 * An agent in an executable is told by a note in that, "rsprof". A preloaded one sees it; the one
 * in the executable sees the preloaded one's functions behind its own, and leaves the work to it.
 */
#define RSPROF_ENABLE
#include "include/rsprof/rsprof.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>

#include "agent/agent.h"
#include "agent/api.h"
#include "agent/symbols.h"
#include "agent/cpu.h"
#include "agent/heap.h"

enum {
	MARK_BYTES_MAX = 1000, /* the header promises it */
	NOTE_TYPE = 1,
};

#define NOTE_NAME "rsprof"

struct agent_note {
	ElfW(Nhdr) header;
	char name[8];
	uint32_t major;
};

__attribute__((section(".note.rsprof"), used, aligned(4))) static const struct agent_note note = {
	.header = {.n_namesz = sizeof(NOTE_NAME),
		   .n_descsz = sizeof(uint32_t),
		   .n_type = NOTE_TYPE},
	.name = NOTE_NAME,
	.major = RSPROF_SHM_MAJOR,
};

/* ---- two agents */

static bool has_note(uintptr_t at, size_t bytes)
{
	while (bytes >= sizeof(ElfW(Nhdr))) {
		const ElfW(Nhdr) *header = (const void *)at;
		uint64_t length = sizeof(*header) + (((uint64_t)header->n_namesz + 3) & ~3ull) +
				  (((uint64_t)header->n_descsz + 3) & ~3ull);

		if (length > bytes)
			return false;
		if (header->n_type == NOTE_TYPE && header->n_namesz == sizeof(NOTE_NAME) &&
		    memcmp(header + 1, NOTE_NAME, sizeof(NOTE_NAME)) == 0)
			return true;
		at += length;
		bytes -= length;
	}
	return false;
}

/* Of the executable: where it is loaded, and its headers. */
static const ElfW(Phdr) * executable(uintptr_t *ret_bias, size_t *ret_count)
{
	const ElfW(Phdr) *headers = (const void *)getauxval(AT_PHDR);
	size_t count = getauxval(AT_PHNUM);

	if (!headers)
		return NULL;
	*ret_bias = 0;
	for (size_t i = 0; i < count; i++) {
		if (headers[i].p_type == PT_PHDR)
			*ret_bias = (uintptr_t)headers - headers[i].p_vaddr;
	}
	*ret_count = count;
	return headers;
}

bool api_executable_has_agent(void)
{
	uintptr_t bias;
	size_t count;
	const ElfW(Phdr) *headers = executable(&bias, &count);

	for (size_t i = 0; headers && i < count; i++) {
		if (headers[i].p_type == PT_NOTE &&
		    has_note(bias + headers[i].p_vaddr, headers[i].p_memsz))
			return true;
	}
	return false;
}

bool api_is_linked(void)
{
	uintptr_t bias, here = (uintptr_t)&note;
	size_t count;
	const ElfW(Phdr) *headers = executable(&bias, &count);

	for (size_t i = 0; headers && i < count; i++) {
		uintptr_t start = bias + headers[i].p_vaddr;

		if (headers[i].p_type == PT_LOAD && here >= start &&
		    here - start < headers[i].p_memsz)
			return true;
	}
	return false;
}

/* Of the other agent, if there is one that comes first. */
struct other {
	void (*start)(void);
	void (*stop)(void);
	void (*pause)(void);
	void (*resume)(void);
	void (*mark)(const char *);
	void (*cpu)(unsigned);
	void (*report_alloc)(const void *, size_t);
	void (*report_free)(const void *);
};

static struct other other;
static _Atomic uint32_t other_state; /* 0: not looked for; 1: none; 2: there */

static void look_for_other(void)
{
	struct other found;

	if (!symbols_have(0, "rsprof_start")) {
		atomic_store_explicit(&other_state, 1, memory_order_release);
		return;
	}
	agent_thread.internal_depth++;
	found = (struct other){
		.start = (void (*)(void))dlsym(RTLD_NEXT, "rsprof_start"),
		.stop = (void (*)(void))dlsym(RTLD_NEXT, "rsprof_stop"),
		.pause = (void (*)(void))dlsym(RTLD_NEXT, "rsprof_pause"),
		.resume = (void (*)(void))dlsym(RTLD_NEXT, "rsprof_resume"),
		.mark = (void (*)(const char *))dlsym(RTLD_NEXT, "rsprof_mark"),
		.cpu = (void (*)(unsigned))dlsym(RTLD_NEXT, "rsprof_cpu"),
		.report_alloc =
			(void (*)(const void *, size_t))dlsym(RTLD_NEXT, "rsprof_report_alloc"),
		.report_free = (void (*)(const void *))dlsym(RTLD_NEXT, "rsprof_report_free"),
	};
	agent_thread.internal_depth--;
	if (!found.start || !found.stop || !found.pause || !found.resume || !found.mark ||
	    !found.cpu || !found.report_alloc || !found.report_free) {
		atomic_store_explicit(&other_state, 1, memory_order_release);
		return;
	}
	/* Whoever else is at this writes the same. */
	other = found;
	atomic_store_explicit(&other_state, 2, memory_order_release);
}

bool api_yields(void)
{
	int error = errno;

	if (atomic_load_explicit(&other_state, memory_order_acquire) == 0) {
		if (api_is_linked())
			look_for_other();
		else
			atomic_store_explicit(&other_state, 1, memory_order_release);
	}
	errno = error;
	return atomic_load_explicit(&other_state, memory_order_acquire) == 2;
}

/* ---- the program's calls */

AGENT_EXPORT void rsprof_start(void)
{
	if (api_yields())
		other.start();
	else
		agent_begin();
}

AGENT_EXPORT void rsprof_stop(void)
{
	if (api_yields()) {
		other.stop();
		return;
	}
	cpu_end();
	agent_stop(RSPROF_SHM_STOPPED);
}

AGENT_EXPORT void rsprof_pause(void)
{
	if (api_yields())
		other.pause();
	else
		agent_pause(true);
}

AGENT_EXPORT void rsprof_resume(void)
{
	if (api_yields())
		other.resume();
	else
		agent_pause(false);
}

AGENT_EXPORT void rsprof_cpu(unsigned frequency)
{
	static _Atomic uint32_t wished; /* of the environment, and 1 more */
	uint32_t unknown = 0;

	if (api_yields()) {
		other.cpu(frequency);
		return;
	}
	agent_begin();
	atomic_compare_exchange_strong(&wished, &unknown, agent_config.cpu_frequency + 1);
	if (frequency > 0 && wished > 1)
		frequency = wished - 1;
	cpu_set_frequency(frequency);
}

/* A place for the text in STACKS, not at 0, which stands for none; 0: there is none left. */
static uint64_t text_place(uint64_t bytes)
{
	uint64_t *used = &agent_state.header->stacks_used;
	uint64_t seen = __atomic_load_n(used, __ATOMIC_RELAXED), at;

	do {
		at = seen ? seen : sizeof(uint64_t);
		if (bytes > agent_state.stacks_bytes || at > agent_state.stacks_bytes - bytes)
			return 0;
	} while (!__atomic_compare_exchange_n(used, &seen, at + bytes, true, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return at;
}

static void mark(const char *text)
{
	struct agent_thread *thread = &agent_thread;
	struct agent_lane *lane = agent_lane_of(thread, thread->busy_frame != 0);
	size_t length = strnlen(text, MARK_BYTES_MAX);
	uint64_t at = text_place((sizeof(struct rsprof_shm_text) + length + 7) & ~(uint64_t)7);
	struct rsprof_shm_text *kept = (void *)(agent_state.stacks + at);
	uintptr_t busy = thread->busy_frame;

	if (!at) {
		__atomic_fetch_add(&lane->shared->dropped, 1, __ATOMIC_RELAXED);
		return;
	}
	thread->busy_frame = (uintptr_t)__builtin_frame_address(0);
	atomic_signal_fence(memory_order_seq_cst);
	memcpy(kept + 1, text, length);
	kept->bytes = (uint32_t)length;
	agent_ring_put(lane, RSPROF_SHM_EVENT_MARK, RSPROF_SHM_SITE_NONE, at, length, true);
	atomic_signal_fence(memory_order_seq_cst);
	thread->busy_frame = busy;
}

AGENT_EXPORT void rsprof_mark(const char *text)
{
	int error = errno;

	if (api_yields())
		other.mark(text);
	else if (text && atomic_load(&agent_state.is_on))
		mark(text);
	errno = error;
}

AGENT_EXPORT void rsprof_report_alloc(const void *block, size_t bytes)
{
	int error = errno;

	if (!block)
		return;
	if (api_yields())
		other.report_alloc(block, bytes);
	else
		heap_report_alloc((uintptr_t)block, bytes, (uintptr_t)rsprof_report_alloc,
				  (uintptr_t)__builtin_frame_address(0));
	errno = error;
}

AGENT_EXPORT void rsprof_report_free(const void *block)
{
	int error = errno;

	if (!block)
		return;
	if (api_yields())
		other.report_free(block);
	else
		heap_report_free((uintptr_t)block);
	errno = error;
}
