/* What a program calls that is profiled from within. C11 and C++17.
 *
 * Nothing of it is there unless RSPROF_ENABLE is defined: each call is then an expression of type
 * void without code, whose arguments are not evaluated.
 *
 *     #include <rsprof/rsprof.h>
 *
 *     RSPROF_PROFILER();             // once, in a file or a function of the program
 *
 *     cc -DRSPROF_ENABLE app.c librsprof.a          (before other libraries), or
 *     cc -DRSPROF_ENABLE app.c -lrsprof_agent       (the shared one), or
 *     cc -DRSPROF_ENABLE -DRSPROF_WEAK app.c        and librsprof_agent.so preloaded when wanted
 *
 * With RSPROF_WEAK the program runs without the agent, too; its calls then do nothing. It has to be
 * position-independent (-fPIE -pie, what compilers do by default): otherwise the linker leaves the
 * calls out. Where a program has the archive in it and the agent is preloaded as well, as by
 * `rsprof run`, the preloaded one counts.
 *
 * All of these may be called at any time, by any thread; RSPROF_AGENT and RSPROF_CPU_FREQ in the
 * environment are the wishes of who starts the program, and come first. */
#ifndef RSPROF_RSPROF_H
#define RSPROF_RSPROF_H

#include <stddef.h>

#ifdef RSPROF_ENABLE

#ifdef __cplusplus
#define RSPROF_NOTHROW noexcept
extern "C" {
#else
#define RSPROF_NOTHROW
#endif
#ifdef RSPROF_WEAK
#define RSPROF_REFERENCE __attribute__((__weak__))
#else
#define RSPROF_REFERENCE
#endif

/* Counts from here on, if it does not already: the agent begins with the first allocation or before
 * main, whichever comes first. Does not undo rsprof_stop. */
RSPROF_REFERENCE void rsprof_start(void) RSPROF_NOTHROW;
/* Ends it for the rest of the process's life. What was counted can be read until that ends. */
RSPROF_REFERENCE void rsprof_stop(void) RSPROF_NOTHROW;
/* In between, neither CPU time nor allocations are counted; but frees of blocks that were. */
RSPROF_REFERENCE void rsprof_pause(void) RSPROF_NOTHROW;
RSPROF_REFERENCE void rsprof_resume(void) RSPROF_NOTHROW;
/* A word to the timeline, now; at most 1,000 bytes of it are kept. */
RSPROF_REFERENCE void rsprof_mark(const char *text) RSPROF_NOTHROW;
/* CPU samples of every thread at so many a second of its CPU time, 1 to 10,000; 0: none. */
RSPROF_REFERENCE void rsprof_cpu(unsigned frequency) RSPROF_NOTHROW;

/* For allocators of the program's own: a block has been handed out, or is about to be taken back.
 * They count like malloc and free, with the stack of who calls them.
 *
 * A block is known by its address, rounded down to 8 bytes. A block that is reported where a
 * reported one is live replaces that one, which counts as freed: so blocks of an arena that is
 * emptied at once need no report each before they are handed out anew. Blocks may be anywhere; those
 * within a chunk of malloc's are counted beside that chunk, its bytes included, and are not freed
 * with it. NULL is ignored, as is the free of a block that is not known. */
RSPROF_REFERENCE void rsprof_report_alloc(const void *block, size_t bytes) RSPROF_NOTHROW;
RSPROF_REFERENCE void rsprof_report_free(const void *block) RSPROF_NOTHROW;

#ifdef __cplusplus
}
#endif

/* Keeps the agent in the program, or says at link time that it is missing. A declaration. */
#define RSPROF_PROFILER()                                                                          \
	static void (*const volatile rsprof_profiler_anchor)(void) __attribute__((__used__)) =     \
		rsprof_start

#ifdef RSPROF_WEAK
#define rsprof_start() (rsprof_start ? rsprof_start() : (void)0)
#define rsprof_stop() (rsprof_stop ? rsprof_stop() : (void)0)
#define rsprof_pause() (rsprof_pause ? rsprof_pause() : (void)0)
#define rsprof_resume() (rsprof_resume ? rsprof_resume() : (void)0)
#define rsprof_mark(text) (rsprof_mark ? rsprof_mark(text) : (void)0)
#define rsprof_cpu(frequency) (rsprof_cpu ? rsprof_cpu(frequency) : (void)0)
#define rsprof_report_alloc(block, bytes)                                                          \
	(rsprof_report_alloc ? rsprof_report_alloc(block, bytes) : (void)0)
#define rsprof_report_free(block) (rsprof_report_free ? rsprof_report_free(block) : (void)0)
#endif

#else

#ifdef __cplusplus
#define RSPROF_PROFILER() static_assert(true, "")
#else
#define RSPROF_PROFILER() _Static_assert(1, "")
#endif
#define rsprof_start() ((void)0)
#define rsprof_stop() ((void)0)
#define rsprof_pause() ((void)0)
#define rsprof_resume() ((void)0)
#define rsprof_mark(text) ((void)sizeof(text))
#define rsprof_cpu(frequency) ((void)sizeof(frequency))
#define rsprof_report_alloc(block, bytes) ((void)sizeof(block), (void)sizeof(bytes))
#define rsprof_report_free(block) ((void)sizeof(block))

#endif

#endif
