/* Why a thread did not run. */
#ifndef RSPROF_CORE_WAIT_KIND_H
#define RSPROF_CORE_WAIT_KIND_H

/* The numbers are stored in the database: append only. */
enum wait_kind {
	WAIT_NONE = 0, /* what is no wait: samples of other events */
	WAIT_OTHER = 1,
	WAIT_RUN_QUEUE = 2, /* it could run, and no CPU was free */
	WAIT_LOCK = 3,
	WAIT_SLEEP = 4,
	WAIT_IO = 5,
	WAIT_POLL = 6,
	WAIT_FAULT = 7,
	WAIT_CHILD = 8,
	WAIT_KINDS
};

/* Stable names: JSON, CSV and tables. "" for WAIT_NONE. */
extern const char *const wait_kind_names[WAIT_KINDS];

#endif
