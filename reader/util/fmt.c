#include "reader/util/fmt.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "reader/util/clock.h"

const char *fmt_bytes(char buffer[FMT_MAX], uint64_t bytes)
{
	static const char *const units[] = {"KB", "MB", "GB", "TB", "PB", "EB"};
	double value = (double)bytes / 1000;
	size_t unit = 0;

	if (bytes < 1000) {
		snprintf(buffer, FMT_MAX, "%" PRIu64 " B", bytes);
		return buffer;
	}
	/* 999.95 would print as 1000.0. */
	while (value >= 999.95 && unit + 1 < sizeof(units) / sizeof(*units)) {
		value /= 1000;
		unit++;
	}
	snprintf(buffer, FMT_MAX, "%.1f %s", value, units[unit]);
	return buffer;
}

const char *fmt_count(char buffer[FMT_MAX], uint64_t count)
{
	char digits[24];
	int length = snprintf(digits, sizeof(digits), "%" PRIu64, count);
	char *to = buffer;

	for (int i = 0; i < length; i++) {
		if (i && (length - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
	return buffer;
}

const char *fmt_duration(char buffer[FMT_MAX], uint64_t ns)
{
	uint64_t seconds = ns / NS_PER_S;

	if (ns && ns < NS_PER_S) {
		snprintf(buffer, FMT_MAX, "%" PRIu64 "ms", ns / NS_PER_MS);
	} else if (seconds < 10 && ns % NS_PER_S >= 100 * NS_PER_MS) {
		snprintf(buffer, FMT_MAX, "%" PRIu64 ".%" PRIu64 "s", seconds,
			 ns % NS_PER_S / (100 * NS_PER_MS));
	} else if (seconds < 60) {
		snprintf(buffer, FMT_MAX, "%" PRIu64 "s", seconds);
	} else if (seconds < 3600) {
		snprintf(buffer, FMT_MAX, "%" PRIu64 "m%02" PRIu64 "s", seconds / 60, seconds % 60);
	} else {
		snprintf(buffer, FMT_MAX, "%" PRIu64 "h%02" PRIu64 "m", seconds / 3600,
			 seconds / 60 % 60);
	}
	return buffer;
}

const char *fmt_span(char buffer[FMT_MAX], uint64_t ns)
{
	static const char *const units[] = {"us", "ms", "s"};
	double value = (double)ns / 1000;
	size_t unit = 0;

	if (!ns)
		return strcpy(buffer, "0s");
	if (ns < 1000) {
		snprintf(buffer, FMT_MAX, "%" PRIu64 "ns", ns);
		return buffer;
	}
	/* 999.5 would print as 1000, and 59.95 s as 60.0. */
	while (value >= 999.5 && unit + 1 < sizeof(units) / sizeof(*units)) {
		value /= 1000;
		unit++;
	}
	if (unit == 2 && value >= 59.95)
		return fmt_duration(buffer, ns < UINT64_MAX - NS_PER_S ? ns + NS_PER_S / 2 : ns);
	snprintf(buffer, FMT_MAX, "%.*f%s",
		 value >= 99.95	  ? 0
		 : value >= 9.995 ? 1
				  : 2,
		 value, units[unit]);
	return buffer;
}

const char *fmt_clock(char buffer[FMT_MAX], uint64_t ns)
{
	uint64_t seconds = ns / NS_PER_S;

	snprintf(buffer, FMT_MAX, "%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64, seconds / 3600,
		 seconds / 60 % 60, seconds % 60);
	return buffer;
}

const char *fmt_time(char buffer[FMT_MAX], uint64_t unix_ns)
{
	time_t seconds = (time_t)(unix_ns / NS_PER_S);
	struct tm local;
	size_t length;

	if (!localtime_r(&seconds, &local)) {
		snprintf(buffer, FMT_MAX, "?");
		return buffer;
	}
	length = strftime(buffer, FMT_MAX, "%Y-%m-%dT%H:%M:%S%z", &local);
	/* +0100 → +01:00 */
	if (length >= 5 && length + 2 <= FMT_MAX) {
		memmove(buffer + length - 1, buffer + length - 2, 3);
		buffer[length - 2] = ':';
	}
	return buffer;
}

/* One number and its unit. */
static int parse_part(const char **text, double *ret_ns)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {{"ms", 1e6}, {"us", 1e3},	 {"ns", 1},	{"s", 1e9},
		     {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9}};
	char digits[40];
	size_t length = strspn(*text, "0123456789.");
	char *end;
	double value;

	if (!length || length >= sizeof(digits) || !isdigit((unsigned char)**text))
		return -EINVAL;
	memcpy(digits, *text, length);
	digits[length] = '\0';
	value = strtod(digits, &end);
	if (*end)
		return -EINVAL;
	*text += length;
	if (!**text) {
		*ret_ns = value * 1e9;
		return 1;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		size_t name_length = strlen(units[i].name);

		if (strncmp(*text, units[i].name, name_length) == 0) {
			*text += name_length;
			*ret_ns = value * units[i].ns;
			return 0;
		}
	}
	return -EINVAL;
}

int parse_duration(const char *text, uint64_t *ret_ns)
{
	double total = 0;
	bool first = true;

	do {
		double part;
		int bare = parse_part(&text, &part);

		/* A bare number is seconds, but "1h30" is nobody's seconds. */
		if (bare < 0 || (bare && !first))
			return -EINVAL;
		total += part;
		first = false;
	} while (*text);
	if (total > 9e18)
		return -EINVAL;
	*ret_ns = (uint64_t)llround(total);
	return 0;
}

int parse_size(const char *text, uint64_t *ret_bytes)
{
	static const char letters[] = "KMGT";
	size_t length = strspn(text, "0123456789.");
	char digits[40];
	char *end;
	double value;

	if (!length || length >= sizeof(digits) || !isdigit((unsigned char)*text))
		return -EINVAL;
	memcpy(digits, text, length);
	digits[length] = '\0';
	value = strtod(digits, &end);
	if (*end)
		return -EINVAL;
	text += length;
	while (*text == ' ')
		text++;
	if (*text && toupper((unsigned char)*text) != 'B') {
		const char *letter = strchr(letters, toupper((unsigned char)*text));

		if (!letter)
			return -EINVAL;
		value = ldexp(value, 10 * (int)(letter - letters + 1));
		text++;
		if (*text == 'i')
			text++;
	}
	if (toupper((unsigned char)*text) == 'B')
		text++;
	if (*text || value > 9e18)
		return -EINVAL;
	*ret_bytes = (uint64_t)value;
	return 0;
}

int parse_count(const char *text, uint64_t *ret_count)
{
	char *end;
	unsigned long long value;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (*end)
		return -EINVAL;
	if (errno)
		return -ERANGE;
	*ret_count = value;
	return 0;
}
