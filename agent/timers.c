/* The kernel does not delete a thread's timer when it ends, only when the process does: timers_end
 * does, else whoever is given the same number. */
#include "agent/timers.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "agent/agent.h"

enum {
	TIDS = 1 << 22, /* what Linux can number at most */
	PAGE_BYTES = 64 << 10,
	PAGE_WORDS = PAGE_BYTES / 4,
	NOTIFY_THREAD = 4, /* SIGEV_THREAD_ID */
};
/* What a word is beside the timer's number + 1, and 0 where there is none. */
#define BUSY UINT32_MAX	   /* being made */
#define REFUSED (BUSY - 1) /* the thread may have none */
#define SECOND_NS UINT64_C(1000000000)

/* By tid; mapped where there are threads, and wiped in a forked child, as its timers are. The word
 * of 0, which is no thread's, says whether there are timers at all. */
static _Atomic uint32_t *_Atomic pages[TIDS / PAGE_WORDS];
/* Survive fork. */
static _Atomic uint64_t interval_ns;
static _Atomic uint32_t arming_round;
/* Their addresses are what signals of ours have with them. */
static const char marks[2];

static _Atomic uint32_t *page_make(_Atomic uint32_t *_Atomic *place)
{
	_Atomic uint32_t *page = sys_map(PAGE_BYTES), *none = NULL;

	if (!page)
		return NULL;
	if (!sys_call(SYS_madvise, (long)page, PAGE_BYTES, MADV_WIPEONFORK, 0, 0, 0) &&
	    atomic_compare_exchange_strong(place, &none, page))
		return page;
	sys_unmap(page, PAGE_BYTES);
	return none;
}

/* NULL: there is none, or no memory to make it in. */
static _Atomic uint32_t *word_of(uint32_t tid, bool is_made)
{
	_Atomic uint32_t *page;

	if (tid >= TIDS)
		return NULL;
	page = atomic_load(&pages[tid / PAGE_WORDS]);
	if (!page && is_made)
		page = page_make(&pages[tid / PAGE_WORDS]);
	return page ? page + tid % PAGE_WORDS : NULL;
}

/* ---- all of them */

bool timers_begin(void)
{
	return word_of(0, true) != NULL;
}

bool timers_are_on(void)
{
	_Atomic uint32_t *word = word_of(0, false);

	return word && atomic_load(word);
}

bool timers_turn(bool is_on)
{
	_Atomic uint32_t *word = word_of(0, false);

	return word && atomic_exchange(word, is_on);
}

bool timers_set_interval(uint64_t ns)
{
	if (atomic_exchange(&interval_ns, ns) == ns)
		return false;
	atomic_fetch_add(&arming_round, 1);
	return true;
}

uint64_t timers_interval(void)
{
	return atomic_load(&interval_ns);
}

uint32_t timers_round(void)
{
	return atomic_load(&arming_round);
}

/* ---- one of the kernel's */

static uint64_t mixed(uint64_t value)
{
	value ^= value >> 33;
	value *= UINT64_C(0xff51afd7ed558ccd);
	value ^= value >> 33;
	value *= UINT64_C(0xc4ceb9fe1a85ec53);
	return value ^ value >> 33;
}

static uint64_t ns_of(const struct timespec *time)
{
	return (uint64_t)time->tv_sec * SECOND_NS + (uint64_t)time->tv_nsec;
}

static struct timespec time_of(uint64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / SECOND_NS),
				 .tv_nsec = (long)(ns % SECOND_NS)};
}

uint64_t timers_clock(clockid_t clock)
{
	struct timespec now = {0};

	sys_call(SYS_clock_gettime, clock, (long)&now, 0, 0, 0, 0);
	return ns_of(&now);
}

uint64_t timers_next(int number)
{
	struct itimerspec left;

	if (sys_call(SYS_timer_gettime, number, (long)&left, 0, 0, 0, 0))
		return 0;
	return timers_clock(CLOCK_THREAD_CPUTIME_ID) + ns_of(&left.it_value);
}

/* The first period is over after some part of it. */
static long arm(uint32_t number, uint32_t tid)
{
	uint64_t interval = atomic_load(&interval_ns);
	uint64_t first = 1 + mixed(timers_clock(CLOCK_MONOTONIC) << 22 ^ tid) % interval;
	struct itimerspec times = {.it_interval = time_of(interval), .it_value = time_of(first)};

	return sys_call(SYS_timer_settime, (int)number, 0, (long)&times, 0, 0, 0);
}

