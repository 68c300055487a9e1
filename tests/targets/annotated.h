/* A helper that is inlined wherever it is called: its time belongs to its own line in this file. */
#ifndef RSPROF_TESTS_ANNOTATED_H
#define RSPROF_TESTS_ANNOTATED_H

#include "tests/targets/target.h"

static inline __attribute__((always_inline)) void spin(uint64_t rounds)
{
	CHURN(rounds); // SPUN
}

#endif
