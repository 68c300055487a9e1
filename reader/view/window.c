#include "reader/view/window.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "reader/util/fmt.h"
#include "reader/util/own.h"
#include "reader/util/str.h"

/* One end of A..B; absent is the open end. */
static int parse_end(const char *text, size_t length, uint64_t absent, uint64_t *ret_ns)
{
	char copy[64];

	if (!length) {
		*ret_ns = absent;
		return 0;
	}
	if (length >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, length);
	copy[length] = '\0';
	return parse_duration(copy, ret_ns);
}

static int parse_window(const char *text, uint64_t *ret_from_ns, uint64_t *ret_to_ns)
{
	const char *dots = strstr(text, "..");

	if (!dots || parse_end(text, (size_t)(dots - text), 0, ret_from_ns) < 0 ||
	    parse_end(dots + 2, strlen(dots + 2), UINT64_MAX, ret_to_ns) < 0)
		return -EINVAL;
	return 0;
}

static int refuse_window(const char *text, struct err *err)
{
	OWN(str_done) struct str given = {0};

	str_add_scrubbed(&given, text);
	err_set(err, ERR_USAGE, -EINVAL, "--window \"%.200s\" is not a range of time.",
		str_text(&given));
	err_remedy(err, "Give two times from the start, the earlier first: --window 1m..2m30s");
	return -EINVAL;
}

int window_resolve(const struct window_request *request, uint64_t duration_ns,
		   uint64_t *ret_from_ns, uint64_t *ret_to_ns, struct err *err)
{
	uint64_t from = 0, to = UINT64_MAX;
	char length[FMT_MAX];

	if (request->window && (request->since_ns || request->until_ns)) {
		err_set(err, ERR_USAGE, -EINVAL,
			"--window cannot be combined with --since or --until.");
		err_remedy(err, "Use --window alone: it gives both ends.");
		return -EINVAL;
	}
	if (request->window) {
		if (parse_window(request->window, &from, &to) < 0 || from >= to)
			return refuse_window(request->window, err);
	} else {
		if (request->since_ns && request->since_ns < duration_ns)
			from = duration_ns - request->since_ns;
		if (request->until_ns)
			to = request->until_ns;
	}
	if (from >= to || (from && from >= duration_ns)) {
		err_set(err, ERR_USAGE, -EINVAL,
			"No part of the recording, which is %s long, is in that range of time.",
			fmt_duration(length, duration_ns));
		err_remedy(err, "Leave out --since, --until and --window to read all of it.");
		return -EINVAL;
	}
	*ret_from_ns = from;
	*ret_to_ns = to;
	return 0;
}