static void delete (uint32_t number)
{
	sys_call(SYS_timer_delete, (int)number, 0, 0, 0, 0, 0);
}

/* The number, or -errno. */
static long make(uint32_t tid, bool is_unseen)
{
	/* CPUCLOCK_PERTHREAD | CPUCLOCK_SCHED, of that thread. */
	clockid_t clock = (clockid_t)(~tid << 3 | 6);
	struct sigevent event = {
		.sigev_value.sival_ptr = (void *)&marks[is_unseen],
		.sigev_signo = SIGPROF,
		.sigev_notify = NOTIFY_THREAD,
	};
	int number = 0;
	long result;

	event._sigev_un._tid = (pid_t)tid;
	result = sys_call(SYS_timer_create, clock, (long)&event, (long)&number, 0, 0, 0);
	if (result)
		return result;
	result = arm((uint32_t)number, tid);
	if (!result)
		return number;
	delete ((uint32_t)number);
	return result;
}

uint64_t timers_weight(const siginfo_t *info, bool *ret_is_unseen)
{
	*ret_is_unseen = info->si_ptr == &marks[true];
	if (info->si_code != SI_TIMER || (info->si_ptr != &marks[false] && !*ret_is_unseen))
		return 0;
	return info->si_overrun > 0 ? (uint64_t)info->si_overrun + 1 : 1;
}

/* ---- one thread's */

static void delete_was(uint32_t word)
{
	if (word != 0 && word != BUSY && word != REFUSED)
		delete (word - 1);
}

static void remove_from(_Atomic uint32_t *word)
{
	uint32_t was = atomic_load(word);

	do {
		if (was == 0 || was == REFUSED)
			return;
	} while (!atomic_compare_exchange_weak(word, &was, 0));
	delete_was(was);
}

void timers_remove_all(void)
{
	for (uint32_t tid = 1; tid < TIDS; tid++) {
		_Atomic uint32_t *word = word_of(tid, false);

		if (word)
			remove_from(word);
		else
			tid |= PAGE_WORDS - 1;
	}
}

/* A timer that is there may be that of a thread which is gone and had the same tid: that one fails
 * to be armed. */
void timers_provide(uint32_t tid, unsigned how)
{
	uint32_t seen = 0, busy = BUSY;
	_Atomic uint32_t *word = word_of(tid, true);
	long number;

	if (!word) {
		agent_lost(RSPROF_SHM_LOST_TIMERS, 1);
		return;
	}
	if (!atomic_compare_exchange_strong(word, &seen, BUSY)) {
		if (seen == REFUSED)
			agent_lost(RSPROF_SHM_LOST_TIMERS, 1);
		if (seen == BUSY || seen == REFUSED || !(how & TIMERS_ANEW) ||
		    arm(seen - 1, tid) == 0)
			return;
		if (!atomic_compare_exchange_strong(word, &seen, BUSY))
			return;
		delete (seen - 1);
	}
	number = make(tid, how & TIMERS_UNSEEN);
	if (number < 0) {
		atomic_compare_exchange_strong(word, &busy, 0);
		/* A thread that ended meanwhile needs none. */
		if (number != -ESRCH && number != -EINVAL)
			agent_lost(RSPROF_SHM_LOST_TIMERS, 1);
		return;
	}
	/* Its thread has ended, or all have, or it may have none: this one is not theirs any more.
	 */
	if (!atomic_compare_exchange_strong(word, &busy, (uint32_t)number + 1))
		delete ((uint32_t)number);
	else if (!timers_are_on())
		remove_from(word);
}

uint32_t timers_number(uint32_t tid)
{
	_Atomic uint32_t *word = word_of(tid, false);
	uint32_t is = word ? atomic_load(word) : 0;

	return is == BUSY || is == REFUSED ? 0 : is;
}

bool timers_refuse(uint32_t tid)
{
	_Atomic uint32_t *word = word_of(tid, true);
	uint32_t was = word ? atomic_exchange(word, REFUSED) : 0;

	delete_was(was);
	return was != REFUSED;
}

bool timers_allow(uint32_t tid)
{
	_Atomic uint32_t *word = word_of(tid, false);
	uint32_t was = REFUSED;

	return word && atomic_compare_exchange_strong(word, &was, 0);
}

void timers_end(uint32_t tid)
{
	_Atomic uint32_t *word = word_of(tid, false);

	if (word)
		delete_was(atomic_exchange(word, 0));
}
