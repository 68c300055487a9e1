/* System calls that threads sleep in, by what an allocator may hold meanwhile. Private to
 * inject_point.c. */
#ifndef RSPROF_TARGET_INJECT_SLEEP_H
#define RSPROF_TARGET_INJECT_SLEEP_H

enum sleep_class {
	SLEEP_NONE,
	SLEEP_LONG,  /* an allocator holds no lock over it */
	SLEEP_SHORT, /* one may: to read a setting, to wait for a lock */
	SLEEP_LOCK,  /* futex: whose lock is it */
};

enum sleep_class inject_sleep_class(long number);

#endif
