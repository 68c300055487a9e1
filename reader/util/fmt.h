/* Numbers as people write and read them: the one place for each. The fmt_ functions write into the
 * caller's buffer and return it. */
#ifndef RSPROF_UTIL_FMT_H
#define RSPROF_UTIL_FMT_H

#include <stddef.h>
#include <stdint.h>

#include "reader/util/err.h"

enum { FMT_MAX = 32 };

/* "48.3 MB", "64.0 KB", "12 B" (SI). */
const char *fmt_bytes(char buffer[FMT_MAX], uint64_t bytes);
/* "31,842". */
const char *fmt_count(char buffer[FMT_MAX], uint64_t count);
/* "5m23s", "17s", "250ms", "2h05m", "0s"; whole seconds from ten seconds on. */
const char *fmt_duration(char buffer[FMT_MAX], uint64_t ns);
/* "1.24s", "310ms", "4.20ms", "87.0us", "0s", "1m40s": three digits, for times of any size. */
const char *fmt_span(char buffer[FMT_MAX], uint64_t ns);
/* "00:05:23". */
const char *fmt_clock(char buffer[FMT_MAX], uint64_t ns);
/* Local wall time, ISO 8601 with the offset: "2026-01-06T14:30:22+01:00". */
const char *fmt_time(char buffer[FMT_MAX], uint64_t unix_ns);

/* `30s`, `5m`, `2h`, `1h30m`, `250ms`, bare number = seconds (fractions allowed). -EINVAL
 * without a message: the caller names the option. */
int parse_duration(const char *text, uint64_t *ret_ns);
/* `512`, `64K`, `16M`, `16MiB`, `1G`: powers of 1024. -EINVAL likewise. */
int parse_size(const char *text, uint64_t *ret_bytes);
/* Decimal digits only. -EINVAL or -ERANGE. */
int parse_count(const char *text, uint64_t *ret_count);

#endif
