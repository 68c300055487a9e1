#include "reader/util/near.h"

#include <stdint.h>
#include <string.h>

size_t near_distance(const char *a, const char *b)
{
	size_t row[NEAR_LENGTH_MAX + 1];
	size_t a_length = strlen(a), b_length = strlen(b);

	if (a_length > NEAR_LENGTH_MAX || b_length > NEAR_LENGTH_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= b_length; j++)
		row[j] = j;
	/* row[j]: from the first i bytes of a to the first j bytes of b. */
	for (size_t i = 1; i <= a_length; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			size_t cost = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < cost)
				cost = row[j] + 1;
			if (row[j - 1] + 1 < cost)
				cost = row[j - 1] + 1;
			row[j] = cost;
		}
	}
	return row[b_length];
}

bool near_is_better(const char *typed, const char *candidate, size_t *best)
{
	size_t distance = near_distance(typed, candidate);

	if (distance >= *best || distance >= strlen(typed) || distance >= strlen(candidate))
		return false;
	*best = distance;
	return true;
}
