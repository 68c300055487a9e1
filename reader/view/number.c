#include "reader/view/number.h"

#include <inttypes.h>
#include <stdio.h>

const char *number_decimal(char buffer[FMT_MAX], double value, int decimals)
{
	uint64_t scale = 1, scaled;
	size_t length;

	for (int i = 0; i < decimals; i++)
		scale *= 10;
	/* Above 1e12 the product would not fit; no share or count of ours comes near. */
	if (!(value > 0))
		value = 0;
	else if (value > 1e12)
		value = 1e12;
	scaled = (uint64_t)(value * (double)scale + 0.5);
	length = (size_t)snprintf(buffer, FMT_MAX, "%" PRIu64 "%s", scaled / scale,
				  scale > 1 ? "." : "");
	while (scale > 1) {
		scale /= 10;
		buffer[length++] = (char)('0' + scaled / scale % 10);
	}
	buffer[length] = '\0';
	return buffer;
}

double number_share(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}
