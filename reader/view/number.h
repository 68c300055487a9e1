/* Decimal fractions as printers need them: with a point in every locale, and never "nan". */
#ifndef RSPROF_VIEW_NUMBER_H
#define RSPROF_VIEW_NUMBER_H

#include "reader/util/fmt.h"

/* Decimals of a share in JSON and CSV: tells single samples apart in a recording of a million. */
enum { NUMBER_SHARE_DECIMALS = 4 };

/* value rounded to 0..6 decimals; what is negative or no number is 0. Returns the buffer. */
const char *number_decimal(char buffer[FMT_MAX], double value, int decimals);

/* part of whole in percent; 0 where the whole is 0. */
double number_share(uint64_t part, uint64_t whole);

/* Stays at the largest value where a sum does not fit. */
static inline void number_add(uint64_t *sum, uint64_t value)
{
	if (__builtin_add_overflow(*sum, value, sum))
		*sum = UINT64_MAX;
}

#endif
