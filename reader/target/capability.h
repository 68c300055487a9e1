/* The capabilities that decide what rsprof may do, by name. */
#ifndef RSPROF_TARGET_CAPABILITY_H
#define RSPROF_TARGET_CAPABILITY_H

struct capability_name {
	int capability;	  /* CAP_… */
	const char *name; /* "CAP_PERFMON" */
};

/* Ends with a NULL name. */
extern const struct capability_name capability_names[];

#endif
