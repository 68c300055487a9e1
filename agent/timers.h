/* The timers of cpu.c, by the numbers of their threads. Any thread, and in handlers. */
#ifndef RSPROF_AGENT_TIMERS_H
#define RSPROF_AGENT_TIMERS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum timers_how {
	TIMERS_ANEW = 1, /* one that is there is armed anew */
	/* Of a thread that nothing is known of but its number: a signal says so. */
	TIMERS_UNSEEN = 2,
};

/* Once, and again in a forked child: none of the parent's is there. false: no memory. */
bool timers_begin(void);
bool timers_are_on(void);
/* Returns what it was. */
bool timers_turn(bool is_on);
/* Of timers that are made or armed from now on; says whether it is another one. */
bool timers_set_interval(uint64_t ns);
uint64_t timers_interval(void);
/* Counts changes of the interval. */
uint32_t timers_round(void);

/* A thread that may have none gets none, which is counted. */
void timers_provide(uint32_t tid, unsigned how);
/* The kernel's number + 1; 0: the thread has none. */
uint32_t timers_number(uint32_t tid);
/* Also those of threads that have ended without a word. */
void timers_remove_all(void);
/* The thread may have none, until it ends or may again. Says whether it might have had one. */
bool timers_refuse(uint32_t tid);
/* Says whether it might have none. */
bool timers_allow(uint32_t tid);
/* By the thread. */
void timers_end(uint32_t tid);

/* How many periods a signal stands for; 0: it is none of a timer of ours. */
uint64_t timers_weight(const siginfo_t *info, bool *ret_is_unseen);
uint64_t timers_clock(clockid_t clock);
/* CPU time of this thread at which the timer's period is over; 0: the kernel does not tell. */
uint64_t timers_next(int number);

#endif
